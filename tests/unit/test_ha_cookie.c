/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_cookie.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

#define OLD "0123456789abcdef0123456789abcdef"
#define NEW "fedcba9876543210fedcba9876543210"

#define NAME "HASESSION"

#define ISSUED 1700000000
#define EXPIRES 1800000000

/* Computed with another language's HMAC from OLD: cookies are out there.
 * One session under our name, another one's, and under none. */
#define FACTS "AWUBIU0AAQIDBAUGBwgJCgsMDQ4PZVPxAGtJ0gA."
#define GOLDEN FACTS "2h7_yftEW_ptKYkwd39CeX7eLfNQa9AucEw2Ojv8ANw"
#define GOLDEN_SHOP FACTS "IqEVtX_xtI2lWCA7mxGvFRgxqN8q_R8CKG2wbCIagzE"
#define GOLDEN_NONE FACTS "VYcbpbABknzBye59wIXlyt6zuI1_p8GxqWzQvdvTE0A"
/* The same from NEW. */
#define GOLDEN_NEW "Af6f1owAAQIDBAUGBwgJCgsMDQ4PZVPxAGtJ0gA." \
                   "kiRnvBy4p0s9gZCK8kb5N5Nmnp0zsU4ZAHfuvLmYfOI"

static apr_pool_t *pool;
static ha_ring_t ring;
static ha_cookie_t cookie;
static span_t name;

static void read_ring(ha_ring_t *into, const char *text)
{
    unsigned int line;

    ck_assert_int_eq(ha_ring_parse(into, &line, span_of_text(text)),
                     HA_RING_OK);
}

static void set_up(void)
{
    int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    read_ring(&ring, OLD);
    name = span_of_text(NAME);
    cookie.key = 0;
    for (i = 0; i < HA_SID_BYTES; i++) {
        cookie.id[i] = (unsigned char)i;
    }
    cookie.issued_sec = ISSUED;
    cookie.expires_sec = EXPIRES;
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

static char *sign(void)
{
    return ha_cookie_sign(&cookie, &ring, name, pool);
}

/* What is read is cookie, its key included; what is refused is all zero. */
static ha_cookie_e verify_at(const char *value, apr_int64_t now_sec)
{
    static const ha_cookie_t none;
    ha_cookie_t found;
    ha_cookie_e result;

    memset(&found, 0xee, sizeof(found));
    result = ha_cookie_verify(&found, &ring, name, span_of_text(value),
                              apr_time_from_sec(now_sec));
    if (result == HA_COOKIE_OK) {
        ck_assert_mem_eq(found.id, cookie.id, HA_SID_BYTES);
        ck_assert_uint_eq(found.issued_sec, cookie.issued_sec);
        ck_assert_uint_eq(found.expires_sec, cookie.expires_sec);
        ck_assert_uint_eq(found.key, cookie.key);
    }
    else {
        ck_assert_mem_eq(&found, &none, sizeof(none));
    }
    return result;
}

static ha_cookie_e verify(const char *value)
{
    return verify_at(value, ISSUED + 1);
}

START_TEST(what_stands_behind_a_signature_is_told)
{
    char value[256];

    ck_assert_uint_eq(ha_cookie_behind(span_of_text(GOLDEN)).len, 0);
    ck_assert_uint_eq(ha_cookie_behind(span_of_text("short")).len, 0);
    (void)strcpy(value, GOLDEN);
    (void)strcat(value, ":A:B");
    ck_assert_int_eq(verify(value), HA_COOKIE_OK);
    ck_assert(span_is_equal(ha_cookie_behind(span_of_text(value)),
                            span_of_text(":A:B")));
}
END_TEST

START_TEST(the_form_of_a_cookie_never_changes)
{
    ck_assert_str_eq(sign(), GOLDEN);
    ck_assert_int_eq(verify(GOLDEN), HA_COOKIE_OK);
    read_ring(&ring, NEW);
    ck_assert_str_eq(sign(), GOLDEN_NEW);
    ck_assert_int_eq(verify(GOLDEN_NEW), HA_COOKIE_OK);
}
END_TEST

/* Two applications on one host, of one ring, do not share their sessions. */
START_TEST(a_cookie_of_another_name_is_forged)
{
    static const char *const names[] = { NAME, "SHOP", "" };
    static const char *const values[] = { GOLDEN, GOLDEN_SHOP, GOLDEN_NONE };
    int i;
    int j;

    for (i = 0; i < LENGTH_OF(names); i++) {
        name = span_of_text(names[i]);
        ck_assert_str_eq(sign(), values[i]);
        for (j = 0; j < LENGTH_OF(values); j++) {
            ck_assert_int_eq(verify(values[j]), i == j ? HA_COOKIE_OK
                                                       : HA_COOKIE_FORGED);
        }
    }
    name = span_of(NULL, 0);
    ck_assert_str_eq(sign(), GOLDEN_NONE);
    ck_assert_int_eq(verify(GOLDEN_NONE), HA_COOKIE_OK);
}
END_TEST

START_TEST(every_byte_of_the_name_is_signed)
{
    apr_size_t len;
    int bit;

    for (bit = 0; bit < (int)strlen(NAME) * 8; bit++) {
        char *other = apr_pstrdup(pool, NAME);

        other[bit / 8] = (char)(other[bit / 8] ^ 1 << bit % 8);
        name = span_of(other, strlen(NAME));
        ck_assert_int_eq(verify(GOLDEN), HA_COOKIE_FORGED);
    }
    /* Every prefix, in a block of just its size. */
    for (len = 0; len < strlen(NAME); len++) {
        char *copy = malloc(len > 0 ? len : 1);

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, NAME, len);
        name = span_of(copy, len);
        ck_assert_int_eq(verify(GOLDEN), HA_COOKIE_FORGED);
        free(copy);
    }
    /* What stands between name and facts is not part of either. */
    name = span_of(NAME, sizeof(NAME));
    ck_assert_int_eq(verify(GOLDEN), HA_COOKIE_FORGED);
    name = span_of_text("hasession");
    ck_assert_int_eq(verify(GOLDEN), HA_COOKIE_FORGED);
}
END_TEST

START_TEST(every_byte_of_the_longest_name_is_signed)
{
    apr_size_t len = HA_COOKIE_NAME_MAX;
    char *text = apr_pcalloc(pool, len + 1);
    char *value;

    memset(text, 'x', len);
    name = span_of(text, len);
    value = sign();
    ck_assert_int_eq(verify(value), HA_COOKIE_OK);
    name.len--;
    ck_assert_int_eq(verify(value), HA_COOKIE_FORGED);
    name.len++;
    text[len - 1] = 'y';
    ck_assert_int_eq(verify(value), HA_COOKIE_FORGED);
    text[len - 1] = 'x';
    ck_assert_int_eq(verify(value), HA_COOKIE_OK);
    name.len++;
    ck_assert_int_eq(verify(value), HA_COOKIE_MALFORMED);
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    int bit;

    for (bit = 0; bit < (int)strlen(GOLDEN) * 8; bit++) {
        char *value = apr_pstrdup(pool, GOLDEN);

        value[bit / 8] = (char)(value[bit / 8] ^ 1 << bit % 8);
        ck_assert_msg(verify(value) != HA_COOKIE_OK, "bit %d", bit);
    }
}
END_TEST

START_TEST(every_prefix_is_refused_within_its_bounds)
{
    apr_size_t len;

    for (len = 0; len < strlen(GOLDEN); len++) {
        /* A block of just its size, so that a sanitizer sees its end. */
        char *copy = malloc(len > 0 ? len : 1);
        ha_cookie_t found;

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, GOLDEN, len);
        ck_assert_int_eq(ha_cookie_verify(&found, &ring, name,
                                          span_of(copy, len),
                                          apr_time_from_sec(ISSUED)),
                         HA_COOKIE_MALFORMED);
        free(copy);
    }
}
END_TEST

/* The last digit of the mac has two bits that say nothing, and base64 has
 * another alphabet: only the spelling that we write is genuine. */
START_TEST(another_spelling_of_the_same_bytes_is_forged)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789-_";
    char *value = apr_pstrdup(pool, GOLDEN);
    char *last = value + strlen(value) - 1;
    int taken = 0;
    int i;

    for (i = 0; i < 64; i++) {
        *last = digits[i];
        taken += verify(value) == HA_COOKIE_OK;
    }
    ck_assert_int_eq(taken, 1);
    value = apr_pstrdup(pool, GOLDEN);
    *strchr(value, '_') = '/';
    ck_assert_int_eq(verify(value), HA_COOKIE_FORGED);
    ck_assert_int_eq(verify(GOLDEN "="), HA_COOKIE_MALFORMED);
}
END_TEST

typedef struct row_t {
    const char *value;
    ha_cookie_e result;
} row_t;

static const row_t rows[] = {
    { GOLDEN ":cloneA", HA_COOKIE_OK },
    { GOLDEN ":cloneA:cloneB", HA_COOKIE_OK },
    { GOLDEN "+cloneA", HA_COOKIE_OK },
    { GOLDEN "!-1234!NONE", HA_COOKIE_OK },
    { GOLDEN "~cloneA", HA_COOKIE_OK },
    { GOLDEN ".node1", HA_COOKIE_OK },
    { GOLDEN ".node1.node2", HA_COOKIE_OK },
    { GOLDEN ":", HA_COOKIE_OK },
    { GOLDEN "cloneA", HA_COOKIE_MALFORMED },
    { GOLDEN "-cloneA", HA_COOKIE_MALFORMED },
    { GOLDEN ";cloneA", HA_COOKIE_MALFORMED },
    { GOLDEN " ", HA_COOKIE_MALFORMED },
    { "0000" GOLDEN, HA_COOKIE_VERSION },
    { "\"" GOLDEN "\"", HA_COOKIE_MALFORMED },
    { "", HA_COOKIE_MALFORMED },
    { ".", HA_COOKIE_MALFORMED },
    { "A", HA_COOKIE_MALFORMED },
    { "0000A2MB4IJozU_VM8IffsMNfdR:v544d0o0", HA_COOKIE_MALFORMED },
    { "AgAA.x", HA_COOKIE_VERSION },
    { "AAAA.x", HA_COOKIE_VERSION },
    { "_w.x", HA_COOKIE_VERSION },
    { "AQ.x", HA_COOKIE_MALFORMED },
    { "AWUBIU0AAQIDBAUGBwgJCgsMDQ4PZVPxAGtJ0gA.", HA_COOKIE_MALFORMED },
    { "AWUBIU0AAQIDBAUGBwgJCgsMDQ4PZVPxAGtJ0gA.."
      "2h7_yftEW_ptKYkwd39CeX7eLfNQa9AucEw2Ojv8ANw", HA_COOKIE_MALFORMED },
    /* Another key id; other facts; another mac. */
    { "AWUBIU4AAQIDBAUGBwgJCgsMDQ4PZVPxAGtJ0gA."
      "2h7_yftEW_ptKYkwd39CeX7eLfNQa9AucEw2Ojv8ANw", HA_COOKIE_NO_KEY },
    { "AWUBIU0AAQIDBAUGBwgJCgsMDQ4PZVPxAGtJ0gE."
      "2h7_yftEW_ptKYkwd39CeX7eLfNQa9AucEw2Ojv8ANw", HA_COOKIE_FORGED },
    { "AWUBIU0AAQIDBAUGBwgJCgsMDQ4PZVPxAGtJ0gA."
      "3h7_yftEW_ptKYkwd39CeX7eLfNQa9AucEw2Ojv8ANw", HA_COOKIE_FORGED },
};

START_TEST(a_cookie_is_taken_or_refused_for_its_reason)
{
    ck_assert_str_eq(ha_cookie_name(verify(rows[_i].value)),
                     ha_cookie_name(rows[_i].result));
}
END_TEST

START_TEST(a_byte_nought_separates_nothing)
{
    static const char value[] = GOLDEN "\0:cloneA";
    ha_cookie_t found;

    ck_assert_int_eq(ha_cookie_verify(&found, &ring, name,
                                      span_of(value, sizeof(value) - 1), 0),
                     HA_COOKIE_MALFORMED);
}
END_TEST

START_TEST(a_cookie_ends_at_its_very_second)
{
    ck_assert_int_eq(verify_at(GOLDEN, EXPIRES - 1), HA_COOKIE_OK);
    ck_assert_int_eq(verify_at(GOLDEN, EXPIRES), HA_COOKIE_EXPIRED);
    ck_assert_int_eq(verify_at(GOLDEN, EXPIRES + 1), HA_COOKIE_EXPIRED);
    /* Whether it is forged is told before when it ended. */
    ck_assert_int_eq(verify_at("AWUBIU0AAQIDBAUGBwgJCgsMDQ4PZVPxAGtJ0gA."
                               "3h7_yftEW_ptKYkwd39CeX7eLfNQa9AucEw2Ojv8ANw",
                               EXPIRES),
                     HA_COOKIE_FORGED);
}
END_TEST

START_TEST(a_cookie_without_an_end_has_none)
{
    char *value;

    cookie.expires_sec = 0;
    value = sign();
    ck_assert_int_eq(verify_at(value, 0), HA_COOKIE_OK);
    ck_assert_int_eq(verify_at(value, 4102444800LL * 10), HA_COOKIE_OK);
    /* The last second that fits. */
    cookie.expires_sec = 0xffffffff;
    value = sign();
    ck_assert_int_eq(verify_at(value, 0xfffffffeLL), HA_COOKIE_OK);
    ck_assert_int_eq(verify_at(value, 0xffffffffLL), HA_COOKIE_EXPIRED);
}
END_TEST

START_TEST(the_first_secret_signs_and_all_verify)
{
    char *value;

    read_ring(&ring, NEW "\n" OLD);
    cookie.key = 1;
    ck_assert_int_eq(verify(GOLDEN), HA_COOKIE_OK);
    value = sign();
    ck_assert_str_eq(value, GOLDEN_NEW);
    cookie.key = 0;
    ck_assert_int_eq(verify(value), HA_COOKIE_OK);
    read_ring(&ring, OLD "\n" NEW);
    ck_assert_int_eq(verify(GOLDEN), HA_COOKIE_OK);
    cookie.key = 1;
    ck_assert_int_eq(verify(value), HA_COOKIE_OK);
    read_ring(&ring, OLD);
    ck_assert_int_eq(verify(value), HA_COOKIE_NO_KEY);
    ha_ring_wipe(&ring);
    ck_assert_int_eq(verify(GOLDEN), HA_COOKIE_NO_KEY);
}
END_TEST

START_TEST(a_cookie_of_an_old_secret_is_found_out_and_signed_anew)
{
    ha_cookie_t found;
    char *value;
    unsigned int i;

    read_ring(&ring, NEW "\n" OLD);
    ck_assert_int_eq(ha_cookie_verify(&found, &ring, name,
                                      span_of_text(GOLDEN), 0), HA_COOKIE_OK);
    ck_assert_uint_eq(found.key, 1);
    value = ha_cookie_sign(&found, &ring, name, pool);
    ck_assert_str_eq(value, GOLDEN_NEW);
    ck_assert_int_eq(ha_cookie_verify(&found, &ring, name,
                                      span_of_text(value), 0), HA_COOKIE_OK);
    ck_assert_uint_eq(found.key, 0);
    /* The first key signs, whatever the cookie says of one. */
    for (i = 0; i < HA_SECRETS_MAX + 2; i++) {
        cookie.key = i;
        ck_assert_str_eq(sign(), GOLDEN_NEW);
    }
}
END_TEST

START_TEST(the_key_of_the_last_secret_is_told)
{
    char *text = apr_pstrdup(pool, "");
    int i;

    for (i = 1; i < HA_SECRETS_MAX; i++) {
        text = apr_psprintf(pool, "%sthe secret number %d, long enough to be "
                            "one\n", text, i);
    }
    read_ring(&ring, apr_pstrcat(pool, text, OLD, NULL));
    ck_assert_uint_eq(ring.count, HA_SECRETS_MAX);
    cookie.key = HA_SECRETS_MAX - 1;
    ck_assert_int_eq(verify(GOLDEN), HA_COOKIE_OK);
}
END_TEST

START_TEST(a_cookie_above_the_limit_is_not_looked_at)
{
    char *value = apr_palloc(pool, HA_COOKIE_MAX + 2);

    memset(value, 'x', HA_COOKIE_MAX + 1);
    memcpy(value, GOLDEN ":", sizeof(GOLDEN));
    value[HA_COOKIE_MAX] = '\0';
    ck_assert_int_eq(verify(value), HA_COOKIE_OK);
    value[HA_COOKIE_MAX] = 'x';
    value[HA_COOKIE_MAX + 1] = '\0';
    ck_assert_int_eq(verify(value), HA_COOKIE_TOO_LONG);
}
END_TEST

START_TEST(what_is_signed_is_what_is_read)
{
    unsigned int seed = 1;
    int i;

    for (i = 0; i < 2000; i++) {
        unsigned int at;

        for (at = 0; at < HA_SID_BYTES; at++) {
            seed = seed * 1103515245 + 12345;
            cookie.id[at] = (unsigned char)(seed >> 16);
        }
        cookie.issued_sec = seed;
        cookie.expires_sec = i % 3 == 0 ? 0 : ~seed | ISSUED;
        ck_assert_int_eq(verify_at(sign(), 1),
                         HA_COOKIE_OK);
    }
}
END_TEST

START_TEST(every_reason_has_its_own_word)
{
    int i;
    int j;

    for (i = HA_COOKIE_OK; i <= HA_COOKIE_EXPIRED; i++) {
        ck_assert_str_ne(ha_cookie_name((ha_cookie_e)i), "no-such-result");
        for (j = HA_COOKIE_OK; j < i; j++) {
            ck_assert_str_ne(ha_cookie_name((ha_cookie_e)i),
                             ha_cookie_name((ha_cookie_e)j));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_cookie");
    TCase *tests = tcase_create("ha_cookie");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, what_stands_behind_a_signature_is_told);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_form_of_a_cookie_never_changes);
    tcase_add_test(tests, a_cookie_of_another_name_is_forged);
    tcase_add_test(tests, every_byte_of_the_name_is_signed);
    tcase_add_test(tests, every_byte_of_the_longest_name_is_signed);
    tcase_add_test(tests, every_flipped_bit_is_refused);
    tcase_add_test(tests, every_prefix_is_refused_within_its_bounds);
    tcase_add_test(tests, another_spelling_of_the_same_bytes_is_forged);
    tcase_add_loop_test(tests, a_cookie_is_taken_or_refused_for_its_reason, 0,
                        LENGTH_OF(rows));
    tcase_add_test(tests, a_byte_nought_separates_nothing);
    tcase_add_test(tests, a_cookie_ends_at_its_very_second);
    tcase_add_test(tests, a_cookie_without_an_end_has_none);
    tcase_add_test(tests, the_first_secret_signs_and_all_verify);
    tcase_add_test(tests,
                   a_cookie_of_an_old_secret_is_found_out_and_signed_anew);
    tcase_add_test(tests, the_key_of_the_last_secret_is_told);
    tcase_add_test(tests, a_cookie_above_the_limit_is_not_looked_at);
    tcase_add_test(tests, what_is_signed_is_what_is_read);
    tcase_add_test(tests, every_reason_has_its_own_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
