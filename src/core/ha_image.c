/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every part of an image is a maximum or a union, and an ended image is its
 * end alone. Maximum and union do not care for order and repetition, so an
 * image does not either; docs/protocol.md has it at length.
 */
#include "ha_image.h"

#include <stdlib.h>

#include <apr_strings.h>

int ha_stamp_compare(ha_stamp_t a, ha_stamp_t b)
{
    if (a.time != b.time) {
        return a.time < b.time ? -1 : 1;
    }
    if (a.writer != b.writer) {
        return a.writer < b.writer ? -1 : 1;
    }
    return 0;
}

static int compare_spans(span_t a, span_t b)
{
    apr_size_t shorter = a.len < b.len ? a.len : b.len;
    int diff = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;

    if (diff != 0) {
        return diff;
    }
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

/*
 * Which of two writes to one attribute wins. Stamps are unique, so what
 * follows them decides nothing but damage and bugs; it makes the order total,
 * and a maximum over a total order is what makes folding deterministic.
 */
static int compare_attrs(const ha_attr_t *a, const ha_attr_t *b)
{
    int diff = ha_stamp_compare(a->stamp, b->stamp);

    if (diff == 0) {
        diff = a->op.gone - b->op.gone;
    }
    if (diff == 0 && !a->op.gone) {
        diff = compare_spans(a->op.value, b->op.value);
    }
    if (diff == 0) {
        diff = compare_spans(a->op.name, b->op.name);
    }
    return diff;
}

span_t ha_attr_key(char *key, span_t name)
{
    apr_size_t i;

    for (i = 0; i < name.len; i++) {
        char c = name.data[i];

        key[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return span_of(key, name.len);
}

ha_image_t *ha_image_make(apr_pool_t *p)
{
    ha_image_t *image = apr_pcalloc(p, sizeof(*image));

    image->pool = p;
    image->attrs = apr_hash_make(p);
    image->fields = apr_hash_make(p);
    image->records = apr_hash_make(p);
    image->forwards = apr_hash_make(p);
    return image;
}

/* ---- folding ---- */

static ha_attr_t *find_attr(const ha_image_t *image, span_t name)
{
    char buffer[HA_ATTR_NAME_MAX];
    char *key = buffer;

    if (name.len > sizeof(buffer)) {
        /* Longer than we write: newer code may have raised the limit. */
        key = apr_palloc(image->pool, name.len);
    }
    return apr_hash_get(image->attrs, ha_attr_key(key, name).data,
                        (apr_ssize_t)name.len);
}

/* Copy what an attribute points to into the pool. */
static void copy_attr(ha_attr_t *to, const ha_attr_t *from, apr_pool_t *p)
{
    *to = *from;
    to->op.name.data = apr_pmemdup(p, from->op.name.data, from->op.name.len);
    to->op.value = span_of(NULL, 0);
    if (!from->op.gone && from->op.value.len > 0) {
        to->op.value = span_of(apr_pmemdup(p, from->op.value.data,
                                           from->op.value.len),
                               from->op.value.len);
    }
}

void ha_image_put(ha_image_t *image, const ha_attr_t *attr)
{
    ha_attr_t *held;
    span_t key;

    if (image->ended) {
        return;
    }
    held = find_attr(image, attr->op.name);
    if (held == NULL) {
        held = apr_palloc(image->pool, sizeof(*held));
        copy_attr(held, attr, image->pool);
        key = ha_attr_key(apr_palloc(image->pool, attr->op.name.len),
                          attr->op.name);
        apr_hash_set(image->attrs, key.data, (apr_ssize_t)key.len, held);
    }
    else if (compare_attrs(held, attr) < 0) {
        copy_attr(held, attr, image->pool);
    }
    ha_image_use(image, attr->stamp, 0);
}

void ha_image_use(ha_image_t *image, ha_stamp_t stamp, apr_time_t access)
{
    if (image->ended) {
        return;
    }
    if (ha_stamp_compare(image->latest, stamp) < 0) {
        image->latest = stamp;
    }
    if (image->access < access) {
        image->access = access;
    }
}

/*
 * From its end on an image is nothing but its end: another path to it, or a
 * second one, must not leave another image, so not even its stamp counts.
 * What newer code put into fields of the session goes with the session;
 * records of an unknown kind stay, because nobody here knows what they are,
 * and so does where the session went: who comes late is told so.
 */
void ha_image_end(ha_image_t *image)
{
    if (image->ended) {
        return;
    }
    image->ended = 1;
    image->access = 0;
    memset(&image->latest, 0, sizeof(image->latest));
    apr_hash_clear(image->attrs);
    apr_hash_clear(image->fields);
}

void ha_image_keep(ha_image_t *image, apr_hash_t *kept, span_t bytes)
{
    span_t *copy;

    if (apr_hash_get(kept, bytes.data, (apr_ssize_t)bytes.len) != NULL) {
        return;
    }
    copy = apr_palloc(image->pool, sizeof(*copy));
    *copy = span_of(apr_pmemdup(image->pool, bytes.data, bytes.len),
                    bytes.len);
    apr_hash_set(kept, copy->data, (apr_ssize_t)copy->len, copy);
}

static void keep_all(ha_image_t *image, apr_hash_t *kept, apr_hash_t *other)
{
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(NULL, other); hi; hi = apr_hash_next(hi)) {
        const span_t *bytes = apr_hash_this_val(hi);

        ha_image_keep(image, kept, *bytes);
    }
}

void ha_image_merge(ha_image_t *image, const ha_image_t *other)
{
    apr_hash_index_t *hi;

    keep_all(image, image->records, other->records);
    keep_all(image, image->forwards, other->forwards);
    if (other->ended) {
        ha_image_end(image);
    }
    if (image->ended != other->ended) {
        return;
    }
    keep_all(image, image->fields, other->fields);
    ha_image_use(image, other->latest, other->access);
    for (hi = apr_hash_first(NULL, other->attrs); hi; hi = apr_hash_next(hi)) {
        ha_image_put(image, apr_hash_this_val(hi));
    }
}

/* ---- questions ---- */

static int is_kept(apr_hash_t *kept, apr_hash_t *other)
{
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(NULL, other); hi; hi = apr_hash_next(hi)) {
        const span_t *bytes = apr_hash_this_val(hi);

        if (apr_hash_get(kept, bytes->data, (apr_ssize_t)bytes->len) == NULL) {
            return 0;
        }
    }
    return 1;
}

int ha_image_has_attr(const ha_image_t *image, const ha_attr_t *attr)
{
    const ha_attr_t *held;

    if (image->ended) {
        return 1;
    }
    held = find_attr(image, attr->op.name);
    return held != NULL && compare_attrs(held, attr) >= 0;
}

int ha_image_covers(const ha_image_t *image, const ha_image_t *other)
{
    apr_hash_index_t *hi;

    if (!is_kept(image->records, other->records)
        || !is_kept(image->forwards, other->forwards)) {
        return 0;
    }
    if (image->ended != other->ended) {
        return image->ended;
    }
    if (ha_stamp_compare(image->latest, other->latest) < 0
        || image->access < other->access
        || !is_kept(image->fields, other->fields)) {
        return 0;
    }
    for (hi = apr_hash_first(NULL, other->attrs); hi; hi = apr_hash_next(hi)) {
        if (!ha_image_has_attr(image, apr_hash_this_val(hi))) {
            return 0;
        }
    }
    return 1;
}

/* An entry of a hash, to be sorted. */
typedef struct entry_t {
    span_t key;
    const void *value;
} entry_t;

static int compare_entries(const void *a, const void *b)
{
    return compare_spans(((const entry_t *)a)->key, ((const entry_t *)b)->key);
}

const void **ha_image_sorted(unsigned int *count, apr_hash_t *hash,
                             apr_pool_t *p)
{
    unsigned int entry_count = apr_hash_count(hash);
    entry_t *entries = apr_palloc(p, (entry_count + 1) * sizeof(*entries));
    const void **values = apr_palloc(p, (entry_count + 1) * sizeof(*values));
    apr_hash_index_t *hi;
    unsigned int i = 0;

    for (hi = apr_hash_first(NULL, hash); hi; hi = apr_hash_next(hi)) {
        entries[i].key = span_of(apr_hash_this_key(hi),
                                 (apr_size_t)apr_hash_this_key_len(hi));
        entries[i].value = apr_hash_this_val(hi);
        i++;
    }
    qsort(entries, entry_count, sizeof(*entries), compare_entries);
    for (i = 0; i < entry_count; i++) {
        values[i] = entries[i].value;
    }
    *count = entry_count;
    return values;
}

apr_table_t *ha_image_table(const ha_image_t *image, apr_pool_t *p)
{
    unsigned int count;
    const void **attrs = ha_image_sorted(&count, image->attrs, p);
    apr_table_t *table = apr_table_make(p, (int)count);
    unsigned int i;

    for (i = 0; i < count; i++) {
        const ha_op_t *op = &((const ha_attr_t *)attrs[i])->op;
        const char *value = op->value.len > 0 ? op->value.data : "";

        if (!op->gone) {
            apr_table_addn(table,
                           apr_pstrmemdup(p, op->name.data, op->name.len),
                           apr_pstrmemdup(p, value, op->value.len));
        }
    }
    return table;
}
