/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "mc_site.h"

static const apr_time_t used = 1;

/* A node of an earlier list. */
static ha_mc_node_t node_of(const char *name, const char *address)
{
    ha_mc_node_t node;

    memset(&node, 0, sizeof(node));
    node.place.name = span_of_text(name);
    node.place.zone = span_of(NULL, 0);
    node.place.weight = 1;
    ck_assert_int_eq(ha_mc_address_parse(&node, address, mc_pool),
                     HA_MC_ADDRESS_OK);
    return node;
}

static void make_store(unsigned int count)
{
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, count, mc_health,
                                      mc_take_note, NULL, mc_pool),
                     APR_SUCCESS);
}

static void open_child(void)
{
    ck_assert_int_eq(apr_pool_create(&mc_pchild, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_store_mc_child_init(mc_store, mc_pchild),
                     APR_SUCCESS);
}

static const char *port_address(unsigned int i)
{
    return apr_psprintf(mc_pool, "127.0.0.1:%d", (int)mc_servers[i].port);
}

/* n0 and n1 are listed, n2 runs and is not. */
static void make_three(void)
{
    unsigned int i;

    for (i = 0; i < 3; i++) {
        io_memcached_start(&mc_servers[i], NULL, NULL);
        mc_name_port(i, mc_servers[i].port);
    }
    make_store(2);
}

START_TEST(a_node_off_the_list_is_asked_where_it_was)
{
    ha_mc_node_t nodes[3];
    ha_mc_list_t list = { nodes, 3, 2, &used };

    make_three();
    nodes[0] = node_of("old", port_address(2));
    nodes[1] = node_of("n1", "127.0.0.1:1");
    nodes[2] = node_of("other", port_address(0));
    ck_assert_int_eq(ha_store_mc_remember(mc_store, &list, 1, mc_pool),
                     APR_SUCCESS);
    ck_assert_uint_eq(mc_store->count, 2);
    ck_assert_uint_eq(mc_store->gone, 1);
    ck_assert_uint_eq(mc_store->past_count, 1);
    ck_assert_uint_eq(mc_store->past[0].count, 3);
    ck_assert_uint_eq(mc_store->past[0].replicas, 2);
    ck_assert_uint_eq(mc_store->past[0].at[0], 2); /* as it was */
    ck_assert_uint_eq(mc_store->past[0].at[1], 1); /* by its name */
    ck_assert_uint_eq(mc_store->past[0].at[2], 0); /* by its address */
    open_child();
    mc_call_node(2, HA_ADD, "k", span_of_text("v"), 0, MC_LONG_USEC);
    mc_assert_holds(mc_call_node(2, HA_GET, "k", span_of(NULL, 0), 0,
                                 MC_LONG_USEC), "v");
    ck_assert(mc_store->ops->is_up(mc_store, 2));
    ck_assert(!mc_store->ops->is_up(mc_store, 3));
    mc_wait_until_whole(2);
}
END_TEST

START_TEST(a_node_for_which_there_is_no_room_is_beyond_the_store)
{
    ha_mc_node_t nodes[2];
    ha_mc_list_t list = { nodes, 2, 1, &used };
    unsigned int i;

    for (i = 0; i < HA_NODES_MAX - 1; i++) {
        mc_name_port(i, (apr_port_t)(i + 1));
    }
    make_store(HA_NODES_MAX - 1);
    nodes[0] = node_of("fits", "127.0.0.1:1001");
    nodes[1] = node_of("too-many", "127.0.0.1:1002");
    ck_assert_int_eq(ha_store_mc_remember(mc_store, &list, 1, mc_pool),
                     APR_SUCCESS);
    ck_assert_uint_eq(mc_store->gone, 1);
    ck_assert_uint_eq(mc_store->past[0].at[0], HA_NODES_MAX - 1);
    ck_assert_uint_gt(mc_store->past[0].at[1], HA_NODES_MAX);
}
END_TEST

START_TEST(the_parent_can_look_and_leaves_nothing_open)
{
    ha_call_t calls[HA_NODES_MAX];
    ha_call_t one;

    make_three();
    open_child();
    mc_call_node(1, HA_ADD, "k", span_of_text("v"), 0, MC_LONG_USEC);
    apr_pool_destroy(mc_pchild);
    mc_pchild = NULL;
    io_memcached_kill(&mc_servers[0]);
    ha_store_mc_peek(mc_store, calls, "k",
                     apr_time_now() + MC_LONG_USEC, mc_pool);
    ck_assert_int_eq(calls[0].answer, HA_UNKNOWN);
    mc_assert_holds(calls[1], "v");
    one = mc_call_node(1, HA_GET, "k", span_of(NULL, 0), 0, MC_LONG_USEC);
    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_eq(one.rv, APR_EINIT);
}
END_TEST

START_TEST(a_node_that_missed_writes_is_no_witness)
{
    apr_time_t before;

    make_three();
    open_child();
    mc_wait_until_whole(0);
    before = mc_store->ops->whole_since(mc_store, 0);
    ha_store_mc_missed(mc_store, 0);
    ck_assert(mc_store->ops->whole_since(mc_store, 0) != before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_store_mc_past");
    TCase *tcase = tcase_create("past");
    SRunner *runner;
    int failed;

    if (apr_initialize() != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, mc_set_up, mc_tear_down);
    tcase_add_test(tcase, a_node_off_the_list_is_asked_where_it_was);
    tcase_add_test(tcase,
                   a_node_for_which_there_is_no_room_is_beyond_the_store);
    tcase_add_test(tcase, the_parent_can_look_and_leaves_nothing_open);
    tcase_add_test(tcase, a_node_that_missed_writes_is_no_witness);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
