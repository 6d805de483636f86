/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_BOARD_H
#define CLONE_BOARD_H

/**
 * @file clone_board.h
 * What all processes know of each member: when it was asked last, since when
 * it drains, and how many requests are under way to it.
 *
 * Plain data in memory that processes share. All functions may be called by
 * any thread of any process at any time, and take no lock.
 */

#include <apr_time.h>

#include "clone_sessions.h"
#include "ha_base.h"

/** The shared record. */
typedef struct clone_board_t clone_board_t;

/** A member's number; 0 is none: the board is full. */
typedef unsigned int clone_slot_no;

/** The number under which those who wait for a member are counted. */
#define CLONE_SLOT_WAITERS 1

/** Bytes of the key that session hashes are made with. */
#define CLONE_BOARD_KEY 16

/** What hashes of one balancer's names are made with. */
typedef struct clone_board_key_t {
    unsigned char bytes[CLONE_BOARD_KEY];
} clone_board_key_t;

/** What is counted where a limit holds. */
typedef enum clone_board_count_e {
    CLONE_BOARD_WAITED = 0, /**< had to wait for a place */
    CLONE_BOARD_REFUSED,    /**< as many were waiting as may */
    CLONE_BOARD_EXPIRED,    /**< waited in vain */
    CLONE_BOARD_PASSED      /**< without a session, went elsewhere at once */
} clone_board_count_e;

/** So many are counted; they count from 0. */
#define CLONE_BOARD_COUNTS 4

/** One request under way, as clone_board_enter() gave it. */
typedef struct clone_flight_t {
    clone_slot_no slot;
    int cell; /**< where it is counted; negative: in the slot itself */
} clone_flight_t;

/** @return bytes of a board */
apr_size_t clone_board_size(void);

/** @return 1 when zeroed memory was laid out by clone_board_init() */
int clone_board_is_made(const clone_board_t *board);

/**
 * Lay a board out in zeroed memory, once.
 *
 * @param key random bytes that nobody else knows
 */
void clone_board_init(clone_board_t *board,
                      const unsigned char key[CLONE_BOARD_KEY]);

/**
 * Make a balancer's key.
 *
 * @param key filled
 * @param balancer its name
 */
void clone_board_key(clone_board_key_t *key, const clone_board_t *board,
                     span_t balancer);

/**
 * The hash that names a session of a balancer.
 *
 * @param key the balancer's
 * @param session the part of an id that lasts as long as the session
 */
apr_uint64_t clone_board_hash(const clone_board_key_t *key, span_t session);

/**
 * A member's number; the first who asks makes it.
 *
 * @param key its balancer's
 * @param member its clone id, or its URL where it has none
 * @return the number, the same for everybody; 0 when there are too many
 */
clone_slot_no clone_board_slot(clone_board_t *board,
                               const clone_board_key_t *key, span_t member);

/**
 * The number under which those who wait for a member are counted.
 *
 * @param slot the member's, not 0
 * @return 0 when there are too many
 */
clone_slot_no clone_board_queue(clone_board_t *board, clone_slot_no slot);

/** Note the end of a request. */
void clone_board_note(clone_board_t *board, clone_slot_no slot,
                      apr_time_t now);

/** @return when the last request ended; 0 when there was none */
apr_time_t clone_board_last(const clone_board_t *board, clone_slot_no slot);

/** Note that a session found no room in the table, and when it is over. */
void clone_board_miss(clone_board_t *board, clone_slot_no slot,
                      apr_time_t until);

/** @return until when there may be sessions that are not in the table */
apr_time_t clone_board_missed(const clone_board_t *board, clone_slot_no slot);

/**
 * Note whether a member drains.
 *
 * @param is_draining 1 when it does
 * @param now since when, unless it did before
 * @return since when it does; 0 when it does not
 */
apr_time_t clone_board_drain(clone_board_t *board, clone_slot_no slot,
                             int is_draining, apr_time_t now);

/**
 * Note whether a member takes new sessions.
 *
 * @param is_here 1 when it does
 * @param unseen since when it does, if nobody has looked before; not 0
 * @param now since when, if it did not before
 */
void clone_board_watch(clone_board_t *board, clone_slot_no slot, int is_here,
                       apr_time_t unseen, apr_time_t now);

/** @return since when it does; 0 when it does not, or nobody has looked */
apr_time_t clone_board_back(clone_board_t *board, clone_slot_no slot);

/**
 * Count a request of this process as under way.
 *
 * @return for clone_board_leave(), by the same process
 */
clone_flight_t clone_board_enter(clone_board_t *board, clone_slot_no slot);

/** It is not any more. */
void clone_board_leave(clone_board_t *board, clone_flight_t flight);

/**
 * Requests under way to a member.
 *
 * What a process counted ends with the process, however that ended.
 */
unsigned int clone_board_flights(clone_board_t *board, clone_slot_no slot);

/**
 * Whether a limit is reached. Quick: what a killed process counted may be in it
 * for a moment longer.
 *
 * @param most the limit
 */
int clone_board_is_full(clone_board_t *board, clone_slot_no slot,
                        unsigned int most, apr_time_t now);

/**
 * Count a request of this process as under way, unless that were too many.
 *
 * @param flight for clone_board_leave(), when 1 is returned
 * @param most how many there may be
 * @return 1 when it is counted
 */
HA_CHECK_RESULT
int clone_board_try(clone_flight_t *flight, clone_board_t *board,
                    clone_slot_no slot, unsigned int most, apr_time_t now);

/** Count. */
void clone_board_count(clone_board_t *board, clone_slot_no slot,
                       clone_board_count_e what);

/** @return how often it was, since the server's first start */
apr_uint64_t clone_board_counted(const clone_board_t *board,
                                 clone_slot_no slot,
                                 clone_board_count_e what);

/** @return the same, for all members */
apr_uint64_t clone_board_counted_all(const clone_board_t *board,
                                     clone_board_count_e what);

/**
 * Be the one who tells, once in so long.
 *
 * @return 1 when nobody has since
 */
HA_CHECK_RESULT
int clone_board_may_tell(clone_board_t *board, clone_slot_no slot,
                         apr_interval_time_t every, apr_time_t now);

/**
 * A new process begins, before anything of it is counted: forget what another
 * one of its number counted.
 */
void clone_board_begin(clone_board_t *board);

#endif
