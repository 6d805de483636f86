/* SPDX-License-Identifier: Apache-2.0 */
#include "raw_record.h"

#include <openssl/sha.h>

#define CHECK 8

span_t raw_record(const ha_sid_t *sid, const unsigned char head[3],
                  ha_stamp_t stamp, span_t body, apr_pool_t *p)
{
    unsigned char frame[RAW_RECORD_FRAME] = { 'H' };
    unsigned char digest[SHA256_DIGEST_LENGTH];
    apr_size_t len = HA_SID_DIGEST + RAW_RECORD_FRAME + body.len;
    unsigned char *text = apr_palloc(p, len);
    int i;

    memcpy(frame + 1, head, 3);
    for (i = 0; i < 4; i++) {
        frame[4 + i] = (unsigned char)(body.len >> (24 - 8 * i));
    }
    for (i = 0; i < 8; i++) {
        frame[8 + i] = (unsigned char)(stamp.time >> (56 - 8 * i));
        frame[16 + i] = (unsigned char)(stamp.writer >> (56 - 8 * i));
    }
    len -= CHECK;
    memcpy(text, sid->digest, HA_SID_DIGEST);
    memcpy(text + HA_SID_DIGEST, frame, RAW_RECORD_FRAME - CHECK);
    if (body.len > 0) {
        memcpy(text + len - body.len, body.data, body.len);
    }
    SHA256(text, len, digest);
    memcpy(frame + RAW_RECORD_FRAME - CHECK, digest, CHECK);
    memcpy(text, frame, RAW_RECORD_FRAME);
    if (body.len > 0) {
        memcpy(text + RAW_RECORD_FRAME, body.data, body.len);
    }
    return span_of((const char *)text, RAW_RECORD_FRAME + body.len);
}
