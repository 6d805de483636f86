/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_text.h"

#include <check.h>

#include "plugin_site.h"

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static plugin_site_t site;

static void set_up(void)
{
    plugin_site_open(&site);
}

static void tear_down(void)
{
    plugin_site_close(&site);
}

typedef struct row_t {
    const char *text;
    apr_size_t good; /* bytes that are UTF-8 */
    const char *printed;
} row_t;

static const row_t rows[] = {
    { "", 0, "" },
    { "plain", 5, "plain" },
    { "\xc3\xa4", 2, "\xc3\xa4" },
    { "\xe2\x82\xac", 3, "\xe2\x82\xac" },
    { "\xf0\x9f\x92\xa9", 4, "\xf0\x9f\x92\xa9" },
    { "\xf4\x8f\xbf\xbf", 4, "\xf4\x8f\xbf\xbf" },
    /* Cut, alone, overlong, surrogates, too high. */
    { "a\xc3", 1, "a?" },
    { "\xe2\x82", 0, "??" },
    { "\xf0\x9f\x92", 0, "???" },
    { "\x80", 0, "?" },
    { "\xc0\xaf", 0, "??" },
    { "\xc1\x81", 0, "??" },
    { "\xe0\x80\xaf", 0, "???" },
    { "\xe0\x9f\xbf", 0, "???" },
    { "\xf0\x80\x80\xaf", 0, "????" },
    { "\xf0\x8f\xbf\xbf", 0, "????" },
    { "\xed\xa0\x80", 0, "???" },
    { "\xed\x9f\xbf", 3, "\xed\x9f\xbf" },
    { "\xf4\x90\x80\x80", 0, "????" },
    { "\xf5\x80\x80\x80", 0, "????" },
    { "\xff\xfe", 0, "??" },
    { "\xc3(", 0, "?(" },
    { "\xe2\x82+", 0, "??+" },
    { "\xf0\x9f\x92+", 0, "???+" },
    /* What a terminal obeys. */
    { "a\x1b[2Jb", 6, "a?[2Jb" },
    { "a\r\nb\tc\x7f", 7, "a??b?c?" },
    { "\xc2\x9b" "2J", 4, "?2J" },
    { "\xc2\xa0", 2, "\xc2\xa0" }
};

START_TEST(only_well_formed_sequences_are_utf8)
{
    ck_assert_uint_eq(clone_text_utf8(span_of_text(rows[_i].text)),
                      rows[_i].good);
}
END_TEST

START_TEST(what_is_printed_obeys_no_one)
{
    ck_assert_str_eq(clone_text_printable(span_of_text(rows[_i].text), 100,
                                          site.p), rows[_i].printed);
}
END_TEST

START_TEST(a_long_text_is_cut_between_characters)
{
    span_t text = span_of_text("ab\xe2\x82\xac" "cd");

    ck_assert_str_eq(clone_text_printable(text, 7, site.p),
                     "ab\xe2\x82\xac" "cd");
    ck_assert_str_eq(clone_text_printable(text, 5, site.p),
                     "ab\xe2\x82\xac...");
    ck_assert_str_eq(clone_text_printable(text, 4, site.p), "ab...");
    ck_assert_str_eq(clone_text_printable(text, 0, site.p), "...");
}
END_TEST

START_TEST(every_byte_of_latin1_is_a_character)
{
    char bytes[256];
    span_t text;
    int i;

    for (i = 0; i < 256; i++) {
        bytes[i] = (char)i;
    }
    text = clone_text_of_latin1(span_of(bytes, sizeof(bytes)), site.p);
    ck_assert_uint_eq(text.len, 128 + 2 * 128);
    ck_assert_uint_eq(clone_text_utf8(text), text.len);
    ck_assert(span_is_equal(span_of(text.data, 128), span_of(bytes, 128)));
    ck_assert(span_is_equal(span_of(text.data + 128 + 2 * 0x64, 2),
                            span_of_text("\xc3\xa4")));
}
END_TEST

START_TEST(case_matters_to_no_letter_of_ascii)
{
    ck_assert(clone_text_is_alike(span_of_text("UTF-8"),
                                  span_of_text("utf-8")));
    ck_assert(!clone_text_is_alike(span_of_text("UTF-8"),
                                   span_of_text("UTF-")));
    ck_assert(!clone_text_is_alike(span_of_text("@"), span_of_text("`")));
    ck_assert(clone_text_is_alike(span_of(NULL, 0), span_of_text("")));
}
END_TEST

START_TEST(lower_case_is_for_letters_of_ascii_alone)
{
    char text[] = "AZ@[\xc3\x84Z";

    clone_text_lower(text);
    ck_assert_str_eq(text, "az@[\xc3\x84z");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_text");
    TCase *tests = tcase_create("clone_text");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, only_well_formed_sequences_are_utf8, 0,
                        LENGTH_OF(rows));
    tcase_add_loop_test(tests, what_is_printed_obeys_no_one, 0,
                        LENGTH_OF(rows));
    tcase_add_test(tests, a_long_text_is_cut_between_characters);
    tcase_add_test(tests, every_byte_of_latin1_is_a_character);
    tcase_add_test(tests, case_matters_to_no_letter_of_ascii);
    tcase_add_test(tests, lower_case_is_for_letters_of_ascii_alone);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
