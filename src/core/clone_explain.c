/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every list has a share of the room, and gives up whole items when that is
 * used up, so that what comes behind it always fits and what is cut is said.
 * Names come from the configuration, in which everything is possible: what is
 * no letter, digit, dot, hyphen or underscore is percent-encoded, in both
 * forms, and so can be no separator and needs no further escape.
 */
#include "clone_explain.h"

#include <apr_lib.h>
#include <apr_siphash.h>

/* Digits of the largest number. */
#define DIGITS_MAX 10

typedef struct writer_t {
    char *at;
    char *end;    /* the terminator fits there */
    int is_full;
} writer_t;

typedef void (*write_item_f)(writer_t *w, int is_json,
                             const clone_explain_t *explain, unsigned int i);

static void add_char(writer_t *w, char c)
{
    if (w->at < w->end) {
        *w->at++ = c;
    }
    else {
        w->is_full = 1;
    }
}

static void add_bytes(writer_t *w, const char *bytes, apr_size_t len)
{
    if ((apr_size_t)(w->end - w->at) < len) {
        w->is_full = 1;
        return;
    }
    memcpy(w->at, bytes, len);
    w->at += len;
}

static void add(writer_t *w, const char *text)
{
    add_bytes(w, text, strlen(text));
}

/* Every request gets these; apr_snprintf() would take most of the time. */
static void add_number(writer_t *w, unsigned int number)
{
    char digits[DIGITS_MAX];
    apr_size_t at = DIGITS_MAX;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    add_bytes(w, digits + at, DIGITS_MAX - at);
}

static void add_tag(writer_t *w, apr_uint32_t tag)
{
    static const char hex[] = "0123456789abcdef";
    char digits[8];
    int i;

    for (i = 7; i >= 0; i--) {
        digits[i] = hex[tag & 15];
        tag >>= 4;
    }
    add_bytes(w, digits, sizeof(digits));
}

static int is_plain(unsigned char c)
{
    return c < 0x80 && (apr_isalnum(c) || c == '.' || c == '-' || c == '_');
}

static void add_name(writer_t *w, span_t name)
{
    static const char hex[] = "0123456789ABCDEF";
    apr_size_t i = 0;

    while (i < name.len) {
        const char *bytes = name.data + i;
        unsigned char c = (unsigned char)bytes[0];
        apr_size_t len = 0;

        while (i + len < name.len && is_plain((unsigned char)bytes[len])) {
            len++;
        }
        add_bytes(w, bytes, len);
        if (len == 0) {
            add_char(w, '%');
            add_char(w, hex[c >> 4]);
            add_char(w, hex[c & 15]);
            len = 1;
        }
        i += len;
    }
}

static void add_member(writer_t *w, const clone_explain_member_t *member)
{
    if (member->name.len > 0) {
        add_name(w, member->name);
        return;
    }
    add_char(w, '#');
    add_number(w, member->index);
}

static void add_quoted(writer_t *w, const char *before, const char *text)
{
    add(w, before);
    add_char(w, '"');
    add(w, text);
    add_char(w, '"');
}

static void write_token(writer_t *w, int is_json,
                        const clone_explain_t *explain, unsigned int i)
{
    const clone_explain_token_t *token = &explain->tokens[i];

    add(w, is_json ? "\"" : "");
    if (token->name.len > 0) {
        add_name(w, token->name);
    }
    else {
        add_char(w, '?');
        add_tag(w, token->tag);
    }
    add(w, is_json ? "\"" : "");
}

static const struct {
    clone_state_e state;
    char letter;
    const char *word;
} states[] = {
    { CLONE_STATE_ERROR, 'e', "error" },
    { CLONE_STATE_TRIED, 't', "tried" },
    { CLONE_STATE_DRAINING, 'n', "draining" },
    { CLONE_STATE_DISABLED, 'd', "disabled" },
    { CLONE_STATE_STOPPED, 's', "stopped" },
    { CLONE_STATE_UNHEALTHY, 'f', "unhealthy" },
    { CLONE_STATE_STANDBY, 'h', "standby" },
    { CLONE_STATE_SPARE, 'r', "spare" },
    { CLONE_STATE_FULL, 'l', "full" }
};

#define STATES (sizeof(states) / sizeof(states[0]))

static void write_state(writer_t *w, int is_json, unsigned int state)
{
    const char *between = "";
    apr_size_t i;

    for (i = 0; i < STATES; i++) {
        if (!(state & (unsigned int)states[i].state)) {
            continue;
        }
        if (is_json) {
            add_quoted(w, between, states[i].word);
            between = ",";
        }
        else {
            add_char(w, states[i].letter);
        }
    }
}

static void write_member(writer_t *w, int is_json,
                         const clone_explain_t *explain, unsigned int i)
{
    const clone_explain_member_t *member = &explain->members[i];

    add(w, is_json ? "{\"name\":\"" : "");
    add_member(w, member);
    if (is_json) {
        add(w, "\",\"state\":[");
    }
    else if (member->state != 0) {
        add_char(w, '!');
    }
    write_state(w, is_json, member->state);
    add(w, is_json ? "]}" : "");
}

static void write_attempt(writer_t *w, int is_json,
                          const clone_explain_t *explain, unsigned int i)
{
    const clone_explain_attempt_t *attempt = &explain->attempts[i];
    const char *end = attempt->end != NULL ? attempt->end : "-";

    add(w, is_json ? "{\"member\":\"" : "");
    add_member(w, &attempt->member);
    if (is_json) {
        add(w, "\"");
        add_quoted(w, ",\"end\":", end);
        add(w, ",\"ms\":");
        add_number(w, attempt->msec);
        add(w, "}");
    }
    else {
        add_char(w, ':');
        add(w, end);
        add_char(w, ':');
        add_number(w, attempt->msec);
    }
}

/* How a list is called, and its share of the room in a text and in JSON. */
typedef struct list_t {
    const char *name;
    apr_size_t text_room;
    apr_size_t json_room;
    write_item_f write;
} list_t;

static const list_t token_list = { "list", 200, 700, write_token };
static const list_t member_list = { "members", 400, 1800, write_member };
static const list_t attempt_list = { "tried", 250, 1200, write_attempt };

/* Write items while there is room; returns how many were written. */
static unsigned int write_items(writer_t *w, const list_t *list, int is_json,
                                const clone_explain_t *explain,
                                unsigned int count)
{
    apr_size_t room = is_json ? list->json_room : list->text_room;
    char *whole_end = w->end;
    unsigned int i;

    if ((apr_size_t)(whole_end - w->at) > room) {
        w->end = w->at + room;
    }
    for (i = 0; i < count; i++) {
        char *before = w->at;

        add(w, i > 0 ? "," : "");
        list->write(w, is_json, explain, i);
        if (w->is_full) {
            w->at = before;
            w->is_full = 0;
            break;
        }
    }
    w->end = whole_end;
    return i;
}

/* The list with its name, and how many are left out. */
static void write_list(writer_t *w, const list_t *list, int is_json,
                       const clone_explain_t *explain, unsigned int count,
                       unsigned int more)
{
    unsigned int written;

    if (is_json) {
        add_quoted(w, ",", list->name);
        add(w, ":[");
    }
    else {
        add_char(w, ';');
        add(w, list->name);
        add_char(w, '=');
    }
    written = write_items(w, list, is_json, explain, count);
    more += count - written;
    if (is_json) {
        add(w, "],\"");
        add(w, list->name);
        add(w, "_more\":");
        add_number(w, more);
    }
    else if (more > 0) {
        add(w, written > 0 ? ",+" : "+");
        add_number(w, more);
    }
    else if (written == 0) {
        add_char(w, '-');
    }
}

/* All but the attempts. */
static void write_lists(writer_t *w, int is_json,
                        const clone_explain_t *explain)
{
    write_list(w, &token_list, is_json, explain, explain->token_count, 0);
    write_list(w, &member_list, is_json, explain, explain->member_count,
               explain->member_more);
    if (is_json) {
        add_quoted(w, ",\"why\":", explain->reason);
    }
    else {
        add(w, ";why=");
        add(w, explain->reason);
    }
}

static void write_attempts(writer_t *w, int is_json,
                           const clone_explain_t *explain)
{
    write_list(w, &attempt_list, is_json, explain, explain->attempt_count,
               explain->attempt_more);
}

static apr_size_t finish(writer_t *w, const char *out)
{
    *w->at = '\0';
    return (apr_size_t)(w->at - out);
}

apr_size_t clone_explain_head(char out[CLONE_EXPLAIN_TEXT_MAX],
                              const clone_explain_t *explain)
{
    writer_t w = { out, out + CLONE_EXPLAIN_TEXT_MAX - 1, 0 };

    add(&w, "session=");
    if (explain->has_session) {
        add_tag(&w, explain->session_tag);
        add(&w, explain->is_from_url ? "@url" : "@cookie");
    }
    else {
        add_char(&w, '-');
    }
    write_lists(&w, 0, explain);
    return (apr_size_t)(w.at - out);
}

apr_size_t clone_explain_tail(char out[CLONE_EXPLAIN_TEXT_MAX],
                              apr_size_t len, const clone_explain_t *explain)
{
    writer_t w = { out + len, out + CLONE_EXPLAIN_TEXT_MAX - 1, 0 };

    write_attempts(&w, 0, explain);
    return finish(&w, out);
}

apr_size_t clone_explain_text(char out[CLONE_EXPLAIN_TEXT_MAX],
                              const clone_explain_t *explain)
{
    return clone_explain_tail(out, clone_explain_head(out, explain), explain);
}

apr_size_t clone_explain_json(char out[CLONE_EXPLAIN_JSON_MAX],
                              const clone_explain_t *explain)
{
    writer_t w = { out, out + CLONE_EXPLAIN_JSON_MAX - 1, 0 };

    if (explain->has_session) {
        add(&w, "{\"session\":\"");
        add_tag(&w, explain->session_tag);
        add_quoted(&w, "\",\"from\":", explain->is_from_url ? "url" : "cookie");
    }
    else {
        add(&w, "{\"session\":null,\"from\":null");
    }
    write_lists(&w, 1, explain);
    write_attempts(&w, 1, explain);
    add_char(&w, '}');
    return finish(&w, out);
}

apr_uint32_t clone_explain_tag(span_t bytes,
                               const unsigned char key[CLONE_TAG_KEY])
{
    return (apr_uint32_t)apr_siphash24(bytes.data, bytes.len, key);
}
