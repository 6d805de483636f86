/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_own.h"

static int is_route(const clone_own_t *own, span_t id)
{
    unsigned int i;

    for (i = 0; i < own->route_count; i++) {
        if (span_is_equal(own->routes[i], id)) {
            return 1;
        }
    }
    return 0;
}

static int is_listed(const clone_own_t *own, span_t id)
{
    unsigned int s;
    unsigned int i;

    for (s = 0; s < own->session_count; s++) {
        for (i = 0; i < own->sessions[s].count; i++) {
            if (span_is_equal(own->sessions[s].clone[i], id)) {
                return 1;
            }
        }
    }
    return 0;
}

static int has_text(span_t text, span_t id)
{
    apr_size_t at;

    for (at = 0; at + id.len <= text.len; at++) {
        if (memcmp(text.data + at, id.data, id.len) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Also where a server would read it so: percent-encoding taken off. */
static int was_sent(const clone_own_t *own, span_t id, apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < own->sent_count; i++) {
        span_t text = own->sent[i];

        if (has_text(text, id)
            || (text.len > 0 && memchr(text.data, '%', text.len) != NULL
                && has_text(clone_ids_unescaped(
                                text, apr_palloc(p, text.len)), id))) {
            return 1;
        }
    }
    return 0;
}

clone_own_e clone_own_find(span_t *id, const clone_own_t *own, apr_pool_t *p)
{
    const clone_ids_t *issued = own->issued;
    unsigned int count = own->is_owner_first && issued->count > 1
                             ? 1 : issued->count;
    span_t candidate = span_of(NULL, 0);
    unsigned int found = 0;
    unsigned int i;

    *id = span_of(NULL, 0);
    for (i = 0; i < count; i++) {
        if (own->route.len > 0 && span_is_equal(issued->clone[i],
                                                own->route)) {
            return CLONE_OWN_KNOWN;
        }
        if (!is_route(own, issued->clone[i])) {
            candidate = issued->clone[i];
            found++;
        }
    }
    if (found == 0) {
        return CLONE_OWN_KNOWN;
    }
    if (found > 1 || is_listed(own, candidate)
        || was_sent(own, candidate, p)) {
        return CLONE_OWN_UNSURE;
    }
    *id = candidate;
    return CLONE_OWN_FOUND;
}
