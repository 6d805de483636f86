/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_ANSWER_H
#define CLONE_ANSWER_H

/**
 * @file clone_answer.h
 * What a member's answer says of the session: read once, before the client
 * sees it, and handed to all who want to know.
 *
 * An answer is seen when its headers are complete, before its first byte goes
 * out, and after whatever decides that another member shall answer instead.
 * Errors that httpd itself answers are none of it.
 */

#include <apr_time.h>
#include <httpd.h>
#include <mod_proxy.h>

#include "clone_ids.h"
#include "clone_request.h"

/** A cookie of the session's name that the member sets or ends. */
typedef struct clone_issued_t {
    span_t value;    /**< as the member wrote it, unquoted */
    clone_ids_t ids; /**< session and clone ids in it; all empty when the
                          cookie ends or is no session of this balancer */
    int is_ended;    /**< the client is told to forget it */
} clone_issued_t;

/** An answer. r, req and worker live as long as r, the rest for the call. */
typedef struct clone_answer_t {
    request_rec *r;                /**< its headers_out may still be changed */
    clone_request_t *req;    /**< what was asked: sessions, cookie name */
    proxy_worker *worker;          /**< the member that answered */
    apr_time_t now;                /**< when */
    const clone_issued_t *issued;  /**< in the order of the headers */
    unsigned int count;            /**< entries of issued[], mostly 0 */
} clone_answer_t;

/** register_hooks: make the filter known that sees answers. */
void clone_answer_register(void);

/**
 * Look at the answer to a request, whoever will give it. Cookies that stand
 * in its headers already are not the member's, and never shown as such.
 *
 * @param req as made; the answer counts while it is the request's record
 * @param r its request
 */
void clone_answer_watch(clone_request_t *req, request_rec *r);

#endif
