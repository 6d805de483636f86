/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_CMDS_H
#define SESSION_CMDS_H

/**
 * @file session_cmds.h
 * The directives of mod_session_ha, and the records they fill.
 */

#include <httpd.h>
#include <http_config.h>

/** Directives, ended by an empty one. */
extern const command_rec session_cmds[];

/** Hooks of the module record: make and merge both kinds of records. */
void *session_dir_make(apr_pool_t *p, char *dir);
void *session_dir_merge(apr_pool_t *p, void *basev, void *overv);
void *session_server_make(apr_pool_t *p, server_rec *s);
void *session_server_merge(apr_pool_t *p, void *basev, void *overv);

#endif
