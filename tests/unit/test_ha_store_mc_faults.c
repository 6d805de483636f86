/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/wait.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "mc_site.h"

/* ---- nodes that fail ---------------------------------------------------- */

START_TEST(a_hung_node_costs_a_budget_three_times_and_then_nothing)
{
    apr_time_t begin;
    int i;

    mc_open_servers(2);
    mc_assert_holds(mc_call(HA_ADD, "k", "kept", 0), "kept");
    io_memcached_freeze(&mc_servers[0]);
    for (i = 0;
         i < HA_HEALTH_FAILURES && mc_store->ops->is_up(mc_store, 0); i++) {
        ck_assert_int_eq(mc_call_in_vain(0).rv, APR_TIMEUP);
    }
    ck_assert_int_eq(mc_store->ops->is_up(mc_store, 0), 0);
    ck_assert_int_eq(mc_store->ops->whole_since(mc_store, 0), 0);
    ck_assert_uint_eq(mc_times_told(HA_EVENT_DOWN), 1);

    begin = apr_time_now();
    for (i = 0; i < 1000; i++) {
        ck_assert_int_ne(mc_call_in_vain(0).rv, APR_TIMEUP);
    }
    ck_assert(apr_time_now() - begin < 1000 * MC_SHORT_USEC / 10);
    ck_assert_int_eq(mc_call_node(1, HA_GET, "k", span_of(NULL, 0), 0,
                               MC_LONG_USEC).answer, HA_MISS);

    io_memcached_thaw(&mc_servers[0]);
    mc_wait_until_told(HA_EVENT_UP, 1);
    mc_assert_holds(mc_get("k"), "kept");
    ck_assert_uint_eq(mc_times_told(HA_EVENT_RESTARTED), 0);
    ck_assert_uint_eq(mc_times_told(HA_EVENT_DOWN), 1);
}
END_TEST

START_TEST(hung_nodes_together_cost_one_budget_and_a_good_one_answers)
{
    ha_call_t calls[MC_NODES];
    apr_time_t begin;
    unsigned int i;

    mc_open_servers(MC_NODES);
    for (i = 0; i < MC_NODES; i++) {
        (void)mc_call_node(i, HA_ADD, "k", span_of_text("x"), 0, MC_LONG_USEC);
    }
    for (i = 0; i < MC_NODES - 1; i++) {
        io_memcached_freeze(&mc_servers[i]);
    }
    memset(calls, 0, sizeof(calls));
    for (i = 0; i < MC_NODES; i++) {
        calls[i].node = i;
    }
    begin = apr_time_now();
    mc_store->ops->run(mc_store, "k", calls, MC_NODES, MC_TTL,
                       begin + APR_USEC_PER_SEC, mc_pool);
    /* two budgets would be more */
    ck_assert(apr_time_now() - begin < 2 * APR_USEC_PER_SEC);
    for (i = 0; i < MC_NODES - 1; i++) {
        ck_assert_int_eq(calls[i].answer, HA_UNKNOWN);
        io_memcached_thaw(&mc_servers[i]);
    }
    mc_assert_holds(calls[MC_NODES - 1], "x");
}
END_TEST

START_TEST(black_holes_leave_time_for_a_good_node)
{
    ha_call_t calls[3];
    apr_time_t begin;
    unsigned int i;

    io_memcached_start(&mc_servers[0], NULL, NULL);
    mc_name_port(0, io_black_hole());
    mc_name_port(1, io_black_hole());
    mc_name_port(2, mc_servers[0].port);
    mc_open_store(3);
    memset(calls, 0, sizeof(calls));
    for (i = 0; i < 3; i++) {
        calls[i].node = i;
        calls[i].verb = HA_ADD;
        calls[i].data = span_of_text("x");
    }
    begin = apr_time_now();
    mc_store->ops->run(mc_store, "k", calls, 3, MC_TTL,
                       begin + APR_USEC_PER_SEC, mc_pool);
    ck_assert(apr_time_now() - begin < 2 * APR_USEC_PER_SEC);
    ck_assert_int_eq(calls[0].rv, APR_TIMEUP);
    ck_assert_int_eq(calls[1].rv, APR_TIMEUP);
    mc_assert_holds(calls[2], "x");
}
END_TEST

START_TEST(a_node_that_was_killed_and_comes_back_empty_has_restarted)
{
    apr_time_t killed;

    mc_open_servers(1);
    mc_assert_holds(mc_call(HA_ADD, "k", "x", 0), "x");
    mc_wait_until_whole(0);
    killed = apr_time_now();
    io_memcached_kill(&mc_servers[0]);
    mc_wait_until_down(0);
    ck_assert_uint_eq(mc_times_told(HA_EVENT_DOWN), 1);
    ck_assert_int_eq(mc_last_event().failures, HA_HEALTH_FAILURES);
    ck_assert(span_is_equal(mc_last_event().node, span_of_text("n0")));

    io_memcached_restart(&mc_servers[0]);
    mc_wait_until_told(HA_EVENT_RESTARTED, 1);
    ck_assert_int_eq(mc_store->ops->is_up(mc_store, 0), 1);
    mc_assert_missed(mc_get("k"));
    mc_wait_until_whole(0);
    ck_assert(mc_store->ops->whole_since(mc_store, 0) > killed);
    ck_assert_uint_eq(mc_times_told(HA_EVENT_UP), 0);
}
END_TEST

/* Fill the stack of idle connections. */
#define THREADS 16

static void *call_often(void *arg)
{
    unsigned int seed = (unsigned int)(apr_uintptr_t)arg;
    apr_pool_t *p;
    int i;

    if (apr_pool_create_unmanaged(&p) != APR_SUCCESS) {
        abort();
    }
    for (i = 0; i < 100; i++) {
        ha_call_t calls[MC_NODES];
        char key[32];
        unsigned int n;

        memset(calls, 0, sizeof(calls));
        for (n = 0; n < mc_store->count; n++) {
            calls[n].node = n;
            calls[n].verb = i % 10 == 0 ? HA_ADD
                            : i % 10 == 9 ? HA_TOUCH
                                          : HA_APPEND;
            calls[n].data = span_of("0123456789", 10);
        }
        (void)snprintf(key, sizeof(key), "t%u-%d", seed, i / 10);
        mc_store->ops->run(mc_store, key, calls, mc_store->count, MC_TTL,
                           apr_time_now() + MC_LONG_USEC, p);
        for (n = 0; n < mc_store->count; n++) {
            if (calls[n].answer != HA_HIT
                || (i % 10 < 9
                    && calls[n].held.len != 10 * ((apr_size_t)i % 10 + 1))) {
                abort();
            }
        }
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

static void call_from_threads(void)
{
    pthread_t threads[THREADS];
    apr_uintptr_t i;

    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often,
                                        (void *)i), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}

START_TEST(many_threads_and_nodes_get_what_is_theirs)
{
    mc_open_servers(MC_NODES);
    call_from_threads();
    ck_assert_uint_eq(mc_times_told(HA_EVENT_DOWN), 0);
    ck_assert_uint_eq(mc_times_told(HA_EVENT_GARBAGE), 0);
}
END_TEST

static void open_by_path(void)
{
    const char *path = apr_psprintf(mc_pool, "%s/mcf.%ld", P_tmpdir,
                                    (long)getpid());

    io_memcached_start_unix(&mc_servers[0], path);
    mc_name_node(0, apr_psprintf(mc_pool, "unix:%s", path));
    mc_open_store(1);
}

/* Nobody can know before that the connection will die under the call. */
START_TEST(a_connection_that_dies_under_a_call_costs_no_call)
{
    io_fake_t *fake = io_fake_start(IO_FAKE_ONCE, "END\r\n", 5);
    int i;

    mc_name_port(0, io_fake_port(fake));
    mc_open_store(1);
    for (i = 0; i < 10; i++) {
        mc_assert_missed(mc_call(HA_APPEND, "k", "x", 0));
    }
    ck_assert_uint_ge(io_fake_accepted(fake), 10);
    ck_assert_uint_eq(mc_times_told(HA_EVENT_DOWN), 0);
    apr_pool_destroy(mc_pchild);
    mc_pchild = NULL;
    io_fake_stop(fake);
}
END_TEST

START_TEST(a_restart_between_two_calls_costs_no_call)
{
    int round;

    if (_i == 0) {
        mc_open_servers(1);
    }
    else {
        open_by_path();
    }
    call_from_threads();
    for (round = 0; round < 5; round++) {
        (void)mc_call(HA_ADD, "k", "x", 0);
        mc_wait_until_whole(0);
        io_memcached_kill(&mc_servers[0]);
        io_memcached_restart(&mc_servers[0]);
        /* no witness: it may have forgotten */
        mc_assert_missed(mc_call(HA_APPEND, "k", "y", 0));
        ck_assert(mc_store->ops->whole_since(mc_store, 0) == 0
                  || mc_times_told(HA_EVENT_RESTARTED) > (unsigned int)round);
        mc_wait_until_told(HA_EVENT_RESTARTED, (unsigned int)round + 1);
    }
    ck_assert_uint_eq(mc_times_told(HA_EVENT_DOWN), 0);
}
END_TEST

START_TEST(connections_closed_by_the_node_cost_no_call_and_no_trust)
{
    apr_time_t since;
    apr_time_t deadline;

    io_memcached_start(&mc_servers[0], "-o", "idle_timeout=1");
    mc_name_port(0, mc_servers[0].port);
    mc_open_store(1);
    (void)mc_call(HA_ADD, "k", "x", 0);
    mc_wait_until_whole(0);
    since = mc_store->ops->whole_since(mc_store, 0);
    deadline = apr_time_now() + MC_PATIENCE_USEC;
    while (io_memcached_stat(&mc_servers[0], "idle_kicks") == 0) {
        ck_assert(apr_time_now() < deadline);
        apr_sleep(20000);
    }
    mc_assert_holds(mc_get("k"), "x");
    mc_wait_until_whole(0);
    ck_assert_int_eq(mc_store->ops->whole_since(mc_store, 0), since);
    ck_assert_uint_eq(mc_times_told(HA_EVENT_RESTARTED), 0);
}
END_TEST

START_TEST(a_node_out_of_connections_is_unknown_and_never_a_miss)
{
    unsigned int unknown = 0;
    int i;

    io_memcached_start(&mc_servers[0], "-c", "40");
    mc_name_port(0, mc_servers[0].port);
    mc_open_store(1);
    (void)mc_call_node(0, HA_ADD, "k", span_of_text("x"), 0, MC_LONG_USEC);
    for (i = 0; i < 60; i++) {
        ha_store_t *other;
        apr_pool_t *p;
        ha_call_t one;

        ck_assert_int_eq(ha_store_mc_make(&other, mc_nodes, 1, mc_health, NULL,
                                          NULL, mc_pool),
                         APR_SUCCESS);
        ck_assert_int_eq(apr_pool_create(&p, mc_pool), APR_SUCCESS);
        ck_assert_int_eq(ha_store_mc_child_init(other, p), APR_SUCCESS);
        memset(&one, 0, sizeof(one));
        other->ops->run(other, "k", &one, 1, MC_TTL,
                        apr_time_now() + MC_SHORT_USEC, mc_pool);
        ck_assert_int_ne(one.answer, HA_MISS);
        unknown += one.answer == HA_UNKNOWN;
    }
    ck_assert_uint_gt(unknown, 0);
}
END_TEST

START_TEST(a_node_that_talks_nonsense_goes_down_and_is_told_of_once)
{
    io_fake_t *fake = io_fake_start(IO_FAKE_REPLY, "HTTP/1.1 400 Bad\r\n",
                                    18);
    int i;

    mc_name_port(0, io_fake_port(fake));
    mc_open_store(1);
    for (i = 0; i < HA_HEALTH_FAILURES; i++) {
        ha_call_t one = mc_call_node(0, HA_ADD, "k", span_of_text("x"), 0,
                                  MC_LONG_USEC);

        ck_assert_int_eq(one.answer, HA_UNKNOWN);
        ck_assert_int_eq(one.rv, EPROTO);
    }
    ck_assert_int_eq(mc_store->ops->is_up(mc_store, 0), 0);
    ck_assert_uint_eq(mc_times_told(HA_EVENT_GARBAGE), 1);
    ck_assert_uint_eq(mc_times_told(HA_EVENT_DOWN), 1);
    apr_pool_destroy(mc_pchild);
    mc_pchild = NULL;
    io_fake_stop(fake);
}
END_TEST

START_TEST(a_budget_used_up_elsewhere_downs_nobody)
{
    int i;

    mc_open_servers(1);
    (void)mc_call(HA_ADD, "k", "x", 0);
    mc_wait_until_whole(0);
    for (i = 0; i < 20; i++) {
        ha_call_t one = mc_call_node(0, HA_APPEND, "k", span_of_text("y"), 0,
                                  -1);

        ck_assert_int_eq(one.answer, HA_UNKNOWN);
        ck_assert_int_eq(one.rv, APR_TIMEUP);
    }
    ck_assert_int_eq(mc_store->ops->is_up(mc_store, 0), 1);
    ck_assert_int_eq(mc_store->ops->whole_since(mc_store, 0), 0);
    mc_assert_holds(mc_get("k"), "x");
}
END_TEST

/* ---- processes ---------------------------------------------------------- */

START_TEST(a_node_that_one_process_finds_down_is_down_for_the_other)
{
    int status = 0;
    pid_t pid;

    mc_name_port(0, io_closed_port());
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, 1, mc_health,
                                      mc_take_note, NULL, mc_pool),
                     APR_SUCCESS);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        apr_pool_t *p;
        ha_call_t one;

        if (apr_pool_create(&p, NULL) != APR_SUCCESS
            || ha_store_mc_child_init(mc_store, p) != APR_SUCCESS) {
            _exit(99);
        }
        while (mc_store->ops->is_up(mc_store, 0)) {
            memset(&one, 0, sizeof(one));
            mc_store->ops->run(mc_store, "k", &one, 1, MC_TTL,
                               apr_time_now() + MC_SHORT_USEC, p);
        }
        apr_pool_destroy(p);
        _exit((int)mc_times_told(HA_EVENT_DOWN));
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_int_eq(mc_store->ops->is_up(mc_store, 0), 0);
}
END_TEST

START_TEST(a_store_is_of_no_use_before_child_init_and_after_a_fork)
{
    int status = 0;
    pid_t pid;

    io_memcached_start(&mc_servers[0], NULL, NULL);
    mc_name_port(0, mc_servers[0].port);
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, 1, mc_health,
                                      mc_take_note, NULL, mc_pool),
                     APR_SUCCESS);
    ck_assert_int_eq(mc_call_in_vain(0).rv, APR_EINIT);
    ck_assert_int_eq(apr_pool_create(&mc_pchild, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_store_mc_child_init(mc_store, mc_pchild), APR_SUCCESS);
    (void)mc_call(HA_ADD, "k", "x", 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        ha_call_t one;

        memset(&one, 0, sizeof(one));
        mc_store->ops->run(mc_store, "k", &one, 1, MC_TTL,
                           apr_time_now() + MC_LONG_USEC, mc_pool);
        _exit(one.answer == HA_UNKNOWN && one.rv == APR_EINIT ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    /* the parent's connection was not touched */
    mc_assert_holds(mc_get("k"), "x");
    ck_assert_int_eq(ha_health_failures(mc_health, 0), 0);
}
END_TEST

START_TEST(the_end_of_a_child_waits_for_no_probe)
{
    apr_time_t begin;

    mc_name_port(0, io_black_hole());
    mc_open_store(1);
    (void)mc_call_in_vain(0);
    begin = apr_time_now();
    apr_pool_destroy(mc_pchild);
    mc_pchild = NULL;
    ck_assert(apr_time_now() - begin < MC_SLACK_USEC);
}
END_TEST

/* Pipes that take the numbers of descriptors that were closed. */
#define PIPES 4

/* Descriptors looked at. */
#define FDS 1024

typedef struct late_t {
    int pipe[PIPES][2];
    ha_call_t call;
} late_t;

/* As a thread that still works while its child ends. */
static apr_status_t call_late(void *data)
{
    late_t *late = data;
    int i;

    for (i = 0; i < PIPES; i++) {
        ck_assert_int_eq(pipe(late->pipe[i]), 0);
        ck_assert_int_eq(fcntl(late->pipe[i][0], F_SETFL, O_NONBLOCK), 0);
    }
    late->call = mc_call_node(0, HA_ADD, "k", span_of_text("x"), 0,
                              MC_LONG_USEC);
    return APR_SUCCESS;
}

static int count_open(void)
{
    int count = 0;
    int fd;

    for (fd = 0; fd < FDS; fd++) {
        count += fcntl(fd, F_GETFD) != -1;
    }
    return count;
}

START_TEST(a_call_while_a_child_ends_is_unknown_and_writes_nowhere)
{
    late_t late;
    char byte;
    int before;
    int i;

    memset(&late, 0, sizeof(late));
    io_memcached_start(&mc_servers[0], NULL, NULL);
    mc_name_port(0, mc_servers[0].port);
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, 1, mc_health,
                                      mc_take_note, NULL, mc_pool),
                     APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&mc_pchild, NULL), APR_SUCCESS);
    /* what was registered first runs last */
    if (_i == 0) {
        apr_pool_pre_cleanup_register(mc_pchild, &late, call_late);
    }
    else {
        apr_pool_cleanup_register(mc_pchild, &late, call_late,
                                  apr_pool_cleanup_null);
    }
    before = count_open();
    ck_assert_int_eq(ha_store_mc_child_init(mc_store, mc_pchild), APR_SUCCESS);
    apr_pool_destroy(mc_pchild);
    mc_pchild = NULL;
    ck_assert_int_eq(late.call.answer, HA_UNKNOWN);
    ck_assert_int_eq(late.call.rv, APR_EINIT);
    for (i = 0; i < PIPES; i++) {
        ck_assert_int_eq((int)read(late.pipe[i][0], &byte, 1), -1);
        (void)close(late.pipe[i][0]);
        (void)close(late.pipe[i][1]);
    }
    ck_assert_int_eq(count_open(), before);
}
END_TEST

START_TEST(as_many_nodes_as_the_limit_can_be_made_and_no_more)
{
    unsigned int i;

    for (i = 0; i < HA_NODES_MAX; i++) {
        mc_name_port(i, (apr_port_t)(1 + i));
    }
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, HA_NODES_MAX,
                                      mc_health, NULL, NULL, mc_pool),
                     APR_SUCCESS);
    ck_assert_uint_eq(mc_store->count, HA_NODES_MAX);
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, HA_NODES_MAX + 1,
                                      mc_health, NULL, NULL, mc_pool),
                     APR_EINVAL);
    ck_assert_ptr_null(mc_store);
    for (i = 0; i < HA_NODES_MAX; i++) {
        mc_name_port(i, (apr_port_t)(1001 + i));
    }
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, HA_NODES_MAX,
                                      mc_health, NULL, NULL, mc_pool),
                     APR_SUCCESS);
    mc_name_port(0, 9999);
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, 1, mc_health, NULL,
                                      NULL, mc_pool),
                     APR_ENOSPC);
    ck_assert_ptr_null(mc_store);
}
END_TEST

START_TEST(the_library_that_is_loaded_may_be_used)
{
    ck_assert_pstr_eq(ha_store_mc_fault(), NULL);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_store_mc_faults");
    TCase *tcase = tcase_create("store");

    tcase_add_checked_fixture(tcase, mc_set_up, mc_tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase,
                   a_hung_node_costs_a_budget_three_times_and_then_nothing);
    tcase_add_test(
        tcase, hung_nodes_together_cost_one_budget_and_a_good_one_answers);
    tcase_add_test(tcase, black_holes_leave_time_for_a_good_node);
    tcase_add_test(tcase,
                   a_node_that_was_killed_and_comes_back_empty_has_restarted);
    tcase_add_test(tcase, many_threads_and_nodes_get_what_is_theirs);
    tcase_add_loop_test(tcase, a_restart_between_two_calls_costs_no_call, 0,
                        2);
    tcase_add_test(tcase, a_connection_that_dies_under_a_call_costs_no_call);
    tcase_add_test(tcase,
                   connections_closed_by_the_node_cost_no_call_and_no_trust);
    tcase_add_test(tcase,
                   a_node_out_of_connections_is_unknown_and_never_a_miss);
    tcase_add_test(tcase,
                   a_node_that_talks_nonsense_goes_down_and_is_told_of_once);
    tcase_add_test(tcase, a_budget_used_up_elsewhere_downs_nobody);
    tcase_add_test(tcase,
                   a_node_that_one_process_finds_down_is_down_for_the_other);
    tcase_add_test(tcase,
                   a_store_is_of_no_use_before_child_init_and_after_a_fork);
    tcase_add_test(tcase, the_end_of_a_child_waits_for_no_probe);
    tcase_add_loop_test(
        tcase, a_call_while_a_child_ends_is_unknown_and_writes_nowhere, 0, 2);
    tcase_add_test(tcase,
                   as_many_nodes_as_the_limit_can_be_made_and_no_more);
    tcase_add_test(tcase, the_library_that_is_loaded_may_be_used);
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
