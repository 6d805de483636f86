/* SPDX-License-Identifier: Apache-2.0 */
/* What is done after the first answers: how many copies are enough. */
#include "ha_crew.h"

#include <check.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ha_forward.h"
#include "session_bench.h"

static apr_pool_t *pool;
static bench_t *bench; /* three nodes, two owners */
static store_fake_t *fake;

static void use_bench(unsigned int nodes, unsigned int replicas)
{
    bench = bench_make(nodes, replicas, pool);
    fake = bench->fake;
}

static void set_up(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    use_bench(3, 2);
}

static void tear_down(void)
{
    store_fake_expect_played(fake);
    apr_pool_destroy(pool);
    apr_terminate();
}

static void expect_nodes(const char *node0, const char *node1,
                         const char *node2)
{
    ck_assert_str_eq(bench_node(bench, 0), node0);
    ck_assert_str_eq(bench_node(bench, 1), node1);
    ck_assert_str_eq(bench_node(bench, 2), node2);
}

static void expect_load(const char *wanted)
{
    ck_assert_str_eq(bench_load(bench, NULL), wanted);
}

static ha_session_t *loaded(void)
{
    ha_session_t *session = NULL;

    ck_assert_int_eq(strncmp(bench_load(bench, &session), "hit", 3), 0);
    store_fake_log(fake);
    return session;
}

/* A save whose result is looked at in full. */
static ha_saved_t save(ha_session_t *session, unsigned int acks)
{
    ha_op_t op = { { "basket", 6 }, { "tea", 3 }, 0 };
    ha_saved_t saved;

    bench->env.acks = acks;
    bench->env.now += 1000;
    bench->env.writer += 1;
    ha_session_save(session, &saved, &bench->env, &op, 1);
    return saved;
}

START_TEST(what_is_enough_costs_no_further_round)
{
    ha_session_t *session;
    ha_saved_t saved;

    use_bench(4, 3);
    session = bench_create(bench, "user=ada");
    store_fake_plan(fake, 1, "append:timeout");
    saved = save(session, 2);
    ck_assert_str_eq(store_fake_log(fake), "append@0 append@1 append@2");
    ck_assert_uint_eq(saved.copies, 2);
    ck_assert_uint_eq(saved.acks, 2);
    ck_assert_uint_eq(saved.wanted, 3);
    ck_assert_uint_eq(saved.missed, 1 << 1);
    /* The next reader repairs what was left. */
    store_fake_remove(fake, 1, bench->sid.key);
    expect_load("hit basket=tea user=ada");
    ck_assert_str_eq(bench_node(bench, 1), "basket=tea user=ada");
}
END_TEST

START_TEST(what_is_not_enough_takes_a_stand_in)
{
    ha_session_t *session;
    ha_saved_t saved;

    use_bench(4, 3);
    session = bench_create(bench, "user=ada");
    store_fake_plan(fake, 0, "append:timeout");
    store_fake_plan(fake, 1, "append:timeout");
    saved = save(session, 2);
    ck_assert_str_eq(store_fake_log(fake),
                     "append@0 append@1 append@2 | add@3");
    ck_assert_uint_eq(saved.copies, 2);
    ck_assert_uint_eq(saved.owners, 1);
    ck_assert_uint_eq(saved.missed, 1 << 0 | 1 << 1);
}
END_TEST

START_TEST(a_number_is_needed_whoever_is_away)
{
    ha_session_t *session;
    ha_saved_t saved;

    use_bench(2, 2);
    session = bench_create(bench, "user=ada");
    store_fake_set_up(fake, 0, 0);
    saved = save(session, 2);
    ck_assert_uint_eq(saved.copies, 1);
    ck_assert_uint_eq(saved.acks, 2);
    ck_assert_uint_eq(saved.missed, 1 << 0);
    saved = save(session, 0);
    ck_assert_uint_eq(saved.acks, 1);
    store_fake_set_up(fake, 1, 0);
    saved = save(session, 0);
    ck_assert_uint_eq(saved.copies, 0);
    ck_assert_uint_eq(saved.acks, 1);
    ck_assert_uint_eq(saved.missed, 1 << 0 | 1 << 1);
}
END_TEST

START_TEST(a_long_log_is_folded_though_enough_have_it)
{
    ha_session_t *session;
    int i;

    use_bench(3, 3);
    session = bench_create(bench, "user=ada");
    for (i = 0; i < HA_FOLD_RECORDS_MIN * 2; i++) {
        ck_assert_uint_eq(save(session, 1).copies, 3);
    }
    ck_assert_uint_le(bench_records(bench, 0), HA_FOLD_RECORDS_MIN + 1);
    store_fake_log(fake);
}
END_TEST

#define WRITES 200

/* Bytes of memcached's protocol that a store would have sent for writes. */
static const ha_store_ops_t *plain;
static apr_size_t sent;

static void count_sent(ha_store_t *store, const char *key, ha_call_t *calls,
                       unsigned int count, apr_uint32_t ttl_sec,
                       apr_time_t deadline, apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (calls[i].verb != HA_GET) {
            sent += strlen("append  0 1800 150 noreply\r\n\r\ngets \r\n")
                    + 2 * strlen(key) + calls[i].data.len;
        }
    }
    plain->run(store, key, calls, count, ttl_sec, deadline, p);
}

/* Bytes that a change of 100 bytes sends, on average, to a session with so
 * many attributes of 200 bytes, by requests that load it first. */
static apr_size_t cost_of_change(int attributes)
{
    char value[201] = { 0 };
    ha_op_t op = { { "n", 1 }, { value, 100 }, 0 };
    const char *many = "n=0";
    ha_store_ops_t counting;
    int i;

    use_bench(1, 1);
    memset(value, 'x', 200);
    for (i = 0; i < attributes; i++) {
        many = apr_psprintf(pool, "%s a%d=%s", many, i, value);
    }
    bench_create(bench, many);
    plain = bench->env.store->ops;
    counting = *plain;
    counting.run = count_sent;
    bench->env.store->ops = &counting;
    sent = 0;
    for (i = 0; i < WRITES; i++) {
        ha_session_t *session = loaded();
        ha_saved_t saved;

        value[i % 100] ^= 1;
        bench->env.now += 1000;
        bench->env.writer += 1;
        ha_session_save(session, &saved, &bench->env, &op, 1);
        ck_assert_uint_eq(saved.copies, 1);
        ck_assert_uint_le(bench_records(bench, 0), HA_FOLD_RECORDS_MAX + 1);
    }
    bench->env.store->ops = plain;
    store_fake_log(fake);
    return sent / WRITES;
}

START_TEST(a_small_change_of_a_large_session_sends_a_tenth_of_it)
{
    ck_assert_uint_le(cost_of_change(20), 4096 / 10);
    ck_assert_uint_le(cost_of_change(60), 12288 / 10);
}
END_TEST

START_TEST(an_end_goes_to_all_though_few_are_enough)
{
    ha_session_t *session;

    use_bench(3, 3);
    session = bench_create(bench, "user=ada");
    bench->env.acks = 1;
    store_fake_plan(fake, 0, "append:full");
    ck_assert_str_eq(bench_end(bench, session), "3/3");
    expect_nodes("ended", "ended", "ended");
}
END_TEST

START_TEST(a_new_session_that_was_logged_out_stays_out_though_one_is_enough)
{
    ha_session_t *session;
    ha_saved_t saved;

    use_bench(3, 2);
    session = bench_create(bench, "user=ada");
    bench_end(bench, loaded());
    store_fake_remove(fake, 0, bench->sid.key);
    saved = save(session, 1);
    ck_assert_int_eq(saved.refused, 1);
    expect_load("ended");
    ck_assert_str_eq(bench_node(bench, 0), "ended");
}
END_TEST

/* What two writers send, and only one of the owners has so far. */
typedef struct late_t {
    span_t repaired; /* is just being brought to it */
    span_t newer;    /* nobody else has */
} late_t;

static void append_both(void *ctx, store_fake_t *store, unsigned int node,
                        const char *key)
{
    const late_t *late = ctx;

    store_fake_append(store, node, key, late->repaired);
    store_fake_append(store, node, key, late->newer);
}

/* Whom we show what one owner alone holds, the next reader may show less. */
START_TEST(what_comes_while_others_are_repaired_is_for_the_next_reader)
{
    ha_session_t *session = NULL;
    late_t late;

    bench_create(bench, "user=ada");
    late.repaired = bench_record(bench, "basket=tea");
    late.newer = bench_record(bench, "basket=tea+milk");
    store_fake_append(fake, 0, bench->sid.key, late.repaired);
    store_fake_rival(fake, append_both, &late);
    store_fake_plan(fake, 1, "get:ok cas:raced");
    ck_assert_str_eq(bench_load(bench, &session), "hit basket=tea user=ada");
    ck_assert_uint_eq(ha_session_copies(session), 2);
    expect_nodes("basket=tea user=ada", "basket=tea+milk user=ada",
                 "nothing");
    expect_load("hit basket=tea+milk user=ada");
}
END_TEST

static span_t end_record(void)
{
    ha_image_t *end = ha_image_make(pool);

    ha_image_end(end);
    ha_image_keep(end, end->fields, ha_forward_logout());
    return ha_delta_encode_image(&bench->sid, end, bench->env.seal, pool);
}

START_TEST(an_end_that_comes_while_others_are_repaired_is_believed)
{
    late_t late;

    bench_create(bench, "user=ada");
    late.repaired = bench_record(bench, "basket=tea");
    late.newer = end_record();
    store_fake_append(fake, 0, bench->sid.key, late.repaired);
    store_fake_rival(fake, append_both, &late);
    store_fake_plan(fake, 1, "get:ok cas:raced");
    expect_load("ended");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_settle");
    TCase *tests = tcase_create("ha_settle");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_enough_costs_no_further_round);
    tcase_add_test(tests, what_is_not_enough_takes_a_stand_in);
    tcase_add_test(tests, a_number_is_needed_whoever_is_away);
    tcase_add_test(tests, a_long_log_is_folded_though_enough_have_it);
    tcase_add_test(tests,
                   a_small_change_of_a_large_session_sends_a_tenth_of_it);
    tcase_add_test(tests, an_end_goes_to_all_though_few_are_enough);
    tcase_add_test(
        tests,
        a_new_session_that_was_logged_out_stays_out_though_one_is_enough);
    tcase_add_test(
        tests, what_comes_while_others_are_repaired_is_for_the_next_reader);
    tcase_add_test(tests,
                   an_end_that_comes_while_others_are_repaired_is_believed);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
