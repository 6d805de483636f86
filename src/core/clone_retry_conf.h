/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_RETRY_CONF_H
#define CLONE_RETRY_CONF_H

/**
 * @file clone_retry_conf.h
 * What the directives said of failures, and what follows from it.
 */

#include "clone_replay.h"
#include "ha_limits.h"

/** Settings of one scope; each HA_UNSET until a directive sets it. */
typedef struct clone_retry_conf_t {
    apr_int64_t replay;      /**< a clone_replay_e */
    apr_int64_t replays;     /**< how often one request is sent again */
    apr_int64_t statuses;    /**< set of clone_status_bit()s to try again */
    apr_int64_t body_memory; /**< bytes of a body held in memory */
    apr_int64_t body_file;   /**< bytes of a body held at all */
    apr_int64_t failures;    /**< in a row, until a member is down */
    apr_int64_t budget;      /**< percent of requests sent again */
    apr_int64_t budget_floor; /**< and so many a second */
    apr_int64_t deadline;    /**< no attempt begins so many microseconds
                                  after the request */
    apr_int64_t timeout_replays; /**< how often one request is sent again after
                                      a time-out: at most; plugin-cfg.xml
                                      alone says it */
} clone_retry_conf_t;

/** Set every member to HA_UNSET. */
void clone_retry_conf_init(clone_retry_conf_t *conf);

/**
 * Take each member from over where it is set, else from base.
 *
 * @param conf filled; may be base or over
 */
void clone_retry_conf_merge(clone_retry_conf_t *conf,
                            const clone_retry_conf_t *base,
                            const clone_retry_conf_t *over);

/** Put the default where nothing is set. */
void clone_retry_conf_fill(clone_retry_conf_t *conf);

/**
 * The bit of a status that may be tried again.
 *
 * @return 0 when it may not: 429, 500, 502, 503 and 504 may
 */
apr_int64_t clone_status_bit(int status);

#endif
