/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CMDS_H
#define CLONE_CMDS_H

/**
 * @file clone_cmds.h
 * The directives of mod_proxy_balancer_clone.
 */

#include <httpd.h>
#include <http_config.h>

#include "clone_conf.h"

/** The module's directives, for its module record. */
extern const command_rec clone_cmds[];

/**
 * The record that a directive speaks of.
 *
 * @param conf the server's, or one balancer's; NULL when it stands where it
 *        must not
 * @return NULL, or why it must not
 */
const char *clone_cmds_scope(clone_conf_t **conf, cmd_parms *cmd);

/** create_server_config: an empty record. */
void *clone_cmds_create(apr_pool_t *p, server_rec *s);

/** merge_server_config: a virtual host's record over the main server's. */
void *clone_cmds_merge(apr_pool_t *p, void *base, void *over);

#endif
