/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_lint.h"

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

static void lint(const char *text)
{
    plugin_site_read(&site, text);
    ck_assert_ptr_nonnull(site.plugin);
    clone_lint(site.plugin, site.findings, site.p);
    ck_assert_uint_eq(site.findings->count[CLONE_ERROR], 0);
}

/* Two servers that nothing is wrong with, in lines 3 and 5. */
static const char good[] =
    "<Config>\n"
    "<ServerCluster Name='c' RetryInterval='9'>\n"
    "<Server Name='a' CloneID='aa'>\n"
    "<Transport Hostname='a' Port='1'/></Server>\n"
    "<Server Name='b' CloneID='bb'>\n"
    "<Transport Hostname='b' Port='1'/></Server>\n"
    "</ServerCluster>\n"
    "<VirtualHostGroup Name='h'><VirtualHost Name='*:80'/>"
    "</VirtualHostGroup>\n"
    "<UriGroup Name='u'><Uri Name='/*'/></UriGroup>\n"
    "<Route ServerCluster='c' VirtualHostGroup='h' UriGroup='u'/>\n"
    "</Config>\n";

START_TEST(a_file_without_fault_has_no_finding)
{
    lint(good);
    ck_assert_int_eq(site.findings->list->nelts, 0);
}
END_TEST

/* One change, and what is said of it. */
typedef struct row_t {
    const char *part;
    const char *by;
    unsigned int line;
    clone_severity_e severity;
    clone_finding_e kind;
    const char *says;
} row_t;

static const row_t rows[] = {
    /* Unused. */
    { "<Route", "<ServerCluster Name='d'/><Route", 10, CLONE_WARNING,
      CLONE_FINDING_UNUSED, "no Route uses ServerCluster 'd'" },
    { "<Route", "<ServerCluster Name='d'/><Route", 10, CLONE_WARNING,
      CLONE_FINDING_DANGLING, "'d' has no server" },
    { "VirtualHostGroup='h' ", "", 8, CLONE_WARNING, CLONE_FINDING_UNUSED,
      "no Route uses VirtualHostGroup 'h'" },
    { " UriGroup='u'", "", 9, CLONE_WARNING, CLONE_FINDING_UNUSED,
      "no Route uses UriGroup 'u'" },
    { "<VirtualHost Name='*:80'/>", "", 8, CLONE_WARNING,
      CLONE_FINDING_UNUSED, "VirtualHostGroup 'h' is empty" },
    { "<Uri Name='/*'/>", "", 9, CLONE_WARNING, CLONE_FINDING_UNUSED,
      "UriGroup 'u' is empty" },
    { "<Route ", "<Proute ", 0, CLONE_WARNING, CLONE_FINDING_UNUSED,
      "there is no Route" },
    { "</ServerC", "<PrimaryServers><Server Name='a'/></PrimaryServers>"
      "</ServerC", 5, CLONE_WARNING, CLONE_FINDING_UNUSED,
      "Server 'b' is in no list" },
    { "<Config>", "<Config TrustedProxyEnable='true'>", 0, CLONE_NOTE,
      CLONE_FINDING_UNUSED, "without any TrustedProxy" },
    { "<Route", "<TrustedProxyGroup><TrustedProxy Name='p'/>"
      "</TrustedProxyGroup><Route", 0, CLONE_NOTE, CLONE_FINDING_UNUSED,
      "none is trusted" },
    /* Clone ids. */
    { "'bb'", "'aab'", 3, CLONE_WARNING, CLONE_FINDING_DANGEROUS,
      "CloneID 'aa' begins CloneID 'aab' of line 5" },
    { "'aa'", "'bbb'", 5, CLONE_WARNING, CLONE_FINDING_DANGEROUS,
      "CloneID 'bb' begins CloneID 'bbb' of line 3" },
    { "'bb'", "'aa'", 5, CLONE_WARNING, CLONE_FINDING_DUPLICATE,
      "CloneID 'aa' is that of line 3" },
    { "'bb'", "''", 5, CLONE_WARNING, CLONE_FINDING_DANGEROUS,
      "Server 'b' has no CloneID" },
    { "'bb'", "'b:b'", 5, CLONE_WARNING, CLONE_FINDING_DANGEROUS,
      "'b:b' holds the byte" },
    /* Servers. */
    { "<Server Name='b'", "<Server Name='b' LoadBalanceWeight='0'", 5,
      CLONE_WARNING, CLONE_FINDING_DANGEROUS, "'b' has weight 0" },
    { "<Server Name='b'", "<Server Name='b' ServerIOTimeout='-11'", 5,
      CLONE_WARNING, CLONE_FINDING_DANGEROUS, "negative ServerIOTimeout" },
    { "<Server Name='b'", "<Server Name='b' ConnectTimeout='0'", 5,
      CLONE_NOTE, CLONE_FINDING_DANGEROUS, "ConnectTimeout 0" },
    { "<Server Name='b'", "<Server Name='b' ExtendedHandshake='true'", 5,
      CLONE_NOTE, CLONE_FINDING_IGNORED, "ExtendedHandshake" },
    { "Hostname='b'", "Hostname='A'", 6, CLONE_WARNING,
      CLONE_FINDING_DUPLICATE, "a:1 is an address of this cluster already, "
      "in line 4" },
    { "Hostname='b' Port='1'", "Hostname='b' Port='1' Protocol='https'", 6,
      CLONE_WARNING, CLONE_FINDING_DANGEROUS, "https to b:1 without a key" },
    { "Hostname='b' Port='1'/>", "Hostname='b' Port='1' Protocol='https'>"
      "<Property Name='keyring' Value='/k.kdb'/></Transport>", 6, CLONE_NOTE,
      CLONE_FINDING_IGNORED, "'/k.kdb' cannot be read" },
    { "</ServerC", "<ClusterAddress><Transport Hostname='x' Port='2' "
      "Protocol='https'/></ClusterAddress></ServerC", 7, CLONE_WARNING,
      CLONE_FINDING_DANGEROUS, "https to x:2" },
    /* The interval: (2 - 1) * 9 - 1 = 8. */
    { "<Server Name='b'", "<Server Name='b' ServerIOTimeout='-9'", 2,
      CLONE_WARNING, CLONE_FINDING_DANGEROUS, "at most 8" },
    /* Clusters. */
    { "RetryInterval", "RemoveSpecialHeaders='false' RetryInterval", 2,
      CLONE_WARNING, CLONE_FINDING_DANGEROUS, "$WS headers" },
    { "RetryInterval", "PostSizeLimit='5' RetryInterval", 2, CLONE_NOTE,
      CLONE_FINDING_LENIENT, "read as 5 bytes" },
    { "RetryInterval", "GetDWLMTable='true' RetryInterval", 2, CLONE_NOTE,
      CLONE_FINDING_IGNORED, "GetDWLMTable" }
};

START_TEST(each_danger_is_told_with_its_line)
{
    const row_t *row = &rows[_i];

    lint(plugin_site_edit(good, row->part, row->by, site.p));
    plugin_site_expect(site.findings, row->line, row->severity, row->kind,
                       row->says);
}
END_TEST

START_TEST(ten_seconds_of_timeout_allow_nine_of_retrying)
{
    lint(plugin_site_edit(good, "<Server Name='b'",
                          "<Server Name='b' ServerIOTimeout='-10'", site.p));
    ck_assert_ptr_null(plugin_site_find(site.findings, 2,
                                        CLONE_FINDING_DANGEROUS));
}
END_TEST

START_TEST(a_key_database_is_mentioned_once)
{
    lint("<Config><ServerCluster Name='c'><Server Name='a'>"
         "<Transport Hostname='a' Port='1' Protocol='https'>"
         "<Property Name='keyring' Value='k'/></Transport>"
         "<Transport Hostname='a' Port='2' Protocol='https'>"
         "<Property Name='keyring' Value='k'/></Transport></Server>"
         "</ServerCluster><Route ServerCluster='c'/></Config>");
    ck_assert_int_eq(site.findings->list->nelts, 1);
}
END_TEST

START_TEST(a_server_alone_needs_no_clone_id)
{
    lint("<Config><ServerCluster Name='c'><Server Name='a'>"
         "<Transport Hostname='a' Port='1'/></Server></ServerCluster>"
         "<Route ServerCluster='c'/></Config>");
    ck_assert_int_eq(site.findings->list->nelts, 0);
}
END_TEST

START_TEST(findings_are_in_the_order_of_lines)
{
    int i;

    lint("<Config>\n<UriGroup Name='x'/>\n<ServerCluster Name='c'>\n"
         "<Server Name='a' LoadBalanceWeight='0' Strange=''/>\n"
         "</ServerCluster>\n<VirtualHostGroup Name='h'/>\n</Config>");
    ck_assert_int_gt(site.findings->list->nelts, 5);
    for (i = 1; i < site.findings->list->nelts; i++) {
        ck_assert_uint_le(
            APR_ARRAY_IDX(site.findings->list, i - 1, clone_finding_t).line,
            APR_ARRAY_IDX(site.findings->list, i, clone_finding_t).line);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_lint");
    TCase *tests = tcase_create("clone_lint");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_file_without_fault_has_no_finding);
    tcase_add_loop_test(tests, each_danger_is_told_with_its_line, 0,
                        LENGTH_OF(rows));
    tcase_add_test(tests, ten_seconds_of_timeout_allow_nine_of_retrying);
    tcase_add_test(tests, a_key_database_is_mentioned_once);
    tcase_add_test(tests, a_server_alone_needs_no_clone_id);
    tcase_add_test(tests, findings_are_in_the_order_of_lines);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
