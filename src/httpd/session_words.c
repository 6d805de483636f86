/* SPDX-License-Identifier: Apache-2.0 */
#include "session_words.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include "ha_limits.h"

int session_word_is_token(const char *word)
{
    return *word != '\0'
        && strspn(word, "!#$%&'*+-.^_`|~0123456789"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "abcdefghijklmnopqrstuvwxyz") == strlen(word);
}

int session_word_is_protocol(const char *word)
{
    static const char *const names[] = {
        "Authorization", "Cache-Control", "Connection", "Content-Encoding",
        "Content-Length", "Content-Type", "Cookie", "Date", "Expect", "Host",
        "Keep-Alive", "Location", "Set-Cookie", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade", "WWW-Authenticate"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(word, names[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

int session_word_is_path(const char *word)
{
    const char *at;

    if (*word != '/') {
        return 0;
    }
    for (at = word; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~' || *at == ';' || *at == ','
            || *at == '"' || *at == '\\') {
            return 0;
        }
    }
    return 1;
}

int session_word_is_domain(const char *word)
{
    const char *at = word;
    int was_dot;

    if (*at == '.') {
        at++;
    }
    for (was_dot = 1; *at != '\0'; at++) {
        if (*at == '.' ? was_dot : !apr_isalnum(*at) && *at != '-') {
            return 0;
        }
        was_dot = *at == '.';
    }
    return !was_dot && at - word <= 253;
}

int session_word_is_name(const char *word)
{
    return *word != '\0' && strlen(word) <= HA_NAME_MAX
        && strspn(word, "-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "abcdefghijklmnopqrstuvwxyz") == strlen(word);
}

int session_word_number(apr_int64_t *number, const char *word,
                        apr_int64_t min, apr_int64_t max)
{
    apr_int64_t value;

    if (*word == '\0' || strlen(word) > 18
        || strspn(word, "0123456789") != strlen(word)) {
        return 0;
    }
    value = apr_atoi64(word);
    if (value < min || value > max) {
        return 0;
    }
    *number = value;
    return 1;
}

static const char *take_address(ha_mc_node_t *node, const char *value,
                                const char *directive, apr_pool_t *p)
{
    ha_mc_address_e result = ha_mc_address_parse(node, value, p);

    if (result != HA_MC_ADDRESS_OK) {
        return apr_psprintf(p, "%s address must be host:port, [v6]:port or "
                            "unix:/path, not '%s': %s", directive, value,
                            ha_mc_address_name(result));
    }
    return NULL;
}

static const char *take_name(span_t *name, const char *key, const char *value,
                             const char *directive, apr_pool_t *p)
{
    if (!session_word_is_name(value)) {
        return apr_psprintf(p, "%s %s must be 1 to %d letters, digits, '.', "
                            "'-' or '_', not '%s'", directive, key,
                            HA_NAME_MAX, value);
    }
    *name = span_of_text(apr_pstrdup(p, value));
    return NULL;
}

static const char *take_weight(ha_mc_node_t *node, const char *value,
                               const char *directive, apr_pool_t *p)
{
    apr_int64_t weight;

    if (!session_word_number(&weight, value, HA_WEIGHT_MIN, HA_WEIGHT_MAX)) {
        return apr_psprintf(p, "%s weight must be between %d and %d, not "
                            "'%s'", directive, HA_WEIGHT_MIN, HA_WEIGHT_MAX,
                            value);
    }
    node->place.weight = (unsigned int)weight;
    return NULL;
}

/* Take one key=value; each key once. */
static const char *take_pair(ha_mc_node_t *node, unsigned int *seen,
                             const char *word, const char *directive,
                             apr_pool_t *p)
{
    static const char *const keys[] = { "name", "address", "zone", "weight" };
    const char *equals = strchr(word, '=');
    const char *key;
    unsigned int i;

    if (equals == NULL) {
        return apr_psprintf(p, "%s takes words of the form key=value, not "
                            "'%s'", directive, word);
    }
    key = apr_pstrmemdup(p, word, (apr_size_t)(equals - word));
    for (i = 0; i < 4 && strcmp(keys[i], key) != 0; i++) {
        /* look on */
    }
    if (i == 4) {
        return apr_psprintf(p, "%s knows name, address, zone and weight, not "
                            "'%s'", directive, key);
    }
    if (*seen & (1U << i)) {
        return apr_psprintf(p, "%s has %s= twice, the second is '%s'",
                            directive, key, equals + 1);
    }
    *seen |= 1U << i;
    switch (i) {
    case 0:
        return take_name(&node->place.name, key, equals + 1, directive, p);
    case 1:
        return take_address(node, equals + 1, directive, p);
    case 2:
        return take_name(&node->place.zone, key, equals + 1, directive, p);
    default:
        return take_weight(node, equals + 1, directive, p);
    }
}

/* Placement hashes names, and two names for one server are one copy. */
static const char *find_twin(const ha_mc_node_t *node,
                             const apr_array_header_t *nodes,
                             const char *directive, apr_pool_t *p)
{
    const ha_mc_node_t *all = (const ha_mc_node_t *)nodes->elts;
    int i;

    for (i = 0; i < nodes->nelts; i++) {
        if (span_is_equal(all[i].place.name, node->place.name)) {
            return apr_psprintf(p, "%s name must be new, '%s' is the node at "
                                "%s", directive, node->place.name.data,
                                all[i].address);
        }
        if (strcasecmp(all[i].address, node->address) == 0) {
            return apr_psprintf(p, "%s address must be new, '%s' is node %s",
                                directive, node->address,
                                all[i].place.name.data);
        }
    }
    return NULL;
}

const char *session_words_node(ha_mc_node_t *node,
                               const apr_array_header_t *nodes, int argc,
                               char *const argv[], const char *directive,
                               apr_pool_t *p)
{
    const char *error = NULL;
    unsigned int seen = 0;
    int i;

    memset(node, 0, sizeof(*node));
    node->place.weight = 1;
    node->place.zone = span_of_text("");
    for (i = 0; i < argc && error == NULL; i++) {
        error = take_pair(node, &seen, argv[i], directive, p);
    }
    if (error != NULL) {
        return error;
    }
    if (node->place.name.len == 0 || node->address == NULL) {
        return apr_psprintf(p, "%s needs %s", directive,
                            node->place.name.len == 0
                            ? "name=: copies are placed by the node's name"
                            : "address=host:port, [v6]:port or unix:/path");
    }
    return find_twin(node, nodes, directive, p);
}
