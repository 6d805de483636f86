/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_INTENT_H
#define CLONE_INTENT_H

/**
 * @file clone_intent.h
 * What administrators asked of members and the configuration does not say,
 * as text that is kept over restarts.
 *
 *   proxy_balancer_clone 1
 *   balancer://shop A +N 1732578900000000 ada
 *   balancer://shop B -N+S 1732578900000000 -
 *
 * Balancer, member, flags as balancer-manager names them, microseconds since
 * when, and who. Other bytes than letters, digits and a few are written %hh.
 */

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "ha_base.h"

/** Members that are remembered; more is a mistake. */
#define CLONE_INTENTS_MAX 1024

/** Bytes of the text. */
#define CLONE_INTENT_TEXT_MAX (256 * 1024)

/** Bytes of one name. */
#define CLONE_INTENT_NAME_MAX 512

/** Flags of a member; bits. */
typedef enum clone_flag_e {
    CLONE_FLAG_DRAIN = 1,  /**< N */
    CLONE_FLAG_STOP = 2,   /**< S */
    CLONE_FLAG_DISABLE = 4 /**< D */
} clone_flag_e;

/** What is wanted of one member. */
typedef struct clone_intent_t {
    const char *balancer; /**< "balancer://shop" */
    const char *member;   /**< its clone id, or its URL */
    unsigned int mask;    /**< bits of clone_flag_e that were asked for */
    unsigned int value;   /**< and how; within mask */
    apr_time_t since;
    const char *by;       /**< user, or "-" */
} clone_intent_t;

/** What became of a text. */
typedef enum clone_intent_e {
    CLONE_INTENT_OK = 0,
    CLONE_INTENT_ALIEN,   /**< not such a text, or of a later version */
    CLONE_INTENT_BAD_LINE /**< some lines were not understood */
} clone_intent_e;

/**
 * Read a text. What can be understood is taken.
 *
 * @param intents of clone_intent_t, in p; never NULL
 * @param bad_line number of the first line that was not understood, from 1;
 *        0 when all were
 */
HA_CHECK_RESULT
clone_intent_e clone_intent_parse(apr_array_header_t **intents,
                                  unsigned int *bad_line, span_t text,
                                  apr_pool_t *p);

/**
 * Write a text, up to CLONE_INTENTS_MAX and CLONE_INTENT_TEXT_MAX; the first
 * ones win.
 *
 * @param intents of clone_intent_t
 */
const char *clone_intent_print(const apr_array_header_t *intents,
                               apr_pool_t *p);

/** @return the intent for a member, or NULL */
clone_intent_t *clone_intent_find(const apr_array_header_t *intents,
                                  const char *balancer, const char *member);

/** @return the words for a fault */
const char *clone_intent_name(clone_intent_e intent);

#endif
