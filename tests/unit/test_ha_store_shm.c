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

#include "ha_limits.h"
#include "ha_store_shm.h"

#define TTL 3600
#define BUDGET (10 * APR_USEC_PER_SEC)
#define PATIENCE (30 * APR_USEC_PER_SEC)

static apr_pool_t *pool;
static ha_shm_t *shm;
static ha_store_t *store;
static unsigned int events;
static char pattern[HA_VALUE_MAX + 1];

static void count_event(void *ctx, const ha_event_t *event)
{
    unsigned int *count = ctx;

    ck_assert_int_eq(event->kind, HA_EVENT_FULL);
    ck_assert(span_is_equal(event->node, span_of_text("shm")));
    (*count)++;
}

static void use_memory(apr_size_t size)
{
    ck_assert_int_eq(ha_shm_create(&shm, size, pool), APR_SUCCESS);
    store = ha_store_shm_make(shm, count_event, &events, pool);
}

static void set_up(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (char)(i * 7 + i / 251);
    }
    events = 0;
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    use_memory(HA_SHM_MIN);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

/*
 * For code that other threads and processes run too: libcheck reports every
 * assertion through one pipe, which is the test's own thread's.
 */
static void must(int is_so)
{
    if (!is_so) {
        abort();
    }
}

/* One call, with an answer that is known. */
static ha_call_t call(ha_verb_e verb, const char *key, span_t data,
                      apr_uint64_t version, apr_uint32_t ttl, apr_pool_t *p)
{
    ha_call_t one;

    memset(&one, 0, sizeof(one));
    one.verb = verb;
    one.data = data;
    one.version = version;
    store->ops->run(store, key, &one, 1, ttl, apr_time_now() + BUDGET, p);
    must(one.rv == APR_SUCCESS);
    must(one.answer != HA_UNKNOWN);
    return one;
}

static ha_call_t get(const char *key)
{
    return call(HA_GET, key, span_of(NULL, 0), 0, 0, pool);
}

static ha_call_t add(const char *key, const char *text)
{
    return call(HA_ADD, key, span_of_text(text), 0, TTL, pool);
}

static void assert_holds(ha_call_t one, const char *text)
{
    ck_assert_int_eq(one.answer, HA_HIT);
    ck_assert_uint_ne(one.version, 0);
    ck_assert(span_is_equal(one.held, span_of_text(text)));
}

static void assert_missed(ha_call_t one)
{
    ck_assert_int_eq(one.answer, HA_MISS);
    ck_assert_uint_eq(one.held.len, 0);
}

static ha_shm_usage_t usage(void)
{
    ha_shm_usage_t now;

    ha_shm_usage(&now, shm);
    return now;
}

/* ---- verbs -------------------------------------------------------------- */

START_TEST(what_was_never_added_is_missed)
{
    assert_missed(get("k"));
    assert_missed(call(HA_APPEND, "k", span_of_text("x"), 0, TTL, pool));
    assert_missed(call(HA_CAS, "k", span_of_text("x"), 1, TTL, pool));
    assert_missed(call(HA_CAS, "k", span_of_text("x"), 0, TTL, pool));
    assert_missed(call(HA_TOUCH, "k", span_of(NULL, 0), 0, TTL, pool));
    assert_missed(call(HA_REMOVE, "k", span_of(NULL, 0), 0, TTL, pool));
    assert_missed(get("k"));
}
END_TEST

START_TEST(the_first_add_wins)
{
    assert_holds(add("k", "one"), "one");
    assert_holds(add("k", "two"), "one");
    assert_holds(get("k"), "one");
    assert_missed(get("K"));
}
END_TEST

START_TEST(an_append_goes_behind_and_changes_the_version)
{
    apr_uint64_t version = add("k", "one").version;
    ha_call_t one = call(HA_APPEND, "k", span_of_text("-two"), 0, TTL, pool);

    assert_holds(one, "one-two");
    ck_assert_uint_ne(one.version, version);
    ck_assert_uint_eq(get("k").version, one.version);
}
END_TEST

START_TEST(a_cas_replaces_the_version_it_names)
{
    ha_call_t one = add("k", "one");

    one = call(HA_CAS, "k", span_of_text("two"), one.version, TTL, pool);
    assert_holds(one, "two");
    assert_holds(get("k"), "two");
    ck_assert_uint_eq(get("k").version, one.version);
}
END_TEST

START_TEST(a_cas_of_another_version_says_what_is_held)
{
    ha_call_t one = add("k", "one");

    (void)call(HA_APPEND, "k", span_of_text("+"), 0, TTL, pool);
    assert_holds(call(HA_CAS, "k", span_of_text("two"), one.version, TTL,
                      pool), "one+");
    assert_holds(call(HA_CAS, "k", span_of_text("two"), 0, TTL, pool),
                 "one+");
}
END_TEST

START_TEST(a_version_never_comes_back_with_a_key)
{
    apr_uint64_t version = add("k", "one").version;

    (void)call(HA_REMOVE, "k", span_of(NULL, 0), 0, TTL, pool);
    (void)add("k", "one");
    assert_holds(call(HA_CAS, "k", span_of_text("two"), version, TTL, pool),
                 "one");
}
END_TEST

START_TEST(a_touch_brings_no_bytes)
{
    ha_call_t one;

    (void)add("k", "one");
    one = call(HA_TOUCH, "k", span_of(NULL, 0), 0, TTL, pool);
    ck_assert_int_eq(one.answer, HA_HIT);
    ck_assert_uint_eq(one.held.len, 0);
    assert_holds(get("k"), "one");
}
END_TEST

START_TEST(what_is_removed_is_missed_and_can_be_added)
{
    (void)add("k", "one");
    assert_missed(call(HA_REMOVE, "k", span_of(NULL, 0), 0, TTL, pool));
    assert_missed(get("k"));
    assert_holds(add("k", "two"), "two");
    ck_assert_uint_eq(usage().items, 1);
}
END_TEST

START_TEST(a_key_that_is_too_long_or_another_node_is_unknown)
{
    char key[252];
    ha_call_t one;

    memset(key, 'k', sizeof(key));
    key[250] = '\0';
    assert_holds(add(key, "long"), "long");
    assert_holds(get(key), "long");
    key[250] = 'k';
    key[251] = '\0';
    memset(&one, 0, sizeof(one));
    store->ops->run(store, key, &one, 1, TTL, apr_time_now() + BUDGET, pool);
    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_eq(one.rv, APR_EINVAL);
    one.node = 1;
    store->ops->run(store, "k", &one, 1, TTL, apr_time_now() + BUDGET, pool);
    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_eq(one.rv, APR_EINVAL);
}
END_TEST

START_TEST(the_only_node_is_up_and_whole_since_it_was_made)
{
    apr_time_t since = store->ops->whole_since(store, 0);

    ck_assert_uint_eq(store->count, 1);
    ck_assert_int_eq(store->ops->is_up(store, 0), 1);
    ck_assert_int_eq(store->ops->is_up(store, 1), 0);
    ck_assert(since > 0 && since <= apr_time_now());
    ck_assert_int_eq(store->ops->whole_since(store, 1), 0);
}
END_TEST

/* ---- sizes -------------------------------------------------------------- */

static const apr_size_t sizes[] = {
    0, 1, 2, 437, 438, 439, 440, 934, 935, 936, 1430, 1431, 1432, 4000,
    16384, 65536, 300000, HA_VALUE_MAX - 1, HA_VALUE_MAX
};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

START_TEST(a_value_of_any_size_comes_back)
{
    span_t data = span_of(pattern, sizes[_i]);

    ck_assert(span_is_equal(call(HA_ADD, "kk", data, 0, TTL, pool).held,
                            data));
    ck_assert(span_is_equal(get("kk").held, data));
    (void)call(HA_REMOVE, "kk", span_of(NULL, 0), 0, TTL, pool);
    ck_assert_uint_eq(usage().used, 0);
}
END_TEST

START_TEST(a_value_grows_by_any_size)
{
    apr_size_t len = 0;
    unsigned int step;

    assert_holds(add("k", ""), "");
    for (step = 0; len + step <= HA_VALUE_MAX; step = (step * 5 + 1) % 9000) {
        ha_call_t one = call(HA_APPEND, "k", span_of(pattern + len, step), 0,
                             TTL, pool);

        len += step;
        ck_assert_uint_eq(one.held.len, len);
        ck_assert_mem_eq(one.held.data, pattern, len);
        apr_pool_clear(pool);
        use_memory(HA_SHM_MIN);
        (void)call(HA_ADD, "k", span_of(pattern, len), 0, TTL, pool);
    }
    ck_assert_uint_gt(len, HA_VALUE_MAX / 2);
}
END_TEST

START_TEST(a_chain_of_appends_stays_in_order)
{
    apr_pool_t *p;
    apr_size_t len = 0;
    apr_size_t step;

    ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
    assert_holds(add("k", ""), "");
    for (step = 1; len + step <= HA_VALUE_MAX; step += 13) {
        ha_call_t one = call(HA_APPEND, "k", span_of(pattern + len, step), 0,
                             TTL, p);

        len += step;
        ck_assert_uint_eq(one.held.len, len);
        ck_assert_mem_eq(one.held.data, pattern, len);
        apr_pool_clear(p);
    }
    ck_assert_uint_eq(usage().dropped, 0);
}
END_TEST

START_TEST(a_value_above_the_limit_is_refused_and_the_old_one_stays)
{
    span_t large = span_of(pattern, HA_VALUE_MAX + 1);
    ha_call_t one;

    assert_missed(call(HA_ADD, "k", large, 0, TTL, pool));
    one = add("k", "one");
    assert_holds(call(HA_CAS, "k", large, one.version, TTL, pool), "one");
    assert_holds(call(HA_APPEND, "k", span_of(pattern, HA_VALUE_MAX - 2), 0,
                      TTL, pool), "one");
    assert_holds(call(HA_APPEND, "k", large, 0, TTL, pool), "one");
    assert_holds(get("k"), "one");
}
END_TEST

START_TEST(a_replacement_that_does_not_fit_beside_the_old_value_is_refused)
{
    span_t old = span_of(pattern, HA_VALUE_MAX);
    span_t new = span_of(pattern + 1, HA_VALUE_MAX);
    ha_call_t one = call(HA_ADD, "k", old, 0, TTL, pool);

    ck_assert(span_is_equal(call(HA_CAS, "k", new, one.version, TTL,
                                 pool).held, old));
    ck_assert_uint_eq(usage().dropped, 0);
    ck_assert_uint_eq(events, 0);
}
END_TEST

START_TEST(memory_of_a_size_out_of_bounds_is_not_made)
{
    ck_assert_int_eq(ha_shm_create(&shm, HA_SHM_MIN - 1, pool), APR_EINVAL);
    ck_assert_ptr_null(shm);
    ck_assert_int_eq(ha_shm_create(&shm, (apr_size_t)HA_SHM_MAX + 1, pool),
                     APR_EINVAL);
    ck_assert_ptr_null(shm);
}
END_TEST

static const apr_size_t memories[] = {
    HA_SHM_MIN, HA_SHM_MIN + 1, 5000000, HA_SHM_DEFAULT, 100000001
};

START_TEST(memory_of_any_size_is_used_almost_whole)
{
    char key[32];
    int i;

    use_memory(memories[_i]);
    ck_assert_uint_eq(ha_shm_size(shm), memories[_i]);
    ck_assert_uint_le(usage().size, memories[_i]);
    ck_assert_uint_ge(usage().size, memories[_i] / 100 * 97);
    for (i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        assert_holds(add(key, key), key);
    }
    for (i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        assert_holds(get(key), key);
    }
    ck_assert_uint_eq(usage().items, 200);
}
END_TEST

/* ---- time --------------------------------------------------------------- */

static void wait_until_missed(const char *key)
{
    apr_time_t deadline = apr_time_now() + PATIENCE;

    while (get(key).answer == HA_HIT) {
        ck_assert(apr_time_now() < deadline);
        apr_sleep(10000);
    }
}

START_TEST(an_item_is_over_after_its_time_and_can_be_added_again)
{
    apr_time_t begin = apr_time_now();

    (void)call(HA_ADD, "k", span_of_text("one"), 0, 1, pool);
    wait_until_missed("k");
    ck_assert(apr_time_now() - begin >= APR_USEC_PER_SEC);
    assert_missed(call(HA_APPEND, "k", span_of_text("x"), 0, TTL, pool));
    assert_holds(add("k", "two"), "two");
}
END_TEST

START_TEST(a_touch_and_a_cas_renew_the_time_and_an_append_does_not)
{
    ha_call_t one;

    (void)call(HA_ADD, "touched", span_of_text("t"), 0, 1, pool);
    (void)call(HA_TOUCH, "touched", span_of(NULL, 0), 0, TTL, pool);
    one = call(HA_ADD, "replaced", span_of_text("r"), 0, 1, pool);
    (void)call(HA_CAS, "replaced", span_of_text("R"), one.version, TTL, pool);
    (void)call(HA_ADD, "grown", span_of_text("g"), 0, 1, pool);
    (void)call(HA_APPEND, "grown", span_of_text("G"), 0, TTL, pool);
    (void)call(HA_ADD, "shortened", span_of_text("s"), 0, TTL, pool);
    (void)call(HA_TOUCH, "shortened", span_of(NULL, 0), 0, 1, pool);
    wait_until_missed("grown");
    wait_until_missed("shortened");
    assert_holds(get("touched"), "t");
    assert_holds(get("replaced"), "R");
}
END_TEST

START_TEST(a_time_to_live_of_136_years_is_not_over)
{
    (void)call(HA_ADD, "k", span_of_text("one"), 0, 0xffffffffu, pool);
    assert_holds(get("k"), "one");
}
END_TEST

/* ---- room --------------------------------------------------------------- */

/* Add items of some size until something is dropped. */
static void overfill(apr_size_t size, apr_uint32_t ttl, const char *used)
{
    apr_uint64_t before = usage().dropped;
    char key[32];
    apr_pool_t *p;
    int i;

    ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
    for (i = 0; usage().dropped < before + 20; i++) {
        ck_assert_int_lt(i, 100000);
        (void)snprintf(key, sizeof(key), "fill-%u-%d", ttl, i);
        ck_assert_int_eq(call(HA_ADD, key, span_of(pattern, size), 0, ttl,
                              p).answer, HA_HIT);
        if (used) {
            ck_assert_int_eq(get(used).answer, HA_HIT);
        }
        apr_pool_clear(p);
    }
}

START_TEST(when_full_what_was_not_used_for_longest_is_dropped)
{
    (void)add("quiet", "q");
    (void)add("busy", "b");
    overfill(3000, TTL, "busy");
    assert_holds(get("busy"), "b");
    assert_missed(get("quiet"));
    assert_missed(get("fill-3600-0"));
    ck_assert_uint_eq(events, 1);
}
END_TEST

START_TEST(nothing_is_dropped_while_there_is_room)
{
    char key[32];
    apr_pool_t *p;
    int i;

    ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
    for (i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        (void)call(HA_ADD, key, span_of(pattern, 1000), 0, TTL, p);
    }
    /* one session that is rewritten all the time */
    for (i = 0; i < 5000; i++) {
        ha_call_t one = call(HA_GET, "key-7", span_of(NULL, 0), 0, 0, p);

        (void)call(HA_CAS, "key-7", span_of(pattern, 1400), one.version, TTL,
                   p);
        apr_pool_clear(p);
    }
    ck_assert_uint_eq(usage().dropped, 0);
    ck_assert_uint_eq(usage().items, 500);
}
END_TEST

START_TEST(what_is_over_goes_before_what_is_not)
{
    char key[32];
    apr_pool_t *p;
    int i;

    ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
    (void)add("oldest", "o");
    for (i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof(key), "short-%d", i);
        (void)call(HA_ADD, key, span_of(pattern, 1000), 0, 1, p);
        apr_pool_clear(p);
    }
    wait_until_missed("short-499");
    for (i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof(key), "long-%d", i);
        (void)call(HA_ADD, key, span_of(pattern, 1000), 0, TTL, p);
        apr_pool_clear(p);
    }
    ck_assert_uint_eq(usage().dropped, 0);
    ck_assert_uint_eq(usage().items, 501);
    assert_holds(get("oldest"), "o");
}
END_TEST

START_TEST(an_item_that_grows_drops_others_and_not_itself)
{
    apr_size_t len;

    (void)add("grows", "");
    overfill(3000, TTL, "grows");
    for (len = 0; len < HA_VALUE_MAX; len += 4096) {
        (void)call(HA_APPEND, "grows", span_of(pattern + len, 4096), 0, TTL,
                   pool);
    }
    ck_assert(span_is_equal(get("grows").held,
                            span_of(pattern, HA_VALUE_MAX)));
    ck_assert_uint_eq(events, 1);
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
        ha_call_t one = call(HA_GET, "counter", span_of(NULL, 0), 0, 0, p);
        apr_uint64_t next[2];

        must(one.held.len == sizeof(next));
        memcpy(next, one.held.data, sizeof(next));
        next[0]++;
        next[1] = number * 10000 + (unsigned int)round;
        one = call(HA_CAS, "counter", span_of((char *)next, sizeof(next)),
                   one.version, TTL, p);
        if (memcmp(one.held.data, next, sizeof(next)) == 0) {
            break;
        }
    }
}

/* Append a mark of our own to each key, and count one key up. */
static void append_and_count(unsigned int number)
{
    char mark[5];
    char key[32];
    apr_pool_t *p;
    int i;

    must(apr_pool_create_unmanaged(&p) == APR_SUCCESS);
    for (i = 0; i < ROUNDS; i++) {
        ha_call_t one;

        (void)snprintf(key, sizeof(key), "shared-%d", i % SHARED_KEYS);
        (void)snprintf(mark, sizeof(mark), "%c%03d", (char)('a' + number), i);
        one = call(HA_APPEND, key, span_of(mark, 4), 0, TTL, p);
        must(one.answer == HA_HIT);
        must(one.held.len % 4 == 0);
        must(memcmp(one.held.data + one.held.len - 4, mark, 4) == 0);
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

    use_memory(HA_SHM_DEFAULT);
    for (i = 0; i < SHARED_KEYS; i++) {
        (void)snprintf(key, sizeof(key), "shared-%d", i);
        (void)add(key, "");
    }
    (void)call(HA_ADD, "counter", span_of((char *)zero, sizeof(zero)), 0,
               TTL, pool);
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
        held = get(key).held;
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
    memcpy(&count, get("counter").held.data, sizeof(count));
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
        ha_call_t one = call(HA_GET, "big", span_of(NULL, 0), 0, 0, p);

        if (one.answer == HA_MISS) {
            (void)call(HA_ADD, "big", span_of(pattern, 1), 0, TTL, p);
        }
        else {
            (void)call(HA_CAS, "big",
                       span_of(pattern, 100000 + one.version % 100000),
                       one.version, TTL, p);
            (void)call(HA_APPEND, "log", span_of("record", 6), 0, TTL, p);
        }
        __atomic_add_fetch(progress, 1, __ATOMIC_RELAXED);
        apr_pool_clear(p);
    }
}

static pid_t start_writer(apr_uint32_t *progress, apr_uint32_t steps)
{
    apr_time_t deadline = apr_time_now() + PATIENCE;
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

    (void)add("log", "");
    (void)add("bystander", "here");
    for (round = 0; round < 60; round++) {
        ha_call_t one;
        apr_size_t i;

        end_writer(start_writer(progress, 1 + round % 9));
        one = get("big");
        ck_assert_mem_eq(one.held.data, pattern, one.held.len);
        one = get("log");
        ck_assert_int_eq(one.answer, HA_HIT);
        ck_assert_uint_eq(one.held.len % 6, 0);
        for (i = 0; i < one.held.len; i += 6) {
            ck_assert_mem_eq(one.held.data + i, "record", 6);
        }
        assert_holds(get("bystander"), "here");
        ck_assert_uint_eq(usage().dropped, 0);
    }
}
END_TEST

START_TEST(a_stopped_process_costs_the_budget_and_nothing_more)
{
    apr_uint32_t *progress = make_progress();
    apr_time_t deadline = apr_time_now() + PATIENCE;
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
        store->ops->run(store, "big", &one, 1, TTL, begin + 50000, pool);
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
    ck_assert_int_eq(get("big").answer, HA_HIT);
    end_writer(pid);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_store_shm");
    TCase *tcase = tcase_create("store");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, what_was_never_added_is_missed);
    tcase_add_test(tcase, the_first_add_wins);
    tcase_add_test(tcase, an_append_goes_behind_and_changes_the_version);
    tcase_add_test(tcase, a_cas_replaces_the_version_it_names);
    tcase_add_test(tcase, a_cas_of_another_version_says_what_is_held);
    tcase_add_test(tcase, a_version_never_comes_back_with_a_key);
    tcase_add_test(tcase, a_touch_brings_no_bytes);
    tcase_add_test(tcase, what_is_removed_is_missed_and_can_be_added);
    tcase_add_test(tcase, a_key_that_is_too_long_or_another_node_is_unknown);
    tcase_add_test(tcase, the_only_node_is_up_and_whole_since_it_was_made);
    tcase_add_loop_test(tcase, a_value_of_any_size_comes_back, 0, SIZES);
    tcase_add_test(tcase, a_value_grows_by_any_size);
    tcase_add_test(tcase, a_chain_of_appends_stays_in_order);
    tcase_add_test(tcase,
                   a_value_above_the_limit_is_refused_and_the_old_one_stays);
    tcase_add_test(
        tcase,
        a_replacement_that_does_not_fit_beside_the_old_value_is_refused);
    tcase_add_test(tcase, memory_of_a_size_out_of_bounds_is_not_made);
    tcase_add_loop_test(tcase, memory_of_any_size_is_used_almost_whole, 0,
                        (int)(sizeof(memories) / sizeof(memories[0])));
    tcase_add_test(tcase,
                   an_item_is_over_after_its_time_and_can_be_added_again);
    tcase_add_test(tcase,
                   a_touch_and_a_cas_renew_the_time_and_an_append_does_not);
    tcase_add_test(tcase, a_time_to_live_of_136_years_is_not_over);
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
