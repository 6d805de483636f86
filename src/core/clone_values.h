/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_VALUES_H
#define CLONE_VALUES_H

/**
 * @file clone_values.h
 * Every value that a request gives for the session: cookies, then the URL.
 *
 * Browsers send several cookies of one name when their paths or domains
 * differ; the one that matters need not be the first.
 */

#include "ha_base.h"
#include "ha_limits.h"

/** Values in the order in which they are believed. */
typedef struct clone_values_t {
    span_t value[CLONE_VALUES_MAX]; /**< point into what was searched */
    unsigned int count;             /**< entries of value[] in use */
    unsigned int cookies;           /**< so many of them are cookies */
} clone_values_t;

/**
 * Forget all values. Needed once before the first clone_values_add_.
 */
void clone_values_init(clone_values_t *values);

/**
 * Add every cookie of a name, in the header's order.
 *
 * Cookies are divided by ';' and by ',', with which httpd joins several
 * Cookie lines; double quotes protect neither (RFC 6265, section 5.4), for
 * one stray quote would swallow what stands behind it. Names match whole and
 * with regard to case. Empty values are skipped; values that do not fit
 * any more are ignored. Call it before clone_values_add_url.
 *
 * @param values grows
 * @param header the Cookie header's text; must outlive values
 * @param name the cookie's name; an empty name matches nothing
 */
void clone_values_add_cookies(clone_values_t *values, span_t header,
                              span_t name);

/**
 * Add every parameter of a name from a URL: ";name=value" in its path,
 * "?name=value" and "&name=value" in its query. A fragment is not read.
 *
 * @param values grows
 * @param url the URL's text; must outlive values
 * @param name the parameter's name; an empty name matches nothing
 */
void clone_values_add_url(clone_values_t *values, span_t url, span_t name);

/**
 * The same for a query alone, without its '?'.
 */
void clone_values_add_query(clone_values_t *values, span_t query,
                            span_t name);

#endif
