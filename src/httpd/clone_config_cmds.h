/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CONFIG_CMDS_H
#define CLONE_CONFIG_CMDS_H

/**
 * @file clone_config_cmds.h
 * The directives about plugin-cfg.xml, for the table in clone_cmds.c.
 */

#include <httpd.h>
#include <http_config.h>

/** ProxyCloneConfig file */
const char *clone_config_set_file(cmd_parms *cmd, void *unused,
                                  const char *arg);

/** ProxyCloneConfigReserve members [clusters] */
const char *clone_config_set_reserve(cmd_parms *cmd, void *unused,
                                     const char *members,
                                     const char *clusters);

#endif
