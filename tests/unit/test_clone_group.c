/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_group.h"

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

static const apr_xml_elem *parse(const char *head, const char *inside,
                                 const char *tail)
{
    const apr_xml_elem *root;
    const char *text = apr_pstrcat(site.p, head, inside, tail, NULL);

    site.findings = clone_findings_make(site.p);
    ck_assert_int_eq(clone_xml_parse(&root, site.findings, span_of_text(text),
                                     site.p), CLONE_FINDING_OK);
    return root;
}

static clone_plugin_vhosts_t read_vhosts(const char *inside)
{
    clone_plugin_vhosts_t group = { "g", NULL, 0, 1 };
    const apr_xml_elem *root = parse("<g>\n", inside, "</g>");

    clone_group_read_vhosts(&group, root, site.findings, site.p, site.p);
    return group;
}

static clone_plugin_uris_t read_uris(const char *inside)
{
    clone_plugin_uris_t group = { "g", NULL, 0, 1 };
    const apr_xml_elem *root = parse("<g>\n", inside, "</g>");

    clone_group_read_uris(&group, root, site.findings, site.p, site.p);
    return group;
}

typedef struct row_t {
    const char *name;
    const char *host; /* NULL: any; "" when it is refused */
    unsigned int port;
} row_t;

static const row_t rows[] = {
    { "*:80", NULL, 80 },
    { "Shop.Example.COM:9443", "shop.example.com", 9443 },
    { "shop:1", "shop", 1 },
    { "shop:65535", "shop", 65535 },
    { "shop:*", "shop", 0 },
    { "*:*", NULL, 0 },
    { "*", NULL, 0 },
    { "shop", "shop", 0 },
    { "10.0.0.1:80", "10.0.0.1", 80 },
    { "[2001:DB8::1]:80", "[2001:db8::1]", 80 },
    { "[::1]", "[::1]", 0 },
    { "::1:80", "[::1]", 80 },
    { "[::1]:*", "[::1]", 0 },
    /* Refused. */
    { ":80", "", 0 },
    { "shop:", "", 0 },
    { "shop:0", "", 0 },
    { "shop:65536", "", 0 },
    { "shop:999999999999", "", 0 },
    { "shop:http", "", 0 },
    { "shop:80 ", "", 0 },
    { "shop:-1", "", 0 },
    { "", "", 0 }
};

START_TEST(a_virtual_host_is_host_and_port)
{
    const row_t *row = &rows[_i];
    clone_plugin_vhosts_t group = read_vhosts(
        apr_pstrcat(site.p, "<VirtualHost Name='", row->name, "'/>", NULL));

    if (row->host != NULL && row->host[0] == '\0') {
        ck_assert_uint_eq(group.count, 0);
        plugin_site_expect(site.findings, 2, CLONE_ERROR, row->name[0] == '\0'
                           ? CLONE_FINDING_MISSING : CLONE_FINDING_INVALID,
                           "host:port, not '");
        return;
    }
    ck_assert_uint_eq(group.count, 1);
    ck_assert_str_eq(group.vhost[0].name, row->name);
    ck_assert_uint_eq(group.vhost[0].port, row->port);
    ck_assert_uint_eq(group.vhost[0].line, 2);
    if (row->host == NULL) {
        ck_assert_ptr_null(group.vhost[0].host);
    }
    else {
        ck_assert_str_eq(group.vhost[0].host, row->host);
    }
}
END_TEST

START_TEST(a_virtual_host_twice_is_there_once)
{
    clone_plugin_vhosts_t group = read_vhosts(
        "<VirtualHost Name='a:80'/>\n<VirtualHost Name='b:80'/>\n"
        "<VirtualHost Name='A:80'/>\n<VirtualHost Name='a:81'/>");

    ck_assert_uint_eq(group.count, 3);
    ck_assert_str_eq(group.vhost[2].name, "a:81");
    plugin_site_expect(site.findings, 4, CLONE_NOTE, CLONE_FINDING_DUPLICATE,
                       "is in this group already");
}
END_TEST

START_TEST(half_a_star_is_no_wildcard)
{
    ck_assert_uint_eq(read_vhosts("<VirtualHost Name='*.example.com:80'/>")
                      .count, 1);
    plugin_site_expect(site.findings, 2, CLONE_WARNING,
                       CLONE_FINDING_LENIENT, "matches no host");
    read_vhosts("<VirtualHost Name='shop'/>");
    plugin_site_expect(site.findings, 2, CLONE_NOTE, CLONE_FINDING_LENIENT,
                       "names no port");
}
END_TEST

START_TEST(cookies_belong_to_patterns)
{
    clone_plugin_uris_t group = read_uris(
        "<Uri Name='/a/*' AffinityCookie='C' AffinityURLIdentifier='u'/>\n"
        "<Uri Name='/b'/><Uri Name='*.c' AffinityCookie=''\n"
        "AffinityURLIdentifier=''/>");

    ck_assert_uint_eq(group.count, 3);
    ck_assert_str_eq(group.uri[0].name, "/a/*");
    ck_assert_str_eq(group.uri[0].cookie, "C");
    ck_assert_str_eq(group.uri[0].url_id, "u");
    ck_assert_str_eq(group.uri[1].cookie, "JSESSIONID");
    ck_assert_str_eq(group.uri[1].url_id, "jsessionid");
    ck_assert_uint_eq(group.uri[1].line, 3);
    ck_assert_ptr_null(group.uri[2].cookie);
    ck_assert_ptr_null(group.uri[2].url_id);
    ck_assert_int_eq(site.findings->list->nelts, 0);
}
END_TEST

START_TEST(a_pattern_has_one_star)
{
    clone_plugin_uris_t group = read_uris(
        "<Uri Name='/a/*/b/*'/>\n<Uri Name='a/*'/>\n<Uri Name='/a'/>\n"
        "<Uri Name='/a'/>\n<Uri/>\n<Url/>");

    ck_assert_uint_eq(group.count, 2);
    ck_assert_str_eq(group.uri[0].name, "a/*");
    plugin_site_expect(site.findings, 2, CLONE_WARNING,
                       CLONE_FINDING_LENIENT, "only one '*'");
    plugin_site_expect(site.findings, 3, CLONE_WARNING,
                       CLONE_FINDING_LENIENT, "matches no path");
    plugin_site_expect(site.findings, 5, CLONE_NOTE, CLONE_FINDING_DUPLICATE,
                       "Uri '/a' is in this group already");
    plugin_site_expect(site.findings, 6, CLONE_ERROR, CLONE_FINDING_MISSING,
                       "Uri has no Name");
    plugin_site_expect(site.findings, 7, CLONE_NOTE, CLONE_FINDING_UNKNOWN,
                       "Url");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_group");
    TCase *tests = tcase_create("clone_group");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_virtual_host_is_host_and_port, 0,
                        LENGTH_OF(rows));
    tcase_add_test(tests, a_virtual_host_twice_is_there_once);
    tcase_add_test(tests, half_a_star_is_no_wildcard);
    tcase_add_test(tests, cookies_belong_to_patterns);
    tcase_add_test(tests, a_pattern_has_one_star);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
