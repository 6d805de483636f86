/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_format.h"

#include <apr_cstr.h>
#include <apr_strings.h>

/* Characters of WebSphere's version; its session id begins after them. */
#define VERSION_LEN 4

/* A WebLogic number this long is a time in milliseconds, not a server. */
#define TIME_DIGITS 13

/* What stands in every cookie, or ends one, divides nothing. */
#define NO_SEPARATORS " \t\"%,;=\\"

typedef struct profile_t {
    const char *name;
    clone_format_t format;
} profile_t;

#define NONE CLONE_DECODING_NONE

/*                     separators wrapping skip time last list owner said */
static const profile_t profiles[CLONE_PROFILES] = {
    { "websphere",      { ":", NONE, VERSION_LEN, 0,           0, 1, 0, 1 } },
    { "websphere-plus", { "+", NONE, VERSION_LEN, 0,           0, 1, 0, 1 } },
    { "tomcat",         { ".", NONE, 0,           0,           0, 0, 0, 1 } },
    { "jetty",          { ".", NONE, 0,           0,           1, 0, 0, 1 } },
    { "wildfly",        { ".", NONE, 0,           0,           0, 0, 0, 1 } },
    { "wildfly-ranked", { ".", NONE, 0,           0,           0, 1, 0, 1 } },
    { "weblogic",       { "!", NONE, 0,           TIME_DIGITS, 0, 1, 1, 1 } },
    { "spring",         { ".", CLONE_DECODING_BASE64, 0, 0,    0, 0, 0, 1 } }
};

void clone_format_of(clone_format_t *format, clone_profile_e profile)
{
    unsigned int i = (unsigned int)profile;

    if (i < CLONE_PROFILES) {
        *format = profiles[i].format;
    }
    else {
        clone_format_init(format);
    }
}

void clone_format_init(clone_format_t *format)
{
    memset(format, 0, sizeof(*format));
    format->is_list = 1;
}

static int is_separator(char c)
{
    return c > ' ' && c < 0x7f && strchr(NO_SEPARATORS, c) == NULL
           && !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
                || (c >= 'A' && c <= 'Z'));
}

static clone_format_e set_separators(clone_format_t *format, const char *value)
{
    size_t len = strlen(value);
    size_t i;

    if (len == 0 || len > CLONE_SEPARATORS_MAX) {
        return CLONE_FORMAT_SEPARATOR;
    }
    for (i = 0; i < len; i++) {
        if (!is_separator(value[i])) {
            return CLONE_FORMAT_SEPARATOR;
        }
    }
    memcpy(format->separators, value, len + 1);
    return CLONE_FORMAT_OK;
}

static clone_format_e set_position(clone_format_t *format, const char *value)
{
    int is_last = apr_cstr_casecmp(value, "last") == 0;

    if (!is_last && apr_cstr_casecmp(value, "first") != 0) {
        return CLONE_FORMAT_POSITION;
    }
    format->is_last = is_last != 0;
    return CLONE_FORMAT_OK;
}

static clone_format_e set_list(clone_format_t *format, const char *value)
{
    int is_list = apr_cstr_casecmp(value, "yes") == 0;

    if (!is_list && apr_cstr_casecmp(value, "no") != 0) {
        return CLONE_FORMAT_LIST;
    }
    format->is_list = is_list != 0;
    format->is_list_said = 1;
    return CLONE_FORMAT_OK;
}

static clone_format_e set_decoding(clone_format_t *format, const char *value)
{
    static const char *const words[] = { "none", "percent", "base64" };
    int i;

    for (i = 0; i < 3; i++) {
        if (apr_cstr_casecmp(value, words[i]) == 0) {
            format->decoding = (clone_decoding_e)i;
            return CLONE_FORMAT_OK;
        }
    }
    return CLONE_FORMAT_DECODE;
}

static clone_format_e set_skip(clone_format_t *format, const char *value)
{
    char *end;
    apr_int64_t n = apr_strtoi64(value, &end, 10);

    if (*value < '0' || *value > '9' || *end != '\0'
        || n > CLONE_SKIP_MAX) {
        return CLONE_FORMAT_SKIP;
    }
    format->skip = (apr_size_t)n;
    return CLONE_FORMAT_OK;
}

clone_format_e clone_format_set(clone_format_t *format, const char *field)
{
    static const struct {
        const char *key;
        clone_format_e (*set)(clone_format_t *format, const char *value);
    } fields[] = {
        { "separator", set_separators },
        { "position", set_position },
        { "list", set_list },
        { "decode", set_decoding },
        { "skip", set_skip }
    };
    const char *equals = strchr(field, '=');
    size_t len = equals != NULL ? (size_t)(equals - field) : 0;
    size_t i;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (len > 0 && strlen(fields[i].key) == len
            && apr_cstr_casecmpn(field, fields[i].key, len) == 0) {
            return fields[i].set(format, equals + 1);
        }
    }
    return CLONE_FORMAT_KEY;
}

clone_format_e clone_format_finish(clone_format_t *format)
{
    if (format->separators[0] == '\0') {
        return CLONE_FORMAT_NOTHING;
    }
    if (!format->is_list_said) {
        format->is_list = !format->is_last;
    }
    return format->is_last && format->is_list ? CLONE_FORMAT_LAST_LIST
                                              : CLONE_FORMAT_OK;
}

const char *clone_format_name(clone_format_e fault)
{
    switch (fault) {
    case CLONE_FORMAT_OK:
        return "ok";
    case CLONE_FORMAT_KEY:
        return "takes separator=, position=, list=, decode= and skip=";
    case CLONE_FORMAT_SEPARATOR:
        return "separator= takes one to eight of the characters "
               "!#$&'()*+-./:<>?@[]^_`{|}~";
    case CLONE_FORMAT_POSITION:
        return "position= takes first or last";
    case CLONE_FORMAT_LIST:
        return "list= takes yes or no";
    case CLONE_FORMAT_DECODE:
        return "decode= takes none, percent or base64";
    case CLONE_FORMAT_SKIP:
        return "skip= takes a number from 0 to 64";
    case CLONE_FORMAT_NOTHING:
        return "needs separator=";
    case CLONE_FORMAT_LAST_LIST:
        return "list=yes needs position=first: nothing divides what stands "
               "behind the last separator";
    default:
        return "?";
    }
}

const char *clone_profile_name(clone_profile_e profile)
{
    unsigned int i = (unsigned int)profile;

    if (profile == CLONE_PROFILE_FREE) {
        return "free";
    }
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
