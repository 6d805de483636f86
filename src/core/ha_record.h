/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_RECORD_H
#define HA_RECORD_H

/**
 * @file ha_record.h
 * One record of the stored log: its frame, check and seal around a body.
 *
 * What is in a body, ha_delta.c knows alone.
 */

#include <apr_pools.h>

#include "ha_base.h"
#include "ha_image.h"
#include "ha_seal.h"
#include "ha_sid.h"

/** Bytes of a stamp. */
#define HA_STAMP_BYTES 16

/** One record, its frame taken apart. */
typedef struct ha_record_t {
    int is_sealed;    /**< 1: it was stored sealed */
    unsigned int key; /**< index of the secret that opened it, then */
    int kind;         /**< 0 to 255, known or not */
    int flags;        /**< 0 to 255 */
    ha_stamp_t stamp; /**< of the write */
    span_t body;      /**< in clear */
    span_t whole;     /**< all of it, as it is stored */
} ha_record_t;

/** What became of a record. */
typedef enum ha_record_e {
    HA_RECORD_OK = 0,
    HA_RECORD_DAMAGED, /**< torn, damaged, forged, or another session's */
    HA_RECORD_NEWER,   /**< of a format that this code does not know */
    HA_RECORD_LOCKED,  /**< whole, sealed by a secret that is not there */
    HA_RECORD_CLEAR    /**< whole, in clear, and that is not believed */
} ha_record_e;

/** A record while it is written. */
typedef struct ha_draft_t {
    char *frame;    /**< where it begins */
    char *body;     /**< where len bytes go before it is ended */
    apr_size_t len; /**< bytes of the body, in clear */
} ha_draft_t;

/** Read a big-endian number. */
apr_uint64_t ha_number_get(const char *at, unsigned int bytes);

/** Write a big-endian number. Returns where the next byte goes. */
char *ha_number_put(char *at, apr_uint64_t number, unsigned int bytes);

/** Read a stamp. */
ha_stamp_t ha_stamp_get(const char *at);

/** Whether a write may have it: there is always a time behind a write's, or
 *  nobody could write again. */
int ha_stamp_is_valid(ha_stamp_t stamp);

/** Write a stamp. Returns where the next byte goes. */
char *ha_stamp_put(char *at, ha_stamp_t stamp);

/** Write bytes. Returns where the next byte goes. */
char *ha_span_put(char *at, span_t span);

/**
 * Take one record off the head of rest.
 *
 * @param record filled on HA_RECORD_OK
 * @param rest at least one byte; behind the record on success, else as it was
 * @param sid the session that it must belong to
 * @param seal opens it; NULL opens nothing and takes what is clear
 * @param p owns what was opened
 * @return HA_RECORD_OK, or why it does not count
 */
HA_CHECK_RESULT
ha_record_e ha_record_read(ha_record_t *record, span_t *rest,
                           const ha_sid_t *sid, const ha_seal_t *seal,
                           apr_pool_t *p);

/** Whether a record would be written in another way now. */
int ha_record_is_stale(const ha_record_t *record, const ha_seal_t *seal);

/**
 * A record as it is, or would be, in clear.
 *
 * @return its bytes, from p or the record's own
 */
span_t ha_record_clear(const ha_record_t *record, const ha_sid_t *sid,
                       apr_pool_t *p);

/** Bytes that a record takes with a body of len bytes. */
apr_size_t ha_record_size(apr_size_t len, const ha_seal_t *seal);

/** Of these, bytes that it does not take in clear. */
apr_size_t ha_record_extra(const ha_seal_t *seal);

/**
 * Begin a record.
 *
 * @param at room for ha_record_size() bytes
 * @param kind of the record
 * @param stamp of the write
 * @param len bytes of its body, to be put at the draft's body
 * @param seal seals it; NULL for clear
 * @return the draft
 */
ha_draft_t ha_record_begin(char *at, int kind, ha_stamp_t stamp,
                           apr_size_t len, const ha_seal_t *seal);

/**
 * End a record: its body is there, and is sealed and summed up.
 *
 * @param seal the same as at its begin
 * @return the record
 */
span_t ha_record_end(const ha_draft_t *draft, const ha_sid_t *sid,
                     const ha_seal_t *seal);

/**
 * Write a record that ha_record_clear() gave.
 *
 * @param at room for its bytes and ha_record_extra()
 * @param clear the record, in clear
 * @param sid the session it belongs to
 * @param seal seals it; NULL for clear
 * @return the record
 */
span_t ha_record_copy(char *at, const span_t *clear, const ha_sid_t *sid,
                      const ha_seal_t *seal);

#endif
