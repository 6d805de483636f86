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

#include <apr_cstr.h>

/* Characters of WebSphere's version; its session id begins after them. */
#define VERSION_LEN 4

/* A WebLogic number this long is a time in milliseconds, not a server. */
#define TIME_DIGITS 13

typedef enum tail_e {
    TAIL_LIST,     /* every separator divides */
    TAIL_ONE,      /* the first separator divides, the rest is one id */
    TAIL_ONE_LAST  /* the last separator divides */
} tail_e;

typedef struct profile_t {
    const char *name;
    char sep;
    tail_e tail;
    apr_size_t version_len;
    apr_size_t time_digits; /* 0: numbers are ids like any other */
} profile_t;

static const profile_t profiles[CLONE_PROFILES] = {
    { "websphere",      ':', TAIL_LIST,     VERSION_LEN, 0 },
    { "websphere-plus", '+', TAIL_LIST,     VERSION_LEN, 0 },
    { "tomcat",         '.', TAIL_ONE,      0,           0 },
    { "jetty",          '.', TAIL_ONE_LAST, 0,           0 },
    { "wildfly",        '.', TAIL_ONE,      0,           0 },
    { "wildfly-ranked", '.', TAIL_LIST,     0,           0 },
    { "weblogic",       '!', TAIL_LIST,     0,           TIME_DIGITS }
};

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

/* Bytes the separator takes at the start of rest: 1, 3 encoded, 0 none. */
static apr_size_t separator_len(span_t rest, char sep)
{
    if (rest.len > 0 && rest.data[0] == sep) {
        return 1;
    }
    if (rest.len >= 3 && rest.data[0] == '%') {
        int high = hex_value(rest.data[1]);
        int low = hex_value(rest.data[2]);

        if (high >= 0 && low >= 0 && high * 16 + low == (unsigned char)sep) {
            return 3;
        }
    }
    return 0;
}

/*
 * Divide rest at its first separator: what stands before goes to token, what
 * follows stays in rest. Without one, all of it is the token.
 */
static int cut_first(span_t *token, span_t *rest, char sep)
{
    apr_size_t at;

    for (at = 0; at < rest->len; at++) {
        apr_size_t taken = separator_len(
            span_of(rest->data + at, rest->len - at), sep);

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
static int cut_last(span_t *token, span_t *rest, char sep)
{
    apr_size_t at;

    for (at = rest->len; at > 0; at--) {
        apr_size_t taken = separator_len(
            span_of(rest->data + at - 1, rest->len - at + 1), sep);

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

static void add_clone(clone_ids_t *ids, span_t token, const profile_t *rule)
{
    if (token.len > 0 && ids->count < CLONE_IDS_MAX
        && !is_time(token, rule->time_digits)) {
        ids->clone[ids->count++] = token;
    }
}

static void add_tail(clone_ids_t *ids, span_t tail, const profile_t *rule)
{
    span_t token;

    if (rule->tail != TAIL_LIST) {
        add_clone(ids, tail, rule);
        return;
    }
    while (tail.len > 0) {
        (void)cut_first(&token, &tail, rule->sep);
        add_clone(ids, token, rule);
    }
}

clone_parse_e clone_ids_parse(clone_ids_t *ids, span_t value,
                              clone_profile_e profile)
{
    const profile_t *rule = &profiles[profile];
    span_t head;

    memset(ids, 0, sizeof(*ids));
    if (value.len > CLONE_VALUE_MAX) {
        return CLONE_PARSE_TOO_LONG;
    }
    value = span_unquoted(value);
    if (rule->tail == TAIL_ONE_LAST) {
        (void)cut_last(&head, &value, rule->sep);
    }
    else if (cut_first(&head, &value, rule->sep)
             && head.len < rule->version_len) {
        return CLONE_PARSE_EARLY;
    }
    if (head.len < rule->version_len) {
        return CLONE_PARSE_TOO_SHORT;
    }
    if (head.len == rule->version_len) {
        return CLONE_PARSE_NO_SESSION;
    }
    ids->session = span_of(head.data + rule->version_len,
                           head.len - rule->version_len);
    add_tail(ids, value, rule);
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
    default:
        return "?";
    }
}

const char *clone_profile_name(clone_profile_e profile)
{
    unsigned int i = (unsigned int)profile;

    return i < CLONE_PROFILES ? profiles[i].name : "?";
}

int clone_profile_parse(clone_profile_e *profile, const char *word)
{
    unsigned int i;

    for (i = 0; i < CLONE_PROFILES; i++) {
        if (apr_cstr_casecmp(word, profiles[i].name) == 0) {
            *profile = (clone_profile_e)i;
            return 1;
        }
    }
    *profile = CLONE_PROFILE_WEBSPHERE;
    return 0;
}
