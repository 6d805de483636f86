/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include <arpa/inet.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "mc_site.h"

/* ---- a name server ------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static pthread_t tester;
static const char *known_ip; /* NULL: the name is not known */
static int is_hung;
static unsigned int asked;    /* by any thread */
static unsigned int waited;   /* by the test's own */

/* Instead of APR's: the programs under test ask this one. */
apr_status_t apr_sockaddr_info_get(apr_sockaddr_t **sa, const char *hostname,
                                   apr_int32_t family, apr_port_t port,
                                   apr_int32_t flags, apr_pool_t *p)
{
    apr_sockaddr_t *made = NULL;

    (void)hostname;
    (void)family;
    (void)flags;
    (void)pthread_mutex_lock(&lock);
    asked++;
    waited += pthread_equal(pthread_self(), tester) != 0;
    (void)pthread_cond_broadcast(&change);
    while (is_hung && !pthread_equal(pthread_self(), tester)) {
        (void)pthread_cond_wait(&change, &lock);
    }
    if (known_ip) {
        made = apr_pcalloc(p, sizeof(*made));
        made->pool = p;
        made->family = APR_INET;
        made->port = port;
        made->sa.sin.sin_family = APR_INET;
        made->sa.sin.sin_port = htons(port);
        (void)inet_pton(AF_INET, known_ip, &made->sa.sin.sin_addr);
        made->salen = sizeof(made->sa.sin);
        made->addr_str_len = 16;
        made->ipaddr_ptr = &made->sa.sin.sin_addr;
        made->ipaddr_len = sizeof(made->sa.sin.sin_addr);
    }
    (void)pthread_mutex_unlock(&lock);
    *sa = made;
    return made ? APR_SUCCESS : APR_EGENERAL;
}

static void answer(const char *ip, int hang)
{
    (void)pthread_mutex_lock(&lock);
    known_ip = ip;
    is_hung = hang;
    (void)pthread_cond_broadcast(&change);
    (void)pthread_mutex_unlock(&lock);
}

static unsigned int times_waited(void)
{
    unsigned int times;

    (void)pthread_mutex_lock(&lock);
    times = waited;
    (void)pthread_mutex_unlock(&lock);
    return times;
}

static unsigned int times_asked(void)
{
    unsigned int times;

    (void)pthread_mutex_lock(&lock);
    times = asked;
    (void)pthread_mutex_unlock(&lock);
    return times;
}

static void wait_until_asked(unsigned int times)
{
    apr_time_t deadline = apr_time_now() + MC_PATIENCE_USEC;

    while (times_asked() < times) {
        ck_assert_msg(apr_time_now() < deadline, "nobody looked it up");
        apr_sleep(2000);
    }
}

/* ---- stores ------------------------------------------------------------- */

static void set_up(void)
{
    mc_set_up();
    tester = pthread_self();
    asked = 0;
    waited = 0;
    io_memcached_start(&mc_servers[0], NULL, NULL);
    mc_name_node(0, apr_psprintf(mc_pool, "node.example:%u",
                                 (unsigned int)mc_servers[0].port));
}

static void tear_down(void)
{
    answer(NULL, 0);
    mc_tear_down();
}

static void make_store(void)
{
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, 1, mc_health,
                                      mc_take_note, NULL, mc_pool),
                     APR_SUCCESS);
    ck_assert_uint_eq(times_asked(), 1);
}

static void begin_child(void)
{
    ck_assert_int_eq(apr_pool_create(&mc_pchild, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_store_mc_child_init(mc_store, mc_pchild), APR_SUCCESS);
    ck_assert_uint_eq(times_waited(), 1);
}

static void wait_until_reached(void)
{
    apr_time_t deadline = apr_time_now() + MC_PATIENCE_USEC;
    ha_call_t one;

    do {
        ck_assert_msg(apr_time_now() < deadline, "the node is not reached");
        apr_sleep(2000);
        /* others reach it and keep it up */
        (void)ha_health_succeeded(mc_health, 0, apr_time_now());
        one = mc_call_node(0, HA_GET, "k", span_of(NULL, 0), 0,
                           MC_SHORT_USEC);
    } while (one.answer == HA_UNKNOWN);
}

START_TEST(a_child_knows_what_the_parent_looked_up_and_asks_nobody)
{
    answer("127.0.0.1", 0);
    make_store();
    answer(NULL, 0);
    begin_child();
    mc_assert_holds(mc_call(HA_ADD, "k", "x", 0), "x");
    ck_assert_uint_eq(times_asked(), 1);
}
END_TEST

START_TEST(a_child_begins_while_a_name_is_being_looked_up)
{
    answer(NULL, 1);
    make_store();
    begin_child();
    wait_until_asked(2);
    ck_assert_int_eq(mc_call_in_vain(0).rv, EHOSTUNREACH);
    answer("127.0.0.1", 0);
    wait_until_reached();
}
END_TEST

START_TEST(a_failed_look_up_leaves_what_was_known)
{
    apr_time_t deadline;

    answer("127.0.0.1", 0);
    make_store();
    answer(NULL, 0);
    begin_child();
    io_memcached_kill(&mc_servers[0]);
    mc_wait_until_down(0);
    wait_until_asked(2);
    io_memcached_restart(&mc_servers[0]);
    deadline = apr_time_now() + MC_PATIENCE_USEC;
    while (!mc_store->ops->is_up(mc_store, 0)) {
        ck_assert(apr_time_now() < deadline);
        apr_sleep(2000);
    }
    mc_assert_holds(mc_call(HA_ADD, "k", "x", 0), "x");
}
END_TEST

START_TEST(a_child_finds_a_node_that_has_moved_though_others_keep_it_up)
{
    answer("127.0.0.9", 0);
    make_store();
    answer("127.0.0.1", 0);
    begin_child();
    wait_until_reached();
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_store_mc_names");
    TCase *tcase = tcase_create("names");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase,
                   a_child_knows_what_the_parent_looked_up_and_asks_nobody);
    tcase_add_test(tcase, a_child_begins_while_a_name_is_being_looked_up);
    tcase_add_test(tcase, a_failed_look_up_leaves_what_was_known);
    tcase_add_test(
        tcase, a_child_finds_a_node_that_has_moved_though_others_keep_it_up);
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
