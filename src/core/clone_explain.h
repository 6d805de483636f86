/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_EXPLAIN_H
#define CLONE_EXPLAIN_H

/**
 * @file clone_explain.h
 * A decision in words: what the session said, how the members were, who was
 * chosen and why, what each attempt came to. Two forms, one for a column of
 * an access log and one for programs. What a client sent shows as a tag made
 * with a secret key, never as it is.
 */

#include "ha_base.h"
#include "ha_limits.h"

/** How a member was when it was looked at; several may hold. */
typedef enum clone_state_e {
    CLONE_STATE_ERROR = 1,     /**< e: failed, and not yet due for a trial */
    CLONE_STATE_TRIED = 2,     /**< t: has failed this request */
    CLONE_STATE_DRAINING = 4,  /**< n: its own sessions only */
    CLONE_STATE_DISABLED = 8,  /**< d: by the administrator */
    CLONE_STATE_STOPPED = 16,  /**< s: the same */
    CLONE_STATE_UNHEALTHY = 32, /**< f: mod_proxy_hcheck says so */
    CLONE_STATE_STANDBY = 64,  /**< h: when no other is left */
    CLONE_STATE_SPARE = 128,   /**< r: in place of another one */
    CLONE_STATE_FULL = 256     /**< l: has as many requests as it may */
} clone_state_e;

/** A clone id of the session, in the order of its list. */
typedef struct clone_explain_token_t {
    span_t name;      /**< as a member has it; empty when none has it */
    apr_uint32_t tag; /**< shown when none has it */
} clone_explain_token_t;

/** A member that could have been chosen. */
typedef struct clone_explain_member_t {
    span_t name;        /**< its clone id; empty when it has none */
    unsigned int index; /**< its place in the balancer, shown then */
    unsigned int state; /**< of clone_state_e, 0 when it is fit */
} clone_explain_member_t;

/** One attempt. */
typedef struct clone_explain_attempt_t {
    clone_explain_member_t member; /**< who was asked; state is not shown */
    const char *end;      /**< a word or a status; NULL while it goes on */
    unsigned int msec;    /**< how long it took, or has taken so far */
} clone_explain_attempt_t;

/** A decision. What it points to must outlive it. */
typedef struct clone_explain_t {
    int has_session;
    apr_uint32_t session_tag; /**< meaningless without one */
    int is_from_url;          /**< it was in the URL, not in a cookie */
    const char *reason;       /**< a clone_reason_name() */
    const clone_explain_token_t *tokens;
    unsigned int token_count;
    const clone_explain_member_t *members;
    unsigned int member_count;
    unsigned int member_more;  /**< members that are not in members[] */
    const clone_explain_attempt_t *attempts;
    unsigned int attempt_count;
    unsigned int attempt_more; /**< attempts between the last two that are not
                                    in attempts[] */
} clone_explain_t;

/**
 * Write a decision as one word without blanks:
 *
 *   session=1a2b3c4d@cookie;list=A,?9f03c1aa;members=A!et,B,C!n;why=failover;
 *   tried=A:unreached:1001,B:200:12
 *
 * A list that grows too long ends in "+n" for those left out.
 *
 * @param out CLONE_EXPLAIN_TEXT_MAX bytes, terminated
 * @return bytes in out
 */
apr_size_t clone_explain_text(char out[CLONE_EXPLAIN_TEXT_MAX],
                              const clone_explain_t *explain);

/**
 * Write that text in two parts. This one is all that comes before ";tried=";
 * it does not change while attempts end.
 *
 * @return bytes in out, which is not terminated
 */
apr_size_t clone_explain_head(char out[CLONE_EXPLAIN_TEXT_MAX],
                              const clone_explain_t *explain);

/**
 * Write the other part behind it.
 *
 * @param len bytes of the first part in out
 * @param explain of which attempts alone are looked at
 * @return bytes in out, terminated
 */
apr_size_t clone_explain_tail(char out[CLONE_EXPLAIN_TEXT_MAX],
                              apr_size_t len, const clone_explain_t *explain);

/**
 * Write a decision as one JSON object in one line, with the names above;
 * list_more, members_more and tried_more are the numbers of those left out.
 *
 * @param out CLONE_EXPLAIN_JSON_MAX bytes, terminated
 * @return bytes in out
 */
apr_size_t clone_explain_json(char out[CLONE_EXPLAIN_JSON_MAX],
                              const clone_explain_t *explain);

/**
 * A tag that stands for bytes of a client's in logs, and tells nobody without
 * the key what they were.
 *
 * @param bytes a session id, or a clone id that nobody has
 * @param key 16 random bytes, the same for as long as tags are compared
 * @return 32 bits of a keyed hash
 */
apr_uint32_t clone_explain_tag(span_t bytes,
                               const unsigned char key[CLONE_TAG_KEY]);

#endif
