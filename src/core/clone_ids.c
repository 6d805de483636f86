/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   0001A2MB4IJozU_VM8IffsMNfdR:v544d031:v544d0o0        websphere
 *   '--'|---------------------' '------' '------'
 *   version   session           first    next choice
 *
 * The version counts up while the session lives, so it is never part of the
 * session. Whatever the profile, a clone id is a whole token: who compares a
 * prefix sends v544d0's users to v544d031.
 */
#include "clone_ids.h"

#include <apr_encode.h>
#include <apr_lib.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that text's first characters stand for, %41 for A; -1: none. */
static int percent_value(span_t text)
{
    int high;
    int low;

    if (text.len < 3 || text.data[0] != '%') {
        return -1;
    }
    high = hex_value(text.data[1]);
    low = hex_value(text.data[2]);
    return high >= 0 && low >= 0 ? high * 16 + low : -1;
}

static int divides(int c, const clone_format_t *format)
{
    return c > 0 && strchr(format->separators, c) != NULL;
}

/* Bytes the separator takes at the start of rest: 1, 3 encoded, 0 none. */
static apr_size_t separator_len(span_t rest, const clone_format_t *format)
{
    if (rest.len > 0 && divides((unsigned char)rest.data[0], format)) {
        return 1;
    }
    return divides(percent_value(rest), format) ? 3 : 0;
}

/*
 * Divide rest at its first separator: what stands before goes to token, what
 * follows stays in rest. Without one, all of it is the token.
 */
static int cut_first(span_t *token, span_t *rest,
                     const clone_format_t *format)
{
    apr_size_t at;

    for (at = 0; at < rest->len; at++) {
        apr_size_t taken;

        if (apr_isalnum(rest->data[at])) {
            continue; /* most are, and none of them divides or begins %3A */
        }
        taken = separator_len(span_of(rest->data + at, rest->len - at),
                              format);
        if (taken > 0) {
            *token = span_of(rest->data, at);
            *rest = span_of(rest->data + at + taken, rest->len - at - taken);
            return 1;
        }
    }
    *token = *rest;
    *rest = span_of(rest->data + rest->len, 0);
    return 0;
}

/* The same at the last separator. */
static int cut_last(span_t *token, span_t *rest,
                    const clone_format_t *format)
{
    apr_size_t at;

    for (at = rest->len; at > 0; at--) {
        apr_size_t taken = separator_len(
            span_of(rest->data + at - 1, rest->len - at + 1), format);

        if (taken > 0) {
            *token = span_of(rest->data, at - 1);
            *rest = span_of(rest->data + at - 1 + taken,
                            rest->len - at + 1 - taken);
            return 1;
        }
    }
    *token = *rest;
    *rest = span_of(rest->data + rest->len, 0);
    return 0;
}

static int is_time(span_t token, apr_size_t digits)
{
    apr_size_t i;

    if (digits == 0 || token.len < digits) {
        return 0;
    }
    for (i = 0; i < token.len; i++) {
        if (token.data[i] < '0' || token.data[i] > '9') {
            return 0;
        }
    }
    return 1;
}

static void add_clone(clone_ids_t *ids, span_t token,
                      const clone_format_t *format)
{
    if (token.len > 0 && ids->count < CLONE_IDS_MAX
        && !is_time(token, format->time_digits)) {
        ids->clone[ids->count++] = token;
    }
}

static void add_tail(clone_ids_t *ids, span_t tail,
                     const clone_format_t *format)
{
    span_t token;

    if (!format->is_list) {
        add_clone(ids, tail, format);
        return;
    }
    while (tail.len > 0) {
        (void)cut_first(&token, &tail, format);
        add_clone(ids, token, format);
    }
}

span_t clone_ids_unescaped(span_t text, char *room)
{
    apr_size_t len = 0;

    while (text.len > 0) {
        int c = percent_value(text);
        apr_size_t taken = c < 0 ? 1 : 3;

        room[len++] = c < 0 ? text.data[0] : (char)c;
        text = span_of(text.data + taken, text.len - taken);
    }
    return span_of(room, len);
}

int clone_ids_has_control(span_t text)
{
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c < ' ' || c == 0x7f) {
            return 1;
        }
    }
    return 0;
}

/* Take the wrapping off a value. */
static int unwrap(span_t *value, clone_decoding_e decoding, apr_pool_t *p)
{
    apr_size_t len;
    char *room;

    if (decoding == CLONE_DECODING_NONE) {
        return 1;
    }
    room = apr_palloc(p, value->len + 1);
    *value = clone_ids_unescaped(*value, room);
    if (decoding == CLONE_DECODING_BASE64) {
        room = apr_palloc(p, value->len + 1);
        if (apr_decode_base64_binary((unsigned char *)room, value->data,
                                     (apr_ssize_t)value->len,
                                     APR_ENCODE_NONE, &len) != APR_SUCCESS) {
            return 0;
        }
        *value = span_of(room, len);
    }
    return !clone_ids_has_control(*value);
}

clone_parse_e clone_ids_parse(clone_ids_t *ids, span_t value,
                              const clone_format_t *format, apr_pool_t *p)
{
    span_t head;

    memset(ids, 0, sizeof(*ids));
    if (value.len > CLONE_VALUE_MAX) {
        return CLONE_PARSE_TOO_LONG;
    }
    value = span_unquoted(value);
    if (!unwrap(&value, format->decoding, p)) {
        return CLONE_PARSE_ENCODING;
    }
    if (format->is_last) {
        (void)cut_last(&head, &value, format);
    }
    else if (cut_first(&head, &value, format) && head.len < format->skip) {
        return CLONE_PARSE_EARLY;
    }
    if (head.len < format->skip) {
        return CLONE_PARSE_TOO_SHORT;
    }
    if (head.len == format->skip) {
        return CLONE_PARSE_NO_SESSION;
    }
    ids->session = span_of(head.data + format->skip,
                           head.len - format->skip);
    add_tail(ids, value, format);
    return CLONE_PARSE_OK;
}

const char *clone_parse_name(clone_parse_e parse)
{
    switch (parse) {
    case CLONE_PARSE_OK:
        return "ok";
    case CLONE_PARSE_TOO_LONG:
        return "too long";
    case CLONE_PARSE_TOO_SHORT:
        return "too short";
    case CLONE_PARSE_EARLY:
        return "separator within the version";
    case CLONE_PARSE_NO_SESSION:
        return "no session id";
    case CLONE_PARSE_ENCODING:
        return "bad encoding";
    default:
        return "?";
    }
}
