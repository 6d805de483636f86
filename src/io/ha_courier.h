/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_COURIER_H
#define HA_COURIER_H

/**
 * @file ha_courier.h
 * What a child does behind its requests: a bounded queue of records for nodes
 * that need not be waited for, and the threads that bring them there.
 *
 * A parcel names a session, nodes, and records for them. Parcels of one
 * session are joined while they wait and brought one after the other; those
 * of different sessions pass each other. A node that is down or does not
 * answer is tried again with a back-off, until the parcel is too old. When
 * the child ends, what is left is brought within HA_COURIER_DRAIN_USEC.
 *
 * The courier knows nothing of sessions: how a parcel is delivered is told by
 * a function, which works over the store of the child.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_courier_board.h"
#include "ha_limits.h"
#include "ha_parcels.h"
#include "ha_store.h"

/** What became of a parcel, a bit a node. */
typedef struct ha_delivery_t {
    apr_uint64_t done;   /**< need nothing more */
    apr_uint64_t silent; /**< gave no answer, leave them alone for a while */
} ha_delivery_t;

/**
 * Bring a parcel. Called from any of the courier's threads, at most one at a
 * time for one session.
 *
 * @param delivery filled; a node in neither set is tried again a few times
 * @param ctx as handed to ha_courier_start()
 * @param parcel its nodes are those that may be asked now
 * @param deadline when to be back
 * @param p scratch
 */
typedef void (*ha_courier_deliver_fn)(ha_delivery_t *delivery, void *ctx,
                                      const ha_parcel_t *parcel,
                                      apr_time_t deadline, apr_pool_t *p);

/**
 * Something to be done now and then by the courier's first thread.
 *
 * @param ctx as handed to ha_courier_task()
 * @param deadline when to be back
 * @param p scratch
 * @return microseconds until it wants to be called again
 */
typedef apr_interval_time_t (*ha_courier_task_fn)(void *ctx,
                                                  apr_time_t deadline,
                                                  apr_pool_t *p);

/** What a courier tells, as it happens. */
typedef enum ha_courier_event_e {
    HA_COURIER_DROPS, /**< the first change that was dropped, of this host */
    HA_COURIER_WHOLE, /**< nothing waits any more; some had been dropped */
    HA_COURIER_LEFT   /**< the child ended before all was brought */
} ha_courier_event_e;

/** Called from any thread, with the number of changes it is about. */
typedef void (*ha_courier_event_fn)(void *ctx, ha_courier_event_e kind,
                                    apr_uint64_t count);

/** What a courier is made of. */
typedef struct ha_courier_conf_t {
    ha_store_t *store;             /**< asked whether a node is up */
    ha_courier_board_t *board;     /**< shared by all children */
    ha_courier_deliver_fn deliver; /**< brings a parcel */
    ha_courier_event_fn event;     /**< may be NULL */
    void *ctx;                     /**< handed to deliver and event */
    apr_interval_time_t budget;    /**< for one delivery, one task */
} ha_courier_conf_t;

/** The courier of one child. Any thread may call. */
typedef struct ha_courier_t ha_courier_t;

/**
 * Make the courier of this child, after its store. Threads start with the
 * first parcel or task. The pool's pre-cleanup brings what is left, and ends
 * the threads.
 *
 * @param courier made; NULL on failure
 * @param conf copied
 * @param pchild the child's pool
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_courier_start(ha_courier_t **courier,
                              const ha_courier_conf_t *conf,
                              apr_pool_t *pchild);

/**
 * Hand over a parcel. Waits for nobody.
 *
 * @param parcel copied
 * @return 1 when it will be brought if that is possible; 0 when it is dropped,
 *         and counted: the queue is full, or the child is ending
 */
HA_CHECK_RESULT
int ha_courier_send(ha_courier_t *courier, const ha_parcel_t *parcel);

/**
 * Have something done now and then, first at once.
 *
 * @param task what
 * @param ctx handed to it
 * @return APR_SUCCESS; APR_ENOSPC above HA_COURIER_TASKS; or what the system
 *         said
 */
HA_CHECK_RESULT
apr_status_t ha_courier_task(ha_courier_t *courier, ha_courier_task_fn task,
                             void *ctx);

#endif
