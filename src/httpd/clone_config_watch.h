/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CONFIG_WATCH_H
#define CLONE_CONFIG_WATCH_H

/**
 * @file clone_config_watch.h
 * A thread in each child that sees when plugin-cfg.xml has changed, so that
 * no request has to.
 */

#include "clone_config.h"

/**
 * Start the child's thread; nothing to do when the file says never to look.
 * It ends with the pool.
 *
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t clone_watch_start(clone_config_t *config, apr_pool_t *pchild);

/**
 * Take what others pinned up, where there is no thread to do it.
 *
 * @param p scratch
 */
void clone_watch_catch_up(clone_config_t *config, apr_pool_t *p);

/** @return 1 when the child is ending; watch may be NULL */
int clone_watch_is_over(clone_watch_t *watch);

#endif
