/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_cookie.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <check.h>
#include <stdlib.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define ID "abcdefghijklmn-_"

static apr_pool_t *p;
static ha_ring_t ring;
static ha_ring_t other;
static const span_t name = { "ROUTE", 5 };

static void set_up(void)
{
    static const unsigned char one[HA_KEY_BYTES] = "one";
    static const unsigned char two[HA_KEY_BYTES] = "two";

    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    ha_ring_init(&ring, one);
    ha_ring_init(&other, two);
}

static void tear_down(void)
{
    apr_pool_destroy(p);
    apr_terminate();
}

static const char *joined(const clone_ids_t *ids)
{
    const char *text = "";
    unsigned int i;

    for (i = 0; i < ids->count; i++) {
        text = apr_pstrcat(p, text, i > 0 ? " " : "",
                           apr_pstrmemdup(p, ids->clone[i].data,
                                          ids->clone[i].len), NULL);
    }
    return text;
}

static clone_cookie_e read_value(clone_ids_t *ids, const char *value,
                                 const ha_ring_t *with)
{
    return clone_cookie_read(ids, span_of_text(value), name, with, p);
}

static const struct {
    const char *value;
    clone_cookie_e result;
    const char *clones;
} plain_rows[] = {
    { ID ":A", CLONE_COOKIE_OK, "A" },
    { ID ":B:A", CLONE_COOKIE_OK, "B A" },
    { ID, CLONE_COOKIE_OK, "" },
    { ID ":", CLONE_COOKIE_OK, "" },
    { ID "::A:", CLONE_COOKIE_OK, "A" },
    { ID ":A:B:C:D:E", CLONE_COOKIE_OK, "A B C D" },
    { ID ":a%3Ab:c%20d", CLONE_COOKIE_OK, "a:b c d" },
    { ID ":a%0d%0aX:B", CLONE_COOKIE_OK, "B" },
    { ID ":a%00:B", CLONE_COOKIE_OK, "B" },
    { ID ":a b:B", CLONE_COOKIE_OK, "B" },
    { ID ":a\"b:B", CLONE_COOKIE_OK, "B" },
    { ID ":\xc3\xa4:B", CLONE_COOKIE_OK, "B" },
    { ID "A", CLONE_COOKIE_MALFORMED, "" },
    { ID ".A", CLONE_COOKIE_MALFORMED, "" },
    { "abcdefghijklmno:A", CLONE_COOKIE_MALFORMED, "" },
    { "abcdefghijklmn.p:A", CLONE_COOKIE_MALFORMED, "" },
    { "abcdefghijklmn p:A", CLONE_COOKIE_MALFORMED, "" },
    { "", CLONE_COOKIE_MALFORMED, "" },
    { ":A", CLONE_COOKIE_MALFORMED, "" }
};

START_TEST(a_plain_value_is_read_as_far_as_it_is_ours)
{
    clone_ids_t ids;

    memset(&ids, 0x5a, sizeof(ids));
    ck_assert_str_eq(
        clone_cookie_name(read_value(&ids, plain_rows[_i].value, NULL)),
        clone_cookie_name(plain_rows[_i].result));
    ck_assert_str_eq(joined(&ids), plain_rows[_i].clones);
    ck_assert_uint_eq(ids.session.len,
                      plain_rows[_i].result == CLONE_COOKIE_OK
                          ? CLONE_COOKIE_ID_LEN : 0);
}
END_TEST

static char *make(const ha_ring_t *with, const char *routes)
{
    span_t list[CLONE_COOKIE_CLONES];
    unsigned int count = 0;

    for (; *routes != '\0'; routes++) {
        list[count++] = span_of(routes, 1);
    }
    return clone_cookie_write(span_of_text(ID),
                              clone_cookie_write_list(list, count, p), name,
                              with, p);
}

START_TEST(what_was_written_is_read)
{
    const ha_ring_t *with = _i == 0 ? NULL : &ring;
    clone_ids_t ids;

    ck_assert_int_eq(read_value(&ids, make(with, "B"), with), CLONE_COOKIE_OK);
    ck_assert_str_eq(joined(&ids), "B");
    ck_assert(span_is_equal(ids.session, span_of_text(ID)));
    ck_assert_int_eq(read_value(&ids, make(with, "B,%:"), with),
                     CLONE_COOKIE_OK);
    ck_assert_str_eq(joined(&ids), "B , % :");
}
END_TEST

START_TEST(a_changed_byte_anywhere_is_refused)
{
    char *value = make(&ring, "BA");
    size_t i;

    for (i = 0; value[i] != '\0'; i++) {
        char *copy = apr_pstrdup(p, value);
        clone_ids_t ids;

        copy[i] = copy[i] == 'x' ? 'y' : 'x';
        ck_assert_int_ne(read_value(&ids, copy, &ring), CLONE_COOKIE_OK);
        ck_assert_uint_eq(ids.count, 0);
    }
}
END_TEST

START_TEST(every_prefix_of_a_value_is_read_within_its_bounds)
{
    const ha_ring_t *with = _i == 0 ? NULL : &ring;
    const char *value = make(with, "BA");
    size_t len;

    for (len = 0; len <= strlen(value); len++) {
        char *copy = malloc(len > 0 ? len : 1);
        clone_ids_t ids;

        memcpy(copy, value, len);
        ck_assert((clone_cookie_read(&ids, span_of(copy, len), name, with, p)
                   == CLONE_COOKIE_OK) == (ids.session.len > 0));
        ck_assert(with == NULL || len == strlen(value)
                  || ids.session.len == 0);
        free(copy);
    }
}
END_TEST

START_TEST(a_value_counts_for_its_own_name_and_secret_alone)
{
    ha_ring_t both = other;
    clone_ids_t ids;

    ck_assert_int_eq(clone_cookie_read(&ids, span_of_text(make(&ring, "A")),
                                       span_of_text("ROUTES"), &ring, p),
                     CLONE_COOKIE_FORGED);
    ck_assert_int_eq(read_value(&ids, make(&ring, "A"), &other),
                     CLONE_COOKIE_NO_KEY);
    ck_assert_int_eq(read_value(&ids, make(&ring, "A"), NULL),
                     CLONE_COOKIE_MALFORMED);
    ck_assert_int_eq(read_value(&ids, make(NULL, "A"), &ring),
                     CLONE_COOKIE_MALFORMED);
    /* A ring whose second secret signed still verifies. */
    both.keys[1] = ring.keys[0];
    both.count = 2;
    ck_assert_int_eq(read_value(&ids, make(&ring, "A"), &both),
                     CLONE_COOKIE_OK);
}
END_TEST

START_TEST(a_long_value_is_refused_unread)
{
    char *value = malloc(CLONE_COOKIE_MAX + 1);
    clone_ids_t ids;

    memset(value, 'a', CLONE_COOKIE_MAX + 1);
    ck_assert_int_eq(clone_cookie_read(
        &ids, span_of(value, CLONE_COOKIE_MAX + 1), name, NULL, p),
        CLONE_COOKIE_TOO_LONG);
    ck_assert_int_eq(clone_cookie_read(
        &ids, span_of(value, CLONE_COOKIE_MAX), name, NULL, p),
        CLONE_COOKIE_MALFORMED);
    free(value);
}
END_TEST

static const struct {
    const char *before;
    const char *serving;
    const char *after;
} renew_rows[] = {
    { "", "A", ":A" },
    { ":A", "A", ":A" },
    { ":A", "B", ":B:A" },
    { ":B:A", "A", ":A:B" },
    { ":X:A", "B", ":B:A" },
    { ":A:A", "A", ":A" },
    { ":A:B:C", "D", ":D:A:B:C" },
    { ":A:B:C:D", "E", ":E:A:B:C" },
    { ":e%20:A", "e ", ":e%20:A" }
};

START_TEST(who_serves_comes_first_and_who_is_gone_goes)
{
    static const char *const routes[] = { "A", "B", "C", "D", "E", "e ", "" };
    span_t members[7];
    span_t list[CLONE_COOKIE_CLONES];
    clone_ids_t before;
    unsigned int count;
    unsigned int i;

    for (i = 0; i < 7; i++) {
        members[i] = span_of_text(routes[i]);
    }
    memset(&before, 0, sizeof(before));
    clone_cookie_read_list(&before, span_of_text(renew_rows[_i].before), p);
    count = clone_cookie_renew(list, &before,
                               span_of_text(renew_rows[_i].serving), members,
                               7);
    ck_assert_str_eq(clone_cookie_write_list(list, count, p),
                     renew_rows[_i].after);
}
END_TEST

START_TEST(a_list_of_the_longest_routes_can_be_read_again)
{
    span_t list[CLONE_COOKIE_CLONES];
    char route[95];
    clone_ids_t ids;
    char *value;
    int i;

    memset(route, '%', sizeof(route));
    for (i = 0; i < CLONE_COOKIE_CLONES; i++) {
        list[i] = span_of(route, sizeof(route));
    }
    value = clone_cookie_write(span_of_text(ID), clone_cookie_write_list(
        list, CLONE_COOKIE_CLONES, p), name, &ring, p);
    ck_assert_int_eq(read_value(&ids, value, &ring), CLONE_COOKIE_OK);
    ck_assert_uint_eq(ids.count, CLONE_COOKIE_CLONES);
    ck_assert(span_is_equal(ids.clone[3], list[3]));
}
END_TEST

START_TEST(a_cookie_is_set_with_safe_attributes)
{
    clone_cookie_conf_t conf = { "R", "/", NULL, CLONE_SAME_SITE_LAX, 0 };

    ck_assert_str_eq(clone_cookie_set(&conf, "v", 0, p),
                     "R=v; Path=/; HttpOnly; SameSite=Lax");
    ck_assert_str_eq(clone_cookie_set(&conf, "v", 1, p),
                     "R=v; Path=/; HttpOnly; Secure; SameSite=Lax");
    conf.path = "/shop";
    conf.domain = "example.com";
    conf.same_site = CLONE_SAME_SITE_STRICT;
    conf.is_secure = 1;
    ck_assert_str_eq(clone_cookie_set(&conf, "v", 0, p),
                     "R=v; Path=/shop; Domain=example.com; HttpOnly; Secure; "
                     "SameSite=Strict");
    conf.is_secure = 0;
    conf.same_site = CLONE_SAME_SITE_NONE;
    ck_assert_ptr_nonnull(strstr(clone_cookie_set(&conf, "v", 0, p),
                                 "; Secure; SameSite=None"));
}
END_TEST

START_TEST(an_id_is_made_of_random_bytes)
{
    unsigned char bytes[CLONE_COOKIE_ID_BYTES];
    char id[CLONE_COOKIE_ID_LEN + 1];
    clone_ids_t ids;

    memset(bytes, 0xff, sizeof(bytes));
    clone_cookie_make_id(id, bytes);
    ck_assert_uint_eq(strlen(id), CLONE_COOKIE_ID_LEN);
    ck_assert_int_eq(read_value(&ids, id, NULL), CLONE_COOKIE_OK);
}
END_TEST

START_TEST(every_result_has_its_own_word)
{
    int i;
    int j;

    for (i = CLONE_COOKIE_OK; i <= CLONE_COOKIE_FORGED; i++) {
        ck_assert_str_ne(clone_cookie_name((clone_cookie_e)i), "?");
        for (j = CLONE_COOKIE_OK; j < i; j++) {
            ck_assert_str_ne(clone_cookie_name((clone_cookie_e)i),
                             clone_cookie_name((clone_cookie_e)j));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_cookie");
    TCase *tests = tcase_create("clone_cookie");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_plain_value_is_read_as_far_as_it_is_ours, 0,
                        LENGTH_OF(plain_rows));
    tcase_add_loop_test(tests, what_was_written_is_read, 0, 2);
    tcase_add_test(tests, a_changed_byte_anywhere_is_refused);
    tcase_add_loop_test(tests,
                        every_prefix_of_a_value_is_read_within_its_bounds, 0,
                        2);
    tcase_add_test(tests, a_value_counts_for_its_own_name_and_secret_alone);
    tcase_add_test(tests, a_long_value_is_refused_unread);
    tcase_add_loop_test(tests, who_serves_comes_first_and_who_is_gone_goes, 0,
                        LENGTH_OF(renew_rows));
    tcase_add_test(tests, a_list_of_the_longest_routes_can_be_read_again);
    tcase_add_test(tests, a_cookie_is_set_with_safe_attributes);
    tcase_add_test(tests, an_id_is_made_of_random_bytes);
    tcase_add_test(tests, every_result_has_its_own_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
