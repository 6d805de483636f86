/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_ROUTE_H
#define CLONE_ROUTE_H

/**
 * @file clone_route.h
 * What a session says and how the members are, in; who serves it, and why,
 * out.
 */

#include "clone_ids.h"
#include "ha_base.h"

/** Why a member was chosen. */
typedef enum clone_reason_e {
    CLONE_REASON_NEW = 0,  /**< no session: the balancer's own method decides */
    CLONE_REASON_FIRST,    /**< the clone the session names first */
    CLONE_REASON_NEXT,     /**< a later one of its list */
    CLONE_REASON_LEARNED,  /**< who was learned to have issued a listed id */
    CLONE_REASON_REDIRECT, /**< where a clone of its list is redirected to */
    CLONE_REASON_FAILOVER, /**< its clones are away: placed by session id */
    CLONE_REASON_UNKNOWN,  /**< names no member here: placed by session id */
    CLONE_REASON_NONE      /**< nobody may serve it */
} clone_reason_e;

/** One member of a balancer as it is now. */
typedef struct clone_member_t {
    span_t name;         /**< what placement hashes; alike on all routers */
    span_t route;        /**< its clone id, may be empty */
    const char *redirect; /**< clone id that takes its sessions, may be empty
                               or NULL; text, because few are ever read */
    unsigned int weight; /**< share of sessions that are placed, at least 1 */
    int lbset;           /**< lower sets are asked first */
    unsigned int is_usable : 1;   /**< up, or due for another trial */
    unsigned int is_tried : 1;    /**< has failed this request already */
    unsigned int is_draining : 1; /**< serves its own sessions only */
    unsigned int is_standby : 1;  /**< when no other of its set is left */
    unsigned int is_spare : 1;    /**< in place of an unusable one of its set */
} clone_member_t;

/** Who serves the request. */
typedef struct clone_choice_t {
    clone_reason_e reason; /**< NEW and NONE: no member was chosen */
    unsigned int member;   /**< index into members[]; 0 when none */
    unsigned int session;  /**< index into sessions[] of who decided; 0 when
                                none did */
} clone_choice_t;

/**
 * Choose a member for a request.
 *
 * In this order: the first listed clone that is usable and untried, all
 * sessions in turn; then where a listed clone is redirected to; then, unless
 * is_pinned and a listed clone is a member, the winner of a rendezvous over
 * the session id among the members of the lowest set that has one to offer.
 * A member that drains is taken when it is listed and never otherwise.
 *
 * @param choice filled always
 * @param members the balancer
 * @param count entries of members[]
 * @param sessions what the request's cookies and URL say, best first
 * @param session_count entries of sessions[]
 * @param is_pinned sessions die with their clones (nofailover)
 */
void clone_route_choose(clone_choice_t *choice, const clone_member_t *members,
                        unsigned int count, const clone_ids_t *sessions,
                        unsigned int session_count, int is_pinned);

/**
 * The word for a reason, as in CLONE_REASON.
 *
 * @return a constant; "?" for a value outside the enum
 */
const char *clone_reason_name(clone_reason_e reason);

#endif
