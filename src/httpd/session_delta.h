/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_DELTA_H
#define SESSION_DELTA_H

/**
 * @file session_delta.h
 * The header of an answer in which an application sets and removes single
 * attributes; ha_form.h has its form.
 *
 * Headers of an answer get lost on the way: an error page swaps them, an
 * internal redirect leaves them behind with the request that it leaves. So
 * changes are taken at each such turn, and last right before mod_session
 * saves.
 */

#include <httpd.h>

/** Whether an answer from here may hold changes. */
int session_delta_is_wanted(const request_rec *r);

/**
 * Take the changes out of the answers of this request_rec and of those that
 * were redirected to it, and apply them to their sessions. What cannot be
 * applied is logged and taken out all the same.
 */
void session_delta_take(request_rec *r);

#endif
