/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_FAR_H
#define SESSION_FAR_H

/**
 * @file session_far.h
 * Copies in far zones: what a request does not wait for, and hands to its
 * child's courier; and how the courier brings it.
 */

#include "session_state.h"

/**
 * Start this child's courier, after its store.
 *
 * @param pchild the child's pool; when it ends, what waits is brought
 */
void session_far_child_init(session_site_t *site, apr_pool_t *pchild);

/**
 * Whether a load may believe this zone: copies in others are put off, and
 * this host has used the session of late.
 *
 * @param now the clock
 */
int session_far_is_known(const session_state_t *state, const ha_sid_t *sid,
                         apr_time_t now);

/**
 * ha_session_save(), with copies in far zones put off if so configured, and
 * handed to the courier. What else stores something waits for all zones.
 *
 * @param saved as session_far_send() leaves it
 * @param env surroundings; waits for all zones
 */
void session_far_save(const session_state_t *state, ha_saved_t *saved,
                      const ha_session_env_t *env, const ha_op_t *ops,
                      unsigned int count);

/** ha_session_touch(), likewise. */
void session_far_touch(const session_state_t *state, ha_saved_t *saved,
                       const ha_session_env_t *env);

/**
 * Hand over what an operation left undone: also for ends, which everybody is
 * told at once, and who was away when it is back, near or far.
 *
 * @param saved missed becomes 0 when the courier took it, put_off when not
 * @param is_touch 1: renew the time to live there, too
 */
void session_far_send(ha_saved_t *saved, const ha_session_env_t *env,
                      const ha_sid_t *sid, int is_touch);

#endif
