/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_FAR_H
#define HA_FAR_H

/**
 * @file ha_far.h
 * Zones: what is not waited for, who stands in for whom, whom a reader
 * believes without asking far away, and how a record is brought to a node
 * behind the request.
 *
 * docs/protocol.md, "Far zones", says what holds and what is given up.
 */

#include "ha_crew.h"

/**
 * Put targets in far zones off, in each list that has a target in this zone;
 * where it has none, the far ones are waited for, as are the first of them
 * while fewer than env->acks targets are left.
 *
 * @param crew gathered, and not asked yet
 */
void ha_far_put_off(ha_crew_t *crew);

/**
 * Give the places of targets that did not answer to the next nodes that are
 * up, those of this zone first when others are put off. One that was put off
 * is waited for when there is no other.
 */
void ha_far_stand_in(ha_crew_t *crew);

/**
 * Ask the owners in this zone, if all of them are up.
 *
 * @param crew gathered, and not asked yet; on 1 targets are near nodes alone
 * @return 1 when their word is enough: each of them would know of every write
 *         in this zone, and holds the session, or one of them its end; 0 when
 *         the others must be asked, too
 */
HA_CHECK_RESULT
int ha_far_ask_near(ha_crew_t *crew);

/** Records for nodes. */
typedef struct ha_bundle_t {
    apr_uint64_t nodes; /**< for whom, a bit a node */
    span_t records;     /**< one behind the other; none: whatever the others
                             hold */
    int is_whole;       /**< 1: with these alone a session is complete */
    int is_touch;       /**< 1: renew the time to live, too */
} ha_bundle_t;

/** What became of records that were brought, a bit a node. */
typedef struct ha_brought_t {
    apr_uint64_t done;   /**< proved to hold them, or there is no session */
    apr_uint64_t silent; /**< gave no answer */
} ha_brought_t;

/**
 * Bring records of a session to nodes that missed them. A node that has
 * nothing of the session gets all that the others hold together; but records
 * that are not whole do not make a session.
 *
 * @param brought filled
 * @param env surroundings
 * @param sid the session
 * @param bundle what, and for whom
 * @param p scratch
 */
void ha_far_bring(ha_brought_t *brought, const ha_session_env_t *env,
                  const ha_sid_t *sid, const ha_bundle_t *bundle,
                  apr_pool_t *p);

#endif
