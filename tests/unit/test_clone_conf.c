/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_conf.h"

#include <apr_general.h>
#include <check.h>
#include <stddef.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static apr_pool_t *p;

static void set_up(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(p);
    apr_terminate();
}

/* One row for each member of clone_conf_t. */
typedef struct member_t {
    const char *name;
    size_t offset;
    int one;   /* a value that is not the default */
    int other; /* another one */
} member_t;

static const member_t members[] = {
    { "routing", offsetof(clone_conf_t, routing), 1, 0 },
    { "session_idle_sec", offsetof(clone_conf_t, session_idle_sec), 60, 90 },
    { "drain_deadline_msec", offsetof(clone_conf_t, drain_deadline_msec), 0,
      CLONE_NEVER },
    { "drain_within_msec", offsetof(clone_conf_t, drain_within_msec), 0,
      1000 },
    { "profile", offsetof(clone_conf_t, profile), CLONE_PROFILE_JETTY,
      CLONE_PROFILE_WEBSPHERE },
    { "learn", offsetof(clone_conf_t, learn), 0, 1 },
    { "private_headers", offsetof(clone_conf_t, private_headers), 1, 0 }
};

static int *member_of(clone_conf_t *conf, const member_t *member)
{
    return (int *)(void *)((char *)conf + member->offset);
}

START_TEST(every_member_has_its_row)
{
    /* format goes with profile, and has a test of its own below; retry and
     * limit have rows in tests of their own */
    ck_assert_uint_eq(
        sizeof(clone_conf_t),
        offsetof(clone_conf_t, explain) + sizeof(const void *));
    ck_assert_uint_lt(offsetof(clone_conf_t, explain)
                      - offsetof(clone_conf_t, limit),
                      sizeof(clone_limit_conf_t) + sizeof(const void *));
    ck_assert_uint_eq(offsetof(clone_conf_t, limit),
                      offsetof(clone_conf_t, retry)
                      + sizeof(clone_retry_conf_t));
    ck_assert_uint_lt(offsetof(clone_conf_t, retry)
                      - offsetof(clone_conf_t, format),
                      sizeof(clone_format_t) + sizeof(apr_int64_t));
    /* cookie and explain have one, too */
    ck_assert_uint_eq(offsetof(clone_conf_t, format),
                      offsetof(clone_conf_t, cookie) + sizeof(void *));
    ck_assert_uint_le(offsetof(clone_conf_t, cookie),
                      sizeof(int) * ((size_t)LENGTH_OF(members) + 1));
}
END_TEST

START_TEST(a_new_record_has_nothing_set)
{
    clone_conf_t conf;

    clone_conf_init(&conf);
    ck_assert_int_eq(*member_of(&conf, &members[_i]), HA_UNSET);
}
END_TEST

START_TEST(merge_keeps_what_was_set)
{
    const member_t *member = &members[_i];
    const struct { int base; int over; int merged; } rows[] = {
        { HA_UNSET, HA_UNSET, HA_UNSET },
        { member->one, HA_UNSET, member->one },
        { HA_UNSET, member->one, member->one },
        { member->one, member->other, member->other },
        { member->other, member->one, member->one }
    };
    int i;

    for (i = 0; i < LENGTH_OF(rows); i++) {
        clone_conf_t base;
        clone_conf_t over;
        clone_conf_t merged;

        clone_conf_init(&base);
        clone_conf_init(&over);
        *member_of(&base, member) = rows[i].base;
        *member_of(&over, member) = rows[i].over;
        clone_conf_merge(&merged, &base, &over);
        ck_assert_msg(*member_of(&merged, member) == rows[i].merged,
                      "%s, case %d: %d", member->name, i,
                      *member_of(&merged, member));
    }
}
END_TEST

START_TEST(merge_mixes_no_members)
{
    clone_conf_t base;
    clone_conf_t over;
    int i;

    clone_conf_init(&base);
    clone_conf_init(&over);
    *member_of(&over, &members[_i]) = members[_i].one;
    clone_conf_merge(&base, &base, &over);
    for (i = 0; i < LENGTH_OF(members); i++) {
        ck_assert_int_eq(*member_of(&base, &members[i]),
                         i == _i ? members[_i].one : HA_UNSET);
    }
}
END_TEST

START_TEST(a_free_form_goes_with_the_profile)
{
    clone_conf_t base;
    clone_conf_t over;
    clone_conf_t merged;
    clone_format_t format;

    clone_conf_init(&base);
    clone_conf_init(&over);
    base.profile = CLONE_PROFILE_FREE;
    ck_assert_int_eq(clone_format_set(&base.format, "separator=~"),
                     CLONE_FORMAT_OK);
    clone_conf_merge(&merged, &base, &over);
    clone_conf_format(&format, &merged);
    ck_assert_str_eq(format.separators, "~");
    over.profile = CLONE_PROFILE_JETTY;
    clone_conf_merge(&merged, &base, &over);
    clone_conf_format(&format, &merged);
    ck_assert_str_eq(format.separators, ".");
    ck_assert(format.is_last);
    over.profile = CLONE_PROFILE_FREE;
    ck_assert_int_eq(clone_format_set(&over.format, "separator=+"),
                     CLONE_FORMAT_OK);
    clone_conf_merge(&base, &base, &over);
    clone_conf_format(&format, &base);
    ck_assert_str_eq(format.separators, "+");
}
END_TEST

START_TEST(a_route_cookie_is_one_setting)
{
    const clone_cookie_conf_t one = { "ONE", "/", NULL, CLONE_SAME_SITE_LAX,
                                      0 };
    const clone_cookie_conf_t off = { NULL, "/", NULL, CLONE_SAME_SITE_LAX,
                                      0 };
    clone_conf_t base;
    clone_conf_t over;
    clone_conf_t merged;

    clone_conf_init(&base);
    clone_conf_init(&over);
    ck_assert_ptr_null(clone_conf_cookie(&base));
    base.cookie = &one;
    clone_conf_merge(&merged, &base, &over);
    ck_assert_ptr_eq(clone_conf_cookie(&merged), &one);
    over.cookie = &off;
    clone_conf_merge(&merged, &base, &over);
    ck_assert_ptr_null(clone_conf_cookie(&merged));
    clone_conf_merge(&merged, &over, &base);
    ck_assert_ptr_eq(clone_conf_cookie(&merged), &one);
}
END_TEST

START_TEST(what_is_done_about_failures_is_merged_too)
{
    clone_conf_t base;
    clone_conf_t over;

    clone_conf_init(&base);
    clone_conf_init(&over);
    base.retry.failures = 5;
    base.retry.replays = 2;
    over.retry.replays = 0;
    clone_conf_merge(&over, &base, &over);
    ck_assert_int_eq(over.retry.failures, 5);
    ck_assert_int_eq(over.retry.replays, 0);
    ck_assert_int_eq(over.retry.deadline, HA_UNSET);
}
END_TEST

START_TEST(what_nobody_set_has_a_safe_default)
{
    clone_conf_t conf;

    clone_conf_init(&conf);
    ck_assert_int_eq(clone_conf_routing(&conf), 0);
    ck_assert_int_eq(clone_conf_profile(&conf), CLONE_PROFILE_WEBSPHERE);
    ck_assert_int_eq(clone_conf_learn(&conf), 1);
    conf.learn = 0;
    ck_assert_int_eq(clone_conf_learn(&conf), 0);
    ck_assert_int_eq(clone_conf_private_headers(&conf), 0);
    conf.routing = 1;
    conf.profile = CLONE_PROFILE_WEBLOGIC;
    ck_assert_int_eq(clone_conf_routing(&conf), 1);
    ck_assert_int_eq(clone_conf_profile(&conf), CLONE_PROFILE_WEBLOGIC);
}
END_TEST

START_TEST(a_drain_has_no_deadline_unless_it_is_said)
{
    clone_conf_t conf;

    clone_conf_init(&conf);
    ck_assert_uint_eq(clone_conf_session_idle(&conf), 1800);
    ck_assert_int_lt(clone_conf_drain_deadline(&conf), 0);
    ck_assert_int_eq(clone_conf_drain_within(&conf),
                     300 * APR_USEC_PER_SEC);
    conf.session_idle_sec = 60;
    conf.drain_deadline_msec = 0;
    conf.drain_within_msec = 1;
    ck_assert_uint_eq(clone_conf_session_idle(&conf), 60);
    ck_assert_int_eq(clone_conf_drain_deadline(&conf), 0);
    ck_assert_int_eq(clone_conf_drain_within(&conf), 1000);
    conf.drain_deadline_msec = CLONE_NEVER;
    ck_assert_int_lt(clone_conf_drain_deadline(&conf), 0);
}
END_TEST

START_TEST(a_server_s_own_settings_are_merged)
{
    clone_server_conf_t *base = clone_server_conf_make(p);
    clone_server_conf_t *over = clone_server_conf_make(p);
    clone_server_conf_t *merged = clone_server_conf_merge(base, over, p);

    ck_assert_uint_eq(clone_server_conf_sessions(merged),
                      CLONE_SESSIONS_DEFAULT);
    ck_assert_ptr_null(merged->state_dir);
    base->sessions = 5000;
    base->state_dir = "base";
    merged = clone_server_conf_merge(base, over, p);
    ck_assert_uint_eq(clone_server_conf_sessions(merged), 5000);
    ck_assert_str_eq(merged->state_dir, "base");
    over->sessions = 6000;
    over->state_dir = "over";
    merged = clone_server_conf_merge(base, over, p);
    ck_assert_uint_eq(clone_server_conf_sessions(merged), 6000);
    ck_assert_str_eq(merged->state_dir, "over");
    /* any and named: the rows above */
    ck_assert_int_eq(merged->any.routing, HA_UNSET);
    ck_assert_int_eq(merged->named->nelts, 0);
}
END_TEST

#define U HA_UNSET

/* routing: main any, main named, host any, host named; what holds. */
static const struct {
    int main_any;
    int main_named;
    int host_any;
    int host_named;
    int holds;
} scopes[] = {
    { U, U, U, U, U }, { 1, U, U, U, 1 }, { 1, U, 0, U, 0 },
    { 0, U, 1, U, 1 }, { U, 1, U, U, 1 }, { U, 1, 0, U, 1 },
    { 0, 1, 0, U, 1 }, { 1, 0, 1, U, 0 }, { 1, 1, 1, 0, 0 },
    { U, U, U, 1, 1 }, { 0, 0, 0, 1, 1 }, { U, 0, U, 1, 1 }
};

START_TEST(the_name_wins_over_the_server_and_the_host_over_the_main)
{
    clone_server_conf_t *base = clone_server_conf_make(p);
    clone_server_conf_t *over = clone_server_conf_make(p);
    clone_conf_t got;

    base->any.routing = scopes[_i].main_any;
    over->any.routing = scopes[_i].host_any;
    if (scopes[_i].main_named != U) {
        clone_server_conf_named(base, "balancer://a")->routing =
            scopes[_i].main_named;
    }
    if (scopes[_i].host_named != U) {
        clone_server_conf_named(over, "balancer://a")->routing =
            scopes[_i].host_named;
    }
    clone_server_conf_of(&got, clone_server_conf_merge(base, over, p),
                         "balancer://a");
    ck_assert_int_eq(got.routing, scopes[_i].holds);
}
END_TEST

START_TEST(a_server_s_own_members_are_merged_too)
{
    clone_server_conf_t *base = clone_server_conf_make(p);
    clone_server_conf_t *over = clone_server_conf_make(p);

    ck_assert_uint_eq(clone_server_conf_learn_max(base), CLONE_LEARN_DEFAULT);
    base->learn_max = 64;
    ck_assert_uint_eq(clone_server_conf_learn_max(
        clone_server_conf_merge(base, over, p)), 64);
    base->secret_file = "/a";
    ck_assert_str_eq(clone_server_conf_merge(base, over, p)->secret_file,
                     "/a");
    over->secret_file = "/b";
    ck_assert_str_eq(clone_server_conf_merge(base, over, p)->secret_file,
                     "/b");
    over->learn_max = 128;
    ck_assert_uint_eq(clone_server_conf_learn_max(
        clone_server_conf_merge(base, over, p)), 128);
}
END_TEST

START_TEST(one_balancer_s_settings_leave_the_others_alone)
{
    clone_server_conf_t *conf = clone_server_conf_make(p);
    clone_conf_t got;

    conf->any.profile = CLONE_PROFILE_TOMCAT;
    clone_server_conf_named(conf, "balancer://a")->routing = 1;
    clone_server_conf_named(conf, "balancer://b")->profile =
        CLONE_PROFILE_JETTY;
    clone_server_conf_of(&got, conf, "balancer://b");
    ck_assert_int_eq(got.routing, HA_UNSET);
    ck_assert_int_eq(got.profile, CLONE_PROFILE_JETTY);
    clone_server_conf_of(&got, conf, "balancer://a");
    ck_assert_int_eq(got.routing, 1);
    ck_assert_int_eq(got.profile, CLONE_PROFILE_TOMCAT);
    ck_assert(clone_server_conf_is_named(conf, "balancer://a"));
    ck_assert(!clone_server_conf_is_named(conf, "balancer://b"));
    ck_assert(!clone_server_conf_is_named(conf, "balancer://ab"));
    clone_server_conf_of(&got, conf, "balancer://ab");
    ck_assert_int_eq(got.routing, HA_UNSET);
}
END_TEST

START_TEST(a_file_wins_over_the_server_and_loses_to_the_name)
{
    clone_server_conf_t *conf = clone_server_conf_make(p);
    clone_conf_t file;
    clone_conf_t got;

    clone_conf_init(&file);
    conf->any.profile = CLONE_PROFILE_TOMCAT;
    clone_server_conf_with(&got, conf, &file, "balancer://a");
    ck_assert_int_eq(got.profile, CLONE_PROFILE_TOMCAT);
    file.profile = CLONE_PROFILE_WEBSPHERE_PLUS;
    clone_server_conf_with(&got, conf, &file, "balancer://a");
    ck_assert_int_eq(got.profile, CLONE_PROFILE_WEBSPHERE_PLUS);
    clone_server_conf_named(conf, "balancer://a")->profile =
        CLONE_PROFILE_JETTY;
    clone_server_conf_with(&got, conf, &file, "balancer://a");
    ck_assert_int_eq(got.profile, CLONE_PROFILE_JETTY);
}
END_TEST

START_TEST(a_merge_leaves_both_sides_as_they_were)
{
    clone_server_conf_t *base = clone_server_conf_make(p);
    clone_server_conf_t *over = clone_server_conf_make(p);
    clone_server_conf_t *merged;

    clone_server_conf_named(base, "balancer://a")->routing = 1;
    clone_server_conf_named(over, "balancer://a")->routing = 0;
    clone_server_conf_named(over, "balancer://b")->routing = 1;
    merged = clone_server_conf_merge(base, over, p);
    ck_assert_int_eq(merged->named->nelts, 2);
    ck_assert_int_eq(base->named->nelts, 1);
    ck_assert_int_eq(over->named->nelts, 2);
    ck_assert_int_eq(clone_server_conf_named(base, "balancer://a")->routing,
                     1);
}
END_TEST

START_TEST(what_is_told_is_merged_too)
{
    static const char one[] = "one";
    static const char other[] = "other";
    clone_conf_t base;
    clone_conf_t over;
    clone_conf_t merged;

    clone_conf_init(&base);
    clone_conf_init(&over);
    clone_conf_merge(&merged, &base, &over);
    ck_assert_ptr_null(merged.explain);
    base.explain = one;
    clone_conf_merge(&merged, &base, &over);
    ck_assert_ptr_eq(merged.explain, one);
    over.explain = other;
    clone_conf_merge(&merged, &base, &over);
    ck_assert_ptr_eq(merged.explain, other);
}
END_TEST

START_TEST(a_host_s_own_word_on_removal_and_trust_holds)
{
    clone_server_conf_t *base = clone_server_conf_make(p);
    clone_server_conf_t *over = clone_server_conf_make(p);
    clone_server_conf_t *merged;

    ck_assert_int_eq(clone_server_conf_removal(base), CLONE_REMOVAL_ROUTED);
    base->removal = CLONE_REMOVAL_ALL;
    base->trusted = apr_array_make(p, 1, sizeof(void *));
    merged = clone_server_conf_merge(base, over, p);
    ck_assert_int_eq(clone_server_conf_removal(merged), CLONE_REMOVAL_ALL);
    ck_assert_ptr_eq(merged->trusted, base->trusted);
    over->removal = CLONE_REMOVAL_ROUTED;
    over->trusted = apr_array_make(p, 1, sizeof(void *));
    merged = clone_server_conf_merge(base, over, p);
    ck_assert_int_eq(clone_server_conf_removal(merged), CLONE_REMOVAL_ROUTED);
    ck_assert_ptr_eq(merged->trusted, over->trusted);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_conf");
    TCase *tests = tcase_create("clone_conf");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, every_member_has_its_row);
    tcase_add_loop_test(tests, a_new_record_has_nothing_set, 0,
                        LENGTH_OF(members));
    tcase_add_loop_test(tests, merge_keeps_what_was_set, 0,
                        LENGTH_OF(members));
    tcase_add_loop_test(tests, merge_mixes_no_members, 0, LENGTH_OF(members));
    tcase_add_test(tests, a_route_cookie_is_one_setting);
    tcase_add_test(tests, a_free_form_goes_with_the_profile);
    tcase_add_test(tests, what_is_done_about_failures_is_merged_too);
    tcase_add_test(tests, what_nobody_set_has_a_safe_default);
    tcase_add_test(tests, a_drain_has_no_deadline_unless_it_is_said);
    tcase_add_test(tests, a_server_s_own_settings_are_merged);
    tcase_add_loop_test(
        tests, the_name_wins_over_the_server_and_the_host_over_the_main, 0,
        LENGTH_OF(scopes));
    tcase_add_test(tests, a_server_s_own_members_are_merged_too);
    tcase_add_test(tests, one_balancer_s_settings_leave_the_others_alone);
    tcase_add_test(tests, a_file_wins_over_the_server_and_loses_to_the_name);
    tcase_add_test(tests, a_merge_leaves_both_sides_as_they_were);
    tcase_add_test(tests, what_is_told_is_merged_too);
    tcase_add_test(tests, a_host_s_own_word_on_removal_and_trust_holds);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
