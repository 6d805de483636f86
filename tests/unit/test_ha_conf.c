/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_conf.h"

#include <check.h>
#include <stddef.h>
#include <stdlib.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

typedef enum kind_e {
    NUMBER,
    TEXT,
    TIME
} kind_e;

/* One row for each member of a record. */
typedef struct member_t {
    const char *name;
    size_t offset;
    kind_e kind;
} member_t;

static const member_t conf_members[] = {
    { "enabled", offsetof(ha_conf_t, enabled), NUMBER },
    { "cookie_name", offsetof(ha_conf_t, cookie_name), TEXT },
    { "cookie_path", offsetof(ha_conf_t, cookie_path), TEXT },
    { "cookie_domain", offsetof(ha_conf_t, cookie_domain), TEXT },
    { "cookie_same_site", offsetof(ha_conf_t, cookie_same_site), NUMBER },
    { "cookie_secure", offsetof(ha_conf_t, cookie_secure), NUMBER },
    { "cookie_http_only", offsetof(ha_conf_t, cookie_http_only), NUMBER },
    { "request_header", offsetof(ha_conf_t, request_header), TEXT },
    { "delta_header", offsetof(ha_conf_t, delta_header), TEXT },
    { "unknown_policy", offsetof(ha_conf_t, unknown_policy), NUMBER },
    { "save_policy", offsetof(ha_conf_t, save_policy), NUMBER },
    { "copies_header", offsetof(ha_conf_t, copies_header), TEXT },
    { "exclusive", offsetof(ha_conf_t, exclusive), NUMBER },
    { "per_user", offsetof(ha_conf_t, per_user), NUMBER },
    { "exclusive_wait", offsetof(ha_conf_t, exclusive_wait), TIME },
    { "control_header", offsetof(ha_conf_t, control_header), TEXT },
    { "rotate_on", offsetof(ha_conf_t, rotate_on), TEXT },
    { "rotate_grace", offsetof(ha_conf_t, rotate_grace), TIME },
    { "idle", offsetof(ha_conf_t, idle), TIME },
    { "lifetime", offsetof(ha_conf_t, lifetime), TIME }
};

static const member_t server_members[] = {
    { "replicas", offsetof(ha_server_conf_t, replicas), NUMBER },
    { "acks", offsetof(ha_server_conf_t, acks), NUMBER },
    { "budget", offsetof(ha_server_conf_t, budget), TIME },
    { "far_writes", offsetof(ha_server_conf_t, far_writes), NUMBER }
};

/* A value of any kind: 0 is unset, others are told apart. */
static const char texts[3][2] = { "0", "1", "2" };

static void put(void *record, const member_t *member, int value)
{
    char *at = (char *)record + member->offset;
    const char *text = value > 0 ? texts[value] : NULL;
    int number = value > 0 ? value : HA_UNSET;
    apr_interval_time_t interval = value > 0 ? value : HA_UNSET;

    switch (member->kind) {
    case TEXT:
        memcpy(at, &text, sizeof(text));
        break;
    case TIME:
        memcpy(at, &interval, sizeof(interval));
        break;
    case NUMBER:
    default:
        memcpy(at, &number, sizeof(number));
        break;
    }
}

static int get(const void *record, const member_t *member)
{
    const char *at = (const char *)record + member->offset;
    const char *text;
    int number;
    apr_interval_time_t interval;

    switch (member->kind) {
    case TEXT:
        memcpy(&text, at, sizeof(text));
        return text == NULL ? 0 : text[0] - '0';
    case TIME:
        memcpy(&interval, at, sizeof(interval));
        return interval == HA_UNSET ? 0 : (int)interval;
    case NUMBER:
    default:
        memcpy(&number, at, sizeof(number));
        return number == HA_UNSET ? 0 : number;
    }
}

/* base, over, merged */
static const int merges[][3] = {
    { 0, 0, 0 }, { 1, 0, 1 }, { 0, 1, 1 }, { 1, 2, 2 }, { 2, 1, 1 }
};

START_TEST(merge_keeps_what_a_directory_set)
{
    const member_t *member = &conf_members[_i];
    int i;
    int k;

    for (i = 0; i < LENGTH_OF(merges); i++) {
        ha_conf_t base;
        ha_conf_t over;
        ha_conf_t merged;

        ha_conf_init(&base);
        ha_conf_init(&over);
        memset(&merged, 0x55, sizeof(merged));
        put(&base, member, merges[i][0]);
        put(&over, member, merges[i][1]);
        ha_conf_merge(&merged, &base, &over);
        for (k = 0; k < LENGTH_OF(conf_members); k++) {
            ck_assert_msg(get(&merged, &conf_members[k])
                              == (k == _i ? merges[i][2] : 0),
                          "%s, row %d, looking at %s", member->name, i,
                          conf_members[k].name);
        }
    }
}
END_TEST

START_TEST(merge_keeps_what_a_server_set)
{
    const member_t *member = &server_members[_i];
    int i;
    int k;

    for (i = 0; i < LENGTH_OF(merges); i++) {
        ha_server_conf_t base;
        ha_server_conf_t over;
        ha_server_conf_t merged;

        ha_server_conf_init(&base);
        ha_server_conf_init(&over);
        memset(&merged, 0x55, sizeof(merged));
        put(&base, member, merges[i][0]);
        put(&over, member, merges[i][1]);
        ha_server_conf_merge(&merged, &base, &over);
        for (k = 0; k < LENGTH_OF(server_members); k++) {
            ck_assert_msg(get(&merged, &server_members[k])
                              == (k == _i ? merges[i][2] : 0),
                          "%s, row %d, looking at %s", member->name, i,
                          server_members[k].name);
        }
    }
}
END_TEST

START_TEST(off_under_on_is_off)
{
    ha_conf_t base;
    ha_conf_t over;

    ha_conf_init(&base);
    ha_conf_init(&over);
    ck_assert_int_eq(ha_conf_enabled(&base), 0);
    base.enabled = 1;
    over.enabled = 0;
    ha_conf_merge(&over, &base, &over);
    ck_assert_int_eq(ha_conf_enabled(&over), 0);
}
END_TEST

START_TEST(an_empty_text_takes_an_outer_one_away)
{
    ha_conf_t base;
    ha_conf_t over;

    ha_conf_init(&base);
    ha_conf_init(&over);
    base.request_header = "X-Session";
    base.delta_header = "X-Session-Delta";
    base.cookie_domain = "example.com";
    over.request_header = "";
    over.delta_header = "";
    over.cookie_domain = "";
    ha_conf_merge(&over, &base, &over);
    ck_assert_ptr_null(ha_conf_request_header(&over));
    ck_assert_ptr_null(ha_conf_delta_header(&over));
    ck_assert_ptr_null(ha_conf_cookie_domain(&over));
    ck_assert_str_eq(ha_conf_request_header(&base), "X-Session");
    ck_assert_str_eq(ha_conf_delta_header(&base), "X-Session-Delta");
    ck_assert_str_eq(ha_conf_cookie_domain(&base), "example.com");
}
END_TEST

START_TEST(what_nobody_set_is_safe)
{
    ha_conf_t conf;
    ha_server_conf_t server;

    ha_conf_init(&conf);
    ha_server_conf_init(&server);
    ck_assert_int_eq(ha_conf_enabled(&conf), 0);
    ck_assert_str_eq(ha_conf_cookie_name(&conf), "HASESSION");
    ck_assert_str_eq(ha_conf_cookie_path(&conf), "/");
    ck_assert_ptr_null(ha_conf_cookie_domain(&conf));
    ck_assert_int_eq(ha_conf_cookie_same_site(&conf), HA_SAME_SITE_LAX);
    ck_assert_int_eq(ha_conf_cookie_secure(&conf), HA_SECURE_AUTO);
    ck_assert_int_eq(ha_conf_cookie_http_only(&conf), 1);
    ck_assert_ptr_null(ha_conf_request_header(&conf));
    ck_assert_ptr_null(ha_conf_delta_header(&conf));
    ck_assert_int_eq(ha_conf_unknown_policy(&conf), HA_POLICY_FAIL);
    ck_assert_int_eq(ha_conf_save_policy(&conf), HA_SAVE_SERVE);
    ck_assert_ptr_null(ha_conf_copies_header(&conf));
    ck_assert_uint_eq(ha_server_conf_acks(&server, 3), 0);
    ck_assert_int_eq(ha_conf_exclusive(&conf), 0);
    ck_assert_int_eq(ha_conf_per_user(&conf), 0);
    ck_assert_int_eq(ha_conf_exclusive_wait(&conf),
                     HA_LOCK_WAIT_DEFAULT_USEC);
    ck_assert_uint_eq(ha_conf_idle_sec(&conf), HA_IDLE_DEFAULT_SEC);
    ck_assert_uint_eq(ha_conf_lifetime_sec(&conf), 0);
    ck_assert_uint_eq(ha_server_conf_replicas(&server, 3),
                      HA_REPLICAS_DEFAULT);
    ck_assert_int_eq(ha_server_conf_budget(&server), HA_BUDGET_DEFAULT_USEC);
    ck_assert_int_eq(ha_conf_is_contradictory(&conf), 0);
}
END_TEST

START_TEST(replicas_never_outnumber_the_nodes)
{
    ha_server_conf_t server;

    ha_server_conf_init(&server);
    ck_assert_uint_eq(ha_server_conf_replicas(&server, 1), 1);
    server.replicas = 3;
    ck_assert_uint_eq(ha_server_conf_replicas(&server, 2), 2);
    ck_assert_uint_eq(ha_server_conf_replicas(&server, 5), 3);
}
END_TEST

START_TEST(acks_are_counted_from_the_replicas)
{
    static const struct {
        int acks;
        unsigned int replicas;
        unsigned int wanted;
    } rows[] = {
        { HA_UNSET, 3, 0 }, { HA_ACKS_ALL, 3, 0 },
        { HA_ACKS_MAJORITY, 1, 1 }, { HA_ACKS_MAJORITY, 2, 2 },
        { HA_ACKS_MAJORITY, 3, 2 }, { HA_ACKS_MAJORITY, 4, 3 },
        { 1, 3, 1 }, { 3, 3, 3 }, { 3, 2, 2 }
    };
    ha_server_conf_t server;
    int i;

    for (i = 0; i < LENGTH_OF(rows); i++) {
        ha_server_conf_init(&server);
        server.acks = rows[i].acks;
        ck_assert_uint_eq(ha_server_conf_acks(&server, rows[i].replicas),
                          rows[i].wanted);
    }
}
END_TEST

START_TEST(same_site_none_contradicts_secure_off_alone)
{
    static const struct {
        int same_site;
        int secure;
        int is_contradictory;
    } rows[] = {
        { HA_SAME_SITE_NONE, HA_SECURE_OFF, 1 },
        { HA_SAME_SITE_NONE, HA_SECURE_ON, 0 },
        { HA_SAME_SITE_NONE, HA_SECURE_AUTO, 0 },
        { HA_SAME_SITE_NONE, HA_UNSET, 0 },
        { HA_SAME_SITE_LAX, HA_SECURE_OFF, 0 },
        { HA_SAME_SITE_STRICT, HA_SECURE_OFF, 0 },
        { HA_UNSET, HA_SECURE_OFF, 0 }
    };
    int i;

    for (i = 0; i < LENGTH_OF(rows); i++) {
        ha_conf_t conf;

        ha_conf_init(&conf);
        conf.cookie_same_site = rows[i].same_site;
        conf.cookie_secure = rows[i].secure;
        ck_assert_int_eq(ha_conf_is_contradictory(&conf),
                         rows[i].is_contradictory);
    }
}
END_TEST

START_TEST(a_touch_is_due_after_a_tenth_of_the_idle_limit)
{
    static const apr_uint32_t rows[][2] = {
        { 1, 1 }, { 5, 1 }, { 10, 1 }, { 20, 2 }, { 599, 59 }, { 600, 60 },
        { 1800, 60 }, { 31536000, 60 }
    };
    int i;

    for (i = 0; i < LENGTH_OF(rows); i++) {
        ck_assert_uint_eq(ha_conf_touch_sec(rows[i][0]), rows[i][1]);
        ck_assert_uint_gt(ha_conf_ttl_sec(rows[i][0]),
                          rows[i][0] + rows[i][1]);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_conf");
    TCase *merge = tcase_create("merge");
    TCase *effective = tcase_create("effective");

    tcase_add_loop_test(merge, merge_keeps_what_a_directory_set, 0,
                        LENGTH_OF(conf_members));
    tcase_add_loop_test(merge, merge_keeps_what_a_server_set, 0,
                        LENGTH_OF(server_members));
    tcase_add_test(merge, off_under_on_is_off);
    tcase_add_test(merge, an_empty_text_takes_an_outer_one_away);
    tcase_add_test(effective, what_nobody_set_is_safe);
    tcase_add_test(effective, replicas_never_outnumber_the_nodes);
    tcase_add_test(effective, acks_are_counted_from_the_replicas);
    tcase_add_test(effective, same_site_none_contradicts_secure_off_alone);
    tcase_add_test(effective, a_touch_is_due_after_a_tenth_of_the_idle_limit);
    suite_add_tcase(suite, merge);
    suite_add_tcase(suite, effective);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(make_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
