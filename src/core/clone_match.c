/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place is one host and port that the file names. It has the patterns of all
 * routes whose groups name it; places with the same groups share them.
 */
#include "clone_match.h"

#include <stdlib.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "clone_paths.h"
#include "clone_text.h"

#define HOST_MAX (CLONE_XML_TEXT_MAX + 2) /* a value, and brackets */

typedef struct place_t {
    span_t host; /* empty: any */
    unsigned int port; /* 0: any */
    const apr_array_header_t *groups; /* unsigned int: those that name it */
    const clone_paths_t *paths;
} place_t;

struct clone_match_t {
    const place_t *place; /* by host, then port */
    unsigned int place_count;
    const clone_paths_t *anywhere; /* routes without VirtualHostGroup */
};

static int compare_places(const void *left, const void *right)
{
    const place_t *a = left;
    const place_t *b = right;
    apr_size_t len = a->host.len < b->host.len ? a->host.len : b->host.len;
    int order = len > 0 ? memcmp(a->host.data, b->host.data, len) : 0;

    if (order == 0) {
        order = (a->host.len > b->host.len) - (a->host.len < b->host.len);
    }
    return order != 0 ? order : (a->port > b->port) - (a->port < b->port);
}

/* ---- build --------------------------------------------------------------- */

typedef struct builder_t {
    const clone_plugin_t *plugin;
    clone_findings_t *findings;
    apr_hash_t *told;      /* what was reported as hidden already */
    apr_hash_t *shared;    /* paths by the groups they are made of */
    apr_array_header_t **routes; /* of each group: const route * */
    unsigned int room;     /* targets that may still be made */
    apr_pool_t *p;
} builder_t;

static const clone_paths_t *make_paths(builder_t *builder,
                                       const apr_array_header_t *routes)
{
    return clone_paths_make(routes, &builder->room, builder->findings,
                            builder->told, builder->p);
}

static int compare_routes(const void *left, const void *right)
{
    const clone_plugin_route_t *const *a = left;
    const clone_plugin_route_t *const *b = right;

    return (*a > *b) - (*a < *b);
}

/* The routes of some groups in the order of the file. */
static const clone_paths_t *paths_of(builder_t *builder,
                                     const apr_array_header_t *groups)
{
    apr_ssize_t bytes = groups->nelts * groups->elt_size;
    const clone_paths_t *paths = apr_hash_get(builder->shared, groups->elts,
                                              bytes);
    apr_array_header_t *routes;
    int i;

    if (paths != NULL) {
        return paths;
    }
    routes = apr_array_make(builder->p, 8,
                            sizeof(const clone_plugin_route_t *));
    for (i = 0; i < groups->nelts; i++) {
        apr_array_cat(routes, builder->routes[APR_ARRAY_IDX(groups, i,
                                                            unsigned int)]);
    }
    qsort(routes->elts, (size_t)routes->nelts,
          (size_t)routes->elt_size, compare_routes);
    paths = make_paths(builder, routes);
    if (paths != NULL) {
        apr_hash_set(builder->shared, groups->elts, bytes, paths);
    }
    return paths;
}

/* Routes by their groups; the last list is of those that name none. */
static void sort_routes(builder_t *builder)
{
    const clone_plugin_t *plugin = builder->plugin;
    unsigned int i;

    builder->routes = apr_palloc(builder->p, (plugin->vhosts_count + 1)
                                             * sizeof(*builder->routes));
    for (i = 0; i <= plugin->vhosts_count; i++) {
        builder->routes[i] = apr_array_make(
            builder->p, 1, sizeof(const clone_plugin_route_t *));
    }
    for (i = 0; i < plugin->route_count; i++) {
        const clone_plugin_route_t *route = &plugin->route[i];
        apr_size_t group = route->vhosts != NULL
            ? (apr_size_t)(route->vhosts - plugin->vhosts)
            : plugin->vhosts_count;

        APR_ARRAY_PUSH(builder->routes[group],
                       const clone_plugin_route_t *) = route;
    }
}

/* The groups of each place, and its key: its name as it is looked up. */
static apr_hash_t *sort_places(const builder_t *builder)
{
    const clone_plugin_t *plugin = builder->plugin;
    apr_hash_t *places = apr_hash_make(builder->p);
    unsigned int i;
    unsigned int j;

    for (i = 0; i < plugin->vhosts_count; i++) {
        const clone_plugin_vhosts_t *group = &plugin->vhosts[i];

        for (j = 0; builder->routes[i]->nelts > 0 && j < group->count; j++) {
            const clone_plugin_vhost_t *vhost = &group->vhost[j];
            const char *key = apr_psprintf(
                builder->p, "%u %s", vhost->port,
                vhost->host != NULL ? vhost->host : "");
            apr_array_header_t *groups = apr_hash_get(places, key,
                                                      APR_HASH_KEY_STRING);

            if (groups == NULL) {
                groups = apr_array_make(builder->p, 1, sizeof(unsigned int));
                apr_hash_set(places, key, APR_HASH_KEY_STRING, groups);
            }
            APR_ARRAY_PUSH(groups, unsigned int) = i;
        }
    }
    return places;
}

static int make_places(clone_match_t *match, builder_t *builder)
{
    apr_hash_t *found = sort_places(builder);
    place_t *places = apr_palloc(builder->p, (apr_hash_count(found) + 1)
                                             * sizeof(*places));
    apr_hash_index_t *hi;
    unsigned int i;

    for (hi = apr_hash_first(builder->p, found); hi != NULL;
         hi = apr_hash_next(hi)) {
        const char *key = apr_hash_this_key(hi);
        place_t *place = &places[match->place_count++];

        place->port = (unsigned int)strtoul(key, NULL, 10);
        place->host = span_of_text(strchr(key, ' ') + 1);
        place->groups = apr_hash_this_val(hi);
    }
    qsort(places, match->place_count, sizeof(*places), compare_places);
    match->place = places;
    for (i = 0; i < match->place_count; i++) {
        places[i].paths = paths_of(builder, places[i].groups);
        if (places[i].paths == NULL) {
            return 0;
        }
    }
    match->anywhere = make_paths(
        builder, builder->routes[builder->plugin->vhosts_count]);
    return match->anywhere != NULL;
}

const clone_match_t *clone_match_make(const clone_plugin_t *plugin,
                                      clone_findings_t *findings,
                                      apr_pool_t *p)
{
    clone_match_t *match = apr_pcalloc(p, sizeof(*match));
    builder_t builder;

    memset(&builder, 0, sizeof(builder));
    builder.plugin = plugin;
    builder.findings = findings;
    builder.told = apr_hash_make(p);
    builder.shared = apr_hash_make(p);
    builder.room = CLONE_MATCH_MAX;
    builder.p = p;
    sort_routes(&builder);
    if (make_places(match, &builder)) {
        return match;
    }
    if (findings != NULL) {
        clone_findings_add(findings, 0, CLONE_ERROR, CLONE_FINDING_LIMIT,
                           "its hosts and paths make more than %d "
                           "combinations", CLONE_MATCH_MAX);
    }
    return NULL;
}

/* ---- find ---------------------------------------------------------------- */

static const clone_paths_t *find_place(const clone_match_t *match,
                                       span_t host, unsigned int port)
{
    place_t key = { host, port, NULL, NULL };
    const place_t *place = bsearch(&key, match->place, match->place_count,
                                   sizeof(key), compare_places);

    return place != NULL ? place->paths : NULL;
}

/* Segments without what stands behind their ';'. Returns 0 when the result
 * does not fit. */
static int strip(span_t *path, char buffer[CLONE_PATH_MAX])
{
    apr_size_t len = 0;
    apr_size_t i;
    int is_parameter = 0;

    if (path->len == 0 || memchr(path->data, ';', path->len) == NULL) {
        return 1;
    }
    for (i = 0; i < path->len; i++) {
        is_parameter = path->data[i] == ';'
                       || (is_parameter && path->data[i] != '/');
        if (is_parameter) {
            continue;
        }
        if (len == CLONE_PATH_MAX) {
            return 0;
        }
        buffer[len++] = path->data[i];
    }
    *path = span_of(buffer, len);
    return 1;
}

static void fill_hit(clone_match_hit_t *hit, span_t host, unsigned int port)
{
    const clone_plugin_vhosts_t *vhosts = hit->route->vhosts;
    unsigned int i;

    hit->cookie = hit->uri != NULL ? hit->uri->cookie : CLONE_PLUGIN_COOKIE;
    hit->url_id = hit->uri != NULL ? hit->uri->url_id : CLONE_PLUGIN_URL_ID;
    for (i = 0; vhosts != NULL && i < vhosts->count; i++) {
        const clone_plugin_vhost_t *vhost = &vhosts->vhost[i];

        if (vhost->port == port
            && (vhost->host == NULL
                ? host.len == 0
                : span_is_equal(span_of_text(vhost->host), host))) {
            hit->vhost = vhost;
            return;
        }
    }
}

/* Lower case in a buffer; longer than any host in the file: no host. */
static span_t lower(span_t host, char buffer[HOST_MAX + 1])
{
    if (host.len == 0 || host.len > HOST_MAX) {
        return span_of(NULL, 0);
    }
    memcpy(buffer, host.data, host.len);
    buffer[host.len] = '\0';
    clone_text_lower(buffer);
    return span_of(buffer, host.len);
}

int clone_match_find(clone_match_hit_t *hit, const clone_match_t *match,
                     span_t host, unsigned int port, span_t path)
{
    char path_buffer[CLONE_PATH_MAX];
    char host_buffer[HOST_MAX + 1];
    const span_t any = { NULL, 0 };
    unsigned int i;

    memset(hit, 0, sizeof(*hit));
    if (!strip(&path, path_buffer)) {
        return 0;
    }
    host = lower(host, host_buffer);
    /* Bit 1: any host, bit 0: any port; 4: a route without hosts. */
    for (i = host.len == 0 ? 2 : 0; i <= 4; i++) {
        span_t where = i & 2 ? any : host;
        unsigned int at = i & 1 ? 0 : port;
        const clone_paths_t *paths = i == 4 ? match->anywhere
                                            : find_place(match, where, at);

        if (paths != NULL
            && clone_paths_find(&hit->route, &hit->uri, paths, path)) {
            fill_hit(hit, where, at);
            return 1;
        }
    }
    return 0;
}
