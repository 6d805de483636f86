/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_PROTOCOL_H
#define SESSION_PROTOCOL_H

/**
 * @file session_protocol.h
 * The calls of the core's protocol, with what only a server knows: clock,
 * randomness, settings, and the time budget.
 *
 * A load may spend half the budget, so that a hung node cannot take from a
 * request what its save needs.
 */

#include "ha_cookie.h"
#include "session_state.h"

/**
 * Fill surroundings with what is the same for all sessions: store, clock and
 * randomness.
 *
 * @return 0 when the system has no randomness
 */
int session_protocol_fill(ha_session_env_t *env);

/** What is left of a request's budget for its load, microseconds, or 0. */
apr_interval_time_t session_protocol_load_time(const session_state_t *state);

/**
 * Ask the store for a session.
 *
 * @param session made on HIT, in the state's pool; NULL otherwise
 * @param state spends from its budget
 * @param sid the id
 * @return what ha_session_load() says; UNKNOWN when it could not be asked
 */
ha_load_e session_protocol_load(ha_session_t **session,
                                session_state_t *state, const ha_sid_t *sid);

/**
 * Have the answer set the cookie, signed by the ring's first key.
 *
 * @param cookie what it says
 */
void session_protocol_send_cookie(session_state_t *state,
                                  const ha_cookie_t *cookie, request_rec *r);

/**
 * Let a session that was saved be changed and saved once more: a sub-request
 * may have something to say when the answer has begun. What its first save
 * stored is not stored again.
 */
void session_protocol_reopen(session_state_t *state);

/**
 * Follow an id that was rotated.
 *
 * @param late filled
 * @param old what ha_session_load() made of MOVED
 * @return what ha_late_follow() says
 */
ha_load_e session_protocol_follow(ha_late_t *late, session_state_t *state,
                                  ha_session_t *old);

/**
 * Surroundings for what comes after the load.
 *
 * @return 0 when there is no store or no randomness, which is logged
 */
int session_protocol_env(ha_session_env_t *env, const session_state_t *state,
                         request_rec *r);

/** Count what a save came to, and put it into words. */
void session_protocol_note(session_state_t *state, const ha_saved_t *saved);

/** A change came too late: the session has ended. */
void session_protocol_note_ended(session_state_t *state, const char *tag,
                                 request_rec *r);

/** Have the browser forget the cookie with this answer. */
void session_protocol_forget_cookie(session_state_t *state, request_rec *r);

#endif
