/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns stand in two sorted arrays: whole paths, and heads, the texts
 * before a '*'.
 *
 * The longest head that begins a path: let h be the last head in the order of
 * bytes that is not behind the path. Any head that begins the path stands
 * between its own bytes and the path, so it begins h as well: it is h, or one
 * of those that begin h. Each head knows the next shorter one that begins it.
 * So a search is a bisection and a few steps, whatever the size of the file.
 */
#include "clone_paths.h"

#include <stdlib.h>

#include <apr_hash.h>
#include <apr_strings.h>

#define NO_PARENT (-1)

/* One pattern of one route. */
typedef struct target_t {
    span_t head; /* before the '*', or all of it */
    span_t tail; /* behind the '*' */
    int is_whole;
    const clone_plugin_route_t *route;
    const clone_plugin_uri_t *uri;
} target_t;

/* Targets of one head, the longest tail first. */
typedef struct head_t {
    span_t text;
    int parent; /* the longest other head that begins this one */
    const target_t *target;
    unsigned int count;
} head_t;

struct clone_paths_t {
    const target_t *whole;
    unsigned int whole_count;
    const head_t *head;
    unsigned int head_count;
};

/* ---- order --------------------------------------------------------------- */

static int compare_spans(span_t a, span_t b)
{
    apr_size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Whole paths, then heads in the order of bytes, long tails first; last what
 * a route without UriGroup takes. */
static int compare_patterns(const target_t *a, const target_t *b)
{
    int order = b->is_whole - a->is_whole;

    if (order == 0) {
        order = compare_spans(a->head, b->head);
    }
    if (order == 0) {
        order = (a->tail.len < b->tail.len) - (a->tail.len > b->tail.len);
    }
    if (order == 0) {
        order = compare_spans(a->tail, b->tail);
    }
    return order != 0 ? order : (a->uri == NULL) - (b->uri == NULL);
}

/* Of equals the first route of the file comes first. */
static int compare_targets(const void *left, const void *right)
{
    const target_t *a = left;
    const target_t *b = right;
    int order = compare_patterns(a, b);

    return order != 0 ? order : (a->route > b->route) - (a->route < b->route);
}

/* ---- build --------------------------------------------------------------- */

static int is_prefix(span_t head, span_t text)
{
    return head.len <= text.len
           && (head.len == 0 || memcmp(head.data, text.data, head.len) == 0);
}

static target_t target_of(const clone_plugin_route_t *route,
                          const clone_plugin_uri_t *uri)
{
    const char *name = uri != NULL ? uri->name : "*";
    const char *star = strchr(name, '*');
    target_t target;

    target.is_whole = star == NULL;
    target.head = star != NULL ? span_of(name, (apr_size_t)(star - name))
                               : span_of_text(name);
    target.tail = span_of_text(star != NULL ? star + 1 : "");
    target.route = route;
    target.uri = uri;
    return target;
}

static unsigned int count_targets(const apr_array_header_t *routes)
{
    unsigned int count = 0;
    int i;

    for (i = 0; i < routes->nelts && count <= CLONE_MATCH_MAX; i++) {
        const clone_plugin_route_t *route =
            APR_ARRAY_IDX(routes, i, const clone_plugin_route_t *);

        count += route->uris != NULL ? route->uris->count : 1;
    }
    return count;
}

static unsigned int add_targets(target_t *targets,
                                const clone_plugin_route_t *route)
{
    unsigned int i;

    if (route->uris == NULL) {
        targets[0] = target_of(route, NULL);
        return 1;
    }
    for (i = 0; i < route->uris->count; i++) {
        targets[i] = target_of(route, &route->uris->uri[i]);
    }
    return route->uris->count;
}

/* One that hides another as a whole is told at its Route, else at its Uri. */
static void tell_hidden(clone_findings_t *findings, apr_hash_t *told,
                        const target_t *target, const target_t *winner)
{
    int is_whole = target->uri == NULL || target->uri == winner->uri;
    const void *what = is_whole ? (const void *)target->route
                                : (const void *)target->uri;
    const void **key;

    if (findings == NULL
        || apr_hash_get(told, &what, sizeof(what)) != NULL) {
        return;
    }
    key = apr_pmemdup(apr_hash_pool_get(told), &what, sizeof(what));
    apr_hash_set(told, key, sizeof(what), what);
    clone_findings_add(findings, is_whole ? target->route->line
                                          : target->uri->line,
                       target->route->cluster == winner->route->cluster
                       ? CLONE_NOTE : CLONE_WARNING,
                       CLONE_FINDING_DUPLICATE,
                       "Uri '%s' of the Route in line %u: the Route in line "
                       "%u has the same for a host of both, and counts",
                       clone_findings_quote(
                           findings, span_of_text(target->uri != NULL
                                                  ? target->uri->name
                                                  : "*")),
                       target->route->line, winner->route->line);
}

/* Of those of one pattern, which lie side by side, keep the first. */
static unsigned int drop_hidden(target_t *targets, unsigned int count,
                                clone_findings_t *findings, apr_hash_t *told)
{
    unsigned int kept = 0;
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (kept > 0
            && compare_patterns(&targets[kept - 1], &targets[i]) == 0) {
            tell_hidden(findings, told, &targets[i], &targets[kept - 1]);
        }
        else {
            targets[kept++] = targets[i];
        }
    }
    return kept;
}

/* Targets of one head lie side by side, and heads in the order of bytes. */
static void make_heads(clone_paths_t *paths, const target_t *targets,
                       unsigned int count, apr_pool_t *p)
{
    head_t *heads = apr_palloc(p, (count + 1) * sizeof(*heads));
    unsigned int n = 0;
    unsigned int i;

    for (i = 0; i < count; i++) {
        int parent = (int)n - 1;

        if (n > 0 && span_is_equal(heads[n - 1].text, targets[i].head)) {
            heads[n - 1].count++;
            continue;
        }
        while (parent != NO_PARENT
               && !is_prefix(heads[parent].text, targets[i].head)) {
            parent = heads[parent].parent;
        }
        heads[n].text = targets[i].head;
        heads[n].parent = parent;
        heads[n].target = &targets[i];
        heads[n].count = 1;
        n++;
    }
    paths->head = heads;
    paths->head_count = n;
}

const clone_paths_t *clone_paths_make(const apr_array_header_t *routes,
                                      unsigned int *room,
                                      clone_findings_t *findings,
                                      apr_hash_t *told, apr_pool_t *p)
{
    clone_paths_t *paths = apr_pcalloc(p, sizeof(*paths));
    unsigned int count = count_targets(routes);
    target_t *targets;
    unsigned int n = 0;
    int i;

    if (count > *room) {
        return NULL;
    }
    *room -= count;
    targets = apr_palloc(p, (count + 1) * sizeof(*targets));
    for (i = 0; i < routes->nelts; i++) {
        n += add_targets(targets + n,
                         APR_ARRAY_IDX(routes, i,
                                       const clone_plugin_route_t *));
    }
    qsort(targets, n, sizeof(*targets), compare_targets);
    n = drop_hidden(targets, n, findings, told);
    paths->whole = targets;
    while (paths->whole_count < n && targets[paths->whole_count].is_whole) {
        paths->whole_count++;
    }
    make_heads(paths, targets + paths->whole_count, n - paths->whole_count,
               p);
    return paths;
}

/* ---- find ---------------------------------------------------------------- */

/* A head against a path with a '/' at its end, for which a head that ends in
 * one may wait: a star behind "/app/" stands for "/app", too. */
static int compare_head(span_t head, span_t path)
{
    apr_size_t len = head.len < path.len ? head.len : path.len;
    int order = len > 0 ? memcmp(head.data, path.data, len) : 0;

    if (order != 0 || head.len <= path.len) {
        return order;
    }
    order = (unsigned char)head.data[path.len] - '/';
    return order != 0 ? order : head.len > path.len + 1;
}

static int is_begun_by(span_t path, span_t head)
{
    return is_prefix(head, path)
           || (head.len == path.len + 1 && head.data[path.len] == '/'
               && is_prefix(path, head));
}

static int ends_with(span_t path, span_t head, span_t tail)
{
    return tail.len == 0
           || (head.len + tail.len <= path.len
               && memcmp(path.data + path.len - tail.len, tail.data,
                         tail.len) == 0);
}

static int compare_whole(const void *path, const void *target)
{
    return compare_spans(*(const span_t *)path,
                         ((const target_t *)target)->head);
}

static const target_t *find_whole(const clone_paths_t *paths, span_t path)
{
    return bsearch(&path, paths->whole, paths->whole_count,
                   sizeof(target_t), compare_whole);
}

static const target_t *find_head(const clone_paths_t *paths, span_t path)
{
    unsigned int low = 0;
    unsigned int high = paths->head_count;
    unsigned int i;
    int at;

    while (low < high) {
        unsigned int middle = low + (high - low) / 2;

        if (compare_head(paths->head[middle].text, path) <= 0) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    for (at = (int)low - 1; at != NO_PARENT; at = paths->head[at].parent) {
        const head_t *head = &paths->head[at];

        for (i = 0; is_begun_by(path, head->text) && i < head->count; i++) {
            if (ends_with(path, head->text, head->target[i].tail)) {
                return &head->target[i];
            }
        }
    }
    return NULL;
}

int clone_paths_find(const clone_plugin_route_t **route,
                     const clone_plugin_uri_t **uri,
                     const clone_paths_t *paths, span_t path)
{
    const target_t *target = find_whole(paths, path);

    if (target == NULL) {
        target = find_head(paths, path);
    }
    *route = target != NULL ? target->route : NULL;
    *uri = target != NULL ? target->uri : NULL;
    return target != NULL;
}
