/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id   = the first 4 bytes of HMAC-SHA-256( secret, "... key id 1" )
 * mac  = HMAC-SHA-256( secret, "... cookie 1" )
 * seal = HKDF-Extract( salt "... seal 1", secret )
 *      = HMAC-SHA-256( "... seal 1", secret )
 *
 * Labels and derivation are for ever: changing one refuses every cookie, or
 * every sealed record, that is out there.
 */
#include "ha_ring.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define LABEL_ID "mod_session_ha key id 1"
#define LABEL_MAC "mod_session_ha cookie 1"
#define LABEL_SEAL "mod_session_ha seal 1"

static void derive(unsigned char out[HA_KEY_BYTES], span_t key, span_t text)
{
    if (HMAC(EVP_sha256(), key.data, (int)key.len,
             (const unsigned char *)text.data, text.len, out, NULL) == NULL) {
        /* To go on would sign with bytes that are anybody's guess. */
        abort();
    }
}

static void fill_key(ha_key_t *key, span_t secret)
{
    unsigned char id[HA_KEY_BYTES];

    derive(id, secret, span_of_text(LABEL_ID));
    memcpy(key->id, id, HA_KEY_ID);
    derive(key->mac, secret, span_of_text(LABEL_MAC));
    derive(key->seal, span_of_text(LABEL_SEAL), secret);
    OPENSSL_cleanse(id, sizeof(id));
}

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static span_t trimmed(span_t line)
{
    while (line.len > 0 && is_space(line.data[0])) {
        line.data++;
        line.len--;
    }
    while (line.len > 0 && is_space(line.data[line.len - 1])) {
        line.len--;
    }
    return line;
}

/* Take one line off text; the last one may lack its newline. */
static span_t next_line(span_t *text)
{
    const char *end = memchr(text->data, '\n', text->len);
    span_t line = *text;

    if (end != NULL) {
        line.len = (apr_size_t)(end - text->data);
        text->data += line.len + 1;
        text->len -= line.len + 1;
    }
    else {
        text->len = 0;
    }
    return trimmed(line);
}

static int is_printable(span_t secret)
{
    apr_size_t i;

    for (i = 0; i < secret.len; i++) {
        if (secret.data[i] < ' ' || secret.data[i] > '~') {
            return 0;
        }
    }
    return 1;
}

static ha_ring_e add_secret(ha_ring_t *ring, span_t secret)
{
    ha_key_t *key = &ring->keys[ring->count];
    unsigned int i;

    if (!is_printable(secret)) {
        return HA_RING_BAD_BYTE;
    }
    if (secret.len < HA_SECRET_LEN_MIN) {
        return HA_RING_TOO_SHORT;
    }
    if (secret.len > HA_SECRET_LEN_MAX) {
        return HA_RING_TOO_LONG;
    }
    if (ring->count == HA_SECRETS_MAX) {
        return HA_RING_TOO_MANY;
    }
    fill_key(key, secret);
    for (i = 0; i < ring->count; i++) {
        /* By id: two secrets of one id could not be told apart either. */
        if (memcmp(ring->keys[i].id, key->id, HA_KEY_ID) == 0) {
            return HA_RING_REPEATED;
        }
    }
    ring->count++;
    return HA_RING_OK;
}

const char *ha_ring_name(ha_ring_e result)
{
    switch (result) {
    case HA_RING_OK:
        return "ok";
    case HA_RING_EMPTY:
        return "holds no secret";
    case HA_RING_TOO_SHORT:
        return "a secret is too short";
    case HA_RING_TOO_LONG:
        return "a secret is too long";
    case HA_RING_BAD_BYTE:
        return "a secret holds a byte that is not printable ASCII";
    case HA_RING_REPEATED:
        return "a secret stands there twice";
    case HA_RING_TOO_MANY:
        return "too many secrets";
    default:
        return "no such result";
    }
}

ha_ring_e ha_ring_parse(ha_ring_t *ring, unsigned int *line, span_t text)
{
    unsigned int number = 0;

    memset(ring, 0, sizeof(*ring));
    *line = 0;
    while (text.len > 0) {
        span_t secret = next_line(&text);
        ha_ring_e result;

        number++;
        if (secret.len == 0 || secret.data[0] == '#') {
            continue;
        }
        result = add_secret(ring, secret);
        if (result != HA_RING_OK) {
            ha_ring_wipe(ring);
            *line = number;
            return result;
        }
    }
    return ring->count > 0 ? HA_RING_OK : HA_RING_EMPTY;
}

void ha_ring_init(ha_ring_t *ring, const unsigned char bytes[HA_KEY_BYTES])
{
    memset(ring, 0, sizeof(*ring));
    fill_key(&ring->keys[0], span_of((const char *)bytes, HA_KEY_BYTES));
    ring->count = 1;
}

void ha_ring_wipe(ha_ring_t *ring)
{
    OPENSSL_cleanse(ring, sizeof(*ring));
}
