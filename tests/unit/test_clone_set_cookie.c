/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_set_cookie.h"

#include <check.h>
#include <stdlib.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* 2026-11-25 12:00:00 GMT */
#define NOW (1795608000 * APR_USEC_PER_SEC)

/* value: NULL when the line is about something else. */
typedef struct row_t {
    const char *line;
    const char *value;
    int is_ended;
} row_t;

static const row_t rows[] = {
    { "J=0000s:A", "0000s:A", 0 },
    { "J=0000s:A; Path=/; HttpOnly", "0000s:A", 0 },
    { " J = \"0000s:A\" ;Path=/", "0000s:A", 0 },
    { "J=a=b; Path=/", "a=b", 0 },
    { "J=a,b; Path=/", "a,b", 0 },
    { "JX=a", NULL, 0 },
    { "j=a", NULL, 0 },
    { "X=J=a", NULL, 0 },
    { "J", NULL, 0 },
    { "J; J=a", NULL, 0 },
    { "", NULL, 0 },
    { ";", NULL, 0 },
    { "=a", NULL, 0 },
    /* Empty, and over by Max-Age, the last of which counts. */
    { "J=", "", 1 },
    { "J=\"\"; Path=/", "", 1 },
    { "J=a; Max-Age=0", "a", 1 },
    { "J=a; max-age = -1", "a", 1 },
    { "J=a; MAX-AGE=00", "a", 1 },
    { "J=a; Max-Age=1", "a", 0 },
    { "J=a; Max-Age=99999999999999999999999", "a", 0 },
    { "J=a; Max-Age=", "a", 0 },
    { "J=a; Max-Age=0x", "a", 0 },
    { "J=a; Max-Age=-", "a", 0 },
    { "J=a; Max-Age", "a", 0 },
    { "J=a; Max-Age=0; Max-Age=5", "a", 0 },
    { "J=a; Max-Age=0; Max-Age=x", "a", 1 },
    { "J=a; X-Max-Age=0", "a", 0 },
    /* Over by Expires, in all forms that servers write. */
    { "J=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a", 1 },
    { "J=a; Expires=Thu, 01-Jan-1970 00:00:10 GMT", "a", 1 },
    { "J=a; Expires=Thu, 01-Dec-94 16:00:00 GMT", "a", 1 },
    { "J=a; expires=Thu Dec  1 16:00:00 1994", "a", 1 },
    { "J=a; Expires=Sun, 1 Jan 1601 00:00:00 GMT", "a", 1 },
    { "J=a; Expires=Wed, 25 Nov 2026 12:00:00 GMT", "a", 1 },
    { "J=a; Expires=Wed, 25 Nov 2026 12:00:01 GMT", "a", 0 },
    { "J=a; Expires=Thu, 26-Nov-26 11:00:00 GMT", "a", 0 },
    { "J=a; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "a", 0 },
    { "J=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=5", "a", 0 },
    { "J=a; Expires=Fri, 31 Dec 9999 23:59:59 GMT; Max-Age=0", "a", 1 },
    /* What is no date ends nothing. */
    { "J=a; Expires=0", "a", 0 },
    { "J=a; Expires=", "a", 0 },
    { "J=a; Expires=Thu, 01 Jan 1970", "a", 0 },
    { "J=a; Expires=01 1970 00:00:00", "a", 0 },
    { "J=a; Expires=Jan 1970 00:00:00", "a", 0 },
    { "J=a; Expires=01 Jan 00:00:00", "a", 0 },
    { "J=a; Expires=Thu, 00 Jan 1970 00:00:00 GMT", "a", 0 },
    { "J=a; Expires=Thu, 32 Jan 1970 00:00:00 GMT", "a", 0 },
    { "J=a; Expires=Thu, 01 Jan 1970 24:00:00 GMT", "a", 0 },
    { "J=a; Expires=Thu, 01 Jan 1970 00:60:00 GMT", "a", 0 },
    { "J=a; Expires=Thu, 01 Jan 19700 00:00:00 GMT", "a", 0 }
};

START_TEST(a_line_is_read_as_browsers_read_it)
{
    const row_t *row = &rows[_i];
    clone_set_cookie_t cookie;
    int is_ours;

    memset(&cookie, 0x5a, sizeof(cookie));
    is_ours = clone_set_cookie_read(&cookie, span_of_text(row->line),
                                    span_of_text("J"), NOW);
    ck_assert_msg(is_ours == (row->value != NULL), "row %d", _i);
    ck_assert_msg(span_is_equal(cookie.value,
                                span_of_text(row->value != NULL ? row->value
                                                                : "")),
                  "row %d: '%.*s'", _i, (int)cookie.value.len,
                  cookie.value.data);
    ck_assert_msg(cookie.is_ended == row->is_ended, "row %d: %d", _i,
                  cookie.is_ended);
}
END_TEST

START_TEST(every_prefix_of_a_line_is_read_within_its_bounds)
{
    const row_t *row = &rows[_i];
    apr_size_t len;

    for (len = 0; len <= strlen(row->line); len++) {
        /* On the heap and exact, so that valgrind and ASan see one byte. */
        char *copy = malloc(len > 0 ? len : 1);
        clone_set_cookie_t cookie;

        memcpy(copy, row->line, len);
        if (clone_set_cookie_read(&cookie, span_of(copy, len),
                                  span_of_text("J"), NOW)) {
            ck_assert(cookie.value.data >= copy);
            ck_assert(cookie.value.data + cookie.value.len <= copy + len);
        }
        free(copy);
    }
}
END_TEST

START_TEST(an_empty_name_matches_nothing)
{
    clone_set_cookie_t cookie;

    ck_assert(!clone_set_cookie_read(&cookie, span_of_text("=a"),
                                     span_of_text(""), NOW));
    ck_assert(!clone_set_cookie_read(&cookie, span_of(NULL, 0),
                                     span_of(NULL, 0), NOW));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_set_cookie");
    TCase *tests = tcase_create("clone_set_cookie");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, a_line_is_read_as_browsers_read_it, 0,
                        LENGTH_OF(rows));
    tcase_add_loop_test(tests, every_prefix_of_a_line_is_read_within_its_bounds,
                        0, LENGTH_OF(rows));
    tcase_add_test(tests, an_empty_name_matches_nothing);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
