/* SPDX-License-Identifier: Apache-2.0 */
/* Rotation: who holds the new id has all, who holds the old one what was. */
#include "ha_rotate.h"

#include <stdlib.h>

#include <check.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "session_bench.h"

#define GRACE apr_time_from_sec(10)

static apr_pool_t *pool;
static bench_t *bench; /* four nodes, two owners */
static store_fake_t *fake;
static ha_session_t *session; /* cart=1 user=-, loaded by whoever rotates */
static ha_sid_t new_sid;

static void set_up(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    bench = bench_make(4, 2, pool);
    fake = bench->fake;
    store_fake_sid(&new_sid, fake, 2, 1);
    session = bench_create(bench, "cart=1");
}

static void tear_down(void)
{
    store_fake_expect_played(fake);
    apr_pool_destroy(pool);
    apr_terminate();
}

static const ha_session_env_t *next_env(void)
{
    bench->env.now += 1000;
    bench->env.writer += 1;
    return &bench->env;
}

static ha_op_t op_of(const char *name, const char *value)
{
    ha_op_t op = { span_of_text(name), span_of_text(value), 0 };

    return op;
}

static ha_forward_t forward_to(const ha_sid_t *sid, apr_time_t grace)
{
    ha_forward_t forward;

    memset(&forward, 0, sizeof(forward));
    forward.until = grace > 0 ? bench->env.now + grace : 0;
    forward.issued_sec = (apr_uint32_t)apr_time_sec(bench->env.now);
    memcpy(forward.id, sid->bytes, HA_SID_BYTES);
    return forward;
}

/* Log somebody in: user=<who> under a new id, for whoever holds from. */
static ha_rotate_e log_in(ha_session_t **fresh, ha_session_t *from,
                          const ha_sid_t *sid, const char *who)
{
    ha_forward_t forward = forward_to(sid, GRACE);
    ha_op_t op = op_of("user", who);
    ha_saved_t saved;
    ha_saved_t left;

    *fresh = ha_rotate_copy(from, NULL, sid, pool);
    return ha_rotate_session(*fresh, from, &forward, &saved, &left,
                             next_env(), &op, 1);
}

static const char *load(const ha_sid_t *sid, ha_session_t **found)
{
    ha_load_e result = ha_session_load(found, next_env(), sid, pool);

    return result == HA_LOAD_HIT
           ? apr_pstrcat(pool, "hit ", bench_table(bench, *found), NULL)
           : ha_load_name(result);
}

static void expect_new(const char *wanted)
{
    ha_session_t *found;

    ck_assert_str_eq(load(&new_sid, &found), wanted);
}

static const char *table_of(const ha_late_t *late)
{
    apr_table_t *table = ha_late_table(late, pool);
    const char *cart = apr_table_get(table, "cart");
    const char *user = apr_table_get(table, "user");
    const char *more = apr_table_get(table, "more");

    return apr_psprintf(pool, "cart=%s user=%s more=%s",
                        cart != NULL ? cart : "-", user != NULL ? user : "-",
                        more != NULL ? more : "-");
}

/* Come with the old id, as a request does: load, and follow. */
static ha_load_e come_late(ha_late_t *late)
{
    ha_session_t *old;

    ck_assert_str_eq(load(&bench->sid, &old), "moved");
    return ha_late_follow(late, old, bench->env.now, next_env(), pool);
}

static void save_late(ha_late_t *late, const char *name, const char *value,
                      int is_refused)
{
    ha_op_t op = op_of(name, value);
    ha_saved_t saved;

    ha_late_save(late, &saved, next_env(), &op, 1);
    ck_assert_int_eq(saved.refused, is_refused);
    ck_assert_uint_eq(saved.copies, is_refused ? 0 : 2);
}

START_TEST(the_new_id_has_all_and_the_old_one_has_ended)
{
    ha_session_t *fresh;

    ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    ck_assert_str_eq(bench_table(bench, fresh), "cart=1 user=ada");
    expect_new("hit cart=1 user=ada");
    ck_assert_str_eq(bench_node(bench, 0), "ended");
    ck_assert_str_eq(bench_node(bench, 1), "ended");
    ck_assert_str_eq(bench_load(bench, NULL), "moved");
}
END_TEST

/* The attacker who planted the id sees nothing of the login, and what he
 * writes stands behind it. */
START_TEST(the_old_id_sees_and_writes_what_was_before)
{
    ha_session_t *fresh;
    ha_late_t late;

    ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    bench_save(bench, fresh, "more=secret");
    ck_assert_int_eq(come_late(&late), HA_LOAD_HIT);
    ck_assert_str_eq(table_of(&late), "cart=1 user=- more=-");
    bench_pass(bench, 5);
    save_late(&late, "user", "eve", 0);
    save_late(&late, "more", "eve's", 0);
    save_late(&late, "cart", "2", 0);
    expect_new("hit cart=2 more=secret user=ada");
    ck_assert_int_eq(come_late(&late), HA_LOAD_HIT);
    ck_assert_str_eq(table_of(&late), "cart=2 user=- more=-");
}
END_TEST

/* Late writes stay in order among themselves. */
START_TEST(a_late_write_wins_over_those_it_has_seen)
{
    ha_session_t *fresh;
    ha_late_t late;
    int i;

    ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    for (i = 0; i < 20; i++) {
        const char *value = apr_itoa(pool, i);

        ck_assert_int_eq(come_late(&late), HA_LOAD_HIT);
        /* A writer's number decides nothing. */
        bench->env.writer = 1000 - (apr_uint64_t)i * 10;
        save_late(&late, "cart", value, 0);
        ck_assert_int_eq(come_late(&late), HA_LOAD_HIT);
        ck_assert_str_eq(apr_table_get(ha_late_table(&late, pool), "cart"),
                         value);
    }
}
END_TEST

START_TEST(the_old_id_leads_nowhere_when_its_grace_is_over)
{
    ha_session_t *fresh;
    ha_late_t late;

    ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    bench_pass(bench, 9);
    ck_assert_int_eq(come_late(&late), HA_LOAD_HIT);
    bench_pass(bench, 2);
    ck_assert_int_eq(come_late(&late), HA_LOAD_ENDED);
    ck_assert_str_eq(bench_load(bench, NULL), "moved");
    expect_new("hit cart=1 user=ada");
}
END_TEST

START_TEST(a_save_that_was_under_way_arrives)
{
    ha_session_t *slow = NULL;
    ha_session_t *fresh;
    ha_late_t late;

    bench_load(bench, &slow);
    ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    bench_pass(bench, 30);
    ck_assert_str_eq(bench_save(bench, slow, "more=1"), "2/2, refused");
    ck_assert(ha_late_is_due(slow));
    /* It began before: how long it took does not matter. */
    ck_assert_int_eq(ha_late_follow(&late, slow,
                                    bench->env.now - apr_time_from_sec(60),
                                    next_env(), pool), HA_LOAD_HIT);
    save_late(&late, "more", "1", 0);
    expect_new("hit cart=1 more=1 user=ada");
}
END_TEST

/* What was saved after the rotation had loaded, and before it moved. */
START_TEST(a_save_that_the_rotation_had_not_seen_is_carried)
{
    ha_session_t *quick = NULL;
    ha_session_t *fresh;

    bench_load(bench, &quick);
    if (_i == 1) {
        bench_pass(bench, 60); /* its clock is ahead */
    }
    ck_assert_str_eq(bench_save(bench, quick, "more=1 user=eve"), "2/2");
    if (_i == 1) {
        bench_pass(bench, -60);
    }
    ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    expect_new("hit cart=1 more=1 user=ada");
    ck_assert_str_eq(bench_table(bench, fresh), "cart=1 more=1 user=ada");
}
END_TEST

START_TEST(nothing_changes_when_the_new_session_is_not_stored)
{
    ha_session_t *fresh;

    store_fake_set_up(fake, 0, 0);
    store_fake_set_up(fake, 1, 0);
    store_fake_plan(fake, 2, "add:down");
    store_fake_plan(fake, 3, "add:down");
    ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                     HA_ROTATE_FAILED);
    store_fake_set_up(fake, 0, 1);
    store_fake_set_up(fake, 1, 1);
    ck_assert_str_eq(bench_load(bench, NULL), "hit cart=1");
    expect_new("miss");
}
END_TEST

START_TEST(a_logout_of_the_same_moment_wins)
{
    ha_session_t *fresh;
    ha_session_t *other = NULL;
    ha_saved_t saved;

    bench_load(bench, &other);
    if (_i == 0) { /* it came before, unseen */
        ha_rotate_end(other, &saved, next_env(), pool);
        ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                         HA_ROTATE_ENDED);
    }
    else { /* it comes after */
        ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                         HA_ROTATE_DONE);
        bench_pass(bench, _i == 1 ? 1 : 60);
        ha_rotate_end(other, &saved, next_env(), pool);
        ck_assert_uint_eq(saved.copies, 2);
    }
    expect_new("ended");
    ck_assert_str_eq(bench_load(bench, NULL), "ended");
}
END_TEST

START_TEST(an_old_id_follows_as_often_as_its_owner_rotated)
{
    ha_session_t *second;
    ha_session_t *third;
    ha_sid_t third_sid;
    ha_saved_t saved;
    ha_late_t late;
    ha_late_t slow;

    store_fake_sid(&third_sid, fake, 2, 2);
    ck_assert_int_eq(log_in(&second, session, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    ck_assert_int_eq(come_late(&slow), HA_LOAD_HIT);
    ck_assert_int_eq(log_in(&third, second, &third_sid, "root"),
                     HA_ROTATE_DONE);
    ck_assert_int_eq(come_late(&late), HA_LOAD_HIT);
    ck_assert_str_eq(table_of(&late), "cart=1 user=- more=-");
    save_late(&late, "cart", "2", 0);
    save_late(&slow, "more", "1", 0); /* moved on while it was under way */
    ck_assert_str_eq(load(&third_sid, &third), "hit cart=2 more=1 user=root");
    ha_rotate_end(session, &saved, next_env(), pool);
    ck_assert_str_eq(load(&third_sid, &third), "ended");
    save_late(&slow, "more", "2", 1);
}
END_TEST

/* An attacker and his victim log in with one planted id: two sessions, each
 * with what was there before, and neither with anything of the other. */
START_TEST(two_logins_at_once_share_nothing_but_the_past)
{
    ha_session_t *victim = NULL;
    ha_session_t *first;
    ha_session_t *second;
    ha_sid_t eve_sid;
    ha_late_t late;

    store_fake_sid(&eve_sid, fake, 2, 2);
    bench_load(bench, &victim);
    ck_assert_int_eq(log_in(&first, session, &eve_sid, "eve"),
                     HA_ROTATE_DONE);
    ck_assert_int_eq(log_in(&second, victim, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    ck_assert_int_eq(come_late(&late), HA_LOAD_HIT);
    ck_assert_uint_eq(late.count, 2);
    ck_assert_str_eq(table_of(&late), "cart=1 user=- more=-");
    save_late(&late, "more", "1", 0);
    expect_new("hit cart=1 more=1 user=ada");
    ck_assert_str_eq(load(&eve_sid, &first), "hit cart=1 more=1 user=eve");
}
END_TEST

/* The victim logs in within the grace of the attacker's own login. */
START_TEST(a_login_with_the_old_id_begins_a_session_of_its_own)
{
    ha_forward_t forward;
    ha_op_t op = op_of("user", "ada");
    ha_session_t *first;
    ha_session_t *fresh;
    ha_session_t *eve;
    ha_sid_t eve_sid;
    ha_saved_t saved;
    ha_saved_t left;
    ha_late_t late;

    store_fake_sid(&eve_sid, fake, 2, 2);
    ck_assert_int_eq(log_in(&first, session, &eve_sid, "eve"),
                     HA_ROTATE_DONE);
    bench_save(bench, first, "more=eve's");
    ck_assert_int_eq(come_late(&late), HA_LOAD_HIT);
    fresh = ha_late_copy(&late, &new_sid, pool);
    forward = forward_to(&new_sid, GRACE);
    ck_assert_int_eq(ha_rotate_session(fresh, late.origin, &forward, &saved,
                                       &left, next_env(), &op, 1),
                     HA_ROTATE_DONE);
    expect_new("hit cart=1 user=ada");
    ck_assert_str_eq(load(&eve_sid, &eve), "hit cart=1 more=eve's user=eve");
}
END_TEST

START_TEST(who_cannot_ask_for_the_new_session_does_not_know)
{
    ha_session_t *fresh;
    ha_session_t *old;
    ha_late_t late;
    unsigned int i;

    ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    ck_assert_str_eq(load(&bench->sid, &old), "moved");
    for (i = 0; i < 4; i++) {
        store_fake_set_up(fake, i, 0);
    }
    ck_assert_int_eq(ha_late_follow(&late, old, bench->env.now, next_env(),
                                    pool), HA_LOAD_UNKNOWN);
}
END_TEST

/* A node that was away comes back with a living copy of the old session. */
START_TEST(a_node_that_comes_back_does_not_revive_the_old_id)
{
    ha_session_t *fresh;

    store_fake_set_up(fake, 0, 0);
    ck_assert_int_eq(log_in(&fresh, session, &new_sid, "ada"),
                     HA_ROTATE_DONE);
    store_fake_set_up(fake, 0, 1);
    store_fake_set_whole(fake, 0, bench->env.now);
    ck_assert_str_eq(bench_load(bench, NULL), "moved");
    ck_assert_str_eq(bench_node(bench, 0), "ended");
    bench_pass(bench, BENCH_TTL_SEC - 60);
    ck_assert_str_eq(bench_load(bench, NULL), "moved");
}
END_TEST

START_TEST(an_end_is_remembered_until_the_absolute_end)
{
    bench->env.end_sec = 10 * BENCH_TTL_SEC;
    ck_assert_str_eq(bench_end(bench, session), "2/2");
    bench_pass(bench, 10 * BENCH_TTL_SEC - 10);
    ck_assert_str_eq(bench_node(bench, 0), "ended");
    ck_assert_str_eq(bench_node(bench, 1), "ended");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_rotate");
    TCase *tests = tcase_create("ha_rotate");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_new_id_has_all_and_the_old_one_has_ended);
    tcase_add_test(tests, the_old_id_sees_and_writes_what_was_before);
    tcase_add_test(tests, a_late_write_wins_over_those_it_has_seen);
    tcase_add_test(tests, the_old_id_leads_nowhere_when_its_grace_is_over);
    tcase_add_test(tests, a_save_that_was_under_way_arrives);
    tcase_add_loop_test(tests,
                        a_save_that_the_rotation_had_not_seen_is_carried, 0,
                        2);
    tcase_add_test(tests, nothing_changes_when_the_new_session_is_not_stored);
    tcase_add_loop_test(tests, a_logout_of_the_same_moment_wins, 0, 3);
    tcase_add_test(tests, an_old_id_follows_as_often_as_its_owner_rotated);
    tcase_add_test(tests, two_logins_at_once_share_nothing_but_the_past);
    tcase_add_test(tests, a_login_with_the_old_id_begins_a_session_of_its_own);
    tcase_add_test(tests, who_cannot_ask_for_the_new_session_does_not_know);
    tcase_add_test(tests, a_node_that_comes_back_does_not_revive_the_old_id);
    tcase_add_test(tests, an_end_is_remembered_until_the_absolute_end);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
