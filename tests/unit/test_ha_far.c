/* SPDX-License-Identifier: Apache-2.0 */
/* Two zones of two nodes: what is not waited for, and how it gets there. */
#include "ha_far.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>

#include "session_bench.h"

/* Nodes 0 and 1 own the session, 2 and 3 stand in; 0 and 2 are east. */
#define EAST0 0
#define WEST0 1
#define EAST1 2
#define WEST1 3

static apr_pool_t *pool;
static bench_t *bench;
static store_fake_t *fake;

static void set_up(void)
{
    unsigned int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    bench = bench_make(4, 2, pool);
    fake = bench->fake;
    for (i = 0; i < 4; i++) {
        store_fake_set_zone(fake, i, i % 2 == 0 ? "east" : "west");
    }
    bench->env.zone = span_of_text("east");
}

static void tear_down(void)
{
    store_fake_expect_played(fake);
    apr_pool_destroy(pool);
    apr_terminate();
}

/* A session that all its owners hold, used by a server that waits for east. */
static ha_session_t *begin(void)
{
    ha_session_t *session = bench_create(bench, "user=ada");

    bench->env.far_later = 1;
    bench->env.near_first = 1;
    return session;
}

static void expect_nodes(const char *east0, const char *west0,
                         const char *east1, const char *west1)
{
    ck_assert_str_eq(bench_node(bench, EAST0), east0);
    ck_assert_str_eq(bench_node(bench, WEST0), west0);
    ck_assert_str_eq(bench_node(bench, EAST1), east1);
    ck_assert_str_eq(bench_node(bench, WEST1), west1);
}

/* Bring what the last operation left undone. */
static ha_brought_t bring(void)
{
    ha_bundle_t bundle;
    ha_brought_t brought;

    bundle.nodes = bench->saved.missed;
    bundle.records = bench->saved.records;
    bundle.is_whole = bench->saved.is_whole;
    bundle.is_touch = 0;
    store_fake_log(fake);
    ha_far_bring(&brought, &bench->env, &bench->sid, &bundle, pool);
    return brought;
}

static void expect_brought(apr_uint64_t done, apr_uint64_t silent)
{
    ha_brought_t brought = bring();

    ck_assert_uint_eq(brought.done, done);
    ck_assert_uint_eq(brought.silent, silent);
}

#define BIT(node) ((apr_uint64_t)1 << (node))

/* ---- save ---------------------------------------------------------------- */

START_TEST(a_save_waits_for_this_zone_alone)
{
    ha_session_t *session = begin();

    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "1/2");
    ck_assert_str_eq(store_fake_log(fake), "append@0");
    ck_assert_uint_eq(bench->saved.put_off, 1);
    ck_assert_uint_eq(bench->saved.missed, BIT(WEST0));
    expect_nodes("basket=tea user=ada", "user=ada", "nothing", "nothing");
    expect_brought(BIT(WEST0), 0);
    ck_assert_str_eq(store_fake_log(fake), "append@1");
    expect_nodes("basket=tea user=ada", "basket=tea user=ada", "nothing",
                 "nothing");
}
END_TEST

START_TEST(with_sync_a_save_waits_for_all)
{
    ha_session_t *session = begin();

    bench->env.far_later = 0;
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "2/2");
    ck_assert_str_eq(store_fake_log(fake), "append@0 append@1");
    ck_assert_uint_eq(bench->saved.missed, 0);
}
END_TEST

START_TEST(so_many_copies_are_waited_for_as_a_save_needs)
{
    ha_session_t *session = begin();

    bench->env.acks = 2;
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "2/2");
    ck_assert_uint_eq(bench->saved.put_off, 0);
    bench->env.acks = 1;
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "1/2");
    ck_assert_uint_eq(bench->saved.put_off, 1);
}
END_TEST

START_TEST(a_new_session_is_brought_whole)
{
    ha_session_t *session;

    bench->env.far_later = 1;
    session = ha_session_make(&bench->sid, pool);
    ck_assert_str_eq(bench_save(bench, session, "user=ada"), "1/2");
    ck_assert_int_eq(bench->saved.is_whole, 1);
    expect_brought(BIT(WEST0), 0);
    expect_nodes("user=ada", "user=ada", "nothing", "nothing");
}
END_TEST

START_TEST(without_a_node_in_this_zone_a_save_waits_for_all)
{
    ha_session_t *session = begin();

    bench->env.zone = span_of_text("south");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "2/2");
    ck_assert_uint_eq(bench->saved.put_off, 0);
}
END_TEST

START_TEST(a_node_of_this_zone_stands_in_first)
{
    ha_session_t *session = begin();

    store_fake_plan(fake, EAST0, "append:down");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"),
                     "1/2, 1 stand-in");
    ck_assert_str_eq(store_fake_log(fake), "append@0 | get@1 get@2 get@3 | "
                     "add@2");
    ck_assert_uint_eq(bench->saved.missed, BIT(EAST0) | BIT(WEST0));
    expect_brought(BIT(EAST0) | BIT(WEST0), 0);
    expect_nodes("basket=tea user=ada", "basket=tea user=ada",
                 "basket=tea user=ada", "nothing");
}
END_TEST

START_TEST(what_was_put_off_is_waited_for_when_this_zone_is_silent)
{
    ha_session_t *session = begin();

    store_fake_plan(fake, EAST0, "append:down");
    store_fake_plan(fake, EAST1, "get:down");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "1/2");
    ck_assert_uint_eq(bench->saved.put_off, 0);
    expect_nodes("user=ada", "basket=tea user=ada", "nothing", "nothing");
}
END_TEST

START_TEST(a_dead_far_zone_has_stand_ins_here_and_gets_its_records_later)
{
    ha_session_t *session = begin();

    store_fake_set_up(fake, WEST0, 0);
    store_fake_set_up(fake, WEST1, 0);
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"),
                     "2/2, 1 stand-in");
    ck_assert_uint_eq(bench->saved.missed, BIT(WEST0));
    expect_brought(0, 0);
    store_fake_restart(fake, WEST0);
    expect_brought(BIT(WEST0), 0);
    expect_nodes("basket=tea user=ada", "basket=tea user=ada",
                 "basket=tea user=ada", "nothing");
}
END_TEST

START_TEST(a_touch_waits_for_this_zone_alone)
{
    ha_session_t *session = begin();

    ck_assert_str_eq(bench_touch(bench, session), "1/2");
    ck_assert_str_eq(store_fake_log(fake), "touch@0");
    ck_assert_uint_eq(bench->saved.missed, BIT(WEST0));
}
END_TEST

START_TEST(an_end_goes_to_everybody_at_once)
{
    ha_session_t *session = begin();

    store_fake_plan(fake, WEST0, "append:down");
    bench_end(bench, session);
    ck_assert_uint_eq(bench->saved.missed, BIT(WEST0));
    expect_nodes("ended", "user=ada", "ended", "nothing");
    expect_brought(BIT(WEST0), 0);
    ck_assert_str_eq(bench_node(bench, WEST0), "ended");
}
END_TEST

/* ---- load ---------------------------------------------------------------- */

static void expect_load(const char *wanted, const char *log, int is_near)
{
    ha_session_t *session;

    ck_assert_str_eq(bench_load(bench, &session), wanted);
    ck_assert_str_eq(store_fake_log(fake), log);
    if (session != NULL) {
        ck_assert_int_eq(ha_session_is_near(session), is_near);
        ck_assert_uint_eq(ha_session_copies(session), is_near ? 1 : 2);
    }
}

START_TEST(a_load_believes_this_zone_when_it_knows)
{
    begin();
    expect_load("hit user=ada", "get@0", 1);
    bench->env.near_first = 0;
    expect_load("hit user=ada", "get@0 get@1", 0);
}
END_TEST

START_TEST(a_load_asks_on_when_the_near_owner_may_have_missed_something)
{
    begin();
    store_fake_set_whole(fake, EAST0, bench->env.now);
    expect_load("hit user=ada", "get@0 | get@1", 0);
}
END_TEST

START_TEST(a_load_asks_on_when_the_near_owner_lost_the_session)
{
    begin();
    store_fake_remove(fake, EAST0, bench->sid.key);
    expect_load("hit user=ada", "get@0 | get@1 | add@0", 0);
}
END_TEST

START_TEST(a_load_asks_all_when_the_near_owner_is_down)
{
    begin();
    store_fake_set_up(fake, EAST0, 0);
    expect_load("hit user=ada", "get@1 get@2 | add@2", 0);
}
END_TEST

START_TEST(an_end_in_this_zone_is_enough)
{
    ha_session_t *session = begin();

    bench_end(bench, session);
    store_fake_log(fake);
    store_fake_set_whole(fake, EAST0, bench->env.now);
    expect_load("ended", "get@0", 1);
}
END_TEST

/* ---- bring --------------------------------------------------------------- */

START_TEST(records_alone_make_no_session)
{
    ha_session_t *session = begin();

    bench_save(bench, session, "basket=tea");
    store_fake_restart(fake, WEST0);
    store_fake_set_up(fake, EAST0, 0);
    store_fake_set_up(fake, EAST1, 0);
    expect_brought(0, 0);
    ck_assert_str_eq(bench_node(bench, WEST0), "nothing");
    store_fake_set_up(fake, EAST0, 1);
    store_fake_set_up(fake, EAST1, 1);
    expect_brought(BIT(WEST0), 0);
    ck_assert_str_eq(bench_node(bench, WEST0), "basket=tea user=ada");
}
END_TEST

START_TEST(records_of_a_session_that_is_nowhere_are_done_with)
{
    ha_session_t *session = begin();
    unsigned int i;

    bench_save(bench, session, "basket=tea");
    for (i = 0; i < 4; i++) {
        store_fake_restart(fake, i);
    }
    expect_brought(BIT(WEST0), 0);
    expect_nodes("nothing", "nothing", "nothing", "nothing");
}
END_TEST

START_TEST(a_late_record_revives_nobody)
{
    ha_session_t *session = begin();
    ha_saved_t saved;

    bench_save(bench, session, "basket=tea");
    saved = bench->saved;
    bench_end(bench, session);
    store_fake_restart(fake, WEST0);
    bench->saved = saved;
    bench->saved.is_whole = _i;
    expect_brought(BIT(WEST0), 0);
    ck_assert_str_eq(bench_node(bench, WEST0), "ended");
}
END_TEST

START_TEST(a_silent_node_is_told_apart_from_one_that_is_done)
{
    ha_session_t *session = begin();

    bench_save(bench, session, "basket=tea");
    bench->saved.missed |= BIT(EAST1);
    store_fake_plan(fake, WEST0, "append:lost");
    expect_brought(BIT(EAST1), BIT(WEST0));
    expect_nodes("basket=tea user=ada", "user=ada", "basket=tea user=ada",
                 "nothing");
    store_fake_plan(fake, WEST0, "append:timeout");
    bench->saved.missed = BIT(WEST0);
    expect_brought(0, BIT(WEST0));
    expect_brought(BIT(WEST0), 0);
    ck_assert_str_eq(bench_node(bench, WEST0), "basket=tea user=ada");
}
END_TEST

START_TEST(without_records_a_node_gets_what_the_others_hold)
{
    begin();
    store_fake_restart(fake, WEST0);
    bench->saved.missed = BIT(WEST0);
    bench->saved.records = span_of(NULL, 0);
    expect_brought(BIT(WEST0), 0);
    expect_nodes("user=ada", "user=ada", "nothing", "nothing");
}
END_TEST

START_TEST(a_touch_is_brought_too)
{
    ha_session_t *session = begin();
    ha_bundle_t bundle = { BIT(WEST0), { NULL, 0 }, 0, 1 };
    ha_brought_t brought;

    bench_pass(bench, BENCH_TTL_SEC / 2);
    bench_touch(bench, session);
    ha_far_bring(&brought, &bench->env, &bench->sid, &bundle, pool);
    ck_assert_uint_eq(brought.done, BIT(WEST0));
    bench_pass(bench, BENCH_TTL_SEC / 2 + 1);
    expect_nodes("user=ada", "user=ada", "nothing", "nothing");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_far");
    TCase *save = tcase_create("save");
    TCase *load = tcase_create("load");
    TCase *brought = tcase_create("bring");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(save, set_up, tear_down);
    tcase_add_test(save, a_save_waits_for_this_zone_alone);
    tcase_add_test(save, with_sync_a_save_waits_for_all);
    tcase_add_test(save, so_many_copies_are_waited_for_as_a_save_needs);
    tcase_add_test(save, a_new_session_is_brought_whole);
    tcase_add_test(save, without_a_node_in_this_zone_a_save_waits_for_all);
    tcase_add_test(save, a_node_of_this_zone_stands_in_first);
    tcase_add_test(save,
                   what_was_put_off_is_waited_for_when_this_zone_is_silent);
    tcase_add_test(
        save, a_dead_far_zone_has_stand_ins_here_and_gets_its_records_later);
    tcase_add_test(save, a_touch_waits_for_this_zone_alone);
    tcase_add_test(save, an_end_goes_to_everybody_at_once);
    suite_add_tcase(suite, save);
    tcase_add_checked_fixture(load, set_up, tear_down);
    tcase_add_test(load, a_load_believes_this_zone_when_it_knows);
    tcase_add_test(
        load, a_load_asks_on_when_the_near_owner_may_have_missed_something);
    tcase_add_test(load,
                   a_load_asks_on_when_the_near_owner_lost_the_session);
    tcase_add_test(load, a_load_asks_all_when_the_near_owner_is_down);
    tcase_add_test(load, an_end_in_this_zone_is_enough);
    suite_add_tcase(suite, load);
    tcase_add_checked_fixture(brought, set_up, tear_down);
    tcase_add_test(brought, records_alone_make_no_session);
    tcase_add_test(brought,
                   records_of_a_session_that_is_nowhere_are_done_with);
    tcase_add_loop_test(brought, a_late_record_revives_nobody, 0, 2);
    tcase_add_test(brought, a_silent_node_is_told_apart_from_one_that_is_done);
    tcase_add_test(brought, without_records_a_node_gets_what_the_others_hold);
    tcase_add_test(brought, a_touch_is_brought_too);
    suite_add_tcase(suite, brought);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
