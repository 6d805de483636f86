/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stored value of any bytes is folded up to what is readable, and what was
 * folded survives a snapshot. The check keeps a fuzzer out of the records, so
 * the same bytes are also read as a list of kind, flags, length and body, and
 * made into records with a good check; the first byte says how many of these
 * go into the first of two values. All of that once in clear and once sealed:
 * the made records are then the bodies of good boxes, and what is read as it
 * came must not be believed.
 */
#include <stdint.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <openssl/sha.h>

#include "ha_delta.h"
#include "ha_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAME 32
#define CHECK 8

static apr_pool_t *pool;
static ha_sid_t sid;
static ha_ring_t ring;
static const ha_seal_t on = { &ring, HA_ENCRYPTION_ON };
static const ha_seal_t *seal; /* of this round */

static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

static int is_same(const ha_image_t *a, const ha_image_t *b)
{
    return span_is_equal(ha_delta_encode_image(&sid, a, seal, pool),
                         ha_delta_encode_image(&sid, b, seal, pool));
}

/* Fold a value and everything that must follow from that. */
static ha_image_t *fold_any(span_t value)
{
    ha_image_t *image = ha_image_make(pool);
    ha_image_t *again = ha_image_make(pool);
    ha_fold_e result;
    ha_fold_t fold;
    span_t good;

    result = ha_delta_fold(image, &fold, &sid, seal, value);
    demand(result == fold.result);
    demand(fold.good <= value.len && fold.head <= fold.good);
    demand(fold.records * (apr_size_t)FRAME <= fold.good);
    demand((result == HA_FOLD_EMPTY) == (value.len == 0));
    demand(result != HA_FOLD_OK || fold.good == value.len);
    demand(result != HA_FOLD_FOREIGN || fold.records == 0);
    demand(result != HA_FOLD_DAMAGED || fold.records > 0);
    good = span_of(value.data, fold.good);
    if (good.len > 0) {
        demand(ha_delta_fold(again, &fold, &sid, seal, good) == HA_FOLD_OK);
        demand(is_same(image, again));
        demand(ha_delta_fold(again, &fold, &sid, seal, good) == HA_FOLD_OK);
        demand(is_same(image, again));
    }
    again = ha_image_make(pool);
    good = ha_delta_encode_image(&sid, image, seal, pool);
    if (good.len <= HA_VALUE_MAX) {
        demand(ha_delta_fold(again, &fold, &sid, seal, good) == HA_FOLD_OK);
        demand(is_same(image, again));
    }
    demand(ha_image_covers(image, image));
    demand(!image->ended || apr_is_empty_table(ha_image_table(image, pool)));
    return image;
}

/* Make the next record out of the input; returns 0 when it is used up. */
static int next_record(char **at, const uint8_t **data, size_t *size)
{
    unsigned char text[HA_SID_DIGEST + FRAME];
    unsigned char frame[FRAME] = { 'H', 1 };
    unsigned char *joined;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    size_t len;

    if (*size < 4) {
        return 0;
    }
    frame[2] = (*data)[0] & 7;
    frame[3] = (*data)[1] == 255;
    frame[15] = (*data)[1];
    len = (*data)[2] * (size_t)256 + (*data)[3];
    *data += 4;
    *size -= 4;
    len = len < *size ? len : *size;
    frame[6] = (unsigned char)(len >> 8);
    frame[7] = (unsigned char)len;
    memcpy(text, sid.digest, HA_SID_DIGEST);
    memcpy(text + HA_SID_DIGEST, frame, FRAME - CHECK);
    joined = apr_palloc(pool, sizeof(text) + len);
    memcpy(joined, text, sizeof(text) - CHECK);
    memcpy(joined + sizeof(text) - CHECK, *data, len);
    SHA256(joined, sizeof(text) - CHECK + len, digest);
    memcpy(frame + FRAME - CHECK, digest, CHECK);
    memcpy(*at, frame, FRAME);
    memcpy(*at + FRAME, *data, len);
    if (seal != NULL) {
        span_t clear = span_of(apr_pmemdup(pool, *at, FRAME + len),
                               FRAME + len);

        *at += ha_record_copy(*at, &clear, &sid, seal).len;
    }
    else {
        *at += FRAME + len;
    }
    *data += len;
    *size -= len;
    return 1;
}

/* Read the input as records, spread over two values. */
static void fold_made(const uint8_t *data, size_t size)
{
    /* A record takes 4 bytes of input at least and adds its frame. */
    char *bytes = apr_palloc(pool, size * ((FRAME + HA_SEAL_EXTRA) / 4 + 1)
                                   + FRAME + HA_SEAL_EXTRA);
    char *at = bytes;
    char *half = bytes;
    unsigned int first = size > 0 ? data[0] & 15 : 0;
    unsigned int made = 0;
    ha_image_t *left;
    ha_image_t *right;
    ha_image_t *both = ha_image_make(pool);

    if (size > 0) {
        data++;
        size--;
    }
    while (next_record(&at, &data, &size)) {
        made++;
        if (made == first) {
            half = at;
        }
    }
    fold_any(span_of(bytes, (apr_size_t)(at - bytes)));
    left = fold_any(span_of(bytes, (apr_size_t)(half - bytes)));
    right = fold_any(span_of(half, (apr_size_t)(at - half)));
    ha_image_merge(both, right);
    ha_image_merge(both, left);
    ha_image_merge(left, right);
    demand(is_same(both, left));
    demand(ha_image_covers(both, right));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char id[HA_SID_BYTES] = "of the fuzzer";
    static const unsigned char secret[HA_KEY_BYTES] = "of the fuzzer, too";

    if (pool == NULL) {
        demand(apr_initialize() == APR_SUCCESS);
        demand(apr_pool_create(&pool, NULL) == APR_SUCCESS);
        ha_sid_init(&sid, id);
        ha_ring_init(&ring, secret);
    }
    seal = NULL;
    fold_any(span_of((const char *)data, size));
    fold_made(data, size);
    seal = &on;
    /* Whoever has no secret adds nothing. */
    demand(is_same(fold_any(span_of((const char *)data, size)),
                   ha_image_make(pool)));
    fold_made(data, size);
    apr_pool_clear(pool);
    return 0;
}
