/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_FLEET_H
#define HA_FLEET_H

/**
 * @file ha_fleet.h
 * What the web servers that share the nodes tell each other: one item, on
 * every node, in which each web server keeps an entry of its own.
 *
 * An entry says by which list of nodes its web server places sessions, by
 * which ones it did before, and a fingerprint of its secrets. It is signed
 * with the ring, so that addresses in it can be believed. It holds no secret.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_limits.h"
#include "ha_place.h"
#include "ha_ring.h"

/** The item's key on each node. */
#define HA_FLEET_KEY "ha1-fleet"

/** Characters of an entry's id and of a fingerprint, hex digits. */
#define HA_FLEET_ID 16

/** A node as an entry names it. */
typedef struct ha_fleet_node_t {
    ha_place_node_t place; /**< name, zone, weight */
    span_t address;        /**< as configured there */
} ha_fleet_node_t;

/** A list of nodes. */
typedef struct ha_fleet_list_t {
    const ha_fleet_node_t *nodes; /**< in any order */
    unsigned int count;           /**< entries of nodes, 1 to HA_NODES_MAX */
    unsigned int replicas;        /**< most copies kept by it */
    apr_time_t used;              /**< when it last was somebody's list */
} ha_fleet_list_t;

/** One web server's entry. Spans point into the item, or whatever it was
 * filled from. */
typedef struct ha_fleet_member_t {
    span_t id;       /**< HA_FLEET_ID characters, the same after a restart */
    span_t label;    /**< for people, without spaces */
    span_t keys;     /**< fingerprint of its ring, see ha_fleet_keys() */
    apr_time_t seen; /**< when it wrote the entry, by its clock */
    int is_genuine;  /**< 1: signed by a key of our ring */
    unsigned int count;                       /**< entries of lists */
    ha_fleet_list_t lists[1 + HA_PAST_MAX];   /**< what holds, what did */
    span_t text;     /**< the entry as it is written, signature included */
} ha_fleet_member_t;

/** All entries known. */
typedef struct ha_fleet_t {
    unsigned int count;                       /**< entries of members */
    ha_fleet_member_t members[HA_FLEET_MAX];  /**< one for each id */
} ha_fleet_t;

/** In what two web servers differ, bits. */
typedef enum ha_fleet_differ_e {
    HA_FLEET_SAME = 0,
    HA_FLEET_NODES = 1,    /**< names, weights or zones of nodes */
    HA_FLEET_REPLICAS = 2, /**< how many copies they keep */
    HA_FLEET_SECRETS = 4   /**< the secrets in their rings */
} ha_fleet_differ_e;

/**
 * Name differences for a message.
 *
 * @param differ bits
 * @return a static phrase, such as "nodes and secrets"
 */
const char *ha_fleet_differ_name(unsigned int differ);

/**
 * Tell two rings apart without telling anything of their keys: the same for
 * the same secrets in any order.
 *
 * @param text filled, terminated
 */
void ha_fleet_keys(char text[HA_FLEET_ID + 1], const ha_ring_t *ring);

/**
 * Write a web server's entry down and sign it.
 *
 * @param member its text is filled, and it is genuine from now on
 * @param ring its first key signs
 * @param p owns the text
 */
void ha_fleet_sign(ha_fleet_member_t *member, const ha_ring_t *ring,
                   apr_pool_t *p);

/**
 * Take in an item. What cannot be read is passed over. Of two entries with
 * one id a genuine one is kept, and the newer of two such.
 *
 * @param fleet added to
 * @param item outlives the fleet
 * @param ring tells which entries are genuine
 * @param p owns lists of nodes
 */
void ha_fleet_read(ha_fleet_t *fleet, span_t item, const ha_ring_t *ring,
                   apr_pool_t *p);

/** Add an entry, in place of one with its id; the oldest makes way. */
void ha_fleet_put(ha_fleet_t *fleet, const ha_fleet_member_t *member);

/** Forget entries written before a time, or more than as much after now. */
void ha_fleet_forget(ha_fleet_t *fleet, apr_time_t now,
                     apr_interval_time_t age);

/** The item that holds all entries; owned by p. */
span_t ha_fleet_write(const ha_fleet_t *fleet, apr_pool_t *p);

/** Whether two lists place every session alike. */
int ha_fleet_list_is_same(const ha_fleet_list_t *a, const ha_fleet_list_t *b);

/**
 * In what two web servers differ now.
 *
 * @param other one that is not genuine differs in its secrets
 * @return ha_fleet_differ_e bits
 */
unsigned int ha_fleet_compare(const ha_fleet_member_t *self,
                              const ha_fleet_member_t *other);

/**
 * When a list was last placed by, according to all genuine entries.
 *
 * @return the time, 0 for never
 */
apr_time_t ha_fleet_used(const ha_fleet_t *fleet, const ha_fleet_list_t *list);

/**
 * Add the lists of all genuine entries, other than one, to a set: each once,
 * with the latest time, the latest first; the rest is left out.
 *
 * @param lists at most HA_PAST_MAX
 * @param count entries of lists, changed
 * @param now the list that is left out
 */
void ha_fleet_past(ha_fleet_list_t lists[HA_PAST_MAX], unsigned int *count,
                   const ha_fleet_t *fleet, const ha_fleet_list_t *now);

/** The same for a single list. */
void ha_fleet_past_add(ha_fleet_list_t lists[HA_PAST_MAX],
                       unsigned int *count, const ha_fleet_list_t *list);

/** What is remembered of another web server, in between. Plain data. */
typedef struct ha_fleet_watch_t {
    char id[HA_FLEET_ID];   /**< whose; zeros: nobody's yet */
    apr_uint32_t differ;    /**< in what it differed, ha_fleet_differ_e */
    apr_uint32_t is_long;   /**< 1: it has been said that this lasts */
    apr_time_t since;       /**< when it began to differ so */
} ha_fleet_watch_t;

/** What is worth a word. */
typedef enum ha_fleet_news_e {
    HA_FLEET_NO_NEWS = 0,
    HA_FLEET_DIFFERS, /**< it has begun to differ, or differs otherwise */
    HA_FLEET_LASTS,   /**< it has for HA_FLEET_LONG_SEC */
    HA_FLEET_AGREES   /**< it did, and is the same now */
} ha_fleet_news_e;

/**
 * Judge another web server's entry: each change is told once.
 *
 * @param watch HA_FLEET_MAX entries, changed; who is not in yet takes the
 *        place that was changed longest ago
 * @param differ filled with what it differs in
 * @param self entry of this web server
 * @param other one that has not been written for long is passed over
 * @param now the clock
 */
HA_CHECK_RESULT
ha_fleet_news_e ha_fleet_judge(ha_fleet_watch_t *watch, unsigned int *differ,
                               const ha_fleet_member_t *self,
                               const ha_fleet_member_t *other,
                               apr_time_t now);

#endif
