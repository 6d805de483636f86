/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_hooks.h"

#include <apr_strings.h>
#include <http_log.h>

#include "clone_admit.h"
#include "clone_answer.h"
#include "clone_attempt.h"
#include "clone_decision.h"
#include "clone_filter.h"
#include "clone_request.h"
#include "clone_server.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* A request's first attempt: is its balancer ours, and if so, begin. */
static void begin(proxy_balancer **balancer, request_rec *r,
                  proxy_server_conf *conf, const char *url)
{
    proxy_balancer *real = ap_proxy_get_balancer(r->pool, conf, url, 1);
    const clone_known_t *known;
    clone_request_t *req = NULL;

    clone_request_drop(r);
    if (real == NULL || PROXY_THREAD_LOCK(real) != APR_SUCCESS) {
        return;
    }
    /* Before the copy, not after: the method may have been changed on
     * balancer-manager's page in another child. mod_proxy_balancer would
     * sync too, but the copy. */
    (void)ap_proxy_sync_balancer(real, r->server, conf);
    known = clone_server_known(r->server, real->s->name);
    if (clone_server_is_routed(known, real)) {
        req = clone_request_make(r, real, known);
    }
    (void)PROXY_THREAD_UNLOCK(real);
    if (req != NULL) {
        if (r->prev != NULL) {
            clone_body_forget(r);
        }
        clone_request_read(req, r, url);
        clone_answer_watch(req, r);
        *balancer = req->shown;
    }
}

/* mod_proxy is about to mark a member; remember how it was. */
static void remember(clone_request_t *req, proxy_worker *given)
{
    req->spared = given;
    req->spared_status = given->s->status;
    req->spared_error_time = given->s->error_time;
}

/*
 * mod_proxy marks the member it handed us, and knows nothing of those we went
 * on to. Mark the one that failed, and remember how the other was.
 */
static int hand_back(clone_request_t *req, request_rec *r,
                     proxy_worker *given, int rc)
{
    if (req->last == given || (rc != HTTP_INTERNAL_SERVER_ERROR
                               && rc != HTTP_SERVICE_UNAVAILABLE)
        || apr_table_get(r->notes, "proxy-error-override") != NULL) {
        return rc;
    }
    if (!(req->last->s->status & PROXY_WORKER_IGNORE_ERRORS)) {
        req->last->s->status |= PROXY_WORKER_IN_ERROR;
        req->last->s->error_time = apr_time_now();
    }
    remember(req, given);
    return rc;
}

static void spare(clone_request_t *req)
{
    if (req->spared != NULL) {
        if (!(req->spared_status & PROXY_WORKER_IN_ERROR)) {
            req->spared->s->status &= ~PROXY_WORKER_IN_ERROR;
        }
        req->spared->s->error_time = req->spared_error_time;
        req->spared = NULL;
    }
}

int clone_hooks_pre_request(proxy_worker **worker, proxy_balancer **balancer,
                            request_rec *r, proxy_server_conf *conf,
                            char **url)
{
    clone_request_t *req;

    if (*balancer == NULL) {
        begin(balancer, r, conf, *url);
        return DECLINED;
    }
    req = clone_request_get(r);
    if (req == NULL || req->shown != *balancer) {
        return DECLINED;
    }
    spare(req);
    if (req->is_over) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    if (req->last != NULL && !clone_request_is_tried(req, req->last)) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, CRLOG(0204)
                      "%s: %s failed this request, asking another member",
                      (*balancer)->s->name, req->last->s->name_ex);
        clone_request_add_tried(req, req->last);
    }
    return req->tried->nelts > req->shown->s->max_attempts
               ? HTTP_SERVICE_UNAVAILABLE : DECLINED;
}

/* Run the real handler once. */
static int attempt(clone_request_t *req, request_rec *r, proxy_worker *worker,
                   proxy_server_conf *conf, char *url, const char *proxyhost,
                   apr_port_t proxyport)
{
    int rc;

    clone_request_export(req, r, worker);
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, CRLOG(0201)
                  "%s: clone %s at %s: %s, of %u sessions given, after %d "
                  "members tried", req->shown->s->name,
                  worker->s->route[0] != '\0' ? worker->s->route : "-",
                  worker->s->name_ex, clone_reason_name(req->choice.reason),
                  req->session_count, req->tried->nelts);
    clone_attempt_begin(req, worker);
    req->is_inside = 1;
    clone_decision_begin(req, r, worker);
    rc = proxy_run_scheme_handler(r, worker, conf, url, proxyhost, proxyport);
    clone_decision_end(req, r, rc);
    req->is_inside = 0;
    return rc;
}

/*
 * The same by a new connection. mod_proxy_http opens one for the first
 * request of a client's connection, if asked.
 */
static int attempt_anew(clone_request_t *req, request_rec *r,
                        proxy_worker *worker, proxy_server_conf *conf,
                        char *url, const char *proxyhost,
                        apr_port_t proxyport)
{
    static const char name[] = "proxy-initial-not-pooled";
    const char *before = apr_table_get(r->subprocess_env, name);
    int keepalives = r->connection->keepalives;
    int rc;

    apr_table_setn(r->subprocess_env, name, "1");
    r->connection->keepalives = 0;
    req->is_fresh = 1;
    req->is_repeated = 1;
    rc = attempt(req, r, worker, conf, url, proxyhost, proxyport);
    /* an answer may have counted on */
    r->connection->keepalives += keepalives;
    if (before == NULL) {
        apr_table_unset(r->subprocess_env, name);
    }
    return rc;
}

/* Another member, by the same steps as in mod_proxy's loop. */
static int choose_next(proxy_worker **worker, char **url,
                       clone_request_t *req, request_rec *r,
                       proxy_server_conf *conf)
{
    proxy_balancer *balancer = req->shown;
    int rc;

    *url = apr_pstrdup(r->pool, req->url);
    rc = ap_proxy_pre_request(worker, &balancer, r, conf, url);
    if (rc == OK && ap_proxy_initialize_worker(*worker, r->server,
                                               conf->pool) != OK) {
        rc = HTTP_INTERNAL_SERVER_ERROR;
    }
    return rc;
}

/*
 * A place at the member, or at another one that is chosen instead.
 *
 * Returns OK, or what mod_proxy is to be told.
 */
static int find_place(proxy_worker **worker, char **url, clone_request_t *req,
                      request_rec *r, proxy_server_conf *conf)
{
    clone_admit_e admitted = clone_admit(req, r, *worker);

    while (admitted == CLONE_ADMIT_ELSEWHERE) {
        clone_attempt_abandon(req);
        if (choose_next(worker, url, req, r, conf) != OK) {
            return HTTP_SERVICE_UNAVAILABLE;
        }
        *url = apr_pstrdup(r->pool, *url);
        admitted = clone_admit(req, r, *worker);
    }
    return admitted == CLONE_ADMIT_IN ? OK : clone_admit_refuse(req, r);
}

/* Make ready for attempts: hold the body, stand before the answer. */
static int prepare(clone_request_t *req, request_rec *r,
                   const proxy_worker *worker)
{
    int rc = OK;

    if (r->main == NULL && r->kept_body == NULL && ap_request_has_body(r)
        && req->conf.retry.replays > 0
        && clone_attempt_is_open(req, r, worker)) {
        rc = clone_body_hold(&req->body, r, req->conf.retry.body_memory,
                             req->conf.retry.body_file);
    }
    req->headers_out = r->headers_out;
    clone_attempt_earn(req);
    if (rc == OK) {
        clone_filter_add(req, r);
    }
    return rc;
}

static void clean_up(clone_request_t *req, request_rec *r)
{
    clone_admit_leave(req);
    clone_filter_remove(req);
    if (req->body != NULL) {
        clone_body_close(req->body, r);
    }
}

/* No further attempt: what the client is told. */
static int tell(clone_request_t *req, request_rec *r, proxy_worker *given,
                int rc)
{
    /* The loop around us shall not begin again. */
    req->is_over = 1;
    if (rc == HTTP_SERVICE_UNAVAILABLE) {
        clone_request_retry_after(req, r);
    }
    else {
        /* maybe somebody said it when there was nobody else to be asked */
        apr_table_unset(r->err_headers_out, "Retry-After");
    }
    if (rc == HTTP_SERVICE_UNAVAILABLE || rc == HTTP_INTERNAL_SERVER_ERROR) {
        remember(req, given);
    }
    return rc;
}

/*
 * mod_proxy's loop goes on only while the failed member is marked as in
 * error. Any other request may take the mark away in between, with retry=0
 * it always does, and members with status +I never carry it: one request in
 * some thousands got a 503 that way although others were up. And it knows
 * nothing of a request that may be sent again. So the next attempt is made
 * here.
 */
static int serve(clone_request_t *req, request_rec *r, proxy_worker *worker,
                 proxy_server_conf *conf, char *url)
{
    proxy_worker *given = worker;
    clone_verdict_e verdict = CLONE_VERDICT_NEXT;
    int rc = prepare(req, r, worker);

    while (rc == OK) {
        unsigned int before;

        rc = find_place(&worker, &url, req, r, conf);
        if (rc != OK) {
            rc = req->is_full ? rc : tell(req, r, given, rc);
            break;
        }
        before = worker->s->status;
        if (req->body != NULL) {
            clone_body_offer(req->body, r);
        }
        rc = verdict == CLONE_VERDICT_SAME
                 ? attempt_anew(req, r, worker, conf, url, NULL, 0)
                 : attempt(req, r, worker, conf, url, NULL, 0);
        verdict = clone_attempt_end(&rc, req, r, worker, before);
        req->is_fresh = 0;
        if (verdict == CLONE_VERDICT_DONE) {
            break;
        }
        if (verdict == CLONE_VERDICT_NEXT
            && choose_next(&worker, &url, req, r, conf) != OK) {
            verdict = CLONE_VERDICT_STOP;
        }
        if (verdict == CLONE_VERDICT_STOP) {
            rc = tell(req, r, given, rc);
            break;
        }
        url = apr_pstrdup(r->pool, url);
        rc = OK;
    }
    clean_up(req, r);
    return rc;
}

int clone_hooks_scheme_handler(request_rec *r, proxy_worker *worker,
                               proxy_server_conf *conf, char *url,
                               const char *proxyhost, apr_port_t proxyport)
{
    clone_request_t *req = clone_request_get(r);
    proxy_worker *given = worker;
    int rc;

    if (req == NULL || req->is_inside) {
        return DECLINED;
    }
    if (clone_attempt_is_ours(worker, conf)) {
        return serve(req, r, worker, conf, url);
    }
    rc = find_place(&given, &url, req, r, conf);
    if (rc != OK) {
        return req->is_full ? rc : tell(req, r, worker, rc);
    }
    rc = attempt(req, r, given, conf, url, proxyhost, proxyport);
    clone_admit_leave(req);
    return hand_back(req, r, worker, rc);
}

int clone_hooks_create_req(request_rec *r, request_rec *backend_r)
{
    clone_request_t *req = clone_request_get(r);

    if (req != NULL) {
        req->is_sent = 1;
        req->is_reused = backend_r->connection->keepalives > 0;
    }
    return DECLINED;
}

int clone_hooks_post_request(proxy_worker *worker, proxy_balancer *balancer,
                             request_rec *r, proxy_server_conf *conf)
{
    clone_request_t *req = clone_request_get(r);

    if (req == NULL || req->shown != balancer) {
        return DECLINED;
    }
    spare(req);
    if (req->last == NULL || req->last == worker) {
        return DECLINED;
    }
    return proxy_run_post_request(req->last, balancer, r, conf);
}
