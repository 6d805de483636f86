/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_session_ha signs with keys of the same ring, over its cookie's name and
 * facts. Our label holds a blank, which no cookie's name can, so no text is
 * ever signed for both.
 */
#include "clone_cookie.h"

#include <stdlib.h>

#include <apr_encode.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define LABEL "mod_proxy_balancer_clone route 1"

#define TAG_BYTES 16
#define MAC_BYTES (HA_KEY_ID + TAG_BYTES)

/* Characters of n bytes in base64 without padding. */
#define TEXT_LEN(n) (((n) * 8 + 5) / 6)
#define MAC_LEN TEXT_LEN(MAC_BYTES)

/* Characters of the mac that hold nothing but the key's id. */
#define KEY_LEN (HA_KEY_ID * 8 / 6)

const char *clone_cookie_name(clone_cookie_e result)
{
    switch (result) {
    case CLONE_COOKIE_OK:
        return "ok";
    case CLONE_COOKIE_TOO_LONG:
        return "oversize";
    case CLONE_COOKIE_MALFORMED:
        return "malformed";
    case CLONE_COOKIE_NO_KEY:
        return "unknown key";
    case CLONE_COOKIE_FORGED:
        return "forged";
    default:
        return "?";
    }
}

static int is_plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
           || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.'
           || c == '~';
}

static int is_id(span_t id)
{
    apr_size_t i;

    for (i = 0; i < id.len; i++) {
        if (!is_plain(id.data[i]) || id.data[i] == '.' || id.data[i] == '~') {
            return 0;
        }
    }
    return id.len == CLONE_COOKIE_ID_LEN;
}

/* ---- the signature ------------------------------------------------------- */

static void sign(char mac[MAC_LEN + 1], const ha_key_t *key, span_t name,
                 span_t id, span_t list, apr_pool_t *p)
{
    apr_size_t len = sizeof(LABEL) + name.len + 1 + id.len + list.len;
    char *text = apr_palloc(p, len);
    char *at = text;
    unsigned char full[EVP_MAX_MD_SIZE];
    unsigned char bytes[MAC_BYTES];

    memcpy(at, LABEL, sizeof(LABEL)); /* and its 0x00 */
    at += sizeof(LABEL);
    memcpy(at, name.data, name.len);
    at += name.len;
    *at++ = '\0';
    memcpy(at, id.data, id.len);
    if (list.len > 0) {
        memcpy(at + id.len, list.data, list.len);
    }
    if (HMAC(EVP_sha256(), key->mac, HA_KEY_BYTES, (unsigned char *)text, len,
             full, NULL) == NULL) {
        /* To go on would make or take a signature of chance bytes. */
        abort();
    }
    memcpy(bytes, key->id, HA_KEY_ID);
    memcpy(bytes + HA_KEY_ID, full, TAG_BYTES);
    apr_encode_base64_binary(mac, bytes, MAC_BYTES, APR_ENCODE_BASE64URL,
                             NULL);
}

/* Whether the signature names this key. That is public. */
static int is_of_key(span_t mac, const ha_key_t *key)
{
    char text[TEXT_LEN(HA_KEY_ID) + 1];

    apr_encode_base64_binary(text, key->id, HA_KEY_ID, APR_ENCODE_BASE64URL,
                             NULL);
    return memcmp(mac.data, text, KEY_LEN) == 0;
}

static clone_cookie_e verify(span_t mac, span_t name, span_t id, span_t list,
                             const ha_ring_t *ring, apr_pool_t *p)
{
    char wanted[MAC_LEN + 1];
    unsigned int i;

    for (i = 0; i < ring->count; i++) {
        if (is_of_key(mac, &ring->keys[i])) {
            sign(wanted, &ring->keys[i], name, id, list, p);
            return CRYPTO_memcmp(wanted, mac.data, MAC_LEN) == 0
                       ? CLONE_COOKIE_OK : CLONE_COOKIE_FORGED;
        }
    }
    return CLONE_COOKIE_NO_KEY;
}

/* ---- reading ------------------------------------------------------------- */

/* Whether all of a clone is what write_list() could have made of a route. */
static int is_clone(span_t text)
{
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        if (!is_plain(text.data[i]) && text.data[i] != '%') {
            return 0;
        }
    }
    return text.len > 0;
}

void clone_cookie_read_list(clone_ids_t *ids, span_t list, apr_pool_t *p)
{
    ids->count = 0;
    while (list.len > 0 && list.data[0] == ':'
           && ids->count < CLONE_COOKIE_CLONES) {
        const char *from = list.data + 1;
        const char *end = memchr(from, ':', list.len - 1);
        span_t clone = span_of(from, end != NULL
                                         ? (apr_size_t)(end - from)
                                         : list.len - 1);

        list = span_of(from + clone.len, list.len - 1 - clone.len);
        if (!is_clone(clone)) {
            continue;
        }
        clone = clone_ids_unescaped(clone, apr_palloc(p, clone.len));
        if (!clone_ids_has_control(clone)) {
            ids->clone[ids->count++] = clone;
        }
    }
}

clone_cookie_e clone_cookie_read(clone_ids_t *ids, span_t value, span_t name,
                                 const ha_ring_t *ring, apr_pool_t *p)
{
    span_t id = span_of(value.data, value.len < CLONE_COOKIE_ID_LEN
                                        ? value.len : CLONE_COOKIE_ID_LEN);
    span_t list = span_of(value.data + id.len, value.len - id.len);
    clone_cookie_e result = CLONE_COOKIE_OK;

    memset(ids, 0, sizeof(*ids));
    if (value.len > CLONE_COOKIE_MAX) {
        return CLONE_COOKIE_TOO_LONG;
    }
    if (!is_id(id)) {
        return CLONE_COOKIE_MALFORMED;
    }
    if (ring != NULL) {
        span_t mac;

        if (list.len < 1 + MAC_LEN || list.data[0] != '.') {
            return CLONE_COOKIE_MALFORMED;
        }
        mac = span_of(list.data + 1, MAC_LEN);
        list = span_of(mac.data + MAC_LEN, list.len - 1 - MAC_LEN);
        result = verify(mac, name, id, list, ring, p);
    }
    if (result == CLONE_COOKIE_OK && list.len > 0 && list.data[0] != ':') {
        result = CLONE_COOKIE_MALFORMED;
    }
    if (result == CLONE_COOKIE_OK) {
        ids->session = id;
        clone_cookie_read_list(ids, list, p);
    }
    return result;
}

/* ---- writing ------------------------------------------------------------- */

void clone_cookie_make_id(char id[CLONE_COOKIE_ID_LEN + 1],
                          const unsigned char bytes[CLONE_COOKIE_ID_BYTES])
{
    apr_encode_base64_binary(id, bytes, CLONE_COOKIE_ID_BYTES,
                             APR_ENCODE_BASE64URL, NULL);
}

static int has_route(const span_t *routes, unsigned int count, span_t route)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (span_is_equal(routes[i], route)) {
            return 1;
        }
    }
    return 0;
}

unsigned int clone_cookie_renew(span_t *list, const clone_ids_t *before,
                                span_t serving, const span_t *routes,
                                unsigned int route_count)
{
    unsigned int count = 1;
    unsigned int i;

    list[0] = serving;
    for (i = 0; i < before->count && count < CLONE_COOKIE_CLONES; i++) {
        if (before->clone[i].len > 0
            && has_route(routes, route_count, before->clone[i])
            && !has_route(list, count, before->clone[i])) {
            list[count++] = before->clone[i];
        }
    }
    return count;
}

char *clone_cookie_write_list(const span_t *list, unsigned int count,
                              apr_pool_t *p)
{
    static const char hex[] = "0123456789ABCDEF";
    apr_size_t room = 1;
    unsigned int i;
    apr_size_t k;
    char *text;
    char *at;

    for (i = 0; i < count; i++) {
        room += 1 + 3 * list[i].len;
    }
    at = text = apr_palloc(p, room);
    for (i = 0; i < count; i++) {
        *at++ = ':';
        for (k = 0; k < list[i].len; k++) {
            unsigned char c = (unsigned char)list[i].data[k];

            if (is_plain((char)c)) {
                *at++ = (char)c;
            }
            else {
                *at++ = '%';
                *at++ = hex[c >> 4];
                *at++ = hex[c & 15];
            }
        }
    }
    *at = '\0';
    return text;
}

char *clone_cookie_write(span_t id, const char *list, span_t name,
                         const ha_ring_t *ring, apr_pool_t *p)
{
    const char *plain_id = apr_pstrmemdup(p, id.data, id.len);
    char mac[MAC_LEN + 1];

    if (ring == NULL) {
        return apr_pstrcat(p, plain_id, list, NULL);
    }
    sign(mac, &ring->keys[0], name, id, span_of_text(list), p);
    return apr_pstrcat(p, plain_id, ".", mac, list, NULL);
}

char *clone_cookie_set(const clone_cookie_conf_t *conf, const char *value,
                       int is_tls, apr_pool_t *p)
{
    static const char *const same_sites[] = { "Lax", "Strict", "None" };
    /* Browsers drop SameSite=None without Secure. */
    int is_secure = is_tls || conf->is_secure
                    || conf->same_site == CLONE_SAME_SITE_NONE;

    return apr_pstrcat(p, conf->name, "=", value, "; Path=", conf->path,
                       conf->domain != NULL ? "; Domain=" : "",
                       conf->domain != NULL ? conf->domain : "",
                       "; HttpOnly", is_secure ? "; Secure" : "",
                       "; SameSite=", same_sites[conf->same_site], NULL);
}
