/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_DELTA_H
#define HA_DELTA_H

/**
 * @file ha_delta.h
 * The stored value: a log of records, and the session it folds to.
 *
 * A session is a map from attribute names to last-writer-wins registers.
 * Every write has a stamp, and the higher stamp wins, attribute by attribute;
 * the removal of an attribute is a write like any other. The end of a session
 * wins over everything whatever its stamp. Folding any set of records in any
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
#include "ha_sid.h"

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

/**
 * What one write does: the ops share the stamp, so they cannot tear. Limits
 * are not checked here but by ha_diff_tables(), which makes the ops.
 */
typedef struct ha_change_t {
    ha_stamp_t stamp;   /**< unique to this write */
    apr_time_t access;  /**< when the session was in use */
    const ha_op_t *ops; /**< attributes set and removed; none is a touch */
    unsigned int count; /**< entries of ops[] */
} ha_change_t;

/** One register of an image. */
typedef struct ha_attr_t {
    ha_op_t op;       /**< its latest write */
    ha_stamp_t stamp; /**< and that write's stamp */
} ha_attr_t;

/**
 * What a log folds to. Fields are read by anybody, changed by folding alone.
 * All memory comes from the pool it was made from.
 */
typedef struct ha_image_t {
    apr_pool_t *pool;         /**< owns all that the image points to */
    apr_hash_t *attrs;        /**< ha_attr_key() to ha_attr_t */
    apr_hash_t *kept;         /**< what newer code wrote, fields and records:
                                   the bytes to a span_t of them */
    ha_stamp_t latest;        /**< highest stamp seen; ended: of its ends */
    apr_time_t access;        /**< latest use seen, 0 for none or ended */
    int ended;                /**< 1: logged out, for good; no attributes */
} ha_image_t;

/** What became of one value. */
typedef enum ha_fold_e {
    HA_FOLD_OK = 0,
    HA_FOLD_EMPTY,   /**< no byte: nothing to fold */
    HA_FOLD_DAMAGED, /**< folded up to the first damaged or torn record */
    HA_FOLD_FOREIGN, /**< the first record is not one of this session */
    HA_FOLD_NEWER    /**< folded up to a record of a later format version */
} ha_fold_e;

/** What was seen while one value was folded. */
typedef struct ha_fold_t {
    ha_fold_e result;     /**< how it ended */
    unsigned int records; /**< records folded */
    apr_size_t good;      /**< bytes folded */
    apr_size_t head;      /**< bytes of the first record */
} ha_fold_t;

/**
 * Name a fold's result for a log line.
 *
 * @return one static word, such as "damaged"
 */
const char *ha_fold_name(ha_fold_e result);

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
 * Fold one stored value into an image. What is readable is folded, up to the
 * first record that is not and to HA_VALUE_MAX bytes; the value's bytes are
 * copied where needed. A value that was not folded to its end must not be
 * replaced by the image when the result is HA_FOLD_NEWER.
 *
 * @param image changed
 * @param fold filled with what was seen
 * @param sid the session that the value must belong to
 * @param value what a node holds
 * @return fold->result
 */
HA_CHECK_RESULT
ha_fold_e ha_delta_fold(ha_image_t *image, ha_fold_t *fold,
                        const ha_sid_t *sid, span_t value);

/**
 * Fold a change that is not stored yet.
 *
 * @param image changed
 * @param change copied
 */
void ha_delta_apply(ha_image_t *image, const ha_change_t *change);

/**
 * Fold all of one image into another.
 *
 * @param image changed; copies what it takes over
 * @param other read only; may come from any pool
 */
void ha_image_merge(ha_image_t *image, const ha_image_t *other);

/**
 * Whether an image has absorbed a change: folding it would alter nothing.
 * That is the proof that a write is stored, whoever folded it meanwhile.
 *
 * @return 1 when it has; an ended session absorbs everything
 */
int ha_image_has(const ha_image_t *image, const ha_change_t *change);

/**
 * Whether image lacks nothing that other knows, and so need not be repaired
 * from it.
 *
 * @return 1 when folding other into image would alter nothing
 */
int ha_image_covers(const ha_image_t *image, const ha_image_t *other);

/**
 * Encode a change as one record, to be appended.
 *
 * @param sid the session it belongs to
 * @param change what it says
 * @param p owns the bytes
 * @return the record
 */
span_t ha_delta_encode(const ha_sid_t *sid, const ha_change_t *change,
                       apr_pool_t *p);

/**
 * Encode the end of a session as one record.
 *
 * @param sid the session
 * @param stamp when it ended
 * @param p owns the bytes
 * @return the record
 */
span_t ha_delta_encode_end(const ha_sid_t *sid, ha_stamp_t stamp,
                           apr_pool_t *p);

/**
 * Encode a whole image as the head of a new log. Tombstones of attributes
 * and what newer code wrote are kept; an ended session is only its end.
 * Folding it gives the image again; equal images give equal bytes.
 *
 * @param sid the session it belongs to
 * @param image what it says
 * @param p owns the bytes
 * @return the snapshot
 */
span_t ha_delta_encode_image(const ha_sid_t *sid, const ha_image_t *image,
                             apr_pool_t *p);

/**
 * The attributes that are there, as mod_session keeps them.
 *
 * @param image read only; an ended session gives an empty table
 * @param p owns the table, which copies names and values
 * @return names to values
 */
apr_table_t *ha_image_table(const ha_image_t *image, apr_pool_t *p);

#endif
