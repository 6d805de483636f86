/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dates are read by the rule for browsers (RFC 6265, section 5.1.1), which
 * takes every form that servers have written, "Thu, 01-Dec-94 16:00:00 GMT"
 * of WebSphere included: a time, a day, a month and a year in any order.
 * apr_date knows fewer, and says 0 both to what it cannot read and to 1970,
 * by which most servers end a cookie.
 */
#include "clone_set_cookie.h"

#include <apr_cstr.h>

/* What has been found of a date, and the date. */
typedef struct date_t {
    apr_time_exp_t at;
    unsigned int has_time : 1;
    unsigned int has_day : 1;
    unsigned int has_month : 1;
    unsigned int has_year : 1;
} date_t;

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Take text's part up to a byte, and the byte, off its front. */
static span_t cut(span_t *text, char at)
{
    const char *end = text->len > 0 ? memchr(text->data, at, text->len) : NULL;
    span_t part = *text;

    if (end != NULL) {
        part.len = (apr_size_t)(end - text->data);
        *text = span_of(end + 1, text->len - part.len - 1);
    }
    else {
        *text = span_of(text->data + text->len, 0);
    }
    return part;
}

/* Take a number of min to max digits off text's front. */
static int take_number(int *n, span_t *text, apr_size_t min, apr_size_t max)
{
    apr_size_t len = 0;

    *n = 0;
    while (len < text->len && is_digit(text->data[len])) {
        if (len < max) {
            *n = *n * 10 + text->data[len] - '0';
        }
        len++;
    }
    if (len < min || len > max) {
        return 0;
    }
    *text = span_of(text->data + len, text->len - len);
    return 1;
}

static int read_time(date_t *date, span_t token)
{
    span_t hour = cut(&token, ':');
    span_t minute = cut(&token, ':');

    return take_number(&date->at.tm_hour, &hour, 1, 2)
           && take_number(&date->at.tm_min, &minute, 1, 2)
           && take_number(&date->at.tm_sec, &token, 1, 2)
           && date->at.tm_hour < 24 && date->at.tm_min < 60
           && date->at.tm_sec < 60;
}

static int read_month(date_t *date, span_t token)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    int i;

    for (i = 0; i < 12 && token.len >= 3; i++) {
        if (apr_cstr_casecmpn(token.data, names + i * 3, 3) == 0) {
            date->at.tm_mon = i;
            return 1;
        }
    }
    return 0;
}

static int read_year(date_t *date, span_t token)
{
    int year;

    if (!take_number(&year, &token, 2, 4)) {
        return 0;
    }
    if (year < 100) {
        year += year < 70 ? 2000 : 1900;
    }
    date->at.tm_year = year - 1900;
    return 1;
}

/* Each token is the first thing that it can be and that is not known yet. */
static void read_token(date_t *date, span_t token)
{
    if (!date->has_time && read_time(date, token)) {
        date->has_time = 1;
    }
    else if (!date->has_day && take_number(&date->at.tm_mday, &token, 1, 2)) {
        date->has_day = 1;
    }
    else if (!date->has_month && read_month(date, token)) {
        date->has_month = 1;
    }
    else if (!date->has_year && read_year(date, token)) {
        date->has_year = 1;
    }
}

static int is_of_token(char c)
{
    return is_digit(c) || c == ':' || (c >= 'a' && c <= 'z')
           || (c >= 'A' && c <= 'Z') || (unsigned char)c > 0x7f;
}

/* Whether a date can be read and has come. */
static int is_past(span_t text, apr_time_t now)
{
    date_t date;
    apr_time_t when;
    apr_size_t from = 0;
    apr_size_t to;

    memset(&date, 0, sizeof(date));
    while (from < text.len) {
        for (to = from; to < text.len && is_of_token(text.data[to]); to++) {
        }
        read_token(&date, span_of(text.data + from, to - from));
        from = to + 1;
    }
    if (!date.has_time || !date.has_day || !date.has_month || !date.has_year
        || date.at.tm_mday < 1 || date.at.tm_mday > 31) {
        return 0;
    }
    if (date.at.tm_year < 70) {
        return 1;
    }
    return apr_time_exp_get(&when, &date.at) == APR_SUCCESS && when <= now;
}

/* -1: it is no number, 0: the cookie is over, 1: it is not. */
static int read_max_age(span_t text)
{
    int is_zero = 1;
    apr_size_t i;

    if (text.len > 1 && text.data[0] == '-' && is_digit(text.data[1])) {
        return 0;
    }
    for (i = 0; i < text.len; i++) {
        if (!is_digit(text.data[i])) {
            return -1;
        }
        is_zero = is_zero && text.data[i] == '0';
    }
    return text.len == 0 ? -1 : !is_zero;
}

static int is_named(span_t name, const char *wanted)
{
    return name.len == strlen(wanted)
           && apr_cstr_casecmpn(name.data, wanted, name.len) == 0;
}

static int is_over(span_t attributes, apr_time_t now)
{
    int expires = 0;
    int max_age = -1;

    while (attributes.len > 0) {
        span_t value = cut(&attributes, ';');
        span_t name = span_trimmed(cut(&value, '='));

        value = span_trimmed(value);
        if (is_named(name, "max-age")) {
            int read = read_max_age(value);

            max_age = read < 0 ? max_age : read;
        }
        else if (is_named(name, "expires")) {
            expires = is_past(value, now);
        }
    }
    return max_age < 0 ? expires : max_age == 0;
}

int clone_set_cookie_read(clone_set_cookie_t *cookie, span_t line,
                          span_t name, apr_time_t now)
{
    span_t value = cut(&line, ';');
    span_t mine;

    memset(cookie, 0, sizeof(*cookie));
    if (name.len == 0 || value.len == 0
        || memchr(value.data, '=', value.len) == NULL) {
        return 0;
    }
    mine = span_trimmed(cut(&value, '='));
    if (!span_is_equal(mine, name)) {
        return 0;
    }
    cookie->value = span_unquoted(span_trimmed(value));
    cookie->is_ended = cookie->value.len == 0 || is_over(line, now);
    return 1;
}
