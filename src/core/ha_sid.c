/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest = SHA-256( label id )
 * key    = "ha1:" base64url( digest ), 47 characters
 * tag    = the digest's first 4 bytes in hex
 *
 * The label keeps this digest apart from any other use of the id. All three
 * are public to whoever runs a store; none leads back to the id.
 */
#include "ha_sid.h"

#include <stdlib.h>

#include <apr_encode.h>
#include <apr_strings.h>
#include <openssl/sha.h>

#define LABEL "mod_session_ha session 1"
#define LABEL_LEN (sizeof(LABEL) - 1)

/* Ids of users: another label, so that no digest of one is one of the other. */
#define USER_LABEL "mod_session_ha user 1"

/* Stands for the format of the value, too: another format, another key. */
#define KEY_PREFIX "ha1:"
#define KEY_PREFIX_LEN (sizeof(KEY_PREFIX) - 1)

/* Bytes of the digest that go into the tag. */
#define TAG_BYTES 4

/* What follows from the digest. */
static void name_it(ha_sid_t *sid)
{
    static const char hex[] = "0123456789abcdef";
    apr_size_t i;

    memcpy(sid->key, KEY_PREFIX, KEY_PREFIX_LEN);
    apr_encode_base64_binary(sid->key + KEY_PREFIX_LEN, sid->digest,
                             HA_SID_DIGEST, APR_ENCODE_BASE64URL, NULL);
    for (i = 0; i < TAG_BYTES; i++) {
        sid->tag[2 * i] = hex[sid->digest[i] >> 4];
        sid->tag[2 * i + 1] = hex[sid->digest[i] & 15];
    }
}

void ha_sid_init(ha_sid_t *sid, const unsigned char bytes[HA_SID_BYTES])
{
    unsigned char text[LABEL_LEN + HA_SID_BYTES];

    memset(sid, 0, sizeof(*sid));
    memcpy(sid->bytes, bytes, HA_SID_BYTES);
    memcpy(text, LABEL, LABEL_LEN);
    memcpy(text + LABEL_LEN, bytes, HA_SID_BYTES);
    if (SHA256(text, sizeof(text), sid->digest) == NULL) {
        /* To go on would give every session the same key. */
        abort();
    }
    name_it(sid);
}

void ha_sid_recall(ha_sid_t *sid, const unsigned char digest[HA_SID_DIGEST])
{
    memset(sid, 0, sizeof(*sid));
    memcpy(sid->digest, digest, HA_SID_DIGEST);
    name_it(sid);
}

/* Put a length and the bytes; what is joined can be taken apart again. */
static unsigned char *put(unsigned char *at, span_t part)
{
    int shift;

    for (shift = 24; shift >= 0; shift -= 8) {
        *at++ = (unsigned char)(part.len >> shift);
    }
    if (part.len > 0) {
        memcpy(at, part.data, part.len);
    }
    return at + part.len;
}

void ha_sid_of_user(ha_sid_t *sid, span_t space, span_t realm, span_t user,
                    apr_pool_t *p)
{
    span_t label = span_of_text(USER_LABEL);
    apr_size_t len = 16 + label.len + space.len + realm.len + user.len;
    unsigned char *text = apr_palloc(p, len);
    unsigned char digest[HA_SID_DIGEST];

    (void)put(put(put(put(text, label), space), realm), user);
    if (SHA256(text, len, digest) == NULL) {
        /* To go on would give all users one session. */
        abort();
    }
    ha_sid_init(sid, digest);
}
