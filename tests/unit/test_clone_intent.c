/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_intent.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define HEAD "proxy_balancer_clone 1\n"
#define GOOD "balancer://shop A +N 1732578900000000 ada\n"

static apr_pool_t *pool;

static void set_up(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

typedef struct row_t {
    const char *text;
    clone_intent_e wanted;
    int count;
    unsigned int bad_line;
} row_t;

static const row_t rows[] = {
    { HEAD, CLONE_INTENT_OK, 0, 0 },
    { HEAD GOOD, CLONE_INTENT_OK, 1, 0 },
    { HEAD "b m -N+S-D 1 -\n", CLONE_INTENT_OK, 1, 0 },
    { HEAD "b m%20n +N 1 a%ff\n", CLONE_INTENT_OK, 1, 0 },
    { "", CLONE_INTENT_ALIEN, 0, 1 },
    { "proxy_balancer_clone 1", CLONE_INTENT_ALIEN, 0, 1 },
    { "proxy_balancer_clone 2\n" GOOD, CLONE_INTENT_ALIEN, 0, 1 },
    { GOOD, CLONE_INTENT_ALIEN, 0, 1 },
    { HEAD GOOD "b m +N 1 ada", CLONE_INTENT_BAD_LINE, 1, 3 },
    { HEAD GOOD GOOD, CLONE_INTENT_BAD_LINE, 1, 3 },
    { HEAD "\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m +N 1 ada x\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m +N 1\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m +N  ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b  +N 1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m  1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m N 1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m +X 1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m +N+ 1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m +N-N 1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m +N -1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m +N 123456789012345678 a\n", CLONE_INTENT_BAD_LINE, 0, 2 },
    { HEAD "b m% +N 1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m%2 +N 1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m%00 +N 1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 },
    { HEAD "b m%zz +N 1 ada\n" GOOD, CLONE_INTENT_BAD_LINE, 1, 2 }
};

START_TEST(a_bad_line_costs_that_line)
{
    apr_array_header_t *intents;
    unsigned int bad_line;

    ck_assert_int_eq(clone_intent_parse(&intents, &bad_line,
                                        span_of_text(rows[_i].text), pool),
                     rows[_i].wanted);
    ck_assert_int_eq(intents->nelts, rows[_i].count);
    ck_assert_uint_eq(bad_line, rows[_i].bad_line);
}
END_TEST

START_TEST(what_was_written_reads_the_same)
{
    static const clone_intent_t one = {
        "balancer://shop", "http://[::1]:80 %\n\xe9", CLONE_FLAG_DRAIN
        | CLONE_FLAG_DISABLE, CLONE_FLAG_DISABLE, 1732578900000001, "a b"
    };
    static const clone_intent_t two = {
        "balancer://shop", "A", CLONE_FLAG_STOP, CLONE_FLAG_STOP, 0, "-"
    };
    apr_array_header_t *intents = apr_array_make(pool, 2, sizeof(one));
    const clone_intent_t *found;
    unsigned int bad_line;
    const char *text;

    APR_ARRAY_PUSH(intents, clone_intent_t) = one;
    APR_ARRAY_PUSH(intents, clone_intent_t) = two;
    text = clone_intent_print(intents, pool);
    ck_assert_str_eq(text, HEAD "balancer://shop "
                     "http://%5b::1%5d:80%20%25%0a%e9 -N+D 1732578900000001 "
                     "a%20b\nbalancer://shop A +S 0 -\n");
    ck_assert_int_eq(clone_intent_parse(&intents, &bad_line,
                                        span_of_text(text), pool),
                     CLONE_INTENT_OK);
    found = clone_intent_find(intents, one.balancer, one.member);
    ck_assert_ptr_nonnull(found);
    ck_assert_uint_eq(found->mask, one.mask);
    ck_assert_uint_eq(found->value, one.value);
    ck_assert_int_eq(found->since, one.since);
    ck_assert_str_eq(found->by, one.by);
    ck_assert_ptr_nonnull(clone_intent_find(intents, "balancer://shop", "A"));
    ck_assert_ptr_null(clone_intent_find(intents, "balancer://shop", "B"));
    ck_assert_ptr_null(clone_intent_find(intents, "balancer://x", "A"));
}
END_TEST

START_TEST(every_prefix_keeps_whole_lines)
{
    const char *text = HEAD GOOD "balancer://shop B -N 1732578900000000 b\n";
    apr_size_t len;

    for (len = sizeof(HEAD) - 1; len < strlen(text); len++) {
        apr_array_header_t *intents;
        unsigned int bad_line;
        clone_intent_e fault = clone_intent_parse(&intents, &bad_line,
                                                  span_of(text, len), pool);

        ck_assert_int_eq(intents->nelts,
                         len >= sizeof(HEAD) + sizeof(GOOD) - 2);
        ck_assert_int_eq(fault == CLONE_INTENT_OK, text[len - 1] == '\n');
    }
}
END_TEST

START_TEST(there_are_limits)
{
    apr_array_header_t *intents = apr_array_make(pool, 2,
                                                 sizeof(clone_intent_t));
    unsigned int bad_line;
    const char *text;
    char *name = apr_palloc(pool, CLONE_INTENT_NAME_MAX + 2);
    int i;

    for (i = 0; i < CLONE_INTENTS_MAX + 5; i++) {
        clone_intent_t one = { "b", NULL, 1, 1, 0, "-" };

        one.member = apr_psprintf(pool, "m%d", i);
        APR_ARRAY_PUSH(intents, clone_intent_t) = one;
    }
    text = clone_intent_print(intents, pool);
    ck_assert_int_eq(clone_intent_parse(&intents, &bad_line,
                                        span_of_text(text), pool),
                     CLONE_INTENT_OK);
    ck_assert_int_eq(intents->nelts, CLONE_INTENTS_MAX);
    text = apr_pstrcat(pool, text, "b more +N 1 -\n", NULL);
    ck_assert_int_eq(clone_intent_parse(&intents, &bad_line,
                                        span_of_text(text), pool),
                     CLONE_INTENT_BAD_LINE);
    memset(name, 'x', CLONE_INTENT_NAME_MAX + 1);
    name[CLONE_INTENT_NAME_MAX + 1] = '\0';
    text = apr_pstrcat(pool, HEAD "b ", name, " +N 1 -\n", NULL);
    ck_assert_int_eq(clone_intent_parse(&intents, &bad_line,
                                        span_of_text(text), pool),
                     CLONE_INTENT_BAD_LINE);
    ck_assert_int_eq(intents->nelts, 0);
}
END_TEST

START_TEST(every_fault_has_words)
{
    ck_assert_str_ne(clone_intent_name((clone_intent_e)_i), "?");
    ck_assert_str_eq(clone_intent_name((clone_intent_e)9), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_intent");
    TCase *tests = tcase_create("clone_intent");
    SRunner *runner = srunner_create(suite);
    int failed;

    apr_initialize();
    atexit(apr_terminate);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_bad_line_costs_that_line, 0,
                        LENGTH_OF(rows));
    tcase_add_test(tests, what_was_written_reads_the_same);
    tcase_add_test(tests, every_prefix_keeps_whole_lines);
    tcase_add_test(tests, there_are_limits);
    tcase_add_loop_test(tests, every_fault_has_words, 0, 3);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
