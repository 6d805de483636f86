/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_CACHE_H
#define HA_CACHE_H

/**
 * @file ha_cache.h
 * What a Cache-Control header says to a cache that serves many users.
 *
 * Source: RFC 9111, section 5.2.2.7: private="field" is of that field alone,
 * and a Set-Cookie beside it may be kept. httpd's ap_find_token() takes it for
 * private.
 */

#include "ha_base.h"

/**
 * @param control the value of the header, or NULL
 * @return 1 when one of its members is private, without an argument
 */
HA_CHECK_RESULT
int ha_cache_is_private(const char *control);

#endif
