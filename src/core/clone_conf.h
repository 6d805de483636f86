/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CONF_H
#define CLONE_CONF_H

/**
 * @file clone_conf.h
 * What the directives said, and what follows from it.
 *
 * A server says how all its balancers are routed, and may say it otherwise
 * for one balancer by name. The name wins over the server, the virtual host
 * over the main server:
 *
 *   this balancer here > this balancer in the main server
 *     > plugin-cfg.xml, for a balancer of that file
 *     > any balancer here > any balancer in the main server > the default
 */

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "clone_cookie.h"
#include "clone_ids.h"
#include "clone_limit_conf.h"
#include "clone_retry_conf.h"
#include "ha_base.h"

/** A deadline that never comes. */
#define CLONE_NEVER (-2)

/** Sessions counted exactly, if nothing is said: 1.2 MB. */
#define CLONE_SESSIONS_DEFAULT 100000

/** Settings of one scope; each HA_UNSET until a directive sets it. */
typedef struct clone_conf_t {
    int routing; /**< 1 on, 0 off */
    int session_idle_sec;    /**< after which a session is over */
    int drain_deadline_msec; /**< after which sessions leave a member that
                                  drains; CLONE_NEVER */
    int drain_within_msec;   /**< over this time, then */
    int profile; /**< a clone_profile_e */
    int learn;   /**< 1 on, 0 off */
    int private_headers; /**< 1: members are told who the client is */
    const clone_cookie_conf_t *cookie; /**< the router's own; NULL unset */
    clone_format_t format; /**< of CLONE_PROFILE_FREE; goes with profile */
    clone_retry_conf_t retry; /**< what is done about failures */
    clone_limit_conf_t limit; /**< requests that a member may have */
    const void *explain; /**< for which requests decisions are told: a word or
                              an expression of httpd's; NULL until set */
} clone_conf_t;

/** From which proxied requests private headers of clients are removed. */
typedef enum clone_removal_e {
    CLONE_REMOVAL_ROUTED = 0, /**< from those that are routed */
    CLONE_REMOVAL_ALL,        /**< from all */
    CLONE_REMOVAL_NONE        /**< from none */
} clone_removal_e;

/** Settings of one server. */
typedef struct clone_server_conf_t {
    clone_conf_t any;          /**< for all its balancers */
    int sessions;              /**< counted exactly; of the main server */
    const char *state_dir;     /**< what outlives a stop; likewise; NULL until
                                    a directive sets it */
    apr_array_header_t *named; /**< of clone_named_conf_t */
    const char *secret_file;   /**< absolute; the main server's counts */
    int learn_max;             /**< clone ids remembered; the main server's
                                    counts */
    int removal;               /**< a clone_removal_e */
    apr_array_header_t *trusted; /**< of whose private headers are believed;
                                      what it holds is not the core's; NULL
                                      until set */
} clone_server_conf_t;

/** Settings of one balancer. */
typedef struct clone_named_conf_t {
    const char *name;  /**< "balancer://x", lower case */
    clone_conf_t conf;
} clone_named_conf_t;

/** Set every member to HA_UNSET. */
void clone_conf_init(clone_conf_t *conf);

/**
 * Take each member from over where it is set, else from base.
 *
 * @param conf filled; may be base or over
 */
void clone_conf_merge(clone_conf_t *conf, const clone_conf_t *base,
                      const clone_conf_t *over);

/** @return 1 when routing is on; off is the default */
int clone_conf_routing(const clone_conf_t *conf);

/** @return seconds until an idle session is over; 1800 is the default */
unsigned int clone_conf_session_idle(const clone_conf_t *conf);

/** @return after which sessions leave; negative for never, the default */
apr_interval_time_t clone_conf_drain_deadline(const clone_conf_t *conf);

/** @return time over which they leave; five minutes is the default */
apr_interval_time_t clone_conf_drain_within(const clone_conf_t *conf);

/** @return sessions counted exactly */
unsigned int clone_server_conf_sessions(const clone_server_conf_t *conf);

/** @return the profile; websphere is the default */
clone_profile_e clone_conf_profile(const clone_conf_t *conf);

/**
 * How values are written.
 *
 * @param format filled: the profile's form, or the free one
 */
void clone_conf_format(clone_format_t *format, const clone_conf_t *conf);

/** @return the router's own cookie; none is the default, NULL then */
const clone_cookie_conf_t *clone_conf_cookie(const clone_conf_t *conf);

/** @return 1 when unknown clone ids are learned; on is the default */
int clone_conf_learn(const clone_conf_t *conf);

/** @return clone ids that are remembered, CLONE_LEARN_DEFAULT by default */
unsigned int clone_server_conf_learn_max(const clone_server_conf_t *conf);

/** @return 1 when members get private headers; off is the default */
int clone_conf_private_headers(const clone_conf_t *conf);

/** @return from which requests; from routed ones is the default */
clone_removal_e clone_server_conf_removal(const clone_server_conf_t *conf);

/** @return an empty record in p */
clone_server_conf_t *clone_server_conf_make(apr_pool_t *p);

/**
 * Merge a virtual host's record over the main server's, name by name.
 *
 * @return a new record in p; shares names with base and over
 */
clone_server_conf_t *clone_server_conf_merge(const clone_server_conf_t *base,
                                             const clone_server_conf_t *over,
                                             apr_pool_t *p);

/**
 * The record of one balancer, made when there is none.
 *
 * @param conf grows
 * @param name "balancer://x", lower case; must outlive conf
 * @return the record; valid until the next call with this conf
 */
clone_conf_t *clone_server_conf_named(clone_server_conf_t *conf,
                                      const char *name);

/**
 * Whether routing was set for this one balancer, On or Off.
 *
 * @return 1 when it was, by its name
 */
int clone_server_conf_is_named(const clone_server_conf_t *conf,
                               const char *name);

/**
 * What holds for one balancer.
 *
 * @param effective its own settings over those for any
 * @param conf the server that the request came to
 * @param name "balancer://x", lower case
 */
void clone_server_conf_of(clone_conf_t *effective,
                          const clone_server_conf_t *conf, const char *name);

/**
 * The same for a balancer of plugin-cfg.xml.
 *
 * @param file what the file says of it: more than settings for any balancer,
 *        less than its own
 */
void clone_server_conf_with(clone_conf_t *effective,
                            const clone_server_conf_t *conf,
                            const clone_conf_t *file, const char *name);

#endif
