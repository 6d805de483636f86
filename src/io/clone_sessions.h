/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_SESSIONS_H
#define CLONE_SESSIONS_H

/**
 * @file clone_sessions.h
 * Which member served each live session last, and until when the session is
 * live: a table in memory that processes share.
 *
 * Sessions are told apart by a keyed hash; nobody who reads the memory learns
 * an id. All functions may be called by any thread of any process at any
 * time, and take no lock.
 */

#include <apr_time.h>

#include "ha_base.h"

/** Members that sessions can be counted for; numbers are 1 to this less 1. */
#define CLONE_SLOTS 4096

/** Seconds that a session may be kept idle: ten days. See clone_sessions.c. */
#define CLONE_SESSION_IDLE_MAX (10 * 24 * 3600)

/** Sessions that can be asked for: up to 480 MB. */
#define CLONE_SESSIONS_LEAST 100
#define CLONE_SESSIONS_MAX (40 * 1000 * 1000)

/** The shared table. */
typedef struct clone_sessions_t clone_sessions_t;

/** What a table says of one member. */
typedef struct clone_tally_t {
    apr_uint32_t sessions; /**< that are live */
    apr_uint32_t longest;  /**< seconds until the last of them is over,
                                unless it is used again */
} clone_tally_t;

/**
 * @param sessions that shall be counted exactly
 * @return bytes of a table for them
 */
apr_size_t clone_sessions_size(apr_uint32_t sessions);

/**
 * Lay a table out in zeroed memory, once.
 *
 * @param table that many bytes as clone_sessions_size() said
 * @param sessions as given there
 * @param now the time
 */
void clone_sessions_init(clone_sessions_t *table, apr_uint32_t sessions,
                         apr_time_t now);

/** @return when the table was made; 0 when it was not laid out yet */
apr_time_t clone_sessions_since(const clone_sessions_t *table);

/**
 * Note that a member served a session.
 *
 * @param hash the session's, all bits as good as random
 * @param slot the member
 * @param idle_sec seconds until it is over, up to CLONE_SESSION_IDLE_MAX
 * @param now the time
 * @return 1; 0 when there was no room, and the session is not counted
 */
HA_CHECK_RESULT
int clone_sessions_add(clone_sessions_t *table, apr_uint64_t hash,
                       unsigned int slot, apr_uint32_t idle_sec,
                       apr_time_t now);

/** Note that a session has ended. */
void clone_sessions_remove(clone_sessions_t *table, apr_uint64_t hash);

/**
 * Who served a session last.
 *
 * @param left_sec seconds until it is over, up to one more than it was added
 *        for; 0 without a session
 * @return the member; 0 when the session is over or unknown
 */
unsigned int clone_sessions_find(const clone_sessions_t *table,
                                 apr_uint64_t hash, apr_time_t now,
                                 apr_uint32_t *left_sec);

/**
 * Count the live sessions of all members. Reads the whole table.
 *
 * @param tally of CLONE_SLOTS entries, filled
 */
void clone_sessions_tally(const clone_sessions_t *table, clone_tally_t *tally,
                          apr_time_t now);

/**
 * Forget sessions that are over, if nobody did so for an hour.
 *
 * To be called now and then; one of many callers does the work, a
 * millisecond for a hundred thousand sessions.
 */
void clone_sessions_sweep(clone_sessions_t *table, apr_time_t now);

#endif
