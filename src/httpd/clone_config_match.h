/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CONFIG_MATCH_H
#define CLONE_CONFIG_MATCH_H

/**
 * @file clone_config_match.h
 * A request's host and path, and where plugin-cfg.xml sends it.
 */

#include <httpd.h>
#include <mod_proxy.h>

/**
 * translate_name, after mod_proxy and mod_rewrite: hand what a route matches
 * to its cluster's balancer. What ProxyPass took, or excluded by '!', is not
 * looked at; what nothing matches goes the ordinary way.
 *
 * @return OK, DECLINED; HTTP_SERVICE_UNAVAILABLE for a cluster that has no
 *         balancer before the next restart
 */
int clone_config_translate(request_rec *r);

/**
 * fixups: application servers want the client's Host, so it is kept for
 * requests of the file unless ProxyPreserveHost is Off in so many words. And
 * a body over the cluster's PostSizeLimit will be refused.
 *
 * @return DECLINED, or HTTP_REQUEST_ENTITY_TOO_LARGE
 */
int clone_config_fixups(request_rec *r);

/**
 * scheme_handler, before ours: what the file says of failures of this one
 * member goes to the request's copy of the balancer, which mod_proxy_balancer
 * asks after the attempt.
 *
 * @return DECLINED
 */
int clone_config_attempt(request_rec *r, proxy_worker *worker,
                         proxy_server_conf *conf, char *url,
                         const char *proxyhost, apr_port_t proxyport);

/**
 * The session cookie's name for a request of the file.
 *
 * @return NULL when the file did not route it; may be empty
 */
const char *clone_config_cookie(const request_rec *r);

/** The same for the parameter in URLs. */
const char *clone_config_parameter(const request_rec *r);

#endif
