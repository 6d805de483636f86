/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_KEEPER_H
#define HA_KEEPER_H

/**
 * @file ha_keeper.h
 * Renews the locks that requests of this child hold, however long they take.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_lock.h"

/** The keeper of one child. Any thread may call. */
typedef struct ha_keeper_t ha_keeper_t;

/** A lock in somebody's care. Its owner owns the memory. */
typedef struct ha_kept_t {
    ha_lock_t lock;         /**< taken before, the keeper's meanwhile */
    struct ha_kept_t *next; /**< the keeper's */
    apr_time_t due;         /**< when to renew it next, by the monotonic clock;
                                 the keeper's */
} ha_kept_t;

/**
 * Start the thread.
 *
 * @param keeper made; NULL on failure
 * @param interval time between two renewals of one lock
 * @param budget time for the store work of one renewal
 * @param pchild the child's pool, whose end ends the thread; after the store
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_keeper_start(ha_keeper_t **keeper,
                             apr_interval_time_t interval,
                             apr_interval_time_t budget, apr_pool_t *pchild);

/** Take a lock that is held into care, until ha_keeper_leave(). */
void ha_keeper_take(ha_keeper_t *keeper, ha_kept_t *kept);

/** Whether it is certainly still held. */
int ha_keeper_has(ha_keeper_t *keeper, const ha_kept_t *kept);

/**
 * Hand it back. Waits for a renewal under way, a budget at most; afterwards
 * the lock is its owner's to release.
 */
void ha_keeper_leave(ha_keeper_t *keeper, ha_kept_t *kept);

#endif
