/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_DELTA_H
#define HA_DELTA_H

/**
 * @file ha_delta.h
 * The stored value: a log of records, and the image it folds to.
 *
 * docs/protocol.md draws the format and shows why the order of records does
 * not matter.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_image.h"
#include "ha_limits.h"
#include "ha_seal.h"
#include "ha_sid.h"

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

/** What became of one value. */
typedef enum ha_fold_e {
    HA_FOLD_OK = 0,
    HA_FOLD_EMPTY,   /**< no byte: nothing to fold */
    HA_FOLD_DAMAGED, /**< folded up to the first damaged or torn record */
    HA_FOLD_FOREIGN, /**< the first record is not one of this session */
    HA_FOLD_NEWER,   /**< folded up to a record of a later format version */
    HA_FOLD_LOCKED,  /**< folded up to a record that no secret here opens */
    HA_FOLD_CLEAR    /**< folded up to a record in clear, which is not
                          believed here */
} ha_fold_e;

/** What was seen while one value was folded. */
typedef struct ha_fold_t {
    ha_fold_e result;     /**< how it ended */
    unsigned int records; /**< records folded */
    apr_size_t good;      /**< bytes folded */
    apr_size_t head;      /**< bytes of the first record */
    unsigned int stale;   /**< of records, those that would be written in
                               another way now: in clear, sealed, or sealed by
                               another secret */
} ha_fold_t;

/**
 * Name a fold's result for a log line.
 *
 * @return one static word, such as "damaged"
 */
const char *ha_fold_name(ha_fold_e result);

/**
 * Fold one stored value into an image. What is readable is folded, up to the
 * first record that is not and to HA_VALUE_MAX bytes; the value's bytes are
 * copied where needed. A value that was not folded to its end must not be
 * replaced by the image when the result is HA_FOLD_NEWER, HA_FOLD_LOCKED or
 * HA_FOLD_CLEAR. What is locked may be the end of the session: then the image
 * is not to be believed, either.
 *
 * @param image changed
 * @param fold filled with what was seen
 * @param sid the session that the value must belong to
 * @param seal opens what is sealed; NULL opens nothing and takes what is clear
 * @param value what a node holds
 * @return fold->result
 */
HA_CHECK_RESULT
ha_fold_e ha_delta_fold(ha_image_t *image, ha_fold_t *fold,
                        const ha_sid_t *sid, const ha_seal_t *seal,
                        span_t value);

/**
 * Fold a change that is not stored yet.
 *
 * @param image changed
 * @param change copied
 */
void ha_delta_apply(ha_image_t *image, const ha_change_t *change);

/**
 * Whether an image has absorbed a change: folding it would alter nothing.
 * That is the proof that a write is stored, whoever folded it meanwhile.
 *
 * @return 1 when it has; an ended session absorbs everything
 */
int ha_image_has(const ha_image_t *image, const ha_change_t *change);

/**
 * Encode a change as one record, to be appended.
 *
 * @param sid the session it belongs to
 * @param change what it says
 * @param seal seals it; NULL for clear
 * @param p owns the bytes
 * @return the record
 */
span_t ha_delta_encode(const ha_sid_t *sid, const ha_change_t *change,
                       const ha_seal_t *seal, apr_pool_t *p);

/**
 * Encode the end of a session as one record.
 *
 * @param sid the session
 * @param stamp when it ended
 * @param seal seals it; NULL for clear
 * @param p owns the bytes
 * @return the record
 */
span_t ha_delta_encode_end(const ha_sid_t *sid, ha_stamp_t stamp,
                           const ha_seal_t *seal, apr_pool_t *p);

/**
 * Encode a whole image as the head of a new log. Tombstones of attributes
 * and what newer code wrote are kept; an ended session is only its end.
 * Folding it gives the image again; equal images give equal bytes, sealed by
 * the same secret too.
 *
 * @param sid the session it belongs to
 * @param image what it says
 * @param seal seals it; NULL for clear
 * @param p owns the bytes
 * @return the snapshot
 */
span_t ha_delta_encode_image(const ha_sid_t *sid, const ha_image_t *image,
                             const ha_seal_t *seal, apr_pool_t *p);

#endif
