/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_proxy looks a balancer's method up by the name in its shared record,
 * at start and whenever another child changed it. A virtual host that uses a
 * balancer of the main server has its own record, and loses the name when it
 * mentions the balancer in a ProxyPass; or it has none, and shares that of
 * the main server, where the routing may be switched otherwise. So every
 * server's every balancer is looked at, and gets a record of its own before
 * our name is written in it. A virtual host without a directive of mod_proxy
 * shares even the balancers; there each server remembers what it asked for.
 */
#include "clone_server.h"

#include <ap_provider.h>
#include <apr_strings.h>
#include <http_log.h>

#include "clone_config.h"
#include "clone_config_method.h"
#include "clone_method.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define DEFAULT_BASE "byrequests"

/* One balancer of one server. */
typedef struct place_t {
    server_rec *main_s;
    server_rec *s;
    proxy_balancer *balancer;
    clone_conf_t conf;
} place_t;

typedef int (*visit_f)(place_t *place, apr_pool_t *pconf);

static proxy_balancer *balancer_at(const proxy_server_conf *proxy, int i)
{
    void *first = proxy->balancers->elts;

    return (proxy_balancer *)first + i;
}

static int visit_all(server_rec *s, apr_pool_t *pconf, visit_f visit)
{
    server_rec *main_s = s;

    for (; s != NULL; s = s->next) {
        proxy_server_conf *proxy = ap_get_module_config(s->module_config,
                                                        &proxy_module);
        int i;

        for (i = 0; i < proxy->balancers->nelts; i++) {
            place_t place;
            int rc;

            place.main_s = main_s;
            place.s = s;
            place.balancer = balancer_at(proxy, i);
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

/* Whether there is a cookie or parameter that can name clones. */
static int is_sticky(const place_t *place)
{
    return place->balancer->s->sticky[0] != '\0'
           || clone_conf_cookie(&place->conf) != NULL;
}

static int is_routed(const place_t *place)
{
    return is_ours(place->balancer)
           || (clone_conf_routing(&place->conf) && is_sticky(place));
}

/* Whether the router would write where the application's session stands. */
static int is_cookie_taken(const place_t *place)
{
    const clone_cookie_conf_t *cookie = clone_conf_cookie(&place->conf);

    return cookie != NULL
           && strcmp(cookie->name, place->balancer->s->sticky) == 0;
}

static int is_open_to_all(const server_rec *s)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);

    return clone_server_conf_removal(server->conf) == CLONE_REMOVAL_NONE;
}

/* The method that the administrator chose, or mod_proxy's own default. */
static proxy_balancer_method *base_of(const proxy_balancer *balancer)
{
    if (balancer->lbmethod != NULL && !is_ours(balancer)) {
        return balancer->lbmethod;
    }
    return ap_lookup_provider(PROXY_LBMETHOD, DEFAULT_BASE, "0");
}

static int refuse_baseless(const place_t *place, apr_pool_t *p)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, place->s, CRLOG(0103)
                 "%s: %s: there is no lbmethod " DEFAULT_BASE " for requests "
                 "without a session; load mod_lbmethod_byrequests",
                 where(place, p), place->balancer->s->name);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static int check_balancing(server_rec *s, const char *at, const char *what)
{
    if (ap_find_linked_module("mod_proxy_balancer.c") != NULL) {
        return OK;
    }
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, CRLOG(0106)
                 "%s: %s is to be routed, but mod_proxy_balancer is not "
                 "loaded, and every request would be answered with 503: add "
                 "LoadModule proxy_balancer_module", at, what);
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* What has to be loaded for a balancer that is to be routed. */
static int check_modules(const place_t *place, apr_pool_t *p)
{
    int rc = check_balancing(place->s, where(place, p),
                             place->balancer->s->name);

    return rc == OK && base_of(place->balancer) == NULL
               ? refuse_baseless(place, p) : rc;
}

static proxy_worker *worker_at(const proxy_balancer *balancer, int i)
{
    void *first = balancer->workers->elts;

    return ((proxy_worker **)first)[i];
}

/* Whether another server before this one has the same members, and routes. */
static int is_known_before(const place_t *place)
{
    server_rec *s;
    int i;

    for (s = place->main_s; s != place->s; s = s->next) {
        proxy_server_conf *proxy = ap_get_module_config(s->module_config,
                                                        &proxy_module);

        for (i = 0; i < proxy->balancers->nelts; i++) {
            place_t other = { place->main_s, s, balancer_at(proxy, i),
                              place->conf };

            clone_server_settings(&other.conf, s, other.balancer->s->name);
            if (other.balancer->workers == place->balancer->workers
                && is_routed(&other)) {
                return 1;
            }
        }
    }
    return 0;
}

/* The id of a clone is to name one member. mod_proxy takes such a pair, which
 * may stand for each other, so it is no fault. */
static void warn_of_routes(const place_t *place, apr_pool_t *p)
{
    const proxy_balancer *balancer = place->balancer;
    int i;
    int k;

    for (i = 1; i < balancer->workers->nelts; i++) {
        const proxy_worker *worker = worker_at(balancer, i);

        for (k = 0; k < i && worker->s->route[0] != '\0'; k++) {
            const proxy_worker *other = worker_at(balancer, k);

            if (strcmp(other->s->route, worker->s->route) == 0
                && !is_known_before(place)) {
                ap_log_error(APLOG_MARK, APLOG_WARNING, 0, place->s,
                             CRLOG(0107)
                             "%s: %s: route %s is that of %s and of %s; a "
                             "session there may come to either of them",
                             where(place, p), balancer->s->name,
                             worker->s->route, other->s->name_ex,
                             worker->s->name_ex);
                return;
            }
        }
    }
}

/* Warnings are for the test of a configuration and for the one that is used;
 * a start reads it twice. */
static int is_to_warn(void)
{
    return ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST
        || ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG;
}

/* A balancer that is to be routed. */
static int check_routed(const place_t *place, apr_pool_t *p)
{
    if (is_to_warn()) {
        warn_of_routes(place, p);
    }
    return check_modules(place, p);
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
    if (((place->conf.routing == 1 && is_named(place))
         || is_ours(place->balancer))
        && !is_sticky(place)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, place->s, CRLOG(0101)
                     "%s: %s: %s, but nothing names the session cookie; add "
                     "stickysession=JSESSIONID|jsessionid, or a "
                     "ProxyCloneCookie",
                     where(place, p), place->balancer->s->name,
                     is_ours(place->balancer)
                     ? "lbmethod is " CLONE_METHOD_NAME
                     : "ProxyCloneRouting is On");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (place->conf.private_headers == 1 && is_open_to_all(place->s)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, place->s, CRLOG(0150)
                     "%s: %s: ProxyClonePrivateHeaders is On, and with "
                     "ProxyCloneHeaderRemoval none every client could say in "
                     "them who he is; take one of them away",
                     where(place, p), place->balancer->s->name);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (is_cookie_taken(place)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, place->s, CRLOG(0124)
                     "%s: %s: ProxyCloneCookie names the session cookie of "
                     "the application, %s; give it another name",
                     where(place, p), place->balancer->s->name,
                     place->balancer->s->sticky);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return is_routed(place) ? check_routed(place, p) : OK;
}

int clone_server_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s)
{
    const clone_config_t *config = clone_config_of(s);
    int rc = config != NULL ? check_balancing(s, "ProxyCloneConfig",
                                              config->path) : OK;

    return rc == OK ? visit_all(s, ptemp, check_one) : rc;
}

static clone_known_t *known_of(const server_rec *s, const char *name)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);

    return apr_hash_get(server->known, name, APR_HASH_KEY_STRING);
}

static int is_default(const proxy_balancer *balancer)
{
    return balancer->lbmethod == NULL
           || strcmp(balancer->lbmethod->name, DEFAULT_BASE) == 0;
}

/*
 * mod_proxy gives a virtual host that mentions the main server's balancer all
 * its settings but the method, which is the default again. Nobody can tell
 * that from a chosen default; losing the routing without a word is worse than
 * having to say ProxyCloneRouting Off.
 */
static const proxy_balancer *find_model(const place_t *place)
{
    proxy_server_conf *mine = ap_get_module_config(place->s->module_config,
                                                   &proxy_module);
    proxy_server_conf *proxy = ap_get_module_config(
        place->main_s->module_config, &proxy_module);
    int i;

    if (place->s == place->main_s || !is_default(place->balancer)
        || !(mine->inherit || mine->ppinherit)) {
        return NULL;
    }
    for (i = 0; i < proxy->balancers->nelts; i++) {
        const proxy_balancer *model = balancer_at(proxy, i);

        if (strcmp(model->s->name, place->balancer->s->name) == 0) {
            return model;
        }
    }
    return NULL;
}

/* Whether lbmethod=clone holds, said here or in the main server. */
static int is_chosen(const place_t *place)
{
    const proxy_balancer *model = find_model(place);

    return is_ours(place->balancer)
           || (model != NULL && place->conf.routing != 0
               && known_of(place->main_s, model->s->name)->is_chosen);
}

static clone_known_t *add_known(const place_t *place, apr_pool_t *pconf)
{
    const clone_server_t *server = ap_get_module_config(
        place->s->module_config, &proxy_balancer_clone_module);
    clone_known_t *known = apr_pcalloc(pconf, sizeof(*known));

    apr_hash_set(server->known, apr_pstrdup(pconf, place->balancer->s->name),
                 APR_HASH_KEY_STRING, known);
    return known;
}

/* Whether mod_proxy has one record for this server and the main server. */
static int is_shared(const place_t *place)
{
    return place->s != place->main_s
           && ap_get_module_config(place->s->module_config, &proxy_module)
              == ap_get_module_config(place->main_s->module_config,
                                      &proxy_module);
}

static void put_over(proxy_balancer *balancer, apr_pool_t *pconf)
{
    balancer->s = apr_pmemdup(pconf, balancer->s, sizeof(*balancer->s));
    balancer->lbmethod = &clone_method;
    balancer->lbmethod_set = 1;
    apr_cpystrn(balancer->s->lbpname, CLONE_METHOD_NAME,
                sizeof(balancer->s->lbpname));
}

static void fill(clone_conf_t *conf)
{
    clone_retry_conf_fill(&conf->retry);
    clone_limit_conf_fill(&conf->limit);
}

static int install_one(place_t *place, apr_pool_t *pconf)
{
    proxy_balancer *balancer = place->balancer;
    clone_known_t *known = add_known(place, pconf);
    int is_asked = clone_conf_routing(&place->conf) && is_sticky(place);

    known->conf = place->conf;
    fill(&known->conf);
    if (is_shared(place)) {
        const clone_known_t *owner = known_of(place->main_s,
                                              balancer->s->name);

        known->base = owner->base;
        known->is_chosen = owner->is_chosen;
        known->is_wanted = is_asked
                           || (owner->is_wanted && place->conf.routing != 0);
    }
    else {
        known->base = base_of(balancer);
        known->is_chosen = is_chosen(place);
        known->is_wanted = is_asked || known->is_chosen;
    }
    if (known->is_wanted && known->base == NULL) {
        return refuse_baseless(place, pconf);
    }
    if (known->is_wanted) {
        clone_server_t *server = ap_get_module_config(
            place->s->module_config, &proxy_balancer_clone_module);

        server->is_routing = 1;
        put_over(balancer, pconf);
    }
    return OK;
}

/* After all servers: whose balancer became ours for another server's sake? */
static int find_bystander(place_t *place, apr_pool_t *pconf)
{
    clone_known_t *known = known_of(place->s, place->balancer->s->name);

    known->is_bystander = is_ours(place->balancer) && !known->is_wanted;
    return OK;
}

int clone_server_install(apr_pool_t *pconf, apr_pool_t *plog,
                         apr_pool_t *ptemp, server_rec *s)
{
    server_rec *at;
    int rc;

    for (at = s; at != NULL; at = at->next) {
        /* A host without a directive of ours has the main server's record. */
        clone_server_t *server = apr_pmemdup(
            pconf, ap_get_module_config(at->module_config,
                                        &proxy_balancer_clone_module),
            sizeof(*server));

        server->known = apr_hash_make(pconf);
        /* the file's balancers come to virtual hosts in the child only */
        server->is_routing = clone_config_of(at) != NULL;
        ap_set_module_config(at->module_config, &proxy_balancer_clone_module,
                             server);
    }
    rc = visit_all(s, pconf, install_one);
    return rc == OK ? visit_all(s, pconf, find_bystander) : rc;
}

static int report_one(place_t *place, apr_pool_t *p)
{
    const proxy_balancer *balancer = place->balancer;
    const clone_known_t *known = known_of(place->s, balancer->s->name);

    if (is_ours(balancer) && !known->is_bystander) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, place->s, CRLOG(0104)
                     "%s: %s is routed by clone, profile %s, over lbmethod %s",
                     where(place, p), balancer->s->name,
                     clone_profile_name(clone_conf_profile(&place->conf)),
                     known->base->name);
    }
    else if (!is_ours(balancer) && known->is_wanted) {
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

const clone_known_t *clone_server_known(const server_rec *s, const char *name)
{
    return known_of(s, name);
}

proxy_balancer_method *clone_server_base(const clone_known_t *known,
                                         server_rec *s, const char *name)
{
    clone_config_cluster_t cluster;

    return known != NULL && known->base != NULL
               ? known->base
               : ap_lookup_provider(PROXY_LBMETHOD,
                                    clone_config_cluster(&cluster, s, name,
                                                         NULL)
                                    ? CLONE_CONFIG_METHOD_NAME : DEFAULT_BASE,
                                    "0");
}

int clone_server_is_routed(const clone_known_t *known,
                           const proxy_balancer *balancer)
{
    return is_ours(balancer) && (known == NULL || !known->is_bystander);
}

void clone_server_settings(clone_conf_t *effective, server_rec *s,
                           const char *name)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);

    clone_conf_t file;

    clone_conf_init(&file);
    clone_config_settings(&file, s, name);
    clone_server_conf_with(effective, server->conf, &file, name);
}

void clone_server_request(clone_conf_t *conf, const clone_known_t *known,
                          server_rec *s, const char *name)
{
    if (known != NULL && clone_config_of(s) == NULL) {
        *conf = known->conf;
        return;
    }
    clone_server_settings(conf, s, name);
    fill(conf);
}
