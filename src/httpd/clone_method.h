/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_METHOD_H
#define CLONE_METHOD_H

/**
 * @file clone_method.h
 * The lbmethod "clone": session first, the method under it otherwise.
 */

#include <mod_proxy.h>

/**
 * The provider. Its finder runs under the balancer's thread lock and takes no
 * other; a child calls it from all its threads. Never written to; mod_proxy
 * wants it without const.
 */
extern proxy_balancer_method clone_method;

/**
 * Count a request that followed its session as byrequests would have.
 */
void clone_method_count(proxy_balancer *balancer, proxy_worker *elected);

#endif
