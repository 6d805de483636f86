/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_BASE_H
#define HA_BASE_H

/**
 * @file ha_base.h
 * The few words that every file of the core shares.
 */

#include <string.h>

#include <apr.h>

/** The compiler complains where the caller drops the result. */
#define HA_CHECK_RESULT __attribute__((warn_unused_result))

/** A member of a settings record that no directive has set. */
#define HA_UNSET (-1)

/**
 * Bytes that somebody else owns. Not terminated; data may be NULL only when
 * len is 0. Whoever returns one says what it points into.
 */
typedef struct span_t {
    const char *data; /**< first byte */
    apr_size_t len;   /**< bytes */
} span_t;

/**
 * Borrow len bytes.
 *
 * @param data first byte, outlives the span
 * @param len bytes
 * @return the span
 */
static inline span_t span_of(const char *data, apr_size_t len)
{
    span_t span = { data, len };

    return span;
}

/**
 * Borrow a terminated string, without its terminator.
 *
 * @param text outlives the span
 * @return the span
 */
static inline span_t span_of_text(const char *text)
{
    return span_of(text, strlen(text));
}

/**
 * Compare byte by byte. Not for secrets: it stops at the first difference.
 *
 * @return 1 when both hold the same bytes
 */
static inline int span_is_equal(span_t a, span_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/**
 * Without spaces and tabs at both ends.
 *
 * @return part of text
 */
static inline span_t span_trimmed(span_t text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = span_of(text.data + 1, text.len - 1);
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' '
                            || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/**
 * Without one pair of double quotes around it.
 *
 * @return part of text
 */
static inline span_t span_unquoted(span_t text)
{
    if (text.len >= 2 && text.data[0] == '"'
        && text.data[text.len - 1] == '"') {
        return span_of(text.data + 1, text.len - 2);
    }
    return text;
}

#endif
