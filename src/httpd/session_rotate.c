/* SPDX-License-Identifier: Apache-2.0 */
#include "session_rotate.h"

#include <http_config.h>
#include <http_log.h>

#include <apr_atomic.h>
#include <apr_general.h>

#include "log_tags.h"
#include "session_protocol.h"

APLOG_USE_MODULE(session_ha);

ha_load_e session_rotate_follow(session_state_t *state, ha_session_t *old,
                                request_rec *r)
{
    ha_late_t *late = apr_palloc(state->pool, sizeof(*late));
    ha_load_e result = session_protocol_follow(late, state, old);

    if (result == HA_LOAD_HIT) {
        state->late = late;
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, HALOG(0423)
                  "session %s: its id was rotated, what was before that is "
                  "%s", ha_session_sid(old)->tag, ha_load_name(result));
    return result;
}

void session_rotate_late(session_state_t *state, ha_saved_t *saved,
                         const ha_session_env_t *env, const ha_op_t *ops,
                         unsigned int count)
{
    ha_session_env_t there = *env;
    ha_late_t late;

    /* What is brought behind the request goes by one id, and here are two. */
    there.far_later = 0;
    if (state->late != NULL) {
        ha_late_save(state->late, saved, &there, ops, count);
    }
    else if (ha_late_follow(&late, state->session, state->since, &there,
                            state->pool) == HA_LOAD_HIT) {
        ha_late_save(&late, saved, &there, ops, count);
    }
    else {
        memset(saved, 0, sizeof(*saved));
        saved->wanted = state->replicas;
        saved->refused = !late.is_unknown;
    }
}

/* A cookie for a session that goes on: it ends when it would have ended. */
static int make_cookie(ha_cookie_t *cookie, const session_state_t *state,
                       apr_time_t now)
{
    memset(cookie, 0, sizeof(*cookie));
    cookie->issued_sec = (apr_uint32_t)apr_time_sec(now);
    cookie->expires_sec = state->expires_sec;
    return apr_generate_random_bytes(cookie->id, sizeof(cookie->id))
        == APR_SUCCESS;
}

static ha_forward_t make_forward(const session_state_t *state,
                                 const ha_cookie_t *cookie, apr_time_t now)
{
    apr_interval_time_t grace = ha_conf_rotate_grace(&state->conf);
    ha_forward_t forward;

    memset(&forward, 0, sizeof(forward));
    forward.until = grace > 0 ? now + grace : 0;
    forward.issued_sec = cookie->issued_sec;
    forward.expires_sec = cookie->expires_sec;
    memcpy(forward.id, cookie->id, sizeof(forward.id));
    return forward;
}

static void note_done(session_state_t *state, ha_session_t *old,
                      ha_session_t *fresh, const ha_saved_t *saved,
                      const ha_saved_t *left, request_rec *r)
{
    const char *tag = ha_session_sid(old)->tag;

    state->session = fresh;
    state->late = NULL;
    session_protocol_note(state, saved);
    apr_atomic_inc64(&session_site()->counts->rotated);
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, HALOG(0420)
                  "session %s: goes on as session %s, stored on %u of %u "
                  "nodes", tag, ha_session_sid(fresh)->tag, saved->copies,
                  saved->wanted);
    if (left->copies == 0) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0425)
                      "session %s: the end of its old id could not be stored "
                      "on any of %u nodes; what was in it before stays open "
                      "to that id", tag, left->wanted);
    }
    else if (left->copies < left->wanted) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, HALOG(0422)
                      "session %s: the end of its old id is stored on %u of "
                      "%u nodes", tag, left->copies, left->wanted);
    }
}

/* Nothing has changed, and so nobody is logged in under the old id. */
static void note_failed(session_state_t *state, unsigned int count,
                        const ha_saved_t *saved, const char *tag,
                        request_rec *r)
{
    session_protocol_note(state, saved);
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0421)
                  "session %s: could not be stored under a new id on any of "
                  "%u nodes; it stays as it was, %u changes are lost", tag,
                  saved->wanted, count);
}

void session_rotate(session_state_t *state, const ha_op_t *ops,
                    unsigned int count, request_rec *r)
{
    ha_session_t *old = state->late != NULL ? state->late->origin
                                            : state->session;
    const char *tag = ha_session_sid(old)->tag;
    ha_saved_t saved = { .wanted = state->replicas, .acks = 1 };
    ha_rotate_e result = HA_ROTATE_FAILED;
    ha_session_t *fresh = NULL;
    ha_session_env_t env;
    ha_cookie_t cookie;
    ha_saved_t left;

    if (session_protocol_env(&env, state, r)
        && make_cookie(&cookie, state, env.now)) {
        ha_forward_t forward = make_forward(state, &cookie, env.now);
        ha_sid_t sid;

        ha_sid_init(&sid, cookie.id);
        fresh = state->late != NULL
              ? ha_late_copy(state->late, &sid, state->pool)
              : ha_rotate_copy(old, NULL, &sid, state->pool);
        result = ha_rotate_session(fresh, old, &forward, &saved, &left, &env,
                                   ops, count);
    }
    switch (result) {
    case HA_ROTATE_DONE:
        note_done(state, old, fresh, &saved, &left, r);
        ha_recent_set(session_site()->recent, ha_session_sid(fresh), env.now);
        session_protocol_send_cookie(state, &cookie, r);
        break;
    case HA_ROTATE_ENDED:
        session_protocol_note_ended(state, tag, r);
        break;
    case HA_ROTATE_FAILED:
    default:
        note_failed(state, count, &saved, tag, r);
        break;
    }
}
