/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_SESSION_H
#define HA_SESSION_H

/**
 * @file ha_session.h
 * Load, save, end and touch a session over any store: the protocol.
 *
 * A session has R owners, the first R of its placement order. While an owner
 * is down, the next node that is up stands in for it. Nothing here blocks but
 * the store, and the store within the deadline; the caller brings clock and
 * randomness.
 */

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_delta.h"
#include "ha_seal.h"
#include "ha_sid.h"
#include "ha_store.h"

/** What an operation met that somebody should hear of. Counts of copies. */
typedef struct ha_noticed_t {
    unsigned int locked; /**< sealed by a secret that the ring has not */
    unsigned int clear;  /**< in clear where only what is sealed is believed */
} ha_noticed_t;

/** What every operation needs. Filled anew for each. */
typedef struct ha_session_env_t {
    ha_store_t *store;     /**< where sessions live */
    const ha_seal_t *seal; /**< seals what is written and opens what is read;
                                NULL for clear */
    ha_noticed_t *noticed; /**< raised, never reset; NULL for nobody */
    unsigned int replicas; /**< owners of a session, R */
    unsigned int acks;     /**< copies that make a save good, 1 to R; 0: all
                                that nodes which answer can hold */
    apr_uint32_t ttl_sec;  /**< time to live of this session's items */
    apr_uint32_t past_sec; /**< no item of anybody's lives longer: how long a
                                witness must have been whole, and an end is
                                remembered; at least ttl_sec */
    apr_uint32_t end_sec;  /**< an end is remembered for this long, too: what
                                is left to this session's absolute end */
    apr_time_t now;        /**< this host's clock */
    apr_time_t issued;     /**< when the id was issued, 0 when not known */
    apr_time_t deadline;   /**< end of the request's time budget */
    apr_uint64_t writer;   /**< random, fresh for each operation */
    int is_resealing;      /**< 1: copies that are not sealed as they would be
                                now are written anew by a load */
    span_t zone;           /**< where this web server is; empty: nowhere */
    int far_later;         /**< 1: a save does not wait for far zones, if a
                                node of this one should hold the session */
    int near_first;        /**< 1: a load may believe this zone alone */
} ha_session_env_t;

/** What a load found. Three answers, and MISS knows two more reasons. */
typedef enum ha_load_e {
    HA_LOAD_UNKNOWN = 0, /**< it may exist; nobody who knows could be asked */
    HA_LOAD_MISS,        /**< there is no such session, and that is certain */
    HA_LOAD_ENDED,       /**< it was logged out */
    HA_LOAD_MOVED,       /**< its id was rotated: ha_rotate.h */
    HA_LOAD_HIT          /**< here it is */
} ha_load_e;

/** What a save, an end or a touch achieved. */
typedef struct ha_saved_t {
    unsigned int wanted; /**< nodes that should hold it */
    unsigned int copies; /**< of these, nodes that proved to hold it */
    unsigned int owners; /**< of copies, owners; the rest are stand-ins */
    unsigned int acks;   /**< copies it took to be good: fewer is failure, and
                              then whether anybody will see it is open */
    int refused;         /**< 1: the session had ended meanwhile */
    unsigned int put_off; /**< nodes in far zones that were not waited for */
    apr_uint64_t missed; /**< owners and targets without a proof, and those
                              put off, a bit a node: who should be brought
                              the records */
    span_t records;      /**< to be brought there, see ha_far_bring(); live
                              as long as the session */
    int is_whole;        /**< 1: records are all there is of the session */
} ha_saved_t;

/** A session while a request uses it. One thread; dies with its pool. */
typedef struct ha_session_t ha_session_t;

/**
 * Name a load's result for a log line.
 *
 * @return one static word: unknown, miss, ended, moved, hit
 */
const char *ha_load_name(ha_load_e result);

/**
 * Begin a session that no store has seen.
 *
 * @param sid its id, fresh from randomness; copied
 * @param p owns the session
 * @return the session, without attributes
 */
ha_session_t *ha_session_make(const ha_sid_t *sid, apr_pool_t *p);

/**
 * Begin a session that no store has seen, with something in it.
 *
 * @param image what is in it; it is the session's from now on
 */
ha_session_t *ha_session_make_of(const ha_sid_t *sid, ha_image_t *image,
                                 apr_pool_t *p);

/**
 * Read a session from all its owners at once, and repair what one of them
 * lacks. It has what the copies counted hold, no more, unless that is its
 * end. A miss is believed from a node that has been whole for a session's
 * lifetime, or from all nodes together; otherwise the answer is UNKNOWN.
 *
 * @param session made on HIT and MOVED, NULL otherwise
 * @param env surroundings
 * @param sid the id, from a verified cookie
 * @param p owns the session
 * @return HIT, MISS, ENDED, MOVED or UNKNOWN
 */
HA_CHECK_RESULT
ha_load_e ha_session_load(ha_session_t **session, const ha_session_env_t *env,
                          const ha_sid_t *sid, apr_pool_t *p);

/**
 * The attributes of a session as last loaded or saved.
 *
 * @param p owns the table, a copy
 * @return names to values
 */
apr_table_t *ha_session_table(const ha_session_t *session, apr_pool_t *p);

/** The id. Lives as long as the session. */
const ha_sid_t *ha_session_sid(const ha_session_t *session);

/** Whether a store holds it: 1 after a load or a save, 0 after make. */
int ha_session_is_stored(const ha_session_t *session);

/** When it was last in use according to the store; 0 when never stored. */
apr_time_t ha_session_access(const ha_session_t *session);

/**
 * How far the latest write that was read is ahead of a clock: that of a host
 * is wrong when it is more than HA_SKEW_USEC.
 *
 * @return microseconds; 0 when it is not ahead
 */
apr_interval_time_t ha_session_ahead(const ha_session_t *session,
                                     apr_time_t now);

/** The pool that owns it. */
apr_pool_t *ha_session_pool(const ha_session_t *session);

/** What it is known to hold; to be read only, until the next operation. */
const ha_image_t *ha_session_image(const ha_session_t *session);

/** A stamp after everything this session has seen. */
ha_stamp_t ha_session_stamp(const ha_session_t *session,
                            const ha_session_env_t *env);

/** Nodes that proved to hold all of it at its load, or at its last save. */
unsigned int ha_session_copies(const ha_session_t *session);

/** Whether only this web server's zone was asked when it was loaded. */
int ha_session_is_near(const ha_session_t *session);

/**
 * Store a change: one record to every owner at once, proved by content.
 * Owners that lost the session get all of it; an owner that refuses the
 * append is given a folded log. A session that ended stays ended. All targets
 * are written at once; when env->acks of them have it after that, the rest is
 * left to the next reader.
 *
 * @param session changed: what was stored is what it now holds
 * @param saved filled
 * @param env surroundings
 * @param ops attributes set and removed
 * @param count entries of ops
 */
void ha_session_save(ha_session_t *session, ha_saved_t *saved,
                     const ha_session_env_t *env, const ha_op_t *ops,
                     unsigned int count);

/**
 * Store a change that brings its own stamp.
 *
 * @param session changed: what was stored is what it now holds
 * @param saved filled
 * @param env surroundings
 * @param change what to store
 */
void ha_session_write(ha_session_t *session, ha_saved_t *saved,
                      const ha_session_env_t *env,
                      const ha_change_t *change);

/**
 * Store what somebody else knows of this session, stamps and all.
 *
 * @param session changed: what was stored is what it now holds
 * @param saved filled
 * @param env surroundings
 * @param more an image, read only
 */
void ha_session_merge(ha_session_t *session, ha_saved_t *saved,
                      const ha_session_env_t *env, const ha_image_t *more);

/**
 * End a session for good: log out.
 *
 * @param session changed: it has ended, whatever was achieved
 * @param saved filled
 * @param env surroundings; past_sec and end_sec say how long the end is
 *            remembered
 */
void ha_session_end(ha_session_t *session, ha_saved_t *saved,
                    const ha_session_env_t *env);

/**
 * End a session whose id was rotated: the forwards stay.
 *
 * @param session changed: it has ended, whatever was achieved
 * @param saved filled
 * @param env as for ha_session_end()
 * @param forward a forward that the session may not know, as a field
 */
void ha_session_leave(ha_session_t *session, ha_saved_t *saved,
                      const ha_session_env_t *env, span_t forward);

/**
 * Renew the time to live on every owner. Carries no data.
 *
 * @param session the session
 * @param saved filled
 * @param env surroundings
 */
void ha_session_touch(ha_session_t *session, ha_saved_t *saved,
                      const ha_session_env_t *env);

#endif
