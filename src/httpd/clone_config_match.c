/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_config_match.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <mod_proxy.h>

#include "clone_config.h"
#include "clone_config_limit.h"
#include "clone_request.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define COOKIE_NOTE "proxy-clone-cookie"
#define PARAMETER_NOTE "proxy-clone-parameter"
#define LIMIT_NOTE "proxy-clone-limit"

const char *clone_config_cookie(const request_rec *r)
{
    return apr_table_get(r->notes, COOKIE_NOTE);
}

const char *clone_config_parameter(const request_rec *r)
{
    return apr_table_get(r->notes, PARAMETER_NOTE);
}

/*
 * mod_proxy declines both what no ProxyPass names and what one excludes. It
 * went through them in their order and took none, so any exclusion that
 * matches is the one that counted.
 */
static int is_excluded(request_rec *r)
{
    proxy_server_conf *proxy = ap_get_module_config(r->server->module_config,
                                                    &proxy_module);
    proxy_dir_conf *dir = ap_get_module_config(r->per_dir_config,
                                               &proxy_module);
    struct proxy_alias *alias = (void *)proxy->aliases->elts;
    int i;

    if (apr_table_get(r->subprocess_env, "no-proxy") != NULL) {
        return 1;
    }
    if (dir->alias != NULL && strcmp(dir->alias->real, "!") == 0
        && ap_proxy_trans_match(r, dir->alias, dir) == DECLINED) {
        return 1;
    }
    for (i = 0; i < proxy->aliases->nelts; i++) {
        if (strcmp(alias[i].real, "!") == 0
            && ap_proxy_trans_match(r, &alias[i], dir) == DECLINED) {
            return 1;
        }
    }
    return 0;
}

/*
 * Application servers drop what stands behind ';' before they look at dots,
 * httpd does not: "/shop/..;/admin" is below /shop here, and /admin there.
 */
static int has_hidden_dots(const char *path)
{
    const char *at = path;

    for (; (at = strstr(at, "/.")) != NULL; at++) {
        apr_size_t dots = strspn(at + 1, ".");

        if (dots <= 2 && at[1 + dots] == ';') {
            return 1;
        }
    }
    return 0;
}

static unsigned int port_of(const request_rec *r, int is_https,
                            const clone_plugin_t *plugin)
{
    if (plugin->matches_server_port) {
        return r->connection->local_addr->port;
    }
    if (r->parsed_uri.port_str != NULL && r->parsed_uri.port != 0) {
        return r->parsed_uri.port;
    }
    return is_https ? 443 : 80;
}

/* The path and query as the client sent them. */
static const char *sent_path(const request_rec *r)
{
    const char *path = r->unparsed_uri;
    const char *scheme_end;

    if (path[0] == '/') {
        return path;
    }
    scheme_end = ap_strstr_c(path, "://");
    path = scheme_end != NULL ? scheme_end + 3 : path;
    path += strcspn(path, "/?#");
    return path[0] != '\0' ? path : "/";
}

static void hand_over(request_rec *r, const char *balancer,
                      const clone_match_hit_t *hit)
{
    const char *path = sent_path(r);

    r->filename = apr_pstrcat(r->pool, "proxy:", balancer,
                              path[0] == '/' ? "" : "/", path, NULL);
    r->handler = "proxy-server";
    r->proxyreq = PROXYREQ_REVERSE;
    apr_table_setn(r->notes, "proxy-nocanon", "1");
    apr_table_set(r->notes, COOKIE_NOTE,
                  hit->cookie != NULL ? hit->cookie : "");
    apr_table_set(r->notes, PARAMETER_NOTE,
                  hit->url_id != NULL ? hit->url_id : "");
    if (hit->route->cluster->post_limit >= 0) {
        apr_table_setn(r->notes, LIMIT_NOTE,
                       apr_psprintf(r->pool, "%" APR_INT64_T_FMT,
                                    hit->route->cluster->post_limit));
    }
}

/* With the edition borrowed. */
static int route(request_rec *r, const clone_edition_t *edition)
{
    proxy_server_conf *proxy = ap_get_module_config(r->server->module_config,
                                                    &proxy_module);
    int is_https = strcmp(ap_http_scheme(r), "https") == 0;
    clone_match_hit_t hit;
    const char *name;

    if (!clone_match_find(&hit, edition->match,
                          span_of_text(r->hostname != NULL ? r->hostname : ""),
                          port_of(r, is_https, edition->plugin),
                          span_of_text(r->uri))) {
        return DECLINED;
    }
    name = clone_edition_side(edition, hit.route->cluster, is_https)->name;
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, CRLOG(0420)
                  "%s: host %s in line %u, path %s in line %u",
                  name, hit.vhost != NULL ? hit.vhost->name : "any",
                  hit.vhost != NULL ? hit.vhost->line : hit.route->line,
                  hit.uri != NULL ? hit.uri->name : "any",
                  hit.uri != NULL ? hit.uri->line : hit.route->line);
    if (ap_proxy_get_balancer(r->pool, proxy, name, 1) == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, CRLOG(0421)
                      "%s: has no balancer before the next restart, "
                      "answering 503", name);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    hand_over(r, apr_pstrdup(r->pool, name), &hit);
    return OK;
}

int clone_config_translate(request_rec *r)
{
    clone_config_t *config = clone_config_of(r->server);
    clone_edition_t *edition;
    int rc;

    if (config == NULL || r->proxyreq != PROXYREQ_NONE || r->uri[0] != '/'
        || has_hidden_dots(r->uri) || is_excluded(r)) {
        return DECLINED;
    }
    edition = clone_config_enter(config);
    rc = route(r, edition);
    clone_config_leave(config, edition);
    return rc;
}

/* All modules' settings for a request, to be changed for it alone. */
static ap_conf_vector_t *copy_settings(const request_rec *r)
{
    ap_conf_vector_t *copy = ap_create_request_config(r->pool);
    module *m;

    for (m = ap_top_module; m != NULL; m = m->next) {
        ap_set_module_config(copy, m, ap_get_module_config(r->per_dir_config,
                                                           m));
    }
    return copy;
}

static void keep_host(request_rec *r)
{
    const proxy_dir_conf *dir = ap_get_module_config(r->per_dir_config,
                                                     &proxy_module);
    proxy_dir_conf *own;

    if (!dir->preserve_host_set) {
        own = apr_pcalloc(r->pool, sizeof(*own) + CLONE_COPY_ROOM);
        memcpy(own, dir, sizeof(*own));
        own->preserve_host = 1;
        r->per_dir_config = copy_settings(r);
        ap_set_module_config(r->per_dir_config, &proxy_module, own);
    }
}

int clone_config_fixups(request_rec *r)
{
    const char *limit = apr_table_get(r->notes, LIMIT_NOTE);

    if (r->proxyreq != PROXYREQ_REVERSE || clone_config_cookie(r) == NULL) {
        return DECLINED;
    }
    keep_host(r);
    return limit != NULL && clone_config_limit(r, apr_atoi64(limit)) != OK
           ? HTTP_REQUEST_ENTITY_TOO_LARGE : DECLINED;
}

/* ---- failures ------------------------------------------------------------ */

static void add_status(proxy_balancer *shown, int status, apr_pool_t *p)
{
    shown->errstatuses = shown->errstatuses != NULL
                         ? apr_array_copy(p, shown->errstatuses)
                         : apr_array_make(p, 1, sizeof(int));
    APR_ARRAY_PUSH(shown->errstatuses, int) = status;
}

int clone_config_attempt(request_rec *r, proxy_worker *worker,
                         proxy_server_conf *conf, char *url,
                         const char *proxyhost, apr_port_t proxyport)
{
    clone_config_t *config = clone_config_of(r->server);
    clone_request_t *req = clone_request_get(r);
    clone_edition_t *edition;
    const clone_side_t *side;
    const clone_seat_t *seat;

    if (config == NULL || req == NULL) {
        return DECLINED;
    }
    edition = clone_config_enter(config);
    side = clone_edition_named(edition, req->shown->s->name);
    req->tells_own_port = side != NULL
                          && edition->plugin->prefers_server_port;
    seat = side != NULL ? clone_seats_at(side->seats, worker->s->name_ex)
                        : NULL;
    req->socket_sec = seat != NULL ? seat->socket_sec : 0;
    if (seat != NULL) {
        req->shown->failontimeout = seat->io_downs;
        if (seat->server != NULL && seat->server->marks_busy_down) {
            add_status(req->shown, HTTP_SERVICE_UNAVAILABLE, r->pool);
        }
    }
    clone_config_leave(config, edition);
    return DECLINED;
}
