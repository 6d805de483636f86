/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_BUDGET_H
#define CLONE_BUDGET_H

/**
 * @file clone_budget.h
 * How many requests may be sent again: a share of all requests, and a few a
 * second in any case. And what became of them, counted for operators.
 *
 * One bucket of tokens for each balancer, for all children of this host.
 * Plain data in shared memory, atomics, no locks; any thread may call.
 */

#include <apr_time.h>

#include "ha_base.h"
#include "ha_limits.h"

/** What is counted. */
typedef enum clone_budget_e {
    CLONE_BUDGET_MOVED = 0, /**< unsent, to another member */
    CLONE_BUDGET_REPEATED,  /**< sent again, to the same member */
    CLONE_BUDGET_REPLAYED,  /**< sent again, to another member */
    CLONE_BUDGET_REFUSED,   /**< not sent again: the bucket was empty */
    CLONE_BUDGET_TOLD       /**< answered 502, 503 or 504 */
} clone_budget_e;

/** So many are counted; they count from 0. */
#define CLONE_BUDGET_COUNTS 5

/** All buckets; zeroed when it is new. */
typedef struct clone_budget_t clone_budget_t;

/** One balancer's. Begins full. */
typedef struct clone_bucket_t clone_bucket_t;

/** @return bytes */
apr_size_t clone_budget_size(void);

/**
 * A balancer's bucket; a free one becomes his.
 *
 * @param balancer names it, never 0
 * @return NULL when there are too many balancers
 */
clone_bucket_t *clone_budget_find(clone_budget_t *budget,
                                  apr_uint64_t balancer);

/**
 * A request came: its share goes into the bucket, unless that is full.
 *
 * @param percent of a token
 */
void clone_bucket_earn(clone_bucket_t *bucket, unsigned int percent);

/**
 * Take a token, to send a request again.
 *
 * @param floor tokens a second that come whatever is earned
 * @return 1 when there was one
 */
HA_CHECK_RESULT
int clone_bucket_take(clone_bucket_t *bucket, unsigned int floor,
                      apr_time_t now);

/** Count. */
void clone_budget_note(clone_budget_t *budget, clone_budget_e what);

/** @return how often it was noted, since the server's first start */
apr_uint64_t clone_budget_count(const clone_budget_t *budget,
                                clone_budget_e what);

#endif
