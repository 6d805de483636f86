/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_finding.h"

#include <check.h>
#include <stdlib.h>

#include <apr_strings.h>

#include "plugin_site.h"

static plugin_site_t site;

static void set_up(void)
{
    plugin_site_open(&site);
}

static void tear_down(void)
{
    plugin_site_close(&site);
}

static const clone_finding_t *at(const clone_findings_t *findings, int i)
{
    ck_assert_int_lt(i, findings->list->nelts);
    return &APR_ARRAY_IDX(findings->list, i, clone_finding_t);
}

START_TEST(the_first_error_is_the_result)
{
    clone_findings_t *findings = clone_findings_make(site.p);

    ck_assert_int_eq(findings->first, CLONE_FINDING_OK);
    clone_findings_add(findings, 3, CLONE_WARNING, CLONE_FINDING_UNUSED, "w");
    ck_assert_int_eq(findings->first, CLONE_FINDING_OK);
    clone_findings_add(findings, 7, CLONE_ERROR, CLONE_FINDING_INVALID,
                       "no %s", "good");
    clone_findings_add(findings, 1, CLONE_ERROR, CLONE_FINDING_MISSING, "x");
    ck_assert_int_eq(findings->first, CLONE_FINDING_INVALID);
    ck_assert_uint_eq(findings->first_error.line, 7);
    ck_assert_str_eq(findings->first_error.text, "no good");
    ck_assert_uint_eq(findings->count[CLONE_ERROR], 2);
    ck_assert_uint_eq(findings->count[CLONE_WARNING], 1);
    ck_assert_uint_eq(findings->count[CLONE_NOTE], 0);
}
END_TEST

START_TEST(what_does_not_fit_is_counted_and_no_error_is_lost)
{
    clone_findings_t *findings = clone_findings_make(site.p);
    int i;

    for (i = 0; i < CLONE_FINDINGS_MAX + 5; i++) {
        clone_findings_add(findings, 1, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                           "%d", i);
    }
    clone_findings_add(findings, 9, CLONE_ERROR, CLONE_FINDING_ROOT, "root");
    ck_assert_int_eq(findings->list->nelts, CLONE_FINDINGS_MAX);
    ck_assert_uint_eq(findings->count[CLONE_NOTE], CLONE_FINDINGS_MAX + 5);
    ck_assert_int_eq(findings->first, CLONE_FINDING_ROOT);
    ck_assert_str_eq(findings->first_error.text, "root");
}
END_TEST

START_TEST(lines_are_put_in_order_and_each_keeps_its_own)
{
    int count;

    for (count = 0; count < 70; count++) {
        clone_findings_t *findings = clone_findings_make(site.p);
        int i;

        for (i = 0; i < count; i++) {
            clone_findings_add(findings, (unsigned int)(i * 37 % 11),
                               CLONE_NOTE, CLONE_FINDING_UNKNOWN, "%02d", i);
        }
        clone_findings_sort(findings);
        ck_assert_int_eq(findings->list->nelts, count);
        for (i = 1; i < count; i++) {
            const clone_finding_t *a = at(findings, i - 1);
            const clone_finding_t *b = at(findings, i);

            ck_assert_uint_le(a->line, b->line);
            ck_assert(a->line < b->line || strcmp(a->text, b->text) < 0);
        }
    }
}
END_TEST

START_TEST(a_quote_is_short_and_harmless)
{
    clone_findings_t *findings = clone_findings_make(site.p);
    char text[200];
    const char *quote;

    memset(text, 'x', sizeof(text));
    text[3] = '\n';
    quote = clone_findings_quote(findings, span_of(text, sizeof(text)));
    ck_assert_uint_eq(strlen(quote), CLONE_QUOTE_MAX + 3);
    ck_assert_int_eq(quote[3], '?');
}
END_TEST

START_TEST(every_kind_and_severity_has_its_own_word)
{
    int i;
    int j;

    for (i = CLONE_FINDING_OK; i <= CLONE_FINDING_DANGEROUS; i++) {
        ck_assert_str_ne(clone_finding_name((clone_finding_e)i), "?");
        for (j = CLONE_FINDING_OK; j < i; j++) {
            ck_assert_str_ne(clone_finding_name((clone_finding_e)i),
                             clone_finding_name((clone_finding_e)j));
        }
    }
    ck_assert_str_eq(clone_finding_name((clone_finding_e)i), "?");
    ck_assert_str_eq(clone_severity_name(CLONE_NOTE), "note");
    ck_assert_str_eq(clone_severity_name(CLONE_WARNING), "warning");
    ck_assert_str_eq(clone_severity_name(CLONE_ERROR), "error");
    ck_assert_str_eq(clone_severity_name((clone_severity_e)3), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_finding");
    TCase *tests = tcase_create("clone_finding");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_first_error_is_the_result);
    tcase_add_test(tests, what_does_not_fit_is_counted_and_no_error_is_lost);
    tcase_add_test(tests, lines_are_put_in_order_and_each_keeps_its_own);
    tcase_add_test(tests, a_quote_is_short_and_harmless);
    tcase_add_test(tests, every_kind_and_severity_has_its_own_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
