/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_SHM_SEG_H
#define HA_SHM_SEG_H

/**
 * @file ha_shm_seg.h
 * One segment of the shm store: items in chains of blocks, under one lock.
 *
 * All functions want the lock held and return at once. A segment is plain
 * data in shared memory; zero bytes behind ha_seg_init() are an empty one.
 */

#include <pthread.h>

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"

/** Number of a block; 0 is none. */
typedef apr_uint32_t ha_block_no;

/** Bytes of a block. */
#define HA_BLOCK 512

/** Bytes of the longest key. */
#define HA_SEG_KEY_MAX 250

/** What a block is. Zero memory is free. */
typedef enum ha_block_e {
    HA_BLOCK_FREE = 0, /**< nobody's, or not yet anybody's */
    HA_BLOCK_LIVE,     /**< head of an item that is there */
    HA_BLOCK_NEW,      /**< head of an item that is being written */
    HA_BLOCK_BODY      /**< a further block of an item */
} ha_block_e;

/** Head of an item. Its key stands in text, the first bytes behind it. */
typedef struct ha_item_t {
    apr_uint64_t version; /**< greater than that of anything older here */
    apr_time_t expires;   /**< by the segment's clock */
    apr_uint64_t used;    /**< order of use */
    apr_uint32_t len;     /**< bytes of the value: what is committed */
    apr_uint32_t hash;    /**< of the key */
    apr_uint32_t key_len; /**< bytes of the key */
    ha_block_no chain;    /**< next in the bucket */
    ha_block_no newer;    /**< next more recently used */
    ha_block_no older;    /**< next less recently used */
    ha_block_no last;     /**< last block of the value */
    apr_uint32_t spare;   /**< keeps text aligned */
    char text[HA_BLOCK - 16 - 56]; /**< key, then value */
} ha_item_t;

/** A block. The first of an item is its head. */
typedef struct ha_block_t {
    ha_block_no next;   /**< next of the item, or next free one */
    ha_block_no owner;  /**< head of the item it was last taken for */
    apr_uint32_t index; /**< place in the item, 0 for the head */
    apr_uint32_t kind;  /**< ha_block_e */
    union {
        ha_item_t item;           /**< of a head */
        char body[HA_BLOCK - 16]; /**< of the others */
    } u;
} ha_block_t;

/** A segment. Pointers hold in every process forked from the maker. */
typedef struct ha_seg_t {
    pthread_mutex_t lock;    /**< robust, between processes */
    ha_block_no *bucket;     /**< heads by hash */
    apr_uint32_t mask;       /**< buckets less one */
    ha_block_t *block;       /**< block[1] is the first */
    apr_uint32_t blocks;     /**< their number */
    ha_block_no fresh;       /**< the first that was never taken */
    ha_block_no unused;      /**< chain of blocks given back */
    apr_uint32_t free;       /**< blocks that can be had */
    ha_block_no newest;      /**< most recently used item */
    ha_block_no oldest;      /**< least recently used item */
    apr_uint32_t items;      /**< items that are there */
    apr_uint64_t version;    /**< last one given */
    apr_uint64_t tick;       /**< last order of use given */
    apr_time_t soonest;      /**< nothing expires before */
    apr_uint64_t dropped;    /**< items dropped before their time */
} ha_seg_t;

/**
 * Lay out a segment in zeroed memory.
 *
 * @param seg its head
 * @param memory for buckets and blocks, aligned to HA_BLOCK
 * @param size bytes of memory, at least 64 blocks
 * @return what the making of the lock said
 */
HA_CHECK_RESULT
apr_status_t ha_seg_init(ha_seg_t *seg, char *memory, apr_size_t size);

/** The hash of a key, for every function below. */
apr_uint64_t ha_seg_hash(span_t key);

/**
 * Find an item that is not over, and note that it was used.
 *
 * @return its head, or 0
 */
ha_block_no ha_seg_find(ha_seg_t *seg, span_t key, apr_uint32_t hash,
                        apr_time_t now);

/** The item of a head. */
ha_item_t *ha_seg_item(const ha_seg_t *seg, ha_block_no head);

/**
 * Copy a value.
 *
 * @param p owns the copy
 */
span_t ha_seg_copy(const ha_seg_t *seg, ha_block_no head, apr_pool_t *p);

/**
 * Make an item in the place of one, or of none.
 *
 * @param old what ha_seg_find() said of the key
 * @return its head; 0 when it does not fit, and then old is as it was
 */
ha_block_no ha_seg_put(ha_seg_t *seg, span_t key, apr_uint32_t hash,
                       ha_block_no old, span_t data, apr_time_t expires,
                       apr_time_t now);

/**
 * Put bytes behind a value, unless they do not fit.
 *
 * @return 1 when done, 0 when the item is as it was
 */
int ha_seg_append(ha_seg_t *seg, ha_block_no head, span_t data,
                  apr_time_t now);

/** Renew the time to live. */
void ha_seg_touch(ha_seg_t *seg, ha_block_no head, apr_time_t expires);

/** Forget an item. */
void ha_seg_remove(ha_seg_t *seg, ha_block_no head);

/** Forget what is over, but for one item. */
void ha_seg_sweep(ha_seg_t *seg, ha_block_no but, apr_time_t now);

/**
 * Make a segment whole after somebody died with its lock: keeps every item
 * that was committed, and the order of use. In ha_shm_rebuild.c.
 */
void ha_seg_rebuild(ha_seg_t *seg);

/** Blocks that a value takes. For ha_shm_rebuild.c, as the three below. */
apr_uint32_t ha_seg_blocks_of(apr_uint32_t key_len, apr_size_t len);

/** Link an item into its bucket. */
void ha_seg_link(ha_seg_t *seg, ha_block_no head);

/** Find an item that is there, over or not. */
ha_block_no ha_seg_lookup(const ha_seg_t *seg, span_t key, apr_uint32_t hash);

/** Take an item out of its bucket. */
void ha_seg_unlink(ha_seg_t *seg, ha_block_no head);

#endif
