/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_retry_conf.h"

#include <check.h>
#include <stddef.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* One row for each member. */
static const struct {
    const char *name;
    size_t offset;
    apr_int64_t preset;
} members[] = {
    { "replay", offsetof(clone_retry_conf_t, replay),
      CLONE_REPLAY_IDEMPOTENT },
    { "replays", offsetof(clone_retry_conf_t, replays), 1 },
    { "statuses", offsetof(clone_retry_conf_t, statuses), 0 },
    { "body_memory", offsetof(clone_retry_conf_t, body_memory), 65536 },
    { "body_file", offsetof(clone_retry_conf_t, body_file), 1048576 },
    { "failures", offsetof(clone_retry_conf_t, failures), 3 },
    { "budget", offsetof(clone_retry_conf_t, budget), 20 },
    { "budget_floor", offsetof(clone_retry_conf_t, budget_floor), 3 },
    { "deadline", offsetof(clone_retry_conf_t, deadline), 90000000 },
    { "timeout_replays", offsetof(clone_retry_conf_t, timeout_replays), 8 }
};

static apr_int64_t *member_at(clone_retry_conf_t *conf, int i)
{
    return (apr_int64_t *)(void *)((char *)conf + members[i].offset);
}

START_TEST(every_member_has_its_row)
{
    ck_assert_uint_eq(sizeof(clone_retry_conf_t),
                      sizeof(apr_int64_t) * (size_t)LENGTH_OF(members));
}
END_TEST

START_TEST(merge_keeps_what_was_set_and_mixes_no_members)
{
    const struct { int base; int over; int merged; } rows[] = {
        { HA_UNSET, HA_UNSET, HA_UNSET }, { 7, HA_UNSET, 7 },
        { HA_UNSET, 7, 7 }, { 7, 8, 8 }, { 7, 0, 0 }
    };
    int i;
    int other;

    for (i = 0; i < LENGTH_OF(rows); i++) {
        clone_retry_conf_t base;
        clone_retry_conf_t over;

        clone_retry_conf_init(&base);
        clone_retry_conf_init(&over);
        *member_at(&base, _i) = rows[i].base;
        *member_at(&over, _i) = rows[i].over;
        clone_retry_conf_merge(&over, &base, &over);
        for (other = 0; other < LENGTH_OF(members); other++) {
            ck_assert_msg(*member_at(&over, other)
                          == (other == _i ? rows[i].merged : HA_UNSET),
                          "%s, row %d", members[_i].name, i);
        }
    }
}
END_TEST

START_TEST(what_nobody_set_has_a_safe_default)
{
    clone_retry_conf_t conf;

    clone_retry_conf_init(&conf);
    ck_assert_int_eq(*member_at(&conf, _i), HA_UNSET);
    clone_retry_conf_fill(&conf);
    ck_assert_int_eq(*member_at(&conf, _i), members[_i].preset);
    *member_at(&conf, _i) = 0;
    clone_retry_conf_fill(&conf);
    ck_assert_int_eq(*member_at(&conf, _i), 0);
}
END_TEST

START_TEST(five_statuses_may_be_tried_again_each_has_its_bit)
{
    static const int may[] = { 429, 500, 502, 503, 504 };
    apr_int64_t seen = 0;
    int status;
    int i;

    for (i = 0; i < LENGTH_OF(may); i++) {
        apr_int64_t bit = clone_status_bit(may[i]);

        ck_assert_int_ne(bit, 0);
        ck_assert_int_eq(seen & bit, 0);
        seen |= bit;
    }
    for (status = 0, i = 0; status < 1000; status++) {
        i += clone_status_bit(status) != 0;
    }
    ck_assert_int_eq(i, LENGTH_OF(may));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_retry_conf");
    TCase *tests = tcase_create("clone_retry_conf");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, every_member_has_its_row);
    tcase_add_loop_test(tests, merge_keeps_what_was_set_and_mixes_no_members,
                        0, LENGTH_OF(members));
    tcase_add_loop_test(tests, what_nobody_set_has_a_safe_default, 0,
                        LENGTH_OF(members));
    tcase_add_test(tests, five_statuses_may_be_tried_again_each_has_its_bit);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
