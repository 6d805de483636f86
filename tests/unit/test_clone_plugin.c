/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_plugin.h"

#include <check.h>
#include <stdlib.h>

#include <apr_strings.h>

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

START_TEST(every_part_of_a_file_is_in_its_record)
{
    const clone_plugin_t *plugin;

    plugin_site_read(&site, plugin_site_sample);
    plugin = site.plugin;
    ck_assert_ptr_nonnull(plugin);
    ck_assert_int_eq(site.findings->list->nelts, 0);
    ck_assert_int_eq(plugin->refresh_sec, 30);
    ck_assert_int_eq(plugin->ignores_dns_failures, 1);
    ck_assert_int_eq(plugin->prefers_server_port, 1);
    ck_assert_int_eq(plugin->matches_server_port, 0);
    ck_assert_int_eq(plugin->trusts_proxies, 1);
    ck_assert_str_eq(plugin->log_name, "/var/log/plugin.log");
    ck_assert_str_eq(plugin->log_level, "Error");
    ck_assert_uint_eq(plugin->property_count, 1);
    ck_assert_str_eq(plugin->property[0].name, "ESIEnable");
    ck_assert_str_eq(plugin->property[0].value, "true");
    ck_assert_uint_eq(plugin->property[0].line, 7);
    ck_assert_uint_eq(plugin->trusted_proxy_count, 2);
    ck_assert_str_eq(plugin->trusted_proxy[1], "10.0.0.2");
    ck_assert_uint_eq(plugin->vhosts_count, 1);
    ck_assert_uint_eq(plugin->vhosts[0].count, 3);
    ck_assert_uint_eq(plugin->uris_count, 1);
    ck_assert_uint_eq(plugin->uris[0].count, 3);
    ck_assert_uint_eq(plugin->cluster_count, 1);
    ck_assert_uint_eq(plugin->route_count, 1);
    ck_assert_ptr_eq(plugin->route[0].vhosts, &plugin->vhosts[0]);
    ck_assert_ptr_eq(plugin->route[0].uris, &plugin->uris[0]);
    ck_assert_ptr_eq(plugin->route[0].cluster, &plugin->cluster[0]);
}
END_TEST

START_TEST(every_part_of_a_cluster_is_in_its_record)
{
    const clone_plugin_cluster_t *cluster;
    const clone_plugin_server_t *one;

    plugin_site_read(&site, plugin_site_sample);
    cluster = &site.plugin->cluster[0];
    ck_assert_int_eq(cluster->balance, CLONE_PLUGIN_RANDOM);
    ck_assert_int_eq(cluster->retry_sec, 20);
    ck_assert_int_eq(cluster->timeout_retries, 2);
    ck_assert(cluster->post_buffer == 128 * 1024);
    ck_assert_int_eq(cluster->is_plus_separated, 1);
    ck_assert_int_eq(cluster->ignores_affinity, 0);
    ck_assert_uint_eq(cluster->server_count, 3);
    ck_assert_uint_eq(cluster->address_count, 1);
    ck_assert_str_eq(cluster->address[0].host, "all");
    ck_assert_uint_eq(cluster->primary_count, 2);
    one = cluster->primary[1];
    ck_assert_str_eq(one->name, "one");
    ck_assert_str_eq(one->clone_id, "v1a");
    ck_assert_uint_eq(one->weight, 3);
    ck_assert_int_eq(one->connect_timeout_sec, 2);
    ck_assert_int_eq(one->io_timeout_sec, 30);
    ck_assert_int_eq(one->io_timeout_downs, 1);
    ck_assert_int_eq(one->ws_io_timeout_sec, 40);
    ck_assert_int_eq(one->ws_idle_timeout_sec, 50);
    ck_assert_uint_eq(one->max_connections, 100);
    ck_assert_int_eq(one->wait_for_continue, 1);
    ck_assert_uint_eq(one->transport_count, 2);
    ck_assert_str_eq(one->transport[1].keyring, "/etc/key.kdb");
    ck_assert_str_eq(one->transport[1].stashfile, "/etc/key.sth");
    ck_assert_str_eq(one->transport[1].cert_label, "shop");
    ck_assert_uint_eq(one->transport[1].line, 23);
    ck_assert_str_eq(cluster->backup[0]->name, "three");
}
END_TEST

START_TEST(an_address_is_as_secure_as_the_client_s_connection)
{
    const clone_plugin_cluster_t *cluster;
    clone_plugin_server_t none;

    plugin_site_read(&site, plugin_site_sample);
    cluster = &site.plugin->cluster[0];
    ck_assert_uint_eq(clone_plugin_transport(&cluster->server[0], 1)->port,
                      9443);
    ck_assert_uint_eq(clone_plugin_transport(&cluster->server[0], 0)->port,
                      9080);
    ck_assert_uint_eq(clone_plugin_transport(&cluster->server[1], 1)->port,
                      9080);
    none = cluster->server[0];
    none.transport_count = 0;
    ck_assert_ptr_null(clone_plugin_transport(&none, 0));
}
END_TEST

START_TEST(an_empty_config_is_a_file_of_defaults)
{
    plugin_site_read(&site, "<Config/>");
    ck_assert_ptr_nonnull(site.plugin);
    ck_assert_int_eq(site.plugin->refresh_sec, 60);
    ck_assert_int_eq(site.plugin->prefers_server_port, 0);
    ck_assert_ptr_null(site.plugin->log_name);
    ck_assert_uint_eq(site.plugin->route_count, 0);
}
END_TEST

START_TEST(every_prefix_of_a_file_is_refused_or_read_and_never_half)
{
    apr_size_t len = strlen(plugin_site_sample);
    apr_size_t i;

    for (i = 0; i < len; i++) {
        apr_pool_t *whole = site.p;

        ck_assert_int_eq(apr_pool_create(&site.p, whole), APR_SUCCESS);
        plugin_site_read_span(&site, span_of(plugin_site_sample, i));
        /* Only white space is missing in the last one. */
        ck_assert((site.plugin != NULL) == (i == len - 1));
        apr_pool_destroy(site.p);
        site.p = whole;
    }
}
END_TEST

START_TEST(every_flipped_byte_is_refused_or_read)
{
    apr_size_t len = strlen(plugin_site_sample);
    apr_size_t i;

    for (i = 0; i < len; i++) {
        apr_pool_t *whole = site.p;
        char *text;

        ck_assert_int_eq(apr_pool_create(&site.p, whole), APR_SUCCESS);
        text = apr_pstrdup(site.p, plugin_site_sample);
        text[i] = (char)(text[i] ^ (1 << (i % 8)));
        plugin_site_read_span(&site, span_of(text, len));
        apr_pool_destroy(site.p);
        site.p = whole;
    }
}
END_TEST

/* One change to the sample, and what is said of it. */
typedef struct row_t {
    const char *part;
    const char *by;
    unsigned int line;
    clone_severity_e severity;
    clone_finding_e kind;
    const char *says;
} row_t;

static const row_t rows[] = {
    /* Errors: no record. */
    { "<Config ", "<Konfig ", 56, CLONE_ERROR, CLONE_FINDING_XML, "Konfig" },
    { "RefreshInterval=\"30\"", "RefreshInterval=\"fast\"", 2, CLONE_ERROR,
      CLONE_FINDING_INVALID, "RefreshInterval must be a number" },
    { "=\"10.0.0.1\"", "=\"\"", 53, CLONE_ERROR, CLONE_FINDING_MISSING,
      "TrustedProxy has no Name" },
    { "VirtualHostGroup Name=\"hosts\"", "VirtualHostGroup", 8, CLONE_ERROR,
      CLONE_FINDING_MISSING, "VirtualHostGroup has no Name" },
    { "UriGroup Name=\"uris\"", "UriGroup", 44, CLONE_ERROR,
      CLONE_FINDING_MISSING, "UriGroup has no Name" },
    { "ServerCluster Name=\"shop\"", "ServerCluster", 13, CLONE_ERROR,
      CLONE_FINDING_MISSING, "ServerCluster has no Name" },
    { "ServerCluster=\"shop\"", "", 50, CLONE_ERROR, CLONE_FINDING_MISSING,
      "names no ServerCluster" },
    { "Port=\"9443\"", "Port=\"9443a\"", 23, CLONE_ERROR,
      CLONE_FINDING_INVALID, "'9443a'" },
    /* The rest is read. */
    { "ServerCluster=\"shop\"", "ServerCluster=\"s\"", 50, CLONE_WARNING,
      CLONE_FINDING_DANGLING, "no ServerCluster 's'" },
    { "UriGroup=\"uris\"", "UriGroup=\"u\"", 50, CLONE_WARNING,
      CLONE_FINDING_DANGLING, "no UriGroup 'u'" },
    { "VirtualHostGroup=\"hosts\"", "VirtualHostGroup=\"h\"", 50,
      CLONE_WARNING, CLONE_FINDING_DANGLING, "no VirtualHostGroup 'h'" },
    { "\"WebserverPort\"", "\"webServer\"", 2, CLONE_WARNING,
      CLONE_FINDING_LENIENT, "read as HostHeader" },
    { "<Log", "<Logg", 6, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
      "element Logg in Config" },
    { "<Log", "<RequestMetrics><a/></RequestMetrics><Log", 6, CLONE_NOTE,
      CLONE_FINDING_IGNORED, "RequestMetrics has no effect" },
    { "<Log", "<IntelligentManagement/><Log", 6, CLONE_NOTE,
      CLONE_FINDING_IGNORED, "IntelligentManagement" },
    { "<Log", "<ConfigHash>7</ConfigHash><Extra/><Log", 6, CLONE_NOTE,
      CLONE_FINDING_UNKNOWN, "Extra" },
    { "ConfigHash", "FIPSEnable", 2, CLONE_NOTE, CLONE_FINDING_IGNORED,
      "FIPSEnable=\"-7\" has no effect" },
    { "HTTPMaxHeaders=\"300", "HTTPMaxHeaders=\"30", 2, CLONE_NOTE,
      CLONE_FINDING_IGNORED, "HTTPMaxHeaders=\"30\" has no effect" },
    { "ResponseChunkSize=\"64", "ResponseChunkSize=\"all", 2, CLONE_NOTE,
      CLONE_FINDING_IGNORED, "ResponseChunkSize=\"all\" has no effect" },
    { "ConfigHash", "MyProperty", 2, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
      "MyProperty" },
    { "RefreshInterval", "refreshinterval", 2, CLONE_NOTE,
      CLONE_FINDING_LENIENT, "refreshinterval" },
    { "<UriGroup ", "<VirtualHostGroup Name='hosts'/><UriGroup ", 44,
      CLONE_WARNING, CLONE_FINDING_DUPLICATE, "VirtualHostGroup 'hosts'" },
    { "<Route ", "<UriGroup Name='uris'/><Route ", 50, CLONE_WARNING,
      CLONE_FINDING_DUPLICATE, "UriGroup 'uris'" },
    { "<Route ", "<ServerCluster Name='shop'/><Route ", 50, CLONE_WARNING,
      CLONE_FINDING_DUPLICATE, "ServerCluster 'shop'" },
    { "<TrustedProxy N", "<Proxy/><TrustedProxy N", 53, CLONE_NOTE,
      CLONE_FINDING_UNKNOWN, "Proxy" }
};

START_TEST(a_finding_has_its_line)
{
    const row_t *row = &rows[_i];

    plugin_site_read(&site, plugin_site_edit(plugin_site_sample, row->part,
                                             row->by, site.p));
    plugin_site_expect(site.findings, row->line, row->severity, row->kind,
                       row->says);
    ck_assert((site.plugin == NULL) == (row->severity == CLONE_ERROR));
}
END_TEST

START_TEST(another_document_is_no_plugin_cfg)
{
    plugin_site_read(&site, "<!-- -->\n<html><body/></html>");
    plugin_site_expect(site.findings, 2, CLONE_ERROR, CLONE_FINDING_ROOT,
                       "not 'html'");
}
END_TEST

START_TEST(all_errors_are_told_at_once)
{
    plugin_site_read(&site, "<Config RefreshInterval='x'>\n<UriGroup/>\n"
                     "<Route/></Config>");
    ck_assert_ptr_null(site.plugin);
    ck_assert_uint_eq(site.findings->count[CLONE_ERROR], 3);
    ck_assert_int_eq(site.result, CLONE_FINDING_INVALID);
}
END_TEST

START_TEST(mark_busy_down_of_the_file_reaches_its_servers)
{
    plugin_site_read(&site, plugin_site_edit(
        plugin_site_sample, "<Config ", "<Config MarkBusyDown='true' ",
        site.p));
    ck_assert_int_eq(site.plugin->cluster[0].server[2].marks_busy_down, 1);
}
END_TEST

START_TEST(every_role_has_its_own_word)
{
    ck_assert_str_eq(clone_plugin_role_name(CLONE_PLUGIN_PRIMARY), "primary");
    ck_assert_str_eq(clone_plugin_role_name(CLONE_PLUGIN_BACKUP), "backup");
    ck_assert_str_eq(clone_plugin_role_name(CLONE_PLUGIN_IDLE), "idle");
    ck_assert_str_eq(clone_plugin_role_name((clone_plugin_role_e)3), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_plugin");
    TCase *tests = tcase_create("clone_plugin");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, every_part_of_a_file_is_in_its_record);
    tcase_add_test(tests, every_part_of_a_cluster_is_in_its_record);
    tcase_add_test(tests, an_address_is_as_secure_as_the_client_s_connection);
    tcase_add_test(tests, an_empty_config_is_a_file_of_defaults);
    tcase_add_test(tests,
                   every_prefix_of_a_file_is_refused_or_read_and_never_half);
    tcase_add_test(tests, every_flipped_byte_is_refused_or_read);
    tcase_add_loop_test(tests, a_finding_has_its_line, 0, LENGTH_OF(rows));
    tcase_add_test(tests, another_document_is_no_plugin_cfg);
    tcase_add_test(tests, all_errors_are_told_at_once);
    tcase_add_test(tests, mark_busy_down_of_the_file_reaches_its_servers);
    tcase_add_test(tests, every_role_has_its_own_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
