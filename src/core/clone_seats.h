/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_SEATS_H
#define CLONE_SEATS_H

/**
 * @file clone_seats.h
 * What a cluster of plugin-cfg.xml is as a balancer: its name, and a seat for
 * each member.
 *
 * A server may have two addresses, for clients that came in clear and for
 * those that came by TLS. A cluster has two sides then, which are two
 * balancers; else both sides are one and carry one name.
 */

#include <apr_tables.h>

#include "clone_plugin.h"

/** Bytes of a balancer's name, behind "balancer://". */
#define CLONE_SEATS_NAME_MAX 72

/** The set of a ClusterAddress: behind all others. */
#define CLONE_SEATS_ADDRESS_SET 9999

/** Hundredths: what mod_proxy takes for the largest loadfactor. */
#define CLONE_SEATS_FACTOR_MAX 10000

/** One member that a balancer should have. */
typedef struct clone_seat_t {
    const clone_plugin_server_t *server; /**< NULL for a ClusterAddress */
    const clone_plugin_transport_t *transport; /**< where it is */
    const char *url;   /**< scheme://host:port */
    const char *route; /**< its clone id, may be empty */
    int lbset;         /**< 0 for primary servers; backups in their order */
    int factor;        /**< its weight, in hundredths; at least 1 */
    int is_drained;    /**< 1: weight 0, only the sessions it has */
    int connect_sec;   /**< 0: as long as the system waits */
    int io_sec;        /**< 0: none is set */
    int io_downs;      /**< 1: who times out is down then */
    int retry_sec;     /**< stays down so long */
    int socket_sec;    /**< a WebSocket that is quiet for so long ends; 0: none
                            is set */
    int is_waited_for; /**< 1: a body goes out when it says 100 Continue */
} clone_seat_t;

/**
 * The name of a balancer for a cluster, without "balancer://".
 *
 * Lower case letters, digits, '-', '_' and '.' only. A name that lost
 * something else on the way, or that is too long, gets a mark made of the
 * whole name at its end, so that two clusters do not become one. Names that
 * differ in case alone do.
 *
 * @param side 1 when the side for clients by TLS is a balancer of its own
 * @param p for the result
 */
const char *clone_seats_name(const clone_plugin_cluster_t *cluster, int side,
                               apr_pool_t *p);

/**
 * The first server that can be reached by TLS alone.
 *
 * @return its transport; NULL when there is none
 */
const clone_plugin_transport_t *
clone_seats_needs_tls(const clone_plugin_cluster_t *cluster);

/**
 * Whether clients by TLS go to other addresses than those in clear.
 *
 * @return 1 when the cluster has two sides
 */
int clone_seats_is_split(const clone_plugin_cluster_t *cluster);

/**
 * The members of one side.
 *
 * Servers that are idle have no seat, and neither has a second server at the
 * address of another one.
 *
 * @param is_https for clients by TLS; 0 also where TLS to servers is not
 *        possible, so that those with two addresses are used in clear
 * @param p for the result
 * @return of clone_seat_t, in file order, a ClusterAddress last
 */
apr_array_header_t *clone_seats_make(const clone_plugin_cluster_t *cluster,
                                        int is_https, apr_pool_t *p);

/**
 * Find the seat at an address.
 *
 * @return NULL when there is none
 */
const clone_seat_t *clone_seats_at(const apr_array_header_t *seats,
                                       const char *url);

/** @return requests that a member may have at a time; 0: any number */
unsigned int clone_seats_most(const clone_seat_t *seat);

#endif
