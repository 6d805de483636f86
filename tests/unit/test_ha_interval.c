/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <limits.h>
#include <stdlib.h>

#include "ha_interval.h"

#define SEC ((apr_interval_time_t)APR_USEC_PER_SEC)

static const struct {
    const char *word;
    apr_interval_time_t usec;
} good[] = {
    { "0", 0 },
    { "0ms", 0 },
    { "0d", 0 },
    { "1", SEC },
    { "007", 7 * SEC },
    { "1ms", 1000 },
    { "250ms", 250 * 1000 },
    { "999999ms", 999999 * (apr_interval_time_t)1000 },
    { "5s", 5 * SEC },
    { "30m", 1800 * SEC },
    { "12h", 12 * 3600 * SEC },
    { "1d", 24 * 3600 * SEC },
    { "36600d", 36600 * (24 * 3600 * SEC) },
    { "3162240000", 3162240000 * SEC },
    { "3162240000000ms", 3162240000 * SEC },
};

static const struct {
    const char *word;
    ha_interval_e why;
} bad[] = {
    { "", HA_INTERVAL_NO_NUMBER },
    { "ms", HA_INTERVAL_NO_NUMBER },
    { "s5", HA_INTERVAL_NO_NUMBER },
    { "-1", HA_INTERVAL_NO_NUMBER },
    { "+1", HA_INTERVAL_NO_NUMBER },
    { ".5s", HA_INTERVAL_NO_NUMBER },
    { " 5s", HA_INTERVAL_NO_NUMBER },
    { "\xb2s", HA_INTERVAL_NO_NUMBER },
    { "5sx", HA_INTERVAL_BAD_UNIT },
    { "5 s", HA_INTERVAL_BAD_UNIT },
    { "5s ", HA_INTERVAL_BAD_UNIT },
    { "5S", HA_INTERVAL_BAD_UNIT },
    { "5mss", HA_INTERVAL_BAD_UNIT },
    { "5us", HA_INTERVAL_BAD_UNIT },
    { "5min", HA_INTERVAL_BAD_UNIT },
    { "1.5s", HA_INTERVAL_BAD_UNIT },
    { "1,5", HA_INTERVAL_BAD_UNIT },
    { "0x10", HA_INTERVAL_BAD_UNIT },
    { "1e3", HA_INTERVAL_BAD_UNIT },
    { "5s5s", HA_INTERVAL_BAD_UNIT },
    { "5\xb5s", HA_INTERVAL_BAD_UNIT },
    { "36601d", HA_INTERVAL_TOO_LARGE },
    { "3162240001", HA_INTERVAL_TOO_LARGE },
    { "3162240000001ms", HA_INTERVAL_TOO_LARGE },
    { "9223372036854775807ms", HA_INTERVAL_TOO_LARGE },
    { "9223372036854775808", HA_INTERVAL_TOO_LARGE },
    { "18446744073709551617s", HA_INTERVAL_TOO_LARGE },
    { "99999999999999999999999999999999999999h", HA_INTERVAL_TOO_LARGE },
};

START_TEST(a_number_and_its_unit_are_read)
{
    apr_interval_time_t usec = -1;

    ck_assert_msg(ha_interval_parse(&usec, good[_i].word) == HA_INTERVAL_OK,
                  "'%s' refused", good[_i].word);
    ck_assert_msg(usec == good[_i].usec, "'%s' read as %lld usec",
                  good[_i].word, (long long)usec);
}
END_TEST

START_TEST(anything_else_is_refused_whole)
{
    apr_interval_time_t usec = -1;
    ha_interval_e why = ha_interval_parse(&usec, bad[_i].word);

    ck_assert_msg(why == bad[_i].why, "'%s': verdict %d, not %d",
                  bad[_i].word, why, bad[_i].why);
    ck_assert_msg(usec == 0, "'%s' left %lld in the result", bad[_i].word,
                  (long long)usec);
}
END_TEST

/* Nothing but a digit may begin a word, nothing but a unit's letter or a
 * digit may follow: every byte is tried in both places. */
START_TEST(every_byte_is_judged_alike_before_and_after_a_digit)
{
    apr_interval_time_t usec;
    int byte;

    for (byte = 1; byte <= UCHAR_MAX; byte++) {
        char first[] = { (char)byte, '5', '\0' };
        char last[] = { '5', (char)byte, '\0' };
        int is_digit = byte >= '0' && byte <= '9';
        int is_unit = is_digit || byte == 's' || byte == 'm' || byte == 'h'
                      || byte == 'd';

        ck_assert_int_eq(ha_interval_parse(&usec, first) == HA_INTERVAL_OK,
                         is_digit);
        ck_assert_int_eq(ha_interval_parse(&usec, last) == HA_INTERVAL_OK,
                         is_unit);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_interval");
    TCase *tcase = tcase_create("parse");

    tcase_add_loop_test(tcase, a_number_and_its_unit_are_read, 0,
                        (int)(sizeof(good) / sizeof(good[0])));
    tcase_add_loop_test(tcase, anything_else_is_refused_whole, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, every_byte_is_judged_alike_before_and_after_a_digit);
    suite_add_tcase(suite, tcase);
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
