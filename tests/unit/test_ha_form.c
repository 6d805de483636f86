/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_form.h"

#include <check.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ha_limits.h"

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static apr_pool_t *pool;

static void set_up(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

/* Parse bytes that end where a sanitizer sees it. */
static ha_form_e parse(ha_op_t **ops, unsigned int *count, span_t text)
{
    char *exact = apr_pmemdup(pool, text.data, text.len);

    return ha_form_parse(ops, count, span_of(exact, text.len), pool);
}

/* "+name=value" and "-name", each behind a bar. */
static const char *ops_text(const ha_op_t *ops, unsigned int count)
{
    const char *text = "";
    unsigned int i;

    for (i = 0; i < count; i++) {
        ck_assert_uint_eq(strlen(ops[i].name.data), ops[i].name.len);
        if (ops[i].gone) {
            ck_assert_uint_eq(ops[i].value.len, 0);
            text = apr_pstrcat(pool, text, "|-", ops[i].name.data, NULL);
        }
        else {
            ck_assert_uint_eq(strlen(ops[i].value.data), ops[i].value.len);
            text = apr_pstrcat(pool, text, "|+", ops[i].name.data, "=",
                               ops[i].value.data, NULL);
        }
    }
    return text;
}

typedef struct good_t {
    const char *text;
    const char *ops;
} good_t;

static const good_t goods[] = {
    { "", "" },
    { "a=1", "|+a=1" },
    { "a=1&b=2", "|+a=1|+b=2" },
    { "-a", "|-a" },
    { "a=1&-b&c=3", "|+a=1|-b|+c=3" },
    { "a=", "|+a=" },
    /* Whatever an encoder of forms writes has a "=" and sets. */
    { "-a=1", "|+-a=1" },
    { "--a", "|--a" },
    { "-%2Da", "|--a" },
    { "%2Da=1", "|+-a=1" },
    /* The first "=" parts them, as in every reader of forms. */
    { "a=b=c==", "|+a=b=c==" },
    { "a=+b+c&d%20e=f%2Bg", "|+a= b c|+d e=f+g" },
    { "n%c3%BCll=%C3%bc", "|+n\xc3\xbcll=\xc3\xbc" },
    { "a=%26%3D%2C%25&b=1", "|+a=&=,%|+b=1" },
    { "a=1%0a%0D%01%7F%FF", "|+a=1\n\r\x01\x7f\xff" },
    /* What other encoders leave as it is. */
    { "a=!#$'()*-./:;<>?@[]^_`{|}~", "|+a=!#$'()*-./:;<>?@[]^_`{|}~" },
    /* Several header lines, as httpd joins them. */
    { "a=1, b=2, -c", "|+a=1|+b=2|-c" },
    { "a=1,\tb=2&-c", "|+a=1|+b=2|-c" },
    { "a=, b=2", "|+a=|+b=2" },
    /* Nothing between two separators is nothing. */
    { "&a=1&&b=2&", "|+a=1|+b=2" },
    { "&", "" },
    { " \t", "" },
    { ", , a=1, ", "|+a=1" },
    { "  a=1 & b=2  ", "|+a=1|+b=2" },
    /* In their order: who applies them lets the last one win. */
    { "a=1&A=2&-a", "|+a=1|+A=2|-a" },
};

START_TEST(what_an_application_says_is_understood)
{
    ha_op_t *ops = NULL;
    unsigned int count = 99;

    ck_assert_str_eq(ha_form_name(parse(&ops, &count,
                                        span_of_text(goods[_i].text))),
                     "ok");
    ck_assert_str_eq(ops_text(ops, count), goods[_i].ops);
    ck_assert_int_eq(ops == NULL, count == 0);
}
END_TEST

typedef struct bad_t {
    const char *text;
    ha_form_e result;
} bad_t;

static const bad_t bads[] = {
    { "a", HA_FORM_NO_VERB },
    { "a&b=1", HA_FORM_NO_VERB },
    { "+a", HA_FORM_NO_VERB },
    { "%2Da", HA_FORM_NO_VERB },
    { "=1", HA_FORM_NO_NAME },
    { "=", HA_FORM_NO_NAME },
    { "-", HA_FORM_NO_NAME },
    { "b=1&-", HA_FORM_NO_NAME },
    { "a=%", HA_FORM_BAD_ESCAPE },
    { "a=%4", HA_FORM_BAD_ESCAPE },
    { "a=%4&b=1", HA_FORM_BAD_ESCAPE },
    { "a=%4g", HA_FORM_BAD_ESCAPE },
    { "a=%g4", HA_FORM_BAD_ESCAPE },
    { "a=100%", HA_FORM_BAD_ESCAPE },
    { "%=1", HA_FORM_BAD_ESCAPE },
    { "-%u0041", HA_FORM_BAD_ESCAPE },
    { "a=%00", HA_FORM_ZERO_BYTE },
    { "%00=1", HA_FORM_ZERO_BYTE },
    { "-%00", HA_FORM_ZERO_BYTE },
    /* A basket that nobody encoded is not a basket and a removal. */
    { "basket=1,2", HA_FORM_BARE_BYTE },
    { "basket=1,-2", HA_FORM_BARE_BYTE },
    { "basket=1, 2", HA_FORM_NO_VERB },
    { "a=1,", HA_FORM_BARE_BYTE },
    { "a=x y", HA_FORM_BARE_BYTE },
    { "a=\"x\"", HA_FORM_BARE_BYTE },
    { "a=\\x", HA_FORM_BARE_BYTE },
    { "a=\x7f", HA_FORM_BARE_BYTE },
    { "a=\x01", HA_FORM_BARE_BYTE },
    { "a=\xc3\xbc", HA_FORM_BARE_BYTE },
    { "a b=1", HA_FORM_BARE_BYTE },
    { "-a b", HA_FORM_BARE_BYTE },
};

START_TEST(a_fault_anywhere_changes_nothing)
{
    static const char *const around[][2] = {
        { "", "" }, { "x=1&", "" }, { "", "&x=1" }, { "-x, ", ", y=2" }
    };
    int i;

    for (i = 0; i < LENGTH_OF(around); i++) {
        ha_op_t *ops = NULL;
        unsigned int count = 99;
        const char *text = apr_pstrcat(pool, around[i][0], bads[_i].text,
                                       around[i][1], NULL);

        if (strcmp(bads[_i].text, "a=1,") == 0 && i == 3) {
            continue; /* ",, " is a comma and a separator */
        }
        ck_assert_str_eq(ha_form_name(parse(&ops, &count,
                                            span_of_text(text))),
                         ha_form_name(bads[_i].result));
        ck_assert_ptr_null(ops);
        ck_assert_uint_eq(count, 0);
    }
}
END_TEST

/* A letter, repeated. */
static char *run_of(apr_size_t len)
{
    char *text = apr_palloc(pool, len + 1);

    memset(text, 'n', len);
    text[len] = '\0';
    return text;
}

START_TEST(limits_are_exact)
{
    ha_op_t *ops;
    unsigned int count;
    char *many = run_of((apr_size_t)4 * (HA_ATTRS_MAX + 1));
    int i;

    for (i = 0; i <= HA_ATTRS_MAX; i++) {
        memcpy(many + (apr_size_t)4 * (apr_size_t)i, "a=1&", 4);
    }
    ck_assert_int_eq(parse(&ops, &count, span_of(many, 4 * HA_ATTRS_MAX)),
                     HA_FORM_OK);
    ck_assert_uint_eq(count, HA_ATTRS_MAX);
    ck_assert_int_eq(parse(&ops, &count, span_of_text(many)),
                     HA_FORM_TOO_MANY);
    ck_assert_uint_eq(count, 0);

    ck_assert_int_eq(parse(&ops, &count, span_of_text(
        apr_pstrcat(pool, "-", run_of(HA_ATTR_NAME_MAX), NULL))), HA_FORM_OK);
    ck_assert_int_eq(parse(&ops, &count, span_of_text(
        apr_pstrcat(pool, "-", run_of(HA_ATTR_NAME_MAX + 1), NULL))),
                     HA_FORM_LONG_NAME);

    ck_assert_int_eq(parse(&ops, &count, span_of_text(
        apr_pstrcat(pool, "a=", run_of(HA_FORM_MAX - 2), NULL))), HA_FORM_OK);
    ck_assert_int_eq(parse(&ops, &count, span_of_text(
        apr_pstrcat(pool, "a=", run_of(HA_FORM_MAX - 1), NULL))),
                     HA_FORM_TOO_LONG);
}
END_TEST

/* A thousand commas are not a thousand changes. */
START_TEST(separators_cost_nothing)
{
    ha_op_t *ops;
    unsigned int count;
    char *text = run_of(HA_FORM_MAX);

    memset(text, '&', HA_FORM_MAX);
    memcpy(text + HA_FORM_MAX - 3, "a=1", 3);
    ck_assert_int_eq(parse(&ops, &count, span_of_text(text)), HA_FORM_OK);
    ck_assert_str_eq(ops_text(ops, count), "|+a=1");
}
END_TEST

START_TEST(every_byte_can_be_said)
{
    const char *text = "";
    ha_op_t *ops;
    unsigned int count;
    int i;

    for (i = 1; i < 256; i++) {
        text = apr_psprintf(pool, "%s%%%02x", text, (unsigned int)i);
    }
    text = apr_pstrcat(pool, text, "=", text, "&-", text, NULL);
    ck_assert_int_eq(parse(&ops, &count, span_of_text(text)), HA_FORM_OK);
    ck_assert_uint_eq(count, 2);
    for (i = 1; i < 256; i++) {
        ck_assert_int_eq((unsigned char)ops[0].name.data[i - 1], i);
        ck_assert_int_eq((unsigned char)ops[0].value.data[i - 1], i);
        ck_assert_int_eq((unsigned char)ops[1].name.data[i - 1], i);
    }
    ck_assert_uint_eq(ops[0].value.len, 255);
}
END_TEST

START_TEST(every_fault_has_its_own_words)
{
    int i;
    int j;

    for (i = HA_FORM_OK; i <= HA_FORM_BARE_BYTE; i++) {
        ck_assert_str_ne(ha_form_name((ha_form_e)i), "no such result");
        for (j = HA_FORM_OK; j < i; j++) {
            ck_assert_str_ne(ha_form_name((ha_form_e)i),
                             ha_form_name((ha_form_e)j));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_form");
    TCase *tests = tcase_create("ha_form");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, what_an_application_says_is_understood, 0,
                        LENGTH_OF(goods));
    tcase_add_loop_test(tests, a_fault_anywhere_changes_nothing, 0,
                        LENGTH_OF(bads));
    tcase_add_test(tests, limits_are_exact);
    tcase_add_test(tests, separators_cost_nothing);
    tcase_add_test(tests, every_byte_can_be_said);
    tcase_add_test(tests, every_fault_has_its_own_words);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
