/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_PARCELS_H
#define HA_PARCELS_H

/**
 * @file ha_parcels.h
 * The queue of a courier: bounded, first in first out, one session's parcels
 * joined while they wait. Not locked; its owner sees to that.
 */

#include <apr_time.h>

#include "ha_base.h"
#include "ha_limits.h"
#include "ha_sid.h"

/** Something for nodes. Plain data; the queue keeps a copy. */
typedef struct ha_parcel_t {
    ha_sid_t sid;          /**< the session */
    apr_uint64_t nodes;    /**< for whom, a bit a node */
    span_t records;        /**< whole records of its log; none: just bring the
                                nodes to hold what the others hold */
    int is_whole;          /**< 1: with these alone a session is complete */
    int is_touch;          /**< 1: renew the time to live, too */
    unsigned int replicas; /**< owners of the session */
    apr_uint32_t ttl_sec;  /**< see ha_session_env_t */
    apr_uint32_t past_sec; /**< see ha_session_env_t */
    apr_time_t issued;     /**< see ha_session_env_t */
} ha_parcel_t;

/** A parcel that waits, or is under way. Links are the queue's business. */
typedef struct ha_waiting_t {
    ha_parcel_t parcel;   /**< records are the queue's */
    unsigned int changes; /**< times that something was handed over for it */
    apr_time_t since;     /**< when first */
    apr_time_t due;       /**< not to be tried before */
    unsigned int tries;   /**< in vain, of nodes that answered */
    int is_busy;          /**< 1: under way */
    struct ha_waiting_t *next; /**< later in the queue */
    struct ha_waiting_t *prev; /**< earlier */
    struct ha_waiting_t *peer; /**< in the same bucket */
} ha_waiting_t;

/** A queue. */
typedef struct ha_parcels_t ha_parcels_t;

/** @return to be freed; NULL when memory is out */
ha_parcels_t *ha_parcels_make(void);

/** Free it with all that is in it. */
void ha_parcels_free(ha_parcels_t *queue);

/**
 * Copy a parcel to the end of the queue, or join it with one of its session
 * that waits.
 *
 * @return 1 when it is in; 0 when it does not fit
 */
HA_CHECK_RESULT
int ha_parcels_put(ha_parcels_t *queue, const ha_parcel_t *parcel,
                   apr_time_t now);

/**
 * Take the first parcel that may be brought: it is due, one of its nodes is
 * ready, and none of its session is under way.
 *
 * @param ready a bit a node
 * @return it, busy from now on; NULL for none
 */
ha_waiting_t *ha_parcels_take(ha_parcels_t *queue, apr_uint64_t ready,
                              apr_time_t now);

/** Whether anything is in it for one of these nodes, a bit a node. */
int ha_parcels_has(const ha_parcels_t *queue, apr_uint64_t nodes);

/**
 * Take one that is under way out.
 *
 * @return the changes in it
 */
unsigned int ha_parcels_drop(ha_parcels_t *queue, ha_waiting_t *waiting);

/**
 * Put one that is under way back, for the nodes that are left; it joins a
 * later one of its session.
 */
void ha_parcels_return(ha_parcels_t *queue, ha_waiting_t *waiting,
                       apr_uint64_t left, apr_time_t due);

/**
 * Take out what waits for longer than its session lives without being used.
 *
 * @return the changes in it
 */
apr_uint64_t ha_parcels_expire(ha_parcels_t *queue, apr_time_t now);

/** Changes in the queue, those under way included. */
apr_uint64_t ha_parcels_changes(const ha_parcels_t *queue);

/** Parcels in the queue, those under way included. */
unsigned int ha_parcels_count(const ha_parcels_t *queue);

/** Bytes of their records. */
apr_size_t ha_parcels_bytes(const ha_parcels_t *queue);

/** When the oldest was handed over; 0 for none. */
apr_time_t ha_parcels_oldest(const ha_parcels_t *queue);

#endif
