/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_RETRY_CMDS_H
#define CLONE_RETRY_CMDS_H

/**
 * @file clone_retry_cmds.h
 * Setters of the directives that say what is done about failures. What each
 * takes is documented in README.md.
 */

#include <httpd.h>
#include <http_config.h>

/**
 * A whole number within bounds; the whole word or nothing.
 *
 * @param what part of the directive it is, as it stands behind its name in a
 *        message
 * @return NULL, or what is wrong
 */
const char *clone_retry_take_number(apr_int64_t *number, const cmd_parms *cmd,
                                    const char *what, const char *arg,
                                    apr_int64_t least, apr_int64_t most);

/** ProxyCloneReplay never|idempotent|always [times] */
const char *clone_retry_set_replay(cmd_parms *cmd, void *unused,
                                   const char *word, const char *times);

/** ProxyCloneRetryStatus none|status... */
const char *clone_retry_set_statuses(cmd_parms *cmd, void *unused, int argc,
                                     char *const argv[]);

/** A whole number of clone_retry_conf_t, and its bounds. */
typedef struct clone_retry_number_t {
    apr_size_t offset; /**< of the member */
    apr_int64_t least;
    apr_int64_t most;
} clone_retry_number_t;

/** For the directives of these names; a command's info. */
extern const clone_retry_number_t clone_retry_body_memory;
extern const clone_retry_number_t clone_retry_body_file;
extern const clone_retry_number_t clone_retry_failures;

/** ProxyClone... number */
const char *clone_retry_set_number(cmd_parms *cmd, void *unused,
                                   const char *arg);

/** ProxyCloneRetryBudget percent [per second] */
const char *clone_retry_set_budget(cmd_parms *cmd, void *unused,
                                   const char *percent, const char *floor);

/** ProxyCloneDeadline interval */
const char *clone_retry_set_deadline(cmd_parms *cmd, void *unused,
                                     const char *arg);

#endif
