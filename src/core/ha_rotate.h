/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_ROTATE_H
#define HA_ROTATE_H

/**
 * @file ha_rotate.h
 * Another id for a session, and what becomes of requests with the old one.
 *
 * Somebody may have planted the old id, and wait for its owner to log in. So
 * a rotation cuts the session in two: what was there before it, and what came
 * with it or later. A request with the old id was under way already, or is
 * not the owner's: it counts as one from before the cut. It sees what was
 * there then, and what it writes is older than the cut, wherever it arrives.
 */

#include "ha_forward.h"
#include "ha_session.h"

/** What a rotation came to. */
typedef enum ha_rotate_e {
    HA_ROTATE_DONE = 0, /**< the new id holds, the old one leads to it */
    HA_ROTATE_FAILED,   /**< the new one is not stored; nothing has changed */
    HA_ROTATE_ENDED     /**< the session was logged out meanwhile, for good */
} ha_rotate_e;

/** A session as it is seen by a request with its old id. */
typedef struct ha_late_t {
    apr_pool_t *pool;                       /**< owns it */
    ha_session_t *origin;                   /**< of the old id */
    ha_image_t *past;                       /**< what was seen on the way, and
                                                 may not have arrived yet */
    ha_session_t *heads[HA_FORWARDS_MAX];   /**< where it went; several, when
                                                 several rotated at once */
    ha_stamp_t cuts[HA_FORWARDS_MAX];       /**< of each: what is older may
                                                 be seen */
    unsigned int count;                     /**< entries in use */
    apr_time_t since;                       /**< when the request began */
    int is_unknown;                         /**< one could not be asked */
} ha_late_t;

/**
 * Copy a session under a new id. No store knows the copy.
 *
 * @param session read only
 * @param before attributes older than this are copied; NULL for all
 * @param sid the new id
 * @param p owns the copy
 */
ha_session_t *ha_rotate_copy(const ha_session_t *session,
                             const ha_stamp_t *before, const ha_sid_t *sid,
                             apr_pool_t *p);

/**
 * Store a copy with this request's changes, leave word of it in the old log,
 * take over what others have written there meanwhile, and end the old one.
 *
 * @param fresh the copy, without what this request changed
 * @param old the session that it was made of
 * @param forward where to; the stamp is filled
 * @param saved filled, for the new session
 * @param left filled, for the end of the old one
 * @param env surroundings
 * @param ops attributes set and removed, seen by the new id's holder alone
 * @param count entries of ops, may be 0
 * @return DONE; otherwise the new id is worth nothing
 */
HA_CHECK_RESULT
ha_rotate_e ha_rotate_session(ha_session_t *fresh, ha_session_t *old,
                              ha_forward_t *forward, ha_saved_t *saved,
                              ha_saved_t *left, const ha_session_env_t *env,
                              const ha_op_t *ops, unsigned int count);

/** Whether a session, as last seen, goes on under another id. */
int ha_late_is_due(const ha_session_t *session);

/**
 * Follow an old id.
 *
 * @param late filled
 * @param origin the session of the old id, loaded or saved: ha_late_is_due()
 * @param since when the request began to use the session: forwards that held
 *              then are followed
 * @param env surroundings
 * @param p owns late
 * @return HIT; ENDED when nothing is left to follow; UNKNOWN when nobody
 *         could be asked
 */
HA_CHECK_RESULT
ha_load_e ha_late_follow(ha_late_t *late, ha_session_t *origin,
                         apr_time_t since, const ha_session_env_t *env,
                         apr_pool_t *p);

/**
 * The attributes from before the rotation.
 *
 * @param p owns the table
 */
apr_table_t *ha_late_table(const ha_late_t *late, apr_pool_t *p);

/**
 * Store what a request with the old id changed, wherever the session went.
 *
 * @param late may find more places on the way
 * @param saved filled, for the place with the fewest copies; refused when
 *              the session has ended everywhere
 */
void ha_late_save(ha_late_t *late, ha_saved_t *saved,
                  const ha_session_env_t *env, const ha_op_t *ops,
                  unsigned int count);

/**
 * Log out: a session ends, and whatever it goes on as under another id.
 *
 * @param session of the id that the request came with
 * @param saved filled, for the place with the fewest copies
 * @param env surroundings
 * @param p for what is found on the way
 */
void ha_rotate_end(ha_session_t *session, ha_saved_t *saved,
                   const ha_session_env_t *env, apr_pool_t *p);

/**
 * Copy the session from before the rotation under a new id: its holder
 * begins where the others were cut off.
 */
ha_session_t *ha_late_copy(const ha_late_t *late, const ha_sid_t *sid,
                           apr_pool_t *p);

#endif
