/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <apr_general.h>
#include <check.h>

#include "ha_refill.h"

#define ALL (~(apr_uint64_t)0)

static apr_pool_t *pool;
static ha_refill_t *refill;

static void set_up(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_refill_create(&refill, pool), APR_SUCCESS);
    ha_refill_open(refill, 1);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

static ha_refill_job_t job_of(apr_uint32_t number, apr_uint64_t nodes)
{
    ha_refill_job_t job;

    memset(&job, 0, sizeof(job));
    memcpy(job.digest, &number, sizeof(number));
    job.nodes = nodes;
    job.ttl_sec = 60;
    job.replicas = 2;
    job.noted = 7;
    return job;
}

static int note(apr_uint32_t number, apr_uint64_t nodes)
{
    ha_refill_job_t job = job_of(number, nodes);

    return ha_refill_note(refill, &job);
}

static ha_refill_usage_t usage(void)
{
    ha_refill_usage_t now;

    ha_refill_usage(&now, refill);
    return now;
}

START_TEST(what_was_noted_is_taken_once)
{
    ha_refill_job_t noted = job_of(5, 6);
    ha_refill_job_t job;

    ck_assert(!ha_refill_take(refill, &job, ALL));
    ck_assert(!ha_refill_note(refill, &noted));
    ck_assert_uint_eq(usage().pending, 1);
    ck_assert(ha_refill_take(refill, &job, ALL));
    ck_assert_mem_eq(&job, &noted, sizeof(job));
    ck_assert(!ha_refill_take(refill, &job, ALL));
    ck_assert_uint_eq(usage().pending, 0);
}
END_TEST

START_TEST(nodes_of_one_session_are_joined_and_taken_apart)
{
    ha_refill_job_t job;

    ck_assert(!note(5, 1));
    ck_assert(!note(5, 2));
    ck_assert_uint_eq(usage().pending, 1);
    ck_assert(!ha_refill_take(refill, &job, 4));
    ck_assert(ha_refill_take(refill, &job, 2 | 4));
    ck_assert_uint_eq(job.nodes, 2);
    ck_assert_uint_eq(usage().pending, 1);
    ck_assert(!ha_refill_take(refill, &job, 2));
    ck_assert(ha_refill_take(refill, &job, 1));
    ck_assert_uint_eq(job.nodes, 1);
}
END_TEST

START_TEST(every_session_is_taken_when_many_wait)
{
    static int seen[2000];
    ha_refill_job_t job;
    apr_uint32_t number;
    int i;

    memset(seen, 0, sizeof(seen));
    for (i = 0; i < 2000; i++) {
        ck_assert(!note((apr_uint32_t)i * 13, 1));
    }
    for (i = 0; i < 2000; i++) {
        ck_assert(ha_refill_take(refill, &job, 1));
        memcpy(&number, job.digest, sizeof(number));
        ck_assert_int_eq(seen[number / 13]++, 0);
    }
    ck_assert(!ha_refill_take(refill, &job, 1));
}
END_TEST

START_TEST(no_room_is_said_once_until_the_table_was_empty)
{
    ha_refill_job_t job;
    apr_uint32_t i;
    int said = 0;

    /* all in the same place: other digests that begin alike */
    for (i = 0; i < 40; i++) {
        ha_refill_job_t crowd = job_of(0, 1);

        crowd.digest[8] = (unsigned char)i;
        said += ha_refill_note(refill, &crowd);
    }
    ck_assert_int_eq(said, 1);
    ck_assert_uint_eq(usage().pending + usage().dropped, 40);
    ck_assert_uint_gt(usage().dropped, 0);
    while (ha_refill_take(refill, &job, 1)) {
    }
    for (said = 0, i = 0; i < 40; i++) {
        ha_refill_job_t crowd = job_of(0, 1);

        crowd.digest[8] = (unsigned char)i;
        said += ha_refill_note(refill, &crowd);
    }
    ck_assert_int_eq(said, 1);
}
END_TEST

START_TEST(another_list_of_nodes_forgets_all)
{
    ha_refill_job_t job;

    ck_assert(!note(5, 1));
    ha_refill_open(refill, 1);
    ck_assert_uint_eq(usage().pending, 1);
    ck_assert(ha_refill_is_open(refill, 1) && !ha_refill_is_open(refill, 2));
    ha_refill_open(refill, 2);
    ck_assert(ha_refill_is_open(refill, 2));
    ck_assert_uint_eq(usage().pending, 0);
    ck_assert(!ha_refill_take(refill, &job, ALL));
}
END_TEST

START_TEST(one_claims_a_turn_and_a_lost_turn_is_anybodys)
{
    apr_interval_time_t wait;

    ck_assert(ha_refill_claim(refill, &wait, 1000, 100));
    ck_assert(wait == 100);
    ck_assert(!ha_refill_claim(refill, &wait, 1040, 100));
    ck_assert(wait == 60);
    ck_assert(ha_refill_claim(refill, &wait, 1100, 100));
    /* a clock set back must not stop it */
    ck_assert(ha_refill_claim(refill, &wait, 10, 100));
    ha_refill_done(refill);
    ck_assert_uint_eq(usage().done, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_refill");
    TCase *tcase = tcase_create("refill");
    SRunner *runner;
    int failed;

    apr_initialize();
    atexit(apr_terminate);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, what_was_noted_is_taken_once);
    tcase_add_test(tcase, nodes_of_one_session_are_joined_and_taken_apart);
    tcase_add_test(tcase, every_session_is_taken_when_many_wait);
    tcase_add_test(tcase, no_room_is_said_once_until_the_table_was_empty);
    tcase_add_test(tcase, another_list_of_nodes_forgets_all);
    tcase_add_test(tcase, one_claims_a_turn_and_a_lost_turn_is_anybodys);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
