/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

/**
 * @file sim_store.h
 * A cluster, its web servers and its faults, simulated: many actors run the
 * protocol at the same time, and a seed alone decides who goes on when.
 *
 * Every actor is a thread, but only the one that holds the baton runs. It
 * passes the baton on before and after each effect on a node, so that all
 * interleavings of batches, half batches and read-backs can happen, and each
 * happens again under the same seed.
 */

#include <apr_pools.h>

#include "ha_store.h"

/** Nodes and actors of one simulation. */
#define SIM_NODES_MAX 8
#define SIM_ACTORS_MAX 8

/** Web servers, each generation of one counted apart. */
#define SIM_HOSTS_MAX 16

typedef struct sim_t sim_t;

/** What one actor does; it ends by returning. */
typedef void (*sim_actor_fn)(sim_t *sim, unsigned int actor, void *ctx);

/**
 * Make a simulation.
 *
 * @param seed decides everything that is not decided by the actors
 * @param nodes 1 to SIM_NODES_MAX, all up and empty
 * @param p owns it
 */
sim_t *sim_make(apr_uint64_t seed, unsigned int nodes, apr_pool_t *p);

/** Free what the nodes hold. */
void sim_free(sim_t *sim);

/** Run actors 0..count-1 to their ends. */
void sim_run(sim_t *sim, sim_actor_fn fn, unsigned int count, void *ctx);

/** The store as one web server sees it; actors that share one share health. */
ha_store_t *sim_store(sim_t *sim, unsigned int host);

/** A list of nodes, as a web server's configuration has it. */
typedef struct sim_list_t {
    ha_place_node_t nodes[SIM_NODES_MAX]; /**< names are n0, n1, ... */
    unsigned int at[SIM_NODES_MAX];       /**< number of each */
    unsigned int count;                   /**< entries in use */
} sim_list_t;

/** Begin an empty list. */
void sim_list_init(sim_list_t *list);

/** Add a node of the simulation to a list. */
void sim_list_add(sim_t *sim, sim_list_t *list, unsigned int node,
                  const char *zone, unsigned int weight);

/**
 * Configure a web server that has not been used yet; one that is not
 * configured has all nodes, of one zone and weight.
 *
 * @param list what it places by
 * @param before what it did before; NULL for nothing
 * @param used see ha_past_t, outlives the simulation
 */
void sim_configure(sim_t *sim, unsigned int host, const sim_list_t *list,
                   const sim_list_t *before, const apr_time_t *used);

/** How often a node has been asked anything. */
unsigned int sim_calls(const sim_t *sim, unsigned int node);

/** The clock jumps ahead. */
void sim_wait(sim_t *sim, apr_interval_time_t time);

/** The simulated clock; it moves on with every effect. */
apr_time_t sim_now(const sim_t *sim);

/** A number below limit, from the seed. */
unsigned int sim_random(sim_t *sim, unsigned int limit);

/** Let somebody else go on. */
void sim_yield(sim_t *sim);

/** Faults of a node. */
void sim_cut(sim_t *sim, unsigned int node);    /**< unreachable */
void sim_mend(sim_t *sim, unsigned int node);   /**< reachable again */
void sim_probe(sim_t *sim, unsigned int node);  /**< by hosts that left it */
void sim_forget(sim_t *sim, unsigned int node); /**< restarted, empty */
/** Answers that get lost after they took effect, in percent. */
void sim_deafen(sim_t *sim, unsigned int node, unsigned int percent);

#endif
