/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_BODY_H
#define CLONE_BODY_H

/**
 * @file clone_body.h
 * The body of a request that may be sent more than once. Lives with the
 * request and belongs to its thread.
 */

#include <httpd.h>
#include <util_filter.h>

/** Bytes that were read from the client. */
typedef struct clone_body_t clone_body_t;

/** Register the filter that gives the body again. */
void clone_body_register(void);

/**
 * Read a request's body.
 *
 * Up to memory bytes stay in memory, more goes to a temporary file that has
 * no name. A body that says at once that it is longer than limit is left
 * alone; one that turns out to be is kept as far as it was read, to be
 * offered once.
 *
 * @param body what was read; NULL when there is none, or it was left alone
 * @param r the request
 * @param memory bytes in memory
 * @param limit bytes at all; 0 reads nothing
 * @return OK; what to tell a client that sends a bad body
 */
int clone_body_hold(clone_body_t **body, request_rec *r, apr_off_t memory,
                    apr_off_t limit);

/**
 * Whether all of it can be offered again.
 *
 * @param body may be NULL
 * @return 1 when it can
 */
int clone_body_is_whole(const clone_body_t *body);

/**
 * Whether the last handler read the body as a client's, past what
 * clone_body_offer() had laid out for mod_proxy_http.
 *
 * @return 1 when it did
 */
int clone_body_was_pulled(const clone_body_t *body);

/**
 * An internal redirect is a request of its own: what mod_proxy_http kept of
 * the body of the one before is not part of it.
 */
void clone_body_forget(request_rec *r);

/** Lay the body out for the next attempt. */
void clone_body_offer(clone_body_t *body, request_rec *r);

/** No further attempt: get out of the way of what reads r's input. */
void clone_body_close(clone_body_t *body, request_rec *r);

#endif
