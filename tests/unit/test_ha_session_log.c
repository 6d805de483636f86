/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to the log that is a session: folding, limits, newer code. */
#include "ha_session.h"

#include <check.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "raw_record.h"
#include "session_bench.h"

static apr_pool_t *pool;
static bench_t *bench; /* three nodes, two owners */
static store_fake_t *fake;
static ha_session_t *session; /* user=ada */

static void set_up(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    bench = bench_make(3, 2, pool);
    fake = bench->fake;
    session = bench_create(bench, "user=ada");
}

static void tear_down(void)
{
    store_fake_expect_played(fake);
    apr_pool_destroy(pool);
    apr_terminate();
}

static void expect_load(const char *wanted)
{
    ck_assert_str_eq(bench_load(bench, NULL), wanted);
}

static span_t item(unsigned int node)
{
    return store_fake_item(fake, node, bench->sid.key);
}

/* "name=vvvv", the value len bytes long. */
static const char *op_of(const char *name, apr_size_t len)
{
    char *value = apr_palloc(pool, len + 1);

    memset(value, 'v', len);
    value[len] = '\0';
    return apr_pstrcat(pool, name, "=", value, NULL);
}

/* Bring the log to where the next record makes it worth folding. */
static void fill_log(void)
{
    int i;

    for (i = 1; i < HA_FOLD_RECORDS_MIN; i++) {
        ck_assert_str_eq(bench_save(bench, session, "n=1"), "2/2");
    }
    ck_assert_uint_eq(bench_records(bench, 0), HA_FOLD_RECORDS_MIN);
    store_fake_log(fake);
}

/* ---- folding ---- */

START_TEST(a_log_is_folded_when_it_has_become_long)
{
    int i;

    fill_log();
    ck_assert_str_eq(bench_save(bench, session, "n=2"), "2/2");
    ck_assert_str_eq(store_fake_log(fake), "append@0 append@1 | cas@0 cas@1");
    ck_assert_uint_eq(bench_records(bench, 0), 1);
    ck_assert_uint_eq(bench_records(bench, 1), 1);
    for (i = 0; i < 100; i++) {
        const char *op = apr_psprintf(pool, "n=%d", i);

        ck_assert_str_eq(bench_save(bench, session, op), "2/2");
        ck_assert_uint_le(bench_records(bench, 0), HA_FOLD_RECORDS_MIN);
    }
    expect_load("hit n=99 user=ada");
}
END_TEST

START_TEST(a_log_is_folded_when_it_has_become_large)
{
    int i;

    for (i = 0; i < 8; i++) {
        ck_assert_str_eq(bench_save(bench, session, op_of("n", 6000)),
                         "2/2");
        ck_assert_uint_le(item(0).len, HA_FOLD_BYTES + 6000 + 1000);
    }
    ck_assert_uint_lt(bench_records(bench, 0), 8);
}
END_TEST

START_TEST(a_reader_folds_what_writers_left_long)
{
    int i;

    for (i = 0; i < HA_FOLD_RECORDS_MIN; i++) {
        span_t record = bench_record(bench, "n=1");

        store_fake_append(fake, 0, bench->sid.key, record);
        store_fake_append(fake, 1, bench->sid.key, record);
    }
    expect_load("hit n=1 user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1 | cas@0 cas@1");
    expect_load("hit n=1 user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1");
}
END_TEST

/* A rival appends between our read and our cas; ctx is its record. */
static void append_record(void *ctx, store_fake_t *store, unsigned int node,
                          const char *key)
{
    const span_t *record = ctx;

    store_fake_append(store, node, key, *record);
}

START_TEST(a_change_that_overtakes_the_folding_is_kept)
{
    span_t record;

    fill_log();
    record = bench_record(bench, "rival=1");
    store_fake_rival(fake, append_record, &record);
    store_fake_plan(fake, 0, "append:ok cas:raced");
    store_fake_plan(fake, 1, "append:ok cas:raced");
    ck_assert_str_eq(bench_save(bench, session, "n=2"), "2/2");
    expect_load("hit n=2 rival=1 user=ada");
    ck_assert_str_eq(bench_node(bench, 0), "n=2 rival=1 user=ada");
}
END_TEST

START_TEST(losing_every_race_to_fold_loses_nothing)
{
    span_t record;

    fill_log();
    record = bench_record(bench, "rival=1");
    store_fake_rival(fake, append_record, &record);
    store_fake_plan(fake, 0, "append:ok cas:raced cas:raced cas:raced");
    ck_assert_str_eq(bench_save(bench, session, "n=2"), "2/2");
    expect_load("hit n=2 rival=1 user=ada");
}
END_TEST

START_TEST(an_answer_to_folding_that_is_lost_costs_no_copy)
{
    static const char *const plans[] = { "append:ok cas:lost",
                                         "append:ok cas:timeout" };

    fill_log();
    store_fake_plan(fake, 0, plans[_i]);
    ck_assert_str_eq(bench_save(bench, session, "n=2"), "2/2");
    expect_load("hit n=2 user=ada");
}
END_TEST

/* A node that was away still has what was removed: it must not come back. */
START_TEST(what_was_removed_stays_removed_after_folding)
{
    ck_assert_str_eq(bench_save(bench, session, "roles=admin"), "2/2");
    store_fake_put(fake, 2, bench->sid.key, item(0));
    ck_assert_str_eq(bench_save(bench, session, "-roles"), "2/2");
    while (bench_records(bench, 0) > 1) {
        ck_assert_str_eq(bench_save(bench, session, "n=1"), "2/2");
    }
    store_fake_set_up(fake, 0, 0);
    expect_load("hit n=1 user=ada");
    ck_assert_str_eq(bench_node(bench, 2), "n=1 user=ada");
}
END_TEST

/* ---- limits ---- */

START_TEST(an_owner_that_refuses_an_append_is_given_a_folded_log)
{
    store_fake_plan(fake, 0, "append:full cas:ok");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "2/2");
    ck_assert_str_eq(bench_node(bench, 0), "basket=tea user=ada");
    ck_assert_uint_eq(bench_records(bench, 0), 1);
}
END_TEST

START_TEST(an_owner_that_takes_nothing_costs_a_bounded_number_of_calls)
{
    store_fake_plan(fake, 0, "append:full cas:full cas:full cas:full");
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"),
                     "1/2, failed");
    ck_assert_str_eq(store_fake_log(fake),
                     "append@0 append@1 | cas@0 | cas@0 | cas@0");
    ck_assert_str_eq(bench_node(bench, 0), "user=ada");
    expect_load("hit basket=tea user=ada");
}
END_TEST

START_TEST(the_largest_session_that_a_save_accepts_is_stored_and_read)
{
    const char *op = op_of("big", HA_SESSION_MAX - 3);
    int i;

    for (i = 0; i < 10; i++) {
        ck_assert_str_eq(bench_save(bench, session, op), "2/2");
    }
    ck_assert_uint_le(item(0).len, HA_VALUE_MAX);
    expect_load(apr_pstrcat(pool, "hit ", op, " user=ada", NULL));
}
END_TEST

/* Several writers can reach what no single save may: it must not cost what
 * is there. */
START_TEST(a_session_that_would_be_too_large_stays_as_it_was)
{
    ha_session_t *first = ha_session_make(&bench->sid, pool);
    const char *op = op_of("big", HA_VALUE_MAX);

    ck_assert_str_eq(bench_save(bench, session, op), "0/2");
    ck_assert_str_eq(bench_table(bench, session), "user=ada");
    expect_load("hit user=ada");
    ck_assert_str_eq(bench_save(bench, session, op_of("b", HA_VALUE_MAX / 2)),
                     "2/2");
    ck_assert_str_eq(bench_save(bench, session, op_of("c", HA_VALUE_MAX / 2)),
                     "0/2");
    ck_assert_str_eq(bench_save(bench, session, "-b"), "2/2");
    expect_load("hit user=ada");
    store_fake_remove(fake, 0, bench->sid.key);
    store_fake_remove(fake, 1, bench->sid.key);
    ck_assert_str_eq(bench_save(bench, first, op), "0/2");
    expect_load("miss");
}
END_TEST

/* ---- newer code ---- */

static span_t raw(unsigned char version, unsigned char kind, const char *body,
                  apr_size_t len)
{
    static const ha_stamp_t stamp = { 1, 1 };
    unsigned char head[3] = { 0, 0, 0 };

    head[0] = version;
    head[1] = kind;
    return raw_record(&bench->sid, head, stamp, span_of(body, len), pool);
}

static int is_within(span_t part, span_t whole)
{
    apr_size_t at;

    for (at = 0; at + part.len <= whole.len; at++) {
        if (memcmp(whole.data + at, part.data, part.len) == 0) {
            return 1;
        }
    }
    return 0;
}

START_TEST(what_newer_code_wrote_survives_our_folding)
{
    span_t field = span_of("\x63\0\0\0\x05hello", 10);
    span_t known = raw(1, 1, field.data, field.len);
    span_t kind = raw(1, 9, "another kind", 12);

    store_fake_append(fake, 0, bench->sid.key, known);
    store_fake_append(fake, 1, bench->sid.key, kind);
    expect_load("hit user=ada");
    while (bench_records(bench, 0) < HA_FOLD_RECORDS_MIN) {
        ck_assert_str_eq(bench_save(bench, session, "n=1"), "2/2");
    }
    while (bench_records(bench, 0) > 2) {
        ck_assert_str_eq(bench_save(bench, session, "n=2"), "2/2");
    }
    ck_assert(is_within(field, item(0)) && is_within(field, item(1)));
    ck_assert(is_within(kind, item(0)) && is_within(kind, item(1)));
}
END_TEST

START_TEST(records_that_folding_cannot_shorten_are_not_folded_each_time)
{
    int i;

    for (i = 0; i < HA_FOLD_RECORDS_MIN * 2; i++) {
        const char *body = apr_psprintf(pool, "%d", i);
        span_t record = raw(1, 9, body, strlen(body));

        store_fake_append(fake, 0, bench->sid.key, record);
        store_fake_append(fake, 1, bench->sid.key, record);
    }
    expect_load("hit user=ada");
    store_fake_log(fake);
    expect_load("hit user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1");
    ck_assert_str_eq(bench_save(bench, session, "n=1"), "2/2");
    ck_assert_str_eq(store_fake_log(fake), "append@0 append@1");
}
END_TEST

/* What stands behind a record of a later format may be anything: it is not
 * ours to replace. At worst a save of ours is not proved there. */
START_TEST(a_later_format_is_never_written_over)
{
    span_t newer = raw(3, 1, "a later format", 14);
    ha_session_t *again = NULL;

    if (_i == 0) {
        store_fake_append(fake, 0, bench->sid.key, newer);
    }
    else {
        store_fake_put(fake, 0, bench->sid.key, newer);
    }
    ck_assert_str_eq(bench_load(bench, &again), "hit user=ada");
    bench_save(bench, again, "basket=tea");
    ck_assert(is_within(newer, item(0)));
    expect_load("hit basket=tea user=ada");
    ck_assert(is_within(newer, item(0)));
    bench_touch(bench, again);
    ck_assert(is_within(newer, item(0)));
    bench_end(bench, again);
    ck_assert(is_within(newer, item(0)));
    expect_load("ended");
}
END_TEST

START_TEST(a_session_that_only_newer_code_can_read_is_not_missed)
{
    span_t newer = raw(3, 1, "a later format", 14);

    store_fake_put(fake, 0, bench->sid.key, newer);
    store_fake_put(fake, 1, bench->sid.key, newer);
    expect_load("unknown");
    ck_assert(span_is_equal(item(0), newer));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_session_log");
    TCase *tests = tcase_create("ha_session_log");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_log_is_folded_when_it_has_become_long);
    tcase_add_test(tests, a_log_is_folded_when_it_has_become_large);
    tcase_add_test(tests, a_reader_folds_what_writers_left_long);
    tcase_add_test(tests, a_change_that_overtakes_the_folding_is_kept);
    tcase_add_test(tests, losing_every_race_to_fold_loses_nothing);
    tcase_add_loop_test(tests, an_answer_to_folding_that_is_lost_costs_no_copy,
                        0, 2);
    tcase_add_test(tests, what_was_removed_stays_removed_after_folding);
    tcase_add_test(tests,
                   an_owner_that_refuses_an_append_is_given_a_folded_log);
    tcase_add_test(
        tests, an_owner_that_takes_nothing_costs_a_bounded_number_of_calls);
    tcase_add_test(
        tests, the_largest_session_that_a_save_accepts_is_stored_and_read);
    tcase_add_test(tests, a_session_that_would_be_too_large_stays_as_it_was);
    tcase_add_test(tests, what_newer_code_wrote_survives_our_folding);
    tcase_add_test(
        tests, records_that_folding_cannot_shorten_are_not_folded_each_time);
    tcase_add_loop_test(tests, a_later_format_is_never_written_over, 0, 2);
    tcase_add_test(tests,
                   a_session_that_only_newer_code_can_read_is_not_missed);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
