/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_fields.h"

#include <apr_cstr.h>
#include <apr_lib.h>

static const char *const prefixes[] = { "$WS", "_WS_" };
static const char *const others[] = {
    "rmcorrelator", "ARM_CORRELATOR", "ZOS_TRAN_XID"
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static int begins_with(span_t text, const char *word)
{
    apr_size_t len;

    /* Nearly all names differ in their first letter, whatever its case. */
    if (text.len == 0 || ((text.data[0] ^ word[0]) & ~0x20) != 0) {
        return 0;
    }
    len = strlen(word);
    return text.len >= len && apr_cstr_casecmpn(text.data, word, len) == 0;
}

int clone_fields_is_private_reply(span_t name)
{
    apr_size_t i;

    for (i = 0; i < COUNT(prefixes); i++) {
        if (begins_with(name, prefixes[i])) {
            return 1;
        }
    }
    return 0;
}

int clone_fields_is_private(span_t name)
{
    apr_size_t i;

    for (i = 0; i < COUNT(others); i++) {
        if (begins_with(name, others[i]) && name.len == strlen(others[i])) {
            return 1;
        }
    }
    return clone_fields_is_private_reply(name);
}

int clone_fields_is_value(span_t value)
{
    apr_size_t i;

    for (i = 0; i < value.len; i++) {
        if (apr_iscntrl(value.data[i])) {
            return 0;
        }
    }
    return value.len > 0 && value.len <= CLONE_FIELD_MAX;
}

/* What divides names, for any tokenizer that may read the list after us. */
static int is_divider(char c)
{
    return c == ',' || c == ';' || c == '"' || apr_isspace(c);
}

int clone_fields_filter(char *out, span_t list)
{
    const char *start = out;
    int is_found = 0;
    apr_size_t at = 0;

    while (at < list.len) {
        span_t name = span_of(list.data + at, 0);

        while (at + name.len < list.len && !is_divider(name.data[name.len])) {
            name.len++;
        }
        at += name.len + 1;
        if (clone_fields_is_private(name)) {
            is_found = 1;
            continue;
        }
        if (name.len > 0 && out > start) {
            *out++ = ',';
            *out++ = ' ';
        }
        memcpy(out, name.data, name.len);
        out += name.len;
    }
    *out = '\0';
    return is_found;
}

static const char *find_text(span_t text, const char *word)
{
    apr_size_t len = strlen(word);
    apr_size_t at;

    for (at = 0; at + len <= text.len; at++) {
        if (memcmp(text.data + at, word, len) == 0) {
            return text.data + at;
        }
    }
    return NULL;
}

apr_size_t clone_fields_pem(char *out, span_t pem)
{
    static const char dashes[] = "-----";
    const char *end = pem.data + pem.len;
    const char *at = pem.data;
    apr_size_t len = 0;

    out[0] = '\0';
    while (at < end && apr_isspace(*at)) {
        at++;
    }
    if (!begins_with(span_of(at, (apr_size_t)(end - at)), "-----BEGIN ")) {
        return 0;
    }
    at += strlen("-----BEGIN ");
    at = find_text(span_of(at, (apr_size_t)(end - at)), dashes);
    if (at == NULL) {
        return 0;
    }
    at += strlen(dashes);
    end = find_text(span_of(at, (apr_size_t)(end - at)), dashes);
    for (; end != NULL && at < end; at++) {
        if (!apr_isspace(*at)) {
            out[len++] = *at;
        }
    }
    out[len] = '\0';
    return len;
}
