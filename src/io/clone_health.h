/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_HEALTH_H
#define CLONE_HEALTH_H

/**
 * @file clone_health.h
 * What all children of this host know of each member: failures in a row, and
 * who is trying it just now. Plain data in shared memory, atomics, no locks;
 * any thread of any child may call.
 */

#include <apr_time.h>

#include "ha_base.h"
#include "ha_limits.h"

/** The table, as large as clone_health_size() says; zeroed when it is new. */
typedef struct clone_health_t clone_health_t;

/** What is known of one member. Never goes away once it is there. */
typedef struct clone_health_member_t clone_health_member_t;

/** @return bytes */
apr_size_t clone_health_size(void);

/**
 * A member's slot; a free one becomes his.
 *
 * @param member names it, never 0; members of one key share a slot
 * @return NULL when the table is full
 */
clone_health_member_t *clone_health_find(clone_health_t *health,
                                         apr_uint64_t member);

/**
 * Count a failure.
 *
 * @param fault what failed, 0 for a failure that any request would have met.
 *        One that has the same fault as the last counted one is not counted:
 *        a request that kills servers, sent by its user again and again, is
 *        no proof against them.
 * @return failures in a row by now
 */
unsigned int clone_health_fail(clone_health_member_t *slot, apr_uint32_t fault);

/** The member works: its failures are forgotten. */
void clone_health_succeed(clone_health_member_t *slot);

/** @return failures in a row */
unsigned int clone_health_failures(const clone_health_member_t *slot);

/**
 * Be the one who tries a member that has failed.
 *
 * Others are kept off until clone_health_end_trial(), or until the time given
 * here: who never ends his trial keeps the member out no longer.
 *
 * @param until when others may, at the latest
 * @return what to end it with; 0 when somebody else is trying
 */
HA_CHECK_RESULT
apr_time_t clone_health_begin_trial(clone_health_member_t *slot,
                                    apr_time_t now, apr_time_t until);

/** @param trial as it was begun; nothing happens when another one began */
void clone_health_end_trial(clone_health_member_t *slot, apr_time_t trial);

/** @return 1 while somebody tries it */
int clone_health_is_on_trial(const clone_health_member_t *slot,
                             apr_time_t now);

#endif
