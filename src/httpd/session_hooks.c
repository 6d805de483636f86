/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When what happens to a request:
 *
 *   header_parser  the session is loaded; UNKNOWN is answered with 503 here,
 *                  before authentication can take the user for a stranger
 *   ...            mod_session and others load, which gives the same record
 *   fixups, first  a user's session is loaded: now it is known who that is
 *   fixups         the application is told, by a header that is ours alone
 *   SESSION_HA_DELTA what the application changed is taken, right before
 *   MOD_SESSION_OUT  mod_session takes the application's header and saves
 *   SESSION_HA_OUT   right behind it: what mod_session passed over is saved,
 *                    headers go where the answer takes them
 *   SESSION_HA_LOCK  the answer's end gives back the lock of an exclusive place
 */
#include "session_hooks.h"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include <apr_strings.h>

#include "ha_cache.h"
#include "log_tags.h"
#include "session_clones.h"
#include "session_control.h"
#include "session_cookie.h"
#include "session_delta.h"
#include "session_fail.h"
#include "session_header.h"
#include "session_lock.h"
#include "session_module.h"
#include "session_state.h"

APLOG_USE_MODULE(session_ha);

/*
 * mod_session exports these; weak, so that a server without mod_session can
 * say what is missing instead of "undefined symbol".
 */
#pragma weak ap_hook_session_load
#pragma weak ap_hook_session_save
#pragma weak ap_run_session_encode

/* Seconds after which a client may try again: a few probes of a node. */
#define RETRY_AFTER "5"

/* And when the request before it was not done: it will be soon. */
#define RETRY_AFTER_BUSY "1"

static ap_filter_rec_t *the_filter;
static ap_filter_rec_t *delta_filter;

int session_hooks_has_session(void)
{
    return ap_hook_session_load != NULL && ap_hook_session_save != NULL
        && ap_find_linked_module("mod_session.c") != NULL;
}

/*
 * mod_session encodes a=1 as it stands, whatever its version; what comes out
 * otherwise went through mod_session_crypto or its like.
 */
int session_hooks_is_encoded(request_rec *r)
{
    session_rec probe;

    memset(&probe, 0, sizeof(probe));
    probe.pool = r->pool;
    probe.entries = apr_table_make(r->pool, 1);
    apr_table_setn(probe.entries, "a", "1");
    return ap_run_session_encode == NULL
        || ap_run_session_encode(r, &probe) != OK || probe.encoded == NULL
        || strcmp(probe.encoded, "a=1") != 0;
}

static int is_enabled(const request_rec *r)
{
    return session_site() != NULL
        && ha_conf_enabled(session_conf_of(r->per_dir_config));
}

static const session_dir_conf *stock_conf(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, session_site()->session);
}

/* ---- load ---------------------------------------------------------------- */

/* Whether this request_rec makes the page of an error. */
static int is_error_page(const request_rec *r)
{
    return r->prev != NULL && ap_is_HTTP_ERROR(r->prev->status);
}

/*
 * Whether a load that failed may look like an empty session that nobody can
 * save: where the answer is an error already, or the policy wants it.
 */
static int may_be_blank(const session_state_t *state, request_rec *r)
{
    return session_root_of(r, 1)->is_early || state->is_refused
        || state->found == SESSION_NOBODY
        || is_error_page(r)
        || (state->found == SESSION_UNKNOWN
            && ha_conf_unknown_policy(&state->conf) == HA_POLICY_ANONYMOUS);
}

/* Whether nobody may go on as if there were no session. */
static int is_fatal(const session_state_t *state, request_rec *r)
{
    return session_state_is_closed(state) && !may_be_blank(state, r);
}

static int status_of(const session_state_t *state)
{
    return state->found == SESSION_BLOCKED ? HTTP_INTERNAL_SERVER_ERROR
                                           : HTTP_SERVICE_UNAVAILABLE;
}

/* What was made for one user is not for a cache that serves all of them. */
static void mark_private(apr_table_t *headers, const char *words)
{
    if (!ha_cache_is_private(apr_table_get(headers, "Cache-Control"))) {
        apr_table_mergen(headers, "Cache-Control", words);
    }
}

static apr_status_t load(request_rec *r, session_rec **z)
{
    session_state_t *state;

    if (!is_enabled(r)) {
        return DECLINED;
    }
    state = session_state_load(r);
    session_state_tell(state, r);
    if (is_fatal(state, r)) {
        return status_of(state);
    }
    /*
     * Idle sessions are gone from the store; an expiry that stood here would
     * have mod_session swap our record for a private one it cannot save.
     */
    state->z->expiry = 0;
    mark_private(r->headers_out, "no-cache, private");
    *z = state->z;
    return OK;
}

static apr_status_t save(request_rec *r, session_rec *z)
{
    session_state_t *state;

    if (!is_enabled(r)) {
        return DECLINED;
    }
    state = session_state_find(r);
    if (state == NULL || state->z != z) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    session_state_save(state, r);
    return OK;
}

session_state_t *session_hooks_session(request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(ap_session_load) *load_stock =
        APR_RETRIEVE_OPTIONAL_FN(ap_session_load);
    session_rec *z = NULL;

    if (load_stock == NULL || !is_enabled(r)) {
        return NULL;
    }
    load_stock(r, &z);
    return z != NULL ? session_state_find(r) : NULL;
}

static int refuse(session_state_t *state, request_rec *r)
{
    state->is_refused = 1;
    if (state->found != SESSION_BLOCKED) {
        apr_table_setn(r->err_headers_out, "Retry-After",
                       state->found == SESSION_BUSY ? RETRY_AFTER_BUSY
                                                    : RETRY_AFTER);
    }
    return status_of(state);
}

int session_hooks_header_parser(request_rec *r)
{
    session_root_t *root;
    session_state_t *state;

    if (session_site() != NULL) {
        session_header_clear(r);
        if (r->prev != NULL) {
            /* Who goes on is told what was changed on the way. */
            session_delta_take(r->prev);
            session_control_take(r->prev);
        }
    }
    if (!is_enabled(r)) {
        return DECLINED;
    }
    root = session_root_of(r, 1);
    root->is_early = 1;
    state = session_hooks_session(r);
    root->is_early = 0;
    return state != NULL && is_fatal(state, r) ? refuse(state, r) : DECLINED;
}

int session_hooks_user(request_rec *r)
{
    session_state_t *state;

    if (!is_enabled(r)
        || !ha_conf_per_user(session_conf_of(r->per_dir_config))) {
        return DECLINED;
    }
    session_state_admit_user(r);
    session_root_of(r, 1)->is_early = 1;
    state = session_hooks_session(r);
    session_root_of(r, 1)->is_early = 0;
    return state != NULL && is_fatal(state, r) ? refuse(state, r) : DECLINED;
}

/* ---- the application ----------------------------------------------------- */

static int is_proxied(const request_rec *r)
{
    return r->proxyreq != PROXYREQ_NONE
        || (r->handler != NULL && strncmp(r->handler, "proxy", 5) == 0);
}

int session_hooks_fixups(request_rec *r)
{
    session_state_t *state;

    if (session_site() == NULL) {
        return DECLINED;
    }
    session_header_take_back(r);
    session_header_clear(r);
    if (is_proxied(r)) {
        session_cookie_strip(r->headers_in, session_site()->cookies, r->pool);
    }
    if (!is_enabled(r)) {
        return DECLINED;
    }
    state = session_state_find(r);
    if (state != NULL && stock_conf(r)->enabled) {
        if (is_fatal(state, r)) {
            /* A sub-request whose main request has no session: mod_session
             * would run it without one. */
            return status_of(state);
        }
        session_header_set(state, r);
    }
    return DECLINED;
}

/* ---- the answer ---------------------------------------------------------- */

/*
 * mod_session takes its header out of an answer when it reads it, which it
 * does not when there is no session, or it was saved already, or the header
 * is in both tables.
 */
static void hide_header(request_rec *r)
{
    request_rec *of;

    for (of = r; of != NULL; of = of->prev) {
        const session_dir_conf *stock = stock_conf(of);

        if (stock != NULL && stock->header_set && stock->header != NULL) {
            apr_table_unset(r->headers_out, stock->header);
            apr_table_unset(r->err_headers_out, stock->header);
        }
    }
}

/* The logged one is the last, variables of the others are %<...e. */
static void tell_all(const session_state_t *state, request_rec *r)
{
    request_rec *one;

    for (one = session_first_of(r); one != NULL; one = one->next) {
        session_state_tell(state, one);
    }
    for (one = r; one != NULL; one = one->prev) {
        session_state_tell(state, one);
    }
}

/* An answer may be made by anybody: what it says of copies is said by us. */
static void tell_copies(const session_root_t *root, request_rec *r)
{
    const session_state_t *state = root != NULL ? root->states : NULL;
    const char *name = is_enabled(r) ? ha_conf_copies_header(
                           session_conf_of(r->per_dir_config)) : NULL;

    if (name == NULL) {
        return;
    }
    apr_table_unset(r->headers_out, name);
    apr_table_unset(r->err_headers_out, name);
    for (; state != NULL; state = state->next) {
        const char *words = session_state_copies(state);

        if (words != NULL) {
            apr_table_setn(r->err_headers_out, name, words);
        }
    }
}

static void finish(session_state_t *state, request_rec *r)
{
    session_clones_apply(state, r);
    if (state->cookie != NULL) {
        apr_table_addn(r->err_headers_out, "Set-Cookie", state->cookie);
        /* A shared cache that keeps this answer gives one user's session to
         * the next. CGI leaves its headers in the other table. */
        mark_private(apr_table_get(r->err_headers_out, "Cache-Control")
                     != NULL ? r->err_headers_out : r->headers_out,
                     "private");
        state->cookie = NULL;
    }
}

/*
 * What to answer in the place of the answer: 0 when all is well, or when it
 * is an error anyway.
 */
static int failure_of(const session_root_t *root, const request_rec *r,
                      int is_canned)
{
    const session_state_t *state = root->states;

    while (state != NULL && (state->failure == 0
           || ha_conf_save_policy(&state->conf) != HA_SAVE_FAIL)) {
        state = state->next;
    }
    return state == NULL || is_error_page(r)
        || (is_canned && ap_is_HTTP_ERROR(r->status)) ? 0 : state->failure;
}

static apr_status_t fail(session_root_t *root, request_rec *r, int status)
{
    session_state_t *state;

    apr_table_clear(r->headers_out);
    apr_table_clear(r->err_headers_out);
    for (state = root->states; state != NULL; state = state->next) {
        finish(state, r);
    }
    tell_copies(root, r);
    if (status == HTTP_SERVICE_UNAVAILABLE) {
        apr_table_setn(r->err_headers_out, "Retry-After", RETRY_AFTER);
    }
    return session_fail_answer(r, status, r->err_headers_out);
}

static apr_status_t filter(ap_filter_t *f, apr_bucket_brigade *in)
{
    request_rec *r = f->r;
    session_root_t *root = session_root_of(r, 0);
    session_state_t *state = root != NULL ? root->states : NULL;
    int status;

    ap_remove_output_filter(f);
    if (r->main != NULL) {
        /* The headers of a sub-request go nowhere. */
        return ap_pass_brigade(f->next, in);
    }
    for (; state != NULL; state = state->next) {
        session_state_save(state, r);
        tell_all(state, r);
    }
    status = root != NULL ? failure_of(root, r, f->ctx != NULL) : 0;
    if (status != 0) {
        apr_brigade_cleanup(in);
        return fail(root, r, status);
    }
    if (root != NULL) {
        root->is_answered = 1;
    }
    for (state = root != NULL ? root->states : NULL; state != NULL;
         state = state->next) {
        finish(state, r);
    }
    hide_header(r);
    tell_copies(root, r);
    return ap_pass_brigade(f->next, in);
}

static apr_status_t take_delta(ap_filter_t *f, apr_bucket_brigade *in)
{
    ap_remove_output_filter(f);
    session_delta_take(f->r);
    session_control_take(f->r);
    return ap_pass_brigade(f->next, in);
}

static void insert_filters(request_rec *r, void *ctx)
{
    if (session_site() != NULL
        && (is_enabled(r) || session_delta_is_wanted(r)
            || session_root_of(r, 0) != NULL)) {
        ap_add_output_filter_handle(delta_filter, NULL, r, r->connection);
        ap_add_output_filter_handle(the_filter, ctx, r, r->connection);
        session_lock_insert_filter(r);
    }
}

void session_hooks_insert_filter(request_rec *r)
{
    insert_filters(r, NULL);
}

/* httpd itself answers, with an error or a redirect. */
void session_hooks_insert_error_filter(request_rec *r)
{
    if (session_site() != NULL) {
        session_delta_take(r);
        session_control_take(r);
    }
    insert_filters(r, r);
}

int session_hooks_log(request_rec *r)
{
    session_root_t *root = session_root_of(r, 0);
    session_state_t *state = root != NULL ? root->states : NULL;

    for (; state != NULL; state = state->next) {
        if (state->save != NULL && state->z->dirty
            && !session_state_is_closed(state)) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0409)
                          "session changed after the answer had begun, the "
                          "change is lost");
        }
    }
    return DECLINED;
}

void session_hooks_register(apr_pool_t *p)
{
    session_fail_register(p);
    session_lock_register();
    /* Right before MOD_SESSION_OUT, and right behind it, before headers are
     * sent. */
    delta_filter = ap_register_output_filter(
        "SESSION_HA_DELTA", take_delta, NULL,
        (ap_filter_type)(AP_FTYPE_CONTENT_SET - 1));
    the_filter = ap_register_output_filter(
        "SESSION_HA_OUT", filter, NULL,
        (ap_filter_type)(AP_FTYPE_CONTENT_SET + 1));
    if (session_hooks_has_session()) {
        ap_hook_session_load(load, NULL, NULL, APR_HOOK_FIRST);
        ap_hook_session_save(save, NULL, NULL, APR_HOOK_FIRST);
    }
}
