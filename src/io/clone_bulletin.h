/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_BULLETIN_H
#define CLONE_BULLETIN_H

/**
 * @file clone_bulletin.h
 * Where all children of one configuration see the text that is in effect: one
 * of them reads the file and pins it up, the others follow.
 *
 * Shared memory, made before the children are. All but clone_bulletin_number()
 * needs a lock that the caller holds, or a caller who is alone.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "clone_file.h"
#include "ha_base.h"
#include "ha_limits.h"

/** The board. */
typedef struct clone_bulletin_t {
    volatile apr_uint32_t number; /**< of the text, from 1; 0 when none */
    apr_uint32_t sum;     /**< of the text, should a writer die over it */
    apr_time_t checked;   /**< when somebody looked at the file last */
    clone_look_t look;    /**< as it was then */
    int is_bad;           /**< that state was refused, and said so */
    apr_size_t len;       /**< of the text */
    char text[CLONE_XML_MAX];
} clone_bulletin_t;

/**
 * Make an empty board. Pages that nothing was written to take no memory.
 *
 * @param p owns it; children keep their view of it
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t clone_bulletin_make(clone_bulletin_t **board, apr_pool_t *p);

/** @return the number of the text; any thread of any child may ask */
apr_uint32_t clone_bulletin_number(clone_bulletin_t *board);

/**
 * Pin up another text.
 *
 * @param text up to CLONE_XML_MAX bytes
 */
void clone_bulletin_put(clone_bulletin_t *board, span_t text);

/**
 * Copy the text.
 *
 * @param text in p; empty when there is none
 * @return its number; 0 when there is none, or half of one
 */
apr_uint32_t clone_bulletin_get(span_t *text, clone_bulletin_t *board,
                             apr_pool_t *p);

#endif
