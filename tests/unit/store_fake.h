/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_FAKE_H
#define STORE_FAKE_H

/**
 * @file store_fake.h
 * A store in memory that fails on a written plan, and writes down its calls.
 *
 * Each node plays its own plan, a list of verb:fault. A call takes the next
 * entry of its node; one with another verb, or an entry left over, fails the
 * test. Behind the end of a plan everything is ok. Faults are
 *
 *     ok       nothing goes wrong
 *     down     UNKNOWN, and the verb was not carried out
 *     lost     the same: the packet was lost on its way there
 *     timeout  UNKNOWN, but the verb was carried out
 *     full     the node refuses to grow: the item stays as it is
 *     raced    another writer was a moment faster, see store_fake_rival()
 *     forgot   the node was emptied a moment before
 *     garbage  the item was damaged a moment before, see STORE_FAKE_GARBAGE
 *
 * The fake also fails a test that breaks the seam's rules: two calls for one
 * node in a batch, no bytes where the verb needs some, a key that is none.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_place.h"
#include "ha_sid.h"
#include "ha_store.h"

/** What a damaged item holds. */
#define STORE_FAKE_GARBAGE "an item of somebody else, or damage"

typedef struct store_fake_t store_fake_t;

/** What a rival does when a plan says raced. */
typedef void (*store_fake_fn)(void *ctx, store_fake_t *fake,
                              unsigned int node, const char *key);

/**
 * Make a store of empty nodes: "node0", "node1" and so on, of weight 1, each
 * in a zone of its own, up, and whole since long ago.
 *
 * @param count 1 to HA_NODES_MAX
 * @param p owns the store
 * @return the fake
 */
store_fake_t *store_fake_make(unsigned int count, apr_pool_t *p);

/** The seam, to be handed to the code under test. */
ha_store_t *store_fake_store(store_fake_t *fake);

/**
 * Find an id whose placement order is node 0, node 1 and so on.
 *
 * @param sid filled
 * @param fake the store
 * @param replicas owners of the session
 * @param seed another seed, another id
 */
void store_fake_sid(ha_sid_t *sid, const store_fake_t *fake,
                    unsigned int replicas, unsigned int seed);

/**
 * Let a node play a plan, such as "get:ok append:timeout cas:raced".
 *
 * @param fake the store
 * @param node its index
 * @param plan behind what the node still has to play
 */
void store_fake_plan(store_fake_t *fake, unsigned int node, const char *plan);

/** Fail the test unless all plans have been played to their end. */
void store_fake_expect_played(const store_fake_t *fake);

/**
 * Say what the faster writer of raced does. Without it, it appends a byte.
 *
 * @param fake the store
 * @param rival what it does, with store_fake_append() and the like
 * @param ctx handed to rival
 */
void store_fake_rival(store_fake_t *fake, store_fake_fn rival, void *ctx);

/** Set the clock that the time to live of items runs by. */
void store_fake_set_time(store_fake_t *fake, apr_time_t now);

/** Set what is_up() says. A node that is down answers no call either. */
void store_fake_set_up(store_fake_t *fake, unsigned int node, int up);

/** Set what whole_since() says of a node. */
void store_fake_set_whole(store_fake_t *fake, unsigned int node,
                          apr_time_t since);

/** Put a node into a zone. The text must outlive the store. */
void store_fake_set_zone(store_fake_t *fake, unsigned int node,
                         const char *zone);

/** Restart a node: it is empty, up, and whole since now. */
void store_fake_restart(store_fake_t *fake, unsigned int node);

/**
 * The calls since the log was last read: "append@0 append@1 | add@2" is two
 * batches. Reading empties it.
 *
 * @return the log, owned by the store
 */
const char *store_fake_log(store_fake_t *fake);

/** The bytes of an item, NULL and 0 when there is none or it has expired. */
span_t store_fake_item(store_fake_t *fake, unsigned int node,
                       const char *key);

/** When an item expires, 0 when there is none. */
apr_time_t store_fake_expiry(store_fake_t *fake, unsigned int node,
                             const char *key);

/** Set an item's bytes for an hour, whatever was there. Copies them. */
void store_fake_put(store_fake_t *fake, unsigned int node, const char *key,
                    span_t bytes);

/** Append bytes as a late packet would: not when there is no item. */
void store_fake_append(store_fake_t *fake, unsigned int node,
                       const char *key, span_t bytes);

/** Take an item away, as an eviction does. */
void store_fake_remove(store_fake_t *fake, unsigned int node,
                       const char *key);

#endif
