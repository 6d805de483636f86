/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ha_limits.h"
#include "mc_site.h"

/* ---- verbs -------------------------------------------------------------- */

START_TEST(what_was_never_added_is_missed)
{
    mc_open_servers(1);
    mc_assert_missed(mc_get("k"));
    mc_assert_missed(mc_call(HA_APPEND, "k", "x", 0));
    mc_assert_missed(mc_call(HA_CAS, "k", "x", 1));
    mc_assert_missed(mc_call(HA_CAS, "k", "x", 0));
    mc_assert_missed(mc_call(HA_TOUCH, "k", "", 0));
    mc_assert_missed(mc_call(HA_REMOVE, "k", "", 0));
    mc_assert_missed(mc_get("k"));
}
END_TEST

START_TEST(every_verb_does_to_the_item_what_it_says)
{
    ha_call_t one;
    apr_uint64_t version;

    mc_open_servers(1);
    mc_assert_holds(mc_call(HA_ADD, "k", "one", 0), "one");
    mc_assert_holds(mc_call(HA_ADD, "k", "two", 0), "one");
    version = mc_get("k").version;
    one = mc_call(HA_APPEND, "k", "-two", 0);
    mc_assert_holds(one, "one-two");
    ck_assert_uint_ne(one.version, version);
    mc_assert_holds(mc_call(HA_CAS, "k", "lost", version), "one-two");
    mc_assert_holds(mc_call(HA_CAS, "k", "lost", 0), "one-two");
    mc_assert_holds(mc_call(HA_CAS, "k", "three", one.version), "three");
    one = mc_call(HA_TOUCH, "k", "", 0);
    ck_assert_int_eq(one.answer, HA_HIT);
    ck_assert_uint_eq(one.held.len, 0);
    mc_assert_holds(mc_get("k"), "three");
    mc_assert_missed(mc_call(HA_REMOVE, "k", "", 0));
    mc_assert_missed(mc_get("k"));
    mc_assert_holds(mc_call(HA_ADD, "k", "", 0), "");
    mc_assert_holds(mc_call(HA_TOUCH, "k", "", 0), "");
}
END_TEST

START_TEST(any_bytes_come_back)
{
    static const char bytes[] = "\0\r\nEND\r\nVALUE k 0 1 1\r\n\xff\x80 get k";
    span_t data = span_of(bytes, sizeof(bytes));
    ha_call_t one;

    mc_open_servers(1);
    one = mc_call_node(0, HA_ADD, "k", data, 0, MC_LONG_USEC);
    ck_assert(span_is_equal(one.held, data));
    one = mc_call_node(0, HA_APPEND, "k", data, 0, MC_LONG_USEC);
    ck_assert_uint_eq(one.held.len, 2 * data.len);
    ck_assert_mem_eq(one.held.data + data.len, bytes, data.len);
}
END_TEST

static const apr_size_t sizes[] = { 0, 1, 1000, 8191, 8192, 8193, 32767,
                                    32768, 65536, 200000, HA_VALUE_MAX };

START_TEST(a_value_of_any_size_comes_back)
{
    char *bytes = apr_palloc(mc_pool, HA_VALUE_MAX);
    span_t data = span_of(bytes, sizes[_i]);
    ha_call_t one;
    apr_size_t i;

    for (i = 0; i < HA_VALUE_MAX; i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    mc_open_servers(1);
    ck_assert(span_is_equal(mc_call_node(0, HA_ADD, "k", data, 0,
                                      MC_LONG_USEC).held, data));
    one = mc_call_node(0, HA_GET, "k", span_of(NULL, 0), 0, MC_LONG_USEC);
    ck_assert(span_is_equal(one.held, data));
    one = mc_call_node(0, HA_CAS, "k", data, one.version, MC_LONG_USEC);
    ck_assert(span_is_equal(one.held, data));
    ck_assert_int_eq(mc_call(HA_TOUCH, "k", "", 0).answer, HA_HIT);
}
END_TEST

START_TEST(what_a_node_refuses_as_too_large_is_a_miss)
{
    const apr_size_t limit = 1024 * 1024; /* memcached's own */
    char *bytes = apr_pcalloc(mc_pool, limit);
    ha_call_t one;

    mc_open_servers(1);
    one = mc_call_node(0, HA_ADD, "k", span_of(bytes, limit), 0, MC_LONG_USEC);
    mc_assert_missed(one);
    mc_assert_holds(mc_call(HA_ADD, "k", "small", 0), "small");
    one = mc_call_node(0, HA_APPEND, "k", span_of(bytes, limit - 30), 0,
                    MC_LONG_USEC);
    mc_assert_holds(one, "small");
    one = mc_call_node(0, HA_CAS, "k", span_of(bytes, limit), one.version,
                    MC_LONG_USEC);
    mc_assert_holds(one, "small");
    mc_assert_holds(mc_get("k"), "small");
}
END_TEST

static void wait_until_missed(const char *key)
{
    apr_time_t deadline = apr_time_now() + MC_PATIENCE_USEC;

    while (mc_get(key).answer == HA_HIT) {
        ck_assert(apr_time_now() < deadline);
        apr_sleep(20000);
    }
}

static void run_ttl(ha_verb_e verb, const char *key, apr_uint32_t ttl)
{
    ha_call_t one;

    memset(&one, 0, sizeof(one));
    one.verb = verb;
    one.data = span_of_text("x");
    mc_store->ops->run(mc_store, key, &one, 1, ttl,
                       apr_time_now() + MC_LONG_USEC, mc_pool);
    ck_assert_int_eq(one.answer, HA_HIT);
}

START_TEST(a_touch_renews_the_time_to_live_and_an_append_does_not)
{
    mc_open_servers(1);
    run_ttl(HA_ADD, "touched", 1);
    run_ttl(HA_TOUCH, "touched", MC_TTL);
    run_ttl(HA_ADD, "grown", 1);
    run_ttl(HA_APPEND, "grown", MC_TTL);
    run_ttl(HA_ADD, "shortened", MC_TTL);
    run_ttl(HA_TOUCH, "shortened", 1);
    wait_until_missed("grown");
    wait_until_missed("shortened");
    mc_assert_holds(mc_get("touched"), "x");
}
END_TEST

START_TEST(a_time_to_live_beyond_30_days_is_not_over)
{
    mc_open_servers(1);
    run_ttl(HA_ADD, "k30", 30 * 24 * 3600);
    run_ttl(HA_ADD, "k31", 30 * 24 * 3600 + 1);
    run_ttl(HA_ADD, "k365", 365 * 24 * 3600);
    run_ttl(HA_TOUCH, "k30", 31 * 24 * 3600);
    mc_assert_holds(mc_get("k30"), "x");
    mc_assert_holds(mc_get("k31"), "x");
    mc_assert_holds(mc_get("k365"), "x");
}
END_TEST

/* Seconds that lead beyond any date memcached knows: it counts in 32 bits. */
static const apr_uint32_t long_ttls[] = { 1000000000u, 2147483647u,
                                          2147483648u, 4294967295u };

START_TEST(a_time_to_live_beyond_2038_is_not_over)
{
    mc_open_servers(1);
    run_ttl(HA_ADD, "k", long_ttls[_i]);
    run_ttl(HA_ADD, "touched", MC_TTL);
    run_ttl(HA_TOUCH, "touched", long_ttls[_i]);
    mc_assert_holds(mc_get("k"), "x");
    mc_assert_holds(mc_get("touched"), "x");
}
END_TEST

START_TEST(a_bad_key_is_unknown_and_no_fault_of_the_node)
{
    char key[252];
    int i;

    mc_open_servers(1);
    memset(key, 'k', sizeof(key));
    key[250] = '\0';
    mc_assert_holds(mc_call(HA_ADD, key, "long", 0), "long");
    key[250] = 'k';
    key[251] = '\0';
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(mc_call_node(0, HA_ADD, key, span_of_text("x"), 0,
                                   MC_LONG_USEC).answer, HA_UNKNOWN);
        ck_assert_int_eq(mc_call_node(0, HA_GET, "a b", span_of(NULL, 0), 0,
                                   MC_LONG_USEC).rv, APR_EINVAL);
    }
    ck_assert_int_eq(mc_call_node(7, HA_GET, "k", span_of(NULL, 0), 0,
                               MC_LONG_USEC).rv, APR_EINVAL);
    ck_assert_int_eq(mc_store->ops->is_up(mc_store, 0), 1);
    mc_assert_missed(mc_get("k"));
}
END_TEST

START_TEST(a_node_that_was_not_read_for_want_of_time_is_whole)
{
    ha_call_t one;
    apr_time_t since;

    mc_open_servers(1);
    mc_assert_missed(mc_get("k"));
    mc_wait_until_whole(0);
    since = mc_store->ops->whole_since(mc_store, 0);
    one = mc_call_node(0, HA_GET, "k", span_of(NULL, 0), 0, -1);
    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_eq(mc_store->ops->whole_since(mc_store, 0), since);
    one = mc_call_node(0, HA_TOUCH, "k", span_of(NULL, 0), 0, -1);
    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_eq(mc_store->ops->whole_since(mc_store, 0), 0);
}
END_TEST

START_TEST(a_node_that_was_not_repaired_for_want_of_time_is_whole)
{
    ha_call_t one;
    apr_time_t since;

    mc_open_servers(1);
    mc_assert_missed(mc_get("k"));
    mc_wait_until_whole(0);
    since = mc_store->ops->whole_since(mc_store, 0);
    memset(&one, 0, sizeof(one));
    one.verb = HA_ADD;
    one.data = span_of_text("x");
    one.is_repair = 1;
    mc_store->ops->run(mc_store, "k", &one, 1, MC_TTL, apr_time_now() - 1,
                       mc_pool);
    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_eq(mc_store->ops->whole_since(mc_store, 0), since);
}
END_TEST

START_TEST(a_node_is_reached_by_name_and_by_socket)
{
    const char *path = apr_psprintf(mc_pool, "%s/mc.%ld", P_tmpdir,
                                    (long)getpid());
    ha_call_t one;

    io_memcached_start(&mc_servers[0], NULL, NULL);
    io_memcached_start_unix(&mc_servers[1], path);
    mc_name_node(0, apr_psprintf(mc_pool, "localhost:%u",
                              (unsigned int)mc_servers[0].port));
    mc_name_node(1, apr_psprintf(mc_pool, "unix:%s", path));
    mc_open_store(2);
    mc_assert_holds(mc_call(HA_ADD, "k", "name", 0), "name");
    one = mc_call_node(1, HA_ADD, "k", span_of_text("socket"), 0, MC_LONG_USEC);
    mc_assert_holds(one, "socket");
    mc_wait_until_whole(0);
    mc_wait_until_whole(1);
}
END_TEST

START_TEST(each_node_of_a_batch_gets_its_own_verb)
{
    static const ha_verb_e verbs[MC_NODES] = { HA_TOUCH, HA_APPEND, HA_ADD,
                                            HA_REMOVE };
    ha_call_t calls[MC_NODES];
    unsigned int i;

    mc_open_servers(MC_NODES);
    for (i = 0; i < MC_NODES; i++) {
        if (i != 2) {
            (void)mc_call_node(i, HA_ADD, "k", span_of_text("old"), 0,
                            MC_LONG_USEC);
        }
    }
    memset(calls, 0, sizeof(calls));
    for (i = 0; i < MC_NODES; i++) {
        /* not in the order of nodes, and one that does not exist */
        calls[i].node = MC_NODES - 1 - i;
        calls[i].verb = verbs[MC_NODES - 1 - i];
        calls[i].data = span_of_text("new");
    }
    mc_store->ops->run(mc_store, "k", calls, MC_NODES, MC_TTL,
                       apr_time_now() + MC_LONG_USEC, mc_pool);
    mc_assert_missed(calls[0]);
    mc_assert_holds(calls[1], "new");
    mc_assert_holds(calls[2], "oldnew");
    ck_assert_int_eq(calls[3].answer, HA_HIT);
    ck_assert_uint_eq(calls[3].held.len, 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_store_mc");
    TCase *tcase = tcase_create("store");

    tcase_add_checked_fixture(tcase, mc_set_up, mc_tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, what_was_never_added_is_missed);
    tcase_add_test(tcase, every_verb_does_to_the_item_what_it_says);
    tcase_add_test(tcase, any_bytes_come_back);
    tcase_add_loop_test(tcase, a_value_of_any_size_comes_back, 0,
                        (int)(sizeof(sizes) / sizeof(sizes[0])));
    tcase_add_test(tcase, what_a_node_refuses_as_too_large_is_a_miss);
    tcase_add_test(tcase,
                   a_touch_renews_the_time_to_live_and_an_append_does_not);
    tcase_add_test(tcase, a_time_to_live_beyond_30_days_is_not_over);
    tcase_add_loop_test(tcase, a_time_to_live_beyond_2038_is_not_over, 0,
                        (int)(sizeof(long_ttls) / sizeof(long_ttls[0])));
    tcase_add_test(tcase, a_bad_key_is_unknown_and_no_fault_of_the_node);
    tcase_add_test(tcase, a_node_that_was_not_read_for_want_of_time_is_whole);
    tcase_add_test(tcase,
                   a_node_that_was_not_repaired_for_want_of_time_is_whole);
    tcase_add_test(tcase, a_node_is_reached_by_name_and_by_socket);
    tcase_add_test(tcase, each_node_of_a_batch_gets_its_own_verb);
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
