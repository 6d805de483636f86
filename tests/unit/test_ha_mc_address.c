/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ha_store_mc.h"

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

static apr_pool_t *pool;

static void set_up(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

static const struct {
    const char *address;
    const char *host;
    apr_port_t port;
    const char *path;
} good[] = {
    { "127.0.0.1:11211", "127.0.0.1", 11211, NULL },
    { "a:1", "a", 1, NULL },
    { "cache-1.example.org:65535", "cache-1.example.org", 65535, NULL },
    { "cache_1:11211", "cache_1", 11211, NULL },
    { "host:00080", "host", 80, NULL },
    { "[::1]:11211", "::1", 11211, NULL },
    { "[2001:db8::1:0]:1", "2001:db8::1:0", 1, NULL },
    { "[::ffff:192.0.2.1]:1", "::ffff:192.0.2.1", 1, NULL },
    { "unix:/run/memcached.sock", NULL, 0, "/run/memcached.sock" },
    { "unix:/a:b", NULL, 0, "/a:b" },
};

START_TEST(a_good_address_is_taken_apart)
{
    ha_mc_node_t node;

    memset(&node, 0, sizeof(node));
    ck_assert_int_eq(ha_mc_address_parse(&node, good[_i].address, pool),
                     HA_MC_ADDRESS_OK);
    ck_assert_str_eq(node.address, good[_i].address);
    ck_assert_pstr_eq(node.host, good[_i].host);
    ck_assert_uint_eq(node.port, good[_i].port);
    ck_assert_pstr_eq(node.path, good[_i].path);
}
END_TEST

static const struct {
    const char *address;
    ha_mc_address_e result;
} bad[] = {
    { "", HA_MC_ADDRESS_NO_PORT },
    { "host", HA_MC_ADDRESS_NO_PORT },
    { "[::1]", HA_MC_ADDRESS_NO_PORT },
    { "/run/memcached.sock", HA_MC_ADDRESS_NO_PORT },
    { "host:", HA_MC_ADDRESS_BAD_PORT },
    { "host:0", HA_MC_ADDRESS_BAD_PORT },
    { "host:65536", HA_MC_ADDRESS_BAD_PORT },
    { "host:4294967297", HA_MC_ADDRESS_BAD_PORT },
    { "host:99999999999999999999999", HA_MC_ADDRESS_BAD_PORT },
    { "host:-1", HA_MC_ADDRESS_BAD_PORT },
    { "host:+1", HA_MC_ADDRESS_BAD_PORT },
    { "host: 1", HA_MC_ADDRESS_BAD_PORT },
    { "host:1 ", HA_MC_ADDRESS_BAD_PORT },
    { "host:1x", HA_MC_ADDRESS_BAD_PORT },
    { "host:http", HA_MC_ADDRESS_BAD_PORT },
    { ":11211", HA_MC_ADDRESS_BAD_HOST },
    { "::1:11211", HA_MC_ADDRESS_BAD_HOST },
    { "[]:11211", HA_MC_ADDRESS_BAD_HOST },
    { "[:]:11211", HA_MC_ADDRESS_BAD_HOST },
    { "[localhost]:11211", HA_MC_ADDRESS_BAD_HOST },
    { "[::1:11211", HA_MC_ADDRESS_BAD_HOST },
    { "::1]:11211", HA_MC_ADDRESS_BAD_HOST },
    { "[::1]x:11211", HA_MC_ADDRESS_BAD_HOST },
    { "ho st:11211", HA_MC_ADDRESS_BAD_HOST },
    { "host\r\nset:11211", HA_MC_ADDRESS_BAD_HOST },
    { "-host:11211", HA_MC_ADDRESS_BAD_HOST },
    { ".host:11211", HA_MC_ADDRESS_BAD_HOST },
    { "http://host:11211", HA_MC_ADDRESS_BAD_HOST },
    { "unix:", HA_MC_ADDRESS_BAD_PATH },
    { "unix:/", HA_MC_ADDRESS_BAD_PATH },
    { "unix:run/memcached.sock", HA_MC_ADDRESS_BAD_PATH },
};

START_TEST(a_bad_address_is_refused_and_changes_nothing)
{
    ha_mc_node_t node;
    ha_mc_node_t before;

    memset(&node, 0x5a, sizeof(node));
    before = node;
    ck_assert_int_eq(ha_mc_address_parse(&node, bad[_i].address, pool),
                     bad[_i].result);
    ck_assert_mem_eq(&node, &before, sizeof(node));
}
END_TEST

/* sun_path has 108 bytes with its terminator on Linux, 104 elsewhere */
START_TEST(a_path_too_long_for_a_socket_is_refused)
{
    char address[200];
    ha_mc_node_t node;

    memset(address, 'x', sizeof(address));
    memcpy(address, "unix:/", 6);
    address[5 + 103] = '\0';
    ck_assert_int_eq(ha_mc_address_parse(&node, address, pool),
                     HA_MC_ADDRESS_OK);
    address[5 + 108] = '\0';
    memset(address + 100, 'x', 13);
    ck_assert_int_eq(ha_mc_address_parse(&node, address, pool),
                     HA_MC_ADDRESS_BAD_PATH);
}
END_TEST

START_TEST(a_host_name_has_at_most_253_bytes)
{
    char address[300];
    ha_mc_node_t node;

    memset(address, 'h', sizeof(address));
    memcpy(address + 253, ":1", 3);
    ck_assert_int_eq(ha_mc_address_parse(&node, address, pool),
                     HA_MC_ADDRESS_OK);
    memcpy(address + 253, "h:1", 4);
    ck_assert_int_eq(ha_mc_address_parse(&node, address, pool),
                     HA_MC_ADDRESS_BAD_HOST);
}
END_TEST

START_TEST(every_result_has_a_phrase_of_its_own)
{
    int i;
    int j;

    for (i = HA_MC_ADDRESS_OK; i <= HA_MC_ADDRESS_BAD_PATH; i++) {
        const char *name = ha_mc_address_name((ha_mc_address_e)i);

        ck_assert_int_gt(strlen(name), 5);
        for (j = HA_MC_ADDRESS_OK; j < i; j++) {
            ck_assert_str_ne(name, ha_mc_address_name((ha_mc_address_e)j));
        }
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_mc_address");
    TCase *tcase = tcase_create("address");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, a_good_address_is_taken_apart, 0, ROWS(good));
    tcase_add_loop_test(tcase, a_bad_address_is_refused_and_changes_nothing,
                        0, ROWS(bad));
    tcase_add_test(tcase, a_path_too_long_for_a_socket_is_refused);
    tcase_add_test(tcase, a_host_name_has_at_most_253_bytes);
    tcase_add_test(tcase, every_result_has_a_phrase_of_its_own);
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
