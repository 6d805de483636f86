/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_HOOKS_H
#define CLONE_HOOKS_H

/**
 * @file clone_hooks.h
 * mod_proxy's hooks that the router watches. They look, and let mod_proxy and
 * mod_proxy_balancer do the work.
 */

#include <httpd.h>
#include <mod_proxy.h>

/**
 * pre_request, before mod_proxy_balancer: on the first attempt show it a
 * balancer without stickiness, on later ones remember who failed.
 *
 * @return DECLINED; HTTP_SERVICE_UNAVAILABLE when all attempts were made
 */
int clone_hooks_pre_request(proxy_worker **worker, proxy_balancer **balancer,
                            request_rec *r, proxy_server_conf *conf,
                            char **url);

/**
 * scheme_handler, first: set the variables, log the decision, run the real
 * handler; and again with another member while none could be reached.
 *
 * @return what the last real handler returned, DECLINED when not routed
 */
int clone_hooks_scheme_handler(request_rec *r, proxy_worker *worker,
                               proxy_server_conf *conf, char *url,
                               const char *proxyhost, apr_port_t proxyport);

/**
 * create_req: the member has the request and will be read from.
 *
 * @return DECLINED always
 */
int clone_hooks_create_req(request_rec *r, request_rec *backend_r);

/**
 * post_request, first: mod_proxy names the member of its own last attempt;
 * what failonstatus and failontimeout say belongs to ours.
 *
 * @return DECLINED when they are the same, else what the others returned
 */
int clone_hooks_post_request(proxy_worker *worker, proxy_balancer *balancer,
                             request_rec *r, proxy_server_conf *conf);

#endif
