/* SPDX-License-Identifier: Apache-2.0 */
#include "session_control.h"

#include <http_config.h>
#include <http_log.h>

#include <apr_atomic.h>
#include <apr_strings.h>

#include "log_tags.h"

APLOG_USE_MODULE(session_ha);

/* Characters of an unknown word that stand in the log. */
#define WORD_SHOWN 32

/* ---- the header ---------------------------------------------------------- */

static void take_word(request_rec *r, const char *name, const char *word)
{
    session_root_t *root = session_root_of(r, 1);

    if (strcasecmp(word, "logout") == 0) {
        root->is_logout = 1;
    }
    else if (strcasecmp(word, "rotate") == 0) {
        root->is_rotate = 1;
    }
    else if (apr_atomic_xchg32(&session_site()->counts->is_control_odd, 1)
             == 0) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, HALOG(0424)
                      "%s of the application knows logout and rotate, not "
                      "'%.*s'; ignored, and not said again", name, WORD_SHOWN,
                      ap_escape_logitem(r->pool, word));
    }
}

typedef struct words_t {
    request_rec *r;
    const char *name;
} words_t;

static int take_words(void *ctx, const char *name, const char *value)
{
    words_t *words = ctx;
    char *state;
    char *word = apr_strtok(apr_pstrdup(words->r->pool, value), ", \t",
                            &state);

    for (; word != NULL; word = apr_strtok(NULL, ", \t", &state)) {
        take_word(words->r, words->name, word);
    }
    return 1;
}

void session_control_take(request_rec *r)
{
    words_t words = { r, NULL };

    if (r->prev != NULL) {
        session_control_take(r->prev);
    }
    words.name = ha_conf_control_header(session_conf_of(r->per_dir_config));
    if (words.name != NULL) {
        apr_table_do(take_words, &words, r->headers_out, words.name, NULL);
        apr_table_do(take_words, &words, r->err_headers_out, words.name,
                     NULL);
        apr_table_unset(r->headers_out, words.name);
        apr_table_unset(r->err_headers_out, words.name);
    }
}

/* ---- variables ----------------------------------------------------------- */

static int is_on(const request_rec *r, const char *name)
{
    const char *value = apr_table_get(r->subprocess_env, name);

    return value != NULL && strcmp(value, "0") != 0
        && strcasecmp(value, "off") != 0;
}

/* An internal redirect takes variables along under other names, so all
 * request_recs of the client request are asked. */
static int is_on_anywhere(request_rec *r, const char *name)
{
    const request_rec *one;

    for (one = session_first_of(r); one != NULL; one = one->next) {
        if (is_on(one, name)) {
            return 1;
        }
    }
    for (one = r; one != NULL; one = one->prev) {
        if (is_on(one, name)) {
            return 1;
        }
    }
    return 0;
}

int session_control_is_logout(request_rec *r)
{
    return session_root_of(r, 1)->is_logout
        || is_on_anywhere(r, SESSION_LOGOUT_VARIABLE);
}

/* ---- attributes ---------------------------------------------------------- */

/* Whether a name is in a list of words, in which a star is any text. */
static int is_listed(const char *words, const char *name, apr_pool_t *p)
{
    char *state;
    char *word = apr_strtok(apr_pstrdup(p, words), " ", &state);

    for (; word != NULL; word = apr_strtok(NULL, " ", &state)) {
        if (ap_strcasecmp_match(name, word) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Who is logged in appears or changes. That he leaves is no reason: then the
 * id is worth less than before. */
static int is_login(const session_state_t *state, const ha_op_t *ops,
                    unsigned int count, request_rec *r)
{
    const char *words = ha_conf_rotate_on(&state->conf);
    unsigned int i;

    for (i = 0; i < count && words != NULL; i++) {
        if (!ops[i].gone
            && is_listed(words, apr_pstrmemdup(r->pool, ops[i].name.data,
                                               ops[i].name.len), r->pool)) {
            return 1;
        }
    }
    return 0;
}

int session_control_is_rotate(const session_state_t *state,
                              const ha_op_t *ops, unsigned int count,
                              request_rec *r)
{
    if (is_login(state, ops, count, r)) {
        return 1;
    }
    /* With an id that was rotated a moment ago there is nothing to protect
     * but what this request writes. */
    return (count > 0 || state->late == NULL)
        && (session_root_of(r, 1)->is_rotate
            || is_on_anywhere(r, SESSION_ROTATE_VARIABLE));
}
