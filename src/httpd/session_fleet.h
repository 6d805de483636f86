/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_FLEET_H
#define SESSION_FLEET_H

/**
 * @file session_fleet.h
 * This web server among those that share its nodes: what it tells them, what
 * it hears, and the earlier lists of nodes that follow from it.
 */

#include "session_module.h"

/** What outlives a graceful restart, in shared memory. Plain data. */
typedef struct session_fleet_t session_fleet_t;

/**
 * Make it. In the parent, before the fork.
 *
 * @param fleet made; NULL on failure
 * @param p owns it; the process pool, for it to outlive a restart
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t session_fleet_create(session_fleet_t **fleet, apr_pool_t *p);

/**
 * Find out, in the parent, by which lists of nodes sessions may have been
 * placed: by what this host remembers, and what the nodes tell, who are asked
 * for at most half a second. The store is told, and the log.
 *
 * @param site its store is made, and is changed
 * @param fleet shared, outlives the site
 * @param ring the secrets in use at this start
 * @param pconf owns what is made
 * @param ptemp scratch
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t session_fleet_prepare(session_site_t *site,
                                   session_fleet_t *fleet,
                                   const ha_ring_t *ring, apr_pool_t *pconf,
                                   apr_pool_t *ptemp);

/** @return the most copies that a session of any server has */
unsigned int session_fleet_replicas(const server_rec *s, unsigned int nodes);

/**
 * Tell and listen from now on, in a child, behind the requests.
 *
 * @param site prepared, with a courier
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t session_fleet_start(session_site_t *site);

#endif
