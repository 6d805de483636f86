/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_cluster.h"

#include <check.h>
#include <stdlib.h>

#include <apr_strings.h>

#include "clone_xml.h"
#include "plugin_site.h"

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static plugin_site_t site;

static void set_up(void)
{
    plugin_site_open(&site);
}

static void tear_down(void)
{
    plugin_site_close(&site);
}

static clone_plugin_cluster_t cluster;

/* Line 1 has the attributes, what is inside begins in line 2. */
static void read_cluster(const char *attributes, const char *inside)
{
    const apr_xml_elem *root;
    const char *text = apr_pstrcat(site.p, "<ServerCluster ", attributes,
                                   ">\n", inside, "</ServerCluster>", NULL);

    site.findings = clone_findings_make(site.p);
    ck_assert_int_eq(clone_xml_parse(&root, site.findings, span_of_text(text),
                                     site.p), CLONE_FINDING_OK);
    memset(&cluster, 0, sizeof(cluster));
    clone_cluster_read(&cluster, root, 0, site.findings, site.p);
}

/* A server with a transport, all in one line. */
#define SERVER(name, attributes) \
    "<Server Name='" name "' " attributes ">" \
    "<Transport Hostname='h' Port='80'/></Server>\n"

START_TEST(what_a_cluster_leaves_unsaid_is_safe)
{
    read_cluster("Name='c'", SERVER("s", ""));
    ck_assert_str_eq(cluster.name, "c");
    ck_assert_int_eq(cluster.balance, CLONE_PLUGIN_ROUND_ROBIN);
    ck_assert_int_eq(cluster.retry_sec, 60);
    ck_assert_int_eq(cluster.timeout_retries, -1);
    ck_assert_int_eq(cluster.removes_special_headers, 1);
    ck_assert_int_eq(cluster.is_plus_separated, 0);
    ck_assert(cluster.post_limit == -1);
    ck_assert(cluster.post_buffer == 64 * 1024);
    ck_assert_int_eq(cluster.ignores_affinity, 1);
    ck_assert_int_eq(cluster.gets_dwlm_table, 0);
    ck_assert_int_eq(site.findings->list->nelts, 0);
}
END_TEST

START_TEST(what_a_server_leaves_unsaid_is_safe)
{
    const clone_plugin_server_t *server;

    read_cluster("Name='c'", SERVER("s", ""));
    ck_assert_uint_eq(cluster.server_count, 1);
    server = &cluster.server[0];
    ck_assert_ptr_null(server->clone_id);
    ck_assert_uint_eq(server->weight, 2);
    ck_assert_int_eq(server->connect_timeout_sec, 5);
    ck_assert_int_eq(server->io_timeout_sec, 900);
    ck_assert_int_eq(server->io_timeout_downs, 0);
    ck_assert_int_eq(server->ws_io_timeout_sec, -1);
    ck_assert_int_eq(server->ws_idle_timeout_sec, -1);
    ck_assert_uint_eq(server->max_connections, 0);
    ck_assert_int_eq(server->marks_busy_down, 0);
    ck_assert_int_eq(server->wait_for_continue, 0);
    ck_assert_int_eq(server->extended_handshake, 0);
    ck_assert_int_eq(server->transport[0].is_https, 0);
    ck_assert_uint_eq(server->line, 2);
}
END_TEST

START_TEST(the_sign_of_a_timeout_says_what_becomes_of_the_server)
{
    read_cluster("Name='c'", SERVER("a", "ServerIOTimeout='-30'")
                 SERVER("b", "ServerIOTimeout='30'")
                 SERVER("c", "ServerIOTimeout='0'"));
    ck_assert_int_eq(cluster.server[0].io_timeout_sec, 30);
    ck_assert_int_eq(cluster.server[0].io_timeout_downs, 1);
    ck_assert_int_eq(cluster.server[1].io_timeout_sec, 30);
    ck_assert_int_eq(cluster.server[1].io_timeout_downs, 0);
    ck_assert_int_eq(cluster.server[2].io_timeout_sec, 0);
    ck_assert_int_eq(cluster.server[2].io_timeout_downs, 0);
}
END_TEST

START_TEST(mark_busy_down_is_inherited)
{
    read_cluster("Name='c' MarkBusyDown='true'", SERVER("a", "")
                 SERVER("b", "MarkBusyDown='false'"));
    ck_assert_int_eq(cluster.server[0].marks_busy_down, 1);
    ck_assert_int_eq(cluster.server[1].marks_busy_down, 0);
}
END_TEST

typedef struct balance_t {
    const char *attributes;
    clone_plugin_balance_e balance;
    int is_warned;
} balance_t;

static const balance_t balances[] = {
    { "LoadBalance='Round Robin'", CLONE_PLUGIN_ROUND_ROBIN, 0 },
    { "LoadBalance='round robin'", CLONE_PLUGIN_ROUND_ROBIN, 0 },
    { "LoadBalance='Round-Robin'", CLONE_PLUGIN_ROUND_ROBIN, 1 },
    { "LoadBalance='CloneId'", CLONE_PLUGIN_ROUND_ROBIN, 1 },
    { "LoadBalance='Random'", CLONE_PLUGIN_RANDOM, 0 },
    { "LoadBalance='RANDOM'", CLONE_PLUGIN_RANDOM, 0 },
    { "LoadBalance=' random.'", CLONE_PLUGIN_RANDOM, 1 },
    { "LoadBalance='Randomized'", CLONE_PLUGIN_ROUND_ROBIN, 1 },
    { "LoadBalance='Rand'", CLONE_PLUGIN_ROUND_ROBIN, 1 },
    { "LoadBalance=''", CLONE_PLUGIN_ROUND_ROBIN, 0 }
};

START_TEST(load_balance_is_read_in_many_spellings)
{
    read_cluster(balances[_i].attributes, "");
    ck_assert_int_eq(cluster.balance, balances[_i].balance);
    ck_assert_int_eq(site.findings->count[CLONE_WARNING],
                     balances[_i].is_warned);
}
END_TEST

START_TEST(without_a_list_all_servers_are_primary)
{
    read_cluster("Name='c'", SERVER("a", "") SERVER("b", "")
                 "<BackupServers><Server Name='a'/></BackupServers>");
    ck_assert_uint_eq(cluster.primary_count, 1);
    ck_assert_ptr_eq(cluster.primary[0], &cluster.server[1]);
    ck_assert_uint_eq(cluster.backup_count, 1);
    ck_assert_ptr_eq(cluster.backup[0], &cluster.server[0]);
    ck_assert_int_eq(cluster.server[0].role, CLONE_PLUGIN_BACKUP);
}
END_TEST

START_TEST(lists_have_an_order_of_their_own)
{
    read_cluster("Name='c'", SERVER("a", "") SERVER("b", "")
                 SERVER("c", "") SERVER("d", "")
                 "<PrimaryServers><Server Name='c'/><Server Name='a'/>"
                 "</PrimaryServers><BackupServers><Server Name='b'/>"
                 "</BackupServers>");
    ck_assert_uint_eq(cluster.primary_count, 2);
    ck_assert_str_eq(cluster.primary[0]->name, "c");
    ck_assert_uint_eq(cluster.primary[0]->rank, 0);
    ck_assert_str_eq(cluster.primary[1]->name, "a");
    ck_assert_uint_eq(cluster.primary[1]->rank, 1);
    ck_assert_uint_eq(cluster.backup_count, 1);
    ck_assert_int_eq(cluster.server[3].role, CLONE_PLUGIN_IDLE);
    ck_assert_int_eq(site.findings->list->nelts, 0);
}
END_TEST

START_TEST(an_empty_list_of_primary_servers_has_none)
{
    read_cluster("Name='c'", SERVER("a", "") "<PrimaryServers/>");
    ck_assert_uint_eq(cluster.primary_count, 0);
    ck_assert_int_eq(cluster.server[0].role, CLONE_PLUGIN_IDLE);
}
END_TEST

START_TEST(pointers_to_nothing_and_second_ones_are_left_out)
{
    read_cluster("Name='c'", SERVER("a", "")
                 "<PrimaryServers>\n<Server Name='b'/>\n<Server Name='a'/>\n"
                 "<Server Name='a'/>\n<Server/></PrimaryServers>\n"
                 "<BackupServers><Server Name='a'/></BackupServers>");
    ck_assert_uint_eq(cluster.primary_count, 1);
    ck_assert_uint_eq(cluster.backup_count, 0);
    plugin_site_expect(site.findings, 4, CLONE_WARNING,
                       CLONE_FINDING_DANGLING, "PrimaryServers names 'b'");
    plugin_site_expect(site.findings, 6, CLONE_WARNING,
                       CLONE_FINDING_DUPLICATE, "'a', which is listed");
    plugin_site_expect(site.findings, 7, CLONE_WARNING,
                       CLONE_FINDING_DANGLING, "names ''");
    plugin_site_expect(site.findings, 8, CLONE_WARNING,
                       CLONE_FINDING_DUPLICATE, "BackupServers names 'a'");
}
END_TEST

START_TEST(a_second_server_and_one_without_address_get_nothing)
{
    read_cluster("Name='c'", SERVER("a", "CloneID='1'")
                 SERVER("a", "CloneID='2'") "<Server Name='b'/>\n");
    ck_assert_uint_eq(cluster.server_count, 2);
    ck_assert_str_eq(cluster.server[0].clone_id, "1");
    ck_assert_uint_eq(cluster.primary_count, 1);
    ck_assert_int_eq(cluster.server[1].role, CLONE_PLUGIN_IDLE);
    plugin_site_expect(site.findings, 3, CLONE_WARNING,
                       CLONE_FINDING_DUPLICATE, "Server 'a'");
    plugin_site_expect(site.findings, 4, CLONE_WARNING,
                       CLONE_FINDING_DANGLING, "has no Transport");
}
END_TEST

START_TEST(a_cluster_of_too_many_servers_is_refused)
{
    apr_array_header_t *servers = apr_array_make(site.p, 8, sizeof(char *));
    int i;

    for (i = 0; i <= CLONE_PLUGIN_SERVERS_MAX; i++) {
        APR_ARRAY_PUSH(servers, const char *) = apr_psprintf(
            site.p, "<Server Name='%d'/>", i);
    }
    read_cluster("Name='c'", apr_array_pstrcat(site.p, servers, 0));
    ck_assert_int_eq(site.findings->first, CLONE_FINDING_LIMIT);
    ck_assert_uint_eq(cluster.server_count, 0);
    apr_array_pop(servers);
    read_cluster("Name='c'", apr_array_pstrcat(site.p, servers, 0));
    ck_assert_int_eq(site.findings->first, CLONE_FINDING_OK);
    ck_assert_uint_eq(cluster.server_count, CLONE_PLUGIN_SERVERS_MAX);
}
END_TEST

/* What is between the tags of a server, and what is said of it. */
typedef struct transport_t {
    const char *attributes;
    clone_finding_e kind; /* OK: it is taken */
    const char *says;     /* or the host */
} transport_t;

static const transport_t transports[] = {
    { "Hostname='Was1.Example.com' Port='9080'", CLONE_FINDING_OK,
      "was1.example.com" },
    { "Hostname='10.0.0.1' Port='9080' Protocol='HTTP'", CLONE_FINDING_OK,
      "10.0.0.1" },
    { "Hostname='[2001:DB8::1]' Port='1'", CLONE_FINDING_OK, "2001:db8::1" },
    { "Hostname='::1' Port='1'", CLONE_FINDING_OK, "::1" },
    { "Hostname='my_host' Port='65535'", CLONE_FINDING_OK, "my_host" },
    { "Port='1'", CLONE_FINDING_MISSING, "no Hostname" },
    { "Hostname='a'", CLONE_FINDING_MISSING, "no Port" },
    { "Hostname='' Port='1'", CLONE_FINDING_MISSING, "no Hostname" },
    { "Hostname='a' Port='0'", CLONE_FINDING_INVALID, "not '0'" },
    { "Hostname='a' Port='65536'", CLONE_FINDING_INVALID, "'65536'" },
    { "Hostname='a' Port='http'", CLONE_FINDING_INVALID, "'http'" },
    { "Hostname='a/b' Port='1'", CLONE_FINDING_INVALID, "'a/b'" },
    { "Hostname='a@b' Port='1'", CLONE_FINDING_INVALID, "'a@b'" },
    { "Hostname='a b' Port='1'", CLONE_FINDING_INVALID, "'a b'" },
    { "Hostname='[]' Port='1'", CLONE_FINDING_INVALID, "''" },
    { "Hostname='[' Port='1'", CLONE_FINDING_INVALID, "'['" },
    { "Hostname=']' Port='1'", CLONE_FINDING_INVALID, "']'" },
    { "Hostname='a' Port='1' Protocol='ajp'", CLONE_FINDING_INVALID,
      "'ajp'" }
};

START_TEST(an_address_is_fit_for_a_url_or_refused)
{
    const transport_t *row = &transports[_i];

    read_cluster("Name='c'", apr_pstrcat(site.p,
                                         "<Server Name='s'>\n<Transport ",
                                         row->attributes, "/></Server>",
                                         NULL));
    if (row->kind == CLONE_FINDING_OK) {
        ck_assert_int_eq(site.findings->first, CLONE_FINDING_OK);
        ck_assert_str_eq(cluster.server[0].transport[0].host, row->says);
        return;
    }
    ck_assert_uint_eq(cluster.server[0].transport_count, 0);
    plugin_site_expect(site.findings, 3, CLONE_ERROR, row->kind, row->says);
}
END_TEST

START_TEST(strangers_are_noted_where_they_stand)
{
    read_cluster("Name='c'", "<Server Name='s'><Transport Hostname='h'\n"
                 "Port='1'><Property Name='x' Value='y'/>\n<Y/>\n"
                 "<Property Value='y'/></Transport>\n<Z/></Server>\n<W/>\n"
                 "<PrimaryServers><V/></PrimaryServers>");
    plugin_site_expect(site.findings, 3, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                       "Property 'x'");
    plugin_site_expect(site.findings, 4, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                       "element Y in Transport");
    plugin_site_expect(site.findings, 6, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                       "element Z in Server");
    plugin_site_expect(site.findings, 7, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                       "element W in ServerCluster");
    plugin_site_expect(site.findings, 8, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                       "element V in PrimaryServers");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_cluster");
    TCase *tests = tcase_create("clone_cluster");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_a_cluster_leaves_unsaid_is_safe);
    tcase_add_test(tests, what_a_server_leaves_unsaid_is_safe);
    tcase_add_test(tests,
                   the_sign_of_a_timeout_says_what_becomes_of_the_server);
    tcase_add_test(tests, mark_busy_down_is_inherited);
    tcase_add_loop_test(tests, load_balance_is_read_in_many_spellings, 0,
                        LENGTH_OF(balances));
    tcase_add_test(tests, without_a_list_all_servers_are_primary);
    tcase_add_test(tests, lists_have_an_order_of_their_own);
    tcase_add_test(tests, an_empty_list_of_primary_servers_has_none);
    tcase_add_test(tests, pointers_to_nothing_and_second_ones_are_left_out);
    tcase_add_test(tests,
                   a_second_server_and_one_without_address_get_nothing);
    tcase_add_test(tests, a_cluster_of_too_many_servers_is_refused);
    tcase_add_loop_test(tests, an_address_is_fit_for_a_url_or_refused, 0,
                        LENGTH_OF(transports));
    tcase_add_test(tests, strangers_are_noted_where_they_stand);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
