/* SPDX-License-Identifier: Apache-2.0 */
/* The codec: what is written is read, and what is damaged is not. */
#include "ha_delta.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "raw_record.h"

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define FRAME RAW_RECORD_FRAME

static apr_pool_t *pool;
static ha_sid_t sid;
static ha_image_t *image;
static ha_fold_t fold;

static void set_up(void)
{
    unsigned char bytes[HA_SID_BYTES];
    int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (i = 0; i < HA_SID_BYTES; i++) {
        bytes[i] = (unsigned char)i;
    }
    ha_sid_init(&sid, bytes);
    image = ha_image_make(pool);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

static ha_change_t change_at(apr_uint64_t time, apr_time_t access,
                             const ha_op_t *ops, unsigned int count)
{
    ha_change_t change;

    change.stamp.time = time;
    change.stamp.writer = 7;
    change.access = access;
    change.ops = ops;
    change.count = count;
    return change;
}

/* A record that sets one attribute. */
static span_t set_at(apr_uint64_t time, const char *name, const char *value)
{
    ha_op_t op = { { NULL, 0 }, { NULL, 0 }, 0 };
    ha_change_t change = change_at(time, 0, &op, 1);

    op.name = span_of_text(name);
    op.value = span_of_text(value);
    return ha_delta_encode(&sid, &change, NULL, pool);
}

static span_t end_at(apr_uint64_t time)
{
    ha_stamp_t stamp = { 0, 7 };

    stamp.time = time;
    return ha_delta_encode_end(&sid, stamp, NULL, pool);
}

/* A record of bytes that this code would not write. */
static span_t record_of(int version, int kind, int flags, span_t body)
{
    static const ha_stamp_t stamp = { 5, 9 };
    unsigned char head[3];

    head[0] = (unsigned char)version;
    head[1] = (unsigned char)kind;
    head[2] = (unsigned char)flags;
    return raw_record(&sid, head, stamp, body, pool);
}

static span_t both(span_t a, span_t b)
{
    char *bytes = apr_palloc(pool, a.len + b.len);

    memcpy(bytes, a.data, a.len);
    memcpy(bytes + a.len, b.data, b.len);
    return span_of(bytes, a.len + b.len);
}

/* Fold a copy in a block of just its size: a sanitizer sees its end, and the
 * image must not point into it. */
static ha_fold_e fold_into(ha_image_t *into, span_t value)
{
    char *copy = malloc(value.len > 0 ? value.len : 1);
    ha_fold_e result;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, value.data, value.len);
    result = ha_delta_fold(into, &fold, &sid, NULL, span_of(copy, value.len));
    ck_assert_int_eq(result, fold.result);
    memset(copy, '?', value.len);
    free(copy);
    return result;
}

static span_t bytes_of(const ha_image_t *of)
{
    return ha_delta_encode_image(&sid, of, NULL, pool);
}

static int is_same(const ha_image_t *a, const ha_image_t *b)
{
    return span_is_equal(bytes_of(a), bytes_of(b));
}

static const char *value_of(const ha_image_t *of, const char *name)
{
    return apr_table_get(ha_image_table(of, pool), name);
}

/* A value of each kind of record: a snapshot, two deltas, a touch. */
static span_t sample(void)
{
    static const ha_op_t first[] = {
        { { "User", 4 }, { "ada", 3 }, 0 },
        { { "pw", 2 }, { NULL, 0 }, 1 },
    };
    static const ha_op_t second[] = {
        { { "basket", 6 }, { "1 tea\0pot", 9 }, 0 },
        { { "empty", 5 }, { NULL, 0 }, 0 },
    };
    ha_change_t change = change_at(5, 50, first, 2);
    ha_image_t *whole = ha_image_make(pool);
    span_t value;

    ha_delta_apply(whole, &change);
    value = bytes_of(whole);
    change = change_at(6, 60, second, 2);
    value = both(value, ha_delta_encode(&sid, &change, NULL, pool));
    value = both(value, set_at(7, "user", "eve"));
    change = change_at(8, 80, NULL, 0);
    return both(value, ha_delta_encode(&sid, &change, NULL, pool));
}

/* Computed with another language's SHA-256: nodes hold such bytes. */
START_TEST(the_form_of_records_never_changes)
{
    static const char delta[] =
        "480101000000002411121314151617182122232425262728904a98ada2a3f1bc"
        "050000000801020304050607080100000009000455736572616461"
        "0200000004" "00027077";
    static const char snapshot[] =
        "48010200000000441112131415161718212223242526272862455206c5c0ea98"
        "0500000008010203040506070804000000141112131415161718212223242526"
        "272800027077030000001911121314151617182122232425262728"
        "000455736572616461";
    static const char end[] =
        "4801030000000000000000000000000500000000000000060979343935d1f703";
    static const ha_op_t ops[] = {
        { { "User", 4 }, { "ada", 3 }, 0 },
        { { "pw", 2 }, { NULL, 0 }, 1 },
    };
    ha_stamp_t stamp = { 0x1112131415161718, 0x2122232425262728 };
    ha_stamp_t end_stamp = { 5, 6 };
    ha_change_t change = { { 0, 0 }, 0x0102030405060708, ops, 2 };
    span_t found[3];
    const char *wanted[3] = { delta, snapshot, end };
    int i;

    change.stamp = stamp;
    ha_delta_apply(image, &change);
    found[0] = ha_delta_encode(&sid, &change, NULL, pool);
    found[1] = bytes_of(image);
    found[2] = ha_delta_encode_end(&sid, end_stamp, NULL, pool);
    for (i = 0; i < 3; i++) {
        char *hex = apr_pstrdup(pool, "");
        apr_size_t at;

        for (at = 0; at < found[i].len; at++) {
            hex = apr_pstrcat(pool, hex,
                              apr_psprintf(pool, "%02x",
                                           (unsigned char)found[i].data[at]),
                              NULL);
        }
        ck_assert_str_eq(hex, wanted[i]);
    }
}
END_TEST

START_TEST(what_is_written_is_read)
{
    span_t value = sample();
    ha_image_t *again = ha_image_make(pool);

    ck_assert_int_eq(fold_into(image, value), HA_FOLD_OK);
    ck_assert_uint_eq(fold.records, 4);
    ck_assert_uint_eq(fold.good, value.len);
    ck_assert_uint_gt(fold.head, FRAME);
    ck_assert_int_eq(apr_table_elts(ha_image_table(image, pool))->nelts, 3);
    ck_assert_str_eq(value_of(image, "USER"), "eve");
    ck_assert_str_eq(value_of(image, "empty"), "");
    ck_assert_ptr_null(value_of(image, "pw"));
    ck_assert_int_eq(image->access, 80);
    ck_assert_uint_eq(image->latest.time, 8);
    ck_assert_int_eq(fold_into(again, bytes_of(image)), HA_FOLD_OK);
    ck_assert_uint_eq(fold.records, 1);
    ck_assert_uint_eq(fold.head, fold.good);
    ck_assert(is_same(image, again));
    ck_assert_int_eq(image->access, again->access);
    ck_assert_int_eq(ha_stamp_compare(image->latest, again->latest), 0);
}
END_TEST

START_TEST(a_table_is_ordered_and_shows_the_latest_spelling)
{
    const apr_array_header_t *array;
    const apr_table_entry_t *rows;
    const void *elts;

    ck_assert_int_eq(fold_into(image, sample()), HA_FOLD_OK);
    array = apr_table_elts(ha_image_table(image, pool));
    elts = array->elts;
    rows = elts;
    ck_assert_str_eq(rows[0].key, "basket");
    ck_assert_str_eq(rows[1].key, "empty");
    ck_assert_str_eq(rows[2].key, "user");
}
END_TEST

START_TEST(every_prefix_is_read_up_to_its_last_whole_record)
{
    span_t value = sample();
    apr_size_t ends[5] = { 0 };
    apr_size_t len;
    unsigned int records = 0;

    ck_assert_int_eq(fold_into(image, value), HA_FOLD_OK);
    for (len = 0; len <= value.len; len++) {
        ha_image_t *part = ha_image_make(pool);
        ha_fold_e result = fold_into(part, span_of(value.data, len));

        if (fold.records > records) {
            records = fold.records;
            ends[records] = len;
        }
        ck_assert_uint_eq(fold.records, records);
        ck_assert_uint_eq(fold.good, ends[records]);
        ck_assert_uint_eq(fold.head, ends[records > 0 ? 1 : 0]);
        ck_assert_int_eq(result, len == 0 ? HA_FOLD_EMPTY
                                 : len == ends[records] ? HA_FOLD_OK
                                 : records == 0 ? HA_FOLD_FOREIGN
                                                : HA_FOLD_DAMAGED);
        ck_assert(ha_image_covers(image, part));
    }
    ck_assert_uint_eq(records, 4);
}
END_TEST

START_TEST(no_flipped_bit_gets_past_its_record)
{
    span_t value = sample();
    apr_size_t bit;

    ck_assert_int_eq(fold_into(image, value), HA_FOLD_OK);
    for (bit = 0; bit < value.len * 8; bit++) {
        char *copy = apr_pmemdup(pool, value.data, value.len);
        ha_image_t *part = ha_image_make(pool);
        ha_image_t *before = ha_image_make(pool);
        ha_fold_e result;

        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        result = fold_into(part, span_of(copy, value.len));
        ck_assert_uint_le(fold.good, bit / 8);
        ck_assert_int_eq(result, fold.records > 0 ? HA_FOLD_DAMAGED
                                                  : HA_FOLD_FOREIGN);
        if (fold.good > 0) {
            ck_assert_int_eq(
                fold_into(before, span_of(value.data, fold.good)),
                HA_FOLD_OK);
        }
        ck_assert(is_same(part, before));
    }
}
END_TEST

START_TEST(a_value_of_another_session_is_foreign)
{
    unsigned char bytes[HA_SID_BYTES] = { 1 };
    span_t ours = set_at(1, "user", "ada");
    span_t theirs;

    ha_sid_init(&sid, bytes);
    theirs = set_at(2, "user", "eve");
    ck_assert_int_eq(fold_into(image, ours), HA_FOLD_FOREIGN);
    ck_assert_uint_eq(fold.good, 0);
    ck_assert(is_same(image, ha_image_make(pool)));
    /* Nor does a record get in behind ours. */
    ck_assert_int_eq(fold_into(image, both(theirs, ours)), HA_FOLD_DAMAGED);
    ck_assert_str_eq(value_of(image, "user"), "eve");
}
END_TEST

START_TEST(bytes_that_are_no_record_are_foreign)
{
    static const char *const values[] = {
        "H", "h", "HTTP/1.1 200 OK\r\nContent-Length: 123456789\r\n\r\n",
        "VALUE ha1:abc 0 100\r\n", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
    };

    ck_assert_int_eq(fold_into(image, span_of_text(values[_i])),
                     HA_FOLD_FOREIGN);
    ck_assert_uint_eq(fold.records, 0);
    ck_assert(is_same(image, ha_image_make(pool)));
}
END_TEST

START_TEST(no_byte_is_an_empty_value)
{
    ck_assert_int_eq(ha_delta_fold(image, &fold, &sid, NULL,
                                   span_of(NULL, 0)),
                     HA_FOLD_EMPTY);
    ck_assert_uint_eq(fold.records, 0);
    ck_assert(is_same(image, ha_image_make(pool)));
}
END_TEST

START_TEST(folding_stops_at_a_later_format)
{
    span_t newer = record_of(3, 1, 0, span_of_text("anything"));
    span_t value = both(both(set_at(1, "a", "1"), newer), set_at(2, "b", "2"));

    ck_assert_int_eq(fold_into(image, value), HA_FOLD_NEWER);
    ck_assert_uint_eq(fold.records, 1);
    ck_assert_str_eq(value_of(image, "a"), "1");
    ck_assert_ptr_null(value_of(image, "b"));
    ck_assert_int_eq(fold_into(image, newer), HA_FOLD_NEWER);
    ck_assert_uint_eq(fold.records, 0);
    ck_assert_int_eq(fold_into(image, record_of(0, 1, 0, span_of_text(""))),
                     HA_FOLD_FOREIGN);
    ck_assert_int_eq(fold_into(image, record_of(255, 1, 0, span_of_text(""))),
                     HA_FOLD_NEWER);
}
END_TEST

#define BODY(text) { text, sizeof(text) - 1 }

/* Bodies of a delta with a good check that must not be folded in part. */
static const span_t malformed[] = {
    BODY("\x01"),
    BODY("\x01\0\0\0"),
    BODY("\x01\0\0\0\x01\0"),
    BODY("\x01\0\0\0\x02\0\0"),
    BODY("\x01\0\0\0\x02\0\x01"),
    BODY("\x01\0\0\0\x03\0\x02x"),
    BODY("\x01\0\0\0\x04\0\x01x"),
    BODY("\x01\xff\xff\xff\xff\0\x01x"),
    BODY("\x01\xff\xff\xff\xfb\0\x01x"),
    BODY("\x02\0\0\0\x04\0\x01xy"),
    BODY("\x03\0\0\0\x0f" "0123456789abcde"),
    BODY("\x03\0\0\0\x10" "0123456789abcdef"),
    BODY("\x03\0\0\0\x12" "0123456789abcdef\0\0"),
    BODY("\x04\0\0\0\x14" "0123456789abcdef\0\x01xy"),
    BODY("\x05\0\0\0\x07" "1234567"),
    BODY("\x05\0\0\0\x09" "123456789"),
    BODY("\x05\0\0\0\x08\x80\0\0\0\0\0\0\0"),
    BODY("\x63\0\0\0\x02x"),
    BODY("\x01\0\0\0\x04\0\x01xy\x01"),
    BODY("\0"),
};

START_TEST(a_record_counts_as_a_whole_or_not_at_all)
{
    span_t good = span_of("\x01\0\0\0\x04\0\x01xy", 9);
    span_t value = record_of(1, 1, 0, both(good, malformed[_i]));

    ck_assert_int_eq(fold_into(image, record_of(1, 1, 0, good)), HA_FOLD_OK);
    ck_assert_str_eq(value_of(image, "x"), "y");
    image = ha_image_make(pool);
    ck_assert_int_eq(fold_into(image, value), HA_FOLD_FOREIGN);
    ck_assert(is_same(image, ha_image_make(pool)));
    ck_assert_int_eq(fold_into(image, both(set_at(1, "a", "1"), value)),
                     HA_FOLD_DAMAGED);
    ck_assert_uint_eq(fold.records, 1);
    ck_assert_ptr_null(value_of(image, "x"));
}
END_TEST

START_TEST(what_newer_code_wrote_outlives_a_snapshot)
{
    span_t field = span_of("\x63\0\0\0\x05hello\x01\0\0\0\x04\0\x01xy", 19);
    span_t known = record_of(1, 1, 0, field);
    span_t kind = record_of(1, 77, 0, span_of_text("not even fields"));
    span_t flag = record_of(1, 1, 1, span_of_text("sealed"));
    span_t value = both(both(known, kind), both(flag, both(kind, known)));
    ha_image_t *again = ha_image_make(pool);
    span_t whole;

    ck_assert_int_eq(fold_into(image, value), HA_FOLD_OK);
    ck_assert_uint_eq(fold.records, 5);
    ck_assert_str_eq(value_of(image, "x"), "y");
    ck_assert_uint_eq(apr_hash_count(image->fields), 1);
    ck_assert_uint_eq(apr_hash_count(image->records), 2);
    /* Its stamps are seen too: our next write must be later. */
    ck_assert_uint_eq(image->latest.time, 5);
    image = ha_image_make(pool);
    ck_assert_int_eq(fold_into(image, kind), HA_FOLD_OK);
    ck_assert_uint_eq(image->latest.time, 5);
    ck_assert_int_eq(fold_into(image, value), HA_FOLD_OK);
    whole = bytes_of(image);
    ck_assert_int_eq(fold_into(again, whole), HA_FOLD_OK);
    ck_assert_uint_eq(fold.records, 3);
    ck_assert(is_same(image, again));
    ck_assert(!ha_image_covers(ha_image_make(pool), again));
    ck_assert(ha_image_covers(image, again) && ha_image_covers(again, image));
}
END_TEST

START_TEST(a_stamp_counts_wherever_it_stands)
{
    /* An attribute stamped 9, in a record that is stamped 5. */
    span_t field = span_of("\x03\0\0\0\x14" "\0\0\0\0\0\0\0\x09"
                           "\0\0\0\0\0\0\0\x01" "\0\x01xy", 25);

    ck_assert_int_eq(fold_into(image, record_of(1, 2, 0, field)), HA_FOLD_OK);
    ck_assert_str_eq(value_of(image, "x"), "y");
    ck_assert_uint_eq(image->latest.time, 9);
}
END_TEST

START_TEST(an_end_takes_the_fields_and_leaves_the_records)
{
    span_t field = record_of(1, 1, 0, span_of("\x63\0\0\0\x01h", 6));
    span_t kind = record_of(1, 77, 0, span_of_text("?"));
    span_t forward = record_of(1, 3, 0, span_of("\x64\0\0\0\x01g", 6));
    ha_image_t *other = ha_image_make(pool);
    ha_image_t *again = ha_image_make(pool);

    ck_assert_int_eq(fold_into(image, both(both(field, kind), forward)),
                     HA_FOLD_OK);
    ck_assert_int_eq(fold_into(other, both(both(forward, kind), field)),
                     HA_FOLD_OK);
    ck_assert(image->ended);
    ck_assert(is_same(image, other));
    ck_assert_uint_eq(apr_hash_count(image->fields), 1);
    ck_assert_uint_eq(apr_hash_count(image->records), 1);
    ck_assert_int_eq(fold_into(again, bytes_of(image)), HA_FOLD_OK);
    ck_assert(is_same(image, again));
}
END_TEST

START_TEST(the_end_of_a_session_is_all_that_is_left_of_it)
{
    ck_assert_int_eq(fold_into(image, both(sample(), end_at(1))), HA_FOLD_OK);
    ck_assert(image->ended);
    ck_assert(apr_is_empty_table(ha_image_table(image, pool)));
    ck_assert_int_eq(image->access, 0);
    ck_assert_uint_eq(bytes_of(image).len, FRAME);
}
END_TEST

START_TEST(an_attribute_of_the_largest_size_is_read)
{
    char *name = apr_palloc(pool, HA_ATTR_NAME_MAX);
    char *value = apr_palloc(pool, HA_SESSION_MAX);
    ha_op_t op = { { NULL, 0 }, { NULL, 0 }, 0 };
    ha_change_t change = change_at(1, 1, &op, 1);

    memset(name, 'N', HA_ATTR_NAME_MAX);
    memset(value, 'v', HA_SESSION_MAX);
    op.name = span_of(name, HA_ATTR_NAME_MAX);
    op.value = span_of(value, HA_SESSION_MAX);
    ck_assert_int_eq(fold_into(image, ha_delta_encode(&sid, &change, NULL,
                                                      pool)),
                     HA_FOLD_OK);
    ck_assert(ha_image_has(image, &change));
    ck_assert_uint_eq(bytes_of(image).len,
                      FRAME + 13 + 23 + HA_ATTR_NAME_MAX + HA_SESSION_MAX);
}
END_TEST

START_TEST(a_longer_name_of_newer_code_is_read)
{
    char *body = apr_palloc(pool, 5 + 2 + 65535);

    memset(body, 'N', 5 + 2 + 65535);
    memcpy(body, "\x01\0\x01\0\x01\xff\xff", 7);
    ck_assert_int_eq(fold_into(image, record_of(1, 1, 0,
                                                span_of(body, 65542))),
                     HA_FOLD_OK);
    memset(body, 'n', 65535);
    body[65535] = '\0';
    ck_assert_str_eq(value_of(image, body), "");
}
END_TEST

START_TEST(a_value_above_the_limit_is_not_folded_beyond)
{
    apr_size_t len = HA_VALUE_MAX - FRAME - 8;
    char *text = apr_palloc(pool, len + 1);
    span_t first;

    memset(text, 'v', len);
    text[len] = '\0';
    first = set_at(1, "a", text);
    ck_assert_uint_eq(first.len, HA_VALUE_MAX);
    ck_assert_int_eq(fold_into(image, first), HA_FOLD_OK);
    ck_assert_int_eq(fold_into(image, both(first, set_at(2, "b", "2"))),
                     HA_FOLD_DAMAGED);
    ck_assert_uint_eq(fold.good, HA_VALUE_MAX);
    ck_assert_ptr_null(value_of(image, "b"));
    text[len - 1] = '\0';
    first = set_at(3, "a", text);
    ck_assert_int_eq(fold_into(image, both(first, set_at(4, "b", "2"))),
                     HA_FOLD_DAMAGED);
    ck_assert_uint_eq(fold.records, 1);
    ck_assert_ptr_null(value_of(image, "b"));
}
END_TEST

/* Many thousand distinct fields: kept in proportion to the bytes, and found
 * again without looking at each. */
START_TEST(a_value_full_of_unknown_fields_is_folded)
{
    apr_size_t len = HA_VALUE_MAX - FRAME;
    char *body = apr_pcalloc(pool, len);
    apr_size_t at;

    len -= len % 9;
    for (at = 0; at < len; at += 9) {
        body[at] = '\x63';
        body[at + 4] = 4;
        memcpy(body + at + 5, &at, 4);
    }
    ck_assert_int_eq(fold_into(image, record_of(1, 2, 0, span_of(body, len))),
                     HA_FOLD_OK);
    ck_assert_uint_eq(apr_hash_count(image->fields), len / 9);
    ck_assert_int_eq(fold_into(image, bytes_of(image)), HA_FOLD_OK);
    ck_assert_uint_eq(apr_hash_count(image->fields), len / 9);
}
END_TEST

START_TEST(every_result_has_its_own_word)
{
    int i;
    int j;

    for (i = HA_FOLD_OK; i <= HA_FOLD_NEWER; i++) {
        ck_assert_str_ne(ha_fold_name((ha_fold_e)i), "no-such-result");
        for (j = HA_FOLD_OK; j < i; j++) {
            ck_assert_str_ne(ha_fold_name((ha_fold_e)i),
                             ha_fold_name((ha_fold_e)j));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_delta");
    TCase *tests = tcase_create("ha_delta");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_form_of_records_never_changes);
    tcase_add_test(tests, what_is_written_is_read);
    tcase_add_test(tests, a_table_is_ordered_and_shows_the_latest_spelling);
    tcase_add_test(tests, every_prefix_is_read_up_to_its_last_whole_record);
    tcase_add_test(tests, no_flipped_bit_gets_past_its_record);
    tcase_add_test(tests, a_value_of_another_session_is_foreign);
    tcase_add_loop_test(tests, bytes_that_are_no_record_are_foreign, 0, 5);
    tcase_add_test(tests, no_byte_is_an_empty_value);
    tcase_add_test(tests, folding_stops_at_a_later_format);
    tcase_add_loop_test(tests, a_record_counts_as_a_whole_or_not_at_all, 0,
                        LENGTH_OF(malformed));
    tcase_add_test(tests, what_newer_code_wrote_outlives_a_snapshot);
    tcase_add_test(tests, a_stamp_counts_wherever_it_stands);
    tcase_add_test(tests, an_end_takes_the_fields_and_leaves_the_records);
    tcase_add_test(tests, the_end_of_a_session_is_all_that_is_left_of_it);
    tcase_add_test(tests, an_attribute_of_the_largest_size_is_read);
    tcase_add_test(tests, a_longer_name_of_newer_code_is_read);
    tcase_add_test(tests, a_value_above_the_limit_is_not_folded_beyond);
    tcase_add_test(tests, a_value_full_of_unknown_fields_is_folded);
    tcase_add_test(tests, every_result_has_its_own_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
