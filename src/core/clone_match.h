/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_MATCH_H
#define CLONE_MATCH_H

/**
 * @file clone_match.h
 * Which route of plugin-cfg.xml serves a host, port and path.
 *
 * The best match wins, not the first. Hosts are compared before paths:
 *
 *   host:port > host, any port > any host, port > anything
 *     > a route without VirtualHostGroup
 *   the whole path > the longest text before the '*' > the longest behind it
 *     > a route without UriGroup
 *
 * so that "/app/x" wins over "/app/" and a star, that over a star and ".jsp",
 * and that over a lone star. "/app/" and a star stand for "/app", too. A better
 * host without a matching path does not hide a worse one that has it. Of
 * equals the first in the file wins.
 */

#include "clone_plugin.h"

/** The routes of a file in an order that is quick to search. */
typedef struct clone_match_t clone_match_t;

/** Who serves a request, and why. */
typedef struct clone_match_hit_t {
    const clone_plugin_route_t *route; /**< its cluster serves */
    const clone_plugin_vhost_t *vhost; /**< NULL: the route is for any host */
    const clone_plugin_uri_t *uri;     /**< NULL: the route is for any path */
    const char *cookie; /**< of the session; NULL: none */
    const char *url_id; /**< the session's URL parameter; NULL: none */
} clone_match_hit_t;

/**
 * Put the routes in order.
 *
 * @param plugin must outlive the result
 * @param findings is told of routes that another one hides entirely or in
 *        part; NULL when nobody wants to know
 * @param p for the result, which is constant then: threads may share it
 * @return NULL when the routes make more than CLONE_MATCH_MAX combinations of
 *         hosts and paths, which is an error in findings then
 */
const clone_match_t *clone_match_make(const clone_plugin_t *plugin,
                                      clone_findings_t *findings,
                                      apr_pool_t *p);

/**
 * Find the route of a request. Allocates nothing.
 *
 * @param hit filled; empty when there is none
 * @param host without port, brackets of IPv6 kept, any case; may be empty
 * @param port of the Host header, else the scheme's; with VHostMatchingCompat
 *        that of the connection
 * @param path without query, decoded and with dots resolved, as httpd's
 *        r->uri; parameters behind ';' in its segments do not count, and a
 *        path with some that is longer than CLONE_PATH_MAX without them
 *        matches nothing
 * @return 1 when there is a route
 */
HA_CHECK_RESULT
int clone_match_find(clone_match_hit_t *hit, const clone_match_t *match,
                     span_t host, unsigned int port, span_t path);

#endif
