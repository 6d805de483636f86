/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_values.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* values: what is expected, joined by " | ". */
typedef struct row_t {
    const char *text;
    const char *values;
} row_t;

static const row_t cookie_rows[] = {
    { "JSESSIONID=a", "a" },
    { "JSESSIONID=a; JSESSIONID=b;JSESSIONID=c", "a | b | c" },
    { "x=1; JSESSIONID=a; y=2", "a" },
    { "x=1, JSESSIONID=a, JSESSIONID=b", "a | b" },
    { "x=1, JSESSIONID=a; y=2, JSESSIONID=b; z=3; JSESSIONID=c, JSESSIONID=d",
      "a | b | c | d" },
    { "JSESSIONID=a,JSESSIONID=b;JSESSIONID=c;x=1,", "a | b | c" },
    { "JSESSIONID = a ", "a" },
    { "JSESSIONID=\"a\"; x=1", "\"a\"" },
    { "size=24\"; JSESSIONID=a; h=10\"", "a" },
    { "a=\"x; JSESSIONID=a; b=\"y", "a" },
    { "y=\"never closed; JSESSIONID=a", "a" },
    { "JSESSIONID=a=b", "a=b" },
    { "JSESSIONID=", "" },
    { "JSESSIONID", "" },
    { "", "" },
    { ";;,=;", "" },
    { "XJSESSIONID=a; JSESSIONIDX=b; jsessionid=c", "" },
    { "x=JSESSIONID=a", "" },
    { "JSESSIONID=0000s:A:B; $Path=/shop", "0000s:A:B" }
};

static const row_t url_rows[] = {
    { "/shop/x.jsp;JSESSIONID=a;c=b?q=1", "a" },
    { "/shop/x.jsp;c=b;JSESSIONID=a?q=1", "a" },
    { "balancer://shop/x;JSESSIONID=a", "a" },
    { "/shop/x.jsp;JSESSIONID=0000A2MB4IJozU_VM8IffsMNfdR:v544d0o0;a=b?q=1",
      "0000A2MB4IJozU_VM8IffsMNfdR:v544d0o0" },
    { "/a;JSESSIONID=v/b", "v" },
    { "/a;JSESSIONID=v#b", "v" },
    { "/a?JSESSIONID=v", "v" },
    { "/a?x=1&JSESSIONID=v&y=2", "v" },
    { "/a;JSESSIONID=u?JSESSIONID=v&JSESSIONID=w", "u | v | w" },
    { "/a#;JSESSIONID=v", "" },
    { "/JSESSIONID=v/a", "" },
    { "/a&JSESSIONID=v", "" },
    { "/a?x=/b&JSESSIONID=v", "v" },
    { "/a?x=?JSESSIONID=v", "" },
    { "/a;XJSESSIONID=v;JSESSIONIDX=v", "" },
    { "/a;JSESSIONID=", "" },
    { "/a;", "" },
    { "", "" }
};

static void assert_values(const clone_values_t *values, const char *wanted)
{
    char joined[512] = "";
    unsigned int i;

    for (i = 0; i < values->count; i++) {
        if (i > 0) {
            strcat(joined, " | ");
        }
        strncat(joined, values->value[i].data, values->value[i].len);
    }
    ck_assert_str_eq(joined, wanted);
}

START_TEST(every_cookie_of_the_name_is_found)
{
    clone_values_t values;

    clone_values_init(&values);
    clone_values_add_cookies(&values, span_of_text(cookie_rows[_i].text),
                             span_of_text("JSESSIONID"));
    assert_values(&values, cookie_rows[_i].values);
    ck_assert_uint_eq(values.cookies, values.count);
}
END_TEST

START_TEST(every_parameter_of_the_name_is_found)
{
    clone_values_t values;

    clone_values_init(&values);
    clone_values_add_url(&values, span_of_text(url_rows[_i].text),
                         span_of_text("JSESSIONID"));
    assert_values(&values, url_rows[_i].values);
    ck_assert_uint_eq(values.cookies, 0);
}
END_TEST

START_TEST(a_query_may_come_alone)
{
    static const row_t queries[] = {
        { "j=a", "a" },          { "x=1&j=a&y=2", "a" }, { "j=a;j=b", "a | b" },
        { "x=/j=a&j=/b", "/b" }, { "x=?j=a", "" },       { "j=a#&j=b", "a" },
        { "", "" }
    };
    clone_values_t values;

    clone_values_init(&values);
    clone_values_add_query(&values, span_of_text(queries[_i].text),
                           span_of_text("j"));
    assert_values(&values, queries[_i].values);
}
END_TEST

START_TEST(cookies_stand_before_the_url)
{
    clone_values_t values;

    clone_values_init(&values);
    clone_values_add_cookies(&values, span_of_text("J=a"), span_of_text("J"));
    clone_values_add_url(&values, span_of_text("/x;j=b"), span_of_text("j"));
    assert_values(&values, "a | b");
    ck_assert_uint_eq(values.cookies, 1);
}
END_TEST

START_TEST(no_name_finds_nothing)
{
    clone_values_t values;

    clone_values_init(&values);
    clone_values_add_cookies(&values, span_of_text("=a; =b"), span_of("", 0));
    clone_values_add_url(&values, span_of_text("/x;=b?=c"), span_of("", 0));
    ck_assert_uint_eq(values.count, 0);
}
END_TEST

START_TEST(values_above_the_limit_are_ignored)
{
    char header[16 * (CLONE_VALUES_MAX + 4)] = "";
    clone_values_t values;
    int i;

    for (i = 0; i < CLONE_VALUES_MAX + 4; i++) {
        sprintf(header + strlen(header), "J=%d;", i);
    }
    clone_values_init(&values);
    clone_values_add_cookies(&values, span_of_text(header),
                             span_of_text("J"));
    ck_assert_uint_eq(values.count, CLONE_VALUES_MAX);
    ck_assert(span_is_equal(values.value[0], span_of_text("0")));
    clone_values_add_url(&values, span_of_text("/x;j=9"), span_of_text("j"));
    ck_assert_uint_eq(values.count, CLONE_VALUES_MAX);
}
END_TEST

/* Both readers over exactly len bytes on the heap. */
static void read_prefix(const char *text, apr_size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    clone_values_t values;
    unsigned int i;

    memcpy(copy, text, len);
    clone_values_init(&values);
    clone_values_add_cookies(&values, span_of(copy, len),
                             span_of_text("JSESSIONID"));
    clone_values_add_url(&values, span_of(copy, len),
                         span_of_text("JSESSIONID"));
    clone_values_add_query(&values, span_of(copy, len),
                           span_of_text("JSESSIONID"));
    for (i = 0; i < values.count; i++) {
        ck_assert(values.value[i].len > 0);
        ck_assert(values.value[i].data >= copy);
        ck_assert(values.value[i].data + values.value[i].len <= copy + len);
    }
    free(copy);
}

START_TEST(every_prefix_is_read_within_its_bounds)
{
    apr_size_t len;
    int i;

    for (i = 0; i < LENGTH_OF(cookie_rows); i++) {
        for (len = 0; len <= strlen(cookie_rows[i].text); len++) {
            read_prefix(cookie_rows[i].text, len);
        }
    }
    for (i = 0; i < LENGTH_OF(url_rows); i++) {
        for (len = 0; len <= strlen(url_rows[i].text); len++) {
            read_prefix(url_rows[i].text, len);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_values");
    TCase *tests = tcase_create("clone_values");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, every_cookie_of_the_name_is_found, 0,
                        LENGTH_OF(cookie_rows));
    tcase_add_loop_test(tests, every_parameter_of_the_name_is_found, 0,
                        LENGTH_OF(url_rows));
    tcase_add_loop_test(tests, a_query_may_come_alone, 0, 7);
    tcase_add_test(tests, cookies_stand_before_the_url);
    tcase_add_test(tests, no_name_finds_nothing);
    tcase_add_test(tests, values_above_the_limit_are_ignored);
    tcase_add_test(tests, every_prefix_is_read_within_its_bounds);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
