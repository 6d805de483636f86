/* SPDX-License-Identifier: Apache-2.0 */
/* A forward leads whoever holds the old id to the new one, and nobody else. */
#include "ha_forward.h"

#include <stdlib.h>

#include <check.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ha_delta.h"

static apr_pool_t *pool;
static ha_sid_t old;
static ha_sid_t other;

static void set_up(void)
{
    unsigned char bytes[HA_SID_BYTES] = "0123456789abcde";

    apr_initialize();
    apr_pool_create(&pool, NULL);
    ha_sid_init(&old, bytes);
    bytes[15] = 1;
    ha_sid_init(&other, bytes);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

static ha_forward_t forward_at(apr_uint64_t time)
{
    ha_forward_t forward;

    memset(&forward, 0, sizeof(forward));
    forward.stamp.time = time;
    forward.stamp.writer = 0xfedcba9876543210;
    forward.until = 1700000010000000;
    forward.issued_sec = 1700000000;
    forward.expires_sec = 1700003600;
    memcpy(forward.id, "the new id......", HA_SID_BYTES);
    return forward;
}

static span_t encode(const ha_forward_t *forward)
{
    return ha_forward_encode(apr_palloc(pool, HA_FORWARD_BYTES), &old,
                             forward);
}

static void keep(ha_image_t *image, span_t field)
{
    ha_image_keep(image, image->forwards, field);
}

START_TEST(what_was_written_is_read_with_the_old_id)
{
    ha_image_t *image = ha_image_make(pool);
    ha_forward_t wanted = forward_at(5);
    ha_forward_t list[HA_FORWARDS_MAX];

    keep(image, encode(&wanted));
    ck_assert_uint_eq(ha_forward_list(list, image, &old, pool), 1);
    ck_assert_int_eq(ha_stamp_compare(list[0].stamp, wanted.stamp), 0);
    ck_assert_int_eq(list[0].until, wanted.until);
    ck_assert_uint_eq(list[0].issued_sec, wanted.issued_sec);
    ck_assert_uint_eq(list[0].expires_sec, wanted.expires_sec);
    ck_assert_mem_eq(list[0].id, wanted.id, HA_SID_BYTES);
}
END_TEST

/* SHA-256( label old-id stamp ) was computed by another program. */
START_TEST(the_bytes_are_those_of_the_format)
{
    static const unsigned char head[] = {
        6, 0, 0, 0, 49, 0, 0, 0, 0, 0, 0, 0, 5,
        0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10,
        0x00, 0x06, 0x0a, 0x24, 0x18, 0xb6, 0xd6, 0x80, 0,
        0x65, 0x53, 0xf1, 0x00, 0x65, 0x53, 0xff, 0x10
    };
    static const unsigned char sealed[] = {
        0x7d, 0xb2, 0x6e, 0xf8, 0xfd, 0xbe, 0x0b, 0x46,
        0xbe, 0xae, 0xf1, 0x99, 0x5a, 0x62, 0xeb, 0x1e
    };
    ha_forward_t forward = forward_at(5);
    span_t field = encode(&forward);

    ck_assert_uint_eq(field.len, HA_FORWARD_BYTES);
    ck_assert_mem_eq(field.data, head, sizeof(head));
    ck_assert_mem_eq(field.data + sizeof(head), sealed, HA_SID_BYTES);
}
END_TEST

START_TEST(the_new_id_is_not_in_the_bytes_and_not_for_another_id)
{
    ha_image_t *image = ha_image_make(pool);
    ha_forward_t first = forward_at(5);
    ha_forward_t second = forward_at(6);
    ha_forward_t list[HA_FORWARDS_MAX];
    span_t field = encode(&first);
    apr_size_t i;

    for (i = 0; i + 4 <= field.len; i++) {
        ck_assert_int_ne(memcmp(field.data + i, first.id, 4), 0);
    }
    /* One id sealed twice shows no more than one sealed once. */
    ck_assert_int_ne(memcmp(field.data + 38, encode(&second).data + 38,
                            HA_SID_BYTES), 0);
    keep(image, field);
    ck_assert_uint_eq(ha_forward_list(list, image, &other, pool), 1);
    ck_assert_mem_ne(list[0].id, first.id, HA_SID_BYTES);
}
END_TEST

START_TEST(the_oldest_rotations_come_first_and_not_too_many)
{
    ha_image_t *image = ha_image_make(pool);
    ha_forward_t list[HA_FORWARDS_MAX];
    unsigned int i;

    for (i = 0; i < 2 * HA_FORWARDS_MAX; i++) {
        ha_forward_t forward = forward_at(1000 - i);

        keep(image, encode(&forward));
    }
    ck_assert_uint_eq(ha_forward_list(list, image, &old, pool),
                      HA_FORWARDS_MAX);
    for (i = 0; i < HA_FORWARDS_MAX; i++) {
        ck_assert_uint_eq(list[i].stamp.time,
                          1000 - 2 * HA_FORWARDS_MAX + 1 + i);
    }
}
END_TEST

START_TEST(a_short_field_is_passed_over_and_a_longer_one_read)
{
    ha_image_t *image = ha_image_make(pool);
    ha_forward_t forward = forward_at(5);
    ha_forward_t list[HA_FORWARDS_MAX];
    char longer[HA_FORWARD_BYTES + 3] = "";
    span_t field = encode(&forward);
    apr_size_t len;

    for (len = 5; len < field.len; len++) {
        ha_image_t *torn = ha_image_make(pool);

        keep(torn, span_of(field.data, len));
        ck_assert_uint_eq(ha_forward_list(list, torn, &old, pool), 0);
    }
    memcpy(longer, field.data, field.len);
    longer[4] += 3;
    keep(image, span_of(longer, sizeof(longer)));
    ck_assert_uint_eq(ha_forward_list(list, image, &old, pool), 1);
    ck_assert_mem_eq(list[0].id, forward.id, HA_SID_BYTES);
}
END_TEST

/* How it ended: words of what was folded, and what that means. */
static const struct {
    int is_ended;
    int has_forward;
    int has_logout;
    int is_logout;
    int is_moved;
} ends[] = {
    { 0, 0, 0, 0, 0 },
    { 0, 1, 0, 0, 1 }, /* the rotation is under way */
    { 1, 1, 0, 0, 1 }, /* the rotation is done */
    { 1, 0, 0, 1, 0 }, /* ended, and nothing else is known */
    { 1, 0, 1, 1, 0 },
    { 1, 1, 1, 1, 0 }, /* rotated, and then logged out after all */
};

START_TEST(a_logout_is_told_from_a_rotation)
{
    ha_forward_t forward = forward_at(5);
    ha_image_t *image = ha_image_make(pool);

    if (ends[_i].is_ended) {
        ha_image_end(image);
    }
    if (ends[_i].has_forward) {
        keep(image, encode(&forward));
    }
    if (ends[_i].has_logout) {
        ha_image_keep(image, image->fields, ha_forward_logout());
    }
    ck_assert_int_eq(ha_forward_is_logout(image), ends[_i].is_logout);
    ck_assert_int_eq(ha_forward_is_moved(image), ends[_i].is_moved);
}
END_TEST

/* The end wins over what came before, but not over where it went; and who
 * comes last, the end or the forward, makes no difference. */
START_TEST(a_forward_outlives_the_end_in_any_order)
{
    ha_forward_t forward = forward_at(5);
    ha_image_t *moved = ha_image_make(pool);
    ha_image_t *end = ha_image_make(pool);
    ha_image_t *folded = ha_image_make(pool);
    ha_stamp_t stamp = { 7, 7 };
    ha_fold_t fold;
    span_t records[2];
    unsigned int i;

    keep(moved, encode(&forward));
    records[0] = ha_delta_encode_image(&old, moved, NULL, pool);
    records[1] = ha_delta_encode_end(&old, stamp, NULL, pool);
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(ha_delta_fold(folded, &fold, &old, NULL,
                                       records[(unsigned int)_i ^ i]),
                         HA_FOLD_OK);
    }
    ck_assert(folded->ended);
    ck_assert(ha_forward_is_moved(folded));
    ck_assert(!ha_image_covers(end, folded));
    ha_image_end(end);
    ck_assert(!ha_image_covers(end, folded));
    ha_image_merge(end, folded);
    ck_assert(ha_image_covers(end, folded));
    ck_assert(span_is_equal(ha_delta_encode_image(&old, end, NULL, pool),
                            ha_delta_encode_image(&old, folded, NULL,
                                                  pool)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_forward");
    TCase *tests = tcase_create("ha_forward");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_was_written_is_read_with_the_old_id);
    tcase_add_test(tests, the_bytes_are_those_of_the_format);
    tcase_add_test(tests,
                   the_new_id_is_not_in_the_bytes_and_not_for_another_id);
    tcase_add_test(tests, the_oldest_rotations_come_first_and_not_too_many);
    tcase_add_test(tests, a_short_field_is_passed_over_and_a_longer_one_read);
    tcase_add_loop_test(tests, a_logout_is_told_from_a_rotation, 0,
                        (int)(sizeof(ends) / sizeof(ends[0])));
    tcase_add_loop_test(tests, a_forward_outlives_the_end_in_any_order, 0, 2);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
