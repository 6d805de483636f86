/* SPDX-License-Identifier: Apache-2.0 */
#include "session_protocol.h"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>

#include <apr_atomic.h>
#include <apr_strings.h>

#include "ha_cookie.h"
#include "ha_diff.h"
#include "log_tags.h"
#include "session_control.h"
#include "session_cookie.h"
#include "session_far.h"
#include "session_header.h"
#include "session_refill.h"
#include "session_lock.h"
#include "session_rotate.h"

APLOG_USE_MODULE(session_ha);

/* Seconds by which a store's clock may be behind when a session ends. */
#define END_SLACK_SEC 60

/* What a load may spend of the budget, and what is never denied to a save. */
#define LOAD_SHARE(budget) ((budget) / 2)

int session_protocol_fill(ha_session_env_t *env)
{
    memset(env, 0, sizeof(*env));
    env->store = session_site()->store;
    env->seal = &session_keys()->seal;
    env->now = apr_time_now();
    return apr_generate_random_bytes((unsigned char *)&env->writer,
                                     sizeof(env->writer)) == APR_SUCCESS;
}

/* Fill all but the deadline; 0 when the system has no randomness. */
static int fill_env(ha_session_env_t *env, const session_state_t *state)
{
    apr_uint32_t longest = session_site()->longest_sec;

    if (longest < state->idle_sec) {
        longest = state->idle_sec;
    }
    if (!session_protocol_fill(env)) {
        return 0;
    }
    env->ttl_sec = ha_conf_ttl_sec(state->idle_sec);
    /* A node is believed, and an end remembered, for longer than anybody's
     * copy can live, not only one of this location. */
    env->past_sec = ha_conf_ttl_sec(ha_conf_ttl_sec(longest));
    env->replicas = state->replicas;
    env->acks = state->acks;
    env->issued = state->issued;
    if (state->expires_sec > apr_time_sec(env->now)) {
        env->end_sec = state->expires_sec
                     - (apr_uint32_t)apr_time_sec(env->now) + END_SLACK_SEC;
    }
    env->zone = session_site()->zone;
    return 1;
}

static apr_interval_time_t budget_of(const session_state_t *state)
{
    return ha_server_conf_budget(&session_server_of(state->server)->conf);
}

static int is_tls(request_rec *r)
{
    return strcmp(ap_http_scheme(r), "https") == 0;
}

/* Whether this host has not renewed a session for a while. */
static int is_due(const session_state_t *state, const ha_sid_t *sid,
                  apr_time_t now)
{
    apr_time_t last = ha_recent_get(session_site()->recent, sid);

    return last == 0 || now - last
        >= apr_time_from_sec(ha_conf_touch_sec(state->idle_sec));
}

/* Whether a session may have been sealed before the secrets changed. It is
 * sealed anew where it is renewed, so web servers that do not agree on how
 * do not write against each other with every request. */
static int is_to_reseal(const session_state_t *state, const ha_sid_t *sid,
                        apr_time_t now)
{
    return is_due(state, sid, now)
        || ha_recent_get(session_site()->recent, sid)
           < session_keys()->since;
}

apr_interval_time_t session_protocol_load_time(const session_state_t *state)
{
    apr_interval_time_t left = LOAD_SHARE(budget_of(state)) - state->spent;

    return left > 0 ? left : 0;
}

ha_load_e session_protocol_load(ha_session_t **session,
                                session_state_t *state, const ha_sid_t *sid)
{
    ha_noticed_t noticed = { 0, 0 };
    ha_session_env_t env;
    ha_load_e result;

    *session = NULL;
    if (session_is_shut() || !fill_env(&env, state)) {
        return HA_LOAD_UNKNOWN;
    }
    env.noticed = &noticed;
    env.is_resealing = is_to_reseal(state, sid, env.now);
    env.deadline = env.now + session_protocol_load_time(state);
    env.near_first = session_far_is_known(state, sid, env.now);
    result = ha_session_load(session, &env, sid, state->pool);
    state->spent += apr_time_now() - env.now;
    session_keys_note(&noticed, session_site()->server);
    return result;
}

ha_load_e session_protocol_follow(ha_late_t *late, session_state_t *state,
                                  ha_session_t *old)
{
    ha_session_env_t env;
    ha_load_e result;

    if (session_is_shut() || !fill_env(&env, state)) {
        return HA_LOAD_UNKNOWN;
    }
    env.deadline = env.now + session_protocol_load_time(state);
    result = ha_late_follow(late, old, state->since, &env, state->pool);
    state->spent += apr_time_now() - env.now;
    return result;
}

void session_protocol_forget_cookie(session_state_t *state, request_rec *r)
{
    if (state->user != NULL) {
        return;                  /* a user's session has none */
    }
    state->has_genuine = 0;
    state->cookie = session_cookie_set(&state->conf, "", 0, is_tls(r),
                                       state->pool);
}

void session_protocol_send_cookie(session_state_t *state,
                                  const ha_cookie_t *cookie, request_rec *r)
{
    apr_uint32_t now_sec = (apr_uint32_t)apr_time_sec(apr_time_now());
    span_t name = span_of_text(ha_conf_cookie_name(&state->conf));
    const char *value;

    if (state->user != NULL) {
        /* Whoever had such a cookie would be that user. */
        return;
    }
    value = ha_cookie_sign(cookie, &session_keys()->ring, name, state->pool);
    if (state->clones != NULL) {
        value = apr_pstrcat(state->pool, value, state->clones, NULL);
    }
    state->genuine = *cookie;
    state->has_genuine = 1;
    state->cookie = session_cookie_set(&state->conf, value,
                                       cookie->expires_sec > now_sec
                                       ? cookie->expires_sec - now_sec : 0,
                                       is_tls(r), state->pool);
}

/* Surroundings for what comes after the load. */
int session_protocol_env(ha_session_env_t *env, const session_state_t *state,
                         request_rec *r)
{
    apr_interval_time_t budget = budget_of(state);
    apr_interval_time_t left = budget - state->spent;

    if (session_is_shut() || !fill_env(env, state)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0308)
                      "no random bytes, no store or no secrets: the session "
                      "is not saved");
        return 0;
    }
    if (left < budget - LOAD_SHARE(budget)) {
        left = budget - LOAD_SHARE(budget);
    }
    env->deadline = env->now + left;
    return 1;
}

static int is_good(const ha_saved_t *saved)
{
    return saved->copies > 0 && saved->copies >= saved->acks;
}

static const char *consequence_of(const session_state_t *state)
{
    return ha_conf_save_policy(&state->conf) == HA_SAVE_FAIL
         ? "an error is answered" : "the answer goes out";
}

static void say_few(const session_state_t *state, const ha_saved_t *saved,
                    const char *tag, request_rec *r)
{
    session_alarm_t *alarm = &session_site()->counts->few;

    if (is_good(saved)) {
        if (session_alarm_end(alarm, apr_time_now())) {
            ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, HALOG(0412)
                          "changes are stored on as many nodes as they need "
                          "again, all of them in the last %d s",
                          SESSION_CALM_SEC);
        }
    }
    else if (session_alarm_raise(alarm, apr_time_now())) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, HALOG(0410)
                      "session %s: a change is stored on %u of %u nodes and "
                      "needs %u; %s, and so for others like it until that "
                      "changes", tag, saved->copies, saved->wanted,
                      saved->acks, consequence_of(state));
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, HALOG(0411)
                      "session %s: a change is stored on %u of %u nodes and "
                      "needs %u; %s", tag, saved->copies, saved->wanted,
                      saved->acks, consequence_of(state));
    }
}

void session_protocol_note(session_state_t *state, const ha_saved_t *saved)
{
    session_counts_t *counts = session_site()->counts;

    state->is_failed = saved->copies == 0;
    if (!is_good(saved)) {
        apr_atomic_inc64(&counts->save_failed);
        state->failure = HTTP_SERVICE_UNAVAILABLE;
        state->save = apr_psprintf(state->pool, "%u/%u failed",
                                   saved->copies, saved->wanted);
    }
    else if (saved->put_off > 0
             && saved->copies + saved->put_off >= saved->wanted) {
        apr_atomic_inc64(&counts->save_async);
        state->save = apr_psprintf(state->pool, "%u/%u async",
                                   saved->copies, saved->wanted);
    }
    else if (saved->copies < saved->wanted) {
        apr_atomic_inc64(&counts->save_degraded);
        state->save = apr_psprintf(state->pool, "%u/%u degraded",
                                   saved->copies, saved->wanted);
    }
    else {
        apr_atomic_inc64(&counts->save_full);
        state->save = apr_psprintf(state->pool, "%u/%u", saved->copies,
                                   saved->wanted);
    }
}

/* ---- renew, end ---------------------------------------------------------- */

/* Renew the time to live when this host has not for a while. */
static void touch(session_state_t *state, const ha_session_env_t *env,
                  request_rec *r)
{
    ha_recent_t *recent = session_site()->recent;
    const ha_sid_t *sid = ha_session_sid(state->session);
    ha_saved_t saved;

    if (!is_due(state, sid, env->now)) {
        return;
    }
    session_far_touch(state, &saved, env);
    session_refill_note(&saved, env, sid);
    if (saved.copies > 0) {
        ha_recent_set(recent, sid, env->now);
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, HALOG(0408)
                  "session %s: time to live renewed on %u of %u", sid->tag,
                  saved.copies, saved.wanted);
}

static void end_session(session_state_t *state, ha_session_t *session,
                        request_rec *r)
{
    const char *tag = ha_session_sid(session)->tag;
    ha_session_env_t env;
    ha_saved_t saved = { .wanted = state->replicas, .acks = 1 };

    if (session_protocol_env(&env, state, r)) {
        ha_rotate_end(session, &saved, &env, state->pool);
        /* Who was away must hear of it when it is back, far or near. */
        session_far_send(&saved, &env, ha_session_sid(session), 0);
        saved.put_off = 0;
    }
    session_protocol_note(state, &saved);
    apr_atomic_inc64(&session_site()->counts->ended);
    session_protocol_forget_cookie(state, r);
    if (saved.copies == 0) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0405)
                      "session %s: its end could not be stored on any of %u "
                      "nodes; the browser was told to forget it", tag,
                      saved.wanted);
    }
    else if (saved.copies < saved.wanted) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, HALOG(0406)
                      "session %s: its end is stored on %u of %u nodes", tag,
                      saved.copies, saved.wanted);
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, HALOG(0407)
                      "session %s: ended on %u of %u nodes", tag,
                      saved.copies, saved.wanted);
    }
    state->session = NULL;
    state->late = NULL;
    state->before = apr_table_make(state->pool, 1);
}

/* Whatever became of the session, the browser is to forget it. A logout waits
 * for nobody: it wins over what others do at the same moment. */
static void log_out(session_state_t *state, request_rec *r)
{
    ha_session_t *session = state->late != NULL ? state->late->origin
                          : session_state_is_closed(state)
                          ? ha_session_make(&state->sid, state->pool)
                          : state->session;

    if (session != NULL) {
        end_session(state, session, r);
    }
    else {
        state->save = "nothing";
        if (state->found != SESSION_NONE) {
            session_protocol_forget_cookie(state, r);
        }
    }
    state->z->entries = apr_table_make(state->pool, 1);
}

/* ---- save ---------------------------------------------------------------- */

/* Begin a session under a new id; 0 when the system has no randomness. */
static int begin_session(session_state_t *state, ha_cookie_t *cookie,
                         apr_time_t now)
{
    apr_uint32_t lifetime_sec = ha_conf_lifetime_sec(&state->conf);
    ha_sid_t sid;

    memset(cookie, 0, sizeof(*cookie));
    if (state->user != NULL) {
        state->session = ha_session_make(&state->sid, state->pool);
        return 1;
    }
    if (apr_generate_random_bytes(cookie->id, sizeof(cookie->id))
        != APR_SUCCESS) {
        return 0;
    }
    cookie->issued_sec = (apr_uint32_t)apr_time_sec(now);
    cookie->expires_sec = lifetime_sec > 0
                        ? cookie->issued_sec + lifetime_sec : 0;
    state->expires_sec = cookie->expires_sec;
    ha_sid_init(&sid, cookie->id);
    state->session = ha_session_make(&sid, state->pool);
    return 1;
}

void session_protocol_note_ended(session_state_t *state, const char *tag,
                                 request_rec *r)
{
    state->save = "nothing";
    if (state->late == NULL && !ha_late_is_due(state->session)) {
        session_protocol_forget_cookie(state, r);
    }
    state->session = NULL;
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, HALOG(0404)
                  "session %s: ended meanwhile, the change is dropped", tag);
}

/* Save under the id that there is, or wherever it leads. */
static void save_held(session_state_t *state, ha_saved_t *saved,
                      const ha_session_env_t *env, const ha_op_t *ops,
                      unsigned int count)
{
    if (state->late == NULL) {
        session_far_save(state, saved, env, ops, count);
    }
    if (state->late != NULL || ha_late_is_due(state->session)) {
        session_rotate_late(state, saved, env, ops, count);
    }
}

/* Store the operations; the answer says what came of it. */
static void store(session_state_t *state, const ha_op_t *ops,
                  unsigned int count, request_rec *r)
{
    int is_new = state->session == NULL && state->late == NULL;
    ha_session_env_t env;
    ha_saved_t saved = { .wanted = state->replicas, .acks = 1 };
    ha_cookie_t cookie;
    const char *tag = "(new)";

    if (session_protocol_env(&env, state, r)
        && (!is_new || begin_session(state, &cookie, env.now))) {
        tag = state->late != NULL
            ? ha_session_sid(state->late->origin)->tag
            : ha_session_sid(state->session)->tag;
        save_held(state, &saved, &env, ops, count);
    }
    if (saved.refused) {
        session_protocol_note_ended(state, tag, r);
        return;
    }
    if (saved.copies > 0 && state->late == NULL
        && !ha_late_is_due(state->session)) {
        session_refill_note(&saved, &env, ha_session_sid(state->session));
    }
    session_protocol_note(state, &saved);
    if (saved.copies == 0) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0401)
                      "session %s: %u changes could not be stored on any of "
                      "%u nodes and are lost; %s", tag, count, saved.wanted,
                      consequence_of(state));
        state->session = is_new ? NULL : state->session;
        return;
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, HALOG(0403)
                  "session %s: %u changes stored on %u of %u nodes", tag,
                  count, saved.copies, saved.wanted);
    say_few(state, &saved, tag, r);
    if (!is_good(&saved)
        && ha_conf_save_policy(&state->conf) == HA_SAVE_FAIL) {
        /* What the user is told failed is not his. */
        state->session = is_new ? NULL : state->session;
        state->is_failed = is_new;
    }
    else if (is_new) {
        ha_recent_set(session_site()->recent, ha_session_sid(state->session),
                      env.now);
        session_protocol_send_cookie(state, &cookie, r);
    }
    else if (state->late == NULL && !ha_late_is_due(state->session)) {
        /* A record behind the others does not renew the time to live. */
        touch(state, &env, r);
    }
}

/* Whether the application that is told by a header could not be told. */
static int is_beyond_header(const session_state_t *state,
                            const apr_table_t *table, apr_pool_t *p)
{
    return ha_conf_request_header(&state->conf) != NULL
        && session_header_length(table, p) > SESSION_HEADER_MAX;
}

/* Another request may have it by now, and have read what was there. */
static void refuse_unlocked(session_state_t *state, request_rec *r)
{
    apr_atomic_inc64(&session_site()->counts->save_failed);
    apr_atomic_inc64(&session_site()->counts->lock_lost);
    state->is_failed = 1;
    state->failure = HTTP_SERVICE_UNAVAILABLE;
    state->save = apr_psprintf(state->pool, "0/%u failed", state->replicas);
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0434)
                  "session %s: the nodes did not keep the lock of this "
                  "request; its changes are lost, what was stored before "
                  "stays", state->session != NULL
                  ? ha_session_sid(state->session)->tag : "(new)");
}

/* Warn of a large session once for each doubling of its size. */
static void note_size(const session_state_t *state, const apr_table_t *after,
                      request_rec *r)
{
    volatile apr_uint32_t *sizes = &session_site()->counts->sizes;
    apr_size_t bytes = ha_diff_size(after);
    unsigned int size = ha_diff_size_class(bytes);
    apr_uint32_t bit = (apr_uint32_t)1 << size;
    apr_uint32_t seen = apr_atomic_read32(sizes);

    while (size > 0 && !(seen & bit)) {
        apr_uint32_t was = apr_atomic_cas32(sizes, seen | bit, seen);

        if (was == seen) {
            ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, HALOG(0415)
                          "session %s: %" APR_SIZE_T_FMT " bytes, the first "
                          "above %d kB since the start; large sessions cost "
                          "each request time, and %u nodes memory; above %d "
                          "kB a change is refused", state->session != NULL
                          ? ha_session_sid(state->session)->tag : "(new)",
                          bytes, (HA_SESSION_LARGE / 1024) << (size - 1),
                          state->replicas, HA_SESSION_MAX / 1024);
            return;
        }
        seen = was;
    }
}

/* Whether nothing is left. A user's session is emptied and stays, and an old
 * id may see nothing of a session that is not empty. */
static int is_over(const session_state_t *state, const apr_table_t *after,
                   unsigned int count)
{
    return ha_diff_is_empty(after)
        && (count > 0 ? state->user == NULL : state->late == NULL);
}

static void store_changes(session_state_t *state, request_rec *r)
{
    apr_table_t *after = session_state_table(state, r->pool);
    ha_session_env_t env;
    ha_op_t *ops;
    unsigned int count;
    ha_diff_e result = ha_diff_tables(&ops, &count, state->before, after,
                                      r->pool);
    const char *fault = result != HA_DIFF_OK ? ha_diff_name(result)
                      : count > 0 && is_beyond_header(state, after, r->pool)
                      ? "too large for SessionHARequestHeader" : NULL;

    if (fault != NULL) {
        apr_atomic_inc64(&session_site()->counts->save_failed);
        state->is_failed = 1;
        /* To try again would not help. */
        state->failure = HTTP_INTERNAL_SERVER_ERROR;
        state->save = apr_psprintf(state->pool, "0/%u failed",
                                   state->replicas);
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0402)
                      "session %s: %s; the change is lost, what was stored "
                      "before stays, %s", state->session != NULL
                      ? ha_session_sid(state->session)->tag : "(new)",
                      fault, consequence_of(state));
    }
    else if (is_over(state, after, count)) {
        if (state->user == NULL
            && (state->session != NULL || state->late != NULL)) {
            log_out(state, r);
            return;
        }
        state->save = state->session != NULL ? "unchanged" : "nothing";
    }
    else if (count > 0 && !session_lock_is_sound(state)) {
        refuse_unlocked(state, r);
    }
    else if (!state->is_again && state->user == NULL
             && (state->session != NULL || state->late != NULL)
             && session_control_is_rotate(state, ops, count, r)) {
        session_rotate(state, ops, count, r);
    }
    else if (count > 0) {
        note_size(state, after, r);
        store(state, ops, count, r);
    }
    else {
        state->save = "unchanged";
        if (state->late == NULL && session_protocol_env(&env, state, r)) {
            touch(state, &env, r);
        }
    }
}

void session_protocol_reopen(session_state_t *state)
{
    if (state->save == NULL) {
        return;
    }
    if (!state->is_failed) {
        state->before = session_state_table(state, state->pool);
    }
    state->save = NULL;
    state->is_again = 1;
    state->z->written = 0;
}

void session_state_save(session_state_t *state, request_rec *r)
{
    if (state->save != NULL) {
        return;
    }
    if (state->found != SESSION_BLOCKED && state->user == NULL
        && session_control_is_logout(r)) {
        log_out(state, r);
    }
    else if (session_state_is_closed(state)) {
        state->save = "nothing";
        return;
    }
    else if (state->user != NULL && session_control_is_logout(r)) {
        state->z->entries = apr_table_make(state->pool, 1);
        store_changes(state, r);
    }
    else {
        store_changes(state, r);
    }
    state->z->dirty = 0;
    state->z->written = 1;
}
