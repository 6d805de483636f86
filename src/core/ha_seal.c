/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each session has keys of its own, so that the number of records that one
 * key seals is the number of writes to one session, and not that of all web
 * servers together for as long as a secret lives.
 *
 * HKDF-Expand for 32 bytes is one HMAC: HMAC( key, info 0x01 ), where info is
 * the purpose, a byte 0, and the session's digest.
 */
#include "ha_seal.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define PURPOSE_RECORD "record"
#define PURPOSE_NONCE "nonce"
#define PURPOSE_MAX sizeof(PURPOSE_RECORD)

#define NONCE_BYTES (HA_SEAL_HEAD - HA_KEY_ID)

int ha_seal_is_sealing(const ha_seal_t *seal)
{
    return seal != NULL && seal->encryption != HA_ENCRYPTION_OFF;
}

int ha_seal_takes_clear(const ha_seal_t *seal)
{
    return seal == NULL || seal->encryption != HA_ENCRYPTION_ON;
}

/* What is demanded does not fail but for want of memory; to go on would
 * write what was to be sealed in clear, or believe anything. */
static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

/* The key of one session for one purpose. */
static void derive(unsigned char out[HA_KEY_BYTES], const ha_key_t *key,
                   const char *purpose, const ha_sid_t *sid)
{
    unsigned char info[PURPOSE_MAX + HA_SID_DIGEST + 1];
    apr_size_t len = strlen(purpose) + 1;

    memcpy(info, purpose, len);
    memcpy(info + len, sid->digest, HA_SID_DIGEST);
    len += HA_SID_DIGEST;
    info[len++] = 1;
    demand(HMAC(EVP_sha256(), key->seal, HA_KEY_BYTES, info, len, out, NULL)
           != NULL);
}

/*
 * A function of all that is sealed: HMAC, of which some bytes are taken. It is
 * copied into one piece, because libcrypto 3 needs ten times as long to set up
 * an HMAC over several.
 */
static void make_nonce(unsigned char nonce[NONCE_BYTES], const ha_key_t *key,
                       const ha_sid_t *sid, span_t header, span_t body)
{
    unsigned char secret[HA_KEY_BYTES];
    unsigned char mac[HA_KEY_BYTES];
    apr_size_t len = HA_SID_DIGEST + header.len + body.len;
    unsigned char *text = OPENSSL_malloc(len);

    demand(text != NULL);
    memcpy(text, sid->digest, HA_SID_DIGEST);
    memcpy(text + HA_SID_DIGEST, header.data, header.len);
    memcpy(text + HA_SID_DIGEST + header.len, body.data, body.len);
    derive(secret, key, PURPOSE_NONCE, sid);
    demand(HMAC(EVP_sha256(), secret, sizeof(secret), text, len, mac, NULL)
           != NULL);
    memcpy(nonce, mac, NONCE_BYTES);
    OPENSSL_cleanse(secret, sizeof(secret));
    OPENSSL_clear_free(text, len);
}

/* Begin to seal (1) or to open (0); header and digest are taken in. */
static EVP_CIPHER_CTX *begin(int is_sealing, const ha_key_t *key,
                             const ha_sid_t *sid, const unsigned char *nonce,
                             span_t header)
{
    unsigned char secret[HA_KEY_BYTES];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done;

    derive(secret, key, PURPOSE_RECORD, sid);
    /* 12 bytes are the mode's own length of a nonce. */
    demand(ctx != NULL
           && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret, nonce,
                                is_sealing) == 1
           && EVP_CipherUpdate(ctx, NULL, &done, sid->digest,
                               HA_SID_DIGEST) == 1
           && EVP_CipherUpdate(ctx, NULL, &done,
                               (const unsigned char *)header.data,
                               (int)header.len) == 1);
    OPENSSL_cleanse(secret, sizeof(secret));
    return ctx;
}

void ha_seal_close(char *box, apr_size_t len, const ha_seal_t *seal,
                   const ha_sid_t *sid, span_t header)
{
    const ha_key_t *key = &seal->ring->keys[0];
    unsigned char *nonce = (unsigned char *)box + HA_KEY_ID;
    unsigned char *body = (unsigned char *)box + HA_SEAL_HEAD;
    EVP_CIPHER_CTX *ctx;
    int done;

    demand(seal->ring->count > 0);
    memcpy(box, key->id, HA_KEY_ID);
    make_nonce(nonce, key, sid, header, span_of(box + HA_SEAL_HEAD, len));
    ctx = begin(1, key, sid, nonce, header);
    demand((len == 0
            || EVP_CipherUpdate(ctx, body, &done, body, (int)len) == 1)
           && EVP_CipherFinal_ex(ctx, body + len, &done) == 1
           && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, HA_SEAL_TAIL,
                                  body + len) == 1);
    EVP_CIPHER_CTX_free(ctx);
}

/* The secret of that id; NULL when the ring has none. */
static const ha_key_t *find_key(unsigned int *index, const ha_seal_t *seal,
                                const char *id)
{
    unsigned int i;

    for (i = 0; seal != NULL && i < seal->ring->count; i++) {
        if (memcmp(seal->ring->keys[i].id, id, HA_KEY_ID) == 0) {
            *index = i;
            return &seal->ring->keys[i];
        }
    }
    return NULL;
}

ha_open_e ha_seal_open(char *body, unsigned int *key, const ha_seal_t *seal,
                       const ha_sid_t *sid, span_t header, span_t box)
{
    const ha_key_t *found;
    const unsigned char *at = (const unsigned char *)box.data;
    unsigned char tag[HA_SEAL_TAIL];
    unsigned char rest[HA_SEAL_TAIL];
    EVP_CIPHER_CTX *ctx;
    apr_size_t len;
    int done;
    int is_good;

    *key = 0;
    if (box.len < HA_SEAL_EXTRA || box.len > APR_INT32_MAX) {
        return HA_OPEN_FORGED;
    }
    found = find_key(key, seal, box.data);
    if (found == NULL) {
        return HA_OPEN_NO_KEY;
    }
    len = box.len - HA_SEAL_EXTRA;
    memcpy(tag, at + HA_SEAL_HEAD + len, sizeof(tag));
    ctx = begin(0, found, sid, at + HA_KEY_ID, header);
    demand((len == 0
            || EVP_CipherUpdate(ctx, (unsigned char *)body, &done,
                                at + HA_SEAL_HEAD, (int)len) == 1)
           && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, HA_SEAL_TAIL,
                                  tag) == 1);
    is_good = EVP_CipherFinal_ex(ctx, rest, &done) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return is_good ? HA_OPEN_OK : HA_OPEN_FORGED;
}
