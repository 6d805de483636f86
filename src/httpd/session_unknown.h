/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_UNKNOWN_H
#define SESSION_UNKNOWN_H

/**
 * @file session_unknown.h
 * Requests with a session of which nobody could say anything.
 */

#include <httpd.h>

/** Count such a request, and say so when it is the first. */
void session_unknown_note(request_rec *r);

/** Say that it is over when it has been for a while. */
void session_unknown_end(request_rec *r);

#endif
