/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol, and what it makes of forgotten and damaged items. Nodes that
 * do not answer have test_ha_crew.c, logging out has _end.c, and the
 * log has _log.c. */
#include "ha_session.h"

#include <check.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "session_bench.h"

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static apr_pool_t *pool;
static bench_t *bench; /* three nodes, two owners */
static store_fake_t *fake;

static void use_bench(unsigned int nodes, unsigned int replicas)
{
    bench = bench_make(nodes, replicas, pool);
    fake = bench->fake;
}

static void set_up(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    use_bench(3, 2);
}

static void tear_down(void)
{
    store_fake_expect_played(fake);
    apr_pool_destroy(pool);
    apr_terminate();
}

static void expect_nodes(const char *node0, const char *node1,
                         const char *node2)
{
    ck_assert_str_eq(bench_node(bench, 0), node0);
    ck_assert_str_eq(bench_node(bench, 1), node1);
    ck_assert_str_eq(bench_node(bench, 2), node2);
}

static void expect_load(const char *wanted)
{
    ck_assert_str_eq(bench_load(bench, NULL), wanted);
}

static ha_session_t *loaded(void)
{
    ha_session_t *session = NULL;

    ck_assert_int_eq(strncmp(bench_load(bench, &session), "hit", 3), 0);
    store_fake_log(fake);
    return session;
}

/* ---- nothing goes wrong ---- */

START_TEST(a_new_session_is_on_all_its_owners_after_one_round_trip)
{
    ha_session_t *session = ha_session_make(&bench->sid, pool);

    ck_assert(!ha_session_is_stored(session));
    ck_assert_int_eq(ha_session_access(session), 0);
    ck_assert_uint_eq(ha_session_copies(session), 0);
    ck_assert_str_eq(bench_save(bench, session, "user=ada"), "2/2");
    ck_assert_str_eq(store_fake_log(fake), "add@0 add@1");
    ck_assert(ha_session_is_stored(session));
    ck_assert_int_eq(ha_session_access(session), bench->env.now);
    ck_assert_uint_eq(ha_session_copies(session), 2);
    ck_assert_str_eq(bench_table(bench, session), "user=ada");
    expect_nodes("user=ada", "user=ada", "nothing");
}
END_TEST

START_TEST(a_session_is_read_from_all_its_owners_in_one_round_trip)
{
    ha_session_t *session = NULL;

    bench_create(bench, "user=ada basket=tea");
    ck_assert_str_eq(bench_load(bench, &session), "hit basket=tea user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1");
    ck_assert_uint_eq(ha_session_copies(session), 2);
    ck_assert_mem_eq(ha_session_sid(session), &bench->sid, sizeof(ha_sid_t));
}
END_TEST

START_TEST(a_change_is_one_record_to_each_owner_in_one_round_trip)
{
    ha_session_t *session = bench_create(bench, "user=ada pw=x");
    apr_size_t before = store_fake_item(fake, 0, bench->sid.key).len;

    ck_assert_str_eq(bench_save(bench, session, "basket=tea -pw"), "2/2");
    ck_assert_str_eq(store_fake_log(fake), "append@0 append@1");
    ck_assert_str_eq(bench_table(bench, session), "basket=tea user=ada");
    ck_assert_uint_lt(store_fake_item(fake, 0, bench->sid.key).len - before,
                      100);
    expect_load("hit basket=tea user=ada");
}
END_TEST

START_TEST(a_touch_renews_every_owner_and_carries_no_data)
{
    ha_session_t *session = bench_create(bench, "user=ada");
    span_t before = store_fake_item(fake, 0, bench->sid.key);
    unsigned int node;

    bench_pass(bench, 1000);
    ck_assert_str_eq(bench_touch(bench, session), "2/2");
    ck_assert_str_eq(store_fake_log(fake), "touch@0 touch@1");
    bench_pass(bench, 1000);
    expect_load("hit user=ada");
    for (node = 0; node < 2; node++) {
        ck_assert(span_is_equal(store_fake_item(fake, node, bench->sid.key),
                                before));
    }
    bench_pass(bench, 1000);
    expect_load("miss");
}
END_TEST

START_TEST(more_replicas_than_nodes_are_as_many_as_there_are)
{
    ha_session_t *session;

    use_bench(2, 5);
    session = ha_session_make(&bench->sid, pool);
    ck_assert_str_eq(bench_save(bench, session, "user=ada"), "2/2");
    use_bench(1, 1);
    session = ha_session_make(&bench->sid, pool);
    ck_assert_str_eq(bench_save(bench, session, "user=ada"), "1/1");
    expect_load("hit user=ada");
}
END_TEST

/* ---- P1: what W owners acknowledged survives the loss of W-1 of them ---- */

START_TEST(a_write_outlives_all_its_owners_but_one)
{
    unsigned int survivor = (unsigned int)_i % 3;
    int is_empty = _i >= 3; /* the lost ones come back without their data */
    unsigned int node;

    use_bench(5, 3);
    ck_assert_str_eq(bench_save(bench, bench_create(bench, "user=ada"),
                                "basket=tea"),
                     "3/3");
    for (node = 0; node < 3; node++) {
        if (node != survivor && is_empty) {
            store_fake_restart(fake, node);
        }
        else if (node != survivor) {
            store_fake_set_up(fake, node, 0);
        }
    }
    expect_load("hit basket=tea user=ada");
    /* And the next loss finds it on as many nodes as before. */
    store_fake_set_up(fake, survivor, 0);
    expect_load("hit basket=tea user=ada");
}
END_TEST

/* ---- P2: different attributes both win ---- */

START_TEST(two_requests_that_change_different_attributes_both_win)
{
    ha_session_t *one;
    ha_session_t *two;

    bench_create(bench, "user=ada basket=tea theme=dark");
    one = loaded();
    two = loaded();
    ck_assert_str_eq(bench_save(bench, one, "basket=pot -theme"), "2/2");
    ck_assert_str_eq(bench_save(bench, two, "user=eve lang=en"), "2/2");
    ck_assert_str_eq(bench_table(bench, two),
                     "basket=pot lang=en user=eve");
    expect_load("hit basket=pot lang=en user=eve");
    expect_nodes("basket=pot lang=en user=eve", "basket=pot lang=en user=eve",
                 "nothing");
}
END_TEST

START_TEST(of_two_writes_to_one_attribute_the_later_wins_everywhere)
{
    ha_session_t *one;
    ha_session_t *two;

    bench_create(bench, "user=ada");
    one = loaded();
    two = loaded();
    /* They reach the nodes in different orders. */
    store_fake_plan(fake, 1, "append:lost");
    bench_save(bench, one, "user=first");
    bench_save(bench, two, "user=second");
    expect_load("hit user=second");
    expect_nodes("user=second", "user=second", "user=first");
}
END_TEST

/* HLC: the right clock writes after it has seen what the wrong one wrote. */
START_TEST(a_clock_that_is_ahead_does_not_win_against_what_came_later)
{
    ha_session_t *session;

    bench_create(bench, "user=ada");
    bench_pass(bench, 600);
    bench_save(bench, loaded(), "user=future");
    bench_pass(bench, -600);
    session = loaded();
    ck_assert_str_eq(bench_save(bench, session, "user=now"), "2/2");
    expect_load("hit user=now");
}
END_TEST

/* A rival appends between the load and our verb; ctx is its record. */
static void append_record(void *ctx, store_fake_t *store, unsigned int node,
                          const char *key)
{
    const span_t *record = ctx;

    store_fake_append(store, node, key, *record);
}

START_TEST(a_record_that_comes_first_is_seen_by_the_one_that_comes_second)
{
    ha_session_t *session = bench_create(bench, "user=ada");
    span_t record = bench_record(bench, "rival=1");

    store_fake_rival(fake, append_record, &record);
    store_fake_plan(fake, 0, "append:raced");
    store_fake_plan(fake, 1, "append:raced");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "2/2");
    ck_assert_str_eq(bench_table(bench, session),
                     "basket=tea rival=1 user=ada");
}
END_TEST

/* ---- P4: three answers, and UNKNOWN is never a stranger ---- */

typedef struct row_t {
    const char *plans[3];
    int up[3];
    int young[3]; /* restarted a minute ago; only then a MISS is doubtful */
    const char *load;
} row_t;

#define ALL_UP { 1, 1, 1 }
#define ALL_OLD { 0, 0, 0 }

/* Loads of a session that is nowhere. */
static const row_t absences[] = {
    { { "", "", "" }, ALL_UP, ALL_OLD, "miss" },
    { { "get:timeout", "", "" }, ALL_UP, ALL_OLD, "miss" },
    { { "", "get:timeout", "" }, ALL_UP, ALL_OLD, "miss" },
    { { "", "", "" }, { 0, 1, 1 }, ALL_OLD, "miss" },
    { { "", "", "" }, ALL_UP, { 1, 0, 0 }, "miss" },
    { { "", "", "" }, { 0, 1, 1 }, { 0, 1, 0 }, "unknown" },
    { { "", "", "" }, { 1, 0, 1 }, { 1, 0, 0 }, "unknown" },
    { { "get:timeout", "", "" }, ALL_UP, { 0, 1, 0 }, "unknown" },
    { { "", "", "get:lost" }, ALL_UP, { 1, 1, 1 }, "unknown" },
    { { "", "", "" }, ALL_UP, { 1, 1, 1 }, "miss" },
    { { "", "", "" }, ALL_UP, { 1, 1, 0 }, "miss" },
    { { "", "", "" }, { 0, 0, 1 }, ALL_OLD, "unknown" },
    { { "get:down", "get:down", "" }, ALL_UP, ALL_OLD, "unknown" },
    { { "", "", "" }, { 0, 0, 0 }, ALL_OLD, "unknown" },
    { { "get:timeout", "get:timeout", "get:timeout" }, ALL_UP, ALL_OLD,
      "unknown" },
};

static void arrange(const row_t *row)
{
    unsigned int node;

    for (node = 0; node < 3; node++) {
        store_fake_plan(fake, node, row->plans[node]);
        store_fake_set_up(fake, node, row->up[node]);
        if (row->young[node]) {
            store_fake_set_whole(fake, node,
                                 bench->env.now - apr_time_from_sec(60));
        }
    }
}

START_TEST(an_absence_is_believed_from_one_that_would_know_or_from_all)
{
    bench->env.issued = bench->env.now - apr_time_from_sec(900);
    arrange(&absences[_i]);
    expect_load(absences[_i].load);
    expect_nodes("nothing", "nothing", "nothing");
}
END_TEST

/* Loads of a session that the owners should have. */
static const row_t presences[] = {
    { { "get:timeout", "", "add:ok" }, ALL_UP, ALL_OLD, "hit user=ada" },
    { { "get:timeout", "get:lost", "" }, ALL_UP, ALL_OLD, "unknown" },
    { { "", "", "" }, { 0, 0, 1 }, ALL_OLD, "unknown" },
    { { "get:forgot", "", "" }, ALL_UP, { 1, 0, 0 }, "hit user=ada" },
    { { "get:forgot", "get:timeout", "" }, ALL_UP, { 1, 0, 0 }, "unknown" },
    { { "get:garbage", "get:timeout", "" }, ALL_UP, ALL_OLD, "unknown" },
    { { "get:garbage", "", "" }, ALL_UP, ALL_OLD, "hit user=ada" },
};

START_TEST(a_session_that_cannot_be_asked_for_is_not_missed)
{
    bench_create(bench, "user=ada");
    bench_pass(bench, 900);
    if (_i == 0) {
        store_fake_plan(fake, 2, "get:ok");
    }
    arrange(&presences[_i]);
    expect_load(presences[_i].load);
}
END_TEST

START_TEST(a_young_node_knows_of_sessions_that_began_after_it)
{
    bench_pass(bench, 900);
    store_fake_restart(fake, 0);
    store_fake_set_up(fake, 1, 0);
    bench_pass(bench, 10);
    bench->env.issued = bench->env.now;
    bench_pass(bench, 10);
    expect_load("miss");
    bench->env.issued = 0;
    expect_load("unknown");
}
END_TEST

START_TEST(a_node_that_nobody_has_watched_is_no_witness)
{
    store_fake_set_whole(fake, 0, 0);
    store_fake_set_up(fake, 1, 0);
    expect_load("unknown");
}
END_TEST

START_TEST(a_young_node_is_a_witness_after_a_time_to_live)
{
    store_fake_restart(fake, 0);
    store_fake_set_up(fake, 1, 0);
    bench_pass(bench, BENCH_TTL_SEC - 1);
    expect_load("unknown");
    bench_pass(bench, 2);
    expect_load("miss");
}
END_TEST

START_TEST(a_value_of_another_session_is_nobody_s_session)
{
    ha_sid_t other;
    ha_op_t op = { { "user", 4 }, { "eve", 3 }, 0 };
    ha_change_t change = { { 1, 1 }, 1, &op, 1 };

    store_fake_sid(&other, fake, 2, 99);
    store_fake_put(fake, 0, bench->sid.key,
                   ha_delta_encode(&other, &change, NULL, pool));
    store_fake_put(fake, 1, bench->sid.key,
                   ha_delta_encode(&other, &change, NULL, pool));
    expect_load("miss");
    bench_create(bench, "user=ada");
    expect_load("hit user=ada");
}
END_TEST

/* ---- repair ---- */

START_TEST(an_owner_that_lost_the_session_gets_it_back_when_it_is_read)
{
    bench_create(bench, "user=ada");
    store_fake_remove(fake, 1, bench->sid.key);
    expect_load("hit user=ada");
    ck_assert_ptr_nonnull(strstr(store_fake_log(fake), "add@1"));
    expect_nodes("user=ada", "user=ada", "nothing");
}
END_TEST

START_TEST(what_is_repaired_lives_no_longer_than_the_session)
{
    bench_create(bench, "user=ada");
    store_fake_remove(fake, 1, bench->sid.key);
    bench->env.past_sec = 100 * BENCH_TTL_SEC;
    expect_load("hit user=ada");
    ck_assert_int_eq(store_fake_expiry(fake, 1, bench->sid.key),
                     store_fake_expiry(fake, 0, bench->sid.key));
}
END_TEST

START_TEST(an_end_is_remembered_for_longer_than_any_copy_lives)
{
    ha_session_t *session = bench_create(bench, "user=ada");
    apr_time_t copy = store_fake_expiry(fake, 0, bench->sid.key);

    bench->env.past_sec = 100 * BENCH_TTL_SEC;
    ck_assert_str_eq(bench_end(bench, session), "2/2");
    ck_assert_int_ge(store_fake_expiry(fake, 0, bench->sid.key),
                     copy + apr_time_from_sec(99 * BENCH_TTL_SEC));
    ck_assert_int_ge(store_fake_expiry(fake, 1, bench->sid.key),
                     copy + apr_time_from_sec(99 * BENCH_TTL_SEC));
}
END_TEST

START_TEST(owners_that_know_different_things_all_get_to_know_them)
{
    bench_create(bench, "user=ada");
    store_fake_append(fake, 0, bench->sid.key, bench_record(bench, "a=1"));
    store_fake_append(fake, 1, bench->sid.key, bench_record(bench, "b=2"));
    expect_load("hit a=1 b=2 user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1 | cas@0 cas@1");
    expect_nodes("a=1 b=2 user=ada", "a=1 b=2 user=ada", "nothing");
}
END_TEST

START_TEST(an_owner_that_lost_the_session_gets_all_of_it_when_it_is_saved)
{
    ha_session_t *session = bench_create(bench, "user=ada");

    store_fake_plan(fake, 1, "append:forgot add:ok");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "2/2");
    expect_nodes("basket=tea user=ada", "basket=tea user=ada", "nothing");
}
END_TEST

START_TEST(a_touch_repairs_an_owner_that_lost_the_session)
{
    ha_session_t *session = bench_create(bench, "user=ada");

    store_fake_remove(fake, 0, bench->sid.key);
    ck_assert_str_eq(bench_touch(bench, session), "2/2");
    expect_nodes("user=ada", "user=ada", "nothing");
}
END_TEST

/* Every byte of one owner's log, damaged in turn: nobody is the worse. */
START_TEST(no_damaged_byte_on_one_owner_loses_anything)
{
    span_t good;
    apr_size_t at;

    bench_save(bench, bench_create(bench, "user=ada"), "basket=tea");
    good = store_fake_item(fake, 0, bench->sid.key);
    for (at = 0; at < good.len; at++) {
        char *bad = apr_pmemdup(pool, good.data, good.len);
        ha_session_t *session = NULL;

        bad[at] = (char)(bad[at] ^ 0x10);
        store_fake_put(fake, 0, bench->sid.key, span_of(bad, good.len));
        ck_assert_str_eq(bench_load(bench, &session),
                         "hit basket=tea user=ada");
        ck_assert_str_ne(bench_save(bench, session, "basket=tea"), "0/2");
        expect_load("hit basket=tea user=ada");
        ck_assert_str_eq(bench_node(bench, 0), "basket=tea user=ada");
    }
}
END_TEST

START_TEST(a_torn_record_costs_one_write_on_one_owner_and_nothing_else)
{
    ha_session_t *session = bench_create(bench, "user=ada");
    span_t record = bench_record(bench, "half=1");

    store_fake_append(fake, 0, bench->sid.key,
                      span_of(record.data, record.len - 1));
    ck_assert_str_eq(bench_node(bench, 0), "damaged");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "2/2");
    expect_nodes("basket=tea user=ada", "basket=tea user=ada", "nothing");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_session");
    TCase *tests = tcase_create("ha_session");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(
        tests, a_new_session_is_on_all_its_owners_after_one_round_trip);
    tcase_add_test(
        tests, a_session_is_read_from_all_its_owners_in_one_round_trip);
    tcase_add_test(
        tests, a_change_is_one_record_to_each_owner_in_one_round_trip);
    tcase_add_test(tests, a_touch_renews_every_owner_and_carries_no_data);
    tcase_add_test(tests,
                   more_replicas_than_nodes_are_as_many_as_there_are);
    tcase_add_loop_test(tests, a_write_outlives_all_its_owners_but_one, 0, 6);
    tcase_add_test(tests,
                   two_requests_that_change_different_attributes_both_win);
    tcase_add_test(
        tests, of_two_writes_to_one_attribute_the_later_wins_everywhere);
    tcase_add_test(
        tests, a_clock_that_is_ahead_does_not_win_against_what_came_later);
    tcase_add_test(
        tests, a_record_that_comes_first_is_seen_by_the_one_that_comes_second);
    tcase_add_loop_test(
        tests, an_absence_is_believed_from_one_that_would_know_or_from_all, 0,
        LENGTH_OF(absences));
    tcase_add_loop_test(tests,
                        a_session_that_cannot_be_asked_for_is_not_missed, 0,
                        LENGTH_OF(presences));
    tcase_add_test(tests,
                   a_young_node_knows_of_sessions_that_began_after_it);
    tcase_add_test(tests, a_node_that_nobody_has_watched_is_no_witness);
    tcase_add_test(tests, a_young_node_is_a_witness_after_a_time_to_live);
    tcase_add_test(tests, a_value_of_another_session_is_nobody_s_session);
    tcase_add_test(
        tests, an_owner_that_lost_the_session_gets_it_back_when_it_is_read);
    tcase_add_test(tests,
                   owners_that_know_different_things_all_get_to_know_them);
    tcase_add_test(
        tests, an_owner_that_lost_the_session_gets_all_of_it_when_it_is_saved);
    tcase_add_test(tests, a_touch_repairs_an_owner_that_lost_the_session);
    tcase_add_test(tests, what_is_repaired_lives_no_longer_than_the_session);
    tcase_add_test(tests, an_end_is_remembered_for_longer_than_any_copy_lives);
    tcase_add_test(tests, no_damaged_byte_on_one_owner_loses_anything);
    tcase_add_test(
        tests, a_torn_record_costs_one_write_on_one_owner_and_nothing_else);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
