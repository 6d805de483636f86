/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_request.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>

#include "clone_config_match.h"
#include "clone_cookie_hooks.h"
#include "clone_server.h"
#include "clone_values.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

static proxy_balancer *copy_of(const proxy_balancer *balancer, apr_pool_t *p)
{
    proxy_balancer *copy = apr_pcalloc(p, sizeof(*copy) + CLONE_COPY_ROOM);

    memcpy(copy, balancer, sizeof(*copy));
    copy->s = apr_pcalloc(p, sizeof(*copy->s) + CLONE_COPY_ROOM);
    memcpy(copy->s, balancer->s, sizeof(*copy->s));
    copy->s->sticky[0] = '\0';
    copy->s->sticky_path[0] = '\0';
    return copy;
}

/* Keep those values that are sessions. */
static void parse_values(clone_request_t *req, request_rec *r,
                         const clone_values_t *values)
{
    clone_format_t format;
    unsigned int i;

    clone_conf_format(&format, &req->conf);
    req->sessions = apr_palloc(r->pool,
                               values->count * sizeof(*req->sessions));
    for (i = 0; i < values->count; i++) {
        clone_parse_e parse = clone_ids_parse(
            &req->sessions[req->session_count], values->value[i], &format,
            r->pool);

        if (parse == CLONE_PARSE_OK) {
            req->session_count++;
            req->cookies += i < values->cookies;
        }
        else {
            ap_log_rerror(APLOG_MARK, APLOG_TRACE1, 0, r, CRLOG(0203)
                          "%s %s, %" APR_SIZE_T_FMT " bytes: %s, ignored",
                          i < values->cookies ? "cookie" : "parameter",
                          i < values->cookies ? req->cookie : req->parameter,
                          values->value[i].len, clone_parse_name(parse));
        }
    }
}

void clone_request_read(clone_request_t *req, request_rec *r, const char *url)
{
    const char *header = apr_table_get(r->headers_in, "Cookie");
    clone_values_t values;

    clone_server_request(&req->conf, req->known, r->server,
                         req->shown->s->name);
    req->url = apr_pstrdup(r->pool, url);
    clone_values_init(&values);
    if (header != NULL) {
        clone_values_add_cookies(&values, span_of_text(header),
                                 span_of_text(req->cookie));
    }
    clone_values_add_url(&values, span_of_text(url),
                         span_of_text(req->parameter));
    /* Some versions of mod_proxy keep the query apart until they canonicalise
     * the member's URL. */
    if (r->args != NULL && strchr(url, '?') == NULL) {
        clone_values_add_query(&values, span_of_text(r->args),
                               span_of_text(req->parameter));
    }
    if (values.count > 0) {
        parse_values(req, r, &values);
    }
    clone_cookie_hooks_read(req, r);
}

clone_request_t *clone_request_make(request_rec *r, proxy_balancer *balancer,
                                    const struct clone_known_t *known)
{
    clone_request_t *req = apr_pcalloc(r->pool, sizeof(*req));

    req->known = known;
    req->shown = copy_of(balancer, r->pool);
    req->cookie = clone_config_cookie(r);
    req->parameter = clone_config_parameter(r);
    if (req->cookie == NULL) {
        req->cookie = apr_pstrdup(r->pool, balancer->s->sticky);
        req->parameter = apr_pstrdup(r->pool, balancer->s->sticky_path);
    }
    req->tried = apr_array_make(r->pool, 2, sizeof(proxy_worker *));
    ap_set_module_config(r->request_config, &proxy_balancer_clone_module, req);
    return req;
}

clone_request_t *clone_request_get(const request_rec *r)
{
    return ap_get_module_config(r->request_config,
                                &proxy_balancer_clone_module);
}

void clone_request_drop(request_rec *r)
{
    ap_set_module_config(r->request_config, &proxy_balancer_clone_module,
                         NULL);
}

void clone_request_add_tried(clone_request_t *req, proxy_worker *worker)
{
    proxy_worker **slot = apr_array_push(req->tried);

    *slot = worker;
}

int clone_request_is_tried(const clone_request_t *req,
                           const proxy_worker *worker)
{
    proxy_worker *const *tried = (void *)req->tried->elts;
    int i;

    for (i = 0; i < req->tried->nelts; i++) {
        if (tried[i] == worker) {
            return 1;
        }
    }
    return 0;
}

int clone_request_find_member(unsigned int *index,
                              const proxy_balancer *balancer, span_t route)
{
    proxy_worker *const *workers = (void *)balancer->workers->elts;
    unsigned int count = (unsigned int)balancer->workers->nelts;
    unsigned int i;

    if (route.len == 0 || route.len >= sizeof(workers[0]->s->route)) {
        return 0;
    }
    for (i = 0; i < count; i++) {
        const char *own = workers[i]->s->route;

        /* ids of one cluster often differ in their last characters alone */
        if (own[route.len] == '\0'
            && own[route.len - 1] == route.data[route.len - 1]
            && memcmp(own, route.data, route.len) == 0) {
            *index = i;
            return 1;
        }
    }
    return 0;
}

void clone_request_retry_after(const clone_request_t *req, request_rec *r)
{
    proxy_worker *const *workers = (void *)req->shown->workers->elts;
    apr_time_t now = apr_time_now();
    apr_time_t wait = apr_time_from_sec(CLONE_RETRY_AFTER_MAX_SEC);
    int i;

    for (i = 0; i < req->shown->workers->nelts; i++) {
        const proxy_worker_shared *s = workers[i]->s;
        apr_time_t due = s->status & PROXY_WORKER_IN_ERROR
                             ? s->error_time + s->retry - now : 0;

        wait = due < wait ? due : wait;
    }
    apr_table_setn(r->err_headers_out, "Retry-After", apr_psprintf(
        r->pool, "%" APR_TIME_T_FMT,
        wait > apr_time_from_sec(1) ? apr_time_sec(wait) : 1));
}

static void set_or_unset(apr_table_t *table, const char *name,
                         const char *value)
{
    if (value != NULL) {
        apr_table_setn(table, name, value);
    }
    else {
        apr_table_unset(table, name);
    }
}

/* host:port as in a URL. */
static const char *address_of(const proxy_worker *worker, apr_pool_t *p)
{
    const char *host = worker->s->hostname_ex;
    int is_v6 = strchr(host, ':') != NULL;

    return apr_pstrcat(p, is_v6 ? "[" : "", host, is_v6 ? "]:" : ":",
                       apr_itoa(p, worker->s->port), NULL);
}

/* Where a session was read from. */
static const char *name_of(const clone_request_t *req, unsigned int session)
{
    if (req->route_cookie != NULL && req->has_route
        && session == req->session_count - 1) {
        return req->route_cookie->name;
    }
    return session < req->cookies ? req->cookie : req->parameter;
}

void clone_request_export(const clone_request_t *req, request_rec *r,
                          const proxy_worker *worker)
{
    apr_table_t *env = r->subprocess_env;
    const char *sticky = NULL;
    const char *route = NULL;
    int is_changed = worker != NULL
                     && (req->cookie[0] != '\0' || req->route_cookie != NULL)
                     && req->choice.reason != CLONE_REASON_FIRST
                     && req->choice.reason != CLONE_REASON_LEARNED;

    if (req->session_count > 0) {
        const clone_ids_t *ids = &req->sessions[req->choice.session];

        if (ids->count > 0) {
            sticky = name_of(req, req->choice.session);
            route = apr_pstrmemdup(r->pool, ids->clone[0].data,
                                   ids->clone[0].len);
        }
    }
    set_or_unset(env, "BALANCER_SESSION_STICKY", sticky);
    set_or_unset(env, "BALANCER_SESSION_ROUTE", route);
    set_or_unset(r->notes, "session-sticky", sticky);
    set_or_unset(r->notes, "session-route", route);
    set_or_unset(env, "BALANCER_ROUTE_CHANGED", is_changed ? "1" : NULL);
    set_or_unset(env, "CLONE_REASON", clone_reason_name(req->choice.reason));
    set_or_unset(env, "WAS",
                 worker != NULL ? address_of(worker, r->pool) : NULL);
}
