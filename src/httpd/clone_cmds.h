/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CMDS_H
#define CLONE_CMDS_H

/**
 * @file clone_cmds.h
 * The directives of mod_proxy_balancer_clone.
 */

#include <httpd.h>
#include <http_config.h>

/** The module's directives, for its module record. */
extern const command_rec clone_cmds[];

/** create_server_config: an empty record. */
void *clone_cmds_create(apr_pool_t *p, server_rec *s);

/** merge_server_config: a virtual host's record over the main server's. */
void *clone_cmds_merge(apr_pool_t *p, void *base, void *over);

#endif
