/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_HOOKS_H
#define CLONE_HOOKS_H

/**
 * @file clone_hooks.h
 * mod_proxy's hooks that the router watches. None of them answers for
 * mod_proxy or mod_proxy_balancer: they look, and let the others work.
 */

#include <httpd.h>
#include <mod_proxy.h>

/**
 * pre_request, before mod_proxy_balancer: on the first attempt show it a
 * balancer without stickiness, on later ones remember who failed.
 *
 * @return DECLINED always
 */
int clone_hooks_pre_request(proxy_worker **worker, proxy_balancer **balancer,
                            request_rec *r, proxy_server_conf *conf,
                            char **url);

/**
 * scheme_handler, first: set the variables, log the decision, run the real
 * handler, and keep a failed member marked until mod_proxy has read it.
 *
 * @return what the real handler returned, DECLINED when not routed
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

#endif
