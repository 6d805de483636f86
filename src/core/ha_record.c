/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record = 'H' format:u8 kind:u8 flags:u8 body-len:u32
 *          stamp-time:u64 stamp-writer:u64 check:8 body
 * check  = first 8 bytes of SHA-256( sid-digest, the 24 bytes before it, body )
 * body   = what it says                           where format is 1
 *        = box of it, bound to the same 24        where format is 2, ha_seal.h
 *
 * Numbers are big-endian. The check also binds a record to its session: what
 * a node returns for another one does not verify. It is no signature. In a
 * sealed record it tells damage from a secret that is not there: damage is
 * repaired, but what somebody else can read must not be written over. A later
 * format has the same frame and check, so a damaged format byte is not taken
 * for one.
 */
#include "ha_record.h"

#include <stdlib.h>

#include <openssl/evp.h>

#define MAGIC 'H'
#define FORMAT_CLEAR 1
#define FORMAT_SEALED 2

#define AT_FORMAT 1
#define AT_KIND 2
#define AT_FLAGS 3
#define AT_LEN 4
#define AT_STAMP 8
#define AT_CHECK (AT_STAMP + HA_STAMP_BYTES)
#define CHECK_BYTES 8
#define FRAME_BYTES (AT_CHECK + CHECK_BYTES)

/* ---- numbers ---- */

apr_uint64_t ha_number_get(const char *at, unsigned int bytes)
{
    apr_uint64_t number = 0;

    while (bytes-- > 0) {
        number = number << 8 | (unsigned char)*at++;
    }
    return number;
}

char *ha_number_put(char *at, apr_uint64_t number, unsigned int bytes)
{
    unsigned int i;

    for (i = bytes; i > 0; i--) {
        *at++ = (char)(unsigned char)(number >> (8 * (i - 1)));
    }
    return at;
}

char *ha_span_put(char *at, span_t span)
{
    if (span.len > 0) {
        memcpy(at, span.data, span.len);
    }
    return at + span.len;
}

char *ha_stamp_put(char *at, ha_stamp_t stamp)
{
    return ha_number_put(ha_number_put(at, stamp.time, 8), stamp.writer, 8);
}

ha_stamp_t ha_stamp_get(const char *at)
{
    ha_stamp_t stamp;

    stamp.time = ha_number_get(at, 8);
    stamp.writer = ha_number_get(at + 8, 8);
    return stamp;
}

int ha_stamp_is_valid(ha_stamp_t stamp)
{
    return stamp.time < APR_INT64_MAX;
}

/* Checksum the record that begins at frame. */
static void sum_record(char check[CHECK_BYTES], const ha_sid_t *sid,
                       const char *frame, apr_size_t body_len)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (ctx == NULL || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL)
        || !EVP_DigestUpdate(ctx, sid->digest, HA_SID_DIGEST)
        || !EVP_DigestUpdate(ctx, frame, AT_CHECK)
        || !EVP_DigestUpdate(ctx, frame + FRAME_BYTES, body_len)
        || !EVP_DigestFinal_ex(ctx, digest, NULL)) {
        /* Out of memory, which ends a process that runs on pools. */
        abort();
    }
    EVP_MD_CTX_free(ctx);
    memcpy(check, digest, CHECK_BYTES);
}

/* ---- reading ---- */

/* Read a record that has come here whole; its body may be a box. */
static ha_record_e read_frame(ha_record_t *record, span_t rest,
                              const ha_sid_t *sid)
{
    char check[CHECK_BYTES];
    const char *frame = rest.data;
    apr_size_t len;

    if (rest.len < FRAME_BYTES || frame[0] != MAGIC) {
        return HA_RECORD_DAMAGED;
    }
    len = (apr_size_t)ha_number_get(frame + AT_LEN, 4);
    if (len > rest.len - FRAME_BYTES) {
        return HA_RECORD_DAMAGED;
    }
    sum_record(check, sid, frame, len);
    if (memcmp(check, frame + AT_CHECK, CHECK_BYTES) != 0) {
        return HA_RECORD_DAMAGED;
    }
    if (frame[AT_FORMAT] != FORMAT_CLEAR
        && frame[AT_FORMAT] != FORMAT_SEALED) {
        /* A good check tells it from a damaged byte. Nobody wrote 0. */
        return frame[AT_FORMAT] == 0 ? HA_RECORD_DAMAGED : HA_RECORD_NEWER;
    }
    record->is_sealed = frame[AT_FORMAT] == FORMAT_SEALED;
    record->kind = (unsigned char)frame[AT_KIND];
    record->flags = (unsigned char)frame[AT_FLAGS];
    record->stamp = ha_stamp_get(frame + AT_STAMP);
    if (!ha_stamp_is_valid(record->stamp)) {
        return HA_RECORD_DAMAGED;
    }
    record->body = span_of(frame + FRAME_BYTES, len);
    record->whole = span_of(frame, FRAME_BYTES + len);
    return HA_RECORD_OK;
}

/* Put what is sealed in the place of its box. */
static ha_record_e open_body(ha_record_t *record, const ha_sid_t *sid,
                             const ha_seal_t *seal, apr_pool_t *p)
{
    char *body;

    if (!record->is_sealed) {
        return ha_seal_takes_clear(seal) ? HA_RECORD_OK : HA_RECORD_CLEAR;
    }
    body = apr_palloc(p, record->body.len + 1);
    switch (ha_seal_open(body, &record->key, seal, sid,
                         span_of(record->whole.data, AT_CHECK),
                         record->body)) {
    case HA_OPEN_OK:
        record->body = span_of(body, record->body.len - HA_SEAL_EXTRA);
        return HA_RECORD_OK;
    case HA_OPEN_NO_KEY:
        return HA_RECORD_LOCKED;
    case HA_OPEN_FORGED:
    default:
        return HA_RECORD_DAMAGED;
    }
}

ha_record_e ha_record_read(ha_record_t *record, span_t *rest,
                           const ha_sid_t *sid, const ha_seal_t *seal,
                           apr_pool_t *p)
{
    ha_record_e result;

    memset(record, 0, sizeof(*record));
    result = read_frame(record, *rest, sid);
    if (result == HA_RECORD_OK) {
        result = open_body(record, sid, seal, p);
    }
    if (result == HA_RECORD_OK) {
        rest->data += record->whole.len;
        rest->len -= record->whole.len;
    }
    return result;
}

int ha_record_is_stale(const ha_record_t *record, const ha_seal_t *seal)
{
    return record->is_sealed != ha_seal_is_sealing(seal)
           || (record->is_sealed && record->key > 0);
}

span_t ha_record_clear(const ha_record_t *record, const ha_sid_t *sid,
                       apr_pool_t *p)
{
    char *frame;

    if (!record->is_sealed) {
        return record->whole;
    }
    frame = apr_palloc(p, FRAME_BYTES + record->body.len);
    memcpy(frame, record->whole.data, FRAME_BYTES);
    frame[AT_FORMAT] = FORMAT_CLEAR;
    ha_number_put(frame + AT_LEN, record->body.len, 4);
    ha_span_put(frame + FRAME_BYTES, record->body);
    sum_record(frame + AT_CHECK, sid, frame, record->body.len);
    return span_of(frame, FRAME_BYTES + record->body.len);
}

/* ---- writing ---- */

apr_size_t ha_record_extra(const ha_seal_t *seal)
{
    return ha_seal_is_sealing(seal) ? HA_SEAL_EXTRA : 0;
}

apr_size_t ha_record_size(apr_size_t len, const ha_seal_t *seal)
{
    return FRAME_BYTES + len + ha_record_extra(seal);
}

ha_draft_t ha_record_begin(char *at, int kind, ha_stamp_t stamp,
                           apr_size_t len, const ha_seal_t *seal)
{
    int is_sealed = ha_seal_is_sealing(seal);
    ha_draft_t draft = { at, at + FRAME_BYTES, len };

    if (is_sealed) {
        draft.body += HA_SEAL_HEAD;
    }
    *at++ = MAGIC;
    *at++ = is_sealed ? FORMAT_SEALED : FORMAT_CLEAR;
    *at++ = (char)kind;
    *at++ = 0;
    at = ha_number_put(at, len + ha_record_extra(seal), 4);
    ha_stamp_put(at, stamp);
    return draft;
}

span_t ha_record_end(const ha_draft_t *draft, const ha_sid_t *sid,
                     const ha_seal_t *seal)
{
    apr_size_t size = ha_record_size(draft->len, seal);

    if (ha_seal_is_sealing(seal)) {
        ha_seal_close(draft->frame + FRAME_BYTES, draft->len, seal, sid,
                      span_of(draft->frame, AT_CHECK));
    }
    sum_record(draft->frame + AT_CHECK, sid, draft->frame,
               size - FRAME_BYTES);
    return span_of(draft->frame, size);
}

span_t ha_record_copy(char *at, const span_t *clear, const ha_sid_t *sid,
                      const ha_seal_t *seal)
{
    apr_size_t len = clear->len - FRAME_BYTES;
    ha_draft_t draft = ha_record_begin(
        at, (unsigned char)clear->data[AT_KIND],
        ha_stamp_get(clear->data + AT_STAMP), len, seal);

    at[AT_FLAGS] = clear->data[AT_FLAGS];
    ha_span_put(draft.body, span_of(clear->data + FRAME_BYTES, len));
    return ha_record_end(&draft, sid, seal);
}
