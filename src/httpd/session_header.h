/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_HEADER_H
#define SESSION_HEADER_H

/**
 * @file session_header.h
 * The request header that brings the session to the application: url-encoded
 * pairs, as mod_session writes them. Nobody else may set it.
 */

#include <httpd.h>

#include "session_state.h"

/** Bytes of the header's value: applications refuse longer ones anyway. */
#define SESSION_HEADER_MAX (32 * 1024)

/**
 * Take what a client sent under the name of any such header of this server,
 * or under one that an application may take for it, out of the request: a
 * path just outside of ours may be the same place for the application.
 */
void session_header_clear(request_rec *r);

/**
 * Bytes that a table takes in the header.
 *
 * @param p for scratch
 */
apr_size_t session_header_length(const apr_table_t *table, apr_pool_t *p);

/** Tell the application of the session, if there is one with attributes. */
void session_header_set(const session_state_t *state, request_rec *r);

/** Take back what an earlier request_rec of this client request was told. */
void session_header_take_back(request_rec *r);

#endif
