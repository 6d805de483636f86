/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_method.h"

#include <apr_time.h>
#include <http_log.h>

#include "clone_admit.h"
#include "clone_attempt.h"
#include "clone_learn_hooks.h"
#include "clone_decision.h"
#include "clone_request.h"
#include "clone_server.h"
#include "clone_track.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* All that keeps a member from work, but not an error that time heals. */
#define UNFIT_BITS \
    (PROXY_WORKER_NOT_USABLE_BITMAP & ~(unsigned int)PROXY_WORKER_IN_ERROR)

/* Whether an error is old enough for another trial. */
static int is_trial_due(const proxy_worker *worker)
{
    return (worker->s->status & PROXY_WORKER_IN_ERROR)
           && ((worker->s->status & PROXY_WORKER_IGNORE_ERRORS)
               || apr_time_now() > worker->s->error_time + worker->s->retry);
}

/* In error, and nothing else: somebody to ask when all others are gone. */
static int is_last_resort(const proxy_worker *worker,
                          const proxy_balancer *balancer)
{
    return PROXY_WORKER_IS_INITIALIZED(worker)
           && !(worker->s->status & UNFIT_BITS)
           && (balancer->s->forcerecovery
               || !(worker->s->status & PROXY_WORKER_IN_ERROR));
}

/* Whether a member that has failed before may be asked just by others. */
static int is_left_to_others(const clone_request_t *req,
                             const proxy_worker *worker)
{
    clone_health_member_t *member = clone_attempt_health(worker);

    return member != NULL && member != req->trial_of
           && clone_health_failures(member) >= req->conf.retry.failures
           && clone_health_is_on_trial(member, apr_time_now());
}

static int is_usable(const proxy_worker *worker)
{
    return PROXY_WORKER_IS_USABLE(worker)
           || (PROXY_WORKER_IS_INITIALIZED(worker)
               && !(worker->s->status & UNFIT_BITS) && is_trial_due(worker));
}

static void view_member(clone_member_t *member, const proxy_worker *worker,
                        const clone_request_t *req)
{
    const proxy_worker_shared *s = worker->s;

    member->route = span_of_text(s->route);
    member->redirect = s->redirect;
    /* The route is the same on all routers; the URL may not be. */
    member->name = s->route[0] != '\0' ? member->route
                                       : span_of_text(s->name_ex);
    member->weight = s->lbfactor > 0 ? (unsigned int)s->lbfactor : 1;
    member->lbset = s->lbset;
    member->is_usable = is_usable(worker) != 0;
    member->is_tried = clone_request_is_tried(req, worker);
    member->is_draining = PROXY_WORKER_IS_DRAINING(worker) != 0;
    member->is_standby = PROXY_WORKER_IS_STANDBY(worker) != 0;
    member->is_spare = PROXY_WORKER_IS_SPARE(worker) != 0;
}

static proxy_worker *worker_at(const proxy_balancer *balancer, unsigned int i)
{
    void *first = balancer->workers->elts;

    return ((proxy_worker **)first)[i];
}

static clone_member_t *view_members(const proxy_balancer *balancer,
                                    const clone_request_t *req, apr_pool_t *p)
{
    unsigned int count = (unsigned int)balancer->workers->nelts;
    clone_member_t *members = apr_palloc(p, (count + 1) * sizeof(*members));
    unsigned int i;

    for (i = 0; i < count; i++) {
        view_member(&members[i], worker_at(balancer, i), req);
    }
    return members;
}

/*
 * Be the one who tries a member that has failed too often. Others go
 * elsewhere meanwhile, if there is a place to go.
 */
static int is_mine_to_try(clone_request_t *req, const proxy_worker *worker)
{
    clone_health_member_t *member = clone_attempt_health(worker);
    apr_time_t now;

    if (member == NULL || member == req->trial_of
        || clone_health_failures(member) < req->conf.retry.failures) {
        return 1;
    }
    now = apr_time_now();
    req->trial = clone_health_begin_trial(member, now,
                                          now + CLONE_TRIAL_USEC);
    req->trial_of = req->trial != 0 ? member : NULL;
    return req->trial != 0;
}

/* Take a member out of error if that is what it is in. */
static int is_ready_now(clone_request_t *req, proxy_worker *worker,
                        server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(ap_proxy_retry_worker) *retry;

    if (!is_mine_to_try(req, worker)) {
        return 0;
    }
    if (PROXY_WORKER_IS_USABLE(worker)) {
        return 1;
    }
    retry = APR_RETRIEVE_OPTIONAL_FN(ap_proxy_retry_worker);
    if (retry != NULL) {
        (void)retry("BALANCER", worker, s);
    }
    return PROXY_WORKER_IS_USABLE(worker);
}

void clone_method_count(proxy_balancer *balancer, proxy_worker *elected)
{
    int total = 0;
    int i;

    for (i = 0; i < balancer->workers->nelts; i++) {
        proxy_worker *worker = worker_at(balancer, (unsigned int)i);

        if (PROXY_WORKER_IS_USABLE(worker)) {
            worker->s->lbstatus += worker->s->lbfactor;
            total += worker->s->lbfactor;
        }
    }
    elected->s->lbstatus -= total;
}

/*
 * Requests that follow their session count for the method under ours, as they
 * do for mod_proxy_balancer: by its own rule, or by that of byrequests.
 */
static void account(proxy_balancer *balancer, proxy_balancer_method *base,
                    proxy_worker *elected, server_rec *s)
{
    if (base->updatelbstatus != NULL) {
        (void)base->updatelbstatus(balancer, elected, s);
    }
    else {
        clone_method_count(balancer, elected);
    }
}

/*
 * Nobody is left but members that are down, maybe back by now and not due for
 * a trial, or on trial by another request. A 503 would be worse than asking.
 */
static proxy_worker *resort_to(proxy_worker *worker)
{
    worker->s->status &= ~(unsigned int)PROXY_WORKER_IN_ERROR;
    return worker;
}

static void add_last_resorts(clone_member_t *members,
                             const proxy_balancer *balancer)
{
    unsigned int i;

    for (i = 0; i < (unsigned int)balancer->workers->nelts; i++) {
        members[i].is_usable = is_last_resort(worker_at(balancer, i),
                                              balancer) != 0;
    }
}

/*
 * Who is named first by the first session, if nothing speaks against asking
 * it: the answer for nearly all requests, found without a look at the others,
 * of whom there may be hundreds.
 */
static proxy_worker *find_named_first(const proxy_balancer *balancer,
                                      clone_request_t *req, server_rec *s)
{
    const clone_ids_t *ids = &req->sessions[0];
    proxy_worker *worker;
    unsigned int i;

    if (ids->count == 0
        || !clone_request_find_member(&i, balancer, ids->clone[0])) {
        return NULL;
    }
    worker = worker_at(balancer, i);
    if (PROXY_WORKER_IS_DRAINING(worker)
        || clone_request_is_tried(req, worker) || !is_usable(worker)
        || !is_ready_now(req, worker, s)) {
        return NULL;
    }
    req->choice.reason = CLONE_REASON_FIRST;
    req->choice.member = i;
    req->choice.session = 0;
    return worker;
}

static proxy_worker *find_by_view(proxy_balancer *balancer,
                                  clone_request_t *req, request_rec *r)
{
    clone_member_t *members = view_members(balancer, req, r->pool);
    const clone_ids_t *sessions = clone_learn_hooks_view(req, members,
                                                         balancer, r);
    int is_resort = 0;

    clone_track_hide(members, balancer, req, r);
    for (;;) {
        proxy_worker *worker;

        clone_route_choose(&req->choice, members,
                           (unsigned int)balancer->workers->nelts,
                           sessions, req->session_count,
                           balancer->s->sticky_force);
        if (req->choice.reason == CLONE_REASON_NONE) {
            if (is_resort || balancer->s->sticky_force) {
                return NULL;
            }
            is_resort = 1;
            add_last_resorts(members, balancer);
            continue;
        }
        worker = worker_at(balancer, req->choice.member);
        if (is_resort) {
            return resort_to(worker);
        }
        if (is_ready_now(req, worker, r->server)) {
            return worker;
        }
        /* Somebody changed it since we looked; one fewer to choose from. */
        members[req->choice.member].is_usable = 0;
    }
}

static proxy_worker *find_by_session(proxy_balancer *balancer,
                                     clone_request_t *req, request_rec *r)
{
    proxy_worker *worker = find_named_first(balancer, req, r->server);

    return worker != NULL ? worker : find_by_view(balancer, req, r);
}

/* Who asks for another member than the one that the method under ours took. */
typedef struct asker_t {
    clone_request_t *req;
    const request_rec *r;
    apr_uint64_t seed; /* of what this session draws */
    apr_time_t now;
    int is_sparing; /* leaves out who is just back */
} asker_t;

/* Whether a member takes new sessions, and not just for the moment. */
static int is_here(const asker_t *asker, const proxy_worker *worker)
{
    const clone_health_member_t *member = clone_attempt_health(worker);

    if (!PROXY_WORKER_IS_INITIALIZED(worker)
        || (worker->s->status & UNFIT_BITS)
        || PROXY_WORKER_IS_DRAINING(worker)
        || (member != NULL && clone_health_failures(member)
                              >= asker->req->conf.retry.failures)) {
        return 0;
    }
    return !(worker->s->status & PROXY_WORKER_IN_ERROR)
           || asker->now - worker->s->error_time < CLONE_AWAY_USEC;
}

/* New sessions come often enough to see who was away. Whom nobody has seen
 * before has been added, unless all are new. */
static void watch_members(const asker_t *asker, const proxy_balancer *balancer)
{
    clone_board_t *board = clone_track_board();
    clone_slot_no all = clone_track_balancer(asker->req, asker->r);
    apr_time_t unseen = 1;
    unsigned int i;

    if (all != 0) {
        clone_board_watch(board, all, 1, asker->now, asker->now);
        if (asker->now - clone_board_back(board, all) > CLONE_AWAY_USEC) {
            unseen = asker->now;
        }
    }
    for (i = 0; i < (unsigned int)balancer->workers->nelts; i++) {
        const proxy_worker *worker = worker_at(balancer, i);
        clone_slot_no slot = clone_track_member(asker->req, asker->r, worker);

        if (slot != 0) {
            clone_board_watch(board, slot, is_here(asker, worker), unseen,
                              asker->now);
        }
    }
}

/* Whether a member is back for so short that this session is for others. */
static int is_spared(const asker_t *asker, const proxy_worker *worker)
{
    const clone_limit_conf_t *limit = &asker->req->conf.limit;
    clone_slot_no slot;
    unsigned int share;

    if (!asker->is_sparing) {
        return 0;
    }
    slot = clone_track_member(asker->req, asker->r, worker);
    share = slot == 0 ? CLONE_SHARE_WHOLE
                      : clone_limit_share(limit, clone_board_back(
                                              clone_track_board(), slot),
                                          asker->now);
    return share < CLONE_SHARE_WHOLE
           && !clone_limit_draw(share, asker->seed ^ worker->s->hash.def);
}

static int is_out(const asker_t *asker, const proxy_worker *worker)
{
    return clone_request_is_tried(asker->req, worker)
           || is_left_to_others(asker->req, worker)
           || clone_admit_is_full(asker->req, asker->r, worker)
           || is_spared(asker, worker);
}

static void begin(asker_t *asker, const proxy_balancer *balancer,
                  clone_request_t *req, const request_rec *r)
{
    memset(asker, 0, sizeof(*asker));
    asker->req = req;
    asker->r = r;
    asker->is_sparing = req->conf.limit.slow_start > 0;
    if (asker->is_sparing) {
        asker->now = apr_time_now();
        asker->seed = (apr_uint64_t)asker->now ^ (apr_uintptr_t)r;
        watch_members(asker, balancer);
    }
}

/* Least loaded by byrequests' rule, of those that did not fail this request. */
static int is_untried_better(proxy_worker *current, proxy_worker *best,
                             void *baton)
{
    const asker_t *asker = baton;

    return !is_out(asker, current)
           && (best == NULL || is_out(asker, best)
               || current->s->lbstatus > best->s->lbstatus);
}

static proxy_worker *find_last_resort(const proxy_balancer *balancer,
                                      const clone_request_t *req)
{
    unsigned int i;

    for (i = 0; i < (unsigned int)balancer->workers->nelts; i++) {
        proxy_worker *worker = worker_at(balancer, i);

        if (!clone_request_is_tried(req, worker)
            && !PROXY_WORKER_IS_DRAINING(worker)
            && is_last_resort(worker, balancer)) {
            return resort_to(worker);
        }
    }
    return NULL;
}

/* Another member than the one offered; NULL when all are out. */
static proxy_worker *find_other(proxy_balancer *balancer, request_rec *r,
                                asker_t *asker)
{
    proxy_worker *other = ap_proxy_balancer_get_best_worker(
        balancer, r, is_untried_better, asker);

    return other != NULL && !is_out(asker, other) ? other : NULL;
}

/*
 * The method under ours knows nothing of members that failed this very
 * request, with retry=0 it would offer them again until attempts run out; nor
 * of members that another request is trying, that are full, or just back.
 */
static proxy_worker *find_by_base(proxy_balancer *balancer,
                                  proxy_balancer_method *base,
                                  clone_request_t *req, request_rec *r)
{
    proxy_worker *worker;
    proxy_worker *other;
    asker_t asker;
    int is_offered;
    int is_full;
    int is_spared_only;

    begin(&asker, balancer, req, r);
    worker = base->finder(balancer, r);
    is_offered = worker != NULL && !clone_request_is_tried(req, worker);
    is_full = is_offered && clone_admit_is_full(req, r, worker);
    is_spared_only = is_offered && !is_full && is_spared(&asker, worker);
    if (is_offered && !is_full && !is_spared_only
        && is_mine_to_try(req, worker)) {
        return worker;
    }
    other = find_other(balancer, r, &asker);
    if (other == NULL && is_spared_only && is_mine_to_try(req, worker)) {
        return worker;
    }
    if (other == NULL && asker.is_sparing) {
        /* Who is just back has room, and nobody else has. */
        asker.is_sparing = 0;
        other = find_other(balancer, r, &asker);
    }
    if (other != NULL) {
        if (is_full) {
            clone_admit_pass(req, r, worker);
        }
        if (is_full || is_spared_only) {
            account(balancer, base, other, r->server);
        }
        return other;
    }
    /* When all are full, it waits where it was sent. */
    return is_full && is_mine_to_try(req, worker)
               ? worker : find_last_resort(balancer, req);
}

static proxy_balancer_method *base_of(const proxy_balancer *balancer,
                                      server_rec *s)
{
    const char *name = balancer->s->name;

    return clone_server_base(clone_server_known(s, name), s, name);
}

static proxy_worker *find(proxy_balancer *balancer, request_rec *r)
{
    clone_request_t *req = clone_request_get(r);
    proxy_balancer_method *base;
    proxy_worker *worker;

    if (req == NULL || req->shown != balancer) {
        return base_of(balancer, r->server)->finder(balancer, r);
    }
    base = clone_server_base(req->known, r->server, balancer->s->name);
    if (req->session_count == 0) {
        req->choice.reason = CLONE_REASON_NEW;
        worker = find_by_base(balancer, base, req, r);
    }
    else {
        worker = find_by_session(balancer, req, r);
        if (worker != NULL) {
            account(balancer, base, worker, r->server);
        }
    }
    clone_decision_look(req, balancer, r);
    if (worker == NULL) {
        if (balancer->s->sticky_force && req->session_count > 0) {
            /* Waiting for another member is of no use; ours is a copy. */
            balancer->s->timeout = 0;
        }
        req->choice.reason = CLONE_REASON_NONE;
        clone_request_export(req, r, NULL);
        clone_request_retry_after(req, r);
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, CRLOG(0202)
                      "%s: nobody: %u sessions given, %d of %d members tried%s",
                      balancer->s->name, req->session_count,
                      req->tried->nelts, balancer->workers->nelts,
                      balancer->s->sticky_force ? ", nofailover" : "");
    }
    return worker;
}

static apr_status_t reset(proxy_balancer *balancer, server_rec *s)
{
    proxy_balancer_method *base = base_of(balancer, s);

    return base->reset != NULL ? base->reset(balancer, s) : APR_SUCCESS;
}

static apr_status_t age(proxy_balancer *balancer, server_rec *s)
{
    proxy_balancer_method *base = base_of(balancer, s);

    return base->age != NULL ? base->age(balancer, s) : APR_SUCCESS;
}

static apr_status_t update(proxy_balancer *balancer, proxy_worker *elected,
                           server_rec *s)
{
    account(balancer, base_of(balancer, s), elected, s);
    return APR_SUCCESS;
}

proxy_balancer_method clone_method = {
    CLONE_METHOD_NAME, find, NULL, reset, age, update
};
