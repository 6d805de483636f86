/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_track.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>

#include "clone_drain.h"
#include "clone_server.h"
#include "clone_shared.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* Made in the parent, then the same pointers in all children. */
static clone_board_t *the_board;
static clone_sessions_t *the_sessions;

/* What is worked out once for a request. */
struct clone_track_t {
    clone_board_key_t key;      /* its balancer's */
    const proxy_worker *worker; /* whose number slot is, or NULL */
    clone_slot_no slot;
    clone_flight_t flight;      /* slot 0: none is under way */
    int is_place;               /* which was taken before the attempt */
    span_t session;             /* whose hash is known; data NULL: none */
    apr_uint64_t hash;
};

clone_board_t *clone_track_board(void)
{
    return the_board;
}

const clone_sessions_t *clone_track_sessions(void)
{
    return the_sessions;
}

/* ---- start --------------------------------------------------------------- */

static apr_status_t open_board(server_rec *s)
{
    unsigned char key[CLONE_BOARD_KEY];
    void *memory;
    apr_status_t rv = clone_shared_get(&memory, "board", clone_board_size(),
                                       s);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!clone_board_is_made(memory)) {
        rv = apr_generate_random_bytes(key, sizeof(key));
        if (rv != APR_SUCCESS) {
            return rv;
        }
        clone_board_init(memory, key);
    }
    the_board = memory;
    return APR_SUCCESS;
}

static apr_status_t open_sessions(server_rec *s)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);
    unsigned int sessions = clone_server_conf_sessions(server->conf);
    void *memory;
    apr_status_t rv = clone_shared_get(&memory, "sessions",
                                       clone_sessions_size(sessions), s);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (clone_sessions_since(memory) == 0) {
        clone_sessions_init(memory, sessions, apr_time_now());
    }
    the_sessions = memory;
    return APR_SUCCESS;
}

int clone_track_post_config(apr_pool_t *pconf, apr_pool_t *plog,
                            apr_pool_t *ptemp, server_rec *s)
{
    apr_status_t rv;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    rv = open_board(s);
    if (rv == APR_SUCCESS) {
        rv = open_sessions(s);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, CRLOG(0140)
                     "no shared memory to count sessions in; see "
                     "ProxyCloneSessions");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

void clone_track_child_init(apr_pool_t *pchild, server_rec *s)
{
    clone_board_begin(the_board);
}

/* ---- members ------------------------------------------------------------- */

const char *clone_track_id(const proxy_worker *worker)
{
    return worker->s->route[0] != '\0' ? worker->s->route
                                       : worker->s->name_ex;
}

clone_slot_no clone_track_slot(const char *balancer,
                               const proxy_worker *worker)
{
    clone_board_key_t key;

    clone_board_key(&key, the_board, span_of_text(balancer));
    return clone_board_slot(the_board, &key,
                            span_of_text(clone_track_id(worker)));
}

/* ---- requests ------------------------------------------------------------ */

static apr_status_t land(void *data)
{
    struct clone_track_t *track = data;

    if (track->flight.slot != 0) {
        clone_board_leave(the_board, track->flight);
        track->flight.slot = 0;
        track->is_place = 0;
    }
    return APR_SUCCESS;
}

static struct clone_track_t *track_of(clone_request_t *req,
                                      const request_rec *r)
{
    if (req->track == NULL) {
        req->track = apr_pcalloc(r->pool, sizeof(*req->track));
        clone_board_key(&req->track->key, the_board,
                        span_of_text(req->shown->s->name));
        /* Not in a process that is forked to become a CGI script. */
        apr_pool_cleanup_register(r->pool, req->track, land,
                                  apr_pool_cleanup_null);
    }
    return req->track;
}

static clone_slot_no slot_of(struct clone_track_t *track,
                             const proxy_worker *worker)
{
    if (track->worker != worker) {
        track->worker = worker;
        track->slot = clone_board_slot(the_board, &track->key,
                                       span_of_text(clone_track_id(worker)));
    }
    return track->slot;
}

static apr_uint64_t hash_of(struct clone_track_t *track, span_t session)
{
    if (track->session.data == NULL
        || !span_is_equal(track->session, session)) {
        track->session = session;
        track->hash = clone_board_hash(&track->key, session);
    }
    return track->hash;
}

clone_slot_no clone_track_member(clone_request_t *req, const request_rec *r,
                                 const proxy_worker *worker)
{
    return slot_of(track_of(req, r), worker);
}

/* No member has an empty name. */
clone_slot_no clone_track_balancer(clone_request_t *req, const request_rec *r)
{
    return clone_board_slot(the_board, &track_of(req, r)->key,
                            span_of("", 0));
}

void clone_track_land(const request_rec *r)
{
    const request_rec *at;

    for (at = r; at != NULL; at = at->prev) {
        const clone_request_t *before = clone_request_get(at);

        if (before != NULL && before->track != NULL) {
            (void)land(before->track);
        }
    }
}

int clone_track_take(clone_request_t *req, const request_rec *r,
                     const proxy_worker *worker, unsigned int most)
{
    struct clone_track_t *track = track_of(req, r);

    track->is_place = clone_board_try(&track->flight, the_board,
                                      slot_of(track, worker), most,
                                      apr_time_now());
    return track->is_place;
}

int clone_track_has_place(const clone_request_t *req,
                          const proxy_worker *worker)
{
    return req->track != NULL && req->track->is_place
           && slot_of(req->track, worker) == req->track->flight.slot;
}

/* One that was counted without asking lasts until the last byte. */
void clone_track_give_back(const clone_request_t *req)
{
    if (req->track != NULL && req->track->is_place) {
        (void)land(req->track);
    }
}

/*
 * A client's request is under way until its pool goes, which is after the
 * last byte, and for a tunnel after its end. With the next attempt, or with
 * an internal redirect, it is no longer at the member before.
 */
int clone_track_begin(request_rec *r, proxy_worker *worker,
                      proxy_server_conf *conf, char *url,
                      const char *proxyhost, apr_port_t proxyport)
{
    clone_request_t *req = clone_request_get(r);
    clone_slot_no slot;

    if (req == NULL || clone_track_has_place(req, worker)) {
        return DECLINED;
    }
    clone_track_land(r);
    slot = slot_of(track_of(req, r), worker);
    if (slot != 0) {
        req->track->flight = clone_board_enter(the_board, slot);
    }
    return DECLINED;
}

static void live(clone_request_t *req, span_t session, apr_time_t now)
{
    struct clone_track_t *track = req->track;
    apr_uint32_t idle_sec = clone_conf_session_idle(&req->conf);

    if (!clone_sessions_add(the_sessions, hash_of(track, session),
                            track->slot, idle_sec, now)) {
        clone_board_miss(the_board, track->slot, now + apr_time_from_sec(
                             (apr_interval_time_t)idle_sec + 1));
    }
}

/* The session that a request came with and that decided; or none. */
static span_t session_of(const clone_request_t *req)
{
    return req->session_count > 0
               ? req->sessions[req->choice.session].session : span_of("", 0);
}

void clone_track_answer(const clone_answer_t *answer)
{
    clone_request_t *req = answer->req;
    struct clone_track_t *track = track_of(req, answer->r);
    span_t old = session_of(req);
    unsigned int i;

    if (slot_of(track, answer->worker) == 0) {
        return;
    }
    if (answer->count > 0 && old.len > 0) {
        clone_sessions_remove(the_sessions, hash_of(track, old));
    }
    if (answer->count == 0 && old.len > 0) {
        live(req, old, answer->now);
    }
    for (i = 0; i < answer->count; i++) {
        if (answer->issued[i].ids.session.len > 0) {
            live(req, answer->issued[i].ids.session, answer->now);
        }
    }
}

/* A request that took long kept its session from idling, if it is there. */
static void note_end(const request_rec *r, clone_request_t *req,
                     apr_time_t now)
{
    struct clone_track_t *track = track_of(req, r);
    clone_slot_no slot = slot_of(track, req->last);
    span_t session = session_of(req);
    apr_uint32_t left;

    if (slot == 0) {
        return;
    }
    clone_board_note(the_board, slot, now);
    if (session.len > 0
        && clone_sessions_find(the_sessions, hash_of(track, session), now,
                               &left) == slot
        && left <= clone_conf_session_idle(&req->conf)) {
        live(req, session, now);
    }
}

int clone_track_end(request_rec *r)
{
    apr_time_t now = apr_time_now();
    const request_rec *at;

    for (at = r; at != NULL; at = at->next) {
        clone_request_t *req = clone_request_get(at);

        if (req != NULL && req->last != NULL) {
            note_end(at, req, now);
        }
    }
    clone_sessions_sweep(the_sessions, now);
    return DECLINED;
}

/* ---- sessions that leave ------------------------------------------------- */

/* The session that lists a member. A clone id that was learned is no route;
 * the first session is the likeliest then. */
static const clone_ids_t *find_session(const clone_request_t *req,
                                       span_t route)
{
    unsigned int s;
    unsigned int i;

    for (s = 0; s < req->session_count; s++) {
        for (i = 0; i < req->sessions[s].count; i++) {
            if (span_is_equal(req->sessions[s].clone[i], route)) {
                return &req->sessions[s];
            }
        }
    }
    return req->sessions;
}

static int is_leaving(clone_leave_t *leave, struct clone_track_t *track,
                      const proxy_worker *worker, const clone_ids_t *session,
                      apr_time_t now)
{
    clone_slot_no slot = slot_of(track, worker);
    apr_uint32_t left;
    unsigned int owner;

    if (slot == 0) {
        return 0;
    }
    owner = clone_sessions_find(the_sessions,
                                hash_of(track, session->session), now,
                                &left);
    leave->drained = now - clone_board_drain(the_board, slot, 1, now);
    leave->idle = -1; /* has left already, or was never seen */
    if (owner == slot) {
        leave->idle = leave->idle_max - apr_time_from_sec(left)
                      + apr_time_from_sec(1);
        if (leave->idle < 0) {
            leave->idle = 0; /* another virtual host lets it idle for longer */
        }
    }
    return clone_drain_leaves(leave);
}

static int has_another(const clone_member_t *members, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (members[i].is_usable && !members[i].is_tried
            && !members[i].is_draining) {
            return 1;
        }
    }
    return 0;
}

void clone_track_hide(clone_member_t *members, const proxy_balancer *balancer,
                      clone_request_t *req, request_rec *r)
{
    proxy_worker **workers = (void *)balancer->workers->elts;
    unsigned int count = (unsigned int)balancer->workers->nelts;
    apr_time_t now = apr_time_now();
    clone_leave_t leave;
    unsigned int i;

    leave.deadline = clone_conf_drain_deadline(&req->conf);
    if (leave.deadline < 0 || balancer->s->sticky_force
        || !has_another(members, count)) {
        return;
    }
    leave.within = clone_conf_drain_within(&req->conf);
    leave.idle_max = apr_time_from_sec(
        (apr_interval_time_t)clone_conf_session_idle(&req->conf));
    for (i = 0; i < count; i++) {
        const clone_ids_t *session;

        if (!members[i].is_draining || !members[i].is_usable) {
            continue;
        }
        session = find_session(req, members[i].route);
        if (is_leaving(&leave, track_of(req, r), workers[i], session, now)) {
            members[i].is_usable = 0;
        }
    }
}
