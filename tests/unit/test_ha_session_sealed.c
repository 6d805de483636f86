/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions whose records are sealed, and hosts that have not all secrets. */
#include "ha_session.h"

#include <check.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "session_bench.h"

#define NEW "fedcba9876543210fedcba9876543210\n"
#define OLD "0123456789abcdef0123456789abcdef\n"

/* Which secrets a host has, and what it is asked to do with them. */
typedef struct host_t {
    ha_ring_t ring;
    ha_seal_t seal;
} host_t;

static apr_pool_t *pool;
static bench_t *bench; /* three nodes, two owners; ada, sealed by old */
static store_fake_t *fake;
static ha_session_t *session;
static ha_noticed_t noticed;
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
    apr_initialize();
    apr_pool_create(&pool, NULL);
    make_host(&old_host, OLD);
    make_host(&new_host, NEW OLD);
    make_host(&late_host, NEW);
    memset(&noticed, 0, sizeof(noticed));
    bench = bench_make(3, 2, pool);
    bench->env.seal = &old_host.seal;
    bench->env.noticed = &noticed;
    fake = bench->fake;
    session = bench_create(bench, "user=ada");
}

static void tear_down(void)
{
    store_fake_expect_played(fake);
    apr_pool_destroy(pool);
    apr_terminate();
}

static span_t item(unsigned int node)
{
    return store_fake_item(fake, node, bench->sid.key);
}

/* From now on, this host is at work. */
static void go_on(const host_t *host)
{
    bench->env.seal = &host->seal;
    store_fake_log(fake);
}

static void expect_load(const char *wanted)
{
    ck_assert_str_eq(bench_load(bench, NULL), wanted);
}

START_TEST(a_sealed_session_lives_and_ends_as_any_other)
{
    int i;

    for (i = 0; i < 2 * HA_FOLD_RECORDS_MIN; i++) {
        ck_assert_str_eq(bench_save(bench, session, "n=1 -user"), "2/2");
        ck_assert_str_eq(bench_save(bench, session, "user=eve"), "2/2");
    }
    ck_assert_uint_le(bench_records(bench, 0), HA_FOLD_RECORDS_MIN + 1);
    expect_load("hit n=1 user=eve");
    ck_assert(span_is_equal(item(0), item(1)));
    ck_assert_str_eq(bench_end(bench, session), "2/2");
    expect_load("ended");
    ck_assert_uint_eq(noticed.locked + noticed.clear, 0);
}
END_TEST

START_TEST(a_session_that_no_secret_opens_is_unknown_and_stays)
{
    span_t before = item(0);

    go_on(&late_host);
    expect_load("unknown");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1 | get@2");
    ck_assert_uint_eq(noticed.locked, 2);
    ck_assert(span_is_equal(item(0), before));
    go_on(&old_host);
    expect_load("hit user=ada");
}
END_TEST

/* Among others by an attacker, who has no secret at all. */
START_TEST(a_session_in_clear_is_unknown_where_that_is_not_believed)
{
    bench->env.seal = NULL;
    store_fake_put(fake, 0, bench->sid.key, bench_record(bench, "user=eve"));
    store_fake_put(fake, 1, bench->sid.key, bench_record(bench, "user=eve"));
    go_on(&old_host);
    expect_load("unknown");
    ck_assert_uint_eq(noticed.clear, 2);
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1 | get@2");
}
END_TEST

/* Behind a record that cannot be read may stand anything: the session is not
 * served as it was before that record. */
START_TEST(a_log_that_is_locked_at_its_end_is_not_half_believed)
{
    span_t locked;

    bench->env.seal = &late_host.seal;
    locked = bench_record(bench, "user=eve");
    go_on(&old_host);
    store_fake_append(fake, 0, bench->sid.key, locked);
    store_fake_append(fake, 1, bench->sid.key, locked);
    expect_load("unknown");
    ck_assert_uint_eq(noticed.locked, 2);
}
END_TEST

/* A node that holds nothing would be believed, had not another one something
 * that is not to be read. */
START_TEST(a_locked_copy_is_more_than_a_miss_elsewhere)
{
    store_fake_remove(fake, 1, bench->sid.key);
    go_on(&late_host);
    expect_load("unknown");
    go_on(&old_host);
    expect_load("hit user=ada");
}
END_TEST

/* A copy that cannot be opened is like one that does not answer. */
START_TEST(one_locked_copy_is_stood_in_for_and_never_written_over)
{
    ha_session_t *again = NULL;
    span_t locked;

    bench->env.seal = &late_host.seal;
    locked = bench_record(bench, "user=eve");
    store_fake_put(fake, 0, bench->sid.key, locked);
    go_on(&old_host);
    ck_assert_str_eq(bench_load(bench, &again), "hit user=ada");
    ck_assert_str_eq(bench_node(bench, 2), "user=ada");
    ck_assert(span_is_equal(item(0), locked));
    ck_assert_str_eq(bench_save(bench, again, "n=1"), "2/2, 1 stand-in");
    ck_assert_int_eq(memcmp(item(0).data, locked.data, locked.len), 0);
    ck_assert_str_eq(bench_end(bench, again), "2/2, 1 stand-in");
    ck_assert_int_eq(memcmp(item(0).data, locked.data, locked.len), 0);
    expect_load("ended");
}
END_TEST

START_TEST(a_session_is_sealed_anew_when_that_is_asked_for)
{
    go_on(&new_host);
    expect_load("hit user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1");
    bench->env.is_resealing = 1;
    expect_load("hit user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1 | cas@0 cas@1");
    expect_load("hit user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1");
    go_on(&late_host);
    expect_load("hit user=ada");
}
END_TEST

START_TEST(a_session_in_clear_is_sealed_by_migrate_and_back)
{
    host_t host;

    make_host(&host, OLD);
    host.seal.encryption = HA_ENCRYPTION_OFF;
    go_on(&host);
    bench->env.is_resealing = 1;
    expect_load("hit user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1 | cas@0 cas@1");
    ck_assert_int_eq(item(0).data[1], 1);
    host.seal.encryption = HA_ENCRYPTION_MIGRATE;
    expect_load("hit user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1 | cas@0 cas@1");
    ck_assert_int_eq(item(0).data[1], 2);
    host.seal.encryption = HA_ENCRYPTION_ON;
    expect_load("hit user=ada");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1");
}
END_TEST

/* Two hosts with another first secret must not write an end to and fro. */
START_TEST(an_end_sealed_by_another_secret_is_left_alone)
{
    bench_end(bench, session);
    go_on(&new_host);
    expect_load("ended");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1");
    bench->env.is_resealing = 1;
    expect_load("ended");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1 | cas@0 cas@1");
    go_on(&late_host);
    expect_load("ended");
    ck_assert_str_eq(store_fake_log(fake), "get@0 get@1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_session_sealed");
    TCase *tests = tcase_create("ha_session_sealed");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_sealed_session_lives_and_ends_as_any_other);
    tcase_add_test(tests, a_session_that_no_secret_opens_is_unknown_and_stays);
    tcase_add_test(
        tests, a_session_in_clear_is_unknown_where_that_is_not_believed);
    tcase_add_test(tests,
                   a_log_that_is_locked_at_its_end_is_not_half_believed);
    tcase_add_test(tests, a_locked_copy_is_more_than_a_miss_elsewhere);
    tcase_add_test(tests,
                   one_locked_copy_is_stood_in_for_and_never_written_over);
    tcase_add_test(tests, a_session_is_sealed_anew_when_that_is_asked_for);
    tcase_add_test(tests, a_session_in_clear_is_sealed_by_migrate_and_back);
    tcase_add_test(tests, an_end_sealed_by_another_secret_is_left_alone);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
