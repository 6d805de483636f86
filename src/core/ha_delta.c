/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value  = record*
 * record = 'H' format:u8=1 kind:u8 flags:u8=0 body-len:u32
 *          stamp-time:u64 stamp-writer:u64 check:8 body
 * check  = first 8 bytes of SHA-256( sid-digest, the 24 bytes before it, body )
 * body   = field*
 * field  = tag:u8 len:u32 payload
 *
 * Numbers are big-endian. The check also binds a record to its session: what
 * a node returns for another one does not verify. It is no signature.
 *
 * A record is read whole before anything of it is folded, so it counts or it
 * does not. Reading takes whatever fits into HA_VALUE_MAX bytes; what a
 * session may hold is judged where it is written, in ha_diff. So a fold never
 * loses an attribute, and costs memory in proportion to the bytes it is given.
 *
 * What newer code writes in this format is kept, not understood: fields with
 * an unknown tag, and records with an unknown kind or any flag. A later format
 * has the same frame and check, so a damaged format byte is not taken for one.
 */
#include "ha_delta.h"

#include <stdlib.h>

#include <openssl/evp.h>

#define MAGIC 'H'
#define FORMAT 1

#define KIND_DELTA 1
#define KIND_SNAPSHOT 2
#define KIND_END 3

#define AT_FORMAT 1
#define AT_KIND 2
#define AT_FLAGS 3
#define AT_LEN 4
#define AT_TIME 8
#define AT_WRITER 16
#define AT_CHECK 24
#define CHECK_BYTES 8
#define FRAME_BYTES (AT_CHECK + CHECK_BYTES)

#define TAG_SET 1    /* name-len:u16 name value, stamped as the record is */
#define TAG_GONE 2   /* name-len:u16 name, likewise */
#define TAG_SET_AT 3 /* the same two behind a stamp of their own, 16 bytes */
#define TAG_GONE_AT 4
#define TAG_ACCESS 5 /* time:u64 */
#define TAG_FORWARD 6 /* where the session went: ha_forward.c */

#define FIELD_BYTES 5
#define STAMP_BYTES 16
#define NAME_LEN_BYTES 2

/* One record, its frame taken apart. */
typedef struct record_t {
    int kind;
    int flags;
    ha_stamp_t stamp;
    span_t body;
    span_t whole;
} record_t;

/* One field, its payload taken apart. */
typedef struct field_t {
    int tag;
    ha_attr_t attr;    /* of the four attribute tags */
    apr_time_t access; /* of TAG_ACCESS */
    span_t whole;
} field_t;

/* ---- numbers ---- */

static apr_uint64_t get_number(const char *at, unsigned int bytes)
{
    apr_uint64_t number = 0;

    while (bytes-- > 0) {
        number = number << 8 | (unsigned char)*at++;
    }
    return number;
}

static char *put_number(char *at, apr_uint64_t number, unsigned int bytes)
{
    unsigned int i;

    for (i = bytes; i > 0; i--) {
        *at++ = (char)(unsigned char)(number >> (8 * (i - 1)));
    }
    return at;
}

static char *put_span(char *at, span_t span)
{
    if (span.len > 0) {
        memcpy(at, span.data, span.len);
    }
    return at + span.len;
}

static char *put_stamp(char *at, ha_stamp_t stamp)
{
    return put_number(put_number(at, stamp.time, 8), stamp.writer, 8);
}

static ha_stamp_t get_stamp(const char *at)
{
    ha_stamp_t stamp;

    stamp.time = get_number(at, 8);
    stamp.writer = get_number(at + 8, 8);
    return stamp;
}

/* There is always a time behind a write's, or nobody could write again. */
static int is_stamp(ha_stamp_t stamp)
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

/* Read name-len, name and the rest, which is the value. */
static int read_attr(ha_attr_t *attr, span_t payload)
{
    apr_size_t name_len;

    if (payload.len < NAME_LEN_BYTES) {
        return 0;
    }
    name_len = (apr_size_t)get_number(payload.data, NAME_LEN_BYTES);
    payload.data += NAME_LEN_BYTES;
    payload.len -= NAME_LEN_BYTES;
    if (name_len == 0 || name_len > payload.len) {
        return 0;
    }
    attr->op.name = span_of(payload.data, name_len);
    attr->op.value = span_of(payload.data + name_len, payload.len - name_len);
    /* As long as nothing follows the name of what is gone, nothing may. */
    return !attr->op.gone || attr->op.value.len == 0;
}

static int read_access(apr_time_t *access, span_t payload)
{
    apr_uint64_t number;

    if (payload.len != 8) {
        return 0;
    }
    number = get_number(payload.data, 8);
    if (number > APR_INT64_MAX) {
        return 0;
    }
    *access = (apr_time_t)number;
    return 1;
}

/* Take one field off rest. Returns 0 when it is not well-formed. */
static int read_field(field_t *field, span_t *rest, ha_stamp_t stamp)
{
    apr_size_t len;
    span_t payload;

    if (rest->len < FIELD_BYTES) {
        return 0;
    }
    len = (apr_size_t)get_number(rest->data + 1, 4);
    if (len > rest->len - FIELD_BYTES) {
        return 0;
    }
    memset(field, 0, sizeof(*field));
    field->tag = (unsigned char)rest->data[0];
    field->whole = span_of(rest->data, FIELD_BYTES + len);
    field->attr.stamp = stamp;
    payload = span_of(rest->data + FIELD_BYTES, len);
    rest->data += field->whole.len;
    rest->len -= field->whole.len;
    switch (field->tag) {
    case TAG_SET_AT:
    case TAG_GONE_AT:
        if (payload.len < STAMP_BYTES) {
            return 0;
        }
        field->attr.stamp = get_stamp(payload.data);
        if (!is_stamp(field->attr.stamp)) {
            return 0;
        }
        field->attr.op.gone = field->tag == TAG_GONE_AT;
        return read_attr(&field->attr, span_of(payload.data + STAMP_BYTES,
                                               payload.len - STAMP_BYTES));
    case TAG_SET:
    case TAG_GONE:
        field->attr.op.gone = field->tag == TAG_GONE;
        return read_attr(&field->attr, payload);
    case TAG_ACCESS:
        return read_access(&field->access, payload);
    default:
        return 1;
    }
}

static int is_understood(const record_t *record)
{
    return record->flags == 0 && record->kind >= KIND_DELTA
           && record->kind <= KIND_END;
}

/* Take one record off rest; what is left in rest on failure is open. */
static ha_fold_e read_record(record_t *record, span_t *rest,
                             const ha_sid_t *sid)
{
    char check[CHECK_BYTES];
    const char *frame = rest->data;
    apr_size_t len;
    field_t field;
    span_t body;

    if (rest->len < FRAME_BYTES || frame[0] != MAGIC) {
        return HA_FOLD_DAMAGED;
    }
    len = (apr_size_t)get_number(frame + AT_LEN, 4);
    if (len > rest->len - FRAME_BYTES) {
        return HA_FOLD_DAMAGED;
    }
    sum_record(check, sid, frame, len);
    if (memcmp(check, frame + AT_CHECK, CHECK_BYTES) != 0) {
        return HA_FOLD_DAMAGED;
    }
    if (frame[AT_FORMAT] != FORMAT) {
        /* A good check tells it from a damaged byte. Nobody wrote 0. */
        return frame[AT_FORMAT] == 0 ? HA_FOLD_DAMAGED : HA_FOLD_NEWER;
    }
    record->kind = (unsigned char)frame[AT_KIND];
    record->flags = (unsigned char)frame[AT_FLAGS];
    record->stamp = get_stamp(frame + AT_TIME);
    if (!is_stamp(record->stamp)) {
        return HA_FOLD_DAMAGED;
    }
    record->body = span_of(frame + FRAME_BYTES, len);
    record->whole = span_of(frame, FRAME_BYTES + len);
    rest->data += record->whole.len;
    rest->len -= record->whole.len;
    body = is_understood(record) ? record->body : span_of(NULL, 0);
    while (body.len > 0) {
        if (!read_field(&field, &body, record->stamp)) {
            return HA_FOLD_DAMAGED;
        }
    }
    return HA_FOLD_OK;
}

static void fold_field(ha_image_t *image, const field_t *field,
                       ha_stamp_t stamp)
{
    switch (field->tag) {
    case TAG_SET:
    case TAG_GONE:
    case TAG_SET_AT:
    case TAG_GONE_AT:
        ha_image_put(image, &field->attr);
        break;
    case TAG_ACCESS:
        ha_image_use(image, stamp, field->access);
        break;
    case TAG_FORWARD:
        ha_image_keep(image, image->forwards, field->whole);
        break;
    default:
        ha_image_keep(image, image->fields, field->whole);
        break;
    }
}

static void fold_record(ha_image_t *image, const record_t *record)
{
    int is_end = record->kind == KIND_END;
    span_t body = record->body;
    field_t field;

    if (!is_understood(record)) {
        ha_image_keep(image, image->records, record->whole);
        ha_image_use(image, record->stamp, 0);
        return;
    }
    if (is_end) {
        ha_image_end(image);
    }
    ha_image_use(image, record->stamp, 0);
    while (body.len > 0 && read_field(&field, &body, record->stamp)) {
        /* Of what comes late to an ended session only this is news. */
        if (!image->ended || is_end || field.tag == TAG_FORWARD) {
            fold_field(image, &field, record->stamp);
        }
    }
}

const char *ha_fold_name(ha_fold_e result)
{
    switch (result) {
    case HA_FOLD_OK:
        return "ok";
    case HA_FOLD_EMPTY:
        return "empty";
    case HA_FOLD_DAMAGED:
        return "damaged";
    case HA_FOLD_FOREIGN:
        return "foreign";
    case HA_FOLD_NEWER:
        return "newer";
    default:
        return "no-such-result";
    }
}

ha_fold_e ha_delta_fold(ha_image_t *image, ha_fold_t *fold,
                        const ha_sid_t *sid, span_t value)
{
    span_t rest = value;

    memset(fold, 0, sizeof(*fold));
    if (value.len == 0) {
        fold->result = HA_FOLD_EMPTY;
        return fold->result;
    }
    if (rest.len > HA_VALUE_MAX) {
        /* No writer of ours lets it grow so far: a tail that is damaged. */
        rest.len = HA_VALUE_MAX;
    }
    while (rest.len > 0) {
        record_t record;

        fold->result = read_record(&record, &rest, sid);
        if (fold->result != HA_FOLD_OK) {
            break;
        }
        fold_record(image, &record);
        fold->records++;
        fold->good += record.whole.len;
        if (fold->head == 0) {
            fold->head = record.whole.len;
        }
    }
    if (fold->result == HA_FOLD_OK && fold->good < value.len) {
        fold->result = HA_FOLD_DAMAGED;
    }
    if (fold->result == HA_FOLD_DAMAGED && fold->records == 0) {
        fold->result = HA_FOLD_FOREIGN;
    }
    return fold->result;
}

void ha_delta_apply(ha_image_t *image, const ha_change_t *change)
{
    unsigned int i;

    ha_image_use(image, change->stamp, change->access);
    for (i = 0; i < change->count; i++) {
        ha_attr_t attr = { change->ops[i], change->stamp };

        ha_image_put(image, &attr);
    }
}

int ha_image_has(const ha_image_t *image, const ha_change_t *change)
{
    unsigned int i;

    if (image->ended) {
        return 1;
    }
    if (ha_stamp_compare(image->latest, change->stamp) < 0
        || image->access < change->access) {
        return 0;
    }
    for (i = 0; i < change->count; i++) {
        ha_attr_t attr = { change->ops[i], change->stamp };

        if (!ha_image_has_attr(image, &attr)) {
            return 0;
        }
    }
    return 1;
}

/* ---- writing ---- */

static apr_size_t attr_size(const ha_attr_t *attr, int is_stamped)
{
    return FIELD_BYTES + (is_stamped ? STAMP_BYTES : 0) + NAME_LEN_BYTES
           + attr->op.name.len + (attr->op.gone ? 0 : attr->op.value.len);
}

static char *put_attr(char *at, const ha_attr_t *attr, int is_stamped)
{
    int gone = attr->op.gone;

    *at++ = is_stamped ? gone ? TAG_GONE_AT : TAG_SET_AT
                       : gone ? TAG_GONE : TAG_SET;
    at = put_number(at, attr_size(attr, is_stamped) - FIELD_BYTES, 4);
    if (is_stamped) {
        at = put_stamp(at, attr->stamp);
    }
    at = put_number(at, attr->op.name.len, NAME_LEN_BYTES);
    at = put_span(at, attr->op.name);
    return gone ? at : put_span(at, attr->op.value);
}

static apr_size_t access_size(apr_time_t access)
{
    return access > 0 ? FIELD_BYTES + 8 : 0;
}

static char *put_access(char *at, apr_time_t access)
{
    if (access > 0) {
        *at++ = TAG_ACCESS;
        at = put_number(at, 8, 4);
        at = put_number(at, (apr_uint64_t)access, 8);
    }
    return at;
}

/* Write all of a frame but its check. */
static char *put_frame(char *at, int kind, ha_stamp_t stamp,
                       apr_size_t body_len)
{
    *at++ = MAGIC;
    *at++ = FORMAT;
    *at++ = (char)kind;
    *at++ = 0;
    at = put_number(at, body_len, 4);
    at = put_stamp(at, stamp);
    memset(at, 0, CHECK_BYTES);
    return at + CHECK_BYTES;
}

span_t ha_delta_encode(const ha_sid_t *sid, const ha_change_t *change,
                       apr_pool_t *p)
{
    apr_size_t len = access_size(change->access);
    ha_attr_t attr;
    unsigned int i;
    char *frame;
    char *at;

    memset(&attr, 0, sizeof(attr));
    for (i = 0; i < change->count; i++) {
        attr.op = change->ops[i];
        len += attr_size(&attr, 0);
    }
    frame = apr_palloc(p, FRAME_BYTES + len);
    at = put_frame(frame, KIND_DELTA, change->stamp, len);
    at = put_access(at, change->access);
    for (i = 0; i < change->count; i++) {
        attr.op = change->ops[i];
        at = put_attr(at, &attr, 0);
    }
    sum_record(frame + AT_CHECK, sid, frame, len);
    return span_of(frame, FRAME_BYTES + len);
}

span_t ha_delta_encode_end(const ha_sid_t *sid, ha_stamp_t stamp,
                           apr_pool_t *p)
{
    char *frame = apr_palloc(p, FRAME_BYTES);

    put_frame(frame, KIND_END, stamp, 0);
    sum_record(frame + AT_CHECK, sid, frame, 0);
    return span_of(frame, FRAME_BYTES);
}

static apr_size_t size_of_all(const void **spans, unsigned int count)
{
    apr_size_t size = 0;
    unsigned int i;

    for (i = 0; i < count; i++) {
        size += ((const span_t *)spans[i])->len;
    }
    return size;
}

static char *put_all(char *at, const void **spans, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        at = put_span(at, *(const span_t *)spans[i]);
    }
    return at;
}

span_t ha_delta_encode_image(const ha_sid_t *sid, const ha_image_t *image,
                             apr_pool_t *p)
{
    unsigned int attr_count;
    unsigned int field_count;
    unsigned int record_count;
    unsigned int forward_count;
    const void **attrs = ha_image_sorted(&attr_count, image->attrs, p);
    const void **fields = ha_image_sorted(&field_count, image->fields, p);
    const void **records = ha_image_sorted(&record_count, image->records, p);
    const void **forwards = ha_image_sorted(&forward_count, image->forwards,
                                            p);
    apr_size_t behind = size_of_all(records, record_count);
    apr_size_t len = access_size(image->access)
                     + size_of_all(fields, field_count)
                     + size_of_all(forwards, forward_count);
    unsigned int i;
    char *frame;
    char *at;

    for (i = 0; i < attr_count; i++) {
        len += attr_size(attrs[i], 1);
    }
    frame = apr_palloc(p, FRAME_BYTES + len + behind);
    at = put_frame(frame, image->ended ? KIND_END : KIND_SNAPSHOT,
                   image->latest, len);
    at = put_access(at, image->access);
    for (i = 0; i < attr_count; i++) {
        at = put_attr(at, attrs[i], 1);
    }
    at = put_all(at, fields, field_count);
    at = put_all(at, forwards, forward_count);
    sum_record(frame + AT_CHECK, sid, frame, len);
    put_all(at, records, record_count);
    return span_of(frame, FRAME_BYTES + len + behind);
}
