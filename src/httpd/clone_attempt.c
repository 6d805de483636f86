/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_proxy knows one kind of failed attempt: 503, and the member is marked
 * as in error for a minute. Here it is told apart whether the member had the
 * request, and a member is marked after some failures in a row, never the
 * last one that is usable. What is in error is shown and healed where
 * mod_proxy keeps it: in the member's status.
 */
#include "clone_attempt.h"

#include <apr_cstr.h>
#include <http_log.h>

#include "clone_decision.h"
#include "clone_shared.h"
#include "clone_track.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

static clone_health_t *health;
static clone_budget_t *budget;

int clone_attempt_post_config(apr_pool_t *pconf, apr_pool_t *plog,
                              apr_pool_t *ptemp, server_rec *s)
{
    void *memory;
    apr_status_t rv;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    rv = clone_shared_get(&memory, "health", clone_health_size(), s);
    health = memory;
    if (rv == APR_SUCCESS) {
        rv = clone_shared_get(&memory, "budget", clone_budget_size(), s);
        budget = memory;
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, CRLOG(0130)
                     "there is no shared memory to count failures in");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

const clone_budget_t *clone_attempt_budget(void)
{
    return budget;
}

/* mod_proxy's own hash of a name, never 0. */
static apr_uint64_t key_of(const proxy_hashes *hash)
{
    apr_uint64_t key = (apr_uint64_t)hash->def << 32 | hash->fnv;

    return key != 0 ? key : 1;
}

void clone_attempt_earn(clone_request_t *req)
{
    req->bucket = clone_budget_find(budget, key_of(&req->shown->s->hash));
    if (req->bucket != NULL) {
        clone_bucket_earn(req->bucket, (unsigned int)req->conf.retry.budget);
    }
}

/* Whether one more request may be sent again. Who has no bucket may. */
static int is_paid(const clone_request_t *req)
{
    unsigned int floor = (unsigned int)req->conf.retry.budget_floor;

    if (req->bucket == NULL
        || ((req->conf.retry.budget > 0 || floor > 0)
            && clone_bucket_take(req->bucket, floor, apr_time_now()))) {
        return 1;
    }
    clone_budget_note(budget, CLONE_BUDGET_REFUSED);
    return 0;
}

clone_health_member_t *clone_attempt_health(const proxy_worker *worker)
{
    return clone_health_find(health, key_of(&worker->s->hash));
}

static int is_scheme(const proxy_worker *worker, const char *scheme)
{
    return apr_cstr_casecmp(worker->s->scheme, scheme) == 0;
}

static int is_http(const proxy_worker *worker)
{
    return is_scheme(worker, "http") || is_scheme(worker, "https");
}

int clone_attempt_is_ours(const proxy_worker *worker,
                          const proxy_server_conf *conf)
{
    return conf->proxies->nelts == 0
           && (is_http(worker) || is_scheme(worker, "ajp"));
}

/* RFC 9110, 9.2.2. HEAD counts as GET in httpd. */
static int is_idempotent(const request_rec *r)
{
    switch (r->method_number) {
    case M_GET:
    case M_PUT:
    case M_DELETE:
    case M_OPTIONS:
    case M_TRACE:
        return 1;
    default:
        return apr_table_get(r->headers_in, "Idempotency-Key") != NULL;
    }
}

/* Whether the connection may become another protocol's. */
static int is_upgrade(const request_rec *r, const proxy_worker *worker)
{
    return r->method_number == M_CONNECT
           || (worker->s->upgrade[0] != '\0'
               && apr_table_get(r->headers_in, "Upgrade") != NULL);
}

int clone_attempt_is_open(const clone_request_t *req, const request_rec *r,
                          const proxy_worker *worker)
{
    return clone_replay_is_open((clone_replay_e)req->conf.retry.replay,
                                is_idempotent(r), is_upgrade(r, worker));
}

/* A request's body is his who reads it; a subrequest sends none. */
static int is_held(const clone_request_t *req, request_rec *r,
                   const proxy_worker *worker)
{
    if (req->body != NULL) {
        return clone_body_is_whole(req->body)
               && !(is_http(worker) && clone_body_was_pulled(req->body));
    }
    return r->main != NULL || !ap_request_has_body(r);
}

/* What the member's answer says of itself: "200", "103", or nothing. */
static const char *status_of(const request_rec *r)
{
    return apr_table_get(r->notes, "proxy-status");
}

/* 102 and 103 go to the client at once. A 100 asks for the body. */
static int is_interim_given(const request_rec *r)
{
    const char *status = status_of(r);

    return status != NULL && status[0] == '1' && strcmp(status, "100") != 0;
}

static void collect(clone_facts_t *facts, const clone_request_t *req,
                    request_rec *r, clone_end_e end)
{
    const proxy_worker *worker = req->last;

    memset(facts, 0, sizeof(*facts));
    facts->end = end;
    facts->allowed = (clone_replay_e)req->conf.retry.replay;
    facts->sends = req->sends + (clone_end_is_sent(end) ? 1 : 0);
    facts->replays = (unsigned int)req->conf.retry.replays;
    facts->timeouts = req->timeouts + (end == CLONE_END_SILENT ? 1 : 0);
    facts->timeout_replays = (unsigned int)req->conf.retry.timeout_replays;
    facts->is_idempotent = is_idempotent(r) != 0;
    facts->is_held = is_held(req, r, worker) != 0;
    facts->is_upgrade = is_upgrade(r, worker) != 0;
    facts->is_given = req->is_given || is_interim_given(r);
    facts->is_reused = end == CLONE_END_LOST && req->is_reused
                       && !req->is_fresh && status_of(r) == NULL;
    facts->is_repeated = req->is_repeated;
    facts->is_excused = req->is_excused
                        || (req->is_fresh && clone_end_is_sent(end));
    facts->is_late = apr_time_now() - r->request_time
                     > req->conf.retry.deadline;
    facts->is_last = req->tried->nelts >= req->shown->s->max_attempts;
}

static int has_other(const clone_request_t *req, const proxy_worker *worker)
{
    proxy_worker *const *workers = (void *)req->shown->workers->elts;
    int i;

    for (i = 0; i < req->shown->workers->nelts; i++) {
        if (workers[i] != worker && PROXY_WORKER_IS_USABLE(workers[i])
            && !PROXY_WORKER_IS_DRAINING(workers[i])
            && !clone_request_is_tried(req, workers[i])) {
            return 1;
        }
    }
    return 0;
}

/* Whether a status that the member answered is one to be tried elsewhere. */
static int is_tried_again(const clone_request_t *req, request_rec *r,
                          int status)
{
    clone_facts_t facts;
    clone_cause_e cause;

    if (!(req->conf.retry.statuses & clone_status_bit(status))
        || !has_other(req, req->last)) {
        return 0;
    }
    collect(&facts, req, r, CLONE_END_STATUS);
    return clone_replay_judge(&cause, &facts) == CLONE_VERDICT_NEXT
           && is_paid(req);
}

void clone_attempt_begin(clone_request_t *req, proxy_worker *worker)
{
    req->last = worker;
    req->began = apr_time_now();
    req->is_sent = 0;
    /* Until create_req knows better: who could not even write may have met a
     * connection that had just been closed. */
    req->is_reused = is_http(worker) != 0;
    req->seen = CLONE_END_ANSWERED;
}

clone_end_e clone_attempt_is_refused(clone_request_t *req, request_rec *r)
{
    if (is_http(req->last) && status_of(r) == NULL) {
        return CLONE_END_GARBLED;
    }
    return req->conf.retry.statuses != 0 && is_tried_again(req, r, r->status)
               ? CLONE_END_STATUS : CLONE_END_ANSWERED;
}

static void end_trial(clone_request_t *req)
{
    if (req->trial_of != NULL) {
        clone_health_end_trial(req->trial_of, req->trial);
        req->trial_of = NULL;
    }
}

void clone_attempt_abandon(clone_request_t *req)
{
    end_trial(req);
}

void clone_attempt_works(clone_request_t *req, request_rec *r)
{
    clone_health_member_t *member = clone_attempt_health(req->last);

    if (member != NULL) {
        if (clone_health_failures(member) >= req->conf.retry.failures) {
            ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, CRLOG(0223)
                          "%s: %s answers again", req->shown->s->name,
                          req->last->s->name_ex);
        }
        clone_health_succeed(member);
    }
    end_trial(req);
}

/*
 * A host without an address, or without TLS: mod_proxy calls that an error of
 * its own, 500, and says nothing else of it than this. Under other words it
 * stays a 500.
 */
static int is_unconnected(const request_rec *r)
{
    const char *notes = apr_table_get(r->notes, "error-notes");

    return notes != NULL
           && (ap_strstr_c(notes, "DNS lookup failure for") != NULL
               || ap_strstr_c(notes, "SSL Handshake") != NULL);
}

/* The connection could not be had, or there was none to be had. */
static clone_end_e end_unsent(const proxy_worker *worker, unsigned int before)
{
    return worker->s->acquire_set && !PROXY_WORKER_IS(worker,
                                                      PROXY_WORKER_IN_ERROR)
           && !(before & (PROXY_WORKER_IN_ERROR | PROXY_WORKER_IGNORE_ERRORS))
               ? CLONE_END_FULL : CLONE_END_UNREACHED;
}

/*
 * mod_proxy_ajp says 503 to a connection that could not be made and to an
 * idempotent request that was lost; only the first one marks the member.
 */
static int is_ajp_lost(const request_rec *r, const proxy_worker *worker,
                       unsigned int before)
{
    return is_scheme(worker, "ajp") && is_idempotent(r)
           && !PROXY_WORKER_IS(worker, PROXY_WORKER_IN_ERROR)
           && !(before & PROXY_WORKER_IGNORE_ERRORS);
}

/* mod_proxy_ajp does not tell why it got no answer. */
static clone_end_e end_lost(const clone_request_t *req, const request_rec *r,
                            const proxy_worker *worker)
{
    const proxy_server_conf *conf = ap_get_module_config(
        r->server->module_config, &proxy_module);
    apr_interval_time_t timeout = worker->s->timeout_set ? worker->s->timeout
                                  : conf->timeout_set ? conf->timeout
                                                      : r->server->timeout;

    return is_scheme(worker, "ajp") && apr_time_now() - req->began >= timeout
               ? CLONE_END_SILENT : CLONE_END_LOST;
}

static clone_end_e end_of(const clone_request_t *req, request_rec *r,
                          const proxy_worker *worker, unsigned int before,
                          int rc)
{
    if (req->is_given) {
        return CLONE_END_ANSWERED;
    }
    if (req->seen != CLONE_END_ANSWERED) {
        return req->seen;
    }
    if (apr_table_get(r->notes, "proxy-error-override") != NULL) {
        return is_tried_again(req, r, rc) ? CLONE_END_STATUS
                                          : CLONE_END_ANSWERED;
    }
    if (rc == HTTP_SERVICE_UNAVAILABLE) {
        /* With is_sent, a ping= that nobody answered: no body was sent. */
        return is_ajp_lost(r, worker, before)
                   ? end_lost(req, r, worker) : end_unsent(worker, before);
    }
    if (rc == HTTP_GATEWAY_TIME_OUT
        || (rc == HTTP_BAD_GATEWAY
            && apr_table_get(r->notes, "proxy_timedout") != NULL)) {
        return CLONE_END_SILENT;
    }
    if (rc == HTTP_INTERNAL_SERVER_ERROR && !req->is_sent
        && is_unconnected(r)) {
        return CLONE_END_UNREACHED;
    }
    if (rc == HTTP_BAD_GATEWAY) {
        return status_of(r) != NULL ? CLONE_END_GARBLED : CLONE_END_LOST;
    }
    return rc == HTTP_INTERNAL_SERVER_ERROR && is_scheme(worker, "ajp")
               ? end_lost(req, r, worker) : CLONE_END_ANSWERED;
}

/* Names what failed: the same page again proves nothing new. */
static apr_uint32_t fault_of(const request_rec *r)
{
    apr_ssize_t len = APR_HASH_KEY_STRING;
    apr_uint32_t hash = apr_hashfunc_default(r->uri, &len);

    return hash != 0 ? hash : 1;
}

static int is_last_usable(const clone_request_t *req,
                          const proxy_worker *worker)
{
    proxy_worker *const *workers = (void *)req->shown->workers->elts;
    int i;

    for (i = 0; i < req->shown->workers->nelts; i++) {
        if (workers[i] != worker && PROXY_WORKER_IS_USABLE(workers[i])
            && !PROXY_WORKER_IS_DRAINING(workers[i])) {
            return 0;
        }
    }
    return 1;
}

/* It will be back one day, and cold. */
static void note_away(clone_request_t *req, const request_rec *r,
                      const proxy_worker *worker)
{
    clone_slot_no slot = req->conf.limit.slow_start > 0
                         ? clone_track_member(req, r, worker) : 0;

    if (slot != 0) {
        clone_board_watch(clone_track_board(), slot, 0, 1, apr_time_now());
    }
}

/* Down, if it failed often enough; else as before the attempt. */
static void mark(clone_request_t *req, request_rec *r,
                 proxy_worker *worker, unsigned int before,
                 unsigned int failures)
{
    if (before & PROXY_WORKER_IGNORE_ERRORS) {
        return;
    }
    if (failures < req->conf.retry.failures || is_last_usable(req, worker)) {
        if (!(before & PROXY_WORKER_IN_ERROR)) {
            worker->s->status &= ~(unsigned int)PROXY_WORKER_IN_ERROR;
        }
        return;
    }
    worker->s->error_time = apr_time_now();
    worker->s->status |= PROXY_WORKER_IN_ERROR;
    note_away(req, r, worker);
    if (failures == req->conf.retry.failures) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, CRLOG(0222)
                      "%s: %s is down after %u failures in a row, the next "
                      "trial is in %" APR_TIME_T_FMT " s",
                      req->shown->s->name, worker->s->name_ex, failures,
                      apr_time_sec(worker->s->retry));
    }
}

static void note_failure(clone_request_t *req, request_rec *r,
                         proxy_worker *worker, unsigned int before,
                         const clone_facts_t *facts)
{
    clone_health_member_t *member = clone_attempt_health(worker);
    apr_uint32_t fault = clone_end_is_sent(facts->end) ? fault_of(r) : 0;
    unsigned int failures = (unsigned int)req->conf.retry.failures;

    switch (facts->end) {
    case CLONE_END_FULL:
        break;
    case CLONE_END_STATUS:
        clone_attempt_works(req, r);
        break;
    default:
        if (facts->is_reused) {
            break;
        }
        if (member != NULL) {
            failures = clone_health_fail(member, fault);
        }
        else if (fault != 0) {
            failures = 0;
        }
        mark(req, r, worker, before, failures);
    }
    end_trial(req);
}

/* As r was before the attempt, for the next one or for an error page. */
static void undo_answer(const clone_request_t *req, request_rec *r)
{
    r->status = HTTP_OK;
    r->status_line = NULL;
    r->headers_out = req->headers_out;
    r->content_type = NULL;
    r->sent_bodyct = 0;
    apr_table_unset(r->notes, "proxy-status");
    apr_table_unset(r->notes, "proxy-error-override");
}

static void log_end(const clone_request_t *req, request_rec *r,
                    const proxy_worker *worker, const clone_facts_t *facts,
                    clone_verdict_e verdict, clone_cause_e cause)
{
    static const char *const next[] = {
        "done", "asking it again by a new connection",
        "asking another member", "the client is told"
    };

    ap_log_rerror(APLOG_MARK, verdict == CLONE_VERDICT_STOP ? APLOG_ERR
                                                            : APLOG_INFO,
                  0, r, CRLOG(0220)
                  "%s: %s: %s, sent %u times by now: %s (%s)",
                  req->shown->s->name, worker->s->name_ex,
                  clone_end_name(facts->end), facts->sends, next[verdict],
                  clone_cause_name(cause));
}

/* Who was sent costs a token; a status was paid for when it was seen. */
static clone_verdict_e charge(clone_cause_e *cause, const clone_request_t *req,
                              clone_end_e end, clone_verdict_e verdict)
{
    if (verdict != CLONE_VERDICT_STOP && clone_end_is_sent(end)
        && end != CLONE_END_STATUS && !is_paid(req)) {
        *cause = CLONE_CAUSE_BUDGET;
        verdict = CLONE_VERDICT_STOP;
    }
    clone_budget_note(budget,
                      verdict == CLONE_VERDICT_STOP ? CLONE_BUDGET_TOLD
                      : verdict == CLONE_VERDICT_SAME ? CLONE_BUDGET_REPEATED
                      : clone_end_is_sent(end) ? CLONE_BUDGET_REPLAYED
                                               : CLONE_BUDGET_MOVED);
    return verdict;
}

clone_verdict_e clone_attempt_end(int *rc, clone_request_t *req,
                                  request_rec *r, proxy_worker *worker,
                                  unsigned int before)
{
    clone_end_e end = end_of(req, r, worker, before, *rc);
    clone_verdict_e verdict;
    clone_facts_t facts;
    clone_cause_e cause;

    if (r->connection->aborted) {
        end_trial(req);
        *rc = DONE;
        return CLONE_VERDICT_DONE;
    }
    if (end == CLONE_END_ANSWERED) {
        if (!req->is_given) {
            end_trial(req);
        }
        return CLONE_VERDICT_DONE;
    }
    if (end != CLONE_END_STATUS) {
        clone_decision_name(req, clone_end_name(end));
    }
    collect(&facts, req, r, end);
    verdict = charge(&cause, req, end, clone_replay_judge(&cause, &facts));
    log_end(req, r, worker, &facts, verdict, cause);
    note_failure(req, r, worker, before, &facts);
    undo_answer(req, r);
    req->sends = facts.sends;
    req->timeouts = facts.timeouts;
    req->is_excused = facts.is_excused;
    if (clone_end_is_sent(end)) {
        req->failure = clone_replay_status(end);
    }
    *rc = req->failure != 0 ? req->failure : HTTP_SERVICE_UNAVAILABLE;
    if (verdict != CLONE_VERDICT_STOP) {
        apr_table_unset(r->notes, "proxy_timedout");
        apr_table_unset(r->notes, "error-notes");
        apr_table_unset(r->notes, "verbose-error-to");
    }
    return verdict;
}
