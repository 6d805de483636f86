/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_OWN_H
#define CLONE_OWN_H

/**
 * @file clone_own.h
 * Which of the clone ids in an answer's cookie is the answering member's own,
 * where the configuration does not know it.
 *
 * What is learned wrongly sends users away from their sessions, so what
 * counts is narrow. An id is the member's own when
 *
 *   - no member of the balancer has it for its route,
 *   - the member's route is not among the cookie's ids: then that is its id,
 *   - it is the only such id, or the form says that the first is the owner's,
 *   - and the client has not sent it, wherever: servers keep the list of a
 *     request and add themselves, so a client could teach us anything.
 */

#include <apr_pools.h>

#include "clone_ids.h"
#include "ha_base.h"

/** What is known of an answer and of the request before it. */
typedef struct clone_own_t {
    const clone_ids_t *issued;   /**< ids of the cookie */
    span_t route;                /**< of the member, may be empty */
    const span_t *routes;        /**< of all members, may be empty */
    unsigned int route_count;
    const clone_ids_t *sessions; /**< what the request said */
    unsigned int session_count;
    const span_t *sent;          /**< other text of the client: its Cookie
                                      header, its URL */
    unsigned int sent_count;
    int is_owner_first;          /**< the first id is the owner's, the others
                                      are of those who could take over */
} clone_own_t;

/** What can be said. */
typedef enum clone_own_e {
    CLONE_OWN_KNOWN = 0, /**< nothing to learn: no id that is unknown */
    CLONE_OWN_FOUND,     /**< one id that is the member's own */
    CLONE_OWN_UNSURE     /**< unknown ids, and any may be somebody else's */
} clone_own_e;

/**
 * Find the member's own id.
 *
 * @param id set on CLONE_OWN_FOUND, points into issued; empty otherwise
 * @param own all that is known
 * @param p scratch
 */
HA_CHECK_RESULT
clone_own_e clone_own_find(span_t *id, const clone_own_t *own, apr_pool_t *p);

#endif
