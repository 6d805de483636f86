/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_LOCK_H
#define SESSION_LOCK_H

/**
 * @file session_lock.h
 * One request of a session at a time, where SessionHAExclusive asks for it.
 *
 * The lock belongs to the client request: sub-requests and internal redirects
 * share it. It is given back right before the end of the answer is sent, or
 * when the request's pool ends, however it ends.
 */

#include <httpd.h>

#include "ha_lock.h"
#include "session_state.h"

/**
 * Wait for the lock of a session, at most as long as is configured here. No
 * connection to a node is held meanwhile.
 *
 * @param state has the lock afterwards, when the result is HA_LOCK_HELD
 * @param sid the session
 * @param r says how long, and what log lines are about
 * @return HA_LOCK_HELD, HA_LOCK_BUSY when somebody else had it all the time,
 *         HA_LOCK_UNKNOWN when no node answered
 */
ha_lock_e session_lock_take(session_state_t *state, const ha_sid_t *sid,
                            request_rec *r);

/** Give the lock back before the end: there is no such session. */
void session_lock_give_back(session_state_t *state);

/**
 * Whether the session may be changed: 1 also where no lock is needed, 0 once
 * it was given back with the end of the answer.
 */
int session_lock_is_sound(const session_state_t *state);

/** Have the answer give it back with its end. */
void session_lock_insert_filter(request_rec *r);

/** Register the filter that does. */
void session_lock_register(void);

#endif
