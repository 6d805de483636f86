/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_ATTEMPT_H
#define CLONE_ATTEMPT_H

/**
 * @file clone_attempt.h
 * One attempt to have a request answered: how it ended, what that says of the
 * member, and what is done next.
 */

#include <httpd.h>
#include <mod_proxy.h>

#include "clone_budget.h"
#include "clone_replay.h"
#include "clone_request.h"

/** post_config: the memory in which all children count failures. */
int clone_attempt_post_config(apr_pool_t *pconf, apr_pool_t *plog,
                              apr_pool_t *ptemp, server_rec *s);

/** @return what was counted of failures; NULL before there is memory */
const clone_budget_t *clone_attempt_budget(void);

/** A request came: what it earns for those that fail. */
void clone_attempt_earn(clone_request_t *req);

/**
 * What all children know of a member.
 *
 * @return NULL when nothing is known: there are too many members
 */
clone_health_member_t *clone_attempt_health(const proxy_worker *worker);

/**
 * Whether attempts with this member are judged by us. Other schemes, and ways
 * through another proxy, are left to mod_proxy's own loop.
 *
 * @return 1 when they are
 */
int clone_attempt_is_ours(const proxy_worker *worker,
                          const proxy_server_conf *conf);

/** Whether this request may be sent again if its body is held. */
int clone_attempt_is_open(const clone_request_t *req, const request_rec *r,
                          const proxy_worker *worker);

/** An attempt begins. */
void clone_attempt_begin(clone_request_t *req, proxy_worker *worker);

/**
 * Whether an answer that begins to come is to be kept from the client.
 *
 * @return CLONE_END_ANSWERED when it is his
 */
clone_end_e clone_attempt_is_refused(clone_request_t *req, request_rec *r);

/** No attempt is made with the member that was chosen: others may try it. */
void clone_attempt_abandon(clone_request_t *req);

/** The member answers: its failures are forgotten, its trial is over. */
void clone_attempt_works(clone_request_t *req, request_rec *r);

/**
 * The real handler has returned: judge, and mark the member.
 *
 * @param rc what it returned; what the client gets if this was the last one
 * @param before the member's status before the attempt
 * @return what to do next
 */
clone_verdict_e clone_attempt_end(int *rc, clone_request_t *req,
                                  request_rec *r, proxy_worker *worker,
                                  unsigned int before);

#endif
