/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_SET_COOKIE_H
#define CLONE_SET_COOKIE_H

/**
 * @file clone_set_cookie.h
 * One line of Set-Cookie, read as browsers do (RFC 6265, section 5.2).
 */

#include <apr_time.h>

#include "ha_base.h"

/** What a line says of a cookie. */
typedef struct clone_set_cookie_t {
    span_t value; /**< without blanks and one pair of quotes; points into the
                       line */
    int is_ended; /**< the browser is told to forget the cookie: it is empty,
                       or over by Max-Age or Expires */
} clone_set_cookie_t;

/**
 * Read a line if it sets a cookie of a name.
 *
 * Allocates nothing. Max-Age counts before Expires, and the last of a kind
 * before the others; what cannot be read of them is ignored.
 *
 * @param cookie filled on success, all empty otherwise
 * @param line the header's value; must outlive cookie
 * @param name the cookie's name, with regard to case; an empty one matches
 *             nothing
 * @param now for Expires
 * @return 1 when the line is about a cookie of that name
 */
HA_CHECK_RESULT
int clone_set_cookie_read(clone_set_cookie_t *cookie, span_t line,
                          span_t name, apr_time_t now);

#endif
