/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_FAR_H
#define SESSION_FAR_H

/**
 * @file session_far.h
 * Copies in far zones: what a request hands to its child's courier, and how
 * the courier brings it.
 */

#include "session_state.h"

/**
 * Start this child's courier, after its store.
 *
 * @param pchild the child's pool; when it ends, what waits is brought
 */
void session_far_child_init(session_site_t *site, apr_pool_t *pchild);

/** Fill in where this web server is, and whether a save waits for others. */
void session_far_fill(ha_session_env_t *env, const session_state_t *state);

/**
 * Whether a load may believe this zone: copies in others are put off, and
 * this host has used the session of late.
 *
 * @param env filled by session_far_fill()
 */
int session_far_is_known(const ha_session_env_t *env,
                         const session_state_t *state, const ha_sid_t *sid);

/**
 * Hand over what an operation left undone.
 *
 * @param saved put_off becomes 0 when it could not be taken
 * @param env surroundings of the operation
 * @param is_touch 1: renew the time to live there, too
 */
void session_far_send(ha_saved_t *saved, const ha_session_env_t *env,
                      const ha_sid_t *sid, int is_touch);

#endif
