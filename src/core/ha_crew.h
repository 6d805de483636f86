/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_CREW_H
#define HA_CREW_H

/**
 * @file ha_crew.h
 * The nodes of a store at work on one operation on one session.
 *
 * ha_session.c says what an operation sends and believes; here is how nodes
 * are picked, asked, understood and brought to hold the same. One thread.
 */

#include "ha_session.h"

/** One node in the course of one operation. */
typedef struct ha_peer_t {
    unsigned int node;    /**< index in the store */
    apr_uint32_t is_target; /**< it should hold the session; a bit a view */
    int is_later;         /**< it should, and is not waited for */
    int is_asked;         /**< it has been asked in this operation */
    int is_planned;       /**< the next round has a call for it */
    int is_proved;        /**< it held what was needed, at some moment */
    ha_verb_e verb;       /**< the last planned call */
    int is_repair;        /**< it brings what was missing before */
    span_t data;          /**< and its data */
    ha_answer_e answer;   /**< the last answer */
    apr_uint64_t version; /**< of the item, on HIT */
    span_t held;          /**< the item's bytes, on HIT */
    ha_image_t *image;    /**< what held folds to; NULL: it cannot be read */
    ha_fold_t fold;       /**< how the fold went */
} ha_peer_t;

/** The placement order of one list of nodes. */
typedef struct ha_view_t {
    unsigned int count;                /**< entries of peer[] in use */
    unsigned int wanted;               /**< owners, and so targets */
    unsigned char peer[HA_NODES_MAX];  /**< indexes of peers, owners first */
} ha_view_t;

/**
 * An operation: its surroundings, and all nodes in placement order. View 0 is
 * the list of nodes, whose order the peers stand in; nodes that only an
 * earlier list had stand behind them. The other views are the earlier lists
 * by which the session may have been placed: each has its own targets.
 */
typedef struct ha_crew_t {
    const ha_session_env_t *env;   /**< clock, store, budget */
    const ha_sid_t *sid;           /**< the session */
    apr_pool_t *pool;              /**< owns everything here */
    unsigned int count;            /**< entries of peers[] in use */
    unsigned int wanted;           /**< owners in view 0, and so targets */
    unsigned int views;            /**< entries of view[] in use */
    ha_view_t view[1 + HA_PAST_MAX]; /**< what is listed, what was */
    unsigned int put_off;          /**< targets of view 0 not waited for */
    int is_aimed;                  /**< 1: nobody stands in for a target */
    unsigned int acks;             /**< proofs after which settling rests;
                                        0: none but all of them */
    apr_uint64_t silent;           /**< a bit a node: it failed already */
    apr_uint32_t ttl_sec;          /**< of what the next round writes */
    ha_peer_t peers[HA_NODES_MAX]; /**< owners first, then stand-ins */
} ha_crew_t;

/**
 * Line up all nodes; the first ones that are up become targets.
 *
 * @param env outlives the crew
 * @param sid outlives the crew
 * @param silent nodes that this request waited for in vain, a bit a node
 * @param p owns the crew
 * @return the crew; nobody has been asked
 */
ha_crew_t *ha_crew_gather(const ha_session_env_t *env, const ha_sid_t *sid,
                          apr_uint64_t silent, apr_pool_t *p);

/** Whether a node is in this web server's zone, or that is not known. */
int ha_crew_is_near(const ha_crew_t *crew, const ha_peer_t *peer);

/** Whether a node may be asked: it is up, and has not failed this request. */
int ha_crew_is_up(const ha_crew_t *crew, const ha_peer_t *peer);

/**
 * Give a node something to do in the next round. What could not be read back
 * because it is too large is not planned.
 *
 * @param peer one of a crew
 * @param verb what to do
 * @param data bytes for add, append and cas, outlive the round
 */
void ha_crew_plan(ha_peer_t *peer, ha_verb_e verb, span_t data);

/**
 * Carry out what is planned, all at the same time, and take the answers.
 *
 * @return how many nodes had something to do
 */
unsigned int ha_crew_run(ha_crew_t *crew);

/**
 * Ask until as many nodes have answered as should hold the session, and
 * everybody while what they say is not good enough.
 */
void ha_crew_ask(ha_crew_t *crew);

/** Ask every node that is up and has not been asked yet. */
void ha_crew_consult(ha_crew_t *crew);

/** How long anything of a session can be somewhere, seconds. */
apr_uint32_t ha_crew_past_sec(const ha_session_env_t *env);

/** Whether a node holds what is whole, and cannot be read here. */
int ha_crew_is_locked(const ha_crew_t *crew);

/** Whether any node holds something of the session, or its end. */
int ha_crew_is_held(const ha_crew_t *crew);

/** Whether all nodes have answered; one off the list need not be up. */
int ha_crew_is_complete(const ha_crew_t *crew);

/** Whether targets that were asked lack the session, or are too few. */
int ha_crew_is_short(const ha_crew_t *crew);

/**
 * Whether a node has been there, without a gap, for as long as anything of
 * this session can be; then it would know of it. Of one that was asked.
 */
int ha_crew_is_witness(const ha_crew_t *crew, const ha_peer_t *peer);

/** Whether by each list an owner has answered that would know of it. */
int ha_crew_has_witness(const ha_crew_t *crew);

/**
 * What all nodes hold together.
 *
 * @param base folded in as well; NULL for nothing
 * @return borrowed from base or a peer when that is all there is, so not to
 *         be changed; NULL when nobody holds anything and there is no base
 */
ha_image_t *ha_crew_merge(const ha_crew_t *crew, ha_image_t *base);

/**
 * Bring all targets to hold what is needed, in at most the rounds given. Once
 * as many as crew->acks have proved it, no more than long logs is worth a
 * round, and nobody stands in for who is silent.
 *
 * @param needed what a node must hold to be proved; not changed
 * @param rounds network round trips, at most
 * @return what all hold together, as ha_crew_merge() returns it
 */
ha_image_t *ha_crew_settle(ha_crew_t *crew, ha_image_t *needed, int rounds);

#endif
