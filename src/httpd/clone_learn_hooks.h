/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_LEARN_HOOKS_H
#define CLONE_LEARN_HOOKS_H

/**
 * @file clone_learn_hooks.h
 * Clone ids that no member is configured with: learned from the answers of
 * members, used for requests, shown on mod_status.
 *
 * Only answers teach, and of these only what the client did not send itself:
 * an application server repeats the ids of a request in its answer.
 */

#include <httpd.h>
#include <mod_proxy.h>

#include "clone_answer.h"
#include "clone_request.h"
#include "clone_route.h"

/** register_hooks: the part of mod_status's page. */
void clone_learn_hooks_register(apr_pool_t *p);

/** post_config: make the table that all children share. */
int clone_learn_hooks_open(apr_pool_t *pconf, apr_pool_t *plog,
                           apr_pool_t *ptemp, server_rec *s);

/** A listener of clone_answer.h: learn. */
void clone_learn_hooks_answer(const clone_answer_t *answer);

/**
 * What the sessions of a request say, with learned ids in place of unknown
 * ones.
 *
 * @param members the balancer's; one without a route is given one when a
 *                learned id leads to it
 * @param balancer members[i] is its worker i
 * @return req->sessions, or a copy in r->pool
 */
const clone_ids_t *clone_learn_hooks_view(const clone_request_t *req,
                                          clone_member_t *members,
                                          const proxy_balancer *balancer,
                                          request_rec *r);

#endif
