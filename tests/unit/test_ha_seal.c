/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed records: who has the secret reads them, and nobody else makes any. */
#include "ha_seal.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ha_delta.h"
#include "raw_record.h"

#define FRAME RAW_RECORD_FRAME
#define NEW "fedcba9876543210fedcba9876543210\n"
#define OLD "0123456789abcdef0123456789abcdef\n"

/* Which secrets a host has, and what it is asked to do with them. */
typedef struct host_t {
    ha_ring_t ring;
    ha_seal_t seal;
} host_t;

static apr_pool_t *pool;
static ha_sid_t sid;
static ha_sid_t other;
static ha_image_t *image;
static ha_fold_t fold;
static host_t old_host;
static host_t new_host;  /* rotated: the old secret still opens */
static host_t late_host; /* the old secret is gone */

static void make_host(host_t *host, const char *secrets)
{
    unsigned int line;

    ck_assert_int_eq(ha_ring_parse(&host->ring, &line,
                                   span_of_text(secrets)), HA_RING_OK);
    host->seal.ring = &host->ring;
    host->seal.encryption = HA_ENCRYPTION_ON;
}

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
    bytes[0] = 255;
    ha_sid_init(&other, bytes);
    make_host(&old_host, OLD);
    make_host(&new_host, NEW OLD);
    make_host(&late_host, NEW);
    image = ha_image_make(pool);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

/* A host's seal when something else is asked for. */
static const ha_seal_t *as(host_t *host, ha_encryption_e encryption)
{
    host->seal.encryption = encryption;
    return &host->seal;
}

static span_t set_by(const ha_seal_t *seal, apr_uint64_t time,
                     const char *name, const char *value)
{
    ha_op_t op = { { NULL, 0 }, { NULL, 0 }, 0 };
    ha_change_t change = { { 0, 7 }, 0, NULL, 1 };

    op.name = span_of_text(name);
    op.value = span_of_text(value);
    change.stamp.time = time;
    change.ops = &op;
    return ha_delta_encode(&sid, &change, seal, pool);
}

static span_t both(span_t a, span_t b)
{
    char *joined = apr_palloc(pool, a.len + b.len);

    memcpy(joined, a.data, a.len);
    memcpy(joined + a.len, b.data, b.len);
    return span_of(joined, a.len + b.len);
}

/* Fold from a block of just its size, so that a sanitizer sees its end. */
static ha_fold_e fold_by(const ha_seal_t *seal, ha_image_t *into, span_t value)
{
    char *copy = malloc(value.len > 0 ? value.len : 1);
    ha_fold_e result;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, value.data, value.len);
    result = ha_delta_fold(into, &fold, &sid, seal,
                           span_of(copy, value.len));
    free(copy);
    return result;
}

static const char *value_of(const char *name)
{
    return apr_table_get(ha_image_table(image, pool), name);
}

/* A snapshot and two deltas, the last one the end. */
static span_t sample(const ha_seal_t *seal)
{
    ha_image_t *whole = ha_image_make(pool);
    ha_stamp_t stamp = { 9, 9 };

    ck_assert_int_eq(fold_by(seal, whole, set_by(seal, 5, "User", "ada")),
                     HA_FOLD_OK);
    return both(both(ha_delta_encode_image(&sid, whole, seal, pool),
                     set_by(seal, 6, "basket", "tea")),
                ha_delta_encode_end(&sid, stamp, seal, pool));
}

static int is_within(const char *text, span_t value)
{
    apr_size_t len = strlen(text);
    apr_size_t i;

    for (i = 0; i + len <= value.len; i++) {
        if (memcmp(value.data + i, text, len) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Computed by another language's HKDF, HMAC and AES-GCM: nodes hold it. */
START_TEST(the_form_of_a_sealed_record_never_changes)
{
    static const unsigned char record[] = {
        0x48, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x2e, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x07, 0x86, 0x32, 0x61, 0x05, 0x09, 0x23,
        0xfd, 0x82, 0x65, 0x01, 0x21, 0x4d, 0x9c, 0x1e, 0x81, 0x6d,
        0x40, 0x04, 0x4b, 0x19, 0xee, 0xab, 0xe4, 0xb6, 0x02, 0x73,
        0x7d, 0x3c, 0x1d, 0xb5, 0xd6, 0x3d, 0xe3, 0xd9, 0x78, 0xc0,
        0xde, 0x5c, 0x7e, 0x27, 0x4e, 0xed, 0x8a, 0x25, 0x8c, 0x13,
        0x4c, 0x9b, 0x50, 0xf6, 0xed, 0x41, 0x04, 0x88
    };
    span_t value = set_by(&old_host.seal, 7, "user", "ada");

    ck_assert_uint_eq(value.len, sizeof(record));
    ck_assert_mem_eq(value.data, record, sizeof(record));
}
END_TEST

START_TEST(what_is_sealed_is_read_and_not_seen)
{
    span_t value = both(set_by(&old_host.seal, 1, "user", "ada-lovelace"),
                        set_by(&old_host.seal, 2, "empty", ""));

    ck_assert_int_eq(fold_by(&old_host.seal, image, value), HA_FOLD_OK);
    ck_assert_str_eq(value_of("user"), "ada-lovelace");
    ck_assert_str_eq(value_of("empty"), "");
    ck_assert_uint_eq(fold.stale, 0);
    ck_assert(!is_within("user", value));
    ck_assert(!is_within("lovelace", value));
    value = ha_delta_encode_image(&sid, image, &old_host.seal, pool);
    ck_assert(!is_within("user", value));
    ck_assert(is_within("user", ha_delta_encode_image(&sid, image, NULL,
                                                      pool)));
}
END_TEST

/* Copies are compared byte by byte, and ends are not written anew. */
START_TEST(equal_images_are_sealed_to_equal_bytes)
{
    ha_image_t *again = ha_image_make(pool);
    span_t a = set_by(&old_host.seal, 1, "user", "ada");
    span_t b = set_by(&old_host.seal, 2, "basket", "tea");

    ck_assert_int_eq(fold_by(&old_host.seal, image, both(a, b)), HA_FOLD_OK);
    ck_assert_int_eq(fold_by(&old_host.seal, again, both(b, a)), HA_FOLD_OK);
    ck_assert(span_is_equal(
        ha_delta_encode_image(&sid, image, &old_host.seal, pool),
        ha_delta_encode_image(&sid, again, &old_host.seal, pool)));
    ck_assert(!span_is_equal(
        ha_delta_encode_image(&sid, image, &new_host.seal, pool),
        ha_delta_encode_image(&sid, again, &old_host.seal, pool)));
}
END_TEST

/* By key id and nonce: all are different for different bodies or headers. */
START_TEST(no_two_records_share_a_nonce)
{
    enum { RECORDS = 500 };
    const char *nonces[RECORDS];
    int i;
    int k;

    for (i = 0; i < RECORDS; i++) {
        nonces[i] = set_by(&old_host.seal, (apr_uint64_t)(i / 2 + 1),
                           i % 2 ? "a" : "b", "").data + FRAME + HA_KEY_ID;
        for (k = 0; k < i; k++) {
            ck_assert_int_ne(memcmp(nonces[i], nonces[k], 12), 0);
        }
    }
}
END_TEST

START_TEST(every_flipped_byte_is_damage)
{
    span_t good = set_by(&old_host.seal, 1, "user", "ada");
    span_t value = sample(&old_host.seal);
    char *bytes = apr_pmemdup(pool, value.data, value.len);
    apr_size_t i;

    for (i = 0; i < value.len; i++) {
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
        image = ha_image_make(pool);
        ck_assert_int_eq(fold_by(&old_host.seal, image,
                                 both(good, span_of(bytes, value.len))),
                         HA_FOLD_DAMAGED);
        ck_assert(!image->ended);
        bytes[i] = value.data[i];
    }
}
END_TEST

/* A record with a check that is right, as an attacker can make one. */
static ha_fold_e fold_forged(int kind, int flags, ha_stamp_t stamp,
                             span_t box)
{
    const unsigned char head[3] = { 2, (unsigned char)kind,
                                    (unsigned char)flags };

    return fold_by(&old_host.seal, image,
                   raw_record(&sid, head, stamp, box, pool));
}

START_TEST(every_forged_byte_is_damage)
{
    span_t good = set_by(&old_host.seal, 6, "basket", "tea");
    span_t box = span_of(good.data + FRAME, good.len - FRAME);
    char *bytes = apr_pmemdup(pool, box.data, box.len);
    ha_stamp_t stamp = { 6, 7 };
    ha_stamp_t later = { 7, 7 };
    ha_stamp_t higher = { 6, 8 };
    apr_size_t i;

    for (i = 0; i < box.len; i++) {
        bytes[i] = (char)(bytes[i] ^ 1);
        /* Of another key id nobody can say more. */
        ck_assert_int_eq(fold_forged(1, 0, stamp, span_of(bytes, box.len)),
                         i < HA_KEY_ID ? HA_FOLD_LOCKED : HA_FOLD_FOREIGN);
        bytes[i] = box.data[i];
    }
    ck_assert_int_eq(fold_forged(2, 0, stamp, box), HA_FOLD_FOREIGN);
    ck_assert_int_eq(fold_forged(3, 0, stamp, box), HA_FOLD_FOREIGN);
    ck_assert_int_eq(fold_forged(1, 1, stamp, box), HA_FOLD_FOREIGN);
    ck_assert_int_eq(fold_forged(1, 0, later, box), HA_FOLD_FOREIGN);
    ck_assert_int_eq(fold_forged(1, 0, higher, box), HA_FOLD_FOREIGN);
    ck_assert_ptr_null(value_of("basket"));
    ck_assert_int_eq(fold_forged(1, 0, stamp, box), HA_FOLD_OK);
    ck_assert_str_eq(value_of("basket"), "tea");
}
END_TEST

START_TEST(every_prefix_is_folded_up_to_its_last_whole_record)
{
    span_t value = sample(&old_host.seal);
    apr_size_t len;

    for (len = 0; len < value.len; len++) {
        ha_fold_e result;

        image = ha_image_make(pool);
        result = fold_by(&old_host.seal, image, span_of(value.data, len));
        ck_assert(!image->ended);
        ck_assert(result == HA_FOLD_EMPTY || result == HA_FOLD_FOREIGN
                  || result == HA_FOLD_DAMAGED
                  || (result == HA_FOLD_OK && fold.good == len));
        ck_assert_int_eq(fold.records > 0, value_of("user") != NULL);
    }
}
END_TEST

/* A box may be as short as its body-len says. */
START_TEST(a_box_too_short_to_be_one_is_damage)
{
    span_t good = set_by(&old_host.seal, 1, "user", "ada");
    ha_stamp_t stamp = { 1, 7 };
    apr_size_t len;

    for (len = 0; len < good.len - FRAME; len++) {
        ck_assert_int_eq(fold_forged(1, 0, stamp,
                                     span_of(good.data + FRAME, len)),
                         HA_FOLD_FOREIGN);
    }
}
END_TEST

/* Even when the check is made to fit the session that it is copied to. */
START_TEST(a_record_counts_in_its_own_session_alone)
{
    static const unsigned char head[3] = { 2, 1, 0 };
    span_t mine = set_by(&old_host.seal, 1, "user", "ada");
    ha_stamp_t stamp = { 1, 7 };
    span_t copied;

    copied = raw_record(&other, head, stamp,
                        span_of(mine.data + FRAME, mine.len - FRAME), pool);
    ck_assert_int_eq(ha_delta_fold(image, &fold, &other, &old_host.seal,
                                   mine), HA_FOLD_FOREIGN);
    ck_assert_int_eq(ha_delta_fold(image, &fold, &other, &old_host.seal,
                                   copied), HA_FOLD_FOREIGN);
    ck_assert(apr_is_empty_table(ha_image_table(image, pool)));
    ck_assert_int_eq(fold_by(&old_host.seal, image, mine), HA_FOLD_OK);
}
END_TEST

START_TEST(all_secrets_open_and_the_first_one_seals)
{
    span_t old = set_by(&old_host.seal, 1, "user", "ada");

    ck_assert_int_eq(fold_by(&new_host.seal, image, old), HA_FOLD_OK);
    ck_assert_uint_eq(fold.stale, 1);
    old = ha_delta_encode_image(&sid, image, &new_host.seal, pool);
    ck_assert_int_eq(fold_by(&late_host.seal, image, old), HA_FOLD_OK);
    ck_assert_uint_eq(fold.stale, 0);
}
END_TEST

START_TEST(what_no_secret_opens_is_locked_and_no_damage)
{
    span_t locked = set_by(&old_host.seal, 1, "user", "ada");
    span_t ours = set_by(&late_host.seal, 2, "basket", "tea");
    span_t torn = span_of(locked.data, locked.len - 1);

    ck_assert_int_eq(fold_by(&late_host.seal, image, locked),
                     HA_FOLD_LOCKED);
    ck_assert_int_eq(fold_by(NULL, image, locked), HA_FOLD_LOCKED);
    ck_assert_uint_eq(fold.records, 0);
    ck_assert_int_eq(fold_by(&late_host.seal, image, torn), HA_FOLD_FOREIGN);
    ck_assert_int_eq(fold_by(&late_host.seal, image, both(ours, locked)),
                     HA_FOLD_LOCKED);
    ck_assert_uint_eq(fold.records, 1);
    ck_assert_str_eq(ha_fold_name(HA_FOLD_LOCKED), "locked");
}
END_TEST

static const struct {
    ha_encryption_e encryption;
    ha_fold_e clear;
    ha_fold_e sealed;
    unsigned int stale_clear;
    unsigned int stale_sealed;
} modes[] = {
    { HA_ENCRYPTION_OFF, HA_FOLD_OK, HA_FOLD_OK, 0, 1 },
    { HA_ENCRYPTION_ON, HA_FOLD_CLEAR, HA_FOLD_OK, 0, 0 },
    { HA_ENCRYPTION_MIGRATE, HA_FOLD_OK, HA_FOLD_OK, 1, 0 },
};

START_TEST(each_mode_believes_what_it_says)
{
    span_t clear = set_by(NULL, 1, "user", "ada");
    span_t sealed = set_by(&old_host.seal, 1, "user", "ada");
    const ha_seal_t *seal = as(&old_host, modes[_i].encryption);

    ck_assert_int_eq(fold_by(seal, image, clear), modes[_i].clear);
    ck_assert_uint_eq(fold.stale, modes[_i].stale_clear);
    ck_assert_int_eq(fold_by(seal, image, sealed), modes[_i].sealed);
    ck_assert_uint_eq(fold.stale, modes[_i].stale_sealed);
    ck_assert(span_is_equal(set_by(seal, 1, "user", "ada"),
                            modes[_i].encryption == HA_ENCRYPTION_OFF
                            ? clear : sealed));
}
END_TEST

/* A session in clear is not forged into a sealed one, nor is its end. */
START_TEST(nothing_in_clear_is_believed_behind_what_is_sealed)
{
    ha_stamp_t stamp = { 9, 9 };
    span_t good = set_by(&old_host.seal, 1, "role", "user");
    span_t forged[2];
    int i;

    forged[0] = set_by(NULL, 2, "role", "admin");
    forged[1] = ha_delta_encode_end(&sid, stamp, NULL, pool);
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(fold_by(&old_host.seal, image,
                                 both(good, forged[i])), HA_FOLD_CLEAR);
        ck_assert_str_eq(value_of("role"), "user");
    }
}
END_TEST

/* An old secret must not stay for ever in what is only kept. */
START_TEST(records_of_newer_code_are_sealed_anew_with_the_rest)
{
    static const unsigned char head[3] = { 1, 99, 5 };
    ha_image_t *again = ha_image_make(pool);
    ha_stamp_t stamp = { 3, 3 };
    span_t newer = raw_record(&sid, head, stamp, span_of_text("of 2030"),
                              pool);
    span_t sealed;

    ck_assert_int_eq(fold_by(NULL, image, newer), HA_FOLD_OK);
    sealed = ha_delta_encode_image(&sid, image, &old_host.seal, pool);
    ck_assert(!is_within("2030", sealed));
    ck_assert_int_eq(fold_by(&new_host.seal, again, sealed), HA_FOLD_OK);
    ck_assert_uint_eq(fold.records, 2);
    ck_assert(ha_image_covers(again, image));
    ck_assert(ha_image_covers(image, again));
    sealed = ha_delta_encode_image(&sid, again, &new_host.seal, pool);
    ck_assert_int_eq(fold_by(&late_host.seal, again, sealed), HA_FOLD_OK);
    ck_assert_uint_eq(fold.stale, 0);
    ck_assert(is_within("of 2030", ha_delta_encode_image(&sid, again, NULL,
                                                         pool)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_seal");
    TCase *tests = tcase_create("ha_seal");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_form_of_a_sealed_record_never_changes);
    tcase_add_test(tests, what_is_sealed_is_read_and_not_seen);
    tcase_add_test(tests, equal_images_are_sealed_to_equal_bytes);
    tcase_add_test(tests, no_two_records_share_a_nonce);
    tcase_add_test(tests, every_flipped_byte_is_damage);
    tcase_add_test(tests, every_forged_byte_is_damage);
    tcase_add_test(tests, every_prefix_is_folded_up_to_its_last_whole_record);
    tcase_add_test(tests, a_box_too_short_to_be_one_is_damage);
    tcase_add_test(tests, a_record_counts_in_its_own_session_alone);
    tcase_add_test(tests, all_secrets_open_and_the_first_one_seals);
    tcase_add_test(tests, what_no_secret_opens_is_locked_and_no_damage);
    tcase_add_loop_test(tests, each_mode_believes_what_it_says, 0,
                        (int)(sizeof(modes) / sizeof(modes[0])));
    tcase_add_test(tests, nothing_in_clear_is_believed_behind_what_is_sealed);
    tcase_add_test(tests, records_of_newer_code_are_sealed_anew_with_the_rest);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
