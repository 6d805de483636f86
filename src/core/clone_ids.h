/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_IDS_H
#define CLONE_IDS_H

/**
 * @file clone_ids.h
 * A session cookie's value, split into session and clone ids.
 */

#include <apr_pools.h>

#include "clone_format.h"
#include "ha_base.h"
#include "ha_limits.h"

/** What became of a value. */
typedef enum clone_parse_e {
    CLONE_PARSE_OK = 0,
    CLONE_PARSE_TOO_LONG,  /**< more than CLONE_VALUE_MAX bytes */
    CLONE_PARSE_TOO_SHORT, /**< ends within what is skipped */
    CLONE_PARSE_EARLY,     /**< a separator within what is skipped */
    CLONE_PARSE_NO_SESSION, /**< nothing where the session id should be */
    CLONE_PARSE_ENCODING   /**< no base64, or control characters in it */
} clone_parse_e;

/** What a value says. Spans point into the value parsed, or, where that is
 * wrapped in percent-encoding or base64, into what was in it. */
typedef struct clone_ids_t {
    span_t session;              /**< the part that lasts as long as the
                                      session, so without the version */
    span_t clone[CLONE_IDS_MAX]; /**< as listed, first choice first */
    unsigned int count;          /**< entries of clone[] in use */
    apr_uint32_t learned;        /**< bit i: clone[i] stands in the place of
                                      an id that was learned to be its */
} clone_ids_t;

/**
 * Split a session cookie's value.
 *
 * Reads exactly value.len bytes. One pair of double quotes around the value
 * is dropped. A separator may be percent-encoded. Empty clone ids are
 * skipped, those above CLONE_IDS_MAX ignored. A value without clone ids is
 * fine; count is 0 then.
 *
 * @param ids filled on success, all empty otherwise
 * @param value the cookie's value; its bytes must outlive ids
 * @param format how the value is written
 * @param p owns what was wrapped; untouched where nothing is
 * @return CLONE_PARSE_OK, or the first fault found
 */
HA_CHECK_RESULT
clone_parse_e clone_ids_parse(clone_ids_t *ids, span_t value,
                              const clone_format_t *format, apr_pool_t *p);

/**
 * Write text with percent-encoding taken off; what is none stays.
 *
 * @param room text.len bytes
 * @return points into room
 */
span_t clone_ids_unescaped(span_t text, char *room);

/**
 * Whether text cannot stand in a header: clone ids go into variables, and
 * from there into headers.
 *
 * @return 1 when a control character is in it
 */
int clone_ids_has_control(span_t text);

/**
 * The word for a fault, for logs.
 *
 * @return a constant; "?" for a value outside the enum
 */
const char *clone_parse_name(clone_parse_e parse);

#endif
