/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_SEAL_H
#define HA_SEAL_H

/**
 * @file ha_seal.h
 * Bodies of records, sealed: nobody without a secret of the ring reads them,
 * or makes one that is believed.
 *
 *     box   = key-id:4 nonce:12 ciphertext tag:16
 *     key   = HKDF-Expand( key.seal, "record" 0x00 session-digest, 32 )
 *     AES-256-GCM( key, nonce, associated data, body ) = ciphertext tag
 *     associated data = session-digest header
 *     nonce = first 12 bytes of HMAC-SHA-256( HKDF-Expand( key.seal, "nonce"
 *             0x00 session-digest, 32 ), associated data body )
 *
 * The nonce is a function of what is sealed. The same write sealed twice by
 * one secret gives the same bytes, so copies stay equal; and no randomness
 * that repeats can ever give two bodies one nonce. docs/protocol.md has the
 * bound.
 */

#include "ha_base.h"
#include "ha_ring.h"
#include "ha_sid.h"

/** Bytes of a box before its ciphertext, and behind it. */
#define HA_SEAL_HEAD (HA_KEY_ID + 12)
#define HA_SEAL_TAIL 16

/** Bytes that sealing adds to a body. */
#define HA_SEAL_EXTRA (HA_SEAL_HEAD + HA_SEAL_TAIL)

/** What is asked for. */
typedef enum ha_encryption_e {
    HA_ENCRYPTION_OFF = 0, /**< write in clear, read both */
    HA_ENCRYPTION_ON,      /**< write sealed, read sealed alone */
    HA_ENCRYPTION_MIGRATE  /**< write sealed, read both */
} ha_encryption_e;

/** How records are written and read. Read only; any thread. */
typedef struct ha_seal_t {
    const ha_ring_t *ring;      /**< the first secret seals, all open */
    ha_encryption_e encryption; /**< what is asked for */
} ha_seal_t;

/** What became of a box. */
typedef enum ha_open_e {
    HA_OPEN_OK = 0,
    HA_OPEN_NO_KEY, /**< sealed by a secret that the ring does not have */
    HA_OPEN_FORGED  /**< not what that secret sealed for this session and
                         header, or no box at all */
} ha_open_e;

/** Whether records are written sealed. NULL says no. */
int ha_seal_is_sealing(const ha_seal_t *seal);

/** Whether a record in clear is believed. NULL says yes. */
int ha_seal_takes_clear(const ha_seal_t *seal);

/**
 * Seal a body in place, by the ring's first secret.
 *
 * @param box HA_SEAL_HEAD bytes of room, the body, HA_SEAL_TAIL bytes of room
 * @param len bytes of the body
 * @param seal with at least one secret
 * @param sid the session that it belongs to
 * @param header what stands before the box and is bound to it; headers of
 *               all records have one length
 */
void ha_seal_close(char *box, apr_size_t len, const ha_seal_t *seal,
                   const ha_sid_t *sid, span_t header);

/**
 * Open a box.
 *
 * @param body room for box.len bytes; box.len - HA_SEAL_EXTRA are filled on
 *             HA_OPEN_OK, and mean nothing otherwise
 * @param key index in the ring of the secret that opened it
 * @param seal NULL is a ring without secrets
 * @param sid the session that it must belong to
 * @param header what stands before the box, as it was when sealed
 * @param box key id to tag
 * @return HA_OPEN_OK, or why not
 */
HA_CHECK_RESULT
ha_open_e ha_seal_open(char *body, unsigned int *key, const ha_seal_t *seal,
                       const ha_sid_t *sid, span_t header, span_t box);

#endif
