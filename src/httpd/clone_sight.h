/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_SIGHT_H
#define CLONE_SIGHT_H

/**
 * @file clone_sight.h
 * Members as an administrator sees them, in JSON and for Prometheus.
 */

#include <apr_tables.h>
#include <httpd.h>

#include "clone_board.h"
#include "clone_census.h"
#include "clone_drain.h"
#include "clone_intent.h"

/** One member at one moment. */
typedef struct clone_sight_t {
    const clone_person_t *person;
    const clone_intent_t *intent; /**< NULL: it is as configured */
    clone_drain_facts_t facts;
    unsigned int why;     /**< it must not be stopped, bits of clone_unsafe_e;
                               0 when it may */
    unsigned int any;     /**< flags that a copy has, bits of clone_flag_e */
    unsigned int all;     /**< flags that all copies have */
    unsigned int usable;  /**< copies that may serve requests */
    int is_routed;        /**< sessions are followed and counted */
    apr_time_t last;      /**< end of the last request; 0: there was none */
    unsigned int most;    /**< requests that it may have at a time, where that
                               is least; 0: any number */
    apr_int64_t slow_start; /**< where it takes longest */
    unsigned int share;   /**< of new sessions, of CLONE_SHARE_WHOLE */
    unsigned int waiting; /**< requests that wait for it */
    apr_uint64_t counts[CLONE_BOARD_COUNTS];
    apr_time_t drained;   /**< since when it drains; 0: it does not */
    apr_uint32_t over_in; /**< seconds until its last session is over, unless
                               one is used again */
} clone_sight_t;

/** All members, or those that were asked for. */
typedef struct clone_view_t {
    apr_array_header_t *census;
    apr_array_header_t *sights; /**< of clone_sight_t */
    apr_time_t now;
} clone_view_t;

/**
 * Look at members. Reads the whole table of sessions.
 *
 * @param balancer of these alone; NULL for all
 * @param member of this one alone; NULL for all
 * @param quiet_wanted time without a request before a member is safe to stop
 */
clone_view_t *clone_sight_look(const char *balancer, const char *member,
                               apr_interval_time_t quiet_wanted,
                               apr_pool_t *p);

/** @return the view as a JSON object */
const char *clone_sight_json(const clone_view_t *view, apr_pool_t *p);

/** @return one member as a JSON object without its last brace */
const char *clone_sight_member_json(const clone_sight_t *sight,
                                    apr_time_t now, apr_pool_t *p);

/** @return the view in Prometheus' text format */
const char *clone_sight_metrics(const clone_view_t *view, apr_pool_t *p);

#endif
