/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_ring.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* Secrets of 32 characters, the least there may be, and one of 31. */
#define REST "123456789abcdef0123456789abcdef"
#define A "a" REST
#define B "b" REST
#define C "c" REST
#define SHORT "123456789abcdef0123456789abcdef"

typedef struct row_t {
    const char *text;
    ha_ring_e result;
    unsigned int line;
    unsigned int count;
} row_t;

static const row_t rows[] = {
    { A, HA_RING_OK, 0, 1 },
    { A "\n", HA_RING_OK, 0, 1 },
    { A "\n" B "\n", HA_RING_OK, 0, 2 },
    { A "\n" B, HA_RING_OK, 0, 2 },
    { A "\r\n" B "\r\n", HA_RING_OK, 0, 2 },
    { "# first\n\n  \t\n" A "\n\n# old\n" B "\n#", HA_RING_OK, 0, 2 },
    { "  " A " \t\n\t" B "\n", HA_RING_OK, 0, 2 },
    { "  # after blanks\n" A, HA_RING_OK, 0, 1 },
    { A " with words and #\n", HA_RING_OK, 0, 1 },
    { "", HA_RING_EMPTY, 0, 0 },
    { "\n\n", HA_RING_EMPTY, 0, 0 },
    { "# " A "\n", HA_RING_EMPTY, 0, 0 },
    { SHORT, HA_RING_TOO_SHORT, 1, 0 },
    { SHORT " \n", HA_RING_TOO_SHORT, 1, 0 },
    { A "\n" SHORT "\n" B, HA_RING_TOO_SHORT, 2, 0 },
    { "#\r\n\r\n" A "\r\nx\r\n", HA_RING_TOO_SHORT, 4, 0 },
    { A "\x7f\n", HA_RING_BAD_BYTE, 1, 0 },
    { A "\n" B "\n" C "\xc3\xa9", HA_RING_BAD_BYTE, 3, 0 },
    { "\xef\xbb\xbf" A, HA_RING_BAD_BYTE, 1, 0 },
    { A "\t" B, HA_RING_BAD_BYTE, 1, 0 },
    { A "\r" B, HA_RING_BAD_BYTE, 1, 0 },
    { A "\n" A "\n", HA_RING_REPEATED, 2, 0 },
    { A "\n" B "\n\n " A " \n", HA_RING_REPEATED, 4, 0 },
    { "1" REST "\n2" REST "\n3" REST "\n4" REST "\n5" REST "\n6" REST
      "\n7" REST "\n8" REST "\n", HA_RING_OK, 0, 8 },
    { "1" REST "\n2" REST "\n3" REST "\n4" REST "\n5" REST "\n6" REST
      "\n7" REST "\n8" REST "\n#\n9" REST "\n", HA_RING_TOO_MANY, 10, 0 },
};

static int is_wiped(const ha_ring_t *ring)
{
    static const ha_ring_t none;

    return memcmp(ring, &none, sizeof(none)) == 0;
}

START_TEST(a_ring_file_is_read_or_refused_with_its_line)
{
    const row_t *row = &rows[_i];
    unsigned int line = 99;
    ha_ring_t ring;

    ck_assert_str_eq(
        ha_ring_name(ha_ring_parse(&ring, &line, span_of_text(row->text))),
        ha_ring_name(row->result));
    ck_assert_uint_eq(line, row->line);
    ck_assert_uint_eq(ring.count, row->count);
    ck_assert_int_eq(is_wiped(&ring), row->result != HA_RING_OK);
}
END_TEST

START_TEST(a_byte_nought_is_no_character_of_a_secret)
{
    static const char text[] = A "\0more";
    unsigned int line;
    ha_ring_t ring;

    ck_assert_int_eq(
        ha_ring_parse(&ring, &line, span_of(text, sizeof(text) - 1)),
        HA_RING_BAD_BYTE);
    ck_assert_uint_eq(line, 1);
}
END_TEST

START_TEST(a_secret_may_be_as_long_as_the_limit_and_no_longer)
{
    char text[HA_SECRET_LEN_MAX + 1];
    unsigned int line;
    ha_ring_t ring;

    memset(text, 'x', sizeof(text));
    ck_assert_int_eq(
        ha_ring_parse(&ring, &line, span_of(text, HA_SECRET_LEN_MAX)),
        HA_RING_OK);
    ck_assert_int_eq(
        ha_ring_parse(&ring, &line, span_of(text, HA_SECRET_LEN_MAX + 1)),
        HA_RING_TOO_LONG);
    ck_assert_uint_eq(line, 1);
    ck_assert(is_wiped(&ring));
}
END_TEST

START_TEST(every_prefix_of_a_ring_file_is_read_within_its_bounds)
{
    static const char text[] = "# ring\r\n" A "\r\n\n " B "\n" C "\n";
    apr_size_t len;

    for (len = 0; len < sizeof(text); len++) {
        /* A block of just its size, so that a sanitizer sees its end. */
        char *copy = malloc(len > 0 ? len : 1);
        unsigned int line;
        ha_ring_t ring;
        ha_ring_e result;

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, text, len);
        result = ha_ring_parse(&ring, &line, span_of(copy, len));
        ck_assert_int_eq(result == HA_RING_OK, ring.count > 0);
        free(copy);
    }
}
END_TEST

/* Computed with another language's HMAC: cookies out there depend on it. */
START_TEST(the_keys_of_a_secret_never_change)
{
    static const unsigned char id[] = { 0x65, 0x01, 0x21, 0x4d };
    static const unsigned char mac[] = { 0xf0, 0x43, 0xed, 0x6e, 0xa1 };
    unsigned int line;
    ha_ring_t ring;

    ck_assert_int_eq(
        ha_ring_parse(&ring, &line,
                      span_of_text("0123456789abcdef0123456789abcdef\n")),
        HA_RING_OK);
    ck_assert_mem_eq(ring.keys[0].id, id, HA_KEY_ID);
    ck_assert_mem_eq(ring.keys[0].mac, mac, sizeof(mac));
}
END_TEST

START_TEST(a_ring_of_random_bytes_has_one_key_derived_from_them)
{
    static const unsigned char id[] = { 0x9c, 0x60, 0x0a, 0x3a };
    static const unsigned char mac[] = { 0x4a, 0x43, 0xb1, 0xd3, 0xc2 };
    unsigned char bytes[HA_KEY_BYTES];
    ha_ring_t ring;
    int i;

    for (i = 0; i < HA_KEY_BYTES; i++) {
        bytes[i] = (unsigned char)i;
    }
    ha_ring_init(&ring, bytes);
    ck_assert_uint_eq(ring.count, 1);
    ck_assert_mem_eq(ring.keys[0].id, id, HA_KEY_ID);
    ck_assert_mem_eq(ring.keys[0].mac, mac, sizeof(mac));
}
END_TEST

START_TEST(a_wiped_ring_holds_nothing)
{
    unsigned int line;
    ha_ring_t ring;

    ck_assert_int_eq(ha_ring_parse(&ring, &line, span_of_text(A "\n" B)),
                     HA_RING_OK);
    ck_assert(!is_wiped(&ring));
    ha_ring_wipe(&ring);
    ck_assert(is_wiped(&ring));
}
END_TEST

START_TEST(every_fault_has_its_own_words)
{
    int i;
    int j;

    for (i = HA_RING_OK; i <= HA_RING_TOO_MANY; i++) {
        ck_assert_str_ne(ha_ring_name((ha_ring_e)i), "no such result");
        for (j = HA_RING_OK; j < i; j++) {
            ck_assert_str_ne(ha_ring_name((ha_ring_e)i),
                             ha_ring_name((ha_ring_e)j));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_ring");
    TCase *tests = tcase_create("ha_ring");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, a_ring_file_is_read_or_refused_with_its_line,
                        0, LENGTH_OF(rows));
    tcase_add_test(tests, a_byte_nought_is_no_character_of_a_secret);
    tcase_add_test(tests, a_secret_may_be_as_long_as_the_limit_and_no_longer);
    tcase_add_test(tests,
                   every_prefix_of_a_ring_file_is_read_within_its_bounds);
    tcase_add_test(tests, the_keys_of_a_secret_never_change);
    tcase_add_test(tests, a_ring_of_random_bytes_has_one_key_derived_from_them);
    tcase_add_test(tests, a_wiped_ring_holds_nothing);
    tcase_add_test(tests, every_fault_has_its_own_words);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
