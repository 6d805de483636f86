/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signature covers the text of the facts and is compared as text, so of
 * the several base64 spellings of the same bytes only ours is genuine. Facts
 * are decoded before they are believed, to find the key; nothing of them
 * leaves this file until the signature held.
 *
 * Signed is name 0x00 facts. Facts have one length and no byte 0, so no two
 * pairs of name and facts give the same bytes, whatever is in a name. A name
 * has a limit, so that both fit a buffer: one call costs a third of several.
 */
#include "ha_cookie.h"

#include <stdlib.h>

#include <apr_encode.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define VERSION 1

/* Bytes of the facts, and where each stands. */
#define AT_VERSION 0
#define AT_KEY_ID 1
#define AT_ID (AT_KEY_ID + HA_KEY_ID)
#define AT_ISSUED (AT_ID + HA_SID_BYTES)
#define AT_EXPIRES (AT_ISSUED + 4)
#define FACTS_BYTES (AT_EXPIRES + 4)
#define MAC_BYTES 32

/* Characters of n bytes in base64 without padding. */
#define TEXT_LEN(n) (((n) * 8 + 5) / 6)
#define FACTS_LEN TEXT_LEN(FACTS_BYTES)
#define MAC_LEN TEXT_LEN(MAC_BYTES)

#define SEPARATORS ":+!~."

static void put_u32(unsigned char *at, apr_uint32_t n)
{
    at[0] = (unsigned char)(n >> 24);
    at[1] = (unsigned char)(n >> 16);
    at[2] = (unsigned char)(n >> 8);
    at[3] = (unsigned char)n;
}

static apr_uint32_t get_u32(const unsigned char *at)
{
    return (apr_uint32_t)at[0] << 24 | (apr_uint32_t)at[1] << 16
           | (apr_uint32_t)at[2] << 8 | at[3];
}

/* The six bits of a base64url character, or -1. */
static int sextet_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = memchr(digits, c, sizeof(digits) - 1);

    return at == NULL ? -1 : (int)(at - digits);
}

/* Decode len characters; bytes has room for len * 6 / 8. */
static int decode(unsigned char *bytes, const char *text, apr_size_t len)
{
    unsigned int bits = 0;
    unsigned int held = 0;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        int sextet = sextet_of(text[i]);

        if (sextet < 0) {
            return 0;
        }
        bits = (bits << 6 | (unsigned int)sextet) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *bytes++ = (unsigned char)(bits >> held);
        }
    }
    return 1;
}

static void sign_text(char text[MAC_LEN + 1], const ha_key_t *key,
                      span_t name, const char *facts)
{
    unsigned char signed_text[HA_COOKIE_NAME_MAX + 1 + FACTS_LEN];
    unsigned char mac[MAC_BYTES];

    if (name.len <= HA_COOKIE_NAME_MAX) {
        if (name.len > 0) {
            memcpy(signed_text, name.data, name.len);
        }
        signed_text[name.len] = '\0';
        memcpy(signed_text + name.len + 1, facts, FACTS_LEN);
    }
    if (name.len > HA_COOKIE_NAME_MAX
        || HMAC(EVP_sha256(), key->mac, HA_KEY_BYTES, signed_text,
                name.len + 1 + FACTS_LEN, mac, NULL) == NULL) {
        /* To go on would make or take a signature of chance bytes. */
        abort();
    }
    apr_encode_base64_binary(text, mac, MAC_BYTES, APR_ENCODE_BASE64URL, NULL);
}

/* Index of the key of that id; the ring's count when it has none. */
static unsigned int find_key(const ha_ring_t *ring, const unsigned char *id)
{
    unsigned int i;

    for (i = 0; i < ring->count; i++) {
        if (memcmp(ring->keys[i].id, id, HA_KEY_ID) == 0) {
            break;
        }
    }
    return i;
}

/* Whether value has the form facts "." mac [ separator anything ]. */
static int has_form(span_t value)
{
    apr_size_t end = FACTS_LEN + 1 + MAC_LEN;

    return value.len >= end && value.data[FACTS_LEN] == '.'
           && (value.len == end
               || (value.data[end] != '\0'
                   && strchr(SEPARATORS, value.data[end]) != NULL));
}

/* Whether value begins as a cookie of another version would: the version is
 * the first byte of the facts, whatever follows. */
static int is_other_version(span_t value)
{
    unsigned char version;

    return value.len > 2 && decode(&version, value.data, 2)
           && version != VERSION && memchr(value.data, '.', value.len) != NULL;
}

const char *ha_cookie_name(ha_cookie_e result)
{
    switch (result) {
    case HA_COOKIE_OK:
        return "ok";
    case HA_COOKIE_TOO_LONG:
        return "oversize";
    case HA_COOKIE_MALFORMED:
        return "malformed";
    case HA_COOKIE_VERSION:
        return "unknown-version";
    case HA_COOKIE_NO_KEY:
        return "unknown-key";
    case HA_COOKIE_FORGED:
        return "forged";
    case HA_COOKIE_EXPIRED:
        return "expired";
    default:
        return "no-such-result";
    }
}

ha_cookie_e ha_cookie_verify(ha_cookie_t *cookie, const ha_ring_t *ring,
                             span_t name, span_t value, apr_time_t now)
{
    unsigned char facts[FACTS_BYTES];
    char mac[MAC_LEN + 1];
    unsigned int key;
    apr_uint32_t expires_sec;

    memset(cookie, 0, sizeof(*cookie));
    if (value.len > HA_COOKIE_MAX) {
        return HA_COOKIE_TOO_LONG;
    }
    if (is_other_version(value)) {
        return HA_COOKIE_VERSION;
    }
    if (name.len > HA_COOKIE_NAME_MAX || !has_form(value)
        || !decode(facts, value.data, FACTS_LEN)) {
        return HA_COOKIE_MALFORMED;
    }
    key = find_key(ring, facts + AT_KEY_ID);
    if (key == ring->count) {
        return HA_COOKIE_NO_KEY;
    }
    sign_text(mac, &ring->keys[key], name, value.data);
    if (CRYPTO_memcmp(mac, value.data + FACTS_LEN + 1, MAC_LEN) != 0) {
        return HA_COOKIE_FORGED;
    }
    expires_sec = get_u32(facts + AT_EXPIRES);
    if (expires_sec != 0 && apr_time_sec(now) >= (apr_int64_t)expires_sec) {
        return HA_COOKIE_EXPIRED;
    }
    memcpy(cookie->id, facts + AT_ID, HA_SID_BYTES);
    cookie->issued_sec = get_u32(facts + AT_ISSUED);
    cookie->expires_sec = expires_sec;
    cookie->key = key;
    return HA_COOKIE_OK;
}

span_t ha_cookie_behind(span_t value)
{
    apr_size_t end = FACTS_LEN + 1 + MAC_LEN;

    return value.len > end ? span_of(value.data + end, value.len - end)
                           : span_of(value.data + value.len, 0);
}

char *ha_cookie_sign(const ha_cookie_t *cookie, const ha_ring_t *ring,
                     span_t name, apr_pool_t *p)
{
    char *value = apr_palloc(p, FACTS_LEN + 1 + MAC_LEN + 1);
    unsigned char facts[FACTS_BYTES];

    facts[AT_VERSION] = VERSION;
    memcpy(facts + AT_KEY_ID, ring->keys[0].id, HA_KEY_ID);
    memcpy(facts + AT_ID, cookie->id, HA_SID_BYTES);
    put_u32(facts + AT_ISSUED, cookie->issued_sec);
    put_u32(facts + AT_EXPIRES, cookie->expires_sec);
    apr_encode_base64_binary(value, facts, FACTS_BYTES, APR_ENCODE_BASE64URL,
                             NULL);
    value[FACTS_LEN] = '.';
    sign_text(value + FACTS_LEN + 1, &ring->keys[0], name, value);
    return value;
}
