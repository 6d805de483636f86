/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_seats.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <check.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static apr_pool_t *p;

static void set_up(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(p);
    apr_terminate();
}

/* What stands between <Config> and a cluster named Shop. */
static const clone_plugin_cluster_t *cluster_of(const char *inside)
{
    clone_findings_t *findings = clone_findings_make(p);
    const char *text = apr_pstrcat(
        p, "<Config><ServerCluster Name=\"Shop\" RetryInterval=\"7\">", inside,
        "</ServerCluster></Config>", NULL);
    const clone_plugin_t *plugin;

    ck_assert_int_eq(clone_plugin_parse(&plugin, findings, span_of_text(text),
                                        p, p), CLONE_FINDING_OK);
    ck_assert_uint_eq(plugin->cluster_count, 1);
    return &plugin->cluster[0];
}

static const char *server_of(const char *name, const char *attributes,
                             const char *transports)
{
    return apr_pstrcat(p, "<Server Name=\"", name, "\" CloneID=\"id-", name,
                       "\" ", attributes, ">", transports, "</Server>", NULL);
}

#define HTTP_1 "<Transport Hostname=\"One\" Port=\"80\" Protocol=\"http\"/>"
#define HTTP_2 "<Transport Hostname=\"two\" Port=\"80\" Protocol=\"http\"/>"
#define HTTP_3 "<Transport Hostname=\"three\" Port=\"80\" Protocol=\"http\"/>"
#define HTTPS_1 "<Transport Hostname=\"one\" Port=\"443\" Protocol=\"https\"/>"
#define HTTP_V6 "<Transport Hostname=\"::1\" Port=\"80\" Protocol=\"http\"/>"

/* "url route lbset factor [drained]" of each seat, one a line. */
static const char *shown(const clone_plugin_cluster_t *cluster, int is_https)
{
    const apr_array_header_t *seats = clone_seats_make(cluster, is_https, p);
    const clone_seat_t *seat = (const void *)seats->elts;
    const char *text = "";
    int i;

    for (i = 0; i < seats->nelts; i++) {
        text = apr_psprintf(p, "%s%s %s %d %d%s\n", text, seat[i].url,
                            seat[i].route, seat[i].lbset, seat[i].factor,
                            seat[i].is_drained ? " drained" : "");
    }
    return text;
}

START_TEST(a_server_has_a_seat_with_all_that_the_file_says)
{
    const clone_plugin_cluster_t *cluster = cluster_of(
        server_of("a", "LoadBalanceWeight=\"20\" ConnectTimeout=\"3\" "
                  "ServerIOTimeout=\"-9\" WaitForContinue=\"true\"", HTTP_1));
    const apr_array_header_t *seats = clone_seats_make(cluster, 0, p);
    const clone_seat_t *seat = (const void *)seats->elts;

    ck_assert_int_eq(seats->nelts, 1);
    ck_assert_str_eq(seat->url, "http://one:80");
    ck_assert_str_eq(seat->route, "id-a");
    ck_assert_int_eq(seat->factor, 2000);
    ck_assert_int_eq(seat->connect_sec, 3);
    ck_assert_int_eq(seat->io_sec, 9);
    ck_assert_int_eq(seat->io_downs, 1);
    ck_assert_int_eq(seat->retry_sec, 7);
    ck_assert_int_eq(seat->is_waited_for, 1);
    ck_assert_ptr_eq(clone_seats_at(seats, "http://one:80"), seat);
    ck_assert_ptr_null(clone_seats_at(seats, "http://one:81"));
}
END_TEST

START_TEST(a_seat_has_the_limit_of_its_server_if_it_has_one)
{
    static const struct { const char *says; unsigned int most; } rows[] = {
        { "", 0 }, { "MaxConnections=\"-1\"", 0 },
        { "MaxConnections=\"0\"", 0 }, { "MaxConnections=\"1\"", 1 },
        { "MaxConnections=\"65535\"", 65535 }
    };
    clone_seat_t address;
    int i;

    for (i = 0; i < LENGTH_OF(rows); i++) {
        const apr_array_header_t *seats = clone_seats_make(
            cluster_of(server_of("a", rows[i].says, HTTP_1)), 0, p);

        ck_assert_uint_eq(clone_seats_most((const void *)seats->elts),
                          rows[i].most);
    }
    memset(&address, 0, sizeof(address));
    ck_assert_uint_eq(clone_seats_most(&address), 0);
}
END_TEST

START_TEST(weights_beyond_the_range_keep_their_proportion)
{
    ck_assert_str_eq(
        shown(cluster_of(apr_pstrcat(
            p, server_of("a", "LoadBalanceWeight=\"1000\"", HTTP_1),
            server_of("b", "LoadBalanceWeight=\"500\"", HTTP_2),
            server_of("c", "LoadBalanceWeight=\"0\"", HTTP_3), NULL)), 0),
        "http://one:80 id-a 0 10000\nhttp://two:80 id-b 0 5000\n"
        "http://three:80 id-c 0 100 drained\n");
    ck_assert_str_eq(
        shown(cluster_of(apr_pstrcat(
            p, server_of("a", "LoadBalanceWeight=\"60000\"", HTTP_1),
            server_of("b", "LoadBalanceWeight=\"1\"", HTTP_2), NULL)), 0),
        "http://one:80 id-a 0 10000\nhttp://two:80 id-b 0 1\n");
}
END_TEST

START_TEST(backups_sit_behind_in_their_order_and_the_idle_nowhere)
{
    ck_assert_str_eq(
        shown(cluster_of(apr_pstrcat(
            p, server_of("a", "", HTTP_1), server_of("b", "", HTTP_2),
            server_of("c", "", HTTP_3), server_of("d", "", HTTP_V6),
            "<PrimaryServers><Server Name=\"d\"/></PrimaryServers>"
            "<BackupServers><Server Name=\"c\"/><Server Name=\"a\"/>"
            "</BackupServers>", NULL)), 0),
        "http://one:80 id-a 2 200\nhttp://three:80 id-c 1 200\n"
        "http://[::1]:80 id-d 0 200\n");
}
END_TEST

static const struct { const char *attributes; int sec; } sockets[] = {
    { "", 0 },
    { "wsServerIdleTimeout=\"30\"", 30 },
    { "wsServerIOTimeout=\"20\"", 20 },
    { "wsServerIOTimeout=\"20\" wsServerIdleTimeout=\"30\"", 30 },
    { "wsServerIOTimeout=\"40\" wsServerIdleTimeout=\"30\"", 30 },
    { "wsServerIOTimeout=\"20\" wsServerIdleTimeout=\"0\"", 0 },
    { "wsServerIOTimeout=\"-1\" wsServerIdleTimeout=\"-1\"", 0 }
};

START_TEST(a_socket_is_quiet_for_so_long_at_most)
{
    const apr_array_header_t *seats = clone_seats_make(
        cluster_of(server_of("a", sockets[_i].attributes, HTTP_1)), 0, p);

    ck_assert_int_eq(((const clone_seat_t *)(const void *)seats->elts)
                     ->socket_sec, sockets[_i].sec);
}
END_TEST

START_TEST(one_address_has_one_seat)
{
    ck_assert_str_eq(
        shown(cluster_of(apr_pstrcat(
            p, server_of("a", "", HTTP_1), server_of("b", "", HTTP_1),
            NULL)), 0),
        "http://one:80 id-a 0 200\n");
}
END_TEST

START_TEST(the_clusters_address_sits_behind_all_without_a_route)
{
    ck_assert_str_eq(
        shown(cluster_of(apr_pstrcat(
            p, server_of("a", "", HTTP_1), "<ClusterAddress Name=\"x\">"
            HTTP_2 "</ClusterAddress>", NULL)), 0),
        "http://one:80 id-a 0 200\nhttp://two:80  9999 100\n");
}
END_TEST

START_TEST(two_transports_make_two_sides)
{
    const clone_plugin_cluster_t *cluster = cluster_of(
        apr_pstrcat(p, server_of("a", "", HTTP_1 HTTPS_1),
                    server_of("b", "", HTTP_2), NULL));

    ck_assert_int_eq(clone_seats_is_split(cluster), 1);
    ck_assert_ptr_null(clone_seats_needs_tls(cluster));
    ck_assert_str_eq(shown(cluster, 0), "http://one:80 id-a 0 200\n"
                     "http://two:80 id-b 0 200\n");
    ck_assert_str_eq(shown(cluster, 1), "https://one:443 id-a 0 200\n"
                     "http://two:80 id-b 0 200\n");
}
END_TEST

START_TEST(one_transport_makes_one_side_and_may_need_tls)
{
    const clone_plugin_cluster_t *cluster = cluster_of(
        apr_pstrcat(p, server_of("a", "", HTTPS_1),
                    server_of("b", "", HTTP_2), NULL));

    ck_assert_int_eq(clone_seats_is_split(cluster), 0);
    ck_assert_uint_eq(clone_seats_needs_tls(cluster)->port, 443);
    ck_assert_str_eq(shown(cluster, 0), shown(cluster, 1));
}
END_TEST

static const struct {
    const char *name;
    const char *plain;
    const char *other;
} balancers[] = {
    { "Shared_2_Cluster.0-x", "shared_2_cluster.0-x",
      "shared_2_cluster.0-x-https" },
    { "a b", "a-b-10a3f9f2", "a-b-10a3f9f2-https" },
    { "a/b", "a-b-3a8e75c1", "a-b-3a8e75c1-https" },
    { "", "", "-https" }
};

START_TEST(a_clusters_name_becomes_a_balancers)
{
    clone_plugin_cluster_t cluster;

    memset(&cluster, 0, sizeof(cluster));
    cluster.name = balancers[_i].name;
    ck_assert_str_eq(clone_seats_name(&cluster, 0, p), balancers[_i].plain);
    ck_assert_str_eq(clone_seats_name(&cluster, 1, p), balancers[_i].other);
}
END_TEST

START_TEST(long_names_are_cut_and_stay_apart)
{
    clone_plugin_cluster_t cluster;
    char a[CLONE_SEATS_NAME_MAX + 20];
    const char *first;

    memset(&cluster, 0, sizeof(cluster));
    memset(a, 'a', sizeof(a));
    a[sizeof(a) - 1] = '\0';
    cluster.name = a;
    first = clone_seats_name(&cluster, 0, p);
    ck_assert_uint_eq(strlen(first), CLONE_SEATS_NAME_MAX);
    a[sizeof(a) - 2] = 'b';
    ck_assert_str_ne(clone_seats_name(&cluster, 0, p), first);
    a[CLONE_SEATS_NAME_MAX] = '\0';
    ck_assert_str_eq(clone_seats_name(&cluster, 0, p), a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_seats");
    TCase *tests = tcase_create("clone_seats");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_server_has_a_seat_with_all_that_the_file_says);
    tcase_add_test(tests,
                   a_seat_has_the_limit_of_its_server_if_it_has_one);
    tcase_add_test(tests, weights_beyond_the_range_keep_their_proportion);
    tcase_add_test(tests,
                   backups_sit_behind_in_their_order_and_the_idle_nowhere);
    tcase_add_loop_test(tests, a_socket_is_quiet_for_so_long_at_most, 0,
                        (int)(sizeof(sockets) / sizeof(sockets[0])));
    tcase_add_test(tests, one_address_has_one_seat);
    tcase_add_test(tests, the_clusters_address_sits_behind_all_without_a_route);
    tcase_add_test(tests, two_transports_make_two_sides);
    tcase_add_test(tests, one_transport_makes_one_side_and_may_need_tls);
    tcase_add_loop_test(tests, a_clusters_name_becomes_a_balancers, 0,
                        LENGTH_OF(balancers));
    tcase_add_test(tests, long_names_are_cut_and_stay_apart);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
