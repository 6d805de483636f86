/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_limit_conf.h"

#include <check.h>
#include <stddef.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* One row for each member. */
static const struct {
    const char *name;
    size_t offset;
    apr_int64_t preset;
} members[] = {
    { "most", offsetof(clone_limit_conf_t, most), 0 },
    { "queue", offsetof(clone_limit_conf_t, queue), 64 },
    { "wait", offsetof(clone_limit_conf_t, wait), 3000000 },
    { "slow_start", offsetof(clone_limit_conf_t, slow_start), 0 },
    { "by_member", offsetof(clone_limit_conf_t, by_member), 0 }
};

static apr_int64_t *member_at(clone_limit_conf_t *conf, int i)
{
    return (apr_int64_t *)(void *)((char *)conf + members[i].offset);
}

START_TEST(every_member_has_its_row)
{
    ck_assert_uint_eq(sizeof(clone_limit_conf_t),
                      sizeof(apr_int64_t) * (size_t)LENGTH_OF(members));
}
END_TEST

START_TEST(a_scope_wins_over_the_one_around_it)
{
    clone_limit_conf_t base;
    clone_limit_conf_t over;
    int other;

    clone_limit_conf_init(&base);
    clone_limit_conf_init(&over);
    ck_assert_int_eq(*member_at(&over, _i), HA_UNSET);
    *member_at(&base, _i) = 7;
    clone_limit_conf_merge(&over, &base, &over);
    for (other = 0; other < LENGTH_OF(members); other++) {
        ck_assert_int_eq(*member_at(&over, other),
                         other == _i ? 7 : HA_UNSET);
    }
    *member_at(&over, _i) = 0;
    clone_limit_conf_merge(&over, &base, &over);
    ck_assert_int_eq(*member_at(&over, _i), 0);
    clone_limit_conf_fill(&over);
    for (other = 0; other < LENGTH_OF(members); other++) {
        ck_assert_int_eq(*member_at(&over, other),
                         other == _i ? 0 : members[other].preset);
    }
}
END_TEST

START_TEST(nobody_waits_for_longer_than_he_may)
{
    clone_limit_conf_t conf = { 1, 1, 500, 0, 0 };

    ck_assert_int_eq(clone_limit_end(&conf, 1000, 9000), 1500);
    ck_assert_int_eq(clone_limit_end(&conf, 1000, 1200), 1200);
    /* the deadline has passed before */
    ck_assert_int_eq(clone_limit_end(&conf, 1000, 800), 800);
    conf.wait = 0;
    ck_assert_int_eq(clone_limit_end(&conf, 1000, 9000), 1000);
}
END_TEST

START_TEST(a_share_grows_evenly)
{
    static const struct {
        apr_int64_t slow_start;
        apr_time_t back;
        apr_time_t now;
        unsigned int share;
    } rows[] = {
        { 60000, 5000, 5000, CLONE_SHARE_MIN },
        { 60000, 5000, 5300, CLONE_SHARE_MIN },
        { 60000, 5000, 20000, 250 },
        { 60000, 5000, 35000, 500 },
        { 60000, 5000, 64999, 999 },
        { 60000, 5000, 65000, CLONE_SHARE_WHOLE },
        { 60000, 5000, 99000, CLONE_SHARE_WHOLE },
        { 60000, 5000, 4000, CLONE_SHARE_WHOLE },
        { 60000, 0, 35000, CLONE_SHARE_WHOLE },
        { 0, 5000, 5000, CLONE_SHARE_WHOLE },
        { CLONE_SLOW_START_MAX_USEC, 1, CLONE_SLOW_START_MAX_USEC / 2 + 1,
          500 }
    };
    int i;

    for (i = 0; i < LENGTH_OF(rows); i++) {
        clone_limit_conf_t conf = { 0, 0, 0, rows[i].slow_start, 0 };

        ck_assert_uint_eq(clone_limit_share(&conf, rows[i].back,
                                            rows[i].now), rows[i].share);
    }
}
END_TEST

START_TEST(so_many_are_drawn_as_the_share_says)
{
    static const unsigned int shares[] = { 0, CLONE_SHARE_MIN, 250, 500,
                                           CLONE_SHARE_WHOLE };
    int i;

    for (i = 0; i < LENGTH_OF(shares); i++) {
        unsigned int wanted = 20 * shares[i];
        unsigned int drawn = 0;
        apr_uint64_t n;

        for (n = 0; n < 20 * CLONE_SHARE_WHOLE; n++) {
            drawn += clone_limit_draw(shares[i], 77777 + n * 13) != 0;
        }
        ck_assert_uint_le(drawn, wanted + wanted / 5);
        ck_assert_uint_ge(drawn + wanted / 5, wanted);
    }
}
END_TEST

START_TEST(pauses_are_short_and_differ)
{
    apr_interval_time_t before = -1;
    unsigned int alike = 0;
    unsigned int round;

    for (round = 0; round < 1000; round++) {
        apr_interval_time_t pause = clone_limit_pause(round % 100, round);

        ck_assert_int_ge(pause, CLONE_PAUSE_MIN_USEC / 2);
        ck_assert_int_lt(pause, CLONE_PAUSE_MAX_USEC * 3 / 2);
        alike += pause == before;
        before = pause;
    }
    ck_assert_uint_lt(alike, 10);
    ck_assert_int_lt(clone_limit_pause(0, 5), 2 * CLONE_PAUSE_MIN_USEC);
    ck_assert_int_ge(clone_limit_pause(~0u, 5), CLONE_PAUSE_MAX_USEC / 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_limit_conf");
    TCase *tests = tcase_create("clone_limit_conf");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, every_member_has_its_row);
    tcase_add_loop_test(tests, a_scope_wins_over_the_one_around_it, 0,
                        LENGTH_OF(members));
    tcase_add_test(tests, nobody_waits_for_longer_than_he_may);
    tcase_add_test(tests, a_share_grows_evenly);
    tcase_add_test(tests, so_many_are_drawn_as_the_share_says);
    tcase_add_test(tests, pauses_are_short_and_differ);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
