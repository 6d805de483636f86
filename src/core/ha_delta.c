/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value  = record*                  ha_record.c has the frame, check and seal
 * body   = field*                   of a delta, a snapshot and an end
 * field  = tag:u8 len:u32 payload
 *
 * A record is read whole before anything of it is folded, so it counts or it
 * does not. Reading takes whatever fits into HA_VALUE_MAX bytes; what a
 * session may hold is judged where it is written, in ha_diff. So a fold never
 * loses an attribute, and costs memory in proportion to the bytes it is given.
 *
 * What newer code writes in these formats is kept, not understood: fields with
 * an unknown tag, and records with an unknown kind or any flag.
 */
#include "ha_delta.h"

#include "ha_record.h"

#define KIND_DELTA 1
#define KIND_SNAPSHOT 2
#define KIND_END 3

#define TAG_SET 1    /* name-len:u16 name value, stamped as the record is */
#define TAG_GONE 2   /* name-len:u16 name, likewise */
#define TAG_SET_AT 3 /* the same two behind a stamp of their own, 16 bytes */
#define TAG_GONE_AT 4
#define TAG_ACCESS 5 /* time:u64 */
#define TAG_FORWARD 6 /* where the session went: ha_forward.c */

#define FIELD_BYTES 5
#define NAME_LEN_BYTES 2

/* One field, its payload taken apart. */
typedef struct field_t {
    int tag;
    ha_attr_t attr;    /* of the four attribute tags */
    apr_time_t access; /* of TAG_ACCESS */
    span_t whole;
} field_t;

/* ---- reading ---- */

/* Read name-len, name and the rest, which is the value. */
static int read_attr(ha_attr_t *attr, span_t payload)
{
    apr_size_t name_len;

    if (payload.len < NAME_LEN_BYTES) {
        return 0;
    }
    name_len = (apr_size_t)ha_number_get(payload.data, NAME_LEN_BYTES);
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
    number = ha_number_get(payload.data, 8);
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
    len = (apr_size_t)ha_number_get(rest->data + 1, 4);
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
        if (payload.len < HA_STAMP_BYTES) {
            return 0;
        }
        field->attr.stamp = ha_stamp_get(payload.data);
        if (!ha_stamp_is_valid(field->attr.stamp)) {
            return 0;
        }
        field->attr.op.gone = field->tag == TAG_GONE_AT;
        return read_attr(&field->attr, span_of(payload.data + HA_STAMP_BYTES,
                                               payload.len - HA_STAMP_BYTES));
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

static int is_understood(const ha_record_t *record)
{
    return record->flags == 0 && record->kind >= KIND_DELTA
           && record->kind <= KIND_END;
}

/* Whether all fields of a record that this code understands are well-formed. */
static int is_well_formed(const ha_record_t *record)
{
    span_t body = record->body;
    field_t field;

    while (is_understood(record) && body.len > 0) {
        if (!read_field(&field, &body, record->stamp)) {
            return 0;
        }
    }
    return 1;
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

static void fold_record(ha_image_t *image, const ha_record_t *record,
                        const ha_sid_t *sid)
{
    int is_end = record->kind == KIND_END;
    span_t body = record->body;
    field_t field;

    if (!is_understood(record)) {
        ha_image_keep(image, image->records,
                      ha_record_clear(record, sid, image->pool));
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
    case HA_FOLD_LOCKED:
        return "locked";
    case HA_FOLD_CLEAR:
        return "clear";
    default:
        return "no-such-result";
    }
}

/* What a record that cannot be read makes of the value that it stands in. */
static ha_fold_e judge(ha_record_e result)
{
    switch (result) {
    case HA_RECORD_OK:
        return HA_FOLD_OK;
    case HA_RECORD_NEWER:
        return HA_FOLD_NEWER;
    case HA_RECORD_LOCKED:
        return HA_FOLD_LOCKED;
    case HA_RECORD_CLEAR:
        return HA_FOLD_CLEAR;
    case HA_RECORD_DAMAGED:
    default:
        return HA_FOLD_DAMAGED;
    }
}

ha_fold_e ha_delta_fold(ha_image_t *image, ha_fold_t *fold,
                        const ha_sid_t *sid, const ha_seal_t *seal,
                        span_t value)
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
    while (rest.len > 0 && fold->result == HA_FOLD_OK) {
        ha_record_t record;

        fold->result = judge(ha_record_read(&record, &rest, sid, seal,
                                            image->pool));
        if (fold->result == HA_FOLD_OK && !is_well_formed(&record)) {
            fold->result = HA_FOLD_DAMAGED;
        }
        if (fold->result == HA_FOLD_OK) {
            fold_record(image, &record, sid);
            fold->stale += ha_record_is_stale(&record, seal);
            fold->records++;
            fold->good += record.whole.len;
            fold->head = fold->head > 0 ? fold->head : record.whole.len;
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
    return FIELD_BYTES + (is_stamped ? HA_STAMP_BYTES : 0) + NAME_LEN_BYTES
           + attr->op.name.len + (attr->op.gone ? 0 : attr->op.value.len);
}

static char *put_attr(char *at, const ha_attr_t *attr, int is_stamped)
{
    int gone = attr->op.gone;

    *at++ = is_stamped ? gone ? TAG_GONE_AT : TAG_SET_AT
                       : gone ? TAG_GONE : TAG_SET;
    at = ha_number_put(at, attr_size(attr, is_stamped) - FIELD_BYTES, 4);
    if (is_stamped) {
        at = ha_stamp_put(at, attr->stamp);
    }
    at = ha_number_put(at, attr->op.name.len, NAME_LEN_BYTES);
    at = ha_span_put(at, attr->op.name);
    return gone ? at : ha_span_put(at, attr->op.value);
}

static apr_size_t access_size(apr_time_t access)
{
    return access > 0 ? FIELD_BYTES + 8 : 0;
}

static char *put_access(char *at, apr_time_t access)
{
    if (access > 0) {
        *at++ = TAG_ACCESS;
        at = ha_number_put(at, 8, 4);
        at = ha_number_put(at, (apr_uint64_t)access, 8);
    }
    return at;
}

span_t ha_delta_encode(const ha_sid_t *sid, const ha_change_t *change,
                       const ha_seal_t *seal, apr_pool_t *p)
{
    apr_size_t len = access_size(change->access);
    ha_attr_t attr;
    ha_draft_t draft;
    unsigned int i;
    char *at;

    memset(&attr, 0, sizeof(attr));
    for (i = 0; i < change->count; i++) {
        attr.op = change->ops[i];
        len += attr_size(&attr, 0);
    }
    at = apr_palloc(p, ha_record_size(len, seal));
    draft = ha_record_begin(at, KIND_DELTA, change->stamp, len, seal);
    at = put_access(draft.body, change->access);
    for (i = 0; i < change->count; i++) {
        attr.op = change->ops[i];
        at = put_attr(at, &attr, 0);
    }
    return ha_record_end(&draft, sid, seal);
}

span_t ha_delta_encode_end(const ha_sid_t *sid, ha_stamp_t stamp,
                           const ha_seal_t *seal, apr_pool_t *p)
{
    char *at = apr_palloc(p, ha_record_size(0, seal));
    ha_draft_t draft = ha_record_begin(at, KIND_END, stamp, 0, seal);

    return ha_record_end(&draft, sid, seal);
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
        at = ha_span_put(at, *(const span_t *)spans[i]);
    }
    return at;
}

/* What an image holds, in the order in which it is written. */
typedef struct parts_t {
    const void **attrs;
    const void **fields;
    const void **forwards;
    const void **records; /* behind the snapshot; the others are in it */
    unsigned int attr_count;
    unsigned int field_count;
    unsigned int forward_count;
    unsigned int record_count;
} parts_t;

static parts_t sort_parts(const ha_image_t *image, apr_pool_t *p)
{
    parts_t parts;

    parts.attrs = ha_image_sorted(&parts.attr_count, image->attrs, p);
    parts.fields = ha_image_sorted(&parts.field_count, image->fields, p);
    parts.forwards = ha_image_sorted(&parts.forward_count, image->forwards,
                                     p);
    parts.records = ha_image_sorted(&parts.record_count, image->records, p);
    return parts;
}

/* Bytes of a snapshot's body. */
static apr_size_t body_size(const ha_image_t *image, const parts_t *parts)
{
    apr_size_t len = access_size(image->access)
                     + size_of_all(parts->fields, parts->field_count)
                     + size_of_all(parts->forwards, parts->forward_count);
    unsigned int i;

    for (i = 0; i < parts->attr_count; i++) {
        len += attr_size(parts->attrs[i], 1);
    }
    return len;
}

static void put_body(char *at, const ha_image_t *image, const parts_t *parts)
{
    unsigned int i;

    at = put_access(at, image->access);
    for (i = 0; i < parts->attr_count; i++) {
        at = put_attr(at, parts->attrs[i], 1);
    }
    at = put_all(at, parts->fields, parts->field_count);
    put_all(at, parts->forwards, parts->forward_count);
}

span_t ha_delta_encode_image(const ha_sid_t *sid, const ha_image_t *image,
                             const ha_seal_t *seal, apr_pool_t *p)
{
    parts_t parts = sort_parts(image, p);
    apr_size_t len = body_size(image, &parts);
    apr_size_t behind = size_of_all(parts.records, parts.record_count)
                        + parts.record_count * ha_record_extra(seal);
    char *whole = apr_palloc(p, ha_record_size(len, seal) + behind);
    ha_draft_t draft = ha_record_begin(whole, image->ended ? KIND_END
                                                           : KIND_SNAPSHOT,
                                       image->latest, len, seal);
    unsigned int i;
    char *at;

    put_body(draft.body, image, &parts);
    at = whole + ha_record_end(&draft, sid, seal).len;
    for (i = 0; i < parts.record_count; i++) {
        /* What newer code wrote is a record of its own again. */
        at += ha_record_copy(at, parts.records[i], sid, seal).len;
    }
    return span_of(whole, (apr_size_t)(at - whole));
}
