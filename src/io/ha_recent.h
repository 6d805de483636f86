/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_RECENT_H
#define HA_RECENT_H

/**
 * @file ha_recent.h
 * When this host last touched a session: a small table that may forget.
 *
 * It spares stores a touch per request. One word a slot, one slot a digest,
 * the newer digest wins; a session that lost its slot is touched again.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_sid.h"

/** The shared table. Plain data; outlives a graceful restart. */
typedef struct ha_recent_t ha_recent_t;

/**
 * Make the table. In the parent, before the fork.
 *
 * @param recent made; NULL on failure
 * @param p owns it; the process pool, for it to outlive a restart
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_recent_create(ha_recent_t **recent, apr_pool_t *p);

/**
 * When a session was last noted. Any thread.
 *
 * @return the time to the second, or 0 when that is not known
 */
apr_time_t ha_recent_get(const ha_recent_t *recent, const ha_sid_t *sid);

/** Note that a session's time to live was renewed. Any thread. */
void ha_recent_set(ha_recent_t *recent, const ha_sid_t *sid, apr_time_t now);

#endif
