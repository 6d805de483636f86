/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include <apr_general.h>

#include "shm_site.h"

/* ---- room --------------------------------------------------------------- */

/* Add items of some size until something is dropped. */
static void overfill(apr_size_t size, apr_uint32_t ttl, const char *used)
{
    apr_uint64_t before = shm_usage().dropped;
    char key[32];
    apr_pool_t *p;
    int i;

    ck_assert_int_eq(apr_pool_create(&p, shm_pool), APR_SUCCESS);
    for (i = 0; shm_usage().dropped < before + 20; i++) {
        ck_assert_int_lt(i, 100000);
        (void)snprintf(key, sizeof(key), "fill-%u-%d", ttl, i);
        ck_assert_int_eq(shm_call(HA_ADD, key, span_of(shm_pattern, size), 0,
                                  ttl, p).answer, HA_HIT);
        if (used) {
            ck_assert_int_eq(shm_get(used).answer, HA_HIT);
        }
        apr_pool_clear(p);
    }
}

START_TEST(when_full_what_was_not_used_for_longest_is_dropped)
{
    (void)shm_add("quiet", "q");
    (void)shm_add("busy", "b");
    overfill(3000, SHM_TTL, "busy");
    shm_assert_holds(shm_get("busy"), "b");
    shm_assert_missed(shm_get("quiet"));
    shm_assert_missed(shm_get("fill-3600-0"));
    ck_assert_uint_eq(shm_events, 1);
}
END_TEST

START_TEST(nothing_is_dropped_while_there_is_room)
{
    char key[32];
    apr_pool_t *p;
    int i;

    ck_assert_int_eq(apr_pool_create(&p, shm_pool), APR_SUCCESS);
    for (i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        (void)shm_call(HA_ADD, key, span_of(shm_pattern, 1000), 0, SHM_TTL, p);
    }
    /* one session that is rewritten all the time */
    for (i = 0; i < 5000; i++) {
        ha_call_t one = shm_call(HA_GET, "key-7", span_of(NULL, 0), 0, 0, p);

        (void)shm_call(HA_CAS, "key-7", span_of(shm_pattern, 1400), one.version,
                       SHM_TTL, p);
        apr_pool_clear(p);
    }
    ck_assert_uint_eq(shm_usage().dropped, 0);
    ck_assert_uint_eq(shm_usage().items, 500);
}
END_TEST

START_TEST(what_is_over_goes_before_what_is_not)
{
    char key[32];
    apr_pool_t *p;
    int i;

    ck_assert_int_eq(apr_pool_create(&p, shm_pool), APR_SUCCESS);
    (void)shm_add("oldest", "o");
    for (i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof(key), "short-%d", i);
        (void)shm_call(HA_ADD, key, span_of(shm_pattern, 1000), 0, 1, p);
        apr_pool_clear(p);
    }
    shm_wait_until_missed("short-499");
    for (i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof(key), "long-%d", i);
        (void)shm_call(HA_ADD, key, span_of(shm_pattern, 1000), 0, SHM_TTL, p);
        apr_pool_clear(p);
    }
    ck_assert_uint_eq(shm_usage().dropped, 0);
    ck_assert_uint_eq(shm_usage().items, 501);
    shm_assert_holds(shm_get("oldest"), "o");
}
END_TEST

START_TEST(an_item_that_grows_drops_others_and_not_itself)
{
    apr_size_t len;

    (void)shm_add("grows", "");
    overfill(3000, SHM_TTL, "grows");
    for (len = 0; len < HA_VALUE_MAX; len += 4096) {
        (void)shm_call(HA_APPEND, "grows", span_of(shm_pattern + len, 4096), 0,
                       SHM_TTL, shm_pool);
    }
    ck_assert(span_is_equal(shm_get("grows").held,
                            span_of(shm_pattern, HA_VALUE_MAX)));
    ck_assert_uint_eq(shm_events, 1);
}
END_TEST

/* ---- threads and processes ---------------------------------------------- */

#define WORKERS 8
#define ROUNDS 300
#define SHARED_KEYS 5

typedef struct worker_t {
    pthread_t thread;
    unsigned int number;
} worker_t;

/*
 * Add one to a number, and sign it: who sees his own bytes afterwards has won,
 * for nobody who was overtaken writes.
 */
static void count_up(unsigned int number, int round, apr_pool_t *p)
{
    for (;;) {
        ha_call_t one = shm_call(HA_GET, "counter", span_of(NULL, 0), 0, 0, p);
        apr_uint64_t next[2];

        shm_must(one.held.len == sizeof(next));
        memcpy(next, one.held.data, sizeof(next));
        next[0]++;
        next[1] = number * 10000 + (unsigned int)round;
        one = shm_call(HA_CAS, "counter", span_of((char *)next, sizeof(next)),
                   one.version, SHM_TTL, p);
        if (memcmp(one.held.data, next, sizeof(next)) == 0) {
            break;
        }
    }
}

/* Append a mark of our own to each key, and count one key up. */
static void append_and_count(unsigned int number)
{
    char mark[16];
    char key[32];
    apr_pool_t *p;
    int i;

    shm_must(apr_pool_create_unmanaged(&p) == APR_SUCCESS);
    for (i = 0; i < ROUNDS; i++) {
        ha_call_t one;

        (void)snprintf(key, sizeof(key), "shared-%d", i % SHARED_KEYS);
        (void)snprintf(mark, sizeof(mark), "%c%03d", (char)('a' + number), i);
        one = shm_call(HA_APPEND, key, span_of(mark, 4), 0, SHM_TTL, p);
        shm_must(one.answer == HA_HIT);
        shm_must(one.held.len % 4 == 0);
        shm_must(memcmp(one.held.data + one.held.len - 4, mark, 4) == 0);
        count_up(number, i, p);
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
}

static void *work(void *arg)
{
    append_and_count(((worker_t *)arg)->number);
    return NULL;
}

static void prepare_shared_keys(void)
{
    apr_uint64_t zero[2] = { 0, 0 };
    char key[32];
    int i;

    shm_use_memory(HA_SHM_DEFAULT);
    for (i = 0; i < SHARED_KEYS; i++) {
        (void)snprintf(key, sizeof(key), "shared-%d", i);
        (void)shm_add(key, "");
    }
    (void)shm_call(HA_ADD, "counter", span_of((char *)zero, sizeof(zero)), 0,
               SHM_TTL, shm_pool);
}

/* Every mark is there once, those of one worker in order; all have counted. */
static void assert_nothing_is_lost(void)
{
    apr_uint64_t count;
    unsigned int seen = 0;
    char key[32];
    int i;

    for (i = 0; i < SHARED_KEYS; i++) {
        int last[WORKERS];
        span_t held;
        apr_size_t at;

        memset(last, -1, sizeof(last));
        (void)snprintf(key, sizeof(key), "shared-%d", i);
        held = shm_get(key).held;
        for (at = 0; at < held.len; at += 4) {
            int who = held.data[at] - 'a';
            char digits[4] = { held.data[at + 1], held.data[at + 2],
                               held.data[at + 3], '\0' };
            int number = atoi(digits);

            ck_assert(who >= 0 && who < WORKERS);
            ck_assert_int_gt(number, last[who]);
            ck_assert_int_eq(number % SHARED_KEYS, i);
            last[who] = number;
            seen++;
        }
    }
    ck_assert_uint_eq(seen, WORKERS * ROUNDS);
    memcpy(&count, shm_get("counter").held.data, sizeof(count));
    ck_assert_uint_eq(count, WORKERS * ROUNDS);
}

START_TEST(threads_lose_no_write)
{
    worker_t workers[WORKERS];
    unsigned int i;

    prepare_shared_keys();
    for (i = 0; i < WORKERS; i++) {
        workers[i].number = i;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work,
                                        &workers[i]), 0);
    }
    for (i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
    }
    assert_nothing_is_lost();
}
END_TEST

START_TEST(processes_lose_no_write)
{
    pid_t pids[WORKERS];
    unsigned int i;

    prepare_shared_keys();
    for (i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0) {
            append_and_count(i);
            _exit(0);
        }
    }
    for (i = 0; i < WORKERS; i++) {
        int status = 0;

        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
    }
    assert_nothing_is_lost();
}
END_TEST

/* Replace large values for ever: nearly all the time with a lock held. */
static void write_for_ever(apr_uint32_t *progress)
{
    apr_pool_t *p;

    if (apr_pool_create(&p, NULL) != APR_SUCCESS) {
        _exit(1);
    }
    for (;;) {
        ha_call_t one = shm_call(HA_GET, "big", span_of(NULL, 0), 0, 0, p);

        if (one.answer == HA_MISS) {
            (void)shm_call(HA_ADD, "big", span_of(shm_pattern, 1), 0, SHM_TTL,
                           p);
        }
        else {
            (void)shm_call(HA_CAS, "big",
                       span_of(shm_pattern, 100000 + one.version % 100000),
                       one.version, SHM_TTL, p);
            (void)shm_call(HA_APPEND, "log", span_of("record", 6), 0, SHM_TTL,
                           p);
        }
        __atomic_add_fetch(progress, 1, __ATOMIC_RELAXED);
        apr_pool_clear(p);
    }
}

static pid_t start_writer(apr_uint32_t *progress, apr_uint32_t steps)
{
    apr_time_t deadline = apr_time_now() + SHM_PATIENCE_USEC;
    pid_t pid;

    *progress = 0;
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        write_for_ever(progress);
    }
    while (__atomic_load_n(progress, __ATOMIC_RELAXED) < steps) {
        ck_assert(apr_time_now() < deadline);
    }
    return pid;
}

static apr_uint32_t *make_progress(void)
{
    apr_uint32_t *progress = mmap(NULL, sizeof(*progress),
                                  PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(progress, MAP_FAILED);
    return progress;
}

static void end_writer(pid_t pid)
{
    int status = 0;

    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
}

START_TEST(a_killed_process_takes_no_item_with_it)
{
    apr_uint32_t *progress = make_progress();
    unsigned int round;

    (void)shm_add("log", "");
    (void)shm_add("bystander", "here");
    for (round = 0; round < 60; round++) {
        ha_call_t one;
        apr_size_t i;

        end_writer(start_writer(progress, 1 + round % 9));
        one = shm_get("big");
        ck_assert_mem_eq(one.held.data, shm_pattern, one.held.len);
        one = shm_get("log");
        ck_assert_int_eq(one.answer, HA_HIT);
        ck_assert_uint_eq(one.held.len % 6, 0);
        for (i = 0; i < one.held.len; i += 6) {
            ck_assert_mem_eq(one.held.data + i, "record", 6);
        }
        shm_assert_holds(shm_get("bystander"), "here");
        ck_assert_uint_eq(shm_usage().dropped, 0);
    }
}
END_TEST

START_TEST(a_stopped_process_costs_the_budget_and_nothing_more)
{
    apr_uint32_t *progress = make_progress();
    apr_time_t deadline = apr_time_now() + SHM_PATIENCE_USEC;
    pid_t pid = start_writer(progress, 1);
    ha_call_t one;

    /* until it is stopped with the lock held, which is most of the time */
    for (;;) {
        apr_time_t begin;
        apr_time_t took;
        int status = 0;

        ck_assert(apr_time_now() < deadline);
        ck_assert_int_eq(kill(pid, SIGSTOP), 0);
        ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
        ck_assert(WIFSTOPPED(status));
        memset(&one, 0, sizeof(one));
        begin = apr_time_now();
        shm_store->ops->run(shm_store, "big", &one, 1, SHM_TTL, begin + 50000,
                            shm_pool);
        took = apr_time_now() - begin;
        ck_assert(took < 50000 + 500000);
        if (one.answer == HA_UNKNOWN) {
            ck_assert(took >= 50000);
            break;
        }
        ck_assert_int_eq(kill(pid, SIGCONT), 0);
    }
    ck_assert_int_eq(one.rv, APR_TIMEUP);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    ck_assert_int_eq(shm_get("big").answer, HA_HIT);
    end_writer(pid);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_store_shm_many");
    TCase *tcase = tcase_create("store");

    tcase_add_checked_fixture(tcase, shm_set_up, shm_tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, when_full_what_was_not_used_for_longest_is_dropped);
    tcase_add_test(tcase, nothing_is_dropped_while_there_is_room);
    tcase_add_test(tcase, what_is_over_goes_before_what_is_not);
    tcase_add_test(tcase, an_item_that_grows_drops_others_and_not_itself);
    tcase_add_test(tcase, threads_lose_no_write);
    tcase_add_test(tcase, processes_lose_no_write);
    tcase_add_test(tcase, a_killed_process_takes_no_item_with_it);
    tcase_add_test(tcase,
                   a_stopped_process_costs_the_budget_and_nothing_more);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner;
    int failed;

    if (apr_initialize() != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
