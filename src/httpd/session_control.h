/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_CONTROL_H
#define SESSION_CONTROL_H

/**
 * @file session_control.h
 * What is asked for besides changes: to log out, or to rotate the id. The
 * configuration asks by variables, an application by a header of its answer,
 * and whoever logs a user in by the attribute that names him.
 */

#include <httpd.h>

#include "session_state.h"

/** Variables that ask, unless their value is 0 or off. */
#define SESSION_LOGOUT_VARIABLE "session-ha-logout"
#define SESSION_ROTATE_VARIABLE "session-ha-rotate"

/**
 * Take the words out of the answers of this request_rec and of those that
 * were redirected to it, and remember them. A word that is none is said once.
 */
void session_control_take(request_rec *r);

/** Whether the session of this client request is to end. */
int session_control_is_logout(request_rec *r);

/**
 * Whether the id is to be rotated.
 *
 * @param ops changes to be saved
 * @param count entries of ops
 */
int session_control_is_rotate(const session_state_t *state,
                              const ha_op_t *ops, unsigned int count,
                              request_rec *r);

#endif
