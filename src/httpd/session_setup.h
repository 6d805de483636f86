/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_SETUP_H
#define SESSION_SETUP_H

/**
 * @file session_setup.h
 * From a configuration to a site at work: in the parent, then in each child.
 */

#include <httpd.h>

/** Hook post_config: secrets, shared memory, the store. */
int session_setup_post_config(apr_pool_t *pconf, apr_pool_t *plog,
                              apr_pool_t *ptemp, server_rec *s);

/** Hook child_init: connections and the prober. */
void session_setup_child_init(apr_pool_t *pchild, server_rec *s);

#endif
