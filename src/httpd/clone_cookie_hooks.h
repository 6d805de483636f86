/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_COOKIE_HOOKS_H
#define CLONE_COOKIE_HOOKS_H

/**
 * @file clone_cookie_hooks.h
 * The router's own cookie: read from requests, set with answers.
 */

#include <httpd.h>

#include "clone_answer.h"
#include "clone_request.h"

/** check_config: refuse a bad file of secrets where that is only a test, so
 * that `apachectl graceful` does. A start reads it in post_config. */
int clone_cookie_hooks_check(apr_pool_t *pconf, apr_pool_t *plog,
                             apr_pool_t *ptemp, server_rec *s);

/** post_config: read the file of secrets. */
int clone_cookie_hooks_open(apr_pool_t *pconf, apr_pool_t *plog,
                            apr_pool_t *ptemp, server_rec *s);

/**
 * Add what the route cookie says behind the other sessions of a request.
 *
 * @param req its settings and sessions as read
 */
void clone_cookie_hooks_read(clone_request_t *req, request_rec *r);

/** A listener of clone_answer.h: set the cookie when the route changed. */
void clone_cookie_hooks_answer(const clone_answer_t *answer);

#endif
