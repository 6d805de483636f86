/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_ids.h"

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
#define OK CLONE_PARSE_OK

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
    { WS, "0000s:1308677666322", OK, "s", "1308677666322" }
};

static void assert_span(span_t got, const char *wanted, int row)
{
    ck_assert_msg(span_is_equal(got, span_of_text(wanted)),
                  "row %d: '%.*s', not '%s'", row, (int)got.len, got.data,
                  wanted);
}

START_TEST(a_value_is_split_as_its_profile_says)
{
    const row_t *row = &rows[_i];
    char joined[256] = "";
    clone_ids_t ids;
    unsigned int i;

    memset(&ids, 0x5a, sizeof(ids));
    ck_assert_str_eq(
        clone_parse_name(clone_ids_parse(&ids, span_of_text(row->value),
                                         row->profile)),
        clone_parse_name(row->parse));
    if (row->clones == NULL) {
        ck_assert_uint_eq(ids.count, 0);
        ck_assert_uint_eq(ids.session.len, 0);
        return;
    }
    assert_span(ids.session, row->session, _i);
    for (i = 0; i < ids.count; i++) {
        if (i > 0) {
            strcat(joined, " ");
        }
        strncat(joined, ids.clone[i].data, ids.clone[i].len);
    }
    ck_assert_str_eq(joined, row->clones);
}
END_TEST

START_TEST(every_prefix_of_a_value_is_read_within_its_bounds)
{
    const row_t *row = &rows[_i];
    apr_size_t len;

    for (len = 0; len <= strlen(row->value); len++) {
        /* On the heap and exact, so that valgrind and ASan see one byte. */
        char *copy = malloc(len > 0 ? len : 1);
        int profile;

        memcpy(copy, row->value, len);
        for (profile = 0; profile < CLONE_PROFILES; profile++) {
            clone_ids_t ids;
            clone_parse_e parse = clone_ids_parse(
                &ids, span_of(copy, len), (clone_profile_e)profile);
            unsigned int i;

            ck_assert((parse == CLONE_PARSE_OK) == (ids.session.len > 0));
            for (i = 0; i < ids.count; i++) {
                ck_assert(ids.clone[i].data >= copy);
                ck_assert(ids.clone[i].data + ids.clone[i].len <= copy + len);
            }
        }
        free(copy);
    }
}
END_TEST

START_TEST(a_clone_id_is_a_whole_token)
{
    clone_ids_t ids;

    ck_assert_int_eq(clone_ids_parse(&ids, span_of_text("0000s:v544d0o0"), WS),
                     CLONE_PARSE_OK);
    ck_assert(!span_is_equal(ids.clone[0], span_of_text("v544d0")));
    ck_assert(span_is_equal(ids.clone[0], span_of_text("v544d0o0")));
}
END_TEST

START_TEST(the_version_is_no_part_of_the_session)
{
    clone_ids_t before;
    clone_ids_t after;

    ck_assert_int_eq(clone_ids_parse(&before, span_of_text("0001s9:a"), WS),
                     CLONE_PARSE_OK);
    ck_assert_int_eq(clone_ids_parse(&after, span_of_text("0002s9:a"), WS),
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
    ck_assert_int_eq(clone_ids_parse(&ids, span_of_text(value), WS),
                     CLONE_PARSE_OK);
    ck_assert_uint_eq(ids.count, CLONE_IDS_MAX);
}
END_TEST

START_TEST(a_value_above_the_limit_is_refused)
{
    char *value = malloc(CLONE_VALUE_MAX + 1);
    clone_ids_t ids;

    memset(value, '0', CLONE_VALUE_MAX + 1);
    ck_assert_int_eq(clone_ids_parse(&ids, span_of(value, CLONE_VALUE_MAX),
                                     WS), CLONE_PARSE_OK);
    ck_assert_int_eq(clone_ids_parse(&ids, span_of(value, CLONE_VALUE_MAX + 1),
                                     WS), CLONE_PARSE_TOO_LONG);
    ck_assert_uint_eq(ids.session.len, 0);
    free(value);
}
END_TEST

START_TEST(every_profile_is_found_by_its_word)
{
    clone_profile_e profile;
    int i;

    for (i = 0; i < CLONE_PROFILES; i++) {
        ck_assert(clone_profile_parse(
            &profile, clone_profile_name((clone_profile_e)i)));
        ck_assert_int_eq(profile, i);
    }
    ck_assert(clone_profile_parse(&profile, "WildFly-Ranked"));
    ck_assert_int_eq(profile, RANKED);
    ck_assert_str_eq(clone_profile_name((clone_profile_e)CLONE_PROFILES), "?");
}
END_TEST

START_TEST(half_a_word_is_no_profile)
{
    static const char *const words[] = {
        "", "web", "webspher", "websphere-", "websphere:", "tomcat ", "jboss"
    };
    clone_profile_e profile = RANKED;

    ck_assert(!clone_profile_parse(&profile, words[_i]));
    ck_assert_int_eq(profile, CLONE_PROFILE_WEBSPHERE);
}
END_TEST

START_TEST(every_fault_has_its_own_word)
{
    int i;
    int j;

    for (i = CLONE_PARSE_OK; i <= CLONE_PARSE_NO_SESSION; i++) {
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
    tcase_add_loop_test(tests, a_value_is_split_as_its_profile_says, 0,
                        LENGTH_OF(rows));
    tcase_add_loop_test(tests,
                        every_prefix_of_a_value_is_read_within_its_bounds, 0,
                        LENGTH_OF(rows));
    tcase_add_test(tests, a_clone_id_is_a_whole_token);
    tcase_add_test(tests, the_version_is_no_part_of_the_session);
    tcase_add_test(tests, more_clone_ids_than_the_limit_are_ignored);
    tcase_add_test(tests, a_value_above_the_limit_is_refused);
    tcase_add_test(tests, every_profile_is_found_by_its_word);
    tcase_add_loop_test(tests, half_a_word_is_no_profile, 0, 7);
    tcase_add_test(tests, every_fault_has_its_own_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
