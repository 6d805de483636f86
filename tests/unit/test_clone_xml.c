/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_xml.h"

#include <check.h>
#include <stdlib.h>

#include <apr_strings.h>

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

/* A text, and the line, kind and words of its refusal. */
typedef struct row_t {
    const char *text;
    unsigned int line;
    clone_finding_e kind;
    const char *says;
} row_t;

#define XML CLONE_FINDING_XML

static const row_t rows[] = {
    { "", 0, CLONE_FINDING_EMPTY, "no element" },
    { " \n\n ", 0, CLONE_FINDING_EMPTY, "no element" },
    { "<?xml version=\"1.0\"?>\n<!-- <a/> -->", 0, CLONE_FINDING_EMPTY, "" },
    { "<a>\n<b>\n</a>", 3, XML, "'</a>' where '<b>' of line 2" },
    { "<a>\n<b>\n", 2, XML, "'b'" },
    { "<a>\n</a>\n</b>", 3, XML, "did not begin: 'b'" },
    { "<a/>\n<b/>", 2, XML, "junk" },
    { "words", 0, CLONE_FINDING_EMPTY, "no element" },
    { "words <a/>", 1, XML, "words" },
    { "<a", 1, XML, "tag does not end: 'a'" },
    { "<a\nb", 2, XML, "without a value: 'b'" },
    { "<a b=c/>", 1, XML, "not in quotes: 'b=c/>'" },
    { "<a\nb=\"c", 2, XML, "value does not end: 'b=" },
    { "<a b=\"c<d\"/>", 1, XML, "value does not end" },
    { "<a>\n</a\n", 2, XML, "tag does not end: 'a'" },
    { "<a></a b>", 1, XML, "tag does not end" },
    { "<a>\n<>\n</a>", 2, XML, "name is missing" },
    { "<a>\n</>", 2, XML, "name is missing" },
    { "<a>\n<!-- b", 2, XML, "comment does not end" },
    { "<a>\n<?b", 2, XML, "instruction does not end" },
    { "<a>\n<![CDATA[b", 2, XML, "CDATA section does not end" },
    { "<a>\n\n  <b c=\"1\" c=\"2\"/>\n</a>", 3, XML, "duplicate attribute" },
    { "<a>\n&nbsp;</a>", 2, XML, "undefined entity" },
    { "<a>\nx & y</a>", 2, XML, "not well-formed" },
    { "<a>\n<b c=\"&x;\"/></a>", 2, XML, "undefined entity" },
    { "<a>\n<x:b/>\n</a>", 2, XML, "namespace" },
    { "<a>\n<!-- -- -->\n</a>", 2, XML, "'<!-- -- -->'" },
    { "<a>\n<?xml version=\"1.0\"?></a>", 2, XML, "declaration" },
    { "<?xml version=\"1.0\" encoding=\"x", 1, XML, "instruction" },
    /* A document type, whatever it holds. */
    { "<!DOCTYPE a [<!ENTITY b \"c\">]>\n<a>&b;</a>", 1,
      CLONE_FINDING_DTD, "<!DOCTYPE a" },
    { "<?xml version=\"1.0\"?>\n<!DOCTYPE a SYSTEM \"file:///etc/passwd\">\n"
      "<a/>", 2, CLONE_FINDING_DTD, "not allowed" },
    { "<a>\n<!ENTITY b \"c\">\n</a>", 2, CLONE_FINDING_DTD, "<!ENTITY" },
    { "<a>\n<!d/></a>", 2, CLONE_FINDING_DTD, "" },
    /* Not a text. */
    { "<a>\n\x01</a>", 2, CLONE_FINDING_BINARY, "0x01" },
    { "<a>\n\x7f\x1b</a>", 2, CLONE_FINDING_BINARY, "0x1b" }
};

static const apr_xml_elem *parse(span_t text)
{
    const apr_xml_elem *root;

    site.findings = clone_findings_make(site.p);
    site.result = clone_xml_parse(&root, site.findings, text, site.p);
    ck_assert((root != NULL) == (site.result == CLONE_FINDING_OK));
    ck_assert_int_eq(site.result, site.findings->first);
    ck_assert_uint_eq(site.findings->count[CLONE_ERROR], root == NULL);
    return root;
}

static const apr_xml_elem *parse_text(const char *text)
{
    return parse(span_of_text(text));
}

START_TEST(a_refusal_has_line_and_reason)
{
    const row_t *row = &rows[_i];

    ck_assert_ptr_null(parse_text(row->text));
    plugin_site_expect(site.findings, row->line, CLONE_ERROR, row->kind,
                       row->says);
}
END_TEST

START_TEST(every_element_knows_its_line)
{
    const apr_xml_elem *a = parse_text(
        "\xef\xbb\xbf\n<?xml version=\"1.0\"?>\n<!-- <x>\n-->\n"
        "<a b='>'\n   c=\"/>\"><?p <y>\n?><b\n/>\n"
        "<![CDATA[<z>\n]]><c>\r\n<d></d\n></c></a>\n<!-- <e/> -->");
    const apr_xml_elem *b;
    const apr_xml_elem *c;

    ck_assert_ptr_nonnull(a);
    ck_assert_str_eq(a->name, "a");
    ck_assert_uint_eq(clone_xml_line(a), 5);
    b = a->first_child;
    ck_assert_str_eq(b->name, "b");
    ck_assert_uint_eq(clone_xml_line(b), 7);
    c = b->next;
    ck_assert_str_eq(c->name, "c");
    ck_assert_uint_eq(clone_xml_line(c), 10);
    ck_assert_str_eq(c->first_child->name, "d");
    ck_assert_uint_eq(clone_xml_line(c->first_child), 11);
    ck_assert_ptr_null(c->next);
    ck_assert_int_eq(site.findings->list->nelts, 0);
}
END_TEST

START_TEST(latin1_is_read_whatever_the_file_claims)
{
    static const char *const heads[] = {
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "",
        "<?xml version=\"1.0\" encoding='ISO-8859-1'?>",
        "\n<?xml version=\"1.0\" encoding=\"windows-1252\"?>"
    };
    int i;

    for (i = 0; i < LENGTH_OF(heads); i++) {
        const apr_xml_elem *root = parse_text(
            apr_pstrcat(site.p, heads[i], "\n<a b=\"M\xfcller\"/>", NULL));

        ck_assert_ptr_nonnull(root);
        ck_assert_str_eq(root->attr->value, "M\xc3\xbcller");
        ck_assert_int_eq(site.findings->count[CLONE_NOTE], i < 2);
    }
    parse_text("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<a b=\"\xfc\"/>");
    plugin_site_expect(site.findings, 3, CLONE_NOTE, CLONE_FINDING_ENCODING,
                       "claims UTF-8");
}
END_TEST

START_TEST(utf8_stays_and_an_unknown_encoding_is_no_obstacle)
{
    const apr_xml_elem *root = parse_text(
        "<?xml version=\"1.0\" encoding=\"KOI8-R\"?><a b=\"M\xc3\xbcller\"/>");

    ck_assert_ptr_nonnull(root);
    ck_assert_str_eq(root->attr->value, "M\xc3\xbcller");
}
END_TEST

START_TEST(utf16_is_refused_with_advice)
{
    static const char text[] = "\xff\xfe<\0a\0/\0>\0";

    ck_assert_ptr_null(parse(span_of(text, sizeof(text) - 1)));
    plugin_site_expect(site.findings, 1, CLONE_ERROR, CLONE_FINDING_BINARY,
                       "save it as UTF-8");
}
END_TEST

static const char *repeat(const char *text, int count)
{
    apr_array_header_t *parts = apr_array_make(site.p, count, sizeof(text));
    int i;

    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(parts, const char *) = text;
    }
    return apr_array_pstrcat(site.p, parts, 0);
}

/* One that is as large as may be, and one that is larger. */
typedef struct limit_t {
    const char *before;
    const char *unit;
    const char *after;
    int count;
    const char *says;
} limit_t;

static const limit_t limits[] = {
    { "<a>", "<b>", "", CLONE_XML_DEPTH_MAX - 1, "within each other" },
    { "<a>", "<b/>", "</a>", CLONE_XML_ELEMENTS_MAX - 1, "many elements" },
    { "<a b=\"", "x", "\"/>", CLONE_XML_TEXT_MAX, "value has too many" },
    { "<a>", "x", "</a>", CLONE_XML_TEXT_MAX, "text has too many" },
    { "<a><![CDATA[", "x", "]]></a>", CLONE_XML_TEXT_MAX, "text has too" },
    { "<", "x", "/>", CLONE_XML_NAME_MAX, "name has too many" },
    { "<a ", "x", "=\"\"/>", CLONE_XML_NAME_MAX, "name has too many" }
};

START_TEST(a_limit_is_reached_and_not_passed)
{
    const limit_t *limit = &limits[_i];
    const char *text = apr_pstrcat(site.p, limit->before,
                                   repeat(limit->unit, limit->count),
                                   limit->after, NULL);

    parse_text(text);
    ck_assert_int_ne(site.result, CLONE_FINDING_LIMIT);
    text = apr_pstrcat(site.p, limit->before,
                       repeat(limit->unit, limit->count + 1), limit->after,
                       NULL);
    parse_text(text);
    plugin_site_expect(site.findings, 1, CLONE_ERROR, CLONE_FINDING_LIMIT,
                       limit->says);
}
END_TEST

START_TEST(attributes_are_limited_for_each_element)
{
    const char *attributes = "";
    int i;

    for (i = 0; i < CLONE_XML_ATTRIBUTES_MAX; i++) {
        attributes = apr_psprintf(site.p, "%s a%d=''", attributes, i);
    }
    ck_assert_ptr_nonnull(parse_text(
        apr_psprintf(site.p, "<a%s><b%s/></a>", attributes, attributes)));
    ck_assert_ptr_null(parse_text(
        apr_psprintf(site.p, "<a%s x=''/>", attributes)));
    ck_assert_int_eq(site.result, CLONE_FINDING_LIMIT);
}
END_TEST

START_TEST(a_file_above_the_limit_is_not_looked_at)
{
    char *data = malloc(CLONE_XML_MAX + 1);

    ck_assert_ptr_nonnull(data);
    memset(data, ' ', CLONE_XML_MAX + 1);
    memcpy(data, "<a/>", 4);
    ck_assert_ptr_nonnull(parse(span_of(data, CLONE_XML_MAX)));
    ck_assert_ptr_null(parse(span_of(data, CLONE_XML_MAX + 1)));
    plugin_site_expect(site.findings, 0, CLONE_ERROR, CLONE_FINDING_LIMIT,
                       "the file has more than");
    free(data);
}
END_TEST

START_TEST(names_are_found_in_any_case)
{
    const apr_xml_elem *root = parse_text("<a>\n<Bc/><bC/>\n<d/></a>");

    ck_assert(clone_xml_is_named(root->first_child, "BC"));
    ck_assert(!clone_xml_is_named(root, "BC"));
    ck_assert_uint_eq(clone_xml_count(root, "bc"), 2);
    ck_assert_uint_eq(clone_xml_count(root, "x"), 0);
    clone_xml_note_unknown(site.findings, root->first_child);
    plugin_site_expect(site.findings, 2, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                       "element Bc in a");
    clone_xml_note_unknown(site.findings, root);
    plugin_site_expect(site.findings, 1, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                       "element a in the file");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_xml");
    TCase *tests = tcase_create("clone_xml");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_refusal_has_line_and_reason, 0,
                        LENGTH_OF(rows));
    tcase_add_test(tests, every_element_knows_its_line);
    tcase_add_test(tests, latin1_is_read_whatever_the_file_claims);
    tcase_add_test(tests, utf8_stays_and_an_unknown_encoding_is_no_obstacle);
    tcase_add_test(tests, utf16_is_refused_with_advice);
    tcase_add_loop_test(tests, a_limit_is_reached_and_not_passed, 0,
                        LENGTH_OF(limits));
    tcase_add_test(tests, attributes_are_limited_for_each_element);
    tcase_add_test(tests, a_file_above_the_limit_is_not_looked_at);
    tcase_add_test(tests, names_are_found_in_any_case);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
