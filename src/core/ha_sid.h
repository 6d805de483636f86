/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_SID_H
#define HA_SID_H

/**
 * @file ha_sid.h
 * A session id, and the names derived from it.
 *
 * The id travels in the cookie alone. The store knows its digest, so that a
 * dump of a store gives nobody a usable cookie; logs know a short tag.
 */

#include <apr_pools.h>

#include "ha_base.h"

/** Bytes of an id: 128 random bits. */
#define HA_SID_BYTES 16

/** Bytes of the digest that names a session outside its cookie: SHA-256. */
#define HA_SID_DIGEST 32

/** A session id. Fill with ha_sid_init(); copy freely. */
typedef struct ha_sid_t {
    unsigned char bytes[HA_SID_BYTES];   /**< secret, never logged */
    unsigned char digest[HA_SID_DIGEST]; /**< of bytes, with a label */
    char key[48];                        /**< store key, printable ASCII */
    char tag[9];                         /**< 8 hex digits for log lines */
} ha_sid_t;

/**
 * Fill a session id from its bytes.
 *
 * @param sid filled
 * @param bytes 16 bytes, from the system's randomness or a verified cookie
 */
void ha_sid_init(ha_sid_t *sid, const unsigned char bytes[HA_SID_BYTES]);

/**
 * Fill a session id from its digest: enough to find the session and to move
 * it about, not to make a cookie.
 *
 * @param sid filled; bytes are zero
 * @param digest as another id has it
 */
void ha_sid_recall(ha_sid_t *sid, const unsigned char digest[HA_SID_DIGEST]);

/**
 * Fill a session id from who a user is: everywhere the same, and with the
 * user's name in it for nobody to read. It is no secret, and no cookie holds
 * it: cookies are signed, and we sign none for it.
 *
 * @param sid filled
 * @param space what keeps sessions of one user apart: the cookie's name
 * @param realm where the user's name holds
 * @param user the name
 * @param p for scratch
 */
void ha_sid_of_user(ha_sid_t *sid, span_t space, span_t realm, span_t user,
                    apr_pool_t *p);

#endif
