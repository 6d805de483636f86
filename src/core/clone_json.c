/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_json.h"

#include <apr_strings.h>

/* What is read, and where strings go: they are never longer than escaped. */
typedef struct reader_t {
    const char *at;
    const char *end;
    char *out;
} reader_t;

static void skip_space(reader_t *in)
{
    while (in->at < in->end
           && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n'
               || *in->at == '\r')) {
        in->at++;
    }
}

/* Take one byte if it is next, behind white space. */
static int take(reader_t *in, char c)
{
    skip_space(in);
    if (in->at < in->end && *in->at == c) {
        in->at++;
        return 1;
    }
    return 0;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hex digits. */
static int take_unit(reader_t *in, unsigned int *unit)
{
    int i;

    *unit = 0;
    if (in->end - in->at < 4) {
        return 0;
    }
    for (i = 0; i < 4; i++) {
        int digit = hex_of(*in->at++);

        if (digit < 0) {
            return 0;
        }
        *unit = *unit << 4 | (unsigned int)digit;
    }
    return 1;
}

static void put_code(reader_t *in, unsigned int code)
{
    if (code < 0x80) {
        *in->out++ = (char)code;
    }
    else if (code < 0x800) {
        *in->out++ = (char)(0xc0 | code >> 6);
        *in->out++ = (char)(0x80 | (code & 0x3f));
    }
    else if (code < 0x10000) {
        *in->out++ = (char)(0xe0 | code >> 12);
        *in->out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *in->out++ = (char)(0x80 | (code & 0x3f));
    }
    else {
        *in->out++ = (char)(0xf0 | code >> 18);
        *in->out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *in->out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *in->out++ = (char)(0x80 | (code & 0x3f));
    }
}

/* \uXXXX, and the second half where the first one wants it. */
static int take_code(reader_t *in)
{
    unsigned int code;
    unsigned int low;

    if (!take_unit(in, &code) || code == 0
        || (code >= 0xdc00 && code <= 0xdfff)) {
        return 0;
    }
    if (code >= 0xd800 && code <= 0xdbff) {
        if (in->end - in->at < 2 || in->at[0] != '\\' || in->at[1] != 'u') {
            return 0;
        }
        in->at += 2;
        if (!take_unit(in, &low) || low < 0xdc00 || low > 0xdfff) {
            return 0;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    put_code(in, code);
    return 1;
}

static int take_escape(reader_t *in)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *found;

    if (in->at == in->end || *in->at == '\0') {
        return 0;
    }
    if (*in->at == 'u') {
        in->at++;
        return take_code(in);
    }
    found = strchr(from, *in->at);
    if (found == NULL) {
        return 0;
    }
    in->at++;
    *in->out++ = to[found - from];
    return 1;
}

/* Bytes of the UTF-8 character that begins here; 0 when none does. */
static int length_of(const char *at, const char *end)
{
    const unsigned char *c = (const void *)at;
    unsigned int least = 0x80;
    unsigned int code;
    int len;
    int i;

    if (*c < 0x80) {
        return 1;
    }
    if (*c < 0xc2 || *c > 0xf4) {
        return 0;
    }
    len = *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : 4;
    code = *c & (0x7fu >> len);
    if (end - at < len) {
        return 0;
    }
    for (i = 1; i < len; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (c[i] & 0x3fu);
    }
    least = len == 2 ? 0x80 : len == 3 ? 0x800 : 0x10000;
    return code < least || code > 0x10ffff
           || (code >= 0xd800 && code <= 0xdfff) ? 0 : len;
}

static clone_json_e take_string(reader_t *in, const char **text)
{
    *text = in->out;
    if (!take(in, '"')) {
        return CLONE_JSON_SYNTAX;
    }
    while (in->at < in->end && *in->at != '"') {
        int len = length_of(in->at, in->end);

        if (len == 0 || (unsigned char)*in->at < ' ') {
            return CLONE_JSON_STRING;
        }
        if (*in->at == '\\') {
            in->at++;
            if (!take_escape(in)) {
                return CLONE_JSON_STRING;
            }
        }
        else {
            memcpy(in->out, in->at, (apr_size_t)len);
            in->out += len;
            in->at += len;
        }
    }
    if (in->at == in->end) {
        return CLONE_JSON_SYNTAX;
    }
    in->at++;
    *in->out++ = '\0';
    return CLONE_JSON_OK;
}

static int take_digits(reader_t *in)
{
    const char *first = in->at;

    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') {
        in->at++;
    }
    return in->at > first;
}

static int take_any(reader_t *in, const char *set)
{
    if (in->at < in->end && *in->at != '\0' && strchr(set, *in->at) != NULL) {
        in->at++;
        return 1;
    }
    return 0;
}

static int take_number(reader_t *in)
{
    const char *first;

    (void)take_any(in, "-");
    first = in->at;
    if (!take_digits(in) || (*first == '0' && in->at - first > 1)) {
        return 0;
    }
    if (take_any(in, ".") && !take_digits(in)) {
        return 0;
    }
    if (take_any(in, "eE")) {
        (void)take_any(in, "+-");
        return take_digits(in);
    }
    return 1;
}

static int take_word(reader_t *in, const char *word)
{
    apr_size_t len = strlen(word);

    if ((apr_size_t)(in->end - in->at) < len
        || memcmp(in->at, word, len) != 0) {
        return 0;
    }
    in->at += len;
    return 1;
}

static clone_json_e take_value(reader_t *in, clone_json_pair_t *pair)
{
    const char *first;

    skip_space(in);
    first = in->at;
    pair->text = in->out;
    if (first == in->end) {
        return CLONE_JSON_SYNTAX;
    }
    if (*first == '{' || *first == '[') {
        return CLONE_JSON_NESTED;
    }
    if (*first == '"') {
        pair->type = CLONE_JSON_TEXT;
        return take_string(in, &pair->text);
    }
    if (take_word(in, "true")) {
        pair->type = CLONE_JSON_TRUE;
    }
    else if (take_word(in, "false")) {
        pair->type = CLONE_JSON_FALSE;
    }
    else if (take_word(in, "null")) {
        pair->type = CLONE_JSON_NULL;
    }
    else if (take_number(in)) {
        pair->type = CLONE_JSON_NUMBER;
    }
    else {
        return CLONE_JSON_SYNTAX;
    }
    memcpy(in->out, first, (apr_size_t)(in->at - first));
    in->out += in->at - first;
    *in->out++ = '\0';
    return CLONE_JSON_OK;
}

static clone_json_e take_pair(reader_t *in, clone_json_t *json)
{
    clone_json_pair_t pair = { NULL, CLONE_JSON_NULL, NULL };
    clone_json_e fault = take_string(in, &pair.name);

    if (fault != CLONE_JSON_OK) {
        return fault;
    }
    if (!take(in, ':')) {
        return CLONE_JSON_SYNTAX;
    }
    fault = take_value(in, &pair);
    if (fault != CLONE_JSON_OK) {
        return fault;
    }
    if (clone_json_get(json, pair.name) != NULL) {
        return CLONE_JSON_TWICE;
    }
    if (json->count == CLONE_JSON_PAIRS_MAX) {
        return CLONE_JSON_TOO_MANY;
    }
    json->pair[json->count++] = pair;
    return CLONE_JSON_OK;
}

static clone_json_e take_object(reader_t *in, clone_json_t *json)
{
    clone_json_e fault;

    if (!take(in, '{')) {
        return CLONE_JSON_NO_OBJECT;
    }
    if (!take(in, '}')) {
        do {
            fault = take_pair(in, json);
            if (fault != CLONE_JSON_OK) {
                return fault;
            }
        } while (take(in, ','));
        if (!take(in, '}')) {
            return CLONE_JSON_SYNTAX;
        }
    }
    skip_space(in);
    return in->at == in->end ? CLONE_JSON_OK : CLONE_JSON_TRAILING;
}

clone_json_e clone_json_parse(clone_json_t *json, span_t text, apr_pool_t *p)
{
    reader_t in;
    clone_json_e fault;

    json->count = 0;
    if (text.len > CLONE_JSON_MAX) {
        return CLONE_JSON_TOO_LONG;
    }
    in.at = text.data;
    in.end = text.len > 0 ? text.data + text.len : text.data;
    /* A value of n bytes takes n and its end; it has a byte of its own that
     * is not copied, the quote, colon or comma before it. */
    in.out = apr_palloc(p, text.len + 1);
    fault = take_object(&in, json);
    if (fault != CLONE_JSON_OK) {
        json->count = 0;
    }
    return fault;
}

const clone_json_pair_t *clone_json_get(const clone_json_t *json,
                                        const char *name)
{
    unsigned int i;

    for (i = 0; i < json->count; i++) {
        if (strcmp(json->pair[i].name, name) == 0) {
            return &json->pair[i];
        }
    }
    return NULL;
}

const char *clone_json_name(clone_json_e json)
{
    static const char *const words[] = {
        "fine", "longer than 4096 bytes", "not an object", "not JSON",
        "nested, which nothing here needs",
        "a string that is no text in UTF-8", "one name twice",
        "more members than any command has", "something behind the object"
    };

    return (unsigned int)json < sizeof(words) / sizeof(words[0])
               ? words[json] : "?";
}

static int is_utf8(const char *text)
{
    const char *end = text + strlen(text);

    while (text < end) {
        int len = length_of(text, end);

        if (len == 0) {
            return 0;
        }
        text += len;
    }
    return 1;
}

const char *clone_json_quote(const char *text, apr_pool_t *p)
{
    static const char hex[] = "0123456789abcdef";
    int is_text = is_utf8(text);
    char *quoted = apr_palloc(p, strlen(text) * 6 + 3);
    char *out = quoted;

    *out++ = '"';
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            *out++ = '\\';
            *out++ = (char)c;
        }
        else if (c < ' ' || c == 0x7f || (c > 0x7f && !is_text)) {
            memcpy(out, "\\u00", 4);
            out[4] = hex[c >> 4];
            out[5] = hex[c & 15];
            out += 6;
        }
        else {
            *out++ = (char)c;
        }
    }
    *out++ = '"';
    *out = '\0';
    return quoted;
}
