/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_LIMIT_CONF_H
#define CLONE_LIMIT_CONF_H

/**
 * @file clone_limit_conf.h
 * What the directives said of requests that a member may have at a time, and
 * what follows from it for one that waits.
 */

#include <apr_time.h>

#include "ha_base.h"
#include "ha_limits.h"

/** Settings of one scope; each HA_UNSET until a directive sets it. */
typedef struct clone_limit_conf_t {
    apr_int64_t most;  /**< requests under way to a member; 0: no limit */
    apr_int64_t queue; /**< that wait for it, at most */
    apr_int64_t wait;  /**< microseconds for which one does, at most */
    apr_int64_t slow_start; /**< microseconds until a member that is back has
                                 its whole share of new sessions; 0: none */
    apr_int64_t by_member; /**< 1: plugin-cfg.xml may say most for a member */
} clone_limit_conf_t;

/** Set every member to HA_UNSET. */
void clone_limit_conf_init(clone_limit_conf_t *conf);

/**
 * Take each member from over where it is set, else from base.
 *
 * @param conf filled; may be base or over
 */
void clone_limit_conf_merge(clone_limit_conf_t *conf,
                            const clone_limit_conf_t *base,
                            const clone_limit_conf_t *over);

/** Put the default where nothing is set. */
void clone_limit_conf_fill(clone_limit_conf_t *conf);

/**
 * The part of its share of new sessions that a member has.
 *
 * Grows evenly from CLONE_SHARE_MIN to CLONE_SHARE_WHOLE.
 *
 * @param conf filled
 * @param back since when it takes new sessions; 0 for one that is not back
 * @return of CLONE_SHARE_WHOLE
 */
unsigned int clone_limit_share(const clone_limit_conf_t *conf,
                               apr_time_t back, apr_time_t now);

/**
 * Draw whether a new session may go to a member.
 *
 * @param share of CLONE_SHARE_WHOLE
 * @param seed differs from one session and member to the other; the same seed
 *        draws the same
 * @return 1 when it may
 */
int clone_limit_draw(unsigned int share, apr_uint64_t seed);

/**
 * Until when a request may wait.
 *
 * @param conf filled
 * @param now when it begins to wait
 * @param deadline after which no attempt of it begins
 * @return the sooner of both ends
 */
apr_time_t clone_limit_end(const clone_limit_conf_t *conf, apr_time_t now,
                           apr_time_t deadline);

/**
 * How long one who waits sleeps before he looks again: a few milliseconds,
 * growing to CLONE_PAUSE_MAX_USEC, and between half and one and a half of that,
 * so that those who came together do not look together.
 *
 * @param round how often he has looked
 * @param seed differs from one to the other, and from time to time
 * @return never negative
 */
apr_interval_time_t clone_limit_pause(unsigned int round, apr_uint64_t seed);

#endif
