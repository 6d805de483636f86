/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_text.h"

#include <apr_lib.h>

static unsigned int byte_at(span_t text, apr_size_t i)
{
    return i < text.len ? (unsigned char)text.data[i] : 0;
}

static int is_tail(unsigned int byte)
{
    return (byte & 0xc0) == 0x80;
}

apr_size_t clone_text_sequence(span_t text)
{
    unsigned int a = byte_at(text, 0);
    unsigned int b = byte_at(text, 1);

    if (text.len == 0) {
        return 0;
    }
    if (a < 0x80) {
        return 1;
    }
    if (a < 0xc2 || a > 0xf4 || !is_tail(b)) {
        return 0;
    }
    if (a < 0xe0) {
        return 2;
    }
    if (!is_tail(byte_at(text, 2))) {
        return 0;
    }
    if (a < 0xf0) {
        /* Overlong, or a surrogate. */
        return (a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) ? 0 : 3;
    }
    /* Overlong, or beyond the last character. */
    return !is_tail(byte_at(text, 3)) || (a == 0xf0 && b < 0x90)
           || (a == 0xf4 && b > 0x8f) ? 0 : 4;
}

apr_size_t clone_text_utf8(span_t text)
{
    span_t rest = text;

    while (rest.len > 0) {
        apr_size_t step = clone_text_sequence(rest);

        if (step == 0) {
            break;
        }
        rest.data += step;
        rest.len -= step;
    }
    return text.len - rest.len;
}

span_t clone_text_of_latin1(span_t text, apr_pool_t *p)
{
    char *copy = apr_palloc(p, text.len * 2 + 1);
    apr_size_t len = 0;
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        unsigned int byte = (unsigned char)text.data[i];

        if (byte >= 0x80) {
            copy[len++] = (char)(0xc0 | (byte >> 6));
            byte = 0x80 | (byte & 0x3f);
        }
        copy[len++] = (char)byte;
    }
    return span_of(copy, len);
}

/* C0, DEL and C1: what a terminal obeys. */
static int is_control(span_t text)
{
    unsigned int a = byte_at(text, 0);

    return a < 0x20 || a == 0x7f || (a == 0xc2 && byte_at(text, 1) < 0xa0);
}

const char *clone_text_printable(span_t text, apr_size_t max, apr_pool_t *p)
{
    char *copy = apr_palloc(p, max + sizeof("..."));
    apr_size_t len = 0;

    while (text.len > 0) {
        apr_size_t step = clone_text_sequence(text);
        apr_size_t room = step > 0 ? step : 1;

        if (len + room > max) {
            memcpy(copy + len, "...", 3);
            len += 3;
            break;
        }
        if (step == 0 || is_control(text)) {
            copy[len++] = '?';
        }
        else {
            memcpy(copy + len, text.data, step);
            len += step;
        }
        text.data += room;
        text.len -= room;
    }
    copy[len] = '\0';
    return copy;
}

int clone_text_is_alike(span_t a, span_t b)
{
    apr_size_t i;

    if (a.len != b.len) {
        return 0;
    }
    for (i = 0; i < a.len; i++) {
        if (apr_tolower(a.data[i]) != apr_tolower(b.data[i])) {
            return 0;
        }
    }
    return 1;
}

void clone_text_lower(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z') {
            *text = (char)(*text - 'A' + 'a');
        }
    }
}
