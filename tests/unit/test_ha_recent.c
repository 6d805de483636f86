/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/wait.h>

#include <apr_general.h>

#include "ha_recent.h"

static apr_pool_t *pool;
static ha_recent_t *recent;

/* A session whose digest begins with a number; no secret is needed here. */
static ha_sid_t sid_of(apr_uint32_t slot, apr_uint32_t name)
{
    ha_sid_t sid;
    int i;

    memset(&sid, 0, sizeof(sid));
    for (i = 0; i < 4; i++) {
        sid.digest[i] = (unsigned char)(slot >> (24 - 8 * i));
        sid.digest[4 + i] = (unsigned char)(name >> (24 - 8 * i));
    }
    return sid;
}

static void set_up(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_recent_create(&recent, pool), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

START_TEST(a_session_nobody_noted_is_not_known)
{
    ha_sid_t sid = sid_of(1, 2);

    ck_assert_int_eq(ha_recent_get(recent, &sid), 0);
}
END_TEST

START_TEST(a_noted_session_is_known_to_the_second)
{
    ha_sid_t sid = sid_of(1, 2);

    ha_recent_set(recent, &sid, apr_time_from_sec(1700000000) + 999999);
    ck_assert_int_eq(ha_recent_get(recent, &sid),
                     apr_time_from_sec(1700000000));
    ha_recent_set(recent, &sid, apr_time_from_sec(1700000060));
    ck_assert_int_eq(ha_recent_get(recent, &sid),
                     apr_time_from_sec(1700000060));
}
END_TEST

START_TEST(the_newer_of_two_sessions_of_one_slot_is_known)
{
    ha_sid_t one = sid_of(7, 1);
    ha_sid_t two = sid_of(7, 2);

    ha_recent_set(recent, &one, apr_time_from_sec(1700000000));
    ha_recent_set(recent, &two, apr_time_from_sec(1700000001));
    ck_assert_int_eq(ha_recent_get(recent, &one), 0);
    ck_assert_int_eq(ha_recent_get(recent, &two),
                     apr_time_from_sec(1700000001));
}
END_TEST

START_TEST(every_slot_can_be_used)
{
    apr_uint32_t i;

    for (i = 0; i < 200000; i++) {
        ha_sid_t sid = sid_of(i * 2654435761u, i);

        ha_recent_set(recent, &sid, apr_time_from_sec(1700000000 + i));
        ck_assert_int_eq(ha_recent_get(recent, &sid),
                         apr_time_from_sec(1700000000 + (apr_time_t)i));
    }
}
END_TEST

START_TEST(what_one_process_notes_the_other_knows)
{
    ha_sid_t sid = sid_of(3, 4);
    int status = 0;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        ha_recent_set(recent, &sid, apr_time_from_sec(1700000000));
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(ha_recent_get(recent, &sid),
                     apr_time_from_sec(1700000000));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_recent");
    TCase *tcase = tcase_create("table");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_session_nobody_noted_is_not_known);
    tcase_add_test(tcase, a_noted_session_is_known_to_the_second);
    tcase_add_test(tcase, the_newer_of_two_sessions_of_one_slot_is_known);
    tcase_add_test(tcase, every_slot_can_be_used);
    tcase_add_test(tcase, what_one_process_notes_the_other_knows);
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
