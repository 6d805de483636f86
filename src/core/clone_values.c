/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_values.h"

static void add_value(clone_values_t *values, span_t value)
{
    if (value.len > 0 && values->count < CLONE_VALUES_MAX) {
        values->value[values->count++] = value;
    }
}

/* Add what stands behind '=' in part when its name is the one wanted. */
static void add_pair(clone_values_t *values, span_t part, span_t name)
{
    const char *equals = memchr(part.data, '=', part.len);
    apr_size_t at;

    if (equals == NULL) {
        return;
    }
    at = (apr_size_t)(equals - part.data);
    if (span_is_equal(span_trimmed(span_of(part.data, at)), name)) {
        add_value(values, span_trimmed(span_of(equals + 1, part.len - at - 1)));
    }
}

/* Bytes up to the next ';' or ','. Quotes protect neither (RFC 6265, 5.4). */
static apr_size_t cookie_len(span_t rest)
{
    apr_size_t at = 0;

    while (at < rest.len && rest.data[at] != ';' && rest.data[at] != ',') {
        at++;
    }
    return at;
}

void clone_values_init(clone_values_t *values)
{
    memset(values, 0, sizeof(*values));
}

void clone_values_add_cookies(clone_values_t *values, span_t header,
                              span_t name)
{
    while (header.len > 0 && name.len > 0) {
        apr_size_t len = cookie_len(header);

        add_pair(values, span_of(header.data, len), name);
        len += len < header.len;
        header = span_of(header.data + len, header.len - len);
    }
    values->cookies = values->count;
}

/* Cut text at whatever ends a parameter; parameters begin behind ; ? and &. */
static void add_parameters(clone_values_t *values, span_t text, span_t name,
                           int is_query)
{
    apr_size_t from = 0;
    apr_size_t at;
    int is_parameter = is_query;

    for (at = 0; at <= text.len && name.len > 0; at++) {
        char c = at < text.len ? text.data[at] : '#';
        int is_end = c == '#' || c == ';'
                     || (is_query ? c == '&' : c == '?' || c == '/');

        if (!is_end) {
            continue;
        }
        if (is_parameter) {
            add_pair(values, span_of(text.data + from, at - from), name);
        }
        if (c == '#') {
            return;
        }
        is_query = is_query || c == '?';
        is_parameter = c != '/';
        from = at + 1;
    }
}

void clone_values_add_url(clone_values_t *values, span_t url, span_t name)
{
    add_parameters(values, url, name, 0);
}

void clone_values_add_query(clone_values_t *values, span_t query, span_t name)
{
    add_parameters(values, query, name, 1);
}
