/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cookie is believed after the application's own session, and is not set
 * where that names its clones. Who serves stands first in it: a client that
 * moved stays where it is when its clone returns, and what the application
 * holds there is not left behind a second time.
 *
 * A cookie of mod_session_ha is never read or set here. That module verifies
 * it, shows what stands behind the signature, and writes our list there.
 */
#include "clone_cookie_hooks.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>

#include "clone_cookie.h"
#include "clone_server.h"
#include "clone_set_cookie.h"
#include "clone_values.h"
#include "ha_cache.h"
#include "ha_secret.h"
#include "log_tags.h"
#include "session_clones.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define KEPT_KEY "proxy_balancer_clone/cookie"

/* Read in the parent, inherited by children, never changed there. httpd
 * retains it while the module is unloaded and loaded again. */
static ha_ring_t *ring;

/* 1: there is to be a ring, and none could ever be read. A cookie without a
 * signature would be believed and given out instead, so none is. */
static int is_shut;

static const ha_ring_t *ring_or_none(void)
{
    return ring != NULL && ring->count > 0 ? ring : NULL;
}

/* Whether a restart brings this configuration, to a server that serves. */
static int is_up(void)
{
    return ap_state_query(AP_SQ_CONFIG_GEN) > 1;
}

/* Say what is wrong: at error where the server goes on. */
static void complain(const char *path, ha_secret_e result,
                     const ha_secret_fault_t *fault, server_rec *s,
                     apr_pool_t *ptemp)
{
    const char *at = "";

    switch (result) {
    case HA_SECRET_UNREADABLE:
    case HA_SECRET_IRREGULAR:
    case HA_SECRET_LARGE:
        ap_log_error(APLOG_MARK, is_up() ? APLOG_ERR : APLOG_CRIT, fault->rv,
                     s, CRLOG(0121)
                     "ProxyCloneCookieSecretFile %s %s", path,
                     ha_secret_name(result));
        break;
    case HA_SECRET_EXPOSED:
        ap_log_error(APLOG_MARK, is_up() ? APLOG_ERR : APLOG_CRIT, 0, s,
                     CRLOG(0122)
                     "ProxyCloneCookieSecretFile %s may be read or written by "
                     "every user of this host: chmod 600", path);
        break;
    case HA_SECRET_OK:
    case HA_SECRET_BAD:
    default:
        if (fault->line > 0) {
            at = apr_psprintf(ptemp, ", line %u", fault->line);
        }
        ap_log_error(APLOG_MARK, is_up() ? APLOG_ERR : APLOG_CRIT, 0, s,
                     CRLOG(0123)
                     "ProxyCloneCookieSecretFile %s%s: %s; it takes one "
                     "secret a line, as `openssl rand -base64 32` prints "
                     "them", path, at, ha_ring_name(fault->ring));
        break;
    }
}

static int read_ring(ha_ring_t *fresh, const char *path, server_rec *s,
                     apr_pool_t *ptemp)
{
    ha_secret_fault_t fault;
    ha_secret_e result = ha_secret_read(fresh, &fault, path, ptemp);

    if (result != HA_SECRET_OK) {
        complain(path, result, &fault, s, ptemp);
    }
    return result == HA_SECRET_OK;
}

static const char *path_of(const server_rec *s)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);

    return server->conf->secret_file;
}

int clone_cookie_hooks_check(apr_pool_t *pconf, apr_pool_t *plog,
                             apr_pool_t *ptemp, server_rec *s)
{
    ha_ring_t fresh;
    int is_fine = 1;

    if (path_of(s) != NULL
        && ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST) {
        is_fine = read_ring(&fresh, path_of(s), s, ptemp);
        ha_ring_wipe(&fresh);
    }
    return is_fine ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

int clone_cookie_hooks_open(apr_pool_t *pconf, apr_pool_t *plog,
                            apr_pool_t *ptemp, server_rec *s)
{
    const char *path = path_of(s);
    ha_ring_t fresh;

    is_shut = 0;
    ring = ap_retained_data_get(KEPT_KEY);
    if (ring == NULL) {
        ring = ap_retained_data_create(KEPT_KEY, sizeof(*ring));
    }
    if (path == NULL) {
        ha_ring_wipe(ring);
        return OK;
    }
    if (read_ring(&fresh, path, s, ptemp)) {
        memcpy(ring, &fresh, sizeof(*ring));
        ha_ring_wipe(&fresh);
        return OK;
    }
    if (!is_up()) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    /* A server that is up would end here, for a file that can be mended. */
    is_shut = ring->count == 0;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, CRLOG(0125)
                 "ProxyCloneCookieSecretFile %s: not taken, %s", path,
                 is_shut ? "and no secrets were read before: the router's own "
                           "cookies are neither believed nor set until a "
                           "reload can read it"
                         : "the secrets read before stay in use");
    return OK;
}

/* ---- requests ------------------------------------------------------------ */

/* Whether the cookie is mod_session_ha's, and if so, the list behind it. */
static int is_session_ha(request_rec *r, const char *name, const char **list,
                         const char **tag)
{
    APR_OPTIONAL_FN_TYPE(session_ha_clones_get) *get =
        APR_RETRIEVE_OPTIONAL_FN(session_ha_clones_get);

    *list = NULL;
    return get != NULL && get(r, name, list, tag);
}

/* The tag stands for the session where its clones are away. */
static int read_list(clone_ids_t *ids, const char *list, const char *tag,
                     request_rec *r)
{
    memset(ids, 0, sizeof(*ids));
    if (list == NULL || *list == '\0') {
        return 0;
    }
    clone_cookie_read_list(ids, span_of_text(list), r->pool);
    ids->session = span_of_text(tag);
    return ids->count > 0;
}

/* The first cookie of the name that is genuine. */
static int read_own(clone_ids_t *ids, const clone_cookie_conf_t *conf,
                    request_rec *r)
{
    const char *header = apr_table_get(r->headers_in, "Cookie");
    span_t name = span_of_text(conf->name);
    clone_values_t values;
    unsigned int i;

    clone_values_init(&values);
    if (header != NULL) {
        clone_values_add_cookies(&values, span_of_text(header), name);
    }
    for (i = 0; i < values.count; i++) {
        clone_cookie_e result = clone_cookie_read(
            ids, span_unquoted(values.value[i]), name, ring_or_none(),
            r->pool);

        if (result == CLONE_COOKIE_OK) {
            return 1;
        }
        ap_log_rerror(APLOG_MARK, APLOG_TRACE1, 0, r, CRLOG(0212)
                      "cookie %s, %" APR_SIZE_T_FMT " bytes: %s, ignored",
                      conf->name, values.value[i].len,
                      clone_cookie_name(result));
    }
    return 0;
}

void clone_cookie_hooks_read(clone_request_t *req, request_rec *r)
{
    const clone_cookie_conf_t *cookie = clone_conf_cookie(&req->conf);
    clone_ids_t *sessions;
    clone_ids_t ids;
    const char *list;
    const char *tag;

    if (cookie == NULL) {
        return;
    }
    req->is_session_ha = is_session_ha(r, cookie->name, &list, &tag) != 0;
    if (is_shut && !req->is_session_ha) {
        return;
    }
    req->route_cookie = cookie;
    if (!(req->is_session_ha ? read_list(&ids, list, tag, r)
                             : read_own(&ids, cookie, r))) {
        return;
    }
    sessions = apr_palloc(r->pool,
                          (req->session_count + 1) * sizeof(*sessions));
    if (req->session_count > 0) {
        memcpy(sessions, req->sessions,
               req->session_count * sizeof(*sessions));
    }
    sessions[req->session_count++] = ids;
    req->sessions = sessions;
    req->has_route = 1;
}

/* ---- answers ------------------------------------------------------------- */

static const clone_ids_t *route_of(const clone_request_t *req)
{
    static const clone_ids_t none;

    return req->has_route ? &req->sessions[req->session_count - 1] : &none;
}

/* Whether the application's own session says where it is. */
static int is_led_by_session(const clone_answer_t *answer)
{
    const clone_request_t *req = answer->req;
    unsigned int i;

    for (i = 0; i < answer->count; i++) {
        if (answer->issued[i].ids.count > 0) {
            return 1;
        }
    }
    return req->choice.reason != CLONE_REASON_NEW
           && req->choice.reason != CLONE_REASON_UNKNOWN
           && !(req->has_route
                && req->choice.session == req->session_count - 1);
}

static int find_name(void *ctx, const char *header, const char *line)
{
    const char *name = ctx;
    clone_set_cookie_t cookie;

    return !clone_set_cookie_read(&cookie, span_of_text(line),
                                  span_of_text(name), 0);
}

/* Whether somebody else sets a cookie of our name with this answer. */
static int is_taken(request_rec *r, const char *name)
{
    return !apr_table_do(find_name, (void *)(apr_uintptr_t)name,
                         r->headers_out, "Set-Cookie", NULL)
           || !apr_table_do(find_name, (void *)(apr_uintptr_t)name,
                            r->err_headers_out, "Set-Cookie", NULL);
}

static char *renewed_list(const clone_answer_t *answer)
{
    const proxy_balancer *balancer = answer->req->shown;
    unsigned int count = (unsigned int)balancer->workers->nelts;
    void *first = balancer->workers->elts;
    proxy_worker **workers = first;
    apr_pool_t *p = answer->r->pool;
    span_t *routes = apr_palloc(p, (count + 1) * sizeof(*routes));
    span_t list[CLONE_COOKIE_CLONES];
    unsigned int i;

    for (i = 0; i < count; i++) {
        routes[i] = span_of_text(workers[i]->s->route);
    }
    count = clone_cookie_renew(list, route_of(answer->req),
                               span_of_text(answer->worker->s->route),
                               routes, count);
    return clone_cookie_write_list(list, count, p);
}

/* A shared cache that keeps this answer sends all to one clone. */
static void mark_private(request_rec *r)
{
    apr_table_t *headers = apr_table_get(r->err_headers_out, "Cache-Control")
                           != NULL ? r->err_headers_out : r->headers_out;

    if (!ha_cache_is_private(apr_table_get(headers, "Cache-Control"))) {
        apr_table_mergen(headers, "Cache-Control", "private");
    }
}

static void set_own(const clone_answer_t *answer, const char *list)
{
    const clone_cookie_conf_t *conf = answer->req->route_cookie;
    span_t id = route_of(answer->req)->session;
    unsigned char bytes[CLONE_COOKIE_ID_BYTES];
    char new_id[CLONE_COOKIE_ID_LEN + 1];
    request_rec *r = answer->r;
    const char *value;

    if (is_taken(r, conf->name)) {
        return;
    }
    if (id.len == 0) {
        if (apr_generate_random_bytes(bytes, sizeof(bytes)) != APR_SUCCESS) {
            /* The next answer will do. */
            return;
        }
        clone_cookie_make_id(new_id, bytes);
        id = span_of_text(new_id);
    }
    value = clone_cookie_write(id, list, span_of_text(conf->name),
                               ring_or_none(), r->pool);
    apr_table_addn(r->err_headers_out, "Set-Cookie", clone_cookie_set(
        conf, value, strcmp(ap_http_scheme(r), "https") == 0, r->pool));
    mark_private(r);
}

static void set_session_ha(const clone_answer_t *answer, const char *list,
                           int is_changed)
{
    APR_OPTIONAL_FN_TYPE(session_ha_clones_set) *set =
        APR_RETRIEVE_OPTIONAL_FN(session_ha_clones_set);

    if (set != NULL) {
        set(answer->r, answer->req->route_cookie->name, list, is_changed);
    }
}

void clone_cookie_hooks_answer(const clone_answer_t *answer)
{
    const clone_request_t *req = answer->req;
    const char *route = answer->worker->s->route;
    const clone_ids_t *before = route_of(req);
    int is_changed;

    if (req->route_cookie == NULL || route[0] == '\0'
        || ap_is_HTTP_SERVER_ERROR(answer->r->status)
        || is_led_by_session(answer)) {
        return;
    }
    is_changed = before->count == 0
                 || !span_is_equal(before->clone[0], span_of_text(route));
    if (req->is_session_ha) {
        /* Any cookie that it sends shall have the list. */
        set_session_ha(answer, renewed_list(answer), is_changed);
    }
    else if (is_changed) {
        set_own(answer, renewed_list(answer));
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, answer->r, CRLOG(0213)
                      "%s: cookie %s names clone %s from now on",
                      req->shown->s->name, req->route_cookie->name, route);
    }
}
