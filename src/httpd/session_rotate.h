/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_ROTATE_H
#define SESSION_ROTATE_H

/**
 * @file session_rotate.h
 * Another id for the session of a request, and requests with the old one.
 */

#include "ha_rotate.h"
#include "session_state.h"

/**
 * Follow the id of a cookie that was rotated.
 *
 * @param old what ha_session_load() made of MOVED
 * @return HIT with state->late set, ENDED, or UNKNOWN
 */
ha_load_e session_rotate_follow(session_state_t *state, ha_session_t *old,
                                request_rec *r);

/** Store changes under a new id, and send its cookie. */
void session_rotate(session_state_t *state, const ha_op_t *ops,
                    unsigned int count, request_rec *r);

/**
 * Store changes of a request whose id was rotated, before it came or while it
 * was under way.
 *
 * @param saved filled
 */
void session_rotate_late(session_state_t *state, ha_saved_t *saved,
                         const ha_session_env_t *env, const ha_op_t *ops,
                         unsigned int count);

#endif
