/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CONFIG_METHOD_H
#define CLONE_CONFIG_METHOD_H

/**
 * @file clone_config_method.h
 * Who gets a request without a session, as plugin-cfg.xml says it: LoadBalance,
 * IgnoreAffinityRequests, ClusterAddress.
 */

#include <mod_proxy.h>

/** Its name among lbmethods. */
#define CLONE_CONFIG_METHOD_NAME "clone-config"

/**
 * The lbmethod under ours in the balancers of the file, unless another one is
 * set for them.
 */
extern proxy_balancer_method clone_config_method;

#endif
