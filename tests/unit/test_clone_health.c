/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_health.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS 20000

static clone_health_t *health;

static void set_up(void)
{
    health = aligned_alloc(64, clone_health_size());
    ck_assert_ptr_nonnull(health);
    memset(health, 0, clone_health_size());
}

static void tear_down(void)
{
    free(health);
}

START_TEST(a_member_finds_its_slot_again_and_no_other_s)
{
    clone_health_member_t *slots[500];
    unsigned int i;
    unsigned int j;

    for (i = 0; i < 500; i++) {
        /* some of them meet */
        slots[i] = clone_health_find(health, (apr_uint64_t)i * 257 + 1);
        ck_assert_ptr_nonnull(slots[i]);
        for (j = 0; j < i; j++) {
            ck_assert_ptr_ne(slots[i], slots[j]);
        }
    }
    for (i = 0; i < 500; i++) {
        ck_assert_ptr_eq(slots[i], clone_health_find(
            health, (apr_uint64_t)i * 257 + 1));
    }
}
END_TEST

START_TEST(a_full_table_says_so_and_keeps_what_it_has)
{
    apr_uint64_t member;
    clone_health_member_t *first = clone_health_find(health, 1);

    for (member = 1; member <= CLONE_MEMBERS_MAX; member++) {
        ck_assert_ptr_nonnull(clone_health_find(health, member));
    }
    ck_assert_ptr_null(clone_health_find(health, member));
    ck_assert_ptr_eq(clone_health_find(health, 1), first);
}
END_TEST

START_TEST(failures_in_a_row_count_and_a_success_forgets_them)
{
    clone_health_member_t *slot = clone_health_find(health, 7);

    ck_assert_uint_eq(clone_health_failures(slot), 0);
    ck_assert_uint_eq(clone_health_fail(slot, 0), 1);
    ck_assert_uint_eq(clone_health_fail(slot, 0), 2);
    clone_health_succeed(slot);
    ck_assert_uint_eq(clone_health_failures(slot), 0);
    ck_assert_uint_eq(clone_health_fail(slot, 0), 1);
}
END_TEST

START_TEST(the_same_request_proves_nothing_twice)
{
    clone_health_member_t *slot = clone_health_find(health, 7);

    ck_assert_uint_eq(clone_health_fail(slot, 11), 1);
    ck_assert_uint_eq(clone_health_fail(slot, 11), 1);
    ck_assert_uint_eq(clone_health_fail(slot, 11), 1);
    ck_assert_uint_eq(clone_health_fail(slot, 12), 2);
    ck_assert_uint_eq(clone_health_fail(slot, 0), 3);
    ck_assert_uint_eq(clone_health_fail(slot, 12), 3);
    clone_health_succeed(slot);
    ck_assert_uint_eq(clone_health_fail(slot, 12), 1);
}
END_TEST

START_TEST(one_tries_and_the_others_wait_but_not_for_ever)
{
    clone_health_member_t *slot = clone_health_find(health, 7);
    apr_time_t first = clone_health_begin_trial(slot, 1000, 2000);
    apr_time_t second;

    ck_assert_int_eq(first, 2000);
    ck_assert(clone_health_is_on_trial(slot, 1999));
    ck_assert_int_eq(clone_health_begin_trial(slot, 1999, 3000), 0);
    /* never ended */
    ck_assert(!clone_health_is_on_trial(slot, 2000));
    second = clone_health_begin_trial(slot, 2000, 3000);
    ck_assert_int_eq(second, 3000);
    /* the first one comes to an end after all, and ends nothing */
    clone_health_end_trial(slot, first);
    ck_assert(clone_health_is_on_trial(slot, 2500));
    clone_health_end_trial(slot, second);
    ck_assert(!clone_health_is_on_trial(slot, 2500));
}
END_TEST

static int winners;

static void *play(void *unused)
{
    unsigned int i;

    for (i = 1; i <= ROUNDS; i++) {
        clone_health_member_t *slot = clone_health_find(health, i % 100 + 1);

        (void)clone_health_fail(slot, 0);
        if (clone_health_begin_trial(slot, 1, 2) != 0) {
            __atomic_add_fetch(&winners, 1, __ATOMIC_RELAXED);
        }
    }
    return unused;
}

START_TEST(many_at_once_count_each_failure_and_win_each_trial_once)
{
    pthread_t threads[THREADS];
    unsigned int total = 0;
    unsigned int i;

    winners = 0;
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, play, NULL), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    for (i = 1; i <= 100; i++) {
        total += clone_health_failures(clone_health_find(health, i));
    }
    ck_assert_uint_eq(total, THREADS * ROUNDS);
    ck_assert_int_eq(winners, 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_health");
    TCase *tests = tcase_create("clone_health");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_member_finds_its_slot_again_and_no_other_s);
    tcase_add_test(tests, a_full_table_says_so_and_keeps_what_it_has);
    tcase_add_test(tests, failures_in_a_row_count_and_a_success_forgets_them);
    tcase_add_test(tests, the_same_request_proves_nothing_twice);
    tcase_add_test(tests, one_tries_and_the_others_wait_but_not_for_ever);
    tcase_add_test(tests,
                   many_at_once_count_each_failure_and_win_each_trial_once);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
