/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MC_SITE_H
#define MC_SITE_H

/**
 * @file mc_site.h
 * A store over memcached nodes for a test: real servers, or ports the test
 * names. Failing here fails the test.
 */

#include "ha_store_mc.h"
#include "io_server.h"

/** Seconds that items live. */
#define MC_TTL 3600

/** Servers at most. */
#define MC_NODES 4

/** A budget that healthy nodes keep, and one that sick ones use up. */
#define MC_LONG_USEC (5 * APR_USEC_PER_SEC)
#define MC_SHORT_USEC (150 * 1000)

/** How late is late, and how long is for ever: a test machine may be busy. */
#define MC_SLACK_USEC (1 * APR_USEC_PER_SEC)
#define MC_PATIENCE_USEC (20 * APR_USEC_PER_SEC)

extern apr_pool_t *mc_pool;     /**< of the test */
extern apr_pool_t *mc_pchild;   /**< of the child; NULL while there is none */
extern ha_health_t *mc_health;  /**< what is known of the nodes */
extern ha_store_t *mc_store;    /**< the store */
extern ha_mc_node_t mc_nodes[HA_NODES_MAX]; /**< n0, n1, ... */
extern io_memcached_t mc_servers[MC_NODES]; /**< ended with the test */

/** Fixture: nothing runs yet. */
void mc_set_up(void);

/** Fixture: end the child, the servers and the pool. */
void mc_tear_down(void);

/** Give node i an address. */
void mc_name_node(unsigned int i, const char *address);

/** Give node i a loopback port. */
void mc_name_port(unsigned int i, apr_port_t port);

/** Make the store over the first nodes, with this process as its child. */
void mc_open_store(unsigned int count);

/** Start servers and open a store over them. */
void mc_open_servers(unsigned int count);

/** The store's event function: take note. */
void mc_take_note(void *ctx, const ha_event_t *event);

/** How often an event was told. */
unsigned int mc_times_told(ha_event_e kind);

/** The last event. Its node's name is still there. */
ha_event_t mc_last_event(void);

/** Wait until an event was told so many times. */
void mc_wait_until_told(ha_event_e kind, unsigned int times);

/** One call to one node; it keeps its budget. */
ha_call_t mc_call_node(unsigned int node, ha_verb_e verb, const char *key,
                       span_t data, apr_uint64_t version, apr_time_t budget);

/** One call to the first node, with an answer that is known. */
ha_call_t mc_call(ha_verb_e verb, const char *key, const char *data,
                  apr_uint64_t version);

/** Get from the first node. */
ha_call_t mc_get(const char *key);

/** A call that must get no answer, and keep a short budget. */
ha_call_t mc_call_in_vain(unsigned int node);

/** The answer is a hit, and this text is held. */
void mc_assert_holds(ha_call_t one, const char *text);

/** The answer is a miss. */
void mc_assert_missed(ha_call_t one);

/** Call in vain until the node is down. */
void mc_wait_until_down(unsigned int node);

/** Wait until the node is known to be whole. */
void mc_wait_until_whole(unsigned int node);

#endif
