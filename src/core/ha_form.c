/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_form.h"

#include "ha_limits.h"

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The value of a hexadecimal digit, or -1. */
static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* Whether a byte may stand as it is. The separators that are looked for
 * before are not asked about; of a second "=" a value may consist. */
static int is_bare(char c)
{
    return c > ' ' && c < 0x7f && c != ',' && c != '"' && c != '\\';
}

/* Decode a name or a value; decoded points behind what is in use there. */
static ha_form_e decode(span_t *out, char **decoded, const char *from,
                        const char *to)
{
    char *at = *decoded;

    out->data = at;
    for (; from < to; from++) {
        if (*from == '%') {
            int high = to - from > 2 ? digit_of(from[1]) : -1;
            int low = to - from > 2 ? digit_of(from[2]) : -1;

            if (high < 0 || low < 0) {
                return HA_FORM_BAD_ESCAPE;
            }
            if (high + low == 0) {
                return HA_FORM_ZERO_BYTE;
            }
            *at++ = (char)(high * 16 + low);
            from += 2;
        }
        else if (!is_bare(*from)) {
            return HA_FORM_BARE_BYTE;
        }
        else {
            *at++ = *from == '+' ? ' ' : *from;
        }
    }
    out->len = (apr_size_t)(at - out->data);
    *at++ = '\0';
    *decoded = at;
    return HA_FORM_OK;
}

/* Read one element that is not empty. */
static ha_form_e read_element(ha_op_t *op, char **decoded, const char *from,
                              const char *to)
{
    const char *equals = memchr(from, '=', (apr_size_t)(to - from));
    ha_form_e result;

    op->gone = equals == NULL;
    op->value = span_of(NULL, 0);
    if (op->gone && *from++ != '-') {
        return HA_FORM_NO_VERB;
    }
    result = decode(&op->name, decoded, from, op->gone ? to : equals);
    if (result == HA_FORM_OK && !op->gone) {
        result = decode(&op->value, decoded, equals + 1, to);
    }
    if (result != HA_FORM_OK) {
        return result;
    }
    if (op->name.len == 0) {
        return HA_FORM_NO_NAME;
    }
    return op->name.len > HA_ATTR_NAME_MAX ? HA_FORM_LONG_NAME : HA_FORM_OK;
}

/* Elements at most, empty ones included. */
static apr_size_t count_elements(span_t text)
{
    apr_size_t found = 1;
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        found += text.data[i] == '&' || text.data[i] == ',';
    }
    return found;
}

/* The end of the element at from: an ampersand, the comma between two lines,
 * or the end. Any other comma is part of it, and will be refused. */
static const char *find_end(const char *from, const char *end)
{
    for (; from < end; from++) {
        if (*from == '&'
            || (*from == ',' && end - from > 1 && is_blank(from[1]))) {
            break;
        }
    }
    return from;
}

/* Read all elements; count is the number of those that were good. */
static ha_form_e read_all(ha_op_t *ops, unsigned int *count, char *decoded,
                          span_t text)
{
    const char *end = text.data + text.len;
    const char *from = text.data;
    ha_form_e result = HA_FORM_OK;

    while (from < end && result == HA_FORM_OK) {
        const char *next = find_end(from, end);
        const char *to = next;

        while (from < to && is_blank(*from)) {
            from++;
        }
        while (from < to && is_blank(to[-1])) {
            to--;
        }
        if (from < to && *count == HA_ATTRS_MAX) {
            return HA_FORM_TOO_MANY;
        }
        if (from < to) {
            result = read_element(&ops[*count], &decoded, from, to);
            *count += 1;
        }
        from = next < end ? next + 1 : end;
    }
    return result;
}

const char *ha_form_name(ha_form_e result)
{
    switch (result) {
    case HA_FORM_OK:
        return "ok";
    case HA_FORM_TOO_LONG:
        return "too many bytes";
    case HA_FORM_TOO_MANY:
        return "too many attributes";
    case HA_FORM_NO_NAME:
        return "an attribute without a name";
    case HA_FORM_NO_VERB:
        return "neither name=value nor -name";
    case HA_FORM_LONG_NAME:
        return "an attribute's name is too long";
    case HA_FORM_BAD_ESCAPE:
        return "a % without two hexadecimal digits";
    case HA_FORM_ZERO_BYTE:
        return "a zero byte";
    case HA_FORM_BARE_BYTE:
        return "a byte that is not encoded";
    default:
        return "no such result";
    }
}

ha_form_e ha_form_parse(ha_op_t **ops, unsigned int *count, span_t text,
                        apr_pool_t *p)
{
    apr_size_t most;
    ha_form_e result;

    *ops = NULL;
    *count = 0;
    if (text.len == 0) {
        return HA_FORM_OK;
    }
    if (text.len > HA_FORM_MAX) {
        return HA_FORM_TOO_LONG;
    }
    most = count_elements(text);
    if (most > HA_ATTRS_MAX) {
        most = HA_ATTRS_MAX;
    }
    *ops = apr_palloc(p, most * sizeof(**ops));
    /* An element decodes to less than its bytes, and two terminators. */
    result = read_all(*ops, count, apr_palloc(p, text.len + 2 * most), text);
    if (result != HA_FORM_OK) {
        *count = 0;
    }
    if (*count == 0) {
        *ops = NULL;
    }
    return result;
}
