/* SPDX-License-Identifier: Apache-2.0 */
#include "session_state.h"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>

#include <apr_atomic.h>
#include <apr_strings.h>

#include "ha_cookie.h"
#include "ha_diff.h"
#include "log_tags.h"
#include "session_clones.h"
#include "session_cookie.h"
#include "session_hooks.h"
#include "session_lock.h"
#include "session_protocol.h"
#include "session_rotate.h"
#include "session_unknown.h"

APLOG_USE_MODULE(session_ha);

request_rec *session_first_of(request_rec *r)
{
    while (r->prev != NULL || r->main != NULL) {
        r = r->prev != NULL ? r->prev : r->main;
    }
    return r;
}

session_root_t *session_root_of(request_rec *r, int make)
{
    request_rec *first = session_first_of(r);
    session_root_t *root = ap_get_module_config(first->request_config,
                                                &session_ha_module);

    if (root == NULL && make) {
        root = apr_pcalloc(first->pool, sizeof(*root));
        ap_set_module_config(first->request_config, &session_ha_module, root);
    }
    return root;
}

/* Note of a request_rec whose user has been authenticated. */
#define USER_NOTE "session-ha-user"

void session_state_admit_user(request_rec *r)
{
    if (r->user != NULL) {
        apr_table_set(r->notes, USER_NOTE, r->user);
    }
}

/* Whose sessions are looked for here: see session_state_t. */
static const char *user_of(request_rec *r)
{
    const char *user;

    if (!ha_conf_per_user(session_conf_of(r->per_dir_config))) {
        return NULL;
    }
    user = apr_table_get(r->notes, USER_NOTE);
    return user != NULL ? user : "";
}

static int is_users(const session_state_t *state, const char *user)
{
    return state->user == NULL || user == NULL
         ? state->user == user : strcmp(state->user, user) == 0;
}

session_state_t *session_state_find(request_rec *r)
{
    const char *name =
        ha_conf_cookie_name(session_conf_of(r->per_dir_config));
    const char *user = user_of(r);
    session_root_t *root = session_root_of(r, 0);
    session_state_t *state = root != NULL ? root->states : NULL;

    while (state != NULL
           && (strcmp(ha_conf_cookie_name(&state->conf), name) != 0
               || !is_users(state, user))) {
        state = state->next;
    }
    return state;
}

/* ---- cookies ------------------------------------------------------------ */

/* The authentic cookies of a request, in its order. */
typedef struct search_t {
    request_rec *r;
    const session_state_t *state;
    apr_time_t now;
    ha_cookie_t cookies[HA_COOKIES_TRIED];
    span_t behind[HA_COOKIES_TRIED]; /* what stands behind each signature */
    unsigned int count;
} search_t;

static int try_cookie(void *ctx, span_t value)
{
    search_t *search = ctx;
    span_t name = span_of_text(ha_conf_cookie_name(&search->state->conf));
    ha_cookie_e result = ha_cookie_verify(&search->cookies[search->count],
                                          &session_keys()->ring, name, value,
                                          search->now);

    if (result == HA_COOKIE_OK) {
        search->behind[search->count] = ha_cookie_behind(value);
        search->count++;
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, search->r, HALOG(0301)
                      "cookie refused: %s", ha_cookie_name(result));
    }
    return 0;
}

static void find_cookies(search_t *search, session_state_t *state,
                         request_rec *r)
{
    int is_shut = session_is_shut();
    int seen;

    memset(search, 0, sizeof(*search));
    search->r = r;
    search->state = state;
    search->now = apr_time_now();
    seen = session_cookie_each(r->headers_in,
                               ha_conf_cookie_name(&state->conf), try_cookie,
                               search);
    state->found = seen > 0 ? SESSION_REFUSED : SESSION_NONE;
    if (seen > 0 && is_shut) {
        /* A cookie that another web server signed may well be good. */
        search->count = 0;
        state->found = SESSION_UNKNOWN;
        session_unknown_note(r);
    }
    else if (seen > 0 && search->count == 0) {
        apr_atomic_inc64(&session_site()->counts->load_refused);
    }
}

/* ---- load ---------------------------------------------------------------- */

/* How far what was read is ahead of this host's clock. */
static void note_clock(const session_state_t *state, request_rec *r)
{
    session_counts_t *counts = session_site()->counts;
    apr_time_t now = apr_time_now();
    apr_interval_time_t ahead = ha_session_ahead(state->session, now);
    apr_uint64_t ahead_sec;
    apr_uint64_t most_sec = apr_atomic_read64(&counts->ahead_sec);

    if (state->issued - now > ahead) {
        ahead = state->issued - now;
    }
    if (ahead <= HA_SKEW_USEC) {
        if (session_alarm_end(&counts->clock, now)) {
            ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, HALOG(0414)
                          "no session is ahead of this host's clock any "
                          "more, none in the last %d s", SESSION_CALM_SEC);
        }
        return;
    }
    ahead_sec = (apr_uint64_t)apr_time_sec(ahead);
    apr_atomic_inc64(&counts->ahead);
    while (ahead_sec > most_sec) {
        apr_uint64_t seen = apr_atomic_cas64(&counts->ahead_sec, ahead_sec,
                                             most_sec);

        if (seen == most_sec) {
            break;
        }
        most_sec = seen;
    }
    if (session_alarm_raise(&counts->clock, now)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, HALOG(0413)
                      "a session was written %" APR_UINT64_T_FMT " s ahead of "
                      "this host's clock: this clock is slow, or that of "
                      "another web server is fast; of changes made there and "
                      "here at the same moment theirs win; check NTP on all "
                      "of them", ahead_sec);
    }
}

static void note_gone(session_state_t *state, const ha_sid_t *sid,
                      ha_load_e result, request_rec *r)
{
    state->found = SESSION_MISS;
    if (state->user != NULL) {
        return;                  /* every user comes for the first time */
    }
    apr_atomic_inc64(result == HA_LOAD_MISS
                     ? &session_site()->counts->load_miss
                     : &session_site()->counts->load_ended);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, HALOG(0303)
                  "session %s: %s; the user starts anew", sid->tag,
                  result == HA_LOAD_ENDED ? "was logged out"
                  : result == HA_LOAD_MOVED ? "went on under another id"
                  : "is lost or was idle too long");
}

/* The session is here, or what it was before its id was rotated. */
static void note_found(session_state_t *state, const ha_sid_t *sid,
                       request_rec *r)
{
    const ha_session_t *held = state->late != NULL ? state->late->heads[0]
                                                   : state->session;

    state->found = state->late != NULL ? SESSION_LATE : SESSION_HIT;
    state->copies = apr_psprintf(state->pool, "%u/%u%s",
                                 ha_session_copies(held), state->replicas,
                                 ha_session_is_near(held) ? " near" : "");
    state->before = state->late != NULL
                  ? ha_late_table(state->late, state->pool)
                  : ha_session_table(state->session, state->pool);
    state->z->entries = apr_table_copy(state->pool, state->before);
    apr_atomic_inc64(&session_site()->counts->load_hit);
    if (state->late == NULL) {
        note_clock(state, r);
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, HALOG(0302)
                  "session %s: loaded, %s copies", sid->tag, state->copies);
}

/* An old id leads to what was before its rotation, for a while; then it is
 * as if the session were gone, though nobody needs to be told. */
static ha_load_e follow(session_state_t *state, request_rec *r)
{
    ha_session_t *old = state->session;
    ha_load_e result = session_rotate_follow(state, old, r);

    state->session = NULL;
    if (result == HA_LOAD_ENDED) {
        state->is_left = 1;
        return HA_LOAD_MOVED;
    }
    return result;
}

static void load_stored(session_state_t *state, const ha_sid_t *sid,
                        request_rec *r)
{
    ha_load_e result = session_protocol_load(&state->session, state, sid);

    if (result == HA_LOAD_MOVED) {
        result = follow(state, r);
    }
    switch (result) {
    case HA_LOAD_HIT:
        session_unknown_end(r);
        note_found(state, sid, r);
        break;
    case HA_LOAD_MISS:
    case HA_LOAD_ENDED:
    case HA_LOAD_MOVED:
        session_unknown_end(r);
        note_gone(state, sid, result, r);
        break;
    case HA_LOAD_UNKNOWN:
    default:
        state->found = SESSION_UNKNOWN;
        session_unknown_note(r);
        break;
    }
}

/* ---- alone with it ------------------------------------------------------- */

/* Where that is asked for, wait to be the only request of a session. */
static int is_admitted(session_state_t *state, const ha_sid_t *sid,
                       request_rec *r)
{
    if (!ha_conf_exclusive(session_conf_of(r->per_dir_config))
        || state->lock != NULL) {
        return 1;
    }
    switch (session_lock_take(state, sid, r)) {
    case HA_LOCK_HELD:
        return 1;
    case HA_LOCK_BUSY:
        state->found = SESSION_BUSY;
        return 0;
    case HA_LOCK_UNKNOWN:
    default:
        state->found = SESSION_UNKNOWN;
        session_unknown_note(r);
        return 0;
    }
}

static void apply(apr_table_t *table, const ha_op_t *ops, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        const char *name = apr_pstrmemdup(apr_table_elts(table)->pool,
                                          ops[i].name.data, ops[i].name.len);

        if (ops[i].gone) {
            apr_table_unset(table, name);
        }
        else {
            apr_table_setn(table, name,
                           apr_pstrmemdup(apr_table_elts(table)->pool,
                                          ops[i].value.data,
                                          ops[i].value.len));
        }
    }
}

/*
 * A sub-request or a redirect came to a place for one request at a time, and
 * the session was loaded before. What it holds by now is read again, and what
 * this request changed so far goes on top. The table stays the one that
 * others have in their hands.
 */
static void load_again(session_state_t *state, request_rec *r)
{
    ha_sid_t sid = *ha_session_sid(state->session);
    apr_table_t *entries = state->z->entries;
    ha_op_t *ops = NULL;
    unsigned int count = 0;
    ha_diff_e result;

    if (!is_admitted(state, &sid, r)) {
        return;
    }
    result = ha_diff_tables(&ops, &count, state->before,
                            session_state_table(state, state->pool),
                            state->pool);
    if (result != HA_DIFF_OK) {
        /* The save will say so, whatever the session holds by now. */
        return;
    }
    state->session = NULL;
    state->before = apr_table_make(state->pool, 1);
    load_stored(state, &sid, r);
    if (state->found == SESSION_MISS) {
        session_lock_give_back(state);
        if (!state->is_left) {
            session_protocol_forget_cookie(state, r);
        }
        count = 0;
    }
    apr_table_clear(entries);
    apr_table_overlap(entries, state->before, APR_OVERLAP_TABLES_SET);
    apply(entries, ops, count);
    state->z->entries = entries;
}

static int is_to_be_locked(const session_state_t *state, request_rec *r)
{
    return state->session != NULL && state->lock == NULL
        && state->save == NULL && !session_state_is_closed(state)
        && ha_conf_exclusive(session_conf_of(r->per_dir_config));
}

static session_state_t *make_state(request_rec *r)
{
    session_site_t *site = session_site();
    session_root_t *root = session_root_of(r, 1);
    apr_pool_t *p = session_first_of(r)->pool;
    const session_dir_conf *stock =
        ap_get_module_config(r->per_dir_config, site->session);
    session_state_t *state = apr_pcalloc(p, sizeof(*state));

    state->pool = p;
    state->conf = *session_conf_of(r->per_dir_config);
    state->server = r->server;
    state->user = apr_pstrdup(p, user_of(r));
    state->idle_sec = ha_conf_idle_sec(&state->conf);
    if (stock != NULL && stock->maxage > 0
        && stock->maxage < APR_INT32_MAX) {
        state->idle_sec = (apr_uint32_t)stock->maxage;
    }
    state->replicas = ha_server_conf_replicas(
        &session_server_of(r->server)->conf, site->store->count);
    state->acks = ha_server_conf_acks(&session_server_of(r->server)->conf,
                                      state->replicas);
    state->since = apr_time_now();
    state->before = apr_table_make(p, 1);
    state->z = apr_pcalloc(p, sizeof(*state->z));
    state->z->pool = p;
    state->z->entries = apr_table_make(p, 8);
    state->z->uuid = apr_pcalloc(p, sizeof(*state->z->uuid));
    state->next = root->states;
    root->states = state;
    return state;
}

/* Whether a cookie decides; with an old id another one may still do. */
static int is_decided(const session_state_t *state)
{
    return state->found != SESSION_MISS && state->found != SESSION_LATE;
}

static void load_one(session_state_t *state, const ha_cookie_t *cookie,
                     request_rec *r)
{
    ha_sid_init(&state->sid, cookie->id);
    state->issued = apr_time_from_sec(cookie->issued_sec);
    state->expires_sec = cookie->expires_sec;
    if (is_admitted(state, &state->sid, r)) {
        load_stored(state, &state->sid, r);
    }
}

/* What a cookie led to is not it: go on to the next one. */
static void let_pass(session_state_t *state)
{
    session_lock_give_back(state);
    state->late = NULL;
    state->copies = NULL;
    state->before = apr_table_make(state->pool, 1);
    state->z->entries = apr_table_make(state->pool, 8);
}

/*
 * The first cookie that has a session is the session. Others may be authentic
 * too, and dead: a browser sends what it once got for a longer path first.
 * An id that was rotated counts when there is no other. Returns the number of
 * the cookie that decides, or how many there are.
 */
static unsigned int try_all(session_state_t *state, const search_t *search,
                            request_rec *r)
{
    const ha_cookie_t *late = NULL;
    unsigned int i;

    for (i = 0; i < search->count; i++) {
        load_one(state, &search->cookies[i], r);
        if (is_decided(state)) {
            return i;
        }
        if (late == NULL && state->found == SESSION_LATE) {
            late = &search->cookies[i];
            if (i + 1 == search->count) {
                return search->count;
            }
        }
        let_pass(state);
    }
    if (late != NULL) {
        load_one(state, late, r);
    }
    return i;
}

/* Only when all are gone need the browser not send them again. That of an old
 * id is left alone: by now it may be the new one. */
static void load_first(session_state_t *state, request_rec *r)
{
    search_t search;
    unsigned int i;

    find_cookies(&search, state, r);
    i = try_all(state, &search, r);
    if (session_state_is_closed(state) || state->found == SESSION_LATE) {
        return;
    }
    if (i < search.count && state->found == SESSION_HIT) {
        session_clones_note(state, &search.cookies[i], search.behind[i]);
        if (search.cookies[i].key != 0) {
            /* Signed by an old secret, which is to leave the ring one day. */
            session_protocol_send_cookie(state, &search.cookies[i], r);
        }
    }
    else if (i == search.count && i > 0 && state->found == SESSION_MISS) {
        session_lock_give_back(state);
        if (!state->is_left) {
            session_protocol_forget_cookie(state, r);
        }
    }
}

/* A user's session needs no cookie, and is never over: what ends is what
 * stands in it. */
static void load_users(session_state_t *state, request_rec *r)
{
    const char *realm = ap_auth_name(r);

    if (*state->user == '\0') {
        state->found = SESSION_NOBODY;
        return;
    }
    ha_sid_of_user(&state->sid,
                   span_of_text(ha_conf_cookie_name(&state->conf)),
                   span_of_text(realm != NULL ? realm : ""),
                   span_of_text(state->user), state->pool);
    if (is_admitted(state, &state->sid, r)) {
        load_stored(state, &state->sid, r);
    }
}

session_state_t *session_state_load(request_rec *r)
{
    session_state_t *state = session_state_find(r);

    if (state != NULL && is_to_be_locked(state, r)) {
        load_again(state, r);
        state->z->written = session_state_is_closed(state);
    }
    if (state != NULL) {
        return state;
    }
    state = make_state(r);
    if (session_site()->is_clear && session_hooks_is_encoded(r)) {
        state->found = SESSION_BLOCKED;
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0307)
                      "SessionCryptoPassphrase asks for an encrypted session "
                      "here, and mod_session_ha would store it in clear; "
                      "request refused: SessionHAEncryption On "
                      "encrypts it, or take one of them out");
    }
    else if (state->user != NULL) {
        load_users(state, r);
    }
    else {
        load_first(state, r);
    }
    if (session_state_is_closed(state)) {
        /* Nobody may save it: mod_session passes over what is written. */
        state->z->written = 1;
    }
    return state;
}

int session_state_is_closed(const session_state_t *state)
{
    return state->found == SESSION_UNKNOWN || state->found == SESSION_BUSY
        || state->found == SESSION_BLOCKED || state->found == SESSION_NOBODY;
}

/* ---- what it says -------------------------------------------------------- */

static int add_attribute(void *ctx, const char *name, const char *value)
{
    /* The name is mod_session's own. */
    if (strcasecmp(name, "expiry") != 0) {
        apr_table_addn(ctx, name, value);
    }
    return 1;
}

apr_table_t *session_state_table(const session_state_t *state, apr_pool_t *p)
{
    apr_table_t *table =
        apr_table_make(p, apr_table_elts(state->z->entries)->nelts + 1);

    apr_table_do(add_attribute, table, state->z->entries, NULL);
    return table;
}

const char *session_state_copies(const session_state_t *state)
{
    return state->save != NULL && strchr(state->save, '/') != NULL
         ? state->save : state->copies;
}

void session_state_tell(const session_state_t *state, request_rec *r)
{
    static const char *const words[] = {
        "none", "refused", "hit", "forwarded", "miss", "unknown", "busy",
        "unknown", "none"
    };

    apr_table_setn(r->subprocess_env, "SESSION_HA_LOAD",
                   words[state->found]);
    if (state->copies != NULL) {
        apr_table_setn(r->subprocess_env, "SESSION_HA_COPIES", state->copies);
    }
    if (state->save != NULL) {
        apr_table_setn(r->subprocess_env, "SESSION_HA_SAVE", state->save);
    }
}
