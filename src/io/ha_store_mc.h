/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_STORE_MC_H
#define HA_STORE_MC_H

/**
 * @file ha_store_mc.h
 * The seam over memcached servers, through libmemcached.
 *
 * Stores are sent without a reply and proved by reading the item back in the
 * same packet; replies go through the fetch path alone, which survives
 * anything a server may say. One connection belongs to one thread at a time.
 */

#include <apr_network_io.h>
#include <apr_pools.h>

#include "ha_health.h"
#include "ha_limits.h"
#include "ha_store.h"

/** One memcached as the configuration names it. */
typedef struct ha_mc_node_t {
    ha_place_node_t place; /**< name, zone, weight */
    const char *address;   /**< as configured, for messages */
    const char *host;      /**< address literal or name; NULL for a socket */
    apr_port_t port;       /**< 0 for a socket */
    const char *path;      /**< of a unix socket; NULL for TCP */
} ha_mc_node_t;

/** Why an address was refused. */
typedef enum ha_mc_address_e {
    HA_MC_ADDRESS_OK = 0,
    HA_MC_ADDRESS_NO_PORT,   /**< host without a port */
    HA_MC_ADDRESS_BAD_PORT,  /**< not 1 to 65535 */
    HA_MC_ADDRESS_BAD_HOST,  /**< empty, or characters no host has */
    HA_MC_ADDRESS_BAD_PATH   /**< unix: without an absolute path, or too long */
} ha_mc_address_e;

/** A static phrase for a message. */
const char *ha_mc_address_name(ha_mc_address_e result);

/**
 * Read "host:port", "[v6]:port" or "unix:/path" into a node.
 *
 * @param node address, host, port and path are filled; untouched on failure
 * @param address terminated
 * @param p owns what the node points to
 * @return HA_MC_ADDRESS_OK, or what is wrong
 */
HA_CHECK_RESULT
ha_mc_address_e ha_mc_address_parse(ha_mc_node_t *node, const char *address,
                                    apr_pool_t *p);

/**
 * Whether the libmemcached that is loaded may be used.
 *
 * @return NULL when it may, else a phrase that says which it is and why not
 */
const char *ha_store_mc_fault(void);

/**
 * Make the store, in the parent. Opens nothing, but looks names up, which can
 * take seconds; children inherit what was found, and look up the rest.
 *
 * @param store made; NULL on failure
 * @param nodes the cluster; outlives the store
 * @param count 1 to HA_NODES_MAX
 * @param health shared table; outlives the store
 * @param event called when a node changes state; may be NULL
 * @param ctx handed to event
 * @param p owns the store
 * @return APR_SUCCESS; APR_ENOSPC when health has no slot left
 */
HA_CHECK_RESULT
apr_status_t ha_store_mc_make(ha_store_t **store, const ha_mc_node_t *nodes,
                              unsigned int count, ha_health_t *health,
                              ha_event_fn event, void *ctx, apr_pool_t *p);

/** An earlier list of nodes, see ha_past_t. */
typedef struct ha_mc_list_t {
    const ha_mc_node_t *nodes; /**< as that list had them */
    unsigned int count;        /**< entries of nodes */
    unsigned int replicas;     /**< copies kept by it */
    const apr_time_t *used;    /**< when it last was anybody's */
} ha_mc_list_t;

/**
 * Tell the store of earlier lists, in the parent, before it is used. A node
 * is known by its name, or else by its address; what this list has not is
 * asked at the address it had, while there is room for more nodes.
 *
 * @param lists all, and all that they point to, outlives the store
 * @param count at most HA_PAST_MAX
 * @param p owns what is made
 * @return APR_SUCCESS; or what the system or the health table said, and then
 *         the store is as it was
 */
HA_CHECK_RESULT
apr_status_t ha_store_mc_remember(ha_store_t *store, const ha_mc_list_t *lists,
                                  unsigned int count, apr_pool_t *p);

/**
 * Report that a node was not told of writes for a while, though it was well:
 * what it does not have may exist.
 */
void ha_store_mc_missed(ha_store_t *store, unsigned int node);

/**
 * Read one item from all nodes, in the parent, at start. Leaves no connection
 * behind.
 *
 * @param calls filled, one for each node of the store
 * @param key as for the seam
 * @param deadline when to give up
 * @param p owns what the answers point to
 */
void ha_store_mc_peek(ha_store_t *store, ha_call_t *calls, const char *key,
                      apr_time_t deadline, apr_pool_t *p);

/** Items that a node dropped before their time, as far as it said. */
apr_uint64_t ha_store_mc_evictions(const ha_store_t *store,
                                   unsigned int node);

/**
 * Whether a node is on this host, as far as is known in the parent: a unix
 * socket, or no address but 127.0.0.0/8 and ::1.
 *
 * @param node index of the node
 * @return 1 when it is; 0 also for a name that could not be looked up
 */
int ha_store_mc_is_local(ha_store_t *store, unsigned int node);

/**
 * Make it usable in this child: connection pools and the prober thread. The
 * pool's pre-cleanup refuses new calls, with APR_EINIT, and stops the thread;
 * its cleanup closes what is open.
 *
 * @param store from ha_store_mc_make()
 * @param pchild the child's pool
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_store_mc_child_init(ha_store_t *store, apr_pool_t *pchild);

#endif
