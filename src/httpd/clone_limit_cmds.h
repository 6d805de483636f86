/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_LIMIT_CMDS_H
#define CLONE_LIMIT_CMDS_H

/**
 * @file clone_limit_cmds.h
 * Setters of the directives that say how much a member gets at a time. What
 * each takes is documented in README.md.
 */

#include <httpd.h>
#include <http_config.h>

/** ProxyCloneMaxInFlight Off|number [queue=number] [wait=interval] */
const char *clone_limit_set_most(cmd_parms *cmd, void *unused, int argc,
                                 char *const argv[]);

/** ProxyCloneSlowStart Off|interval */
const char *clone_limit_set_slow_start(cmd_parms *cmd, void *unused,
                                       const char *arg);

#endif
