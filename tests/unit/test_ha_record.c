/* SPDX-License-Identifier: Apache-2.0 */
/* One record: what is written is read, and nothing else is. */
#include "ha_record.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#define BODY "the body of a record"
#define SECRETS "fedcba9876543210fedcba9876543210\n" \
                "0123456789abcdef0123456789abcdef\n"

static apr_pool_t *pool;
static ha_sid_t sid;
static ha_sid_t other;
static ha_ring_t ring;
static ha_ring_t old_ring; /* before the first secret of ring came */
static ha_seal_t seal;

static void set_up(void)
{
    unsigned char bytes[HA_SID_BYTES] = { 1, 2, 3 };
    unsigned int line;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    ha_sid_init(&sid, bytes);
    bytes[0] = 255;
    ha_sid_init(&other, bytes);
    ck_assert_int_eq(ha_ring_parse(&ring, &line, span_of_text(SECRETS)),
                     HA_RING_OK);
    ck_assert_int_eq(ha_ring_parse(&old_ring, &line,
                                   span_of_text(strchr(SECRETS, '\n') + 1)),
                     HA_RING_OK);
    seal.ring = &ring;
    seal.encryption = HA_ENCRYPTION_ON;
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

/* In clear, or sealed. */
static const ha_seal_t *seal_of(int row)
{
    return row == 0 ? NULL : &seal;
}

static span_t written(const ha_seal_t *with)
{
    ha_stamp_t stamp = { 5, 7 };
    span_t body = span_of_text(BODY);
    char *at = apr_palloc(pool, ha_record_size(body.len, with));
    ha_draft_t draft = ha_record_begin(at, 2, stamp, body.len, with);

    ha_span_put(draft.body, body);
    return ha_record_end(&draft, &sid, with);
}

/* Read from a block of just its size, so that a sanitizer sees its end. */
static ha_record_e read_back(ha_record_t *record, apr_size_t *left,
                             const ha_sid_t *of, const ha_seal_t *with,
                             span_t value)
{
    char *copy = malloc(value.len);
    span_t rest = span_of(copy, value.len);
    ha_record_e result;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, value.data, value.len);
    result = ha_record_read(record, &rest, of, with, pool);
    *left = rest.len;
    if (result == HA_RECORD_OK) {
        ck_assert(span_is_equal(record->body, span_of_text(BODY)));
    }
    free(copy);
    return result;
}

static ha_record_e judged(const ha_sid_t *of, const ha_seal_t *with,
                          span_t value)
{
    ha_record_t record;
    apr_size_t left;

    return read_back(&record, &left, of, with, value);
}

START_TEST(what_was_written_is_read)
{
    span_t whole = written(seal_of(_i));
    ha_record_t record;
    apr_size_t left;

    ck_assert_int_eq(read_back(&record, &left, &sid, seal_of(_i), whole),
                     HA_RECORD_OK);
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(record.is_sealed, _i);
    ck_assert_int_eq(record.kind, 2);
    ck_assert_int_eq(record.flags, 0);
    ck_assert_uint_eq(record.stamp.time, 5);
    ck_assert_uint_eq(record.stamp.writer, 7);
    ck_assert_uint_eq(whole.len,
                      ha_record_size(strlen(BODY), seal_of(_i)));
    ck_assert_uint_eq(ha_record_size(strlen(BODY), seal_of(_i)),
                      ha_record_size(strlen(BODY), NULL)
                          + ha_record_extra(seal_of(_i)));
}
END_TEST

START_TEST(no_prefix_is_a_record)
{
    span_t whole = written(seal_of(_i));
    apr_size_t len;

    for (len = 1; len < whole.len; len++) {
        ck_assert_int_eq(judged(&sid, seal_of(_i), span_of(whole.data, len)),
                         HA_RECORD_DAMAGED);
    }
}
END_TEST

START_TEST(no_flipped_bit_is_believed)
{
    span_t whole = written(seal_of(_i));
    char *copy = apr_pmemdup(pool, whole.data, whole.len);
    apr_size_t bit;

    for (bit = 0; bit < whole.len * 8; bit++) {
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        ck_assert_int_ne(judged(&sid, seal_of(_i), span_of(copy, whole.len)),
                         HA_RECORD_OK);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
    }
    ck_assert_int_eq(judged(&sid, seal_of(_i), span_of(copy, whole.len)),
                     HA_RECORD_OK);
}
END_TEST

START_TEST(a_record_is_of_one_session_alone)
{
    ck_assert_int_eq(judged(&other, seal_of(_i), written(seal_of(_i))),
                     HA_RECORD_DAMAGED);
}
END_TEST

START_TEST(who_lacks_the_secret_finds_it_locked)
{
    ha_seal_t late = seal;

    late.ring = &old_ring;
    ck_assert_int_eq(judged(&sid, &late, written(&seal)), HA_RECORD_LOCKED);
    ck_assert_int_eq(judged(&sid, NULL, written(&seal)), HA_RECORD_LOCKED);
}
END_TEST

START_TEST(a_clear_record_is_believed_where_that_was_asked_for)
{
    span_t clear = written(NULL);

    ck_assert_int_eq(judged(&sid, &seal, clear), HA_RECORD_CLEAR);
    seal.encryption = HA_ENCRYPTION_MIGRATE;
    ck_assert_int_eq(judged(&sid, &seal, clear), HA_RECORD_OK);
    seal.encryption = HA_ENCRYPTION_OFF;
    ck_assert_int_eq(judged(&sid, &seal, clear), HA_RECORD_OK);
}
END_TEST

START_TEST(a_record_of_before_is_stale)
{
    ha_seal_t before = seal;
    ha_record_t record;
    apr_size_t left;

    before.ring = &old_ring;
    ck_assert_int_eq(read_back(&record, &left, &sid, &seal, written(&before)),
                     HA_RECORD_OK);
    ck_assert_int_eq(ha_record_is_stale(&record, &seal), 1);
    ck_assert_int_eq(read_back(&record, &left, &sid, &seal, written(&seal)),
                     HA_RECORD_OK);
    ck_assert_int_eq(ha_record_is_stale(&record, &seal), 0);
    ck_assert_int_eq(ha_record_is_stale(&record, NULL), 1);
}
END_TEST

START_TEST(a_copy_by_way_of_clear_is_the_same_record)
{
    span_t whole = written(&seal);
    span_t rest = whole;
    ha_record_t record;
    span_t clear;
    span_t copy;
    char *at;

    ck_assert_int_eq(ha_record_read(&record, &rest, &sid, &seal, pool),
                     HA_RECORD_OK);
    clear = ha_record_clear(&record, &sid, pool);
    ck_assert(span_is_equal(clear, written(NULL)));
    at = apr_palloc(pool, clear.len + ha_record_extra(&seal));
    copy = ha_record_copy(at, &clear, &sid, &seal);
    ck_assert(span_is_equal(copy, whole));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_record");
    TCase *tests = tcase_create("ha_record");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, what_was_written_is_read, 0, 2);
    tcase_add_loop_test(tests, no_prefix_is_a_record, 0, 2);
    tcase_add_loop_test(tests, no_flipped_bit_is_believed, 0, 2);
    tcase_add_loop_test(tests, a_record_is_of_one_session_alone, 0, 2);
    tcase_add_test(tests, who_lacks_the_secret_finds_it_locked);
    tcase_add_test(tests,
                   a_clear_record_is_believed_where_that_was_asked_for);
    tcase_add_test(tests, a_record_of_before_is_stale);
    tcase_add_test(tests, a_copy_by_way_of_clear_is_the_same_record);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
