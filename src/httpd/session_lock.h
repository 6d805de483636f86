/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_LOCK_H
#define SESSION_LOCK_H

/**
 * @file session_lock.h
 * One request of a session at a time, where SessionHAExclusive asks for it.
 *
 * The lock belongs to the client request: sub-requests and internal redirects
 * share it. It is given back when the answer has been sent and the request's
 * pool ends, however it ends.
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

/** Whether the session may be changed: 1 also where no lock is needed. */
int session_lock_is_sound(const session_state_t *state);

#endif
