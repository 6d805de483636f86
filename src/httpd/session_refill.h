/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_REFILL_H
#define SESSION_REFILL_H

/**
 * @file session_refill.h
 * Nodes that come back get what they missed, behind the requests.
 */

#include "ha_session.h"
#include "session_module.h"

/**
 * Begin a generation, in the parent.
 *
 * @param site its store is made; refill is set
 */
void session_refill_prepare(session_site_t *site);

/**
 * Remember who lacks what an operation wrote.
 *
 * @param saved of the operation
 * @param env its surroundings
 * @param sid the session
 */
void session_refill_note(const ha_saved_t *saved, const ha_session_env_t *env,
                         const ha_sid_t *sid);

/**
 * Copy back from now on, in a child.
 *
 * @param site prepared, with a courier
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t session_refill_start(session_site_t *site);

#endif
