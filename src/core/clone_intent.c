/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_intent.h"

#include <apr_strings.h>

#define HEAD "proxy_balancer_clone 1\n"
#define FIELDS 5
#define LINE_BYTES (3 * 3 * CLONE_INTENT_NAME_MAX + 64)

static const char letters[] = "NSD"; /* in the order of clone_flag_e's bits */

/* ---- read ---------------------------------------------------------------- */

/* The bytes up to a separator, or all; rest begins behind it. */
static span_t cut(span_t *rest, char sep)
{
    const char *found = rest->len > 0 ? memchr(rest->data, sep, rest->len)
                                      : NULL;
    span_t part = *rest;

    if (found != NULL) {
        part.len = (apr_size_t)(found - rest->data);
        rest->data = found + 1;
        rest->len -= part.len + 1;
    }
    else {
        rest->data += rest->len;
        rest->len = 0;
    }
    return part;
}

static int hex_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

/* A name; NULL when it is none. */
static const char *read_name(span_t word, apr_pool_t *p)
{
    char *name = apr_palloc(p, word.len + 1);
    apr_size_t len = 0;
    apr_size_t i;

    for (i = 0; i < word.len; i++) {
        char c = word.data[i];

        if (c == '%') {
            int has_two = word.len - i > 2;
            int high = has_two ? hex_of(word.data[i + 1]) : -1;
            int low = has_two ? hex_of(word.data[i + 2]) : -1;

            if (high < 0 || low < 0 || high + low == 0) {
                return NULL;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        name[len++] = c;
    }
    name[len] = '\0';
    return len > 0 && len <= CLONE_INTENT_NAME_MAX ? name : NULL;
}

/* "+N-S": pairs of a sign and a letter, each letter once. */
static int read_flags(clone_intent_t *intent, span_t word)
{
    apr_size_t i;

    intent->mask = 0;
    intent->value = 0;
    for (i = 0; i + 1 < word.len; i += 2) {
        const char *letter = word.data[i + 1] != '\0'
                                 ? strchr(letters, word.data[i + 1]) : NULL;
        unsigned int bit;

        if ((word.data[i] != '+' && word.data[i] != '-') || letter == NULL) {
            return 0;
        }
        bit = 1u << (letter - letters);
        if (intent->mask & bit) {
            return 0;
        }
        intent->mask |= bit;
        intent->value |= word.data[i] == '+' ? bit : 0;
    }
    return i == word.len && intent->mask != 0;
}

static int read_time(apr_time_t *time, span_t word)
{
    apr_size_t i;

    *time = 0;
    for (i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9') {
            return 0;
        }
        *time = *time * 10 + (word.data[i] - '0');
    }
    return word.len > 0 && word.len <= 17;
}

static int read_line(clone_intent_t *intent, span_t line, apr_pool_t *p)
{
    span_t field[FIELDS];
    int i;

    for (i = 0; i < FIELDS; i++) {
        field[i] = cut(&line, ' ');
    }
    intent->balancer = read_name(field[0], p);
    intent->member = read_name(field[1], p);
    intent->by = read_name(field[4], p);
    return line.len == 0 && intent->balancer != NULL && intent->member != NULL
           && intent->by != NULL && read_flags(intent, field[2])
           && read_time(&intent->since, field[3]);
}

clone_intent_e clone_intent_parse(apr_array_header_t **intents,
                                  unsigned int *bad_line, span_t text,
                                  apr_pool_t *p)
{
    unsigned int number = 1;

    *intents = apr_array_make(p, 4, sizeof(clone_intent_t));
    *bad_line = 0;
    if (text.len < sizeof(HEAD) - 1 || text.len > CLONE_INTENT_TEXT_MAX
        || memcmp(text.data, HEAD, sizeof(HEAD) - 1) != 0) {
        *bad_line = 1;
        return CLONE_INTENT_ALIEN;
    }
    (void)cut(&text, '\n');
    while (text.len > 0) {
        int is_whole = memchr(text.data, '\n', text.len) != NULL;
        span_t line = cut(&text, '\n');
        clone_intent_t intent;

        number++;
        if (is_whole && line.len <= LINE_BYTES
            && (*intents)->nelts < CLONE_INTENTS_MAX
            && read_line(&intent, line, p)
            && clone_intent_find(*intents, intent.balancer,
                                 intent.member) == NULL) {
            APR_ARRAY_PUSH(*intents, clone_intent_t) = intent;
        }
        else if (*bad_line == 0) {
            *bad_line = number;
        }
    }
    return *bad_line == 0 ? CLONE_INTENT_OK : CLONE_INTENT_BAD_LINE;
}

/* ---- write --------------------------------------------------------------- */

static int is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || (c != '\0' && strchr("-._~:/@", c));
}

static const char *write_name(const char *name, apr_pool_t *p)
{
    static const char digits[] = "0123456789abcdef";
    char *word = apr_palloc(p, 3 * strlen(name) + 1);
    char *out = word;

    for (; *name != '\0'; name++) {
        unsigned char c = (unsigned char)*name;

        if (is_plain(*name)) {
            *out++ = *name;
        }
        else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    *out = '\0';
    return word;
}

static const char *write_line(const clone_intent_t *intent, apr_pool_t *p)
{
    char flags[2 * sizeof(letters)];
    char *out = flags;
    unsigned int i;

    for (i = 0; letters[i] != '\0'; i++) {
        if (intent->mask & 1u << i) {
            *out++ = intent->value & 1u << i ? '+' : '-';
            *out++ = letters[i];
        }
    }
    *out = '\0';
    return apr_psprintf(p, "%s %s %s %" APR_TIME_T_FMT " %s\n",
                        write_name(intent->balancer, p),
                        write_name(intent->member, p), flags, intent->since,
                        write_name(intent->by, p));
}

const char *clone_intent_print(const apr_array_header_t *intents,
                               apr_pool_t *p)
{
    char *text = apr_palloc(p, CLONE_INTENT_TEXT_MAX + 1);
    apr_size_t len = sizeof(HEAD) - 1;
    int i;

    memcpy(text, HEAD, len);
    for (i = 0; i < intents->nelts && i < CLONE_INTENTS_MAX; i++) {
        const char *line = write_line(
            &APR_ARRAY_IDX(intents, i, clone_intent_t), p);
        apr_size_t more = strlen(line);

        if (len + more > CLONE_INTENT_TEXT_MAX) {
            break;
        }
        memcpy(text + len, line, more);
        len += more;
    }
    text[len] = '\0';
    return text;
}

clone_intent_t *clone_intent_find(const apr_array_header_t *intents,
                                  const char *balancer, const char *member)
{
    int i;

    for (i = 0; i < intents->nelts; i++) {
        clone_intent_t *intent = &APR_ARRAY_IDX(intents, i, clone_intent_t);

        if (strcmp(intent->member, member) == 0
            && strcmp(intent->balancer, balancer) == 0) {
            return intent;
        }
    }
    return NULL;
}

const char *clone_intent_name(clone_intent_e intent)
{
    switch (intent) {
    case CLONE_INTENT_OK:
        return "fine";
    case CLONE_INTENT_ALIEN:
        return "not such a file, or of a later version";
    case CLONE_INTENT_BAD_LINE:
        return "a line that makes no sense";
    default:
        return "?";
    }
}
