/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_PLACE_H
#define HA_PLACE_H

/**
 * @file ha_place.h
 * Rendezvous placement: the order in which nodes are responsible for a key.
 *
 * Highest random weight hashing after Thaler and Ravishankar ("A Name-Based
 * Mapping Scheme for Rendezvous", 1996), weighted by the logarithm method of
 * Schindelhauer and Schomaker (2005): score = -weight / ln(u), u uniform in
 * (0,1) from SipHash-2-4 of key and node name under a fixed, public hash key.
 * Everybody who knows the same names and weights computes the same order, and
 * taking a node away moves only what that node held.
 */

#include "ha_base.h"
#include "ha_limits.h"

/** One place where a key may live. */
typedef struct ha_place_node_t {
    span_t name;         /**< stable name; the only thing hashed */
    span_t zone;         /**< nodes that die together; empty is a zone too */
    unsigned int weight; /**< share of the keys, HA_WEIGHT_MIN..MAX */
} ha_place_node_t;

/**
 * Score one node for one key. The highest score is the first owner.
 *
 * @param key what is placed
 * @param name the node's name
 * @param weight the node's weight, at least 1
 * @return the score, greater than 0
 */
double ha_place_score(span_t key, span_t name, unsigned int weight);

/** What scoring needs of a key, to be worked out once for many names. */
apr_uint64_t ha_place_hash(span_t key);

/**
 * The score of a key by its hash: the same number as ha_place_score().
 *
 * @param key_hash ha_place_hash() of the key
 * @param name the node's name
 * @param weight at least 1
 */
double ha_place_score_of(apr_uint64_t key_hash, span_t name,
                         unsigned int weight);

/**
 * Order all nodes for one key: owners first, then stand-ins.
 *
 * The first replicas entries are the owners: best score first, and never two
 * in one zone while a zone without an owner has a node. The rest follows by
 * score. The result depends on names, zones, weights and key alone, not on
 * the order of nodes[].
 *
 * @param order filled with count indexes into nodes[]
 * @param nodes the cluster
 * @param count entries of nodes[], at most HA_NODES_MAX
 * @param replicas owners wanted; when above count, all nodes are owners
 * @param key what is placed
 */
void ha_place_order(unsigned int *order, const ha_place_node_t *nodes,
                    unsigned int count, unsigned int replicas, span_t key);

#endif
