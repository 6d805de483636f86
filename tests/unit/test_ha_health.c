/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>

#include "ha_health.h"
#include "ha_limits.h"

#define SEC APR_USEC_PER_SEC
#define T0 (1700000000 * SEC)
#define SLOTS (HA_NODES_MAX * 2)

static apr_pool_t *pool;
static ha_health_t *health;
static int slot;

static void set_up(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_health_create(&health, pool), APR_SUCCESS);
    slot = ha_health_slot(health, span_of_text("n1"), span_of_text("a:1"),
                          T0);
    ck_assert_int_ge(slot, 0);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

static void go_down(apr_time_t now)
{
    int i;

    for (i = 1; i < HA_HEALTH_FAILURES; i++) {
        ck_assert_int_eq(ha_health_failed(health, slot, now),
                         HA_HEALTH_SAME);
    }
    ck_assert_int_eq(ha_health_failed(health, slot, now),
                     HA_HEALTH_WENT_DOWN);
}

/* A probe that finds a process, started so many seconds after T0. */
static ha_health_e identify(apr_uint32_t pid, int started, apr_time_t now)
{
    return ha_health_identified(health, slot, now, pid, T0 + started * SEC,
                                now);
}

/* ---- slots -------------------------------------------------------------- */

START_TEST(a_node_keeps_its_slot_and_what_is_known)
{
    go_down(T0);
    ck_assert_int_eq(ha_health_slot(health, span_of_text("n1"),
                                    span_of_text("a:1"), T0 + 3600 * SEC),
                     slot);
    ck_assert_int_eq(ha_health_is_up(health, slot), 0);
}
END_TEST

START_TEST(a_new_address_or_name_is_a_new_node)
{
    int other = ha_health_slot(health, span_of_text("n1"),
                               span_of_text("a:2"), T0);
    int third = ha_health_slot(health, span_of_text("n2"),
                               span_of_text("a:1"), T0);

    ck_assert_int_ne(other, slot);
    ck_assert_int_ne(third, slot);
    ck_assert_int_ne(third, other);
    go_down(T0);
    ck_assert_int_eq(ha_health_is_up(health, other), 1);
    ck_assert_int_eq(ha_health_is_up(health, third), 1);
}
END_TEST

START_TEST(slots_of_nodes_no_configuration_names_are_used_again)
{
    char name[16];
    int last = slot;
    int i;

    for (i = 1; i < SLOTS; i++) {
        apr_size_t len = (apr_size_t)snprintf(name, sizeof(name), "x%d", i);

        last = ha_health_slot(health, span_of(name, len), span_of_text("a:1"),
                              T0 + 3600 * SEC);
        ck_assert_int_ge(last, 0);
    }
    go_down(T0);
    /* n1 was named an hour before the others */
    ck_assert_int_eq(ha_health_slot(health, span_of_text("late"),
                                    span_of_text("a:1"), T0 + 3601 * SEC),
                     slot);
    ck_assert_int_eq(ha_health_is_up(health, slot), 1);
    ck_assert_int_eq(ha_health_slot(health, span_of_text("later"),
                                    span_of_text("a:1"), T0 + 3602 * SEC),
                     -1);
}
END_TEST

START_TEST(a_name_that_is_too_long_has_no_slot)
{
    char name[HA_NAME_MAX + 1];

    memset(name, 'n', sizeof(name));
    ck_assert_int_eq(ha_health_slot(health, span_of(name, sizeof(name)),
                                    span_of_text("a:1"), T0), -1);
    ck_assert_int_ge(ha_health_slot(health, span_of(name, HA_NAME_MAX),
                                    span_of_text("a:1"), T0), 0);
}
END_TEST

/* ---- up and down -------------------------------------------------------- */

START_TEST(a_new_node_is_up_and_not_known_to_be_whole)
{
    ck_assert_int_eq(ha_health_is_up(health, slot), 1);
    ck_assert_int_eq(ha_health_whole_since(health, slot), 0);
    ck_assert_int_eq(ha_health_failures(health, slot), 0);
}
END_TEST

START_TEST(failures_in_a_row_down_a_node_and_one_is_told)
{
    go_down(T0);
    ck_assert_int_eq(ha_health_is_up(health, slot), 0);
    ck_assert_int_eq(ha_health_failed(health, slot, T0), HA_HEALTH_SAME);
    ck_assert_int_eq(ha_health_failures(health, slot),
                     HA_HEALTH_FAILURES + 1);
}
END_TEST

START_TEST(an_answer_between_failures_keeps_a_node_up)
{
    int i;

    for (i = 0; i < 10; i++) {
        ck_assert_int_eq(ha_health_failed(health, slot, T0), HA_HEALTH_SAME);
        ck_assert_int_eq(ha_health_failed(health, slot, T0), HA_HEALTH_SAME);
        ck_assert_int_eq(ha_health_succeeded(health, slot, T0),
                         HA_HEALTH_SAME);
    }
    ck_assert_int_eq(ha_health_is_up(health, slot), 1);
}
END_TEST

START_TEST(an_answer_brings_a_node_back_and_one_is_told)
{
    go_down(T0);
    ck_assert_int_eq(ha_health_succeeded(health, slot, T0 + 7 * SEC),
                     HA_HEALTH_CAME_UP);
    ck_assert_int_eq(ha_health_succeeded(health, slot, T0 + 8 * SEC),
                     HA_HEALTH_SAME);
    ck_assert_int_eq(ha_health_is_up(health, slot), 1);
    ck_assert_int_eq(ha_health_away(health, slot), 7 * SEC);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + 7 * SEC);
}
END_TEST

START_TEST(a_probe_does_not_make_up_for_failed_requests)
{
    (void)ha_health_failed(health, slot, T0);
    (void)identify(100, 0, T0);
    (void)ha_health_failed(health, slot, T0);
    (void)identify(100, 0, T0);
    ck_assert_int_eq(ha_health_failed(health, slot, T0),
                     HA_HEALTH_WENT_DOWN);
    ck_assert_int_eq(identify(100, 0, T0 + SEC), HA_HEALTH_CAME_UP);
    ck_assert_int_eq(ha_health_failures(health, slot), 0);
}
END_TEST

/* ---- being whole -------------------------------------------------------- */

START_TEST(a_node_is_whole_since_its_first_answer)
{
    (void)ha_health_succeeded(health, slot, T0 + 1 * SEC);
    (void)ha_health_succeeded(health, slot, T0 + 2 * SEC);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + 1 * SEC);
}
END_TEST

START_TEST(one_failure_ends_being_whole)
{
    (void)ha_health_succeeded(health, slot, T0 + 1 * SEC);
    (void)ha_health_failed(health, slot, T0 + 2 * SEC);
    ck_assert_int_eq(ha_health_whole_since(health, slot), 0);
    (void)ha_health_succeeded(health, slot, T0 + 3 * SEC);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + 3 * SEC);
}
END_TEST

START_TEST(a_call_never_sent_ends_being_whole_and_downs_nobody)
{
    int i;

    (void)ha_health_succeeded(health, slot, T0 + 1 * SEC);
    for (i = 0; i < 10; i++) {
        ha_health_missed(health, slot);
    }
    ck_assert_int_eq(ha_health_whole_since(health, slot), 0);
    ck_assert_int_eq(ha_health_is_up(health, slot), 1);
}
END_TEST

START_TEST(a_doubt_lasts_until_the_same_process_is_found)
{
    (void)identify(100, 0, T0 + 1 * SEC);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + 1 * SEC);
    ha_health_doubt(health, slot);
    ck_assert_int_eq(ha_health_whole_since(health, slot), 0);
    (void)ha_health_succeeded(health, slot, T0 + 2 * SEC);
    ck_assert_int_eq(ha_health_whole_since(health, slot), 0);

    ck_assert_int_eq(ha_health_claim(health, slot, T0 + 9 * SEC, 0), 1);
    ck_assert_int_eq(identify(100, 0, T0 + 9 * SEC), HA_HEALTH_SAME);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + 1 * SEC);
}
END_TEST

START_TEST(a_probe_begun_before_a_doubt_does_not_settle_it)
{
    (void)identify(100, 0, T0 + 1 * SEC);
    ck_assert_int_eq(ha_health_claim(health, slot, T0 + 9 * SEC, 0), 1);
    ha_health_doubt(health, slot);
    ck_assert_int_eq(identify(100, 0, T0 + 9 * SEC), HA_HEALTH_SAME);
    ck_assert_int_eq(ha_health_whole_since(health, slot), 0);
    ck_assert_int_eq(ha_health_is_doubted(health, slot), 1);
}
END_TEST

static const struct {
    apr_uint32_t pid;
    int started;
    ha_health_e what;
} who[] = {
    { 100, 0, HA_HEALTH_SAME },
    { 100, 2, HA_HEALTH_SAME },     /* rounding */
    { 100, -2, HA_HEALTH_SAME },
    { 100, -3600, HA_HEALTH_SAME }, /* our clock was set back */
    { 100, 3, HA_HEALTH_FORGOT },   /* one process id for all: containers */
    { 101, 0, HA_HEALTH_FORGOT },
    { 101, 60, HA_HEALTH_FORGOT },
};

START_TEST(a_restart_is_told_by_process_or_start)
{
    (void)identify(100, 0, T0 + 60 * SEC);
    ck_assert_int_eq(identify(who[_i].pid, who[_i].started, T0 + 90 * SEC),
                     who[_i].what);
    ck_assert_int_eq(ha_health_whole_since(health, slot),
                     who[_i].what == HA_HEALTH_FORGOT ? T0 + 90 * SEC
                                                      : T0 + 60 * SEC);
    ck_assert_int_eq(identify(who[_i].pid, who[_i].started, T0 + 95 * SEC),
                     HA_HEALTH_SAME);
}
END_TEST

START_TEST(a_node_that_comes_back_empty_has_forgotten)
{
    (void)identify(100, 0, T0 + 1 * SEC);
    go_down(T0 + 10 * SEC);
    ck_assert_int_eq(identify(101, 12, T0 + 13 * SEC), HA_HEALTH_FORGOT);
    ck_assert_int_eq(ha_health_is_up(health, slot), 1);
    ck_assert_int_eq(ha_health_away(health, slot), 3 * SEC);
}
END_TEST

START_TEST(a_node_that_comes_back_as_it_was_came_up)
{
    (void)identify(100, 0, T0 + 1 * SEC);
    go_down(T0 + 10 * SEC);
    ck_assert_int_eq(identify(100, 0, T0 + 13 * SEC), HA_HEALTH_CAME_UP);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + 13 * SEC);
}
END_TEST

START_TEST(a_probe_begun_before_a_node_went_down_tells_nothing)
{
    (void)identify(7, 0, T0);
    go_down(T0 + 2 * SEC);
    ck_assert_int_eq(ha_health_identified(health, slot, T0 + 2 * SEC - 1, 7,
                                          T0, T0 + 3 * SEC),
                     HA_HEALTH_SAME);
    ck_assert_int_eq(ha_health_is_up(health, slot), 0);
    ck_assert_int_eq(ha_health_identified(health, slot, T0 + 2 * SEC - 1, 8,
                                          T0 + 9 * SEC, T0 + 3 * SEC),
                     HA_HEALTH_SAME);
    ck_assert_int_eq(ha_health_identified(health, slot, T0 + 2 * SEC, 7, T0,
                                          T0 + 4 * SEC),
                     HA_HEALTH_CAME_UP);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + 4 * SEC);
}
END_TEST

/* ---- what a node counts ------------------------------------------------- */

static ha_health_e count(apr_uint64_t flushes, apr_uint64_t evictions,
                         apr_time_t now)
{
    return ha_health_counted(health, slot, flushes, evictions, now);
}

/* What a probe of before says of counts must not outlive the absence. */
START_TEST(a_node_is_whole_since_the_end_of_its_absence)
{
    int is_probed;

    for (is_probed = 0; is_probed <= 1; is_probed++) {
        apr_time_t begin = T0 + is_probed * 60 * SEC;

        (void)identify(7, 0, begin);
        (void)count(0, 0, begin);
        go_down(begin + 2 * SEC);
        (void)count(1, 0, begin + 3 * SEC);
        ck_assert_int_eq(ha_health_whole_since(health, slot), 0);
        ck_assert_int_eq(is_probed
                             ? identify(7, 0, begin + 9 * SEC)
                             : ha_health_succeeded(health, slot,
                                                   begin + 9 * SEC),
                         HA_HEALTH_CAME_UP);
        ck_assert_int_eq(ha_health_whole_since(health, slot),
                         begin + 9 * SEC);
        (void)count(0, 0, begin + 10 * SEC);
    }
}
END_TEST

START_TEST(a_node_that_was_flushed_is_whole_since_then)
{
    (void)identify(1, 0, T0);
    ck_assert_int_eq(count(7, 0, T0), HA_HEALTH_SAME);
    ck_assert_int_eq(count(7, 0, T0 + 5 * SEC), HA_HEALTH_SAME);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0);
    ck_assert_int_eq(count(8, 0, T0 + 9 * SEC), HA_HEALTH_FLUSHED);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + 9 * SEC);
    ck_assert_int_eq(count(8, 0, T0 + 12 * SEC), HA_HEALTH_SAME);
    ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + 9 * SEC);
}
END_TEST

START_TEST(a_node_that_drops_items_is_not_whole_for_long)
{
    int i;

    (void)identify(1, 0, T0);
    ck_assert_int_eq(count(0, 3, T0), HA_HEALTH_SAME);
    for (i = 1; i < 60; i++) {
        ck_assert_int_eq(count(0, 3 + (apr_uint64_t)i, T0 + i * SEC),
                         i == 1 ? HA_HEALTH_DROPS : HA_HEALTH_SAME);
        ck_assert_int_eq(ha_health_whole_since(health, slot), T0 + i * SEC);
    }
    ck_assert_uint_eq(ha_health_evictions(health, slot), 62);
    ck_assert_int_eq(count(0, 99, T0 + 61 * SEC), HA_HEALTH_DROPS);
}
END_TEST

START_TEST(counts_of_before_a_restart_are_nobodys)
{
    (void)identify(1, 0, T0);
    ck_assert_int_eq(count(0, 0, T0), HA_HEALTH_SAME);
    ck_assert_int_eq(identify(2, 60, T0 + 60 * SEC), HA_HEALTH_FORGOT);
    ck_assert_int_eq(count(5, 5, T0 + 60 * SEC), HA_HEALTH_SAME);
    /* "stats reset" sets them to 0 */
    ck_assert_int_eq(count(0, 0, T0 + 65 * SEC), HA_HEALTH_SAME);
    ck_assert_int_eq(count(0, 1, T0 + 70 * SEC), HA_HEALTH_DROPS);
}
END_TEST

/* ---- claims ------------------------------------------------------------- */

START_TEST(a_due_probe_is_claimed_once)
{
    ck_assert_int_eq(ha_health_claim(health, slot, T0, 0), 1);
    ck_assert_int_eq(ha_health_claim(health, slot, T0, 0), 0);
    ck_assert_int_eq(ha_health_claim(health, slot, T0 + 4 * SEC, 0), 0);
    ck_assert_int_eq(ha_health_claim(health, slot, T0 + 5 * SEC, 0), 1);
}
END_TEST

START_TEST(probes_of_a_node_that_is_down_back_off)
{
    static const int wait_msec[] = { 250, 250, 500, 1000, 2000, 2000 };
    apr_time_t now = T0;
    unsigned int i;

    go_down(now);
    for (i = 0; i < sizeof(wait_msec) / sizeof(wait_msec[0]); i++) {
        now += wait_msec[i] * 1000 - 1;
        ck_assert_int_eq(ha_health_claim(health, slot, now, 0), 0);
        now += 1;
        ck_assert_int_eq(ha_health_claim(health, slot, now, 0), 1);
    }
}
END_TEST

/* When a claim after T0 is due, in milliseconds; -1 for never. */
static int due_after(apr_time_t from)
{
    int msec;

    for (msec = 0; msec <= 10000; msec++) {
        if (ha_health_claim(health, slot, from + msec * 1000, 0)) {
            return msec;
        }
    }
    return -1;
}

START_TEST(a_node_that_comes_and_goes_is_asked_less_and_less)
{
    apr_time_t now = T0;

    go_down(now);
    ck_assert_int_eq(due_after(now), 250);
    now += SEC;
    ck_assert_int_eq(identify(100, 0, now), HA_HEALTH_CAME_UP);
    go_down(now + SEC);
    ck_assert_int_eq(due_after(now + SEC), 500);
    now += 2 * SEC;
    ck_assert_int_eq(identify(100, 0, now), HA_HEALTH_CAME_UP);
    /* up for long enough, and all is forgiven */
    go_down(now + 11 * SEC);
    ck_assert_int_eq(due_after(now + 11 * SEC), 250);
}
END_TEST

START_TEST(a_wait_grows_by_chance_and_by_a_quarter_at_most)
{
    ck_assert_int_eq(ha_health_claim(health, slot, T0, 1249999), 1);
    ck_assert_int_eq(ha_health_claim(health, slot, T0 + 6249998, 0), 0);
    ck_assert_int_eq(ha_health_claim(health, slot, T0 + 6249999, 0), 1);
}
END_TEST

START_TEST(a_doubt_makes_a_probe_due_but_not_a_storm)
{
    ck_assert_int_eq(ha_health_claim(health, slot, T0, 0), 1);
    ha_health_doubt(health, slot);
    ck_assert_int_eq(ha_health_claim(health, slot, T0 + 49999, 0), 0);
    ck_assert_int_eq(ha_health_claim(health, slot, T0 + 50000, 0), 1);
    ck_assert_int_eq(ha_health_claim(health, slot, T0 + 200000, 0), 0);
}
END_TEST

START_TEST(nonsense_is_spoken_of_once_a_minute)
{
    ck_assert_int_eq(ha_health_may_tell(health, slot, T0), 1);
    ck_assert_int_eq(ha_health_may_tell(health, slot, T0 + 59 * SEC), 0);
    ck_assert_int_eq(ha_health_may_tell(health, slot, T0 + 60 * SEC), 1);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_health");
    TCase *tcase = tcase_create("table");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_node_keeps_its_slot_and_what_is_known);
    tcase_add_test(tcase, a_new_address_or_name_is_a_new_node);
    tcase_add_test(tcase,
                   slots_of_nodes_no_configuration_names_are_used_again);
    tcase_add_test(tcase, a_name_that_is_too_long_has_no_slot);
    tcase_add_test(tcase, a_new_node_is_up_and_not_known_to_be_whole);
    tcase_add_test(tcase, failures_in_a_row_down_a_node_and_one_is_told);
    tcase_add_test(tcase, an_answer_between_failures_keeps_a_node_up);
    tcase_add_test(tcase, an_answer_brings_a_node_back_and_one_is_told);
    tcase_add_test(tcase, a_probe_does_not_make_up_for_failed_requests);
    tcase_add_test(tcase, a_node_is_whole_since_its_first_answer);
    tcase_add_test(tcase, one_failure_ends_being_whole);
    tcase_add_test(tcase, a_call_never_sent_ends_being_whole_and_downs_nobody);
    tcase_add_test(tcase, a_doubt_lasts_until_the_same_process_is_found);
    tcase_add_test(tcase, a_probe_begun_before_a_doubt_does_not_settle_it);
    tcase_add_loop_test(tcase, a_restart_is_told_by_process_or_start, 0,
                        (int)(sizeof(who) / sizeof(who[0])));
    tcase_add_test(tcase, a_node_that_comes_back_empty_has_forgotten);
    tcase_add_test(tcase, a_node_that_comes_back_as_it_was_came_up);
    tcase_add_test(tcase,
                   a_probe_begun_before_a_node_went_down_tells_nothing);
    tcase_add_test(tcase, a_node_is_whole_since_the_end_of_its_absence);
    tcase_add_test(tcase, a_node_that_was_flushed_is_whole_since_then);
    tcase_add_test(tcase, a_node_that_drops_items_is_not_whole_for_long);
    tcase_add_test(tcase, counts_of_before_a_restart_are_nobodys);
    tcase_add_test(tcase, a_due_probe_is_claimed_once);
    tcase_add_test(tcase, probes_of_a_node_that_is_down_back_off);
    tcase_add_test(tcase, a_node_that_comes_and_goes_is_asked_less_and_less);
    tcase_add_test(tcase, a_wait_grows_by_chance_and_by_a_quarter_at_most);
    tcase_add_test(tcase, a_doubt_makes_a_probe_due_but_not_a_storm);
    tcase_add_test(tcase, nonsense_is_spoken_of_once_a_minute);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner;
    int failed;

    if (apr_initialize() != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
