/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_fields.h"

#include <check.h>
#include <stdlib.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* in a request, in an answer */
static const struct {
    const char *name;
    int is_private;
    int is_private_reply;
} names[] = {
    { "$WSRA", 1, 1 }, { "$wsra", 1, 1 }, { "$Wsru", 1, 1 },
    { "$WSodd-new-one", 1, 1 }, { "$WS", 1, 1 }, { "$WSEP", 1, 1 },
    { "_WS_HAPRT_WLMVERSION", 1, 1 }, { "_ws_haprt_wlmversion", 1, 1 },
    { "_WS_", 1, 1 }, { "_WS_new", 1, 1 },
    { "rmcorrelator", 1, 0 }, { "RMCORRELATOR", 1, 0 },
    { "ARM_CORRELATOR", 1, 0 }, { "arm_correlator", 1, 0 },
    { "ZOS_TRAN_XID", 1, 0 }, { "zos_tran_xid", 1, 0 },
    { "$W", 0, 0 }, { "$", 0, 0 }, { "", 0, 0 }, { "_WS", 0, 0 },
    { "WSRA", 0, 0 }, { "X-$WSRA", 0, 0 }, { "-WS_", 0, 0 },
    { "rmcorrelators", 0, 0 }, { "rmcorrelato", 0, 0 },
    { "Cookie", 0, 0 }, { "X-Forwarded-For", 0, 0 }, { "Host", 0, 0 }
};

START_TEST(private_names_are_known_in_any_case_and_no_others)
{
    span_t name = span_of_text(names[_i].name);

    ck_assert_int_eq(clone_fields_is_private(name), names[_i].is_private);
    ck_assert_int_eq(clone_fields_is_private_reply(name),
                     names[_i].is_private_reply);
}
END_TEST

START_TEST(a_name_is_read_within_its_bounds)
{
    ck_assert(!clone_fields_is_private(span_of("$WSRA", 2)));
    ck_assert(!clone_fields_is_private(span_of("rmcorrelator", 11)));
    ck_assert(clone_fields_is_private(span_of("rmcorrelatorx", 12)));
    ck_assert(!clone_fields_is_private(span_of(NULL, 0)));
}
END_TEST

START_TEST(a_value_that_would_end_its_line_is_not_sent)
{
    static const char *const bad[] = {
        "", "a\rb", "a\nb", "\n", "a\r\n$WSRU: root", "a\tb", "\x7f", "\x01"
    };
    char *long_one = malloc(CLONE_FIELD_MAX + 1);
    int i;

    for (i = 0; i < LENGTH_OF(bad); i++) {
        ck_assert(!clone_fields_is_value(span_of_text(bad[i])));
    }
    ck_assert(!clone_fields_is_value(span_of("a\0b", 3)));
    ck_assert(clone_fields_is_value(span_of_text("10.0.0.1")));
    ck_assert(clone_fields_is_value(span_of_text("CN=J\xc3\xb6rg, O=x y")));
    memset(long_one, 'x', CLONE_FIELD_MAX + 1);
    ck_assert(clone_fields_is_value(span_of(long_one, CLONE_FIELD_MAX)));
    ck_assert(!clone_fields_is_value(span_of(long_one, CLONE_FIELD_MAX + 1)));
    free(long_one);
}
END_TEST

static const struct {
    const char *list;
    const char *rest;
    int is_found;
} lists[] = {
    { "keep-alive", "keep-alive", 0 },
    { "close, Upgrade", "close, Upgrade", 0 },
    { "$WSRA", "", 1 },
    { "close, $WSRA", "close", 1 },
    { "$wsra,close", "close", 1 },
    { "a,$WSRA,b", "a, b", 1 },
    { "a;$WSRA b", "a, b", 1 },
    { "\"$WSRA\", a", "a", 1 },
    { ",,, $WSRA ;; rmcorrelator\t_WS_x ,", "", 1 },
    { "a,b,c", "a, b, c", 0 },
    { " , ", "", 0 },
    { "", "", 0 },
    { "x$WSRA", "x$WSRA", 0 }
};

START_TEST(private_names_go_from_a_list_and_the_others_stay)
{
    const char *list = lists[_i].list;
    char out[128];

    memset(out, '#', sizeof(out));
    ck_assert_int_eq(clone_fields_filter(out, span_of_text(list)),
                     lists[_i].is_found);
    ck_assert_str_eq(out, lists[_i].rest);
    ck_assert_uint_le(strlen(out), 2 * strlen(list));
}
END_TEST

START_TEST(every_prefix_of_a_list_is_read_within_its_bounds)
{
    const char *list = lists[_i].list;
    apr_size_t len;

    for (len = 0; len <= strlen(list); len++) {
        char *copy = malloc(len + 1);
        char *out = malloc(2 * len + 1);

        memcpy(copy, list, len);
        (void)clone_fields_filter(out, span_of(copy, len));
        free(copy);
        free(out);
    }
}
END_TEST

static const struct {
    const char *pem;
    const char *base64;
} blocks[] = {
    { "-----BEGIN CERTIFICATE-----\nMIIB\nAQ==\n-----END CERTIFICATE-----\n",
      "MIIBAQ==" },
    { "\n -----BEGIN CERTIFICATE-----\r\nMIIB\r\n-----END CERTIFICATE-----",
      "MIIB" },
    { "-----BEGIN X-----A-----END X----- -----BEGIN X-----B-----END X-----",
      "A" },
    { "-----BEGIN CERTIFICATE-----\nMIIB\n", "" },
    { "-----BEGIN CERTIFICATE", "" },
    { "-----BEGIN CERTIFICATE----", "" },
    { "MIIB", "" },
    { "", "" }
};

START_TEST(a_certificate_becomes_one_line_of_base64)
{
    const char *pem = blocks[_i].pem;
    char out[256];

    ck_assert_uint_eq(clone_fields_pem(out, span_of_text(pem)),
                      strlen(blocks[_i].base64));
    ck_assert_str_eq(out, blocks[_i].base64);
}
END_TEST

START_TEST(every_prefix_of_a_certificate_is_read_within_its_bounds)
{
    const char *pem = blocks[_i].pem;
    apr_size_t len;

    for (len = 0; len <= strlen(pem); len++) {
        char *copy = malloc(len + 1);
        char *out = malloc(len + 1);

        memcpy(copy, pem, len);
        ck_assert_uint_le(clone_fields_pem(out, span_of(copy, len)), len);
        free(copy);
        free(out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_fields");
    TCase *tests = tcase_create("clone_fields");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests,
                        private_names_are_known_in_any_case_and_no_others, 0,
                        LENGTH_OF(names));
    tcase_add_test(tests, a_name_is_read_within_its_bounds);
    tcase_add_test(tests, a_value_that_would_end_its_line_is_not_sent);
    tcase_add_loop_test(tests,
                        private_names_go_from_a_list_and_the_others_stay, 0,
                        LENGTH_OF(lists));
    tcase_add_loop_test(tests,
                        every_prefix_of_a_list_is_read_within_its_bounds, 0,
                        LENGTH_OF(lists));
    tcase_add_loop_test(tests, a_certificate_becomes_one_line_of_base64, 0,
                        LENGTH_OF(blocks));
    tcase_add_loop_test(
        tests, every_prefix_of_a_certificate_is_read_within_its_bounds, 0,
        LENGTH_OF(blocks));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
