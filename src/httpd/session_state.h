/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_STATE_H
#define SESSION_STATE_H

/**
 * @file session_state.h
 * The session of one client request.
 *
 * A client request may become several request_recs: internal redirects,
 * sub-requests, an ErrorDocument. They share one state for each cookie name,
 * kept at the first of them, so that a session is loaded once, a failure is
 * paid for once, and everybody changes the same table.
 */

#include <httpd.h>

#include <mod_session.h>

#include "ha_cookie.h"
#include "ha_keeper.h"
#include "ha_rotate.h"
#include "ha_session.h"
#include "session_module.h"

/** What a load came to. */
typedef enum session_found_e {
    SESSION_NONE = 0, /**< no cookie of our name */
    SESSION_REFUSED,  /**< no authentic one */
    SESSION_HIT,      /**< the session is here */
    SESSION_LATE,     /**< so is what it was before its id was rotated */
    SESSION_MISS,     /**< it is gone: lost, idle for too long, or ended */
    SESSION_UNKNOWN,  /**< nobody could say; nothing may be saved */
    SESSION_BUSY,     /**< another request has it for itself; likewise */
    SESSION_BLOCKED,  /**< it must not be stored in clear */
    SESSION_NOBODY    /**< sessions are users' here, and no user is known */
} session_found_e;

/** One session of one client request. Lives in the first request's pool. */
typedef struct session_state_t {
    struct session_state_t *next; /**< of another cookie name */
    apr_pool_t *pool;             /**< of the first request */
    ha_conf_t conf;               /**< where it was loaded */
    const server_rec *server;     /**< virtual host that it was loaded in */
    apr_uint32_t idle_sec;        /**< SessionMaxAge, or SessionHAIdleLimit */
    unsigned int replicas;        /**< copies wanted */
    unsigned int acks;            /**< copies a save needs; 0 for all there
                                       can be */
    apr_time_t issued;            /**< says the cookie; 0 without one */
    apr_uint32_t expires_sec;     /**< likewise: absolute end, or 0 */
    apr_time_t since;             /**< when it was loaded */
    ha_sid_t sid;                 /**< that was asked for last */
    ha_late_t *late;              /**< with SESSION_LATE, instead of session */
    int is_left;                  /**< 1: an id was rotated too long ago */
    int is_again;                 /**< 1: the answer has begun, no cookie */
    const char *user;             /**< whose it is, "" for nobody's; NULL
                                       when it is a browser's */
    session_found_e found;        /**< what the load came to */
    session_rec *z;               /**< what mod_session and others change */
    ha_session_t *session;        /**< NULL until a store holds it */
    apr_table_t *before;          /**< attributes as the store has them */
    apr_interval_time_t spent;    /**< of the time budget */
    const char *copies;           /**< SESSION_HA_COPIES; NULL unless found */
    const char *save;             /**< SESSION_HA_SAVE; NULL until saved */
    const char *cookie;           /**< Set-Cookie to be sent; NULL for none */
    ha_cookie_t genuine;          /**< what the session's cookie says */
    int has_genuine;              /**< 1: there is one, to send or sent */
    const char *listed;           /**< what the client sent behind it */
    const char *clones;           /**< what a router wants there, or NULL */
    int is_clones_new;            /**< 1: the client does not know it yet */
    int failure;                  /**< HTTP status that tells of a save that
                                       failed; 0 for none */
    int is_refused;               /**< 1: answered with 503 already */
    int is_failed;                /**< 1: the last save stored nothing */
    ha_kept_t *lock;              /**< while it is ours alone; else NULL */
    int is_let_go;                /**< 1: the lock went with the answer's end,
                                       and nothing may be stored any more */
} session_state_t;

/** All that one client request has. */
typedef struct session_root_t {
    session_state_t *states; /**< one for each cookie name */
    const char *header;      /**< request header that holds a session now */
    int is_logout;           /**< 1: the application asked for it */
    int is_rotate;           /**< 1: likewise, for another id */
    int is_early;            /**< 1: a failed load is answered by us */
    int is_answered;         /**< 1: headers of the answer are on their way */
} session_root_t;

/** @return the first of the request_recs that are one client request */
request_rec *session_first_of(request_rec *r);

/** @return what the client request has; NULL when make is 0 and nothing */
session_root_t *session_root_of(request_rec *r, int make);

/**
 * Note that who a request says it comes from has been proved: what stands in
 * r->user before is what somebody claimed. A request_rec each.
 */
void session_state_admit_user(request_rec *r);

/** @return the state for the cookie name and user that hold here, or NULL */
session_state_t *session_state_find(request_rec *r);

/**
 * The state for the cookie name that holds here, loaded when it is not.
 *
 * @return the state, with a session_rec; never NULL
 */
session_state_t *session_state_load(request_rec *r);

/** Whether nothing may be saved: it is unknown what that would overwrite. */
int session_state_is_closed(const session_state_t *state);

/**
 * Store what the request changed: once, however often it is called.
 *
 * @param state changed: save says what was done, cookie what to send
 * @param r for log lines
 */
void session_state_save(session_state_t *state, request_rec *r);

/**
 * The attributes as they stand in mod_session's table, without the expiry
 * that mod_session keeps among them.
 *
 * @param p owns the table, which points into mod_session's
 */
apr_table_t *session_state_table(const session_state_t *state,
                                 apr_pool_t *p);

/** @return copies as last saved, else as found; NULL for neither */
const char *session_state_copies(const session_state_t *state);

/** Tell what the load came to by variables of this request_rec. */
void session_state_tell(const session_state_t *state, request_rec *r);

#endif
