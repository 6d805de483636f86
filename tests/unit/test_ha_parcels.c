/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include <apr_general.h>

#include "ha_parcels.h"

#define NOW apr_time_from_sec(1700000000)

static ha_parcels_t *queue;
static char bytes[HA_VALUE_MAX];

static void set_up(void)
{
    queue = ha_parcels_make();
    ck_assert_ptr_nonnull(queue);
    memset(bytes, 'x', sizeof(bytes));
}

static void tear_down(void)
{
    ha_parcels_free(queue);
}

/* A parcel of session n for some nodes. */
static ha_parcel_t parcel_of(unsigned int n, apr_uint64_t nodes,
                             const char *records)
{
    ha_parcel_t parcel;

    memset(&parcel, 0, sizeof(parcel));
    memcpy(parcel.sid.digest, &n, sizeof(n));
    parcel.nodes = nodes;
    parcel.records = span_of_text(records);
    parcel.ttl_sec = 100;
    return parcel;
}

static int put(unsigned int n, apr_uint64_t nodes, const char *records)
{
    ha_parcel_t parcel = parcel_of(n, nodes, records);

    return ha_parcels_put(queue, &parcel, NOW);
}

static void assert_records(const ha_waiting_t *waiting, const char *records)
{
    ck_assert_ptr_nonnull(waiting);
    ck_assert(span_is_equal(waiting->parcel.records, span_of_text(records)));
}

START_TEST(parcels_come_out_in_the_order_they_came_in)
{
    unsigned int i;

    for (i = 0; i < 3000; i++) {
        ck_assert(put(i, 1, "a"));
    }
    for (i = 0; i < 3000; i++) {
        ha_waiting_t *waiting = ha_parcels_take(queue, 1, NOW);

        ck_assert_ptr_nonnull(waiting);
        ck_assert_int_eq(memcmp(waiting->parcel.sid.digest, &i, sizeof(i)),
                         0);
        ck_assert_uint_eq(ha_parcels_drop(queue, waiting), 1);
    }
    ck_assert_uint_eq(ha_parcels_count(queue), 0);
    ck_assert_uint_eq(ha_parcels_bytes(queue), 0);
    ck_assert_int_eq(ha_parcels_oldest(queue), 0);
}
END_TEST

START_TEST(what_waits_for_a_session_is_joined)
{
    ha_waiting_t *waiting;

    ck_assert(put(1, 1, "first"));
    ck_assert(put(2, 1, "other"));
    ck_assert(put(1, 6, "second"));
    ck_assert_uint_eq(ha_parcels_count(queue), 2);
    ck_assert_uint_eq(ha_parcels_changes(queue), 3);
    ck_assert_uint_eq(ha_parcels_bytes(queue), 16);
    waiting = ha_parcels_take(queue, 1, NOW);
    assert_records(waiting, "firstsecond");
    ck_assert_uint_eq(waiting->parcel.nodes, 7);
    ck_assert_uint_eq(ha_parcels_drop(queue, waiting), 2);
}
END_TEST

START_TEST(a_touch_and_a_longer_life_are_joined_too)
{
    ha_parcel_t parcel = parcel_of(1, 1, "");
    ha_waiting_t *waiting;

    ck_assert(put(1, 1, "a"));
    parcel.is_touch = 1;
    parcel.is_whole = 1;
    parcel.ttl_sec = 300;
    parcel.past_sec = 900;
    ck_assert(ha_parcels_put(queue, &parcel, NOW));
    waiting = ha_parcels_take(queue, 1, NOW);
    assert_records(waiting, "a");
    ck_assert_int_eq(waiting->parcel.is_touch, 1);
    ck_assert_int_eq(waiting->parcel.is_whole, 1);
    ck_assert_uint_eq(waiting->parcel.ttl_sec, 300);
    ck_assert_uint_eq(waiting->parcel.past_sec, 900);
}
END_TEST

START_TEST(one_parcel_of_a_session_is_under_way_at_a_time)
{
    ha_waiting_t *waiting;

    ck_assert(put(1, 1, "first"));
    waiting = ha_parcels_take(queue, 1, NOW);
    ck_assert(put(1, 1, "second"));
    assert_records(waiting, "first");
    ck_assert_ptr_null(ha_parcels_take(queue, 1, NOW));
    ck_assert(put(2, 1, "other"));
    assert_records(ha_parcels_take(queue, 1, NOW), "other");
    ck_assert_uint_eq(ha_parcels_drop(queue, waiting), 1);
    assert_records(ha_parcels_take(queue, 1, NOW), "second");
}
END_TEST

START_TEST(what_comes_back_goes_before_what_came_meanwhile)
{
    ha_waiting_t *waiting;

    ck_assert(put(1, 3, "first"));
    waiting = ha_parcels_take(queue, 3, NOW);
    ck_assert(put(1, 4, "second"));
    ha_parcels_return(queue, waiting, 2, NOW + 5);
    ck_assert_uint_eq(ha_parcels_count(queue), 1);
    ck_assert_uint_eq(ha_parcels_changes(queue), 2);
    ck_assert_uint_eq(ha_parcels_bytes(queue), 11);
    ck_assert_ptr_null(ha_parcels_take(queue, 6, NOW + 4));
    waiting = ha_parcels_take(queue, 6, NOW + 5);
    assert_records(waiting, "firstsecond");
    ck_assert_uint_eq(waiting->parcel.nodes, 6);
    ck_assert_uint_eq(ha_parcels_drop(queue, waiting), 2);
}
END_TEST

START_TEST(who_is_not_ready_holds_nobody_up)
{
    ha_waiting_t *waiting;

    ck_assert(put(1, 1, "down"));
    ck_assert(put(2, 2, "up"));
    ck_assert(ha_parcels_has(queue, 6));
    ck_assert(!ha_parcels_has(queue, 4));
    waiting = ha_parcels_take(queue, 2, NOW);
    assert_records(waiting, "up");
    ck_assert_uint_eq(ha_parcels_drop(queue, waiting), 1);
    ck_assert_ptr_null(ha_parcels_take(queue, 2, NOW));
    ck_assert_uint_eq(ha_parcels_changes(queue), 1);
}
END_TEST

START_TEST(a_full_queue_takes_no_more_sessions_and_joins_on)
{
    unsigned int i;

    for (i = 0; i < HA_COURIER_PARCELS; i++) {
        ck_assert(put(i, 1, "a"));
    }
    ck_assert(!put(i, 1, "a"));
    ck_assert(put(7, 1, "a"));
    ck_assert_uint_eq(ha_parcels_count(queue), HA_COURIER_PARCELS);
}
END_TEST

START_TEST(bytes_are_bounded)
{
    ha_parcel_t parcel = parcel_of(0, 1, "");
    unsigned int i;

    parcel.records = span_of(bytes, sizeof(bytes));
    for (i = 0; i < HA_COURIER_BYTES / sizeof(bytes); i++) {
        memcpy(parcel.sid.digest, &i, sizeof(i));
        ck_assert(ha_parcels_put(queue, &parcel, NOW));
    }
    ck_assert(!put(i, 1, "a"));
    ck_assert(put(i, 1, ""));
    ck_assert_uint_eq(ha_parcels_bytes(queue), HA_COURIER_BYTES);
}
END_TEST

START_TEST(large_records_are_not_joined)
{
    ha_parcel_t parcel = parcel_of(1, 1, "");
    unsigned int i;

    parcel.records = span_of(bytes, HA_COURIER_JOIN_BYTES / 2 + 1);
    for (i = 0; i < 3; i++) {
        ck_assert(ha_parcels_put(queue, &parcel, NOW));
    }
    ck_assert_uint_eq(ha_parcels_count(queue), 3);
    ck_assert_uint_eq(ha_parcels_changes(queue), 3);
    ck_assert_uint_eq(ha_parcels_bytes(queue), 3 * parcel.records.len);
}
END_TEST

START_TEST(the_oldest_keeps_its_date_when_it_is_joined)
{
    ha_parcel_t parcel = parcel_of(1, 1, "b");
    ha_waiting_t *waiting;

    ck_assert(put(1, 1, "a"));
    waiting = ha_parcels_take(queue, 1, NOW);
    ck_assert(ha_parcels_put(queue, &parcel, NOW + 9));
    ha_parcels_return(queue, waiting, 1, 0);
    ck_assert_int_eq(ha_parcels_oldest(queue), NOW);
}
END_TEST

START_TEST(what_outlived_its_session_goes)
{
    ha_parcel_t young = parcel_of(2, 1, "young");

    ck_assert(put(1, 1, "old"));
    ck_assert(put(1, 1, "old"));
    ck_assert(ha_parcels_put(queue, &young, NOW + 1));
    ck_assert_uint_eq(ha_parcels_expire(queue, NOW + apr_time_from_sec(100)),
                      0);
    ck_assert_uint_eq(ha_parcels_expire(queue,
                                        NOW + apr_time_from_sec(100) + 1), 2);
    ck_assert_uint_eq(ha_parcels_changes(queue), 1);
    assert_records(ha_parcels_take(queue, 1, NOW), "young");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_parcels");
    TCase *tcase = tcase_create("queue");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, parcels_come_out_in_the_order_they_came_in);
    tcase_add_test(tcase, what_waits_for_a_session_is_joined);
    tcase_add_test(tcase, a_touch_and_a_longer_life_are_joined_too);
    tcase_add_test(tcase, one_parcel_of_a_session_is_under_way_at_a_time);
    tcase_add_test(tcase, what_comes_back_goes_before_what_came_meanwhile);
    tcase_add_test(tcase, who_is_not_ready_holds_nobody_up);
    tcase_add_test(tcase, a_full_queue_takes_no_more_sessions_and_joins_on);
    tcase_add_test(tcase, bytes_are_bounded);
    tcase_add_test(tcase, large_records_are_not_joined);
    tcase_add_test(tcase, the_oldest_keeps_its_date_when_it_is_joined);
    tcase_add_test(tcase, what_outlived_its_session_goes);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
