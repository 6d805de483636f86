/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ha_courier.h"

#define NODES 4
#define PATIENCE_USEC (20 * APR_USEC_PER_SEC)
#define SESSIONS 64

/* ---- a store that is up or down, and a far zone that takes parcels ------- */

static apr_pool_t *pool;
static apr_pool_t *pchild;
static ha_courier_board_t *board;
static ha_courier_t *courier;
static ha_place_node_t places[NODES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    apr_uint64_t down;    /* as the health table says */
    apr_uint64_t silent;  /* does not answer */
    apr_uint64_t picky;   /* answers, and does not take it */
    apr_interval_time_t slow;
    unsigned int calls;
    unsigned int in[SESSIONS];  /* parcels of a session under way */
    unsigned int at_once;       /* most of all sessions */
    unsigned int under_way;
    int has_overlap;      /* two of one session at the same time */
    char got[NODES][SESSIONS][256];
    apr_uint64_t told[HA_COURIER_LEFT + 1];
    unsigned int times[HA_COURIER_LEFT + 1];
    unsigned int chores;
} world;

static int is_up(ha_store_t *store, unsigned int node)
{
    int up;

    (void)store;
    (void)pthread_mutex_lock(&lock);
    up = !(world.down >> node & 1);
    (void)pthread_mutex_unlock(&lock);
    return up;
}

static const ha_store_ops_t ops = { NULL, is_up, NULL };
static ha_store_t store = { .ops = &ops, .name = "fake", .nodes = places,
                            .count = NODES };

static unsigned int number_of(const ha_parcel_t *parcel)
{
    return parcel->sid.digest[0];
}

static void arrive(unsigned int session)
{
    (void)pthread_mutex_lock(&lock);
    world.calls++;
    world.has_overlap |= world.in[session]++ > 0;
    world.under_way++;
    if (world.under_way > world.at_once) {
        world.at_once = world.under_way;
    }
    (void)pthread_mutex_unlock(&lock);
}

static void deliver(ha_delivery_t *delivery, void *ctx,
                    const ha_parcel_t *parcel, apr_time_t deadline,
                    apr_pool_t *p)
{
    unsigned int session = number_of(parcel);
    unsigned int i;

    ck_assert_ptr_eq(ctx, &world);
    ck_assert_int_ge(deadline, apr_time_now() - PATIENCE_USEC);
    ck_assert_ptr_nonnull(p);
    arrive(session);
    if (world.slow > 0) {
        apr_sleep(world.slow);
    }
    (void)pthread_mutex_lock(&lock);
    for (i = 0; i < NODES; i++) {
        apr_uint64_t bit = (apr_uint64_t)1 << i;
        char *got = world.got[i][session];

        if (!(parcel->nodes & bit)) {
            continue;
        }
        if (world.silent & bit) {
            delivery->silent |= bit;
        }
        else if (!(world.picky & bit)) {
            delivery->done |= bit;
            if (parcel->records.len > 0) {
                strncat(got, parcel->records.data, parcel->records.len);
            }
        }
    }
    world.in[session]--;
    world.under_way--;
    (void)pthread_mutex_unlock(&lock);
}

static void hear(void *ctx, ha_courier_event_e kind, apr_uint64_t count)
{
    ck_assert_ptr_eq(ctx, &world);
    (void)pthread_mutex_lock(&lock);
    world.told[kind] += count;
    world.times[kind]++;
    (void)pthread_mutex_unlock(&lock);
}

static void begin_child(void)
{
    ha_courier_conf_t conf = { &store, board, deliver, hear, &world,
                               APR_USEC_PER_SEC };

    ck_assert_int_eq(apr_pool_create(&pchild, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_courier_start(&courier, &conf, pchild), APR_SUCCESS);
}

static void end_child(void)
{
    if (pchild != NULL) {
        apr_pool_destroy(pchild);
        pchild = NULL;
    }
}

static void set_up(void)
{
    memset(&world, 0, sizeof(world));
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_courier_board_create(&board, pool), APR_SUCCESS);
    begin_child();
}

static void tear_down(void)
{
    end_child();
    apr_pool_destroy(pool);
}

static int send_to(unsigned int session, apr_uint64_t nodes,
                   const char *records)
{
    ha_parcel_t parcel;

    memset(&parcel, 0, sizeof(parcel));
    parcel.sid.digest[0] = (unsigned char)session;
    parcel.nodes = nodes;
    parcel.records = span_of_text(records);
    parcel.ttl_sec = 1800;
    return ha_courier_send(courier, &parcel);
}

static ha_courier_usage_t usage(void)
{
    ha_courier_usage_t now;

    ha_courier_usage(&now, board, apr_time_now());
    return now;
}

static void set(apr_uint64_t *word, apr_uint64_t value)
{
    (void)pthread_mutex_lock(&lock);
    *word = value;
    (void)pthread_mutex_unlock(&lock);
}

static unsigned int see(const unsigned int *word)
{
    unsigned int value;

    (void)pthread_mutex_lock(&lock);
    value = *word;
    (void)pthread_mutex_unlock(&lock);
    return value;
}

static void wait_until_sent(apr_uint64_t count)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_USEC;

    while (usage().sent < count || usage().waiting > 0) {
        ck_assert_msg(apr_time_now() < deadline, "not sent");
        apr_sleep(1000);
    }
}

static void wait_until_above(const unsigned int *word, unsigned int limit)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_USEC;

    while (see(word) <= limit) {
        ck_assert_msg(apr_time_now() < deadline, "it did not happen");
        apr_sleep(1000);
    }
}

/* ---- tests --------------------------------------------------------------- */

START_TEST(a_parcel_is_brought_to_all_its_nodes)
{
    ck_assert(send_to(1, 5, "record"));
    wait_until_sent(1);
    ck_assert_str_eq(world.got[0][1], "record");
    ck_assert_str_eq(world.got[1][1], "");
    ck_assert_str_eq(world.got[2][1], "record");
    ck_assert_uint_eq(usage().dropped, 0);
    ck_assert_int_eq(usage().oldest, 0);
}
END_TEST

/* Nobody who looks after a request is told that nothing waits. */
START_TEST(what_waits_is_shown_as_soon_as_it_is_handed_over)
{
    unsigned int i;

    for (i = 0; i < 20; i++) {
        set(&world.down, 1);
        ck_assert(send_to(i, 1, "a"));
        ck_assert_uint_eq(usage().waiting, 1);
        set(&world.down, 0);
        wait_until_sent(i + 1);
    }
}
END_TEST

START_TEST(a_session_that_changes_while_a_node_is_down_is_brought_once)
{
    int i;

    set(&world.down, 2);
    for (i = 0; i < 20; i++) {
        ck_assert(send_to(1, 2, "x"));
    }
    ck_assert(send_to(2, 1, "other"));
    wait_until_above(&world.calls, 0);
    set(&world.down, 0);
    wait_until_sent(21);
    ck_assert_str_eq(world.got[1][1], "xxxxxxxxxxxxxxxxxxxx");
    ck_assert_uint_eq(world.calls, 2);
}
END_TEST

START_TEST(a_silent_node_is_tried_until_it_answers)
{
    set(&world.silent, 2);
    ck_assert(send_to(1, 3, "a"));
    wait_until_above(&world.calls, 1);
    ck_assert_str_eq(world.got[0][1], "a");
    set(&world.silent, 0);
    wait_until_sent(1);
    ck_assert_str_eq(world.got[0][1], "a");
    ck_assert_str_eq(world.got[1][1], "a");
}
END_TEST

START_TEST(a_silent_node_is_left_alone_for_longer_and_longer)
{
    apr_time_t began = apr_time_now();
    apr_interval_time_t took;

    set(&world.silent, 1);
    ck_assert(send_to(1, 1, "a"));
    wait_until_above(&world.calls, 3);
    took = apr_time_now() - began;
    ck_assert_int_ge(took, (100 + 200 + 400) * 1000);
    set(&world.down, 1);
}
END_TEST

START_TEST(a_parcel_that_a_node_refuses_does_not_wait_for_ever)
{
    set(&world.picky, 1);
    ck_assert(send_to(1, 1, "a"));
    wait_until_above(&world.times[HA_COURIER_DROPS], 0);
    ck_assert_uint_gt(see(&world.calls), 2);
    ck_assert_uint_eq(usage().dropped, 1);
    ck_assert_uint_eq(usage().sent, 0);
    wait_until_above(&world.times[HA_COURIER_WHOLE], 0);
    ck_assert_uint_eq(world.told[HA_COURIER_WHOLE], 1);
}
END_TEST

START_TEST(drops_are_told_once_and_when_they_are_over)
{
    ha_parcel_t parcel;
    unsigned int i;
    unsigned int refused = 0;

    set(&world.down, 1);
    memset(&parcel, 0, sizeof(parcel));
    parcel.nodes = 1;
    parcel.ttl_sec = 1800;
    for (i = 0; i < HA_COURIER_PARCELS + 10; i++) {
        parcel.sid.digest[1] = (unsigned char)i;
        parcel.sid.digest[2] = (unsigned char)(i >> 8);
        refused += !ha_courier_send(courier, &parcel);
    }
    ck_assert_uint_eq(refused, 10);
    ck_assert_uint_eq(usage().dropped, 10);
    ck_assert_uint_eq(see(&world.times[HA_COURIER_DROPS]), 1);
    ck_assert_uint_eq(see(&world.times[HA_COURIER_WHOLE]), 0);
    set(&world.down, 0);
    wait_until_sent(HA_COURIER_PARCELS);
    wait_until_above(&world.times[HA_COURIER_WHOLE], 0);
    ck_assert_uint_eq(world.times[HA_COURIER_WHOLE], 1);
    ck_assert_uint_eq(world.told[HA_COURIER_WHOLE], 10);
}
END_TEST

START_TEST(many_sessions_pass_each_other_and_one_never_itself)
{
    unsigned int round;
    unsigned int i;

    world.slow = 2000;
    for (round = 0; round < 4; round++) {
        for (i = 0; i < SESSIONS; i++) {
            ck_assert(send_to(i, 1, round == 0 ? "a" : "b"));
        }
        apr_sleep(3000);
    }
    wait_until_sent(4 * SESSIONS);
    ck_assert(!world.has_overlap);
    ck_assert_uint_gt(world.at_once, 1);
    ck_assert_uint_le(world.at_once, HA_COURIER_THREADS);
    for (i = 0; i < SESSIONS; i++) {
        ck_assert_str_eq(world.got[0][i], "abbb");
    }
}
END_TEST

START_TEST(what_waits_is_brought_when_the_child_ends)
{
    unsigned int i;

    world.slow = 1000;
    for (i = 0; i < SESSIONS; i++) {
        ck_assert(send_to(i, 2, "a"));
    }
    end_child();
    ck_assert_uint_eq(usage().sent, SESSIONS);
    ck_assert_uint_eq(usage().waiting, 0);
    ck_assert_uint_eq(world.times[HA_COURIER_LEFT], 0);
    for (i = 0; i < SESSIONS; i++) {
        ck_assert_str_eq(world.got[1][i], "a");
    }
}
END_TEST

START_TEST(the_end_waits_for_no_back_off_and_no_dead_node)
{
    apr_time_t began;

    set(&world.silent, 1);
    ck_assert(send_to(1, 1, "a"));
    wait_until_above(&world.calls, 2);
    set(&world.silent, 0);
    set(&world.down, 2);
    ck_assert(send_to(2, 2, "b"));
    began = apr_time_now();
    end_child();
    ck_assert_int_lt(apr_time_now() - began, HA_COURIER_DRAIN_USEC);
    ck_assert_str_eq(world.got[0][1], "a");
    ck_assert_uint_eq(usage().sent, 1);
    ck_assert_uint_eq(usage().dropped, 1);
    ck_assert_uint_eq(usage().waiting, 0);
    ck_assert_uint_eq(world.times[HA_COURIER_LEFT], 1);
    ck_assert_uint_eq(world.told[HA_COURIER_LEFT], 1);
}
END_TEST

START_TEST(the_end_of_a_child_that_sent_nothing_takes_no_time)
{
    apr_time_t began = apr_time_now();

    end_child();
    ck_assert_int_lt(apr_time_now() - began, APR_USEC_PER_SEC);
    ck_assert_uint_eq(world.calls, 0);
}
END_TEST

START_TEST(what_a_killed_child_had_counts_for_a_minute)
{
    ha_courier_usage_t said = { 7, 70, 0, 0, 5 };
    ha_courier_usage_t seen;
    apr_time_t now = apr_time_now();
    int slot = ha_courier_board_claim(board, now);

    ck_assert_int_ge(slot, 0);
    ha_courier_board_tell(board, slot, &said, now);
    seen = usage();
    ck_assert_uint_eq(seen.waiting, 7);
    ck_assert_uint_eq(seen.bytes, 70);
    ck_assert_int_eq(seen.oldest, 5);
    now += apr_time_from_sec(60);
    ha_courier_usage(&seen, board, now);
    ck_assert_uint_eq(seen.waiting, 0);
    ck_assert_int_eq(ha_courier_board_claim(board, now), slot);
}
END_TEST

static apr_interval_time_t chore(void *ctx, apr_time_t deadline,
                                 apr_pool_t *p)
{
    ck_assert_ptr_eq(ctx, &world);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_gt(deadline, 0);
    (void)pthread_mutex_lock(&lock);
    world.chores++;
    (void)pthread_mutex_unlock(&lock);
    return 5000;
}

START_TEST(a_task_is_called_again_and_again_beside_parcels)
{
    unsigned int i;

    ck_assert_int_eq(ha_courier_task(courier, chore, &world), APR_SUCCESS);
    wait_until_above(&world.chores, 3);
    ck_assert(send_to(1, 1, "a"));
    wait_until_sent(1);
    wait_until_above(&world.chores, see(&world.chores) + 2);
    for (i = 1; i < HA_COURIER_TASKS; i++) {
        ck_assert_int_eq(ha_courier_task(courier, chore, &world),
                         APR_SUCCESS);
    }
    ck_assert_int_eq(ha_courier_task(courier, chore, &world), APR_ENOSPC);
    end_child();
    i = see(&world.chores);
    apr_sleep(20000);
    ck_assert_uint_eq(see(&world.chores), i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_courier");
    TCase *tcase = tcase_create("courier");
    SRunner *runner;
    int failed;

    apr_initialize();
    atexit(apr_terminate);
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_parcel_is_brought_to_all_its_nodes);
    tcase_add_test(tcase, what_waits_is_shown_as_soon_as_it_is_handed_over);
    tcase_add_test(tcase,
                   a_session_that_changes_while_a_node_is_down_is_brought_once);
    tcase_add_test(tcase, a_silent_node_is_tried_until_it_answers);
    tcase_add_test(tcase, a_silent_node_is_left_alone_for_longer_and_longer);
    tcase_add_test(tcase,
                   a_parcel_that_a_node_refuses_does_not_wait_for_ever);
    tcase_add_test(tcase, drops_are_told_once_and_when_they_are_over);
    tcase_add_test(tcase, many_sessions_pass_each_other_and_one_never_itself);
    tcase_add_test(tcase, what_waits_is_brought_when_the_child_ends);
    tcase_add_test(tcase, the_end_waits_for_no_back_off_and_no_dead_node);
    tcase_add_test(tcase, the_end_of_a_child_that_sent_nothing_takes_no_time);
    tcase_add_test(tcase, what_a_killed_child_had_counts_for_a_minute);
    tcase_add_test(tcase, a_task_is_called_again_and_again_beside_parcels);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
