/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_explain.h"

#include <check.h>
#include <stdio.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define NAME(text) { text, sizeof(text) - 1 }

static const clone_explain_token_t tokens[] = {
    { NAME("A"), 0 }, { NAME(""), 0x9f03c1aa }, { NAME("B"), 0 }
};

static const clone_explain_member_t members[] = {
    { NAME("A"), 0, CLONE_STATE_ERROR | CLONE_STATE_TRIED },
    { NAME("B"), 1, 0 },
    { NAME(""), 2, CLONE_STATE_DRAINING },
    { NAME("D"), 3, CLONE_STATE_DISABLED | CLONE_STATE_STOPPED
                    | CLONE_STATE_UNHEALTHY },
    { NAME("E"), 4, CLONE_STATE_STANDBY | CLONE_STATE_SPARE
                    | CLONE_STATE_FULL }
};

static const clone_explain_attempt_t attempts[] = {
    { { NAME("A"), 0, 0 }, "unreached", 1001 },
    { { NAME(""), 2, 0 }, NULL, 12 }
};

static const struct {
    clone_explain_t explain;
    const char *text;
    const char *json;
} rows[] = {
    { { 1, 0x1a2b3c4d, 0, "failover", tokens, 3, members, 5, 0, attempts, 2,
        0 },
      "session=1a2b3c4d@cookie;list=A,?9f03c1aa,B;"
      "members=A!et,B,#2!n,D!dsf,E!hrl;why=failover;"
      "tried=A:unreached:1001,#2:-:12",
      "{\"session\":\"1a2b3c4d\",\"from\":\"cookie\","
      "\"list\":[\"A\",\"?9f03c1aa\",\"B\"],\"list_more\":0,"
      "\"members\":[{\"name\":\"A\",\"state\":[\"error\",\"tried\"]},"
      "{\"name\":\"B\",\"state\":[]},"
      "{\"name\":\"#2\",\"state\":[\"draining\"]},"
      "{\"name\":\"D\",\"state\":[\"disabled\",\"stopped\",\"unhealthy\"]},"
      "{\"name\":\"E\",\"state\":[\"standby\",\"spare\","
      "\"full\"]}],"
      "\"members_more\":0,\"why\":\"failover\","
      "\"tried\":[{\"member\":\"A\",\"end\":\"unreached\",\"ms\":1001},"
      "{\"member\":\"#2\",\"end\":\"-\",\"ms\":12}],\"tried_more\":0}" },
    { { 1, 7, 1, "first", tokens, 1, members + 1, 1, 468, attempts, 1, 3 },
      "session=00000007@url;list=A;members=B,+468;why=first;"
      "tried=A:unreached:1001,+3",
      "{\"session\":\"00000007\",\"from\":\"url\","
      "\"list\":[\"A\"],\"list_more\":0,"
      "\"members\":[{\"name\":\"B\",\"state\":[]}],\"members_more\":468,"
      "\"why\":\"first\","
      "\"tried\":[{\"member\":\"A\",\"end\":\"unreached\",\"ms\":1001}],"
      "\"tried_more\":3}" },
    { { 0, 7, 0, "none", NULL, 0, NULL, 0, 0, NULL, 0, 0 },
      "session=-;list=-;members=-;why=none;tried=-",
      "{\"session\":null,\"from\":null,\"list\":[],\"list_more\":0,"
      "\"members\":[],\"members_more\":0,\"why\":\"none\","
      "\"tried\":[],\"tried_more\":0}" },
    { { 0, 0, 0, "new", NULL, 0, NULL, 0, 9, NULL, 0, 1 },
      "session=-;list=-;members=+9;why=new;tried=+1",
      "{\"session\":null,\"from\":null,\"list\":[],\"list_more\":0,"
      "\"members\":[],\"members_more\":9,\"why\":\"new\","
      "\"tried\":[],\"tried_more\":1}" }
};

START_TEST(a_decision_reads_as_documented)
{
    char text[CLONE_EXPLAIN_TEXT_MAX];
    char json[CLONE_EXPLAIN_JSON_MAX];

    ck_assert_uint_eq(clone_explain_text(text, &rows[_i].explain),
                      strlen(rows[_i].text));
    ck_assert_str_eq(text, rows[_i].text);
    ck_assert_uint_eq(clone_explain_json(json, &rows[_i].explain),
                      strlen(rows[_i].json));
    ck_assert_str_eq(json, rows[_i].json);
}
END_TEST

static const struct { span_t name; const char *shown; } names[] = {
    { NAME("v544d031"), "v544d031" },
    { NAME("a.b-c_D"), "a.b-c_D" },
    { NAME("a,b;c:d!e"), "a%2Cb%3Bc%3Ad%21e" },
    { NAME("\"\\\r\n\x01 "), "%22%5C%0D%0A%01%20" },
    { NAME("?+#%"), "%3F%2B%23%25" },
    { NAME("\xc3\xa4\xff"), "%C3%A4%FF" },
    { NAME("a\0b"), "a%00b" }
};

START_TEST(a_name_is_no_separator_in_any_form)
{
    clone_explain_token_t token = { names[_i].name, 0 };
    clone_explain_t explain = { 0, 0, 0, "new", &token, 1, NULL, 0, 0, NULL,
                                0, 0 };
    char out[CLONE_EXPLAIN_JSON_MAX];
    char wanted[128];

    (void)clone_explain_text(out, &explain);
    snprintf(wanted, sizeof(wanted), ";list=%s;members", names[_i].shown);
    ck_assert_ptr_nonnull(strstr(out, wanted));
    (void)clone_explain_json(out, &explain);
    snprintf(wanted, sizeof(wanted), "\"list\":[\"%s\"]", names[_i].shown);
    ck_assert_ptr_nonnull(strstr(out, wanted));
}
END_TEST

#define MANY 64
#define LONG 80

/* MANY of everything, each name of this many bytes that need encoding. */
static void fill(clone_explain_t *explain, clone_explain_token_t *t,
                 clone_explain_member_t *m, clone_explain_attempt_t *a,
                 apr_size_t len)
{
    static const char blanks[LONG + 1] =
        "                                        "
        "                                        ";
    int i;

    memset(explain, 0, sizeof(*explain));
    for (i = 0; i < MANY; i++) {
        t[i].name = span_of(blanks, len);
        t[i].tag = 0xffffffff;
        m[i].name = t[i].name;
        m[i].index = 0xffffffff;
        m[i].state = 0x1ff;
        a[i].member = m[i];
        a[i].end = "unreached";
        a[i].msec = 0xffffffff;
    }
    explain->has_session = 1;
    explain->reason = "redirect";
    explain->tokens = t;
    explain->members = m;
    explain->attempts = a;
    explain->token_count = explain->member_count = MANY;
    explain->attempt_count = MANY;
    explain->member_more = explain->attempt_more = 0xffffffff - MANY;
}

START_TEST(the_longest_decision_fits_and_is_whole)
{
    clone_explain_t explain;
    clone_explain_token_t t[MANY];
    clone_explain_member_t m[MANY];
    clone_explain_attempt_t a[MANY];
    char text[CLONE_EXPLAIN_TEXT_MAX + 1];
    char json[CLONE_EXPLAIN_JSON_MAX + 1];
    apr_size_t len;

    fill(&explain, t, m, a, (apr_size_t)_i);
    text[CLONE_EXPLAIN_TEXT_MAX] = '#';
    json[CLONE_EXPLAIN_JSON_MAX] = '#';
    len = clone_explain_text(text, &explain);
    ck_assert_uint_eq(strlen(text), len);
    ck_assert_uint_lt(len, CLONE_EXPLAIN_TEXT_MAX);
    ck_assert_ptr_nonnull(strstr(text, ";why=redirect;tried="));
    ck_assert_ptr_nonnull(strrchr(text, '+'));
    len = clone_explain_json(json, &explain);
    ck_assert_uint_eq(strlen(json), len);
    ck_assert_uint_lt(len, CLONE_EXPLAIN_JSON_MAX);
    ck_assert_int_eq(json[len - 1], '}');
    ck_assert_ptr_nonnull(strstr(json, ",\"tried_more\":4294967"));
    ck_assert_int_eq(text[CLONE_EXPLAIN_TEXT_MAX], '#');
    ck_assert_int_eq(json[CLONE_EXPLAIN_JSON_MAX], '#');
}
END_TEST

START_TEST(a_tag_depends_on_the_bytes_and_on_the_key)
{
    unsigned char key[CLONE_TAG_KEY] = { 1, 2, 3 };
    unsigned char other[CLONE_TAG_KEY] = { 1, 2, 4 };
    apr_uint32_t tag = clone_explain_tag(span_of_text("s1"), key);

    ck_assert_uint_eq(tag, clone_explain_tag(span_of("s123", 2), key));
    ck_assert_uint_ne(tag, clone_explain_tag(span_of_text("s2"), key));
    ck_assert_uint_ne(tag, clone_explain_tag(span_of_text("s1"), other));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_explain");
    TCase *tests = tcase_create("clone_explain");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, a_decision_reads_as_documented, 0,
                        LENGTH_OF(rows));
    tcase_add_loop_test(tests, a_name_is_no_separator_in_any_form, 0,
                        LENGTH_OF(names));
    tcase_add_loop_test(tests, the_longest_decision_fits_and_is_whole, 0,
                        LONG + 1);
    tcase_add_test(tests, a_tag_depends_on_the_bytes_and_on_the_key);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
