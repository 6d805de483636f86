/* SPDX-License-Identifier: Apache-2.0 */
/* What bad values at a session's key get: nobody is worse off than before. */
#include "ha_session.h"

#include <check.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "raw_record.h"
#include "session_bench.h"

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static apr_pool_t *pool;
static bench_t *bench; /* three nodes, two owners */
static store_fake_t *fake;
static span_t first;   /* the log with user=ada alone, one record */
static span_t good;    /* and with basket=tea behind it */

static span_t copy_of(span_t bytes)
{
    return span_of(apr_pmemdup(pool, bytes.data, bytes.len), bytes.len);
}

static void set_up(void)
{
    ha_session_t *session;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    bench = bench_make(3, 2, pool);
    fake = bench->fake;
    session = bench_create(bench, "user=ada");
    first = copy_of(store_fake_item(fake, 0, bench->sid.key));
    ck_assert_str_eq(bench_save(bench, session, "basket=tea"), "2/2");
    good = copy_of(store_fake_item(fake, 0, bench->sid.key));
    store_fake_log(fake);
}

static void tear_down(void)
{
    store_fake_expect_played(fake);
    apr_pool_destroy(pool);
    apr_terminate();
}

static span_t join(span_t a, span_t b)
{
    char *both = apr_palloc(pool, a.len + b.len);

    memcpy(both, a.data, a.len);
    memcpy(both + a.len, b.data, b.len);
    return span_of(both, a.len + b.len);
}

/* A good log with one byte changed. */
static span_t spoil(apr_size_t at, char mask)
{
    char *bad = apr_pmemdup(pool, good.data, good.len);

    bad[at] = (char)(bad[at] ^ mask);
    return span_of(bad, good.len);
}

/* ---- values ---- */

static span_t last_record(void)
{
    return span_of(good.data + first.len, good.len - first.len);
}

static span_t somebody_elses(void)
{
    return span_of_text("a:1:{s:4:\"user\";s:3:\"eve\";}");
}

static span_t another_sessions(void)
{
    static const unsigned char id[HA_SID_BYTES] = { 7 };
    static const unsigned char head[3] = { 1, 1, 0 };
    const ha_stamp_t stamp = { 1, 1 };
    ha_sid_t sid;

    ha_sid_init(&sid, id);
    return raw_record(&sid, head, stamp, span_of("\1\0\0\0\5\0\1uev", 10),
                      pool);
}

static span_t empty(void)
{
    return span_of("", 0);
}

static span_t one_bit_flipped_in_front(void)
{
    return spoil(40, 1);
}

static span_t one_bit_flipped_behind(void)
{
    return spoil(good.len - 1, 1);
}

static span_t format_byte_flipped(void)
{
    return spoil(1, 2);
}

static span_t torn(void)
{
    return span_of(good.data, good.len - 3);
}

static span_t without_its_head(void)
{
    return last_record();
}

static span_t reordered(void)
{
    return join(last_record(), first);
}

static span_t repeated(void)
{
    return join(join(good, last_record()), good);
}

static span_t garbage_in_between(void)
{
    return join(join(first, somebody_elses()), last_record());
}

static const struct {
    const char *name;
    span_t (*value)(void);
    int is_all; /* 1: it still says all that a good one says */
} values[] = {
    { "somebody else's", somebody_elses, 0 },
    { "another session's", another_sessions, 0 },
    { "empty", empty, 0 },
    { "one bit flipped in front", one_bit_flipped_in_front, 0 },
    { "one bit flipped behind", one_bit_flipped_behind, 0 },
    { "format byte flipped", format_byte_flipped, 0 },
    { "torn", torn, 0 },
    { "without its head", without_its_head, 0 },
    { "reordered", reordered, 1 },
    { "repeated", repeated, 1 },
    { "garbage in between", garbage_in_between, 0 },
};

START_TEST(one_bad_copy_loses_nothing_and_heals)
{
    store_fake_put(fake, 0, bench->sid.key, values[_i].value());
    ck_assert_str_eq(bench_load(bench, NULL), "hit basket=tea user=ada");
    ck_assert_str_eq(bench_node(bench, 0), "basket=tea user=ada");
    ck_assert_str_eq(bench_node(bench, 1), "basket=tea user=ada");
    store_fake_remove(fake, 1, bench->sid.key);
    ck_assert_str_eq(bench_load(bench, NULL), "hit basket=tea user=ada");
}
END_TEST

START_TEST(a_save_over_one_bad_copy_is_proved_by_both)
{
    ha_session_t *session = NULL;

    ck_assert_str_eq(bench_load(bench, &session), "hit basket=tea user=ada");
    store_fake_put(fake, 0, bench->sid.key, values[_i].value());
    ck_assert_str_eq(bench_save(bench, session, "n=1"), "2/2");
    ck_assert_str_eq(bench_node(bench, 0), "basket=tea n=1 user=ada");
}
END_TEST

START_TEST(a_logout_over_one_bad_copy_is_final)
{
    ha_session_t *session = NULL;

    ck_assert_str_eq(bench_load(bench, &session), "hit basket=tea user=ada");
    store_fake_put(fake, 0, bench->sid.key, values[_i].value());
    ck_assert_str_eq(bench_end(bench, session), "2/2");
    ck_assert_str_eq(bench_load(bench, NULL), "ended");
    store_fake_remove(fake, 1, bench->sid.key);
    ck_assert_str_eq(bench_load(bench, NULL), "ended");
}
END_TEST

/* With no good copy left, what can be read is believed and the rest is not
 * made up; and nobody gets what belongs to somebody else. */
START_TEST(of_bad_copies_alone_what_is_whole_counts)
{
    span_t value = values[_i].value();
    const char *found;

    store_fake_put(fake, 0, bench->sid.key, value);
    store_fake_put(fake, 1, bench->sid.key, value);
    found = bench_load(bench, NULL);
    ck_assert_ptr_null(strstr(found, "eve"));
    if (values[_i].is_all) {
        ck_assert_str_eq(found, "hit basket=tea user=ada");
    }
    else if (value.len > first.len
             && memcmp(value.data, first.data, first.len) == 0) {
        ck_assert_str_eq(found, "hit user=ada");
    }
    else if (value.data == last_record().data) {
        ck_assert_str_eq(found, "hit basket=tea");
    }
    else {
        ck_assert_str_eq(found, "miss");
    }
}
END_TEST

/* ---- clocks ---- */

static span_t from_the_future(apr_interval_time_t ahead, const char *ops)
{
    apr_time_t now = bench->env.now;
    span_t record;

    bench->env.now += ahead;
    record = bench_record(bench, ops);
    bench->env.now = now;
    return record;
}

static void append(span_t record)
{
    store_fake_append(fake, 0, bench->sid.key, record);
    store_fake_append(fake, 1, bench->sid.key, record);
}

START_TEST(what_is_ahead_of_the_clock_is_read_and_told)
{
    ha_session_t *session = NULL;
    apr_interval_time_t ahead;

    ck_assert_str_eq(bench_load(bench, &session), "hit basket=tea user=ada");
    ck_assert_int_eq(ha_session_ahead(session, bench->env.now), 0);
    append(from_the_future(apr_time_from_sec(600), "user=eve"));
    ck_assert_str_eq(bench_load(bench, &session), "hit basket=tea user=eve");
    ahead = ha_session_ahead(session, bench->env.now);
    ck_assert_int_gt(ahead, apr_time_from_sec(599));
    ck_assert_int_lt(ahead, apr_time_from_sec(601));
}
END_TEST

START_TEST(a_reader_of_the_future_still_wins_over_it)
{
    ha_session_t *session = NULL;

    append(from_the_future(apr_time_from_sec(600), "user=eve"));
    ck_assert_str_eq(bench_load(bench, &session), "hit basket=tea user=eve");
    ck_assert_str_eq(bench_save(bench, session, "user=bob"), "2/2");
    ck_assert_str_eq(bench_save(bench, session, "-basket"), "2/2");
    ck_assert_str_eq(bench_load(bench, &session), "hit user=bob");
    /* It goes on by a microsecond a write, not by the clock's error again. */
    ck_assert_int_lt(ha_session_ahead(session, bench->env.now),
                     apr_time_from_sec(600));
    bench_pass(bench, 601);
    ck_assert_str_eq(bench_load(bench, &session), "hit user=bob");
    ck_assert_int_eq(ha_session_ahead(session, bench->env.now), 0);
}
END_TEST

START_TEST(a_logout_wins_over_the_future)
{
    ha_session_t *session = NULL;
    span_t late = from_the_future(apr_time_from_sec(600), "user=eve");

    ck_assert_str_eq(bench_load(bench, &session), "hit basket=tea user=ada");
    ck_assert_str_eq(bench_end(bench, session), "2/2");
    append(late);
    ck_assert_str_eq(bench_load(bench, NULL), "ended");
}
END_TEST

START_TEST(the_last_time_there_is_ends_nothing)
{
    static const unsigned char head[3] = { 1, 1, 0 };
    ha_stamp_t stamp = { APR_INT64_MAX - 1, 1 };
    ha_session_t *session = NULL;

    append(raw_record(&bench->sid, head, stamp,
                      span_of("\1\0\0\0\7\0\4userx", 12), pool));
    ck_assert_str_eq(bench_load(bench, &session), "hit basket=tea user=x");
    ck_assert_str_eq(bench_save(bench, session, "n=1"), "2/2");
    ck_assert_str_eq(bench_load(bench, NULL), "hit basket=tea n=1 user=x");
}
END_TEST

START_TEST(a_time_that_nothing_can_follow_is_no_stamp)
{
    static const unsigned char head[3] = { 1, 1, 0 };
    char field[] = "\3\0\0\0\x14\x7f\xff\xff\xff\xff\xff\xff\xff"
                   "\0\0\0\0\0\0\0\1\0\1ab";
    span_t body = span_of(field, sizeof(field) - 1);
    ha_stamp_t stamp = { APR_INT64_MAX, 1 };

    append(raw_record(&bench->sid, head, stamp, span_of("", 0), pool));
    ck_assert_str_eq(bench_node(bench, 0), "damaged");
    ck_assert_str_eq(bench_load(bench, NULL), "hit basket=tea user=ada");
    store_fake_put(fake, 0, bench->sid.key, good);
    store_fake_put(fake, 1, bench->sid.key, good);
    stamp.time = 1;
    append(raw_record(&bench->sid, head, stamp, body, pool));
    ck_assert_str_eq(bench_node(bench, 0), "damaged");
    store_fake_put(fake, 0, bench->sid.key, good);
    store_fake_put(fake, 1, bench->sid.key, good);
    field[12] = '\xfe';
    append(raw_record(&bench->sid, head, stamp, body, pool));
    ck_assert_str_eq(bench_load(bench, NULL), "hit a=b basket=tea user=ada");
}
END_TEST

/* A host that is fast issued the cookie; since then, by real time, the nodes
 * were restarted: they are no witnesses for it. */
START_TEST(a_cookie_from_the_future_makes_no_witness)
{
    bench->env.issued = bench->env.now + apr_time_from_sec(600);
    store_fake_restart(fake, 0);
    store_fake_restart(fake, 1);
    store_fake_set_up(fake, 2, 0);
    bench_pass(bench, 60);
    ck_assert_str_eq(bench_load(bench, NULL), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_session_bad");
    TCase *tests = tcase_create("ha_session_bad");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, one_bad_copy_loses_nothing_and_heals, 0,
                        LENGTH_OF(values));
    tcase_add_loop_test(tests, a_save_over_one_bad_copy_is_proved_by_both, 0,
                        LENGTH_OF(values));
    tcase_add_loop_test(tests, a_logout_over_one_bad_copy_is_final, 0,
                        LENGTH_OF(values));
    tcase_add_loop_test(tests, of_bad_copies_alone_what_is_whole_counts, 0,
                        LENGTH_OF(values));
    tcase_add_test(tests, what_is_ahead_of_the_clock_is_read_and_told);
    tcase_add_test(tests, a_reader_of_the_future_still_wins_over_it);
    tcase_add_test(tests, a_logout_wins_over_the_future);
    tcase_add_test(tests, the_last_time_there_is_ends_nothing);
    tcase_add_test(tests, a_time_that_nothing_can_follow_is_no_stamp);
    tcase_add_test(tests, a_cookie_from_the_future_makes_no_witness);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
