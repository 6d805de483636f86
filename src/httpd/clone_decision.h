/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_DECISION_H
#define CLONE_DECISION_H

/**
 * @file clone_decision.h
 * Why a request went where it went: noted while it goes, told in the
 * variables CLONE_DECISION and CLONE_DECISION_JSON.
 */

#include <httpd.h>
#include <mod_proxy.h>

#include "clone_answer.h"
#include "clone_request.h"

/** ProxyCloneExplain Off and On; what else a record has is an expression. */
extern const char clone_decision_never[];
extern const char clone_decision_always[];

/** register_hooks: the key of tags at start, the last word at the end. */
void clone_decision_register(void);

/**
 * Note how the members are, as the choice has just seen them. The caller
 * holds the balancer's lock.
 */
void clone_decision_look(clone_request_t *req, const proxy_balancer *balancer,
                         const request_rec *r);

/** Note that a member was full, and for how long the request waited. */
void clone_decision_full(clone_request_t *req, const request_rec *r,
                         const proxy_worker *worker, unsigned int msec);

/** Note that an attempt begins. */
void clone_decision_begin(clone_request_t *req, const request_rec *r,
                          const proxy_worker *worker);

/**
 * Note how it ended.
 *
 * @param rc what the handler returned
 */
void clone_decision_end(clone_request_t *req, const request_rec *r, int rc);

/**
 * Note what that end was found to be, where more is known than rc says.
 *
 * @param word a constant
 */
void clone_decision_name(clone_request_t *req, const char *word);

/** An answer is about to go out: its headers may show the decision. */
void clone_decision_answered(const clone_answer_t *answer);

#endif
