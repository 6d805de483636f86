/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_TRACK_H
#define CLONE_TRACK_H

/**
 * @file clone_track.h
 * What is going on at each member: sessions, requests under way, the last
 * request. Hooks that watch, and what they found out.
 */

#include <httpd.h>
#include <mod_proxy.h>

#include "clone_answer.h"
#include "clone_board.h"
#include "clone_request.h"
#include "clone_route.h"
#include "clone_sessions.h"

/** post_config: the memory that all children share. */
int clone_track_post_config(apr_pool_t *pconf, apr_pool_t *plog,
                            apr_pool_t *ptemp, server_rec *s);

/** child_init: nothing is under way yet. */
void clone_track_child_init(apr_pool_t *pchild, server_rec *s);

/** scheme_handler, within ours: one attempt begins. Always DECLINED. */
int clone_track_begin(request_rec *r, proxy_worker *worker,
                      proxy_server_conf *conf, char *url,
                      const char *proxyhost, apr_port_t proxyport);

/**
 * A member answered: the session of the request lives there, or the one that
 * the answer begins; one that it ends is gone.
 */
void clone_track_answer(const clone_answer_t *answer);

/** log_transaction: it is over. Always DECLINED. */
int clone_track_end(request_rec *r);

/**
 * A member's number, for this request's balancer.
 *
 * @return 0 when there are too many members
 */
clone_slot_no clone_track_member(clone_request_t *req, const request_rec *r,
                                 const proxy_worker *worker);

/**
 * The number of this request's balancer, for what concerns all its members.
 *
 * @return 0 when there are too many
 */
clone_slot_no clone_track_balancer(clone_request_t *req,
                                   const request_rec *r);

/** This request, and those it was redirected from, are at no member now. */
void clone_track_land(const request_rec *r);

/**
 * Have a place at a member, if it has one: the request is under way there from
 * now on, whenever the attempt begins. It has none elsewhere.
 *
 * @param most places
 * @return 1 when it has one
 */
int clone_track_take(clone_request_t *req, const request_rec *r,
                     const proxy_worker *worker, unsigned int most);

/** @return 1 when this request took a place there and has it still */
int clone_track_has_place(const clone_request_t *req,
                          const proxy_worker *worker);

/** Its place, if it took one, is free for others. */
void clone_track_give_back(const clone_request_t *req);

/** @return what tells members of one balancer apart: clone id, or URL */
const char *clone_track_id(const proxy_worker *worker);

/**
 * A member's number.
 *
 * @param balancer the balancer's name
 * @return 0 when there are too many members
 */
clone_slot_no clone_track_slot(const char *balancer,
                               const proxy_worker *worker);

/** @return the board; never NULL while the server runs */
clone_board_t *clone_track_board(void);

/** @return the table of sessions; likewise */
const clone_sessions_t *clone_track_sessions(void);

/**
 * Take members that drain for too long from a request's choice, if its
 * session is one of those that leave by now, and another one can serve it.
 *
 * @param members the balancer's, as they are; those are made unusable
 * @param balancer its thread lock is held
 */
void clone_track_hide(clone_member_t *members, const proxy_balancer *balancer,
                      clone_request_t *req, request_rec *r);

#endif
