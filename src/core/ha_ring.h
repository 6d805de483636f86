/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_RING_H
#define HA_RING_H

/**
 * @file ha_ring.h
 * The ring of secrets: the first signs, all verify.
 *
 * A ring file holds one secret a line, HA_SECRET_LEN_MIN to
 * HA_SECRET_LEN_MAX printable ASCII characters. Spaces, tabs and a carriage
 * return around it are not part of it; what is empty then, or begins with
 * '#', does not count.
 * From each secret come a key id (public: it stands in the cookie) and a key
 * per purpose, by HMAC-SHA-256 over a label. What seals records is derived
 * by HKDF-SHA-256 (RFC 5869), see ha_seal.h.
 */

#include "ha_base.h"
#include "ha_limits.h"

/** Bytes of a key id. */
#define HA_KEY_ID 4

/** Bytes of a derived key. */
#define HA_KEY_BYTES 32

/** What one secret gives. */
typedef struct ha_key_t {
    unsigned char id[HA_KEY_ID];     /**< names the key, public */
    unsigned char mac[HA_KEY_BYTES]; /**< signs cookies, secret */
    unsigned char seal[HA_KEY_BYTES]; /**< gives the keys of records, secret */
} ha_key_t;

/** Keys in file order. Plain data; wipe with ha_ring_wipe(). */
typedef struct ha_ring_t {
    ha_key_t keys[HA_SECRETS_MAX]; /**< keys[0] signs */
    unsigned int count;            /**< entries in use */
} ha_ring_t;

/** What became of a ring file's text. */
typedef enum ha_ring_e {
    HA_RING_OK = 0,
    HA_RING_EMPTY,     /**< no secret in it */
    HA_RING_TOO_SHORT, /**< a secret has too few characters */
    HA_RING_TOO_LONG,  /**< a secret has too many characters */
    HA_RING_BAD_BYTE,  /**< a secret holds a byte that is not printable ASCII */
    HA_RING_REPEATED,  /**< the same secret, or its key id, twice */
    HA_RING_TOO_MANY   /**< more than HA_SECRETS_MAX secrets */
} ha_ring_e;

/**
 * Name a result for a message.
 *
 * @return a static phrase, such as "a secret is too short"
 */
const char *ha_ring_name(ha_ring_e result);

/**
 * Read the text of a ring file.
 *
 * @param ring filled; empty and wiped on failure
 * @param line number of the line at fault from 1, 0 when none is
 * @param text the file's bytes
 * @return HA_RING_OK, or the first fault found
 */
HA_CHECK_RESULT
ha_ring_e ha_ring_parse(ha_ring_t *ring, unsigned int *line, span_t text);

/**
 * Make a ring of one key from random bytes.
 *
 * @param ring filled
 * @param bytes HA_KEY_BYTES bytes from the system's randomness
 */
void ha_ring_init(ha_ring_t *ring, const unsigned char bytes[HA_KEY_BYTES]);

/**
 * Forget all keys, in a way that the compiler does not leave out.
 */
void ha_ring_wipe(ha_ring_t *ring);

#endif
