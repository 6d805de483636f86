/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session can be served by its clone alone, so its requests wait for a place
 * there, each in a thread of its own that looks again every few milliseconds:
 * no lock is held, and nobody has to be woken by a child that may have been
 * killed. The line is short and the wait bounded, because threads that wait
 * are missing elsewhere. Who comes while others wait stands behind them.
 */
#include "clone_admit.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>
#include <mod_status.h>

#include "clone_attempt.h"
#include "clone_config.h"
#include "clone_decision.h"
#include "clone_track.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* How often a request is sent to another member; then it stays where it is. */
#define DETOURS_MAX 8

/* Who waits, and for what. */
typedef struct line_t {
    clone_request_t *req;
    request_rec *r;
    const proxy_worker *worker;
    unsigned int most;
    clone_slot_no slot;
    clone_slot_no queue;
    apr_time_t begun;
} line_t;

unsigned int clone_admit_most(const clone_conf_t *conf, server_rec *s,
                              const char *balancer,
                              const proxy_worker *worker)
{
    unsigned int most = conf->limit.by_member == 1
                        ? clone_config_most(s, balancer, worker->s->name_ex)
                        : 0;

    return most > 0 ? most
           : conf->limit.most > 0 ? (unsigned int)conf->limit.most : 0;
}

static unsigned int most_of(const clone_request_t *req, const request_rec *r,
                            const proxy_worker *worker)
{
    return clone_admit_most(&req->conf, r->server, req->shown->s->name,
                            worker);
}

static int is_slot_full(clone_slot_no slot, unsigned int most, apr_time_t now)
{
    clone_board_t *board = clone_track_board();
    clone_slot_no queue = clone_board_queue(board, slot);

    return clone_board_is_full(board, slot, most, now)
           || (queue != 0 && clone_board_is_full(board, queue, 1, now));
}

int clone_admit_is_full(clone_request_t *req, const request_rec *r,
                        const proxy_worker *worker)
{
    unsigned int most = most_of(req, r, worker);
    clone_slot_no slot = most > 0 ? clone_track_member(req, r, worker) : 0;

    return slot != 0 && is_slot_full(slot, most, apr_time_now());
}

void clone_admit_pass(clone_request_t *req, const request_rec *r,
                      const proxy_worker *worker)
{
    clone_slot_no slot = clone_track_member(req, r, worker);

    if (slot != 0) {
        clone_board_count(clone_track_board(), slot, CLONE_BOARD_PASSED);
    }
}

/* A request without a session need not wait where others have room. */
static int is_welcome_elsewhere(line_t *line)
{
    const proxy_balancer *balancer = line->req->shown;
    proxy_worker *const *workers = (void *)balancer->workers->elts;
    int i;

    if (line->req->session_count > 0) {
        return 0;
    }
    for (i = 0; i < balancer->workers->nelts; i++) {
        if (workers[i] != line->worker && PROXY_WORKER_IS_USABLE(workers[i])
            && !PROXY_WORKER_IS_DRAINING(workers[i])
            && !clone_request_is_tried(line->req, workers[i])
            && !clone_admit_is_full(line->req, line->r, workers[i])) {
            return 1;
        }
    }
    return 0;
}

/* Whether it is better to choose again than to wait. */
static int is_detour(line_t *line, int is_lost)
{
    return line->req->detours < DETOURS_MAX
           && (is_lost || is_welcome_elsewhere(line))
           && ++line->req->detours > 0;
}

static int msec_of(const line_t *line)
{
    apr_time_t now = apr_time_now();

    return now > line->begun ? (int)apr_time_as_msec(now - line->begun) : 0;
}

/* One line at warning now and then, the others at info. */
static clone_admit_e give_up(const line_t *line, clone_board_count_e why)
{
    clone_board_t *board = clone_track_board();
    const char *name = line->worker->s->name_ex;
    const char *cause = why == CLONE_BOARD_REFUSED
                        ? "as many wait as may" : "there was no place in time";

    clone_board_count(board, line->slot, why);
    clone_decision_full(line->req, line->r, line->worker,
                        (unsigned int)msec_of(line));
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, line->r, CRLOG(0251)
                  "%s: %s is full, with %u requests: %s, after %d ms; the "
                  "client is told", line->req->shown->s->name, name,
                  line->most, cause, msec_of(line));
    if (clone_board_may_tell(board, line->slot, CLONE_FULL_TOLD_USEC,
                             apr_time_now())) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, line->r, CRLOG(0250)
                      "%s: %s is full, with %u requests, and turns sessions "
                      "away with 503; it had to %" APR_UINT64_T_FMT " times "
                      "since the start", line->req->shown->s->name, name,
                      line->most,
                      clone_board_counted(board, line->slot,
                                          CLONE_BOARD_REFUSED)
                      + clone_board_counted(board, line->slot,
                                            CLONE_BOARD_EXPIRED));
    }
    return CLONE_ADMIT_FULL;
}

/* Until there is a place, or an end. */
static clone_admit_e stand(line_t *line, apr_time_t end)
{
    clone_request_t *req = line->req;
    unsigned int round;

    for (round = 0;; round++) {
        apr_time_t now = apr_time_now();
        apr_interval_time_t pause = clone_limit_pause(
            round, (apr_uint64_t)now ^ (apr_uintptr_t)req);

        if (now >= end) {
            return CLONE_ADMIT_FULL;
        }
        apr_sleep(pause < end - now ? pause : end - now);
        if (is_detour(line, !PROXY_WORKER_IS_USABLE(line->worker))) {
            return CLONE_ADMIT_ELSEWHERE;
        }
        if (clone_track_take(req, line->r, line->worker, line->most)) {
            return CLONE_ADMIT_IN;
        }
    }
}

/* A place in the line, if there is one, and then one at the member. */
static clone_admit_e wait_in_line(line_t *line)
{
    clone_request_t *req = line->req;
    clone_board_t *board = clone_track_board();
    clone_flight_t place;
    clone_admit_e end;

    line->begun = apr_time_now();
    if (req->wait_end == 0) {
        req->wait_end = clone_limit_end(&req->conf.limit, line->begun,
                                        line->r->request_time
                                        + req->conf.retry.deadline);
    }
    if (line->queue == 0
        || !clone_board_try(&place, board, line->queue,
                            (unsigned int)req->conf.limit.queue,
                            line->begun)) {
        return clone_track_take(req, line->r, line->worker, line->most)
                   ? CLONE_ADMIT_IN : give_up(line, CLONE_BOARD_REFUSED);
    }
    clone_board_count(board, line->slot, CLONE_BOARD_WAITED);
    end = stand(line, req->wait_end);
    clone_board_leave(board, place);
    apr_table_setn(line->r->subprocess_env, "CLONE_WAITED",
                   apr_itoa(line->r->pool, msec_of(line)));
    return end == CLONE_ADMIT_FULL ? give_up(line, CLONE_BOARD_EXPIRED) : end;
}

/* A subrequest does not wait for the one that it is a part of. */
clone_admit_e clone_admit(clone_request_t *req, request_rec *r,
                          const proxy_worker *worker)
{
    line_t line;

    line.most = most_of(req, r, worker);
    if (line.most == 0 || r->main != NULL) {
        return CLONE_ADMIT_IN;
    }
    line.slot = clone_track_member(req, r, worker);
    if (line.slot == 0 || clone_track_has_place(req, worker)) {
        return CLONE_ADMIT_IN;
    }
    clone_track_land(r);
    line.req = req;
    line.r = r;
    line.worker = worker;
    line.queue = clone_board_queue(clone_track_board(), line.slot);
    if ((line.queue == 0
         || !clone_board_is_full(clone_track_board(), line.queue, 1,
                                 apr_time_now()))
        && clone_track_take(req, r, worker, line.most)) {
        return CLONE_ADMIT_IN;
    }
    return is_detour(&line, 0) ? CLONE_ADMIT_ELSEWHERE
                               : wait_in_line(&line);
}

void clone_admit_leave(const clone_request_t *req)
{
    clone_track_give_back(req);
}

int clone_admit_refuse(clone_request_t *req, request_rec *r)
{
    clone_attempt_abandon(req);
    req->is_over = 1;
    req->is_full = 1;
    clone_request_retry_after(req, r);
    return HTTP_BAD_GATEWAY;
}

/* ---- what mod_proxy and mod_status are told ------------------------------ */

static int restore_status(int *status, request_rec *r)
{
    const clone_request_t *req = clone_request_get(r);

    if (req != NULL && req->is_full && *status == HTTP_BAD_GATEWAY) {
        *status = HTTP_SERVICE_UNAVAILABLE;
    }
    return DECLINED;
}

static int write_status(request_rec *r, int flags)
{
    static const struct {
        const char *name;  /* for machines */
        const char *label; /* for people */
    } words[CLONE_BOARD_COUNTS] = {
        { "Waited", "waited for a place at a member" },
        { "Refused", "answered 503: as many were waiting as may" },
        { "Expired", "answered 503: no place in time" },
        { "Passed", "without a session, passed a member that was full" }
    };
    clone_board_t *board = clone_track_board();
    int is_short = flags & AP_STATUS_SHORT;
    int i;

    if (board == NULL) {
        return DECLINED;
    }
    if (!is_short) {
        ap_rputs("<hr />\n<h2>Requests and full members "
                 "(mod_proxy_balancer_clone)</h2>\n<dl>\n", r);
    }
    for (i = 0; i < CLONE_BOARD_COUNTS; i++) {
        apr_uint64_t count = clone_board_counted_all(board,
                                                     (clone_board_count_e)i);

        if (is_short) {
            ap_rprintf(r, "ProxyCloneLimit%s: %" APR_UINT64_T_FMT "\n",
                       words[i].name, count);
        }
        else {
            ap_rprintf(r, "<dt>%" APR_UINT64_T_FMT " %s</dt>\n", count,
                       words[i].label);
        }
    }
    if (!is_short) {
        ap_rputs("</dl>\n", r);
    }
    return OK;
}

void clone_admit_register(void)
{
    /* before the decision is told, which shows the status */
    APR_OPTIONAL_HOOK(proxy, request_status, restore_status, NULL, NULL,
                      APR_HOOK_REALLY_FIRST - 1);
    APR_OPTIONAL_HOOK(ap, status_hook, write_status, NULL, NULL,
                      APR_HOOK_MIDDLE);
}
