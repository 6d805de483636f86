/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_diff.h"

/* An attribute of a table. */
typedef struct entry_t {
    span_t key;   /* what identifies it */
    span_t name;  /* as spelled */
    span_t value;
} entry_t;

/* A table's attributes, each once: in table order, and by key. */
typedef struct list_t {
    entry_t *entries;
    unsigned int count;
    apr_hash_t *index;
} list_t;

static const apr_table_entry_t *elts_of(const apr_array_header_t *array)
{
    const void *elts = array->elts;

    return elts;
}

static void fill_list(list_t *list, const apr_table_t *table, apr_pool_t *p)
{
    const apr_array_header_t *array = apr_table_elts(table);
    const apr_table_entry_t *rows = elts_of(array);
    int i;

    list->entries = apr_palloc(p, sizeof(entry_t) * (apr_size_t)array->nelts);
    list->count = 0;
    list->index = apr_hash_make(p);
    for (i = 0; i < array->nelts; i++) {
        entry_t *entry = &list->entries[list->count];

        entry->name = span_of_text(rows[i].key);
        entry->value = span_of_text(rows[i].val);
        entry->key = ha_attr_key(apr_palloc(p, entry->name.len), entry->name);
        if (entry->name.len > 0
            && apr_hash_get(list->index, entry->key.data,
                            (apr_ssize_t)entry->key.len) == NULL) {
            apr_hash_set(list->index, entry->key.data,
                         (apr_ssize_t)entry->key.len, entry);
            list->count++;
        }
    }
}

static const entry_t *find_entry(const list_t *list, span_t key)
{
    return apr_hash_get(list->index, key.data, (apr_ssize_t)key.len);
}

static ha_diff_e judge(const list_t *list)
{
    apr_size_t bytes = 0;
    unsigned int i;

    if (list->count > HA_ATTRS_MAX) {
        return HA_DIFF_TOO_MANY;
    }
    for (i = 0; i < list->count; i++) {
        if (list->entries[i].name.len > HA_ATTR_NAME_MAX) {
            return HA_DIFF_LONG_NAME;
        }
        bytes += list->entries[i].name.len + list->entries[i].value.len;
    }
    return bytes > HA_SESSION_MAX ? HA_DIFF_TOO_LARGE : HA_DIFF_OK;
}

/* Write the operations to ops, and return their number. */
static unsigned int fill_ops(ha_op_t *ops, const list_t *before,
                             const list_t *after)
{
    unsigned int count = 0;
    unsigned int i;

    for (i = 0; i < after->count; i++) {
        const entry_t *now = &after->entries[i];
        const entry_t *was = find_entry(before, now->key);

        if (was == NULL || !span_is_equal(was->value, now->value)) {
            ops[count].name = now->name;
            ops[count].value = now->value;
            ops[count].gone = 0;
            count++;
        }
    }
    for (i = 0; i < before->count; i++) {
        const entry_t *was = &before->entries[i];

        if (find_entry(after, was->key) == NULL) {
            ops[count].name = was->name;
            ops[count].value = span_of(NULL, 0);
            ops[count].gone = 1;
            count++;
        }
    }
    return count;
}

const char *ha_diff_name(ha_diff_e result)
{
    switch (result) {
    case HA_DIFF_OK:
        return "ok";
    case HA_DIFF_TOO_MANY:
        return "more than 1024 attributes";
    case HA_DIFF_LONG_NAME:
        return "an attribute's name is longer than 1024 bytes";
    case HA_DIFF_TOO_LARGE:
        return "names and values are more than 131072 bytes";
    default:
        return "no such result";
    }
}

ha_diff_e ha_diff_tables(ha_op_t **ops, unsigned int *count,
                         const apr_table_t *before, const apr_table_t *after,
                         apr_pool_t *p)
{
    list_t was;
    list_t now;
    ha_diff_e result;

    *ops = NULL;
    *count = 0;
    fill_list(&now, after, p);
    result = judge(&now);
    if (result != HA_DIFF_OK) {
        return result;
    }
    fill_list(&was, before, p);
    if (was.count + now.count > 0) {
        *ops = apr_palloc(p, sizeof(**ops) * (was.count + now.count));
        *count = fill_ops(*ops, &was, &now);
    }
    if (*count == 0) {
        *ops = NULL;
    }
    return HA_DIFF_OK;
}

apr_size_t ha_diff_size(const apr_table_t *table)
{
    const apr_array_header_t *array = apr_table_elts(table);
    const apr_table_entry_t *rows = elts_of(array);
    apr_size_t bytes = 0;
    int i;

    for (i = 0; i < array->nelts; i++) {
        bytes += strlen(rows[i].key) + strlen(rows[i].val);
    }
    return bytes;
}

unsigned int ha_diff_size_class(apr_size_t bytes)
{
    unsigned int size = 0;
    apr_size_t most = HA_SESSION_LARGE;

    while (bytes > most && size < 31) {
        most *= 2;
        size++;
    }
    return size;
}

int ha_diff_is_empty(const apr_table_t *table)
{
    const apr_array_header_t *array = apr_table_elts(table);
    const apr_table_entry_t *rows = elts_of(array);
    int i;

    for (i = 0; i < array->nelts; i++) {
        if (rows[i].key[0] != '\0') {
            return 0;
        }
    }
    return 1;
}
