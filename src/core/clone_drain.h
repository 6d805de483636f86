/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_DRAIN_H
#define CLONE_DRAIN_H

/**
 * @file clone_drain.h
 * A member that is taken out: whether it may be stopped, and which of its
 * sessions go elsewhere meanwhile.
 */

#include <apr_time.h>

#include "ha_base.h"

/** Why a member must not be stopped yet; bits. */
typedef enum clone_unsafe_e {
    CLONE_UNSAFE_OPEN = 1,      /**< takes new sessions, in one virtual host
                                     at least */
    CLONE_UNSAFE_SESSIONS = 2,  /**< has sessions */
    CLONE_UNSAFE_IN_FLIGHT = 4, /**< has requests or tunnels under way */
    CLONE_UNSAFE_RECENT = 8,    /**< answered a moment ago */
    CLONE_UNSAFE_UNCOUNTED = 16 /**< may have sessions that nobody counted */
} clone_unsafe_e;

/** The reasons there are. */
#define CLONE_UNSAFE_BITS 5

/** What is known of a member. */
typedef struct clone_drain_facts_t {
    unsigned int copies; /**< virtual hosts' copies of it */
    unsigned int closed; /**< those of them that take no new session */
    apr_uint64_t sessions;  /**< that were counted */
    int is_exact;           /**< 1: there are no others */
    unsigned int in_flight; /**< requests under way */
    apr_interval_time_t quiet;        /**< since its last request ended;
                                           negative: there was none */
    apr_interval_time_t quiet_wanted; /**< how long that should be */
} clone_drain_facts_t;

/**
 * Judge whether a member may be stopped, and nobody loses anything.
 *
 * @return bits of clone_unsafe_e; 0 when it may
 */
unsigned int clone_drain_judge(const clone_drain_facts_t *facts);

/** @return the word for one bit; "?" for something else */
const char *clone_unsafe_name(unsigned int bit);

/** What decides whether a session leaves a member that drains. */
typedef struct clone_leave_t {
    apr_interval_time_t drained;  /**< since the drain began */
    apr_interval_time_t deadline; /**< after which sessions leave; negative:
                                       never */
    apr_interval_time_t within;   /**< then, over this time, all do */
    apr_interval_time_t idle;     /**< since the session's last request;
                                       negative: not known */
    apr_interval_time_t idle_max; /**< after which a session is over */
} clone_leave_t;

/**
 * Judge whether a session leaves with the request at hand.
 *
 * From the deadline on those leave that were idle for as long as a session
 * may be, and what is asked for falls evenly to nothing. So the load that
 * moves comes bit by bit, and those in the middle of something move last. A
 * session that nobody knows leaves at once.
 *
 * @return 1 when it does
 */
int clone_drain_leaves(const clone_leave_t *leave);

#endif
