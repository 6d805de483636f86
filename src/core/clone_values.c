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

/* Where the next one of a character is; the end when there is none. */
static const char *find_char(const char *from, const char *end, char c)
{
    const char *found = from < end
                            ? memchr(from, c, (apr_size_t)(end - from)) : NULL;

    return found != NULL ? found : end;
}

void clone_values_init(clone_values_t *values)
{
    memset(values, 0, sizeof(*values));
}

void clone_values_add_cookies(clone_values_t *values, span_t header,
                              span_t name)
{
    const char *at = header.data;
    const char *end = header.len > 0 ? at + header.len : at;
    const char *semicolon = find_char(at, end, ';');
    const char *comma = find_char(at, end, ',');

    /* Quotes protect neither (RFC 6265, 5.4). Each is looked for anew only
     * when it has been passed, so that a header is gone through once. */
    while (at < end && name.len > 0) {
        const char *stop = semicolon < comma ? semicolon : comma;

        add_pair(values, span_of(at, (apr_size_t)(stop - at)), name);
        at = stop < end ? stop + 1 : end;
        semicolon = semicolon < at ? find_char(at, end, ';') : semicolon;
        comma = comma < at ? find_char(at, end, ',') : comma;
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
    /* Parameters stand behind these; nearly all URLs have neither. */
    if (url.len > 0 && (memchr(url.data, ';', url.len) != NULL
                        || memchr(url.data, '?', url.len) != NULL)) {
        add_parameters(values, url, name, 0);
    }
}

void clone_values_add_query(clone_values_t *values, span_t query, span_t name)
{
    add_parameters(values, query, name, 1);
}
