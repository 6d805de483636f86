/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_match.h"

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

#define CLUSTER(name) "<ServerCluster Name='" name "'/>\n"
#define HOSTS(name, hosts) \
    "<VirtualHostGroup Name='" name "'>" hosts "</VirtualHostGroup>\n"
#define HOST(name) "<VirtualHost Name='" name "'/>"
#define URIS(name, uris) "<UriGroup Name='" name "'>" uris "</UriGroup>\n"
#define URI(name) "<Uri Name='" name "'/>"
#define ROUTE(cluster, hosts, uris) \
    "<Route ServerCluster='" cluster "' VirtualHostGroup='" hosts \
    "' UriGroup='" uris "'/>\n"

static const clone_match_t *match;

static void make_match(const char *text)
{
    plugin_site_read(&site, apr_pstrcat(site.p, "<Config>\n", text,
                                        "</Config>", NULL));
    ck_assert_ptr_nonnull(site.plugin);
    match = clone_match_make(site.plugin, site.findings, site.p);
}

/* The name of the cluster that serves a request, "" when none does. */
static const char *find(clone_match_hit_t *hit, const char *host,
                        unsigned int port, const char *path)
{
    char *h = malloc(strlen(host) + 1);
    char *u = malloc(strlen(path) + 1);
    int is_found;

    /* In blocks of their size, without terminators. */
    ck_assert(h != NULL && u != NULL);
    memcpy(h, host, strlen(host));
    memcpy(u, path, strlen(path));
    is_found = clone_match_find(hit, match, span_of(h, strlen(host)), port,
                                span_of(u, strlen(path)));
    free(h);
    free(u);
    ck_assert(is_found == (hit->route != NULL));
    return is_found ? hit->route->cluster->name : "";
}

/* ---- paths --------------------------------------------------------------- */

static const char paths_file[] =
    CLUSTER("root") CLUSTER("app") CLUSTER("sub") CLUSTER("jsp")
    CLUSTER("whole") CLUSTER("appjsp") CLUSTER("star") CLUSTER("pre")
    URIS("root", URI("/*")) URIS("app", URI("/app/*"))
    URIS("sub", URI("/app/sub/*")) URIS("jsp", URI("*.jsp") URI("*.tar.gz"))
    URIS("whole", URI("/app/sub/exact") URI("/j_security_check"))
    URIS("appjsp", URI("/app/*.jsp")) URIS("star", URI("*"))
    URIS("pre", URI("/pre*") URI("/prefix"))
    "<Route ServerCluster='star' UriGroup='star'/>\n"
    "<Route ServerCluster='root' UriGroup='root'/>\n"
    "<Route ServerCluster='app' UriGroup='app'/>\n"
    "<Route ServerCluster='sub' UriGroup='sub'/>\n"
    "<Route ServerCluster='jsp' UriGroup='jsp'/>\n"
    "<Route ServerCluster='whole' UriGroup='whole'/>\n"
    "<Route ServerCluster='appjsp' UriGroup='appjsp'/>\n"
    "<Route ServerCluster='pre' UriGroup='pre'/>\n";

typedef struct path_t {
    const char *path;
    const char *cluster;
    const char *uri;
} path_t;

static const path_t paths[] = {
    { "/app/sub/exact", "whole", "/app/sub/exact" },
    { "/app/sub/exact/", "sub", "/app/sub/*" },
    { "/app/sub/exac", "sub", "/app/sub/*" },
    { "/app/sub/", "sub", "/app/sub/*" },
    { "/app/sub", "sub", "/app/sub/*" },
    { "/app/subs", "app", "/app/*" },
    { "/app/su", "app", "/app/*" },
    { "/app/", "app", "/app/*" },
    { "/app", "app", "/app/*" },
    { "/apple", "root", "/*" },
    { "/ap", "root", "/*" },
    { "/", "root", "/*" },
    { "", "root", "/*" },
    { "/App/x", "root", "/*" },
    { "/j_security_check", "whole", "/j_security_check" },
    { "/x/j_security_check", "root", "/*" },
    /* A longer head wins, then a longer tail, whatever the order in the
     * file; a head beats a tail alone. */
    { "/app/x.jsp", "appjsp", "/app/*.jsp" },
    { "/app/sub/x.jsp", "sub", "/app/sub/*" },
    { "/app/.jsp", "appjsp", "/app/*.jsp" },
    { "/app/jsp", "app", "/app/*" },
    { "/x.jsp", "root", "/*" },
    { "x.jsp", "jsp", "*.jsp" },
    { "x.tar.gz", "jsp", "*.tar.gz" },
    { "x.gz", "star", "*" },
    { "*", "star", "*" },
    { "/pre", "pre", "/pre*" },
    { "/presto/x", "pre", "/pre*" },
    { "/prefix", "pre", "/prefix" },
    { "/prefix/x", "pre", "/pre*" },
    { "/pr", "root", "/*" },
    /* Parameters of a path are no part of it. */
    { "/app;jsessionid=0000x:a", "app", "/app/*" },
    { "/app;a/sub;b/exact;c;d=e", "whole", "/app/sub/exact" },
    { "/app/x.jsp;v=1.2", "appjsp", "/app/*.jsp" },
    { ";x/app", "app", "/app/*" },
    { ";", "root", "/*" },
    { "/app/;", "app", "/app/*" },
    /* Bytes that sort around '/' and above ASCII. */
    { "/app.x", "root", "/*" },
    { "/app0", "root", "/*" },
    { "/app\xff", "root", "/*" },
    { "\xff", "star", "*" }
};

START_TEST(the_best_pattern_wins)
{
    clone_match_hit_t hit;

    make_match(paths_file);
    ck_assert_str_eq(find(&hit, "any", 80, paths[_i].path),
                     paths[_i].cluster);
    ck_assert_str_eq(hit.uri->name, paths[_i].uri);
    ck_assert_ptr_null(hit.vhost);
}
END_TEST

START_TEST(a_long_path_is_matched_and_one_of_parameters_is_given_up)
{
    char *path = apr_palloc(site.p, CLONE_PATH_MAX + 16);
    clone_match_hit_t hit;

    make_match(paths_file);
    memset(path, 'x', CLONE_PATH_MAX + 15);
    path[CLONE_PATH_MAX + 15] = '\0';
    memcpy(path, "/app/", 5);
    ck_assert_str_eq(find(&hit, "h", 80, path), "app");
    path[CLONE_PATH_MAX] = ';';
    ck_assert_str_eq(find(&hit, "h", 80, path), "app");
    path[CLONE_PATH_MAX] = 'x';
    path[CLONE_PATH_MAX + 1] = ';';
    ck_assert_str_eq(find(&hit, "h", 80, path), "");
}
END_TEST

/* ---- hosts --------------------------------------------------------------- */

static const char hosts_file[] =
    CLUSTER("both") CLUSTER("host") CLUSTER("port") CLUSTER("any")
    CLUSTER("none") CLUSTER("six") CLUSTER("deep")
    HOSTS("any", HOST("*:*")) HOSTS("port", HOST("*:80") HOST("*:8080"))
    HOSTS("host", HOST("shop:*")) HOSTS("both", HOST("Shop:80"))
    HOSTS("six", HOST("[2001:DB8::1]:80"))
    URIS("u", URI("/u/*")) URIS("d", URI("/u/d/*"))
    "<Route ServerCluster='none'/>\n"
    ROUTE("any", "any", "u") ROUTE("port", "port", "u")
    ROUTE("host", "host", "u") ROUTE("both", "both", "u")
    ROUTE("six", "six", "u") ROUTE("deep", "port", "d");

typedef struct host_t {
    const char *host;
    unsigned int port;
    const char *path;
    const char *cluster;
    const char *vhost; /* NULL: none */
} host_t;

static const host_t hosts[] = {
    { "shop", 80, "/u/", "both", "Shop:80" },
    { "SHOP", 80, "/u/", "both", "Shop:80" },
    { "shop", 81, "/u/", "host", "shop:*" },
    { "other", 80, "/u/", "port", "*:80" },
    { "other", 8080, "/u/", "port", "*:8080" },
    { "other", 81, "/u/", "any", "*:*" },
    { "shop.", 80, "/u/", "port", "*:80" },
    { "sho", 80, "/u/", "port", "*:80" },
    { "shops", 80, "/u/", "port", "*:80" },
    { "[2001:db8::1]", 80, "/u/", "six", "[2001:DB8::1]:80" },
    { "[2001:db8::1]", 81, "/u/", "any", "*:*" },
    { "", 80, "/u/", "port", "*:80" },
    { "", 81, "/u/", "any", "*:*" },
    { "shop", 0, "/u/", "host", "shop:*" },
    { "", 0, "/u/", "any", "*:*" },
    { "*", 80, "/u/", "port", "*:80" },
    { "shop", 80, "/x", "none", NULL },
    /* The better host wins over the better path, and hides nothing else. */
    { "shop", 80, "/u/d/", "both", "Shop:80" },
    { "other", 80, "/u/d/", "deep", "*:80" }
};

START_TEST(the_best_host_wins)
{
    const host_t *row = &hosts[_i];
    clone_match_hit_t hit;

    make_match(hosts_file);
    ck_assert_str_eq(find(&hit, row->host, row->port, row->path),
                     row->cluster);
    if (row->vhost == NULL) {
        ck_assert_ptr_null(hit.vhost);
        ck_assert_ptr_null(hit.uri);
    }
    else {
        ck_assert_ptr_nonnull(hit.vhost);
        ck_assert_str_eq(hit.vhost->name, row->vhost);
    }
}
END_TEST

START_TEST(a_better_host_without_the_path_hides_no_other)
{
    clone_match_hit_t hit;

    make_match(CLUSTER("a") CLUSTER("b")
               HOSTS("all", HOST("*:80")) HOSTS("shop", HOST("shop:80"))
               URIS("a", URI("/a/*")) URIS("b", URI("/b/*"))
               ROUTE("a", "all", "a") ROUTE("b", "shop", "b"));
    ck_assert_str_eq(find(&hit, "shop", 80, "/a/x"), "a");
    ck_assert_str_eq(find(&hit, "shop", 80, "/b/x"), "b");
    ck_assert_str_eq(find(&hit, "other", 80, "/b/x"), "");
    ck_assert_str_eq(find(&hit, "shop", 81, "/a/x"), "");
    ck_assert_ptr_null(hit.cookie);
}
END_TEST

START_TEST(a_host_longer_than_any_in_the_file_is_none_of_them)
{
    char *host = apr_palloc(site.p, CLONE_XML_TEXT_MAX + 2);
    clone_match_hit_t hit;

    make_match(hosts_file);
    memset(host, 'x', CLONE_XML_TEXT_MAX + 1);
    host[CLONE_XML_TEXT_MAX + 1] = '\0';
    ck_assert_str_eq(find(&hit, host, 80, "/u/"), "port");
    ck_assert_str_eq(find(&hit, host + 1, 80, "/u/"), "port");
}
END_TEST

START_TEST(a_hit_names_the_cookie_of_its_pattern)
{
    clone_match_hit_t hit;

    make_match(CLUSTER("c") URIS("u", "<Uri Name='/a/*' AffinityCookie='A' "
                                 "AffinityURLIdentifier='a'/><Uri "
                                 "Name='/b/*' AffinityCookie=''/>")
               "<Route ServerCluster='c' UriGroup='u'/>"
               HOSTS("h", HOST("*:81"))
               "<Route ServerCluster='c' VirtualHostGroup='h'/>");
    find(&hit, "h", 80, "/a/");
    ck_assert_str_eq(hit.cookie, "A");
    ck_assert_str_eq(hit.url_id, "a");
    find(&hit, "h", 80, "/b/");
    ck_assert_ptr_null(hit.cookie);
    ck_assert_str_eq(hit.url_id, "jsessionid");
    find(&hit, "h", 81, "/a/");
    ck_assert_ptr_null(hit.uri);
    ck_assert_str_eq(hit.cookie, "JSESSIONID");
    ck_assert_str_eq(hit.url_id, "jsessionid");
}
END_TEST

/* ---- files --------------------------------------------------------------- */

START_TEST(of_two_equal_routes_the_first_counts_and_it_is_told)
{
    clone_match_hit_t hit;

    make_match(CLUSTER("a") CLUSTER("b")             /* 2, 3 */
               HOSTS("h", HOST("*:80") HOST("x:80")) /* 4 */
               HOSTS("i", HOST("*:80"))              /* 5 */
               URIS("u", URI("/u/*"))                /* 6 */
               URIS("v", URI("/u/*") URI("/v/*"))    /* 7 */
               ROUTE("a", "h", "u")                  /* 8 */
               ROUTE("b", "i", "v")                  /* 9 */
               ROUTE("a", "i", "v"));                /* 10 */
    ck_assert_str_eq(find(&hit, "h", 80, "/u/"), "a");
    ck_assert_str_eq(find(&hit, "h", 80, "/v/"), "b");
    plugin_site_expect(site.findings, 7, CLONE_WARNING,
                       CLONE_FINDING_DUPLICATE,
                       "Route in line 9: the Route in line 8 has the same");
    plugin_site_expect(site.findings, 10, CLONE_WARNING,
                       CLONE_FINDING_DUPLICATE, "the Route in line 9");
    ck_assert_uint_eq(site.findings->count[CLONE_WARNING], 2);
}
END_TEST

START_TEST(a_file_without_routes_serves_nothing)
{
    clone_match_hit_t hit;

    make_match(CLUSTER("a") HOSTS("h", HOST("*:80")) URIS("u", URI("/*")));
    ck_assert_str_eq(find(&hit, "h", 80, "/"), "");
    make_match(CLUSTER("a") HOSTS("h", "") URIS("u", URI("/*"))
               ROUTE("a", "h", "u"));
    ck_assert_str_eq(find(&hit, "h", 80, "/"), "");
    make_match(CLUSTER("a") HOSTS("h", HOST("*:80")) URIS("u", "")
               ROUTE("a", "h", "u"));
    ck_assert_str_eq(find(&hit, "h", 80, "/"), "");
}
END_TEST

START_TEST(a_file_of_too_many_combinations_is_refused)
{
    apr_array_header_t *parts = apr_array_make(site.p, 64, sizeof(char *));
    int i;

    APR_ARRAY_PUSH(parts, const char *) = CLUSTER("c") "<UriGroup Name='u'>";
    for (i = 0; i < 2000; i++) {
        APR_ARRAY_PUSH(parts, const char *) = apr_psprintf(
            site.p, "<Uri Name='/%d/*'/>", i);
    }
    APR_ARRAY_PUSH(parts, const char *) = "</UriGroup>";
    for (i = 0; i <= CLONE_MATCH_MAX / 2000; i++) {
        APR_ARRAY_PUSH(parts, const char *) =
            "<Route ServerCluster='c' UriGroup='u'/>";
    }
    make_match(apr_array_pstrcat(site.p, parts, 0));
    ck_assert_ptr_null(match);
    ck_assert_int_eq(site.findings->first, CLONE_FINDING_LIMIT);
    ck_assert_ptr_null(clone_match_make(site.plugin, NULL, site.p));
}
END_TEST

START_TEST(hosts_of_one_group_share_their_paths)
{
    apr_array_header_t *parts = apr_array_make(site.p, 64, sizeof(char *));
    clone_match_hit_t hit;
    int i;

    APR_ARRAY_PUSH(parts, const char *) =
        CLUSTER("c") "<VirtualHostGroup Name='g'>";
    for (i = 0; i < 2000; i++) {
        APR_ARRAY_PUSH(parts, const char *) = apr_psprintf(
            site.p, "<VirtualHost Name='h%d:80'/>", i);
    }
    APR_ARRAY_PUSH(parts, const char *) =
        "</VirtualHostGroup><UriGroup Name='u'>";
    for (i = 0; i < 2000; i++) {
        APR_ARRAY_PUSH(parts, const char *) = apr_psprintf(
            site.p, "<Uri Name='/%d/*'/>", i);
    }
    APR_ARRAY_PUSH(parts, const char *) = "</UriGroup>" ROUTE("c", "g", "u");
    make_match(apr_array_pstrcat(site.p, parts, 0));
    ck_assert_ptr_nonnull(match);
    ck_assert_str_eq(find(&hit, "h1999", 80, "/1999/x"), "c");
    ck_assert_str_eq(hit.vhost->name, "h1999:80");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_match");
    TCase *tests = tcase_create("clone_match");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, the_best_pattern_wins, 0, LENGTH_OF(paths));
    tcase_add_test(tests,
                   a_long_path_is_matched_and_one_of_parameters_is_given_up);
    tcase_add_loop_test(tests, the_best_host_wins, 0, LENGTH_OF(hosts));
    tcase_add_test(tests, a_better_host_without_the_path_hides_no_other);
    tcase_add_test(tests, a_host_longer_than_any_in_the_file_is_none_of_them);
    tcase_add_test(tests, a_hit_names_the_cookie_of_its_pattern);
    tcase_add_test(tests, of_two_equal_routes_the_first_counts_and_it_is_told);
    tcase_add_test(tests, a_file_without_routes_serves_nothing);
    tcase_add_test(tests, a_file_of_too_many_combinations_is_refused);
    tcase_add_test(tests, hosts_of_one_group_share_their_paths);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
