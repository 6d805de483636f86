/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_hooks.h"

#include <apr_cstr.h>
#include <http_log.h>

#include "clone_request.h"
#include "clone_server.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* A request's first attempt: is its balancer ours, and if so, begin. */
static void begin(proxy_balancer **balancer, request_rec *r,
                  proxy_server_conf *conf, const char *url)
{
    proxy_balancer *real = ap_proxy_get_balancer(r->pool, conf, url, 1);

    clone_request_drop(r);
    if (real == NULL || PROXY_THREAD_LOCK(real) != APR_SUCCESS) {
        return;
    }
    /* Before the copy, not after: the method may have been changed on
     * balancer-manager's page in another child. mod_proxy_balancer would
     * sync too, but the copy. */
    (void)ap_proxy_sync_balancer(real, r->server, conf);
    if (clone_server_is_routed(r->server, real)) {
        *balancer = clone_request_make(r, real, url)->shown;
    }
    (void)PROXY_THREAD_UNLOCK(real);
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
    if (req != NULL && req->shown == *balancer && *worker != NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, CRLOG(0204)
                      "%s: %s could not be reached, asking another member",
                      (*balancer)->s->name, (*worker)->s->name_ex);
        clone_request_add_tried(req, *worker);
    }
    return DECLINED;
}

/*
 * mod_proxy goes on to another member only if the failed one is marked as in
 * error when it looks. Another thread's retry may have taken the mark away in
 * between; with retry=0 it does so at every request. Only for failures before
 * the request was sent: a 503 that the member itself answered marks nobody.
 */
static void keep_mark(const clone_request_t *req, proxy_worker *worker, int rc)
{
    if (rc == HTTP_SERVICE_UNAVAILABLE && !req->is_sent
        && apr_cstr_casecmpn(worker->s->scheme, "http", 4) == 0
        && !(worker->s->status & PROXY_WORKER_IGNORE_ERRORS)
        && PROXY_WORKER_IS_USABLE(worker)) {
        worker->s->error_time = apr_time_now();
        worker->s->status |= PROXY_WORKER_IN_ERROR;
    }
}

int clone_hooks_scheme_handler(request_rec *r, proxy_worker *worker,
                               proxy_server_conf *conf, char *url,
                               const char *proxyhost, apr_port_t proxyport)
{
    clone_request_t *req = clone_request_get(r);
    int rc;

    if (req == NULL || req->is_inside) {
        return DECLINED;
    }
    clone_request_export(req, r, worker);
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, CRLOG(0201)
                  "%s: clone %s at %s: %s, of %u sessions given, after %d "
                  "members tried", req->shown->s->name,
                  worker->s->route[0] != '\0' ? worker->s->route : "-",
                  worker->s->name_ex, clone_reason_name(req->choice.reason),
                  req->session_count, req->tried->nelts);
    req->is_sent = 0;
    req->is_inside = 1;
    rc = proxy_run_scheme_handler(r, worker, conf, url, proxyhost, proxyport);
    req->is_inside = 0;
    keep_mark(req, worker, rc);
    return rc;
}

int clone_hooks_create_req(request_rec *r, request_rec *backend_r)
{
    clone_request_t *req = clone_request_get(r);

    if (req != NULL) {
        req->is_sent = 1;
    }
    return DECLINED;
}
