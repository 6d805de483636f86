/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_MC_PROBE_H
#define HA_MC_PROBE_H

/**
 * @file ha_mc_probe.h
 * The prober: one thread in each child that asks nodes who they are, finds
 * out when one is back, looks names up and closes idle connections.
 */

#include <apr_pools.h>

#include "ha_mc_peer.h"

typedef struct ha_mc_probe_t ha_mc_probe_t;

/**
 * Start the thread. The pool's pre-cleanup stops it, at once but for a name
 * being looked up. It may be woken until the pool's cleanups that were
 * registered later have run.
 *
 * @param probe made; NULL on failure
 * @param peers outlive the thread
 * @param count entries of peers, at most HA_NODES_MAX
 * @param pchild owns it
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_mc_probe_start(ha_mc_probe_t **probe, ha_mc_peer_t *peers,
                               unsigned int count, apr_pool_t *pchild);

/** Have it look now what is due. Any thread; never waits. */
void ha_mc_probe_wake(ha_mc_probe_t *probe);

#endif
