/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_LOCK_H
#define HA_LOCK_H

/**
 * @file ha_lock.h
 * One owner at a time for a session, over any store.
 *
 * The lock is an item of its own beside the session: the owner's token, on
 * the first R nodes of the session's order that answer. Who takes it must be
 * the only one on each of them, so two owners would need R nodes that failed
 * one of them. It lives for HA_LOCK_TTL_SEC and is renewed while it is held,
 * so that it ends soon after an owner that died, and never before one that
 * has not.
 *
 * Nothing here waits but the store, and the store within the deadline. One
 * thread at a time works with one lock.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_limits.h"
#include "ha_sid.h"
#include "ha_store.h"

/** Bytes of randomness that tell one owner from another. */
#define HA_LOCK_OWNER_BYTES 16

/** What an attempt came to. */
typedef enum ha_lock_e {
    HA_LOCK_UNKNOWN = 0, /**< no node answered; it is not held */
    HA_LOCK_BUSY,        /**< somebody else has it, on some node at least */
    HA_LOCK_HELD         /**< it is ours, until lock->until */
} ha_lock_e;

/** One owner's lock. Fill with ha_lock_init(); plain data. */
typedef struct ha_lock_t {
    ha_store_t *store;                    /**< where it lives */
    char key[48];                         /**< the item's */
    char token[40];                       /**< what the owner's item holds */
    unsigned int order[HA_NODES_MAX];     /**< nodes, the session's order */
    unsigned int wanted;                  /**< nodes that should hold it */
    apr_uint64_t held;                    /**< nodes that do, a bit each */
    apr_uint64_t doubtful;                /**< nodes that may: no answer */
    apr_uint64_t silent;                  /**< nodes not to be asked again */
    apr_uint64_t version[HA_NODES_MAX];   /**< of the item, by node */
    apr_time_t until;                     /**< held for sure; 0: not held */
} ha_lock_t;

/**
 * Name a result for a log line.
 *
 * @return one static word: unknown, busy, held
 */
const char *ha_lock_name(ha_lock_e result);

/**
 * Prepare to take a lock.
 *
 * @param lock filled; nobody has been asked
 * @param store outlives the lock
 * @param replicas nodes that should hold it
 * @param sid the session
 * @param owner fresh from randomness
 */
void ha_lock_init(ha_lock_t *lock, ha_store_t *store, unsigned int replicas,
                  const ha_sid_t *sid,
                  const unsigned char owner[HA_LOCK_OWNER_BYTES]);

/**
 * Try once to take it: one round trip for the first node, one more for the
 * others. What was taken when somebody else has a part is given back.
 *
 * @param now this host's clock
 * @param deadline when to give up
 * @param p scratch
 */
HA_CHECK_RESULT
ha_lock_e ha_lock_try(ha_lock_t *lock, apr_time_t now, apr_time_t deadline,
                      apr_pool_t *p);

/**
 * Keep it for another time to live.
 *
 * @return HELD, with until moved; BUSY when somebody else has it, until is 0;
 *         UNKNOWN when nobody said so, until stands
 */
HA_CHECK_RESULT
ha_lock_e ha_lock_renew(ha_lock_t *lock, apr_time_t now, apr_time_t deadline,
                        apr_pool_t *p);

/**
 * Give it back wherever it is ours, by compare and swap: nobody's else is
 * touched. What cannot be reached runs out.
 */
void ha_lock_release(ha_lock_t *lock, apr_time_t deadline, apr_pool_t *p);

#endif
