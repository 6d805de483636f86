/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are down, nodes that do not answer, and who stands in. */
#include "ha_crew.h"

#include <check.h>

#include <apr_general.h>

#include "session_bench.h"

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

START_TEST(a_node_stands_in_while_an_owner_is_down)
{
    ha_session_t *session = ha_session_make(&bench->sid, pool);

    store_fake_set_up(fake, 0, 0);
    ck_assert_str_eq(bench_save(bench, session, "user=ada"),
                     "2/2, 1 stand-in");
    ck_assert_str_eq(store_fake_log(fake), "add@1 add@2");
    store_fake_set_up(fake, 0, 1);
    expect_load("hit user=ada");
    expect_nodes("user=ada", "user=ada", "user=ada");
}
END_TEST

START_TEST(a_node_stands_in_for_an_owner_that_does_not_answer)
{
    ha_session_t *session = bench_create(bench, "user=ada");

    store_fake_plan(fake, 1, "append:timeout");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"),
                     "2/2, 1 stand-in");
    ck_assert_str_eq(store_fake_log(fake), "append@0 append@1 | add@2");
    /* It had taken the record all the same: nothing tells it apart. */
    expect_nodes("basket=tea user=ada", "basket=tea user=ada",
                 "basket=tea user=ada");
}
END_TEST

START_TEST(one_owner_that_does_not_answer_needs_one_stand_in)
{
    ha_session_t *session;

    use_bench(6, 2);
    session = bench_create(bench, "user=ada");
    store_fake_plan(fake, 1, "append:timeout");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"),
                     "2/2, 1 stand-in");
    ck_assert_str_eq(store_fake_log(fake), "append@0 append@1 | add@2");
}
END_TEST

START_TEST(what_only_stand_ins_hold_is_found_by_owners_that_come_back_empty)
{
    ha_session_t *session;

    use_bench(4, 2);
    session = ha_session_make(&bench->sid, pool);
    bench->env.issued = bench->env.now;
    store_fake_set_up(fake, 0, 0);
    store_fake_set_up(fake, 1, 0);
    ck_assert_str_eq(bench_save(bench, session, "user=ada"),
                     "2/2, 2 stand-in");
    bench_pass(bench, 60);
    store_fake_restart(fake, 0);
    store_fake_restart(fake, 1);
    bench_pass(bench, 60);
    expect_load("hit user=ada");
    expect_nodes("user=ada", "user=ada", "user=ada");
}
END_TEST

START_TEST(a_node_that_is_silent_is_asked_once_in_a_request)
{
    ha_session_t *session = NULL;

    bench_create(bench, "user=ada");
    store_fake_plan(fake, 0, "get:timeout");
    ck_assert_str_eq(bench_load(bench, &session), "hit user=ada");
    store_fake_log(fake);
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"),
                     "2/2, 1 stand-in");
    ck_assert_ptr_null(strstr(store_fake_log(fake), "@0"));
    bench_touch(bench, session);
    ck_assert_ptr_null(strstr(store_fake_log(fake), "@0"));
    /* The next request asks it again, and it gets what it lacks. */
    expect_load("hit basket=tea user=ada");
    ck_assert_str_eq(bench_node(bench, 0), "basket=tea user=ada");
}
END_TEST

START_TEST(a_degraded_save_says_so)
{
    ha_session_t *session;

    use_bench(2, 2);
    session = bench_create(bench, "user=ada");
    store_fake_plan(fake, 1, "append:lost");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "1/2");
    ck_assert_uint_eq(ha_session_copies(session), 1);
    expect_load("hit basket=tea user=ada");
    ck_assert_str_eq(bench_node(bench, 1), "basket=tea user=ada");
}
END_TEST

START_TEST(a_save_that_nobody_took_changes_nothing_and_can_be_tried_again)
{
    ha_session_t *session;

    use_bench(2, 2);
    session = bench_create(bench, "user=ada");
    store_fake_plan(fake, 0, "append:lost");
    store_fake_plan(fake, 1, "append:down");
    ck_assert_str_eq(bench_save(bench, session, "user=eve"), "0/2");
    ck_assert_str_eq(bench_table(bench, session), "user=ada");
    ck_assert_str_eq(bench_save(bench, loaded(), "user=eve"), "2/2");
    expect_load("hit user=eve");
}
END_TEST

START_TEST(a_lost_answer_to_a_first_save_is_no_obstacle_to_the_next)
{
    ha_session_t *session;

    use_bench(2, 2);
    session = ha_session_make(&bench->sid, pool);
    store_fake_plan(fake, 0, "add:timeout");
    store_fake_plan(fake, 1, "add:timeout");
    ck_assert_str_eq(bench_save(bench, session, "user=ada"), "0/2");
    ck_assert(!ha_session_is_stored(session));
    session = ha_session_make(&bench->sid, pool);
    ck_assert_str_eq(bench_save(bench, session, "user=ada basket=tea"),
                     "2/2");
    expect_load("hit basket=tea user=ada");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_crew");
    TCase *tests = tcase_create("ha_crew");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_node_stands_in_while_an_owner_is_down);
    tcase_add_test(tests, a_node_stands_in_for_an_owner_that_does_not_answer);
    tcase_add_test(tests, one_owner_that_does_not_answer_needs_one_stand_in);
    tcase_add_test(
        tests,
        what_only_stand_ins_hold_is_found_by_owners_that_come_back_empty);
    tcase_add_test(tests, a_node_that_is_silent_is_asked_once_in_a_request);
    tcase_add_test(tests, a_degraded_save_says_so);
    tcase_add_test(
        tests, a_save_that_nobody_took_changes_nothing_and_can_be_tried_again);
    tcase_add_test(
        tests, a_lost_answer_to_a_first_save_is_no_obstacle_to_the_next);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
