/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_IMAGE_H
#define HA_IMAGE_H

/**
 * @file ha_image.h
 * What a session is: a map from attribute names to last-writer-wins registers.
 *
 * Every write has a stamp, and the higher stamp wins, attribute by attribute;
 * the removal of an attribute is a write like any other. The end of a session
 * wins over everything whatever its stamp. Folding any set of writes in any
 * order, with repetitions, gives the same image: a state-based CRDT after
 * Shapiro, Preguica, Baquero and Zawirski ("Conflict-free Replicated Data
 * Types", 2011), stamped by hybrid logical clocks after Kulkarni et al.
 * ("Logical Physical Clocks", 2014).
 */

#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_limits.h"

/** Orders writes: by time, equal times by writer. Never zero for a write. */
typedef struct ha_stamp_t {
    apr_uint64_t time;   /**< hybrid logical clock, microseconds since 1970 */
    apr_uint64_t writer; /**< random for each write, so stamps are unique */
} ha_stamp_t;

/** One attribute set or removed. */
typedef struct ha_op_t {
    span_t name;  /**< 1 to HA_ATTR_NAME_MAX bytes; case is kept, and ignored
                       in comparisons, as in apr_table */
    span_t value; /**< empty when gone */
    int gone;     /**< 1: the attribute is removed */
} ha_op_t;

/** One register of an image. */
typedef struct ha_attr_t {
    ha_op_t op;       /**< its latest write */
    ha_stamp_t stamp; /**< and that write's stamp */
} ha_attr_t;

/**
 * A session, as far as somebody knows it. Fields are read by anybody, changed
 * by the functions below alone. All memory comes from the pool it was made
 * from. One thread at a time, for questions too.
 */
typedef struct ha_image_t {
    apr_pool_t *pool;    /**< owns all that the image points to */
    apr_hash_t *attrs;   /**< ha_attr_key() to ha_attr_t, removed ones too */
    apr_hash_t *fields;  /**< bytes of newer code's fields to their span_t */
    apr_hash_t *records; /**< bytes of newer code's records to their span_t */
    apr_hash_t *forwards; /**< bytes of fields of rotations to their span_t:
                               ha_forward.h; kept even when ended */
    ha_stamp_t latest;   /**< highest stamp seen; zero when ended */
    apr_time_t access;   /**< latest use seen; 0 for none, and when ended */
    int ended;           /**< 1: logged out, for good; no attributes */
} ha_image_t;

/**
 * Compare two stamps.
 *
 * @return less than, equal to or greater than 0, as a is before, is, or is
 *         after b
 */
int ha_stamp_compare(ha_stamp_t a, ha_stamp_t b);

/**
 * Write what identifies an attribute: its name with A to Z in lower case.
 *
 * @param key room for name.len bytes
 * @param name the attribute's name
 * @return the bytes written, in key
 */
span_t ha_attr_key(char *key, span_t name);

/**
 * Make an empty image.
 *
 * @param p owns it
 * @return the image; never NULL
 */
ha_image_t *ha_image_make(apr_pool_t *p);

/**
 * Fold one write to one attribute. An ended image stays as it is.
 *
 * @param image changed
 * @param attr copied
 */
void ha_image_put(ha_image_t *image, const ha_attr_t *attr);

/**
 * Fold a write's stamp and a time of use. An ended image stays as it is.
 *
 * @param image changed
 * @param stamp of a write
 * @param access when the session was in use, 0 when not known
 */
void ha_image_use(ha_image_t *image, ha_stamp_t stamp, apr_time_t access);

/**
 * Fold the end of the session. What was in it is forgotten, but for records
 * of newer code, and where it went if its id was rotated.
 *
 * @param image changed
 */
void ha_image_end(ha_image_t *image);

/**
 * Keep bytes of newer code.
 *
 * @param image changed
 * @param kept image->fields, image->records or image->forwards
 * @param bytes copied, unless they are there
 */
void ha_image_keep(ha_image_t *image, apr_hash_t *kept, span_t bytes);

/**
 * Fold all of one image into another.
 *
 * @param image changed; copies what it takes over
 * @param other read only; may come from any pool
 */
void ha_image_merge(ha_image_t *image, const ha_image_t *other);

/**
 * Whether image lacks nothing that other knows, and so need not be repaired
 * from it.
 *
 * @return 1 when folding other into image would alter nothing
 */
int ha_image_covers(const ha_image_t *image, const ha_image_t *other);

/**
 * Whether folding a write to one attribute would alter nothing.
 *
 * @return 1 when the image holds this write or one that wins over it, and
 *         when it has ended
 */
int ha_image_has_attr(const ha_image_t *image, const ha_attr_t *attr);

/**
 * What is in one of an image's hashes, in the order of its keys: equal images
 * are told in the same order.
 *
 * @param count number of values
 * @param hash attrs, fields, records or forwards
 * @param p owns the result
 * @return the values
 */
const void **ha_image_sorted(unsigned int *count, apr_hash_t *hash,
                             apr_pool_t *p);

/**
 * The attributes that are there, as mod_session keeps them.
 *
 * @param image read only; an ended session gives an empty table
 * @param p owns the table, which copies names and values
 * @return names to values, in the order of ha_attr_key()
 */
apr_table_t *ha_image_table(const ha_image_t *image, apr_pool_t *p);

#endif
