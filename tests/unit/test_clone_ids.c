/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_ids.h"

#include <apr_general.h>
#include <check.h>
#include <stdlib.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* clones: expected ids joined by one blank; NULL when the value is refused. */
typedef struct row_t {
    clone_profile_e profile;
    const char *value;
    clone_parse_e parse;
    const char *session;
    const char *clones;
} row_t;

#define WS CLONE_PROFILE_WEBSPHERE
#define PLUS CLONE_PROFILE_WEBSPHERE_PLUS
#define RANKED CLONE_PROFILE_WILDFLY_RANKED
#define WLS CLONE_PROFILE_WEBLOGIC
#define SPRING CLONE_PROFILE_SPRING
#define OK CLONE_PARSE_OK

static apr_pool_t *p;

static void set_up(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(p);
    apr_terminate();
}

static const row_t rows[] = {
    { WS, "0000A2MB4IJozU_VM8IffsMNfdR:v544d0o0", OK,
      "A2MB4IJozU_VM8IffsMNfdR", "v544d0o0" },
    { WS, "0001A2MB4IJozU_VM8IffsMNfdR:v544d031:v544d0o0", OK,
      "A2MB4IJozU_VM8IffsMNfdR", "v544d031 v544d0o0" },
    { PLUS, "0000HHAnbYWnNxGD-iVupvcArfr+v544d031+v544d0o0", OK,
      "HHAnbYWnNxGD-iVupvcArfr", "v544d031 v544d0o0" },
    { WS, "0000oWbf2fVF3nKEUReTTl7qGa2:12006-us-mcrapi436", OK,
      "oWbf2fVF3nKEUReTTl7qGa2", "12006-us-mcrapi436" },
    { WS, "0000A2MB4IJozU_VM8IffsMNfdR:a0aaea8c-3251-45bb-87bb-f8b09169c03c",
      OK, "A2MB4IJozU_VM8IffsMNfdR", "a0aaea8c-3251-45bb-87bb-f8b09169c03c" },
    { WS, "0000A2MB4IJozU_VM8IffsMNfdR", OK, "A2MB4IJozU_VM8IffsMNfdR", "" },
    { WS, "00:0A2MB4IJozU", CLONE_PARSE_EARLY, NULL, NULL },
    { WS, "0000A2MB4IJozU_VM8IffsMNfdR:v544d0", OK,
      "A2MB4IJozU_VM8IffsMNfdR", "v544d0" },
    { WS, "\"0000A2MB4IJozU_VM8IffsMNfdR%3Av544d0o0\"", OK,
      "A2MB4IJozU_VM8IffsMNfdR", "v544d0o0" },
    { CLONE_PROFILE_TOMCAT, "0123456789ABCDEF0123456789ABCDEF.node1", OK,
      "0123456789ABCDEF0123456789ABCDEF", "node1" },
    { CLONE_PROFILE_JETTY, "node0abc123xyz7.node0", OK,
      "node0abc123xyz7", "node0" },
    { RANKED, "Qx81kLmn.s1.s2.s3", OK, "Qx81kLmn", "s1 s2 s3" },
    { WLS, "BrYx4hyPZ4VSP9Wo4eU0OrqmhXMLFONbRHnpLFwRKZ9MSaf6wvYj!-314662473",
      OK, "BrYx4hyPZ4VSP9Wo4eU0OrqmhXMLFONbRHnpLFwRKZ9MSaf6wvYj",
      "-314662473" },
    { WLS, "BBp9TAACMTgl!869187422!1308677666322", OK, "BBp9TAACMTgl",
      "869187422" },
    /* What separators may look like. */
    { PLUS, "0000abc%2Ba%2bb", OK, "abc", "a b" },
    { WLS, "abc%211!2", OK, "abc", "1 2" },
    { WS, "0000abc%3aa%3Ab", OK, "abc", "a b" },
    { WS, "0000abc%2Ba", OK, "abc%2Ba", "" },
    { WS, "0000abc%3:a", OK, "abc%3", "a" },
    { WS, "0000abc%", OK, "abc%", "" },
    { CLONE_PROFILE_JETTY, "a.b%2Ec", OK, "a.b", "c" },
    /* One id or a list. */
    { CLONE_PROFILE_JETTY, "a.b.c", OK, "a.b", "c" },
    { CLONE_PROFILE_JETTY, "abc", OK, "abc", "" },
    { CLONE_PROFILE_TOMCAT, "abc.n1.example.com", OK, "abc",
      "n1.example.com" },
    { CLONE_PROFILE_WILDFLY, "abc.s1.s2", OK, "abc", "s1.s2" },
    { WS, "0000abc.def:a", OK, "abc.def", "a" },
    /* Empty parts. */
    { WS, "0000abc:", OK, "abc", "" },
    { WS, "0000abc::a:::b:", OK, "abc", "a b" },
    { WS, "0000:a", CLONE_PARSE_NO_SESSION, NULL, NULL },
    { WS, "0000", CLONE_PARSE_NO_SESSION, NULL, NULL },
    { WS, "000", CLONE_PARSE_TOO_SHORT, NULL, NULL },
    { WS, "", CLONE_PARSE_TOO_SHORT, NULL, NULL },
    { WS, ":a", CLONE_PARSE_EARLY, NULL, NULL },
    { CLONE_PROFILE_TOMCAT, "", CLONE_PARSE_NO_SESSION, NULL, NULL },
    { CLONE_PROFILE_TOMCAT, ".n1", CLONE_PARSE_NO_SESSION, NULL, NULL },
    { CLONE_PROFILE_JETTY, ".n1", CLONE_PARSE_NO_SESSION, NULL, NULL },
    /* Quotes: one pair, or they belong to the value. */
    { WS, "\"\"", CLONE_PARSE_TOO_SHORT, NULL, NULL },
    { WS, "\"", CLONE_PARSE_TOO_SHORT, NULL, NULL },
    { WS, "\"0000abc:a", OK, "0abc", "a" },
    { CLONE_PROFILE_TOMCAT, "\"\"s.a\"\"", OK, "\"s", "a\"" },
    /* A WebLogic time has 13 digits or more and nothing but digits. */
    { WLS, "s!123456789012!1", OK, "s", "123456789012 1" },
    { WLS, "s!-1308677666322", OK, "s", "-1308677666322" },
    { WLS, "s!1!2!1308677666322", OK, "s", "1 2" },
    { WS, "0000s:1308677666322", OK, "s", "1308677666322" },
    /* Spring: base64 of "5f9a.node1" and more, padded or not. */
    { SPRING, "NWY5YS5ub2RlMQ==", OK, "5f9a", "node1" },
    { SPRING, "NWY5YS5ub2RlMQ", OK, "5f9a", "node1" },
    { SPRING, "NWY5YS5ub2RlMQ%3D%3d", OK, "5f9a", "node1" },
    { SPRING, "\"NWY5YS5ub2RlMQ==\"", OK, "5f9a", "node1" },
    { SPRING, "NWY5YQ==", OK, "5f9a", "" },
    { SPRING, "YT4_Yy5uMQ==", OK, "a>?c", "n1" },
    { SPRING, "YT4/Yy5uMQ==", OK, "a>?c", "n1" },
    { SPRING, "YS5uMS5leGFtcGxl", OK, "a", "n1.example" },
    { SPRING, "5f9a.node1", CLONE_PARSE_ENCODING, NULL, NULL },
    { SPRING, "YS5iDQo=", CLONE_PARSE_ENCODING, NULL, NULL },
    { SPRING, "YQAuYg==", CLONE_PARSE_ENCODING, NULL, NULL },
    { SPRING, "YS5if2M=", CLONE_PARSE_ENCODING, NULL, NULL },
    { SPRING, "Y", CLONE_PARSE_ENCODING, NULL, NULL },
    { SPRING, "====", CLONE_PARSE_ENCODING, NULL, NULL },
    { SPRING, "Lm4x", CLONE_PARSE_NO_SESSION, NULL, NULL },
    { SPRING, "", CLONE_PARSE_NO_SESSION, NULL, NULL }
};

/* fields: of a free form, each followed by a blank. */
typedef struct free_row_t {
    const char *fields;
    row_t row;
} free_row_t;

#define FREE CLONE_PROFILE_FREE

static const free_row_t free_rows[] = {
    { "separator=:+ skip=4 ", { FREE, "0000s:a+b:c", OK, "s", "a b c" } },
    { "separator=:+ skip=4 ", { FREE, "0000s%2Ba%3ab", OK, "s", "a b" } },
    { "separator=:+ skip=4 ", { FREE, "00+s:a", CLONE_PARSE_EARLY, NULL,
                                NULL } },
    { "separator=:+ skip=4 ", { FREE, "000", CLONE_PARSE_TOO_SHORT, NULL,
                                NULL } },
    { "separator=:+ list=no ", { FREE, "s:a+b", OK, "s", "a+b" } },
    { "separator=.~ position=last ", { FREE, "s.x~a", OK, "s.x", "a" } },
    { "separator=.~ position=last skip=1 ", { FREE, "s.x~a", OK, ".x", "a" } },
    { "separator=. position=last skip=9 ", { FREE, "s.a",
                                             CLONE_PARSE_TOO_SHORT, NULL,
                                             NULL } },
    { "separator=. position=last skip=1 ", { FREE, "s.a",
                                             CLONE_PARSE_NO_SESSION, NULL,
                                             NULL } },
    { "separator=. decode=percent ", { FREE, "s%2Ea%62.%41%zz%4", OK, "s",
                                       "ab A%zz%4" } },
    { "separator=. decode=percent ", { FREE, "s.a%0d%0aX: y",
                                       CLONE_PARSE_ENCODING, NULL, NULL } },
    { "separator=. decode=percent ", { FREE, "s.a%00b", CLONE_PARSE_ENCODING,
                                       NULL, NULL } },
    { "separator=: decode=base64 skip=2 ", { FREE, "eHhzOmE6Yg==", OK, "s",
                                             "a b" } },
    { "separator=- ", { FREE, "s--a-b", OK, "s", "a b" } }
};

static void assert_span(span_t got, const char *wanted, int row)
{
    ck_assert_msg(span_is_equal(got, span_of_text(wanted)),
                  "row %d: '%.*s', not '%s'", row, (int)got.len, got.data,
                  wanted);
}

static clone_parse_e parse_as(clone_ids_t *ids, const char *value,
                              clone_profile_e profile)
{
    clone_format_t format;

    clone_format_of(&format, profile);
    return clone_ids_parse(ids, span_of_text(value), &format, p);
}

static void assert_parsed(const row_t *row, const clone_format_t *format,
                          int number)
{
    char joined[256] = "";
    clone_ids_t ids;
    unsigned int i;

    memset(&ids, 0x5a, sizeof(ids));
    ck_assert_str_eq(
        clone_parse_name(clone_ids_parse(&ids, span_of_text(row->value),
                                         format, p)),
        clone_parse_name(row->parse));
    if (row->clones == NULL) {
        ck_assert_uint_eq(ids.count, 0);
        ck_assert_uint_eq(ids.session.len, 0);
        return;
    }
    assert_span(ids.session, row->session, number);
    for (i = 0; i < ids.count; i++) {
        if (i > 0) {
            strcat(joined, " ");
        }
        strncat(joined, ids.clone[i].data, ids.clone[i].len);
    }
    ck_assert_str_eq(joined, row->clones);
}

START_TEST(a_value_is_split_as_its_profile_says)
{
    clone_format_t format;

    clone_format_of(&format, rows[_i].profile);
    assert_parsed(&rows[_i], &format, _i);
}
END_TEST

/* Set the fields, each followed by a blank. */
static void make_free(clone_format_t *format, const char *fields)
{
    char field[64];

    clone_format_init(format);
    while (*fields != '\0') {
        size_t len = strcspn(fields, " ");

        memcpy(field, fields, len);
        field[len] = '\0';
        ck_assert_int_eq(clone_format_set(format, field), CLONE_FORMAT_OK);
        fields += len + 1;
    }
    ck_assert_int_eq(clone_format_finish(format), CLONE_FORMAT_OK);
}

START_TEST(a_value_is_split_as_its_free_form_says)
{
    clone_format_t format;

    make_free(&format, free_rows[_i].fields);
    assert_parsed(&free_rows[_i].row, &format, _i);
}
END_TEST

/* What a form gives points into the copy, or into what was unwrapped. */
static void assert_bounds(const char *copy, apr_size_t len,
                          const clone_format_t *format)
{
    clone_ids_t ids;
    clone_parse_e parse = clone_ids_parse(&ids, span_of(copy, len), format, p);
    unsigned int i;

    ck_assert((parse == CLONE_PARSE_OK) == (ids.session.len > 0));
    for (i = 0; i < ids.count; i++) {
        ck_assert(format->decoding != CLONE_DECODING_NONE
                  || (ids.clone[i].data >= copy
                      && ids.clone[i].data + ids.clone[i].len <= copy + len));
        ck_assert_uint_lt(ids.clone[i].len, len);
    }
}

static void assert_prefixes(const char *value)
{
    apr_size_t len;
    int i;

    for (len = 0; len <= strlen(value); len++) {
        /* On the heap and exact, so that valgrind and ASan see one byte. */
        char *copy = malloc(len > 0 ? len : 1);
        clone_format_t format;

        memcpy(copy, value, len);
        for (i = 0; i < CLONE_PROFILES; i++) {
            clone_format_of(&format, (clone_profile_e)i);
            assert_bounds(copy, len, &format);
        }
        for (i = 0; i < LENGTH_OF(free_rows); i++) {
            make_free(&format, free_rows[i].fields);
            assert_bounds(copy, len, &format);
        }
        free(copy);
        apr_pool_clear(p);
    }
}

START_TEST(every_prefix_of_a_value_is_read_within_its_bounds)
{
    assert_prefixes(_i < LENGTH_OF(rows)
                    ? rows[_i].value
                    : free_rows[_i - LENGTH_OF(rows)].row.value);
}
END_TEST

START_TEST(a_value_that_is_not_wrapped_costs_no_memory)
{
    clone_format_t format;
    clone_ids_t ids;

    clone_format_of(&format, WS);
    ck_assert_int_eq(clone_ids_parse(&ids, span_of_text("0000s:a"), &format,
                                     NULL), CLONE_PARSE_OK);
}
END_TEST

START_TEST(a_clone_id_is_a_whole_token)
{
    clone_ids_t ids;

    ck_assert_int_eq(parse_as(&ids, "0000s:v544d0o0", WS),
                     CLONE_PARSE_OK);
    ck_assert(!span_is_equal(ids.clone[0], span_of_text("v544d0")));
    ck_assert(span_is_equal(ids.clone[0], span_of_text("v544d0o0")));
}
END_TEST

START_TEST(the_version_is_no_part_of_the_session)
{
    clone_ids_t before;
    clone_ids_t after;

    ck_assert_int_eq(parse_as(&before, "0001s9:a", WS),
                     CLONE_PARSE_OK);
    ck_assert_int_eq(parse_as(&after, "0002s9:a", WS),
                     CLONE_PARSE_OK);
    ck_assert(span_is_equal(before.session, after.session));
}
END_TEST

START_TEST(more_clone_ids_than_the_limit_are_ignored)
{
    char value[8 + 2 * (CLONE_IDS_MAX + 8)] = "0000s";
    clone_ids_t ids;
    int i;

    for (i = 0; i < CLONE_IDS_MAX + 8; i++) {
        strcat(value, ":a");
    }
    ck_assert_int_eq(parse_as(&ids, value, WS),
                     CLONE_PARSE_OK);
    ck_assert_uint_eq(ids.count, CLONE_IDS_MAX);
}
END_TEST

START_TEST(a_value_above_the_limit_is_refused)
{
    char *value = malloc(CLONE_VALUE_MAX + 1);
    clone_format_t format;
    clone_ids_t ids;

    clone_format_of(&format, WS);
    memset(value, '0', CLONE_VALUE_MAX + 1);
    ck_assert_int_eq(clone_ids_parse(&ids, span_of(value, CLONE_VALUE_MAX),
                                     &format, p), CLONE_PARSE_OK);
    ck_assert_int_eq(clone_ids_parse(&ids, span_of(value, CLONE_VALUE_MAX + 1),
                                     &format, p), CLONE_PARSE_TOO_LONG);
    ck_assert_uint_eq(ids.session.len, 0);
    free(value);
}
END_TEST

START_TEST(every_fault_has_its_own_word)
{
    int i;
    int j;

    for (i = CLONE_PARSE_OK; i <= CLONE_PARSE_ENCODING; i++) {
        ck_assert_str_ne(clone_parse_name((clone_parse_e)i), "?");
        for (j = CLONE_PARSE_OK; j < i; j++) {
            ck_assert_str_ne(clone_parse_name((clone_parse_e)i),
                             clone_parse_name((clone_parse_e)j));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_ids");
    TCase *tests = tcase_create("clone_ids");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_value_is_split_as_its_profile_says, 0,
                        LENGTH_OF(rows));
    tcase_add_loop_test(tests, a_value_is_split_as_its_free_form_says, 0,
                        LENGTH_OF(free_rows));
    tcase_add_loop_test(tests,
                        every_prefix_of_a_value_is_read_within_its_bounds, 0,
                        LENGTH_OF(rows) + LENGTH_OF(free_rows));
    tcase_add_test(tests, a_value_that_is_not_wrapped_costs_no_memory);
    tcase_add_test(tests, a_clone_id_is_a_whole_token);
    tcase_add_test(tests, the_version_is_no_part_of_the_session);
    tcase_add_test(tests, more_clone_ids_than_the_limit_are_ignored);
    tcase_add_test(tests, a_value_above_the_limit_is_refused);
    tcase_add_test(tests, every_fault_has_its_own_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
