/* SPDX-License-Identifier: Apache-2.0 */
#include "session_clones.h"

#include <apr_strings.h>

#include "session_protocol.h"
#include "session_state.h"

static int is_ours(const char *name)
{
    const session_site_t *site = session_site();
    int i;

    for (i = 0; site != NULL && i < site->cookies->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(site->cookies, i, const char *), name)
            == 0) {
            return 1;
        }
    }
    return 0;
}

/* The session whose cookie has that name here, or NULL. */
static session_state_t *find_state(request_rec *r, const char *name)
{
    session_state_t *state = session_state_find(r);

    return state != NULL
           && strcmp(ha_conf_cookie_name(&state->conf), name) == 0 ? state
                                                                   : NULL;
}

static int session_ha_clones_get(request_rec *r, const char *name,
                                 const char **list, const char **tag)
{
    const session_state_t *state;

    *list = NULL;
    *tag = NULL;
    if (!is_ours(name)) {
        return 0;
    }
    state = find_state(r, name);
    if (state != NULL && state->has_genuine) {
        *list = state->listed;
        *tag = state->sid.tag;
    }
    return 1;
}

static void session_ha_clones_set(request_rec *r, const char *name,
                                  const char *list, int is_changed)
{
    session_state_t *state = is_ours(name) ? find_state(r, name) : NULL;

    if (state != NULL) {
        /* A sub-request's pool does not live as long. */
        state->clones = apr_pstrdup(state->pool, list);
        state->is_clones_new = is_changed;
    }
}

void session_clones_note(session_state_t *state, const ha_cookie_t *cookie,
                         span_t behind)
{
    state->genuine = *cookie;
    state->has_genuine = 1;
    state->listed = apr_pstrmemdup(state->pool, behind.data, behind.len);
}

void session_clones_apply(session_state_t *state, request_rec *r)
{
    if (state->has_genuine && state->clones != NULL
        && (state->cookie != NULL || state->is_clones_new)) {
        session_protocol_send_cookie(state, &state->genuine, r);
    }
}

void session_clones_register(void)
{
    APR_REGISTER_OPTIONAL_FN(session_ha_clones_get);
    APR_REGISTER_OPTIONAL_FN(session_ha_clones_set);
}
