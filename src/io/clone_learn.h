/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_LEARN_H
#define CLONE_LEARN_H

/**
 * @file clone_learn.h
 * Which member a clone id belongs to that no member is configured with: a
 * table in memory that all children share, of bounded size, which forgets
 * what was not used for longest.
 *
 * It holds keyed hashes, no clone ids and no names. Any number of processes
 * and threads read and write it at once, without locks.
 */

#include <apr_time.h>

#include "ha_base.h"

/** Bytes of the key that hashes are made with. */
#define CLONE_LEARN_KEY 16

/** The memory. Plain data. */
typedef struct clone_learn_t clone_learn_t;

/** What became of the clone ids of answers and requests, since it was made. */
typedef enum clone_learn_count_e {
    CLONE_LEARN_LEARNED = 0, /**< ids learned, or found with another member */
    CLONE_LEARN_USED,        /**< requests answered where one led */
    CLONE_LEARN_UNKNOWN,     /**< ids of requests that nothing is known of */
    CLONE_LEARN_REFUSED,     /**< ids of answers that may not be the member's
                                  own */
    CLONE_LEARN_EVICTED,     /**< ids forgotten for others */
    CLONE_LEARN_COUNTS
} clone_learn_count_e;

/** What became of an id that was put. */
typedef enum clone_learn_put_e {
    CLONE_LEARN_KEPT = 0, /**< known already */
    CLONE_LEARN_NEW,      /**< learned, or moved to another member */
    CLONE_LEARN_BUSY      /**< not learned: too many others write there */
} clone_learn_put_e;

/**
 * Bytes of memory for a number of ids.
 *
 * @param ids at least 1; rounded up to what makes a table
 */
apr_size_t clone_learn_size(unsigned int ids);

/**
 * Whether memory was never made a table.
 *
 * @param memory clone_learn_size() bytes, aligned for 64-bit numbers, all
 *               zero or made a table before
 */
int clone_learn_is_blank(const clone_learn_t *memory);

/**
 * Make blank memory a table. By one process, before others see it.
 *
 * @param memory all zero
 * @param ids as for clone_learn_size()
 * @param key random bytes
 */
void clone_learn_init(clone_learn_t *memory, unsigned int ids,
                      const unsigned char key[CLONE_LEARN_KEY]);

/**
 * The number that stands for a member in the table. Two members of one
 * balancer have the same with a chance of one in four thousand millions.
 *
 * @param name what does not change while the member lives: its URL
 * @return never 0
 */
apr_uint32_t clone_learn_member(const clone_learn_t *learn, span_t name);

/**
 * Note that an id belongs to a member.
 *
 * @param balancer the balancer's name; ids of different ones have nothing to
 *                 do with each other
 * @param id the clone id
 * @param member from clone_learn_member()
 * @param now for what is forgotten first
 */
HA_CHECK_RESULT
clone_learn_put_e clone_learn_put(clone_learn_t *learn, span_t balancer,
                                  span_t id, apr_uint32_t member,
                                  apr_time_t now);

/**
 * The member that an id belongs to.
 *
 * @param now notes that the id is in use
 * @return from clone_learn_member(), or 0 when it is not known
 */
apr_uint32_t clone_learn_find(clone_learn_t *learn, span_t balancer,
                              span_t id, apr_time_t now);

/** Add one to a count. */
void clone_learn_add(clone_learn_t *learn, clone_learn_count_e which);

/** @return a count */
apr_uint64_t clone_learn_count(clone_learn_t *learn,
                               clone_learn_count_e which);

/** @return ids that the table holds now; walks all of it */
unsigned int clone_learn_held(clone_learn_t *learn);

/** @return ids that the table has room for */
unsigned int clone_learn_room(const clone_learn_t *learn);

#endif
