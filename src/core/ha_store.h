/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_STORE_H
#define HA_STORE_H

/**
 * @file ha_store.h
 * The seam between the session protocol and the places that keep bytes.
 *
 * A store is a set of nodes. Each node maps keys to items: bytes, a version
 * that changes with the bytes, and a time to live. The store does not place,
 * replicate or retry: it carries out calls on the nodes they name, all calls
 * of a batch at the same time, and says what each node holds afterwards.
 * That answer by content is what tells stored, lost, full and overtaken apart.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_place.h"

/** What a call does to the item. */
typedef enum ha_verb_e {
    HA_GET,    /**< nothing */
    HA_ADD,    /**< make it from data, unless there is one */
    HA_APPEND, /**< put data behind it, if there is one; its ttl stays */
    HA_CAS,    /**< replace it by data, if its version is still the given one */
    HA_TOUCH,  /**< renew its time to live */
    HA_REMOVE  /**< forget it */
} ha_verb_e;

/** What a node said. There is nothing in between. */
typedef enum ha_answer_e {
    HA_UNKNOWN = 0, /**< nothing believable; whether the verb took is open */
    HA_MISS,        /**< the node is well and holds no such item */
    HA_HIT          /**< the node holds the item */
} ha_answer_e;

/** One verb for one node, and its answer. */
typedef struct ha_call_t {
    unsigned int node;    /**< in: index of the node */
    ha_verb_e verb;       /**< in: what to do */
    span_t data;          /**< in: bytes for add, append and cas */
    int is_repair;        /**< in: 1: it brings what was missing before; not
                               made, the node is none the worse */
    apr_uint64_t version; /**< in: expected by cas; out: the item's, on HIT */
    ha_answer_e answer;   /**< out: what the node said after the verb */
    span_t held;          /**< out: the item's bytes on HIT, but for touch */
    apr_status_t rv;      /**< out: why UNKNOWN; APR_SUCCESS otherwise */
} ha_call_t;

typedef struct ha_store_t ha_store_t;

/** What every store can do. */
typedef struct ha_store_ops_t {
    /**
     * Carry out a batch: at most one call per node, all on one key, all at
     * the same time. Returns when every call has its answer, or at the
     * deadline, when what is missing is UNKNOWN. A node that is down is
     * UNKNOWN at once. Any thread may call.
     *
     * @param store the store
     * @param key printable ASCII, at most 250 bytes
     * @param calls in and out
     * @param count entries of calls
     * @param ttl_sec time to live for add, cas and touch, at least 1
     * @param deadline when to give up
     * @param p owns what the answers point to
     */
    void (*run)(ha_store_t *store, const char *key, ha_call_t *calls,
                unsigned int count, apr_uint32_t ttl_sec, apr_time_t deadline,
                apr_pool_t *p);

    /** Whether a node answers, as this host knows. No I/O, any thread. */
    int (*is_up)(ha_store_t *store, unsigned int node);

    /**
     * Since when a node has answered everything that this host asked, and
     * has not been restarted. One call that failed is a gap: a write may have
     * been missed. No I/O, any thread.
     *
     * @return the time, or 0 when it is down or not known
     */
    apr_time_t (*whole_since)(ha_store_t *store, unsigned int node);
} ha_store_ops_t;

/**
 * An earlier list of nodes. Sessions were placed by it, and perhaps are, by
 * web servers that have not been told of the new one.
 */
typedef struct ha_past_t {
    const ha_place_node_t *nodes; /**< as that list had them */
    const unsigned int *at;       /**< index in the store of each; one that
                                       the store does not have is beyond it */
    unsigned int count;           /**< entries of nodes and at */
    unsigned int replicas;        /**< copies that were kept by it */
    const apr_time_t *used;       /**< when it last was anybody's list; may
                                       change at any time, read atomically */
} ha_past_t;

/**
 * A store. Whoever made it owns it; see the store's own header. What was not
 * set is 0: no list before this one.
 */
struct ha_store_t {
    const ha_store_ops_t *ops;    /**< what it can do */
    const char *name;             /**< "shm", "memcached", for log lines */
    const ha_place_node_t *nodes; /**< its nodes; indexes name them */
    unsigned int count;           /**< number of nodes listed, at least 1 */
    unsigned int gone;            /**< nodes behind those, taken off the list;
                                       HA_NODES_MAX in all */
    const ha_past_t *past;        /**< earlier lists */
    unsigned int past_count;      /**< at most HA_PAST_MAX */
};

/** What a store tells of its nodes, as it happens. */
typedef enum ha_event_e {
    HA_EVENT_DOWN,     /**< a node is left alone from now on */
    HA_EVENT_UP,       /**< it answers again */
    HA_EVENT_RESTARTED, /**< it answers, and has forgotten everything */
    HA_EVENT_FLUSHED,  /**< it was told to forget everything, and has */
    HA_EVENT_FULL,     /**< it drops sessions that are not over */
    HA_EVENT_GARBAGE   /**< it said something that makes no sense */
} ha_event_e;

/** One event. Spans and text live for the call only. */
typedef struct ha_event_t {
    ha_event_e kind;  /**< what happened */
    span_t node;      /**< to which node */
    apr_status_t rv;  /**< the last error, APR_SUCCESS for none */
    int waited_msec;  /**< how long the last answer took or was waited for */
    int failures;     /**< failures in a row */
    int away_sec;     /**< for UP and RESTARTED: how long it was away */
} ha_event_t;

/** Called from any thread; must not call the store. */
typedef void (*ha_event_fn)(void *ctx, const ha_event_t *event);

#endif
