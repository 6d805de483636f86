/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_paths.h"

#include <check.h>
#include <stdlib.h>

#include <apr_strings.h>

#include "plugin_site.h"

static plugin_site_t site;

static void set_up(void)
{
    plugin_site_open(&site);
}

static void tear_down(void)
{
    plugin_site_close(&site);
}

static const clone_paths_t *paths;

/* Paths of one route to a group "u"; room is for so many. */
static void make_paths(const char *groups, unsigned int room)
{
    apr_array_header_t *routes = apr_array_make(
        site.p, 1, sizeof(const clone_plugin_route_t *));
    unsigned int left = room;

    plugin_site_read(&site, apr_pstrcat(
        site.p, "<Config><ServerCluster Name='c'/>", groups,
        "<Route ServerCluster='c' UriGroup='u'/></Config>", NULL));
    ck_assert_ptr_nonnull(site.plugin);
    APR_ARRAY_PUSH(routes, const clone_plugin_route_t *) =
        &site.plugin->route[0];
    paths = clone_paths_make(routes, &left, site.findings,
                             apr_hash_make(site.p), site.p);
    ck_assert_uint_eq(left, paths != NULL
                      ? room - site.plugin->uris[0].count : room);
}

/* The pattern found, "" when there is none. */
static const char *find(const char *path)
{
    const clone_plugin_route_t *route;
    const clone_plugin_uri_t *uri;
    int is_found = clone_paths_find(&route, &uri, paths, span_of_text(path));

    ck_assert(is_found == (route != NULL) && is_found == (uri != NULL));
    return is_found ? uri->name : "";
}

/* Slow and plain: what the order of the header says, over all patterns. */
static int is_matched(const char *name, const char *path, apr_size_t rank[3])
{
    const char *star = strchr(name, '*');
    apr_size_t head = star != NULL ? (apr_size_t)(star - name) : 0;
    apr_size_t len = strlen(path);
    apr_size_t tail;

    rank[0] = star == NULL;
    if (star == NULL) {
        return strcmp(name, path) == 0;
    }
    tail = strlen(star + 1);
    rank[1] = head;
    rank[2] = tail;
    if (tail == 0 && head > 0 && name[head - 1] == '/'
        && strlen(path) == head - 1 && strncmp(name, path, head - 1) == 0) {
        return 1;
    }
    return strncmp(name, path, head) == 0 && len >= head + tail
           && strcmp(path + len - tail, star + 1) == 0;
}

static const char *plain_search(const char *path)
{
    const clone_plugin_uris_t *uris = &site.plugin->uris[0];
    apr_size_t best[3] = { 0, 0, 0 };
    const char *found = "";
    unsigned int i;

    for (i = 0; i < uris->count; i++) {
        apr_size_t rank[3] = { 0, 0, 0 };

        if (is_matched(uris->uri[i].name, path, rank)
            && (found[0] == '\0' || rank[0] > best[0]
                || (rank[0] == best[0]
                    && (rank[1] > best[1]
                        || (rank[1] == best[1] && rank[2] > best[2]))))) {
            memcpy(best, rank, sizeof(best));
            found = uris->uri[i].name;
        }
    }
    return found;
}

/* A text of a few letters, from a number. */
static const char *word_of(unsigned int n, int stars)
{
    static const char letters[] = "/a.*b/";
    char *word = apr_palloc(site.p, 8);
    apr_size_t len = 0;

    for (; n > 0 && len < 7; n /= 6) {
        char c = letters[n % 6];

        if (c == '*' && stars-- <= 0) {
            c = 'a';
        }
        word[len++] = c;
    }
    word[len] = '\0';
    return word;
}

START_TEST(the_quick_search_finds_what_a_plain_one_does)
{
    unsigned int seed = 7;
    int round;

    for (round = 0; round < 60; round++) {
        apr_array_header_t *uris = apr_array_make(site.p, 40, sizeof(char *));
        int i;

        for (i = 0; i < 40; i++) {
            seed = seed * 1103515245u + 12345u;
            APR_ARRAY_PUSH(uris, const char *) = apr_psprintf(
                site.p, "<Uri Name='%s'/>", word_of((seed >> 8) % 9000 + 1,
                                                    1));
        }
        make_paths(apr_pstrcat(site.p, "<UriGroup Name='u'>",
                               apr_array_pstrcat(site.p, uris, 0),
                               "</UriGroup>", NULL), 40);
        for (i = 0; i < 500; i++) {
            const char *found;
            const char *path;

            seed = seed * 1103515245u + 12345u;
            path = word_of((seed >> 8) % 9000 + 1, 0);
            found = find(path);
            ck_assert_msg(strcmp(found, plain_search(path)) == 0,
                          "%s: %s, not %s", path, found,
                          plain_search(path));
        }
    }
}
END_TEST

START_TEST(more_patterns_than_there_is_room_for_are_refused)
{
    make_paths("<UriGroup Name='u'><Uri Name='/a'/><Uri Name='/b'/>"
               "</UriGroup>", 2);
    ck_assert_ptr_nonnull(paths);
    ck_assert_str_eq(find("/b"), "/b");
    make_paths("<UriGroup Name='u'><Uri Name='/a'/><Uri Name='/b'/>"
               "</UriGroup>", 1);
    ck_assert_ptr_null(paths);
}
END_TEST

START_TEST(no_routes_make_paths_that_match_nothing)
{
    make_paths("<UriGroup Name='u'/>", 0);
    ck_assert_ptr_nonnull(paths);
    ck_assert_str_eq(find("/"), "");
    ck_assert_str_eq(find(""), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_paths");
    TCase *tests = tcase_create("clone_paths");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_quick_search_finds_what_a_plain_one_does);
    tcase_add_test(tests, more_patterns_than_there_is_room_for_are_refused);
    tcase_add_test(tests, no_routes_make_paths_that_match_nothing);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
