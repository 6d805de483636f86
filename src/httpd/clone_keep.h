/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_KEEP_H
#define CLONE_KEEP_H

/**
 * @file clone_keep.h
 * Members that were taken out stay out over graceful and full restarts,
 * whoever took them out: balancer-manager's page or ours.
 *
 * What is remembered is where all copies of a member stand otherwise than the
 * configuration says.
 */

#include <apr_tables.h>
#include <httpd.h>
#include <mod_proxy.h>

#include "clone_census.h"

/** check_config: refuse a ProxyCloneStateDir that is no directory, unless the
 * server runs already. */
int clone_keep_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                     server_rec *s);

/** post_config, before mod_proxy_balancer: what the configuration says. */
int clone_keep_look(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                    server_rec *s);

/** post_config, after mod_proxy_balancer: what was asked for before. */
int clone_keep_restore(apr_pool_t *pconf, apr_pool_t *plog,
                       apr_pool_t *ptemp, server_rec *s);

/**
 * log_transaction: remember what was done on balancer-manager's page. Always
 * DECLINED.
 */
int clone_keep_watch(request_rec *r);

/**
 * Remember how members stand now.
 *
 * @param by who changed it
 * @return APR_SUCCESS; else it is remembered until httpd stops and no longer
 */
apr_status_t clone_keep_capture(request_rec *r,
                                const apr_array_header_t *census,
                                const char *by);

/**
 * What is remembered.
 *
 * @return of clone_intent_t, in p
 */
apr_array_header_t *clone_keep_intents(apr_pool_t *p);

/**
 * Make a member that comes while the server runs stand as it was asked for
 * when it was there before.
 *
 * @param s the member's record, with its route; nobody asks it yet
 * @param balancer its balancer's name
 * @param p for the while
 */
void clone_keep_mark(proxy_worker_shared *s, const char *balancer,
                     apr_pool_t *p);

#endif
