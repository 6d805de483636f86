/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_json.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static apr_pool_t *pool;

static void set_up(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

typedef struct row_t {
    const char *text;
    clone_json_e wanted;
} row_t;

static const row_t rows[] = {
    { "{}", CLONE_JSON_OK },
    { " \t\r\n{ } \n", CLONE_JSON_OK },
    { "{\"a\":\"\"}", CLONE_JSON_OK },
    { "{\"a\":1,\"b\":-0,\"c\":0.5,\"d\":1e9,\"e\":2E-3}", CLONE_JSON_OK },
    { "{\"a\":true,\"b\":false,\"c\":null}", CLONE_JSON_OK },
    { "{\"\":1}", CLONE_JSON_OK },
    { "", CLONE_JSON_NO_OBJECT },
    { "[]", CLONE_JSON_NO_OBJECT },
    { "\"a\"", CLONE_JSON_NO_OBJECT },
    { "\xef\xbb\xbf{}", CLONE_JSON_NO_OBJECT },
    { "{", CLONE_JSON_SYNTAX },
    { "{\"a\"", CLONE_JSON_SYNTAX },
    { "{\"a\":", CLONE_JSON_SYNTAX },
    { "{\"a\":1", CLONE_JSON_SYNTAX },
    { "{\"a\":1,", CLONE_JSON_SYNTAX },
    { "{\"a\":1,}", CLONE_JSON_SYNTAX },
    { "{\"a\" 1}", CLONE_JSON_SYNTAX },
    { "{a:1}", CLONE_JSON_SYNTAX },
    { "{'a':1}", CLONE_JSON_SYNTAX },
    { "{\"a\":\"b}", CLONE_JSON_SYNTAX },
    { "{\"a\":tru}", CLONE_JSON_SYNTAX },
    { "{\"a\":truely}", CLONE_JSON_SYNTAX },
    { "{\"a\":TRUE}", CLONE_JSON_SYNTAX },
    { "{\"a\":01}", CLONE_JSON_SYNTAX },
    { "{\"a\":+1}", CLONE_JSON_SYNTAX },
    { "{\"a\":.5}", CLONE_JSON_SYNTAX },
    { "{\"a\":1.}", CLONE_JSON_SYNTAX },
    { "{\"a\":1e}", CLONE_JSON_SYNTAX },
    { "{\"a\":-}", CLONE_JSON_SYNTAX },
    { "{\"a\":NaN}", CLONE_JSON_SYNTAX },
    { "{\"a\":{}}", CLONE_JSON_NESTED },
    { "{\"a\":[1]}", CLONE_JSON_NESTED },
    { "{\"a\":\"\t\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\\x\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\\u12\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\\u12g4\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\\u0000\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\\ud800\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\\ud800\\u0041\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\\udc00\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\xff\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\xc0\xaf\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\xe0\x80\xaf\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\xed\xa0\x80\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\xf4\x90\x80\x80\"}", CLONE_JSON_STRING },
    { "{\"a\":\"\xc3\"}", CLONE_JSON_STRING },
    { "{\"a\":1,\"a\":1}", CLONE_JSON_TWICE },
    { "{\"a\":1,\"\\u0061\":1}", CLONE_JSON_TWICE },
    { "{}{}", CLONE_JSON_TRAILING },
    { "{} x", CLONE_JSON_TRAILING }
};

START_TEST(each_text_gets_its_verdict)
{
    clone_json_t json;

    ck_assert_int_eq(clone_json_parse(&json, span_of_text(rows[_i].text),
                                      pool), rows[_i].wanted);
    if (rows[_i].wanted != CLONE_JSON_OK) {
        ck_assert_uint_eq(json.count, 0);
    }
}
END_TEST

START_TEST(strings_are_unescaped)
{
    clone_json_t json;
    const char *text = "{\"\\u0061\\n\":\"\\\"\\\\\\/\\b\\f\\r\\t"
                       "\\u00e9\\u20ac\\ud83d\\ude00\xc3\xa9\",\"n\":-1.5e3}";

    ck_assert_int_eq(clone_json_parse(&json, span_of_text(text), pool),
                     CLONE_JSON_OK);
    ck_assert_uint_eq(json.count, 2);
    ck_assert_str_eq(json.pair[0].name, "a\n");
    ck_assert_str_eq(json.pair[0].text, "\"\\/\b\f\r\t\xc3\xa9\xe2\x82\xac"
                                        "\xf0\x9f\x98\x80\xc3\xa9");
    ck_assert_int_eq(json.pair[0].type, CLONE_JSON_TEXT);
    ck_assert_str_eq(clone_json_get(&json, "n")->text, "-1.5e3");
    ck_assert_int_eq(clone_json_get(&json, "n")->type, CLONE_JSON_NUMBER);
    ck_assert_ptr_null(clone_json_get(&json, "a"));
}
END_TEST

START_TEST(no_prefix_of_a_text_is_one)
{
    const char *text = "{\"a\":\"\\u00e9\",\"b\":true,\"c\":-1.0e1}";
    clone_json_t json;
    apr_size_t len;

    for (len = 0; len < strlen(text); len++) {
        ck_assert_int_ne(clone_json_parse(&json, span_of(text, len), pool),
                         CLONE_JSON_OK);
    }
}
END_TEST

START_TEST(a_byte_of_zero_is_no_text)
{
    static const char text[] = "{\"a\":\"b\0c\"}";
    static const char outside[] = "{\"a\":\0}";
    clone_json_t json;

    ck_assert_int_eq(clone_json_parse(&json, span_of(text, sizeof(text) - 1),
                                      pool), CLONE_JSON_STRING);
    ck_assert_int_eq(clone_json_parse(&json, span_of(outside,
                                                     sizeof(outside) - 1),
                                      pool), CLONE_JSON_SYNTAX);
}
END_TEST

static span_t many(int count, apr_pool_t *p)
{
    const char *text = "{";
    int i;

    for (i = 0; i < count; i++) {
        text = apr_psprintf(p, "%s%s\"k%d\":0", text, i > 0 ? "," : "", i);
    }
    return span_of_text(apr_pstrcat(p, text, "}", NULL));
}

START_TEST(there_are_limits)
{
    clone_json_t json;
    char *text = apr_palloc(pool, CLONE_JSON_MAX + 2);

    ck_assert_int_eq(clone_json_parse(&json, many(CLONE_JSON_PAIRS_MAX, pool),
                                      pool), CLONE_JSON_OK);
    ck_assert_int_eq(clone_json_parse(&json,
                                      many(CLONE_JSON_PAIRS_MAX + 1, pool),
                                      pool), CLONE_JSON_TOO_MANY);
    memset(text, ' ', CLONE_JSON_MAX + 1);
    memcpy(text, "{}", 2);
    ck_assert_int_eq(clone_json_parse(&json, span_of(text, CLONE_JSON_MAX),
                                      pool), CLONE_JSON_OK);
    ck_assert_int_eq(clone_json_parse(&json, span_of(text, CLONE_JSON_MAX + 1),
                                      pool), CLONE_JSON_TOO_LONG);
}
END_TEST

START_TEST(a_quoted_text_reads_the_same)
{
    ck_assert_str_eq(clone_json_quote("a\"b\\c\n\x7f\xc3\xa9", pool),
                     "\"a\\\"b\\\\c\\u000a\\u007f\xc3\xa9\"");
    ck_assert_str_eq(clone_json_quote("\xe9", pool), "\"\\u00e9\"");
    ck_assert_str_eq(clone_json_quote("", pool), "\"\"");
}
END_TEST

START_TEST(every_fault_has_words)
{
    ck_assert_str_ne(clone_json_name((clone_json_e)_i), "?");
    ck_assert_str_eq(clone_json_name((clone_json_e)99), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_json");
    TCase *tc = tcase_create("clone_json");
    SRunner *runner;
    int failed;

    apr_initialize();
    atexit(apr_terminate);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, each_text_gets_its_verdict, 0, LENGTH_OF(rows));
    tcase_add_test(tc, strings_are_unescaped);
    tcase_add_test(tc, no_prefix_of_a_text_is_one);
    tcase_add_test(tc, a_byte_of_zero_is_no_text);
    tcase_add_test(tc, there_are_limits);
    tcase_add_test(tc, a_quoted_text_reads_the_same);
    tcase_add_loop_test(tc, every_fault_has_words, 0,
                        CLONE_JSON_TRAILING + 1);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
