/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_COOKIE_H
#define HA_COOKIE_H

/**
 * @file ha_cookie.h
 * The value of the session cookie: facts that never change, and a signature.
 *
 *     value  = facts "." mac [ separator anything ]
 *     facts  = base64url( version:u8 key-id:4 id:16 issued:u32 expires:u32 )
 *     mac    = base64url( HMAC-SHA-256( key, name 0x00 facts ) )
 *
 * The name is the cookie's own and does not stand in the value: what one
 * application was given under its name is worth nothing to another one that
 * shares host and secrets.
 * Numbers are big-endian seconds since 1970, base64url is that of RFC 4648
 * section 5 without padding. Behind the mac may stand clone ids, which belong
 * to the router: a separator out of ":+!~." and any text.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_ring.h"
#include "ha_sid.h"

/** What a cookie says. */
typedef struct ha_cookie_t {
    unsigned char id[HA_SID_BYTES]; /**< session id */
    apr_uint32_t issued_sec;        /**< when it was issued */
    apr_uint32_t expires_sec;       /**< absolute end, 0 for none */
    unsigned int key;               /**< index in the ring of the key that
                                         verified; sign ignores it */
} ha_cookie_t;

/** What became of a cookie value. */
typedef enum ha_cookie_e {
    HA_COOKIE_OK = 0,
    HA_COOKIE_TOO_LONG,  /**< above HA_COOKIE_MAX bytes */
    HA_COOKIE_MALFORMED, /**< not of the form above */
    HA_COOKIE_VERSION,   /**< a version that this code does not know */
    HA_COOKIE_NO_KEY,    /**< signed by a secret that left the ring */
    HA_COOKIE_FORGED,    /**< the signature is wrong, or another name's */
    HA_COOKIE_EXPIRED    /**< authentic, and at or past its absolute end */
} ha_cookie_e;

/**
 * Name a result for a log line.
 *
 * @return one static word, such as "forged"
 */
const char *ha_cookie_name(ha_cookie_e result);

/**
 * Check a cookie value. Costs at most one HMAC and no allocation of ours; the
 * signature is compared in constant time. A key above 0 says that an older
 * secret signed: the caller may sign anew before that secret leaves the ring.
 *
 * @param cookie filled on HA_COOKIE_OK, all zero otherwise
 * @param ring the keys
 * @param name the cookie's name, at most HA_COOKIE_NAME_MAX bytes; a longer
 *             one is malformed
 * @param value the cookie's value, unquoted
 * @param now for the absolute end
 * @return HA_COOKIE_OK, or why it is refused
 */
HA_CHECK_RESULT
ha_cookie_e ha_cookie_verify(ha_cookie_t *cookie, const ha_ring_t *ring,
                             span_t name, span_t value, apr_time_t now);

/**
 * What stands behind the signature: clone ids with their separator in front.
 *
 * @param value that ha_cookie_verify() has called HA_COOKIE_OK
 * @return part of value, empty when there is nothing
 */
span_t ha_cookie_behind(span_t value);

/**
 * Write a cookie value, signed by the ring's first key.
 *
 * @param cookie what it says
 * @param ring at least one key
 * @param name the cookie's name, at most HA_COOKIE_NAME_MAX bytes
 * @param p owns the value
 * @return the value, terminated, safe in a cookie and in a URL
 */
char *ha_cookie_sign(const ha_cookie_t *cookie, const ha_ring_t *ring,
                     span_t name, apr_pool_t *p);

#endif
