/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_REFILL_H
#define HA_REFILL_H

/**
 * @file ha_refill.h
 * Which sessions a node missed while it was away, as far as this host wrote
 * them: a table in shared memory that is bounded and says when it was full.
 *
 * It may forget, and a session that it forgets is repaired when it is used.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_limits.h"
#include "ha_sid.h"

/** The shared table. Plain data; outlives a graceful restart. */
typedef struct ha_refill_t ha_refill_t;

/** A session and the nodes that lack what was written. */
typedef struct ha_refill_job_t {
    unsigned char digest[HA_SID_DIGEST]; /**< of the session */
    apr_uint64_t nodes;                  /**< a bit a node */
    apr_uint32_t ttl_sec;                /**< time to live, when noted */
    apr_uint32_t replicas;               /**< owners of the session */
    apr_time_t noted;                    /**< when it was written last */
} ha_refill_job_t;

/** What became of all jobs. */
typedef struct ha_refill_usage_t {
    apr_uint64_t pending; /**< sessions in the table */
    apr_uint64_t done;    /**< copied back */
    apr_uint64_t dropped; /**< not taken: there was no room */
} ha_refill_usage_t;

/**
 * Make the table. In the parent, before the fork.
 *
 * @param refill made; NULL on failure
 * @param p owns it; the process pool, for it to outlive a restart
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_refill_create(ha_refill_t **refill, apr_pool_t *p);

/**
 * Begin a generation, in the parent: nodes are numbers, so when the list of
 * nodes has changed all is forgotten.
 *
 * @param nodes stands for the list of nodes
 */
void ha_refill_open(ha_refill_t *refill, apr_uint64_t nodes);

/** Whether the table still is about this list of nodes. Any thread. */
int ha_refill_is_open(const ha_refill_t *refill, apr_uint64_t nodes);

/**
 * Note a session that was written and did not get everywhere. Any thread.
 *
 * @return 1 for the one who shall say that there is no room now
 */
HA_CHECK_RESULT
int ha_refill_note(ha_refill_t *refill, const ha_refill_job_t *job);

/**
 * Take a session that one of these nodes lacks, out of the table but for
 * nodes that cannot be asked now. Any thread.
 *
 * @param job filled when there is one
 * @param nodes that can be asked, a bit a node
 * @return 1 when there is one
 */
HA_CHECK_RESULT
int ha_refill_take(ha_refill_t *refill, ha_refill_job_t *job,
                   apr_uint64_t nodes);

/** Count a session that was copied back. */
void ha_refill_done(ha_refill_t *refill);

/** Sum up. Any thread. */
void ha_refill_usage(ha_refill_usage_t *usage, const ha_refill_t *refill);

/**
 * Claim the next turn: one child at a time copies back, and when it dies the
 * next turn is anybody's.
 *
 * @param wait filled with microseconds until the turn after this
 * @param every microseconds between two turns
 * @return 1 for whose turn it is
 */
HA_CHECK_RESULT
int ha_refill_claim(ha_refill_t *refill, apr_interval_time_t *wait,
                    apr_time_t now, apr_interval_time_t every);

#endif
