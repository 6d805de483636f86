/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_REPLAY_H
#define CLONE_REPLAY_H

/**
 * @file clone_replay.h
 * How an attempt ended, in; whether the request may be sent again, to whom,
 * and why or why not, out.
 *
 * A request that no member has may go on to another one as it is. One that a
 * member may have executed is sent again by a rule alone: its method or its
 * client says that twice is as good as once, all of it is held, nobody has
 * seen a byte of an answer, and not more often than was set.
 */

#include "ha_base.h"

/** How an attempt ended. */
typedef enum clone_end_e {
    CLONE_END_ANSWERED = 0, /**< the member's answer is the client's */
    CLONE_END_UNREACHED,    /**< no connection: the member has nothing */
    CLONE_END_FULL,         /**< all connections are taken: the same */
    CLONE_END_LOST,         /**< the connection broke */
    CLONE_END_SILENT,       /**< no answer in time */
    CLONE_END_GARBLED,      /**< what came is no answer */
    CLONE_END_STATUS        /**< an answer, with a status to be tried again */
} clone_end_e;

/** Which requests may be sent again after a member may have executed them. */
typedef enum clone_replay_e {
    CLONE_REPLAY_NEVER = 0,
    CLONE_REPLAY_IDEMPOTENT, /**< those that say so: method, or a key */
    CLONE_REPLAY_ALWAYS      /**< all: the application sees to it */
} clone_replay_e;

/** What shall be done. */
typedef enum clone_verdict_e {
    CLONE_VERDICT_DONE = 0, /**< nothing: the answer is on its way */
    CLONE_VERDICT_SAME,     /**< the same member, by a new connection */
    CLONE_VERDICT_NEXT,     /**< another member */
    CLONE_VERDICT_STOP      /**< tell the client */
} clone_verdict_e;

/** Why. */
typedef enum clone_cause_e {
    CLONE_CAUSE_ANSWERED = 0, /**< DONE */
    CLONE_CAUSE_UNSENT,       /**< NEXT: no member has the request */
    CLONE_CAUSE_STALE,        /**< SAME: the connection was an old one */
    CLONE_CAUSE_REPLAY,       /**< NEXT: twice is as good as once */
    CLONE_CAUSE_GIVEN,        /**< STOP: the client has part of an answer */
    CLONE_CAUSE_LATE,         /**< STOP: the deadline is over */
    CLONE_CAUSE_ATTEMPTS,     /**< STOP: maxattempts were made */
    CLONE_CAUSE_UPGRADE,      /**< STOP: the connection was to be another's */
    CLONE_CAUSE_METHOD,       /**< STOP: once may have been enough */
    CLONE_CAUSE_BODY,         /**< STOP: the body is not held */
    CLONE_CAUSE_LIMIT,        /**< STOP: it was sent often enough */
    CLONE_CAUSE_TIMEOUTS,     /**< STOP: it has timed out often enough */
    CLONE_CAUSE_BUDGET        /**< STOP: too many others were sent again; not
                                   by clone_replay_judge() */
} clone_cause_e;

/** An attempt, and the request it was made for. */
typedef struct clone_facts_t {
    clone_end_e end;
    clone_replay_e allowed;
    unsigned int sends;     /**< attempts after which a member may have it,
                                 this one included */
    unsigned int replays;   /**< how often it may be sent again */
    unsigned int timeouts;  /**< attempts that ended CLONE_END_SILENT, this one
                                 included */
    unsigned int timeout_replays; /**< how often it may be sent again after
                                       such an end */
    unsigned int is_idempotent : 1; /**< by method, or the client says so */
    unsigned int is_held : 1;       /**< no body, or all of it can be read
                                         again */
    unsigned int is_upgrade : 1;    /**< Upgrade or CONNECT */
    unsigned int is_given : 1;      /**< the client has part of an answer */
    unsigned int is_reused : 1;     /**< the connection had served before,
                                         and not a byte came */
    unsigned int is_repeated : 1;   /**< SAME was said before */
    unsigned int is_excused : 1;    /**< and the new connection stood: the
                                         send before it does not count */
    unsigned int is_late : 1;       /**< the deadline is over */
    unsigned int is_last : 1;       /**< no further attempt is left */
} clone_facts_t;

/**
 * Decide.
 *
 * @param cause why; filled always
 * @param facts the attempt
 * @return the verdict
 */
clone_verdict_e clone_replay_judge(clone_cause_e *cause,
                                   const clone_facts_t *facts);

/**
 * Whether a request may be sent again, as far as it alone decides: worth
 * knowing before its body is held.
 *
 * @return 1 when it may
 */
int clone_replay_is_open(clone_replay_e allowed, int is_idempotent,
                         int is_upgrade);

/**
 * What the client is told when an attempt was the last.
 *
 * @return 502, 503 or 504; 0 for CLONE_END_ANSWERED and CLONE_END_STATUS,
 *         where the member has said it
 */
int clone_replay_status(clone_end_e end);

/** @return 1 when the member may have executed the request */
int clone_end_is_sent(clone_end_e end);

/** The word for an end, for logs; "?" for a value outside the enum. */
const char *clone_end_name(clone_end_e end);

/** The word for a cause, for logs; "?" for a value outside the enum. */
const char *clone_cause_name(clone_cause_e cause);

#endif
