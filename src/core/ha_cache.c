/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_cache.h"

#include <string.h>

#include <apr_lib.h>

#define WORD "private"

/* @return the end of the member that begins here: a comma outside of a quoted
 * string, or the end of all */
static const char *end_of(const char *at)
{
    int is_quoted = 0;

    for (; *at != '\0' && (is_quoted || *at != ','); at++) {
        if (*at == '"') {
            is_quoted = !is_quoted;
        }
        else if (*at == '\\' && is_quoted && at[1] != '\0') {
            at++;
        }
    }
    return at;
}

static int is_word(const char *begin, const char *end)
{
    while (begin < end && apr_isspace(*begin)) {
        begin++;
    }
    while (begin < end && apr_isspace(end[-1])) {
        end--;
    }
    return (size_t)(end - begin) == sizeof(WORD) - 1
        && strncasecmp(begin, WORD, sizeof(WORD) - 1) == 0;
}

int ha_cache_is_private(const char *control)
{
    while (control != NULL && *control != '\0') {
        const char *end = end_of(control);

        if (is_word(control, end)) {
            return 1;
        }
        control = *end == ',' ? end + 1 : end;
    }
    return 0;
}
