/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_MC_PEER_H
#define HA_MC_PEER_H

/**
 * @file ha_mc_peer.h
 * One node as one child sees it: its idle connections, the addresses its name
 * stands for, and what is reported of it. Any thread may call.
 */

#include <pthread.h>

#include "ha_mc_conn.h"
#include "ha_store_mc.h"

/** Idle connections kept in a child, to a node. */
#define HA_MC_IDLE_MAX 256

/** Addresses of a name that are tried. */
#define HA_MC_IPS_MAX 4

/** Bytes of an address literal, terminator included. */
#define HA_MC_IP_SIZE 64

/** A node. Nobody holds the lock while waiting for anything. */
typedef struct ha_mc_peer_t {
    const ha_mc_node_t *node; /**< as configured */
    ha_health_t *health;      /**< shared by all children */
    int slot;                 /**< in health */
    int is_name;              /**< 1: host must be resolved */
    ha_event_fn event;        /**< may be NULL */
    void *ctx;                /**< handed to event */
    int has_failed;           /**< atomic; since the name was looked up */
    pthread_mutex_t lock;     /**< guards what follows */
    ha_mc_conn_t *idle;       /**< the last one used is on top */
    unsigned int idle_count;  /**< in the stack */
    char ip[HA_MC_IPS_MAX][HA_MC_IP_SIZE]; /**< literals, or a path */
    unsigned int ips;         /**< entries of ip in use */
    unsigned int pick;        /**< the one in use */
} ha_mc_peer_t;

/**
 * Set up a peer, in the parent. A name is not resolved.
 *
 * @param peer node, health, slot, event and ctx are set; the rest is filled
 * @return what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_mc_peer_init(ha_mc_peer_t *peer);

/**
 * Look up the name. Can take seconds: never from a request.
 *
 * @param p scratch
 * @return APR_SUCCESS, also when there is nothing to look up; what was known
 *         stays otherwise
 */
HA_CHECK_RESULT
apr_status_t ha_mc_peer_resolve(ha_mc_peer_t *peer, apr_pool_t *p);

/**
 * Say where the peer is.
 *
 * @param ip filled with a literal, or the path of a socket
 * @return number of addresses the peer has; 0 when it was not resolved yet
 */
unsigned int ha_mc_peer_where(ha_mc_peer_t *peer, char ip[HA_MC_IP_SIZE * 2]);

/**
 * Whether the name should be looked up: it is not known, the node is down, or
 * this child has not got through, for the node may have moved and only others
 * know.
 */
int ha_mc_peer_is_lost(ha_mc_peer_t *peer);

/** Whether it is on this host: a socket, or no address but loopback's. */
int ha_mc_peer_is_local(ha_mc_peer_t *peer);

/** Use the peer's next address, unless somebody did: ip did not work. */
void ha_mc_peer_turn(ha_mc_peer_t *peer, const char *ip);

/**
 * Take the idle connection that was used last; NULL for none. One that is not
 * as it was left is closed, and the node doubted.
 */
ha_mc_conn_t *ha_mc_peer_take(ha_mc_peer_t *peer);

/** Put a connection that is in order back. */
void ha_mc_peer_give(ha_mc_peer_t *peer, ha_mc_conn_t *conn, apr_time_t now);

/** Close all connections idle since before a time. */
void ha_mc_peer_trim(ha_mc_peer_t *peer, apr_time_t before);

/** Report an answer. */
void ha_mc_peer_answered(ha_mc_peer_t *peer, apr_time_t now,
                         apr_time_t waited);

/** Report a failure. */
void ha_mc_peer_failed(ha_mc_peer_t *peer, apr_status_t rv, apr_time_t now,
                       apr_time_t waited);

/** Report who answered a probe. */
void ha_mc_peer_identified(ha_mc_peer_t *peer, apr_uint32_t pid,
                           apr_time_t started, apr_time_t now,
                           apr_time_t waited);

/** Report what it has counted, right after it was identified. Any thread. */
void ha_mc_peer_counted(ha_mc_peer_t *peer, apr_uint64_t flushes,
                        apr_uint64_t evictions, apr_time_t now);

#endif
