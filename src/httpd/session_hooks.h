/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_HOOKS_H
#define SESSION_HOOKS_H

/**
 * @file session_hooks.h
 * Where mod_session and a request meet us.
 */

#include <httpd.h>

#include <mod_session.h>

#include "session_state.h"

/** Whether mod_session was loaded before this module. */
int session_hooks_has_session(void);

/** Whether somebody else than mod_session encodes sessions here. */
int session_hooks_is_encoded(request_rec *r);

/**
 * The session that mod_session has for a request, which knows whether there
 * are sessions at its path at all.
 *
 * @return NULL where there are none, or none of ours
 */
session_state_t *session_hooks_session(request_rec *r);

/** Register with mod_session, and fetch its functions. */
void session_hooks_register(apr_pool_t *p);

/** Hook header_parser: load early; a session nobody can tell of is a 503. */
int session_hooks_header_parser(request_rec *r);

/** Hook fixups, first: the session of who has been authenticated. */
int session_hooks_user(request_rec *r);

/** Hook fixups, last: what the application is told. */
int session_hooks_fixups(request_rec *r);

/** Hook insert_filter. */
void session_hooks_insert_filter(request_rec *r);

/** Hook insert_error_filter: what the page of an error replaces is lost. */
void session_hooks_insert_error_filter(request_rec *r);

/** Hook log_transaction. */
int session_hooks_log(request_rec *r);

#endif
