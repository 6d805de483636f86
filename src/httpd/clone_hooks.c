/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_hooks.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <http_log.h>

#include "clone_answer.h"
#include "clone_request.h"
#include "clone_server.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* A request's first attempt: is its balancer ours, and if so, begin. */
static void begin(proxy_balancer **balancer, request_rec *r,
                  proxy_server_conf *conf, const char *url)
{
    proxy_balancer *real = ap_proxy_get_balancer(r->pool, conf, url, 1);
    clone_request_t *req = NULL;

    clone_request_drop(r);
    if (real == NULL || PROXY_THREAD_LOCK(real) != APR_SUCCESS) {
        return;
    }
    /* Before the copy, not after: the method may have been changed on
     * balancer-manager's page in another child. mod_proxy_balancer would
     * sync too, but the copy. */
    (void)ap_proxy_sync_balancer(real, r->server, conf);
    if (clone_server_is_routed(r->server, real)) {
        req = clone_request_make(r, real);
    }
    (void)PROXY_THREAD_UNLOCK(real);
    if (req != NULL) {
        clone_request_read(req, r, url);
        clone_answer_watch(req, r);
        *balancer = req->shown;
    }
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
    req->spared = given;
    req->spared_status = given->s->status;
    req->spared_error_time = given->s->error_time;
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
                      "%s: %s could not be reached, asking another member",
                      (*balancer)->s->name, req->last->s->name_ex);
        clone_request_add_tried(req, req->last);
    }
    return req->tried->nelts > req->shown->s->max_attempts
               ? HTTP_SERVICE_UNAVAILABLE : DECLINED;
}

/*
 * A host without an address: mod_proxy calls that an error of its own, 500,
 * and says nothing else of it than this.
 */
static int is_unresolved(const request_rec *r, int rc)
{
    const char *notes = apr_table_get(r->notes, "error-notes");

    return rc == HTTP_INTERNAL_SERVER_ERROR && notes != NULL
           && ap_strstr_c(notes, "DNS lookup failure for") != NULL;
}

/*
 * Whether an attempt failed before the member had the request, so that
 * another one may have it. mod_proxy_http says 503 to a connection that could
 * not be made; a 503 that the member answered came after create_req. Other
 * schemes, ways through another proxy and a ping= that failed stay with
 * mod_proxy's own loop.
 */
static int is_unreached(const clone_request_t *req, const request_rec *r,
                        const proxy_worker *worker,
                        const proxy_server_conf *conf, int rc)
{
    return (rc == HTTP_SERVICE_UNAVAILABLE || is_unresolved(r, rc))
           && !req->is_sent
           && conf->proxies->nelts == 0
           && apr_cstr_casecmpn(worker->s->scheme, "http", 4) == 0;
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
    req->last = worker;
    req->is_sent = 0;
    req->is_inside = 1;
    rc = proxy_run_scheme_handler(r, worker, conf, url, proxyhost, proxyport);
    req->is_inside = 0;
    return rc;
}

/*
 * mod_proxy's loop goes on only while the failed member is marked as in
 * error. Any other request may take the mark away in between, with retry=0
 * it always does, and members with status +I never carry it: one request in
 * some thousands got a 503 that way although others were up. So the next
 * attempt is made here, by the same steps as in the loop.
 */
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
    for (;;) {
        proxy_balancer *balancer = req->shown;

        rc = attempt(req, r, worker, conf, url, proxyhost, proxyport);
        if (!is_unreached(req, r, worker, conf, rc)) {
            return hand_back(req, r, given, rc);
        }
        if (req->tried->nelts >= req->shown->s->max_attempts) {
            break;
        }
        apr_table_unset(r->notes, "error-notes");
        apr_table_unset(r->notes, "verbose-error-to");
        url = apr_pstrdup(r->pool, req->url);
        rc = ap_proxy_pre_request(&worker, &balancer, r, conf, &url);
        if (rc == OK && ap_proxy_initialize_worker(worker, r->server,
                                                   conf->pool) != OK) {
            rc = HTTP_INTERNAL_SERVER_ERROR;
        }
        if (rc != OK) {
            break;
        }
    }
    /* The loop around us shall not begin again. */
    req->is_over = 1;
    return hand_back(req, r, given, rc);
}

int clone_hooks_create_req(request_rec *r, request_rec *backend_r)
{
    clone_request_t *req = clone_request_get(r);

    if (req != NULL) {
        req->is_sent = 1;
    }
    return DECLINED;
}

int clone_hooks_post_request(proxy_worker *worker, proxy_balancer *balancer,
                             request_rec *r, proxy_server_conf *conf)
{
    clone_request_t *req = clone_request_get(r);

    if (req == NULL || req->shown != balancer || req->last == NULL) {
        return DECLINED;
    }
    spare(req);
    if (req->last == worker) {
        return DECLINED;
    }
    return proxy_run_post_request(req->last, balancer, r, conf);
}
