/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_COOKIE_H
#define SESSION_COOKIE_H

/**
 * @file session_cookie.h
 * The session cookie as it travels in headers.
 */

#include <httpd.h>

#include "ha_base.h"
#include "ha_conf.h"

/**
 * Call for each value of the cookies of a name, in order, until a call
 * returns 1. At most HA_COOKIES_TRIED values are looked at.
 *
 * @param headers of a request
 * @param name the cookie's name
 * @param fn given the value, unquoted, pointing into headers
 * @param ctx handed to fn
 * @return values that fn saw
 */
int session_cookie_each(const apr_table_t *headers, const char *name,
                        int (*fn)(void *ctx, span_t value), void *ctx);

/**
 * Take the cookies of some names out of a request's headers, and leave the
 * rest.
 *
 * @param headers changed
 * @param names of const char *
 * @param p scratch
 */
void session_cookie_strip(apr_table_t *headers,
                          const apr_array_header_t *names, apr_pool_t *p);

/**
 * Write a Set-Cookie value.
 *
 * @param conf name and attributes
 * @param value the cookie's value; "" takes the cookie away
 * @param max_age_sec how long browsers keep it, 0 for while they run
 * @param is_tls whether the request came over TLS
 * @param p owns the text
 */
char *session_cookie_set(const ha_conf_t *conf, const char *value,
                         apr_uint32_t max_age_sec, int is_tls, apr_pool_t *p);

#endif
