/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_diff.h"

#include <check.h>
#include <stdio.h>

#include <apr_general.h>
#include <apr_strings.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static apr_pool_t *pool;

static void set_up(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

/* A table out of "name=value name=value"; "=x" is an empty name. */
static apr_table_t *table_of(const char *text)
{
    apr_table_t *table = apr_table_make(pool, 4);
    char *state;
    char *pair;

    for (pair = apr_strtok(apr_pstrdup(pool, text), " ", &state);
         pair != NULL; pair = apr_strtok(NULL, " ", &state)) {
        char *value = strchr(pair, '=');

        *value++ = '\0';
        apr_table_addn(table, pair, value);
    }
    return table;
}

/* The operations as "+name=value" and "-name", each behind a blank. */
static const char *ops_text(const ha_op_t *ops, unsigned int count)
{
    char *text = apr_pstrdup(pool, "");
    unsigned int i;

    for (i = 0; i < count; i++) {
        const char *name = apr_pstrmemdup(pool, ops[i].name.data,
                                          ops[i].name.len);

        text = apr_pstrcat(pool, text, ops[i].gone ? " -" : " +", name,
                           NULL);
        if (ops[i].gone) {
            ck_assert_uint_eq(ops[i].value.len, 0);
        }
        else {
            text = apr_pstrcat(pool, text, "=",
                               apr_pstrmemdup(pool, ops[i].value.data,
                                              ops[i].value.len),
                               NULL);
        }
    }
    return text;
}

typedef struct row_t {
    const char *before;
    const char *after;
    const char *ops;
} row_t;

static const row_t rows[] = {
    { "", "", "" },
    { "a=1 b=2", "a=1 b=2", "" },
    { "a=1 b=2", "b=2 a=1", "" },
    { "", "a=1", " +a=1" },
    { "a=1", "", " -a" },
    { "a=1", "a=2", " +a=2" },
    { "a=1", "a=", " +a=" },
    { "a=", "a=", "" },
    { "a=", "", " -a" },
    { "a=1 b=2 c=3", "b=3 d=4 c=3", " +b=3 +d=4 -a" },
    /* Case is no difference in a name, and one in a value. */
    { "User=ada", "USER=ada", "" },
    { "User=ada", "USER=Ada", " +USER=Ada" },
    { "User=ada", "", " -User" },
    /* Other letters than A to Z have no case: bytes, not a language. */
    { "\xc3\x89=1", "\xc3\xa9=1", " +\xc3\xa9=1 -\xc3\x89" },
    { "a[=1", "a{=1", " +a{=1 -a[" },
    /* Of a repeated name the first counts. */
    { "", "a=1 A=2 a=3", " +a=1" },
    { "a=1 a=2", "a=1", "" },
    { "a=1 a=2", "a=2", " +a=2" },
    { "a=1 A=2", "", " -a" },
    /* An empty name is nobody's. */
    { "", "=x", "" },
    { "=x", "", "" },
    { "=x a=1", "=y a=2", " +a=2" },
    /* One name begins another. */
    { "a=1", "ab=1", " +ab=1 -a" },
};

START_TEST(what_was_changed_is_found)
{
    ha_op_t *ops = NULL;
    unsigned int count = 99;

    ck_assert_int_eq(ha_diff_tables(&ops, &count, table_of(rows[_i].before),
                                    table_of(rows[_i].after), pool),
                     HA_DIFF_OK);
    ck_assert_str_eq(ops_text(ops, count), rows[_i].ops);
    ck_assert_int_eq(ops == NULL, count == 0);
}
END_TEST

/* A table of count names; name_len and value_len are of the last one. */
static apr_table_t *table_of_size(int count, int name_len, int value_len)
{
    apr_table_t *table = apr_table_make(pool, count);
    int i;

    for (i = 0; i < count; i++) {
        apr_table_addn(table, apr_psprintf(pool, "%04d", i), "");
    }
    if (name_len > 0) {
        char *name = apr_palloc(pool, (apr_size_t)name_len + 1);
        char *value = apr_palloc(pool, (apr_size_t)value_len + 1);

        memset(name, 'n', (apr_size_t)name_len);
        memset(value, 'v', (apr_size_t)value_len);
        name[name_len] = '\0';
        value[value_len] = '\0';
        apr_table_addn(table, name, value);
    }
    return table;
}

typedef struct limit_t {
    int count;
    int name_len;
    int value_len;
    ha_diff_e result;
} limit_t;

static const limit_t limits[] = {
    { HA_ATTRS_MAX, 0, 0, HA_DIFF_OK },
    { HA_ATTRS_MAX + 1, 0, 0, HA_DIFF_TOO_MANY },
    { 0, HA_ATTR_NAME_MAX, 1, HA_DIFF_OK },
    { 0, HA_ATTR_NAME_MAX + 1, 1, HA_DIFF_LONG_NAME },
    { 0, 8, HA_SESSION_MAX - 8, HA_DIFF_OK },
    { 0, 8, HA_SESSION_MAX - 7, HA_DIFF_TOO_LARGE },
    { 2, 8, HA_SESSION_MAX - 16, HA_DIFF_OK },
    { 2, 8, HA_SESSION_MAX - 15, HA_DIFF_TOO_LARGE },
};

START_TEST(a_table_above_a_limit_gives_no_operation)
{
    const limit_t *limit = &limits[_i];
    apr_table_t *table = table_of_size(limit->count, limit->name_len,
                                       limit->value_len);
    ha_op_t *ops = NULL;
    unsigned int count = 99;

    ck_assert_str_eq(ha_diff_name(ha_diff_tables(&ops, &count, table_of(""),
                                                 table, pool)),
                     ha_diff_name(limit->result));
    ck_assert_int_eq(count > 0, limit->result == HA_DIFF_OK);
    ck_assert_int_eq(ops != NULL, limit->result == HA_DIFF_OK);
}
END_TEST

/* What was loaded may be larger than what may be saved: another server with
 * other limits wrote it, and a user must be able to make it smaller. */
START_TEST(what_was_loaded_is_held_to_no_limit)
{
    ha_op_t *ops;
    unsigned int count;

    ck_assert_int_eq(ha_diff_tables(&ops, &count,
                                    table_of_size(HA_ATTRS_MAX + 50, 2000,
                                                  HA_SESSION_MAX),
                                    table_of(""), pool),
                     HA_DIFF_OK);
    ck_assert_uint_eq(count, HA_ATTRS_MAX + 51);
}
END_TEST

START_TEST(a_repeated_name_counts_once_against_the_limits)
{
    apr_table_t *table = table_of("");
    ha_op_t *ops;
    unsigned int count;
    int i;

    for (i = 0; i < HA_ATTRS_MAX * 2; i++) {
        apr_table_addn(table, i % 2 ? "NAME" : "name", "value");
    }
    ck_assert_int_eq(ha_diff_tables(&ops, &count, table_of(""), table, pool),
                     HA_DIFF_OK);
    ck_assert_str_eq(ops_text(ops, count), " +name=value");
}
END_TEST

START_TEST(a_table_of_empty_names_is_empty)
{
    ck_assert(ha_diff_is_empty(table_of("")));
    ck_assert(ha_diff_is_empty(table_of("=x =y")));
    ck_assert(!ha_diff_is_empty(table_of("=x a=1")));
    ck_assert(!ha_diff_is_empty(table_of("a=")));
}
END_TEST

START_TEST(every_limit_has_its_own_words)
{
    int i;
    int j;

    for (i = HA_DIFF_OK; i <= HA_DIFF_TOO_LARGE; i++) {
        ck_assert_str_ne(ha_diff_name((ha_diff_e)i), "no such result");
        for (j = HA_DIFF_OK; j < i; j++) {
            ck_assert_str_ne(ha_diff_name((ha_diff_e)i),
                             ha_diff_name((ha_diff_e)j));
        }
    }
}
END_TEST

START_TEST(a_phrase_names_its_limit)
{
    char text[32];

    snprintf(text, sizeof(text), "more than %d ", HA_ATTRS_MAX);
    ck_assert_ptr_nonnull(strstr(ha_diff_name(HA_DIFF_TOO_MANY), text));
    snprintf(text, sizeof(text), "longer than %d ", HA_ATTR_NAME_MAX);
    ck_assert_ptr_nonnull(strstr(ha_diff_name(HA_DIFF_LONG_NAME), text));
    snprintf(text, sizeof(text), "more than %d ", HA_SESSION_MAX);
    ck_assert_ptr_nonnull(strstr(ha_diff_name(HA_DIFF_TOO_LARGE), text));
}
END_TEST

START_TEST(a_size_has_a_class_for_each_doubling)
{
    static const struct {
        apr_size_t bytes;
        unsigned int size;
    } sizes[] = {
        { 0, 0 }, { 4096, 0 }, { 4097, 1 }, { 8192, 1 }, { 8193, 2 },
        { 16384, 2 }, { 65537, 5 }, { 131072, 5 }, { 131073, 6 }
    };
    size_t i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ck_assert_uint_eq(ha_diff_size_class(sizes[i].bytes), sizes[i].size);
    }
    ck_assert_uint_le(ha_diff_size_class((apr_size_t)-1), 31);
    ck_assert_uint_eq(ha_diff_size(table_of("user=ada n=1")), 9);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_diff");
    TCase *tests = tcase_create("ha_diff");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, what_was_changed_is_found, 0, LENGTH_OF(rows));
    tcase_add_loop_test(tests, a_table_above_a_limit_gives_no_operation, 0,
                        LENGTH_OF(limits));
    tcase_add_test(tests, what_was_loaded_is_held_to_no_limit);
    tcase_add_test(tests, a_repeated_name_counts_once_against_the_limits);
    tcase_add_test(tests, a_table_of_empty_names_is_empty);
    tcase_add_test(tests, every_limit_has_its_own_words);
    tcase_add_test(tests, a_phrase_names_its_limit);
    tcase_add_test(tests, a_size_has_a_class_for_each_doubling);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
