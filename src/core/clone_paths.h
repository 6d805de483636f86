/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_PATHS_H
#define CLONE_PATHS_H

/**
 * @file clone_paths.h
 * The patterns of some routes in an order that is quick to search: for
 * clone_match.c, whose header says which pattern wins.
 */

#include <apr_hash.h>
#include <apr_tables.h>

#include "clone_plugin.h"

/** Patterns, each with its route. Constant once made. */
typedef struct clone_paths_t clone_paths_t;

/**
 * Put the patterns of routes in order.
 *
 * @param routes of const clone_plugin_route_t *, in the order of the file;
 *        what they point to must outlive the result
 * @param room patterns that may still be made, less afterwards
 * @param findings is told of patterns that an earlier route has; or NULL
 * @param told what it was told already, by address; grows
 * @param p for the result
 * @return NULL when there is not enough room
 */
const clone_paths_t *clone_paths_make(const apr_array_header_t *routes,
                                      unsigned int *room,
                                      clone_findings_t *findings,
                                      apr_hash_t *told, apr_pool_t *p);

/**
 * Find the best pattern for a path. Allocates nothing.
 *
 * @param route whose pattern it is; NULL when there is none
 * @param uri the pattern; NULL when the route takes any path
 * @param path without parameters and query
 * @return 1 when there is one
 */
HA_CHECK_RESULT
int clone_paths_find(const clone_plugin_route_t **route,
                     const clone_plugin_uri_t **uri,
                     const clone_paths_t *paths, span_t path);

#endif
