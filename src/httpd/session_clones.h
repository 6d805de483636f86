/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_CLONES_H
#define SESSION_CLONES_H

/**
 * @file session_clones.h
 * What mod_session_ha does for a router that keeps its list of clones behind
 * the signature of the session's cookie: two optional functions.
 *
 * The list is the router's business. mod_session_ha shows what the client
 * sent, and writes what the router gave it, never what the client sent.
 */

#include <apr_optional.h>
#include <httpd.h>

#include "ha_base.h"
#include "ha_cookie.h"

/**
 * What stands behind the signature of the session's cookie.
 *
 * @param r a request
 * @param name a cookie's name
 * @param list the text, "" for nothing; NULL when the request has no session
 * @param tag the session's short name for logs, alike on all web servers;
 *            NULL likewise
 * @return 1 when mod_session_ha has a cookie of that name, 0 when not
 */
APR_DECLARE_OPTIONAL_FN(int, session_ha_clones_get,
                        (request_rec *r, const char *name,
                         const char **list, const char **tag));

/**
 * Have the session's cookie carry a list, whenever this request sends it.
 *
 * @param r the same request, before its answer's headers are sent
 * @param name of the cookie
 * @param list a separator and text that a cookie can hold; copied
 * @param is_changed 1: send the cookie for the list's sake
 */
APR_DECLARE_OPTIONAL_FN(void, session_ha_clones_set,
                        (request_rec *r, const char *name, const char *list,
                         int is_changed));

/** register_hooks: offer both. */
void session_clones_register(void);

struct session_state_t;

/**
 * Note the cookie that a session was found by.
 *
 * @param cookie what it says
 * @param behind what stands behind its signature
 */
void session_clones_note(struct session_state_t *state,
                         const ha_cookie_t *cookie, span_t behind);

/**
 * Before headers are sent: write the router's list into the cookie that is
 * sent, or send the cookie for its sake.
 */
void session_clones_apply(struct session_state_t *state, request_rec *r);

#endif
