/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_EDITION_H
#define CLONE_EDITION_H

/**
 * @file clone_edition.h
 * One state of plugin-cfg.xml as the router uses it: parsed, checked against
 * what this server can do, its routes in order and its balancers named.
 * Constant once it is made.
 */

#include <apr_hash.h>
#include <apr_tables.h>

#include "clone_seats.h"
#include "clone_match.h"

/** A cluster's members for clients in clear, or for those by TLS. */
typedef struct clone_side_t {
    const clone_plugin_cluster_t *cluster;
    const char *name;          /**< "balancer://x", as mod_proxy has it */
    apr_array_header_t *seats; /**< of clone_seat_t */
    int has_limits;            /**< a server has MaxConnections */
} clone_side_t;

/** The file. */
typedef struct clone_edition_t {
    const clone_plugin_t *plugin;
    const clone_match_t *match;
    apr_array_header_t *sides; /**< of clone_side_t *, each balancer once */
    apr_hash_t *named;         /**< balancer's name to clone_side_t */
    const clone_side_t **side_of; /**< of cluster i: 2 * i for clients in
                                     clear, the next one for those by TLS */
    apr_uint32_t number;       /**< on the board */
    unsigned int users;        /**< threads that read it now, and 1 for its
                                    place; guarded by who hands it out */
    int is_kept;               /**< in the server's pool, for good */
    apr_pool_t *pool;          /**< its own */
} clone_edition_t;

/**
 * Parse and check.
 *
 * @param edition in p; NULL on failure
 * @param findings what there is to say; in ptemp
 * @param text the file's bytes
 * @param has_tls 1 when SSLProxyEngine is On
 * @param p the edition's own
 * @return NULL, or what is wrong, to be put behind "file:": "line: reason", or
 *         " reason" when it is about all of it; in ptemp
 */
const char *clone_edition_make(clone_edition_t **edition,
                               clone_findings_t **findings, span_t text,
                               int has_tls, apr_pool_t *p, apr_pool_t *ptemp);

/**
 * The side of a cluster for a client.
 *
 * @param cluster of this edition
 */
const clone_side_t *clone_edition_side(const clone_edition_t *edition,
                                       const clone_plugin_cluster_t *cluster,
                                       int is_https);

/** @return the side by its balancer's name, or NULL */
const clone_side_t *clone_edition_named(const clone_edition_t *edition,
                                        const char *name);

#endif
