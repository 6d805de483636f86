/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cookie of any bytes is genuine only when signing what was read gives its
 * beginning again. The same bytes then stand behind a genuine cookie, where
 * they are clone ids or make it malformed, and are the name of one.
 */
#include <stdint.h>
#include <stdlib.h>

#include <apr_general.h>

#include "ha_cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GENUINE_LEN 83

static const span_t name = { "HASESSION", 9 };

static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

static void read_any(const ha_ring_t *ring, span_t value, apr_pool_t *p)
{
    static const ha_cookie_t none;
    ha_cookie_t cookie;

    if (ha_cookie_verify(&cookie, ring, name, value, 1) == HA_COOKIE_OK) {
        char *again = ha_cookie_sign(&cookie, ring, name, p);

        demand(value.len >= GENUINE_LEN && cookie.key == 0);
        demand(memcmp(again, value.data, GENUINE_LEN) == 0);
    }
    else {
        demand(memcmp(&cookie, &none, sizeof(none)) == 0);
    }
}

static void read_behind(const ha_ring_t *ring, span_t tail, apr_pool_t *p)
{
    ha_cookie_t cookie = { { 1, 2, 3 }, 4, 0, 0 };
    ha_cookie_t found;
    char *genuine = ha_cookie_sign(&cookie, ring, name, p);
    char *value = malloc(GENUINE_LEN + tail.len);
    ha_cookie_e wanted = HA_COOKIE_OK;

    demand(strlen(genuine) == GENUINE_LEN && value != NULL);
    if (value == NULL) {
        return;
    }
    memcpy(value, genuine, GENUINE_LEN);
    if (tail.len > 0) {
        memcpy(value + GENUINE_LEN, tail.data, tail.len);
    }
    if (GENUINE_LEN + tail.len > HA_COOKIE_MAX) {
        wanted = HA_COOKIE_TOO_LONG;
    }
    else if (tail.len > 0 && memchr(":+!~.", tail.data[0], 5) == NULL) {
        wanted = HA_COOKIE_MALFORMED;
    }
    demand(ha_cookie_verify(&found, ring, name,
                            span_of(value, GENUINE_LEN + tail.len), 1)
           == wanted);
    free(value);
}

/* A cookie of any name is genuine under that name and forged under ours. */
static void read_named(const ha_ring_t *ring, span_t other, apr_pool_t *p)
{
    ha_cookie_t cookie = { { 1, 2, 3 }, 4, 0, 0 };
    ha_cookie_t found;
    span_t value;

    if (other.len > HA_COOKIE_NAME_MAX) {
        other.len = HA_COOKIE_NAME_MAX;
    }
    value = span_of_text(ha_cookie_sign(&cookie, ring, other, p));
    demand(ha_cookie_verify(&found, ring, other, value, 1) == HA_COOKIE_OK);
    demand(ha_cookie_verify(&found, ring, name, value, 1)
           == (span_is_equal(other, name) ? HA_COOKIE_OK : HA_COOKIE_FORGED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char secret[HA_KEY_BYTES] = "a secret of the fuzzer";
    static apr_pool_t *pool;
    span_t bytes = span_of((const char *)data, size);
    ha_ring_t ring;

    if (pool == NULL) {
        demand(apr_initialize() == APR_SUCCESS);
        demand(apr_pool_create(&pool, NULL) == APR_SUCCESS);
    }
    ha_ring_init(&ring, secret);
    read_any(&ring, bytes, pool);
    read_behind(&ring, bytes, pool);
    read_named(&ring, bytes, pool);
    apr_pool_clear(pool);
    return 0;
}
