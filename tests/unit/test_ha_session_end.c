/* SPDX-License-Identifier: Apache-2.0 */
/* Logging out is final, whatever comes late, back or between. */
#include "ha_session.h"

#include <check.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "session_bench.h"

static apr_pool_t *pool;
static bench_t *bench; /* four nodes, two owners */
static store_fake_t *fake;
static ha_session_t *session; /* user=ada, loaded before anything happens */

static void set_up(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    bench = bench_make(4, 2, pool);
    fake = bench->fake;
    session = bench_create(bench, "user=ada");
}

static void tear_down(void)
{
    store_fake_expect_played(fake);
    apr_pool_destroy(pool);
    apr_terminate();
}

static void expect_load(const char *wanted)
{
    ck_assert_str_eq(bench_load(bench, NULL), wanted);
}

/* A node comes back after it was cut off, with what it had then. */
static void come_back(unsigned int node)
{
    store_fake_set_up(fake, node, 1);
    store_fake_set_whole(fake, node, bench->env.now);
}

START_TEST(the_end_is_on_all_owners_and_is_all_they_hold)
{
    unsigned int node;

    ck_assert_str_eq(bench_end(bench, session), "2/2");
    ck_assert_str_eq(bench_table(bench, session), "");
    for (node = 0; node < 2; node++) {
        ck_assert_str_eq(bench_node(bench, node), "ended");
        /* What the user had in it is not kept for as long as the mark. */
        ck_assert_uint_eq(bench_records(bench, node), 1);
        ck_assert_uint_lt(store_fake_item(fake, node, bench->sid.key).len,
                          64);
    }
    expect_load("ended");
}
END_TEST

/* The append leaves an item's time to live alone; the end must not. */
START_TEST(the_end_is_remembered_for_a_time_to_live_of_its_own)
{
    bench_pass(bench, BENCH_TTL_SEC - 10);
    ck_assert_str_eq(bench_end(bench, session), "2/2");
    bench_pass(bench, BENCH_TTL_SEC - 10);
    ck_assert_str_eq(bench_node(bench, 0), "ended");
    ck_assert_str_eq(bench_node(bench, 1), "ended");
}
END_TEST

START_TEST(a_save_that_comes_late_is_refused)
{
    ha_session_t *late = NULL;

    bench_load(bench, &late);
    bench_end(bench, session);
    ck_assert_str_eq(bench_save(bench, late, "user=eve"), "2/2, refused");
    ck_assert_str_eq(bench_table(bench, late), "");
    expect_load("ended");
    /* And refused it stays for this request. */
    ck_assert_str_eq(bench_save(bench, late, "user=eve"), "2/2, refused");
    ck_assert_str_eq(bench_save(bench, session, "user=eve"), "2/2, refused");
    expect_load("ended");
}
END_TEST

START_TEST(a_record_that_comes_late_revives_nothing)
{
    span_t record = bench_record(bench, "user=eve");

    bench_end(bench, session);
    bench_pass(bench, 1);
    store_fake_append(fake, 0, bench->sid.key, record);
    store_fake_append(fake, 1, bench->sid.key, record);
    expect_load("ended");
}
END_TEST

START_TEST(a_clock_that_is_ahead_revives_nothing)
{
    ha_session_t *late = NULL;

    bench_load(bench, &late);
    bench_end(bench, session);
    bench_pass(bench, 600);
    ck_assert_str_eq(bench_save(bench, late, "user=eve"), "2/2, refused");
    bench_pass(bench, -600);
    expect_load("ended");
}
END_TEST

START_TEST(a_touch_that_comes_late_revives_nothing)
{
    ha_session_t *late = NULL;

    bench_load(bench, &late);
    bench_end(bench, session);
    bench_touch(bench, late);
    expect_load("ended");
}
END_TEST

/* One owner forgot the end: a late save or touch must look at the other one
 * before it plants the session there again. */
START_TEST(what_comes_late_plants_no_session_on_an_owner_that_forgot)
{
    ha_session_t *late = NULL;

    bench_load(bench, &late);
    bench_end(bench, session);
    store_fake_restart(fake, (unsigned int)_i % 2);
    if (_i < 2) {
        ck_assert_str_eq(bench_touch(bench, late), "2/2, refused");
    }
    else {
        ck_assert_str_eq(bench_save(bench, late, "user=eve"),
                         "2/2, refused");
    }
    ck_assert_str_eq(bench_node(bench, 0), "ended");
    ck_assert_str_eq(bench_node(bench, 1), "ended");
    expect_load("ended");
}
END_TEST

START_TEST(all_owners_forgot_and_a_stand_in_remembers)
{
    ha_session_t *late = NULL;

    bench_load(bench, &late);
    store_fake_set_up(fake, 0, 0);
    ck_assert_str_eq(bench_end(bench, session), "2/2, 1 stand-in");
    ck_assert_str_eq(bench_node(bench, 2), "ended");
    store_fake_restart(fake, 0);
    store_fake_restart(fake, 1);
    if (_i == 0) {
        expect_load("ended");
    }
    else if (_i == 1) {
        ck_assert_str_eq(bench_save(bench, late, "user=eve"),
                         "2/2, refused");
    }
    else {
        ck_assert_str_eq(bench_touch(bench, late), "2/2, refused");
    }
    ck_assert_str_eq(bench_node(bench, 0), "ended");
    ck_assert_str_eq(bench_node(bench, 1), "ended");
}
END_TEST

/* Node 0 was cut off while the user logged out; it comes back with what it
 * had, or with nothing. */
START_TEST(an_owner_that_comes_back_revives_nothing)
{
    store_fake_set_up(fake, 0, 0);
    ck_assert_str_eq(bench_end(bench, session), "2/2, 1 stand-in");
    bench_pass(bench, 60);
    if (_i == 0) {
        come_back(0);
        ck_assert_str_eq(bench_node(bench, 0), "user=ada");
    }
    else {
        store_fake_restart(fake, 0);
    }
    expect_load("ended");
    ck_assert_str_eq(bench_node(bench, 0), "ended");
}
END_TEST

START_TEST(an_owner_that_forgot_and_one_that_missed_the_end_revive_nothing)
{
    /* Node 0 is cut off and keeps the session; nodes 1 and 2 hold the end. */
    store_fake_set_up(fake, 0, 0);
    ck_assert_str_eq(bench_end(bench, session), "2/2, 1 stand-in");
    bench_pass(bench, 60);
    come_back(0);
    store_fake_restart(fake, 1);
    expect_load("ended");
    ck_assert_str_eq(bench_node(bench, 0), "ended");
    ck_assert_str_eq(bench_node(bench, 1), "ended");
}
END_TEST

/* As above, and this web server never noticed that node 0 was cut off from
 * the one where the user logged out: it takes node 0 for a good witness. But
 * node 1 has forgotten something, so what stood in for somebody is asked. */
START_TEST(a_witness_that_missed_the_end_is_not_believed_beside_a_young_one)
{
    store_fake_set_up(fake, 0, 0);
    ck_assert_str_eq(bench_end(bench, session), "2/2, 1 stand-in");
    bench_pass(bench, 60);
    store_fake_set_up(fake, 0, 1);
    store_fake_restart(fake, 1);
    expect_load("ended");
}
END_TEST

/* An owner was touched while the other was not, and is then cut off: the end
 * on the other one must outlive its copy. */
START_TEST(a_copy_that_was_renewed_does_not_outlive_the_end)
{
    bench_pass(bench, BENCH_TTL_SEC / 2);
    store_fake_plan(fake, 1, "touch:lost");
    bench_touch(bench, session);
    store_fake_set_up(fake, 0, 0);
    bench_pass(bench, BENCH_TTL_SEC / 4);
    bench_load(bench, &session);
    ck_assert_str_eq(bench_end(bench, session), "2/2, 1 stand-in");
    bench_pass(bench, BENCH_TTL_SEC / 4 + 10);
    store_fake_set_up(fake, 0, 1);
    ck_assert_str_eq(bench_node(bench, 0), "user=ada");
    expect_load("ended");
}
END_TEST

START_TEST(the_end_reaches_copies_that_stood_in_long_ago)
{
    store_fake_set_up(fake, 0, 0);
    bench_load(bench, &session);
    ck_assert_str_eq(bench_node(bench, 2), "user=ada");
    come_back(0);
    bench_end(bench, session);
    ck_assert_str_eq(bench_node(bench, 2), "ended");
    ck_assert_str_eq(bench_node(bench, 3), "nothing");
}
END_TEST

START_TEST(an_owner_that_lost_the_session_still_hears_of_its_end)
{
    store_fake_remove(fake, 0, bench->sid.key);
    ck_assert_str_eq(bench_end(bench, session), "2/2");
    ck_assert_str_eq(bench_node(bench, 0), "ended");
}
END_TEST

START_TEST(an_owner_that_is_full_still_hears_of_the_end)
{
    store_fake_plan(fake, 0, "append:full");
    ck_assert_str_eq(bench_end(bench, session), "2/2");
    ck_assert_str_eq(bench_node(bench, 0), "ended");
}
END_TEST

/* Between our read and our verb somebody logs out. */
static void end_it(void *ctx, store_fake_t *store, unsigned int node,
                   const char *key)
{
    const ha_stamp_t stamp = { 1, 1 };

    (void)ctx;
    store_fake_put(store, node, key,
                   ha_delta_encode_end(&bench->sid, stamp, NULL, pool));
}

START_TEST(no_verb_of_a_save_gets_past_an_end_that_is_a_moment_faster)
{
    static const char *const plans[] = {
        "append:raced", "append:full cas:raced", "append:forgot add:raced"
    };
    ha_session_t *late = NULL;

    bench_load(bench, &late);
    store_fake_rival(fake, end_it, NULL);
    store_fake_plan(fake, 0, plans[_i]);
    bench_save(bench, late, "user=eve");
    ck_assert_str_eq(bench_node(bench, 0), "ended");
    expect_load("ended");
}
END_TEST

START_TEST(a_first_save_finds_an_end_in_its_way)
{
    ha_session_t *again = ha_session_make(&bench->sid, pool);

    bench_end(bench, session);
    ck_assert_str_eq(bench_save(bench, again, "user=eve"), "2/2, refused");
    expect_load("ended");
}
END_TEST

START_TEST(an_end_that_nobody_heard_of_says_so)
{
    unsigned int node;

    for (node = 0; node < 4; node++) {
        store_fake_plan(fake, node, "append:lost");
    }
    ck_assert_str_eq(bench_end(bench, session), "0/2");
    ck_assert_str_eq(bench_table(bench, session), "");
}
END_TEST

START_TEST(two_ends_are_one)
{
    ha_session_t *other = NULL;

    bench_load(bench, &other);
    ck_assert_str_eq(bench_end(bench, session), "2/2");
    ck_assert_str_eq(bench_end(bench, other), "2/2");
    expect_load("ended");
    store_fake_log(fake);
    expect_load("ended");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_session_end");
    TCase *tests = tcase_create("ha_session_end");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_end_is_on_all_owners_and_is_all_they_hold);
    tcase_add_test(tests,
                   the_end_is_remembered_for_a_time_to_live_of_its_own);
    tcase_add_test(tests, a_save_that_comes_late_is_refused);
    tcase_add_test(tests, a_record_that_comes_late_revives_nothing);
    tcase_add_test(tests, a_clock_that_is_ahead_revives_nothing);
    tcase_add_test(tests, a_touch_that_comes_late_revives_nothing);
    tcase_add_loop_test(
        tests, what_comes_late_plants_no_session_on_an_owner_that_forgot, 0,
        4);
    tcase_add_loop_test(tests, all_owners_forgot_and_a_stand_in_remembers, 0,
                        3);
    tcase_add_loop_test(tests, an_owner_that_comes_back_revives_nothing, 0,
                        2);
    tcase_add_test(
        tests,
        an_owner_that_forgot_and_one_that_missed_the_end_revive_nothing);
    tcase_add_test(
        tests,
        a_witness_that_missed_the_end_is_not_believed_beside_a_young_one);
    tcase_add_test(tests, a_copy_that_was_renewed_does_not_outlive_the_end);
    tcase_add_test(tests, the_end_reaches_copies_that_stood_in_long_ago);
    tcase_add_test(tests,
                   an_owner_that_lost_the_session_still_hears_of_its_end);
    tcase_add_test(tests, an_owner_that_is_full_still_hears_of_the_end);
    tcase_add_loop_test(
        tests, no_verb_of_a_save_gets_past_an_end_that_is_a_moment_faster, 0,
        3);
    tcase_add_test(tests, a_first_save_finds_an_end_in_its_way);
    tcase_add_test(tests, an_end_that_nobody_heard_of_says_so);
    tcase_add_test(tests, two_ends_are_one);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
