/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_attribute.h"

#include <check.h>
#include <stddef.h>

#include "clone_xml.h"
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

typedef struct record_t {
    const char *text;
    int flag;
    int number;
    unsigned int limit;
    apr_int64_t bytes;
    apr_int64_t kbytes;
} record_t;

static const clone_attribute_t table[] = {
    { "Text", CLONE_ATTRIBUTE_TEXT, offsetof(record_t, text), 0, 0, NULL },
    { "Flag", CLONE_ATTRIBUTE_FLAG, offsetof(record_t, flag), 0, 0, NULL },
    { "Number", CLONE_ATTRIBUTE_INT, offsetof(record_t, number), -5, 70,
      NULL },
    { "Limit", CLONE_ATTRIBUTE_LIMIT, offsetof(record_t, limit), -1, 70,
      NULL },
    { "Bytes", CLONE_ATTRIBUTE_BYTES, offsetof(record_t, bytes), -2,
      APR_INT64_MAX, NULL },
    { "KBytes", CLONE_ATTRIBUTE_KBYTES, offsetof(record_t, kbytes), -2, 70,
      NULL },
    { "Usual", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "High" },
    { "Never", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "" },
    { NULL, CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL }
};

/* What a record holds before, and where nothing is read. */
static const record_t before = { "before", 7, 7, 7, 7, 7 };

static record_t read_text(const char *text)
{
    record_t record = before;
    const apr_xml_elem *root;

    site.findings = clone_findings_make(site.p);
    ck_assert_int_eq(clone_xml_parse(&root, site.findings, span_of_text(text),
                                     site.p), CLONE_FINDING_OK);
    clone_attributes_read(&record, root, table, site.findings, site.p);
    return record;
}

START_TEST(each_kind_fills_its_member)
{
    record_t record = read_text(
        "<a Text='x y' Flag='true' Number='-5' Limit='70' "
        "Bytes='9223372036854775807' KBytes='70' Usual='High' Never='1'/>");

    ck_assert_str_eq(record.text, "x y");
    ck_assert_int_eq(record.flag, 1);
    ck_assert_int_eq(record.number, -5);
    ck_assert_uint_eq(record.limit, 70);
    ck_assert(record.bytes == APR_INT64_MAX);
    ck_assert(record.kbytes == 70 * 1024);
    ck_assert_int_eq(site.findings->list->nelts, 0);
}
END_TEST

START_TEST(what_is_not_there_is_left_alone)
{
    record_t record = read_text("<a/>");

    ck_assert_str_eq(record.text, before.text);
    ck_assert_int_eq(record.flag, 7);
    ck_assert_int_eq(record.number, 7);
    ck_assert_uint_eq(record.limit, 7);
    ck_assert(record.bytes == 7 && record.kbytes == 7);
}
END_TEST

START_TEST(below_nothing_is_no_limit_at_all)
{
    record_t record = read_text("<a Limit='-1' Bytes='-2' KBytes='-1'/>");

    ck_assert_uint_eq(record.limit, 0);
    ck_assert(record.bytes == -1 && record.kbytes == -1);
    record = read_text("<a Limit='0' Bytes='0' KBytes='0' Text=''/>");
    ck_assert(record.limit == 0 && record.bytes == 0 && record.kbytes == 0);
    ck_assert_ptr_null(record.text);
}
END_TEST

typedef struct flag_t {
    const char *text;
    int flag;
} flag_t;

static const flag_t flags[] = {
    { "<a Flag='true'/>", 1 }, { "<a Flag='FALSE'/>", 0 },
    { "<a Flag='Yes'/>", 1 }, { "<a Flag='no'/>", 0 },
    { "<a Flag='on'/>", 1 }, { "<a Flag='Off'/>", 0 },
    { "<a Flag='1'/>", 1 }, { "<a Flag='0'/>", 0 }
};

START_TEST(a_flag_has_several_words)
{
    ck_assert_int_eq(read_text(flags[_i].text).flag, flags[_i].flag);
    ck_assert_int_eq(site.findings->list->nelts, 0);
}
END_TEST

static const char *const bad[] = {
    "<a Flag='tru'/>", "<a Flag='true '/>", "<a Flag='2'/>",
    "<a Number='71'/>", "<a Number='-6'/>", "<a Number='5s'/>",
    "<a Number=' 5'/>", "<a Number='+5'/>", "<a Number='-'/>",
    "<a Number='--5'/>", "<a Number='0x5'/>", "<a Number='1e1'/>",
    "<a Number='99999999999999999999'/>", "<a Limit='71'/>",
    "<a Limit='-2'/>", "<a Bytes='9223372036854775808'/>",
    "<a KBytes='many'/>", "<a KBytes='5.5'/>"
};

START_TEST(a_value_is_taken_whole_or_not_at_all)
{
    record_t record = read_text(bad[_i]);

    plugin_site_expect(site.findings, 1, CLONE_ERROR, CLONE_FINDING_INVALID,
                       " must be ");
    ck_assert_int_eq(record.flag, 7);
    ck_assert_int_eq(record.number, 7);
    ck_assert_uint_eq(record.limit, 7);
    ck_assert(record.bytes == 7 && record.kbytes == 7);
}
END_TEST

START_TEST(a_refusal_names_the_range_and_quotes)
{
    read_text("<a\nNumber='5s'/>");
    ck_assert_str_eq(site.findings->first_error.text,
                     "Number must be a number from -5 to 70, not '5s'");
}
END_TEST

START_TEST(an_empty_value_is_as_if_it_were_not_there)
{
    record_t record = read_text("<a Flag='' Number=''/>");

    ck_assert_int_eq(record.flag, 7);
    ck_assert_int_eq(record.number, 7);
    ck_assert_uint_eq(site.findings->count[CLONE_WARNING], 2);
    ck_assert_uint_eq(site.findings->count[CLONE_ERROR], 0);
}
END_TEST

START_TEST(names_are_found_in_any_case_and_it_is_noted)
{
    ck_assert_int_eq(read_text("<a nUMBER='5'/>").number, 5);
    plugin_site_expect(site.findings, 1, CLONE_NOTE, CLONE_FINDING_LENIENT,
                       "Number is written 'nUMBER'");
}
END_TEST

START_TEST(of_two_the_first_counts)
{
    ck_assert_int_eq(read_text("<a number='5' Number='6' NUMBER='8'/>")
                     .number, 5);
    plugin_site_expect(site.findings, 1, CLONE_WARNING,
                       CLONE_FINDING_DUPLICATE, "Number is there 3 times");
}
END_TEST

START_TEST(an_unknown_one_is_noted_and_no_more)
{
    read_text("<a Number='5' Nummer='6'/>");
    plugin_site_expect(site.findings, 1, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                       "attribute Nummer of a");
    ck_assert_int_eq(site.findings->list->nelts, 1);
}
END_TEST

START_TEST(what_has_no_effect_is_noted_where_it_would_matter)
{
    read_text("<a Usual='high' Never='x'/>");
    ck_assert_int_eq(site.findings->list->nelts, 0);
    read_text("<a Usual='low'/>");
    plugin_site_expect(site.findings, 1, CLONE_NOTE, CLONE_FINDING_IGNORED,
                       "Usual=\"low\" has no effect");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_attribute");
    TCase *tests = tcase_create("clone_attribute");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, each_kind_fills_its_member);
    tcase_add_test(tests, what_is_not_there_is_left_alone);
    tcase_add_test(tests, below_nothing_is_no_limit_at_all);
    tcase_add_loop_test(tests, a_flag_has_several_words, 0, LENGTH_OF(flags));
    tcase_add_loop_test(tests, a_value_is_taken_whole_or_not_at_all, 0,
                        LENGTH_OF(bad));
    tcase_add_test(tests, a_refusal_names_the_range_and_quotes);
    tcase_add_test(tests, an_empty_value_is_as_if_it_were_not_there);
    tcase_add_test(tests, names_are_found_in_any_case_and_it_is_noted);
    tcase_add_test(tests, of_two_the_first_counts);
    tcase_add_test(tests, an_unknown_one_is_noted_and_no_more);
    tcase_add_test(tests, what_has_no_effect_is_noted_where_it_would_matter);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
