/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_COURIER_BOARD_H
#define HA_COURIER_BOARD_H

/**
 * @file ha_courier_board.h
 * What the couriers of all children have to say, in shared memory.
 *
 * A change is one parcel handed over. What waits is told child by child, in
 * a slot with a heart beat, so that what a killed child had does not count for
 * ever; sums of what was sent and dropped stay.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"

/** The shared table. Plain data; outlives a graceful restart. */
typedef struct ha_courier_board_t ha_courier_board_t;

/** What all children of this host have together. */
typedef struct ha_courier_usage_t {
    apr_uint64_t waiting; /**< changes in the queues */
    apr_uint64_t bytes;   /**< of their records */
    apr_uint64_t sent;    /**< changes brought to all their nodes */
    apr_uint64_t dropped; /**< changes given up */
    apr_time_t oldest;    /**< when the oldest waiting was handed over; 0 */
} ha_courier_usage_t;

/**
 * Make the table. In the parent, before the fork.
 *
 * @param board made; NULL on failure
 * @param p owns it; the process pool, for it to outlive a restart
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_courier_board_create(ha_courier_board_t **board,
                                     apr_pool_t *p);

/** Sum up. Any thread. */
void ha_courier_usage(ha_courier_usage_t *usage,
                      const ha_courier_board_t *board, apr_time_t now);

/**
 * Take a slot for this child.
 *
 * @return its number; -1 when all are taken, and then this child's queue is
 *         not shown
 */
HA_CHECK_RESULT
int ha_courier_board_claim(ha_courier_board_t *board, apr_time_t now);

/**
 * Say what waits, at least every ten seconds.
 *
 * @param slot from ha_courier_board_claim(); -1 is ignored
 * @param usage waiting, bytes and oldest count
 */
void ha_courier_board_tell(ha_courier_board_t *board, int slot,
                           const ha_courier_usage_t *usage, apr_time_t now);

/** Give a slot back. */
void ha_courier_board_leave(ha_courier_board_t *board, int slot);

/** Count changes that were brought. */
void ha_courier_board_sent(ha_courier_board_t *board, apr_uint64_t count);

/**
 * Count changes that were given up.
 *
 * @return 1 for the one who shall say that this happens now
 */
HA_CHECK_RESULT
int ha_courier_board_dropped(ha_courier_board_t *board, apr_uint64_t count);

/**
 * Ask whether drops are over: none waits in any child.
 *
 * @param dropped filled with the changes dropped meanwhile
 * @return 1 for the one who shall say so
 */
HA_CHECK_RESULT
int ha_courier_board_is_over(ha_courier_board_t *board, apr_time_t now,
                             apr_uint64_t *dropped);

#endif
