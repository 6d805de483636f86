/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_MC_ROUND_H
#define HA_MC_ROUND_H

/**
 * @file ha_mc_round.h
 * Calls to several nodes at the same time, and how they go wrong.
 */

#include <time.h>

#include "ha_mc_peer.h"
#include "ha_mc_probe.h"

/** One call on its way. Set call, peer and is_touch; the rest is filled. */
typedef struct ha_mc_leg_t {
    ha_call_t *call;      /**< a touch is a HA_GET here */
    ha_mc_peer_t *peer;   /**< whom */
    int is_touch;         /**< 1: replace by the same bytes what is read */
    ha_mc_conn_t *conn;   /**< NULL when nothing is under way */
    apr_time_t began;     /**< the try under way */
    unsigned int tries;   /**< new connections still allowed */
    int is_idle;          /**< the connection was used before */
    int is_open;          /**< the call wants to be made, or made again */
    char ip[HA_MC_IP_SIZE * 2]; /**< where a new connection goes */
} ha_mc_leg_t;

/** What the calls share. */
typedef struct ha_mc_round_t {
    ha_mc_probe_t *probe; /**< woken when a connection is made */
    const char *key;      /**< terminated */
    ha_mc_leg_t *legs;    /**< the calls; their order is lost */
    unsigned int count;   /**< entries of legs */
    time_t expires;       /**< as memcached wants it */
    apr_time_t deadline;  /**< when to give up */
    apr_pool_t *p;        /**< owns what answers point to */
} ha_mc_round_t;

/** Carry the calls out; fills their answer, version, held and rv. */
void ha_mc_round_run(ha_mc_round_t *round);

#endif
