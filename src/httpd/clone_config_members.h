/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CONFIG_MEMBERS_H
#define CLONE_CONFIG_MEMBERS_H

/**
 * @file clone_config_members.h
 * Clusters of plugin-cfg.xml as balancers of mod_proxy, at start and while
 * the server runs.
 */

#include "clone_config.h"

/** @return 1 for a balancer in reserve */
int clone_config_members_is_reserve(const char *name);

/**
 * At start, before mod_proxy_balancer moves balancers to shared memory: give
 * the main server a balancer for each side of each cluster, with its members
 * and room for more, and balancers in reserve.
 *
 * One that the configuration has already, from <Proxy balancer://name>, gets
 * the members and keeps what was set for it.
 *
 * @return OK, or HTTP_INTERNAL_SERVER_ERROR when mod_proxy refuses, which is
 *         logged
 */
int clone_config_members_define(clone_config_t *config, apr_pool_t *pconf,
                                apr_pool_t *ptemp);

/**
 * In a child, after mod_proxy_balancer: let virtual hosts with settings of
 * their own for mod_proxy have the main server's balancers, not copies with
 * states of their own.
 */
void clone_config_members_share(clone_config_t *config, server_rec *s);

/**
 * Change the balancers in shared memory from one edition to the next: what
 * the file says otherwise now is set, the rest stays as it is, by whomever
 * it was set. Members that left are shut; they keep their place, since
 * mod_proxy cannot give it to another one before a restart.
 *
 * The caller holds the lock of the board.
 *
 * @param p scratch
 */
void clone_config_members_apply(clone_config_t *config,
                                const clone_edition_t *from,
                                const clone_edition_t *to, apr_pool_t *p);

/**
 * In a child, before it puts an edition in effect: take up the names that
 * balancers in reserve were given.
 */
void clone_config_members_follow(clone_config_t *config);

#endif
