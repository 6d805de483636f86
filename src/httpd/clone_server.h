/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_SERVER_H
#define CLONE_SERVER_H

/**
 * @file clone_server.h
 * Routing as one server knows it, and its way into mod_proxy's balancers.
 */

#include <apr_hash.h>
#include <httpd.h>
#include <http_config.h>
#include <mod_proxy.h>

#include "clone_conf.h"

/** The name of our lbmethod, in ProxySet and on balancer-manager's page. */
#define CLONE_METHOD_NAME "clone"

/** The module's record of one server. Constant once the server runs. */
typedef struct clone_server_t {
    clone_server_conf_t *conf; /**< what the directives said */
    apr_hash_t *known;         /**< balancer's name to clone_known_t */
    struct clone_config_t *config; /**< plugin-cfg.xml; the same record for
                                    all servers, or NULL */
    int is_routing;            /**< 1 when one of them is to be routed */
} clone_server_t;

/** What start-up found out about one balancer of one server; constant then. */
typedef struct clone_known_t {
    proxy_balancer_method *base; /**< decides where no session does */
    int is_chosen;    /**< lbmethod=clone was configured */
    int is_wanted;    /**< this server's settings ask for routing */
    int is_bystander; /**< the balancer is another server's too, which asks
                           for routing; this one does not */
    clone_conf_t conf; /**< what holds for its requests, defaults included,
                            where there is no plugin-cfg.xml */
} clone_known_t;

/**
 * check_config: what two directives contradict. Says so and refuses the
 * configuration, `httpd -t` included.
 */
int clone_server_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s);

/**
 * post_config, before mod_proxy_balancer moves balancers to shared memory:
 * put our lbmethod over the configured one where routing is on.
 */
int clone_server_install(apr_pool_t *pconf, apr_pool_t *plog,
                         apr_pool_t *ptemp, server_rec *s);

/** post_config, after mod_proxy_balancer: say what is routed. */
int clone_server_report(apr_pool_t *pconf, apr_pool_t *plog,
                        apr_pool_t *ptemp, server_rec *s);

/**
 * @param name a balancer's
 * @return what is known of it, as long as the configuration; NULL for one of
 *         the file's reserve, or that balancer-manager added since
 */
const clone_known_t *clone_server_known(const server_rec *s, const char *name);

/**
 * The lbmethod under ours.
 *
 * @param known of this server and name
 * @param s the server that the balancer belongs to
 * @param name the balancer's name
 * @return never our own, never NULL while the server runs
 */
proxy_balancer_method *clone_server_base(const clone_known_t *known,
                                         server_rec *s, const char *name);

/**
 * Whether a server's requests to a balancer are routed by us.
 *
 * @param known of the request's server and this balancer
 * @param balancer in step with shared memory
 * @return 1 when they are
 */
int clone_server_is_routed(const clone_known_t *known,
                           const proxy_balancer *balancer);

/**
 * What holds for one balancer of a server.
 *
 * @param effective filled
 */
void clone_server_settings(clone_conf_t *effective, server_rec *s,
                           const char *name);

/**
 * The same for a request: at once where nothing can have changed since the
 * start, and with the defaults of what failures and limits are about.
 *
 * @param conf filled
 * @param known of this server and name
 */
void clone_server_request(clone_conf_t *conf, const clone_known_t *known,
                          server_rec *s, const char *name);

#endif
