/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_budget.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#define THREADS 4

static clone_budget_t *budget;

static void set_up(void)
{
    budget = aligned_alloc(64, (clone_budget_size() + 63) / 64 * 64);
    ck_assert_ptr_nonnull(budget);
    memset(budget, 0, clone_budget_size());
}

static void tear_down(void)
{
    free(budget);
}

/* How many tokens can be had now. */
static unsigned int drain(clone_bucket_t *bucket, unsigned int floor,
                          apr_time_t now)
{
    unsigned int taken = 0;

    while (clone_bucket_take(bucket, floor, now)) {
        taken++;
    }
    return taken;
}

START_TEST(a_bucket_begins_full_and_ends)
{
    clone_bucket_t *bucket = clone_budget_find(budget, 7);

    ck_assert_uint_eq(drain(bucket, 0, 1), CLONE_BUDGET_TOKENS);
    ck_assert_uint_eq(drain(bucket, 0, 2), 0);
}
END_TEST

START_TEST(requests_earn_their_share_and_no_more_than_there_is_room_for)
{
    clone_bucket_t *bucket = clone_budget_find(budget, 7);
    unsigned int i;

    ck_assert_uint_eq(drain(bucket, 0, 1), CLONE_BUDGET_TOKENS);
    for (i = 0; i < 100; i++) {
        clone_bucket_earn(bucket, 20);
    }
    ck_assert_uint_eq(drain(bucket, 0, 1), 20);
    for (i = 0; i < CLONE_BUDGET_TOKENS * 10; i++) {
        clone_bucket_earn(bucket, 20);
    }
    ck_assert_uint_eq(drain(bucket, 0, 1), CLONE_BUDGET_TOKENS);
}
END_TEST

START_TEST(time_brings_the_floor)
{
    clone_bucket_t *bucket = clone_budget_find(budget, 7);
    apr_time_t now = apr_time_from_sec(1000);
    unsigned int taken = 0;
    unsigned int i;

    (void)drain(bucket, 3, now);
    ck_assert_uint_eq(drain(bucket, 3, now + apr_time_from_sec(2)), 6);
    /* asked often, it brings no less */
    now += apr_time_from_sec(2);
    for (i = 1; i <= 10000; i++) {
        taken += clone_bucket_take(bucket, 3, now + i * 1000) != 0;
    }
    ck_assert_uint_ge(taken, 29);
    ck_assert_uint_le(taken, 30);
    /* a clock that goes back takes nothing and brings nothing */
    ck_assert_uint_eq(drain(bucket, 3, now - apr_time_from_sec(500)), 0);
}
END_TEST

START_TEST(balancers_do_not_spend_each_other_s_tokens)
{
    clone_bucket_t *one = clone_budget_find(budget, 1);
    clone_bucket_t *other = clone_budget_find(
        budget, 1 + CLONE_BUDGET_BALANCERS_MAX);

    ck_assert_ptr_ne(one, other);
    (void)drain(one, 0, 1);
    ck_assert_uint_eq(drain(other, 0, 1), CLONE_BUDGET_TOKENS);
    ck_assert_ptr_eq(clone_budget_find(budget, 1), one);
}
END_TEST

START_TEST(one_balancer_too_many_has_none)
{
    apr_uint64_t i;

    for (i = 1; i <= CLONE_BUDGET_BALANCERS_MAX; i++) {
        ck_assert_ptr_nonnull(clone_budget_find(budget, i));
    }
    ck_assert_ptr_null(clone_budget_find(budget, i));
}
END_TEST

static unsigned int taken_by_all;

static void *play(void *unused)
{
    unsigned int taken = drain(clone_budget_find(budget, 7), 0, 1);

    __atomic_add_fetch(&taken_by_all, taken, __ATOMIC_RELAXED);
    clone_budget_note(budget, CLONE_BUDGET_REPLAYED);
    return unused;
}

START_TEST(many_at_once_take_each_token_once)
{
    pthread_t threads[THREADS];
    unsigned int i;

    taken_by_all = 0;
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, play, NULL), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(taken_by_all, CLONE_BUDGET_TOKENS);
    ck_assert_uint_eq(clone_budget_count(budget, CLONE_BUDGET_REPLAYED),
                      THREADS);
    ck_assert_uint_eq(clone_budget_count(budget, CLONE_BUDGET_TOLD), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_budget");
    TCase *tests = tcase_create("clone_budget");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_bucket_begins_full_and_ends);
    tcase_add_test(
        tests, requests_earn_their_share_and_no_more_than_there_is_room_for);
    tcase_add_test(tests, time_brings_the_floor);
    tcase_add_test(tests, balancers_do_not_spend_each_other_s_tokens);
    tcase_add_test(tests, one_balancer_too_many_has_none);
    tcase_add_test(tests, many_at_once_take_each_token_once);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
