/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_JSON_H
#define CLONE_JSON_H

/**
 * @file clone_json.h
 * The little JSON that an administrator's request needs: one flat object.
 *
 * Strict by RFC 8259 in all it takes; what it has no use for, nesting above
 * all, it refuses by name. Bounded by its input and CLONE_JSON_PAIRS_MAX.
 */

#include <apr_pools.h>

#include "ha_base.h"

/** Bytes of a text. Commands have a hundred or two. */
#define CLONE_JSON_MAX 4096

/** Members of an object. */
#define CLONE_JSON_PAIRS_MAX 16

/** What became of a text. */
typedef enum clone_json_e {
    CLONE_JSON_OK = 0,
    CLONE_JSON_TOO_LONG,   /**< more than CLONE_JSON_MAX bytes */
    CLONE_JSON_NO_OBJECT,  /**< begins with something else than { */
    CLONE_JSON_SYNTAX,     /**< not JSON */
    CLONE_JSON_NESTED,     /**< an object or a list within the object */
    CLONE_JSON_STRING,     /**< a string that is no text: a control
                                character, a bad escape, no UTF-8, U+0000 */
    CLONE_JSON_TWICE,      /**< a name that was there already */
    CLONE_JSON_TOO_MANY,   /**< more than CLONE_JSON_PAIRS_MAX members */
    CLONE_JSON_TRAILING    /**< something behind the object */
} clone_json_e;

/** What a value is. */
typedef enum clone_json_type_e {
    CLONE_JSON_TEXT = 0,
    CLONE_JSON_NUMBER,
    CLONE_JSON_TRUE,
    CLONE_JSON_FALSE,
    CLONE_JSON_NULL
} clone_json_type_e;

/** One member of the object. */
typedef struct clone_json_pair_t {
    const char *name;       /**< UTF-8, terminated, without U+0000 */
    clone_json_type_e type;
    const char *text;       /**< of a string: like name; of another value:
                                 as it is written */
} clone_json_pair_t;

/** An object. */
typedef struct clone_json_t {
    clone_json_pair_t pair[CLONE_JSON_PAIRS_MAX]; /**< as they come */
    unsigned int count;                           /**< of pair[] in use */
} clone_json_t;

/**
 * Read an object.
 *
 * @param json filled on success, empty otherwise
 * @param text reads exactly text.len bytes
 * @param p holds names and texts
 * @return CLONE_JSON_OK, or the first fault found
 */
HA_CHECK_RESULT
clone_json_e clone_json_parse(clone_json_t *json, span_t text, apr_pool_t *p);

/** @return the member of that name, or NULL */
const clone_json_pair_t *clone_json_get(const clone_json_t *json,
                                        const char *name);

/** @return the words for a fault, for people */
const char *clone_json_name(clone_json_e json);

/**
 * Write a text as a string of JSON.
 *
 * @param text terminated; bytes that are no UTF-8 are taken for Latin-1
 * @param p holds the result
 * @return the string with its quotes
 */
const char *clone_json_quote(const char *text, apr_pool_t *p);

#endif
