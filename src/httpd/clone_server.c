/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_proxy looks a balancer's method up by the name in its shared record,
 * at start and whenever another child changed it. A virtual host that uses a
 * balancer of the main server has its own record, and loses the name when it
 * mentions the balancer in a ProxyPass; or it has none, and shares that of
 * the main server, where the routing may be switched otherwise. So every
 * server's every balancer is looked at, and gets a record of its own before
 * our name is written in it.
 */
#include "clone_server.h"

#include <ap_provider.h>
#include <apr_strings.h>
#include <http_log.h>

#include "clone_method.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define DEFAULT_BASE "byrequests"

/* One balancer of one server. */
typedef struct place_t {
    server_rec *s;
    proxy_balancer *balancer;
    clone_conf_t conf;
} place_t;

typedef int (*visit_f)(place_t *place, apr_pool_t *pconf);

static int visit_all(server_rec *s, apr_pool_t *pconf, visit_f visit)
{
    for (; s != NULL; s = s->next) {
        proxy_server_conf *proxy = ap_get_module_config(s->module_config,
                                                        &proxy_module);
        int i;

        for (i = 0; i < proxy->balancers->nelts; i++) {
            place_t place;
            int rc;

            place.s = s;
            place.balancer = (proxy_balancer *)proxy->balancers->elts + i;
            clone_server_settings(&place.conf, s, place.balancer->s->name);
            rc = visit(&place, pconf);
            if (rc != OK) {
                return rc;
            }
        }
    }
    return OK;
}

/* "file:line" of the virtual host, for messages. */
static const char *where(const place_t *place, apr_pool_t *p)
{
    if (place->s->defn_name == NULL || !place->s->is_virtual) {
        return "main server";
    }
    return apr_psprintf(p, "%s:%u", place->s->defn_name,
                        place->s->defn_line_number);
}

static int is_ours(const proxy_balancer *balancer)
{
    return balancer->lbmethod == &clone_method;
}

static int is_named(const place_t *place)
{
    const clone_server_t *server = ap_get_module_config(
        place->s->module_config, &proxy_balancer_clone_module);

    return clone_server_conf_is_named(server->conf, place->balancer->s->name);
}

static int is_sticky(const proxy_balancer *balancer)
{
    return balancer->s->sticky[0] != '\0';
}

static int check_one(place_t *place, apr_pool_t *p)
{
    if (place->conf.routing == 0 && is_ours(place->balancer)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, place->s, CRLOG(0102)
                     "%s: %s: ProxyCloneRouting is Off, but lbmethod is "
                     CLONE_METHOD_NAME "; take one of them away",
                     where(place, p), place->balancer->s->name);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (place->conf.routing == 1 && is_named(place)
        && !is_sticky(place->balancer)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, place->s, CRLOG(0101)
                     "%s: %s: ProxyCloneRouting is On, but nothing names the "
                     "session cookie; add stickysession=JSESSIONID|jsessionid",
                     where(place, p), place->balancer->s->name);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

int clone_server_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s)
{
    return visit_all(s, ptemp, check_one);
}

/* The method that the administrator chose, or mod_proxy's own default. */
static proxy_balancer_method *base_of(const proxy_balancer *balancer)
{
    if (balancer->lbmethod != NULL && !is_ours(balancer)) {
        return balancer->lbmethod;
    }
    return ap_lookup_provider(PROXY_LBMETHOD, DEFAULT_BASE, "0");
}

static int install_one(place_t *place, apr_pool_t *pconf)
{
    proxy_balancer *balancer = place->balancer;
    clone_server_t *server = ap_get_module_config(
        place->s->module_config, &proxy_balancer_clone_module);
    proxy_balancer_method *base = base_of(balancer);
    int is_wanted = is_ours(balancer)
                    || (clone_conf_routing(&place->conf)
                        && is_sticky(balancer));

    if (base == NULL && is_wanted) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, place->s, CRLOG(0103)
                     "%s: %s: there is no lbmethod " DEFAULT_BASE " for "
                     "requests without a session; load "
                     "mod_lbmethod_byrequests", where(place, pconf),
                     balancer->s->name);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (base != NULL) {
        apr_hash_set(server->bases, apr_pstrdup(pconf, balancer->s->name),
                     APR_HASH_KEY_STRING, base);
    }
    if (is_wanted) {
        balancer->s = apr_pmemdup(pconf, balancer->s, sizeof(*balancer->s));
        balancer->lbmethod = &clone_method;
        balancer->lbmethod_set = 1;
        apr_cpystrn(balancer->s->lbpname, CLONE_METHOD_NAME,
                    sizeof(balancer->s->lbpname));
    }
    return OK;
}

int clone_server_install(apr_pool_t *pconf, apr_pool_t *plog,
                         apr_pool_t *ptemp, server_rec *s)
{
    server_rec *at;

    for (at = s; at != NULL; at = at->next) {
        clone_server_t *server = ap_get_module_config(
            at->module_config, &proxy_balancer_clone_module);

        server->bases = apr_hash_make(pconf);
    }
    return visit_all(s, pconf, install_one);
}

static int report_one(place_t *place, apr_pool_t *p)
{
    const proxy_balancer *balancer = place->balancer;

    if (is_ours(balancer)) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, place->s, CRLOG(0104)
                     "%s: %s is routed by clone, profile %s, over lbmethod %s",
                     where(place, p), balancer->s->name,
                     clone_profile_name(clone_conf_profile(&place->conf)),
                     clone_server_base(place->s, balancer->s->name)->name);
    }
    else if (clone_conf_routing(&place->conf) && is_sticky(balancer)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, place->s, CRLOG(0105)
                     "%s: %s: ProxyCloneRouting is On, but the state that "
                     "BalancerPersist kept says lbmethod %s, which is used; "
                     "choose " CLONE_METHOD_NAME " in balancer-manager",
                     where(place, p), balancer->s->name,
                     balancer->s->lbpname);
    }
    return OK;
}

int clone_server_report(apr_pool_t *pconf, apr_pool_t *plog,
                        apr_pool_t *ptemp, server_rec *s)
{
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        /* The first of two passes: mod_proxy_balancer has done nothing. */
        return OK;
    }
    return visit_all(s, ptemp, report_one);
}

proxy_balancer_method *clone_server_base(server_rec *s, const char *name)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);
    proxy_balancer_method *base = apr_hash_get(server->bases, name,
                                               APR_HASH_KEY_STRING);

    /* A balancer that balancer-manager added while the server runs. */
    return base != NULL ? base
                        : ap_lookup_provider(PROXY_LBMETHOD, DEFAULT_BASE, "0");
}

void clone_server_settings(clone_conf_t *effective, server_rec *s,
                           const char *name)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);

    clone_server_conf_of(effective, server->conf, name);
}
