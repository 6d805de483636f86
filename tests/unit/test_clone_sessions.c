/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_sessions.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#define NOW apr_time_from_sec(1700000000)
#define SEC APR_USEC_PER_SEC
#define IDLE 1800
#define MANY 20000
#define THREADS 4

static clone_sessions_t *table;
static apr_size_t table_size;
static clone_tally_t tally[CLONE_SLOTS];

static void make(apr_uint32_t sessions)
{
    table_size = clone_sessions_size(sessions);
    table = mmap(NULL, table_size, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(table, MAP_FAILED);
    ck_assert_int_eq(clone_sessions_since(table), 0);
    clone_sessions_init(table, sessions, NOW);
}

static void set_up(void)
{
    make(MANY);
}

static void tear_down(void)
{
    ck_assert_int_eq(munmap(table, table_size), 0);
}

/* What SipHash gives: a good mix of a number. */
static apr_uint64_t hash_of(apr_uint64_t i)
{
    i += 0x9e3779b97f4a7c15u;
    i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9u;
    i = (i ^ i >> 27) * 0x94d049bb133111ebu;
    return i ^ i >> 31;
}

static int add(apr_uint64_t i, unsigned int slot, apr_time_t now)
{
    return clone_sessions_add(table, hash_of(i), slot, IDLE, now);
}

static unsigned int owner(apr_uint64_t i, apr_time_t now)
{
    apr_uint32_t left;

    return clone_sessions_find(table, hash_of(i), now, &left);
}

static apr_uint32_t count(unsigned int slot, apr_time_t now)
{
    clone_sessions_tally(table, tally, now);
    return tally[slot].sessions;
}

START_TEST(a_session_is_where_it_was_served_last)
{
    apr_uint32_t left;

    ck_assert_int_eq(clone_sessions_since(table), NOW);
    ck_assert_uint_eq(owner(1, NOW), 0);
    ck_assert_int_eq(add(1, 7, NOW), 1);
    ck_assert_int_eq(add(2, 7, NOW), 1);
    ck_assert_int_eq(add(1, 7, NOW), 1);
    ck_assert_uint_eq(count(7, NOW), 2);
    ck_assert_int_eq(add(1, 4095, NOW + 10 * SEC), 1);
    ck_assert_uint_eq(count(7, NOW), 1);
    ck_assert_uint_eq(count(4095, NOW), 1);
    ck_assert_uint_eq(clone_sessions_find(table, hash_of(1), NOW + 20 * SEC,
                                          &left), 4095);
    ck_assert_uint_eq(left, IDLE + 1 - 10);
    clone_sessions_remove(table, hash_of(1));
    clone_sessions_remove(table, hash_of(3));
    ck_assert_uint_eq(owner(1, NOW), 0);
    ck_assert_uint_eq(owner(2, NOW), 7);
    ck_assert_uint_eq(count(4095, NOW), 0);
}
END_TEST

START_TEST(a_session_is_over_when_it_was_idle_for_too_long)
{
    ck_assert_int_eq(add(1, 3, NOW), 1);
    ck_assert_int_eq(add(2, 3, NOW + 60 * SEC), 1);
    ck_assert_uint_eq(count(3, NOW + IDLE * SEC), 2);
    ck_assert_uint_eq(tally[3].longest, 61);
    ck_assert_uint_eq(count(3, NOW + (IDLE + 1) * SEC), 1);
    ck_assert_uint_eq(owner(1, NOW + (IDLE + 1) * SEC), 0);
    ck_assert_uint_eq(count(3, NOW + (IDLE + 61) * SEC), 0);
    /* it comes again */
    ck_assert_int_eq(add(1, 3, NOW + 99 * IDLE * SEC), 1);
    ck_assert_uint_eq(count(3, NOW + 99 * IDLE * SEC), 1);
}
END_TEST

START_TEST(a_clock_that_is_set_back_ends_no_session)
{
    ck_assert_int_eq(add(1, 3, NOW), 1);
    ck_assert_uint_eq(count(3, NOW - 3000 * SEC), 1);
    ck_assert_int_eq(clone_sessions_add(table, hash_of(2), 3,
                                        CLONE_SESSION_IDLE_MAX, NOW), 1);
    ck_assert_uint_eq(owner(2, NOW - 3000 * SEC), 3);
}
END_TEST

START_TEST(sessions_are_over_whatever_part_of_the_turn_it_is)
{
    apr_time_t at = NOW + apr_time_from_sec((apr_time_t)_i * 400000);

    ck_assert_int_eq(add(1, 3, at), 1);
    ck_assert_uint_eq(count(3, at + IDLE * SEC), 1);
    ck_assert_uint_eq(count(3, at + (IDLE + 1) * SEC), 0);
    ck_assert_uint_eq(count(3, at + apr_time_from_sec(30 * 86400)), 0);
    clone_sessions_sweep(table, at + apr_time_from_sec(30 * 86400));
    ck_assert_uint_eq(count(3, at + apr_time_from_sec(1 << 22)), 0);
}
END_TEST

START_TEST(what_was_asked_for_has_room)
{
    apr_uint64_t i;
    apr_uint32_t sum = 0;
    unsigned int slot;

    for (i = 0; i < MANY; i++) {
        ck_assert_int_eq(add(i, 1 + (unsigned int)(i % 9), NOW), 1);
    }
    clone_sessions_tally(table, tally, NOW);
    for (slot = 0; slot < CLONE_SLOTS; slot++) {
        sum += tally[slot].sessions;
    }
    ck_assert_uint_eq(sum, MANY);
    ck_assert_uint_eq(tally[1].sessions, MANY / 9 + 1);
    for (i = 0; i < MANY; i++) {
        ck_assert_uint_eq(owner(i, NOW), 1 + i % 9);
    }
}
END_TEST

START_TEST(a_full_table_says_so_and_makes_room_when_sessions_end)
{
    apr_uint64_t i;
    int missed = 0;

    for (i = 0; i < 3 * MANY; i++) {
        missed += !add(i, 2, NOW);
    }
    ck_assert_int_gt(missed, MANY);
    ck_assert_uint_eq(count(2, NOW), 3 * MANY - (unsigned int)missed);
    missed = 0;
    for (i = 0; i < MANY; i++) {
        missed += !add(10 * MANY + i, 5, NOW + (IDLE + 1) * SEC);
    }
    ck_assert_int_eq(missed, 0);
    ck_assert_uint_eq(count(5, NOW + (IDLE + 1) * SEC), MANY);
}
END_TEST

START_TEST(the_least_table_works)
{
    tear_down();
    make(1);
    ck_assert_int_eq(add(1, 2, NOW), 1);
    ck_assert_uint_eq(count(2, NOW), 1);
}
END_TEST

/* ---- several at once ----------------------------------------------------- */

/* Everybody adds the same sessions, and ends every fourth of them. */
static void *hammer(void *unused)
{
    apr_uint64_t i;
    int round;

    (void)unused;
    for (round = 0; round < 3; round++) {
        for (i = 0; i < MANY / 4; i++) {
            if (!add(i, 1 + (unsigned int)(i % 2), NOW)) {
                abort();
            }
            if (round < 2 && i % 4 == 0) {
                clone_sessions_remove(table, hash_of(i));
            }
            if (i % 1024 == 0) {
                clone_tally_t *mine = malloc(CLONE_SLOTS * sizeof(*mine));

                clone_sessions_tally(table, mine, NOW);
                free(mine);
            }
        }
    }
    return NULL;
}

START_TEST(threads_count_each_session_once)
{
    pthread_t thread[THREADS];
    int i;

    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, hammer, NULL), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    }
    ck_assert_uint_eq(count(1, NOW), MANY / 8);
    ck_assert_uint_eq(count(2, NOW), MANY / 8);
}
END_TEST

START_TEST(processes_count_each_session_once_and_may_die)
{
    pid_t child[THREADS];
    int i;

    for (i = 0; i < THREADS; i++) {
        child[i] = fork();
        ck_assert_int_ge(child[i], 0);
        if (child[i] == 0) {
            for (;;) {
                (void)hammer(NULL);
                if (i < THREADS - 1) {
                    _exit(0);
                }
            }
        }
    }
    for (i = 0; i < THREADS; i++) {
        if (i == THREADS - 1) {
            ck_assert_int_eq(kill(child[i], SIGKILL), 0);
        }
        ck_assert_int_eq(waitpid(child[i], NULL, 0), child[i]);
    }
    (void)hammer(NULL);
    ck_assert_uint_eq(count(1, NOW), MANY / 8);
    ck_assert_uint_eq(count(2, NOW), MANY / 8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_sessions");
    TCase *tests = tcase_create("clone_sessions");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_session_is_where_it_was_served_last);
    tcase_add_test(tests, a_session_is_over_when_it_was_idle_for_too_long);
    tcase_add_test(tests, a_clock_that_is_set_back_ends_no_session);
    tcase_add_loop_test(tests,
                        sessions_are_over_whatever_part_of_the_turn_it_is, 0,
                        12);
    tcase_add_test(tests, what_was_asked_for_has_room);
    tcase_add_test(tests,
                   a_full_table_says_so_and_makes_room_when_sessions_end);
    tcase_add_test(tests, the_least_table_works);
    tcase_add_test(tests, threads_count_each_session_once);
    tcase_add_test(tests, processes_count_each_session_once_and_may_die);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
