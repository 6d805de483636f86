/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_IDS_H
#define CLONE_IDS_H

/**
 * @file clone_ids.h
 * A session cookie's value, split into session and clone ids.
 */

#include "ha_base.h"
#include "ha_limits.h"

/** How an application server writes clone ids behind its session id. */
typedef enum clone_profile_e {
    CLONE_PROFILE_WEBSPHERE = 0,  /**< ccccSESSION:a:b, cccc is a version */
    CLONE_PROFILE_WEBSPHERE_PLUS, /**< the same with '+' for ':' */
    CLONE_PROFILE_TOMCAT,         /**< SESSION.a, from the first dot on */
    CLONE_PROFILE_JETTY,          /**< SESSION.a, after the last dot */
    CLONE_PROFILE_WILDFLY,        /**< SESSION.a, from the first dot on */
    CLONE_PROFILE_WILDFLY_RANKED, /**< SESSION.a.b.c, best first */
    CLONE_PROFILE_WEBLOGIC        /**< SESSION!a!b[!time] */
} clone_profile_e;

/** Profiles there are; they count from 0. */
#define CLONE_PROFILES 7

/** What became of a value. */
typedef enum clone_parse_e {
    CLONE_PARSE_OK = 0,
    CLONE_PARSE_TOO_LONG,  /**< more than CLONE_VALUE_MAX bytes */
    CLONE_PARSE_TOO_SHORT, /**< ends within WebSphere's four of version */
    CLONE_PARSE_EARLY,     /**< a separator within those four */
    CLONE_PARSE_NO_SESSION /**< nothing where the session id should be */
} clone_parse_e;

/** What a value says. Spans point into the value parsed. */
typedef struct clone_ids_t {
    span_t session;              /**< the part that lasts as long as the
                                      session, so without the version */
    span_t clone[CLONE_IDS_MAX]; /**< as listed, first choice first */
    unsigned int count;          /**< entries of clone[] in use */
} clone_ids_t;

/**
 * Split a session cookie's value.
 *
 * Allocates nothing and reads exactly value.len bytes. One pair of double
 * quotes around the value is dropped. A separator may be percent-encoded.
 * Empty clone ids are skipped, those above CLONE_IDS_MAX ignored. A value
 * without clone ids is fine; count is 0 then.
 *
 * @param ids filled on success, all empty otherwise
 * @param value the cookie's value; its bytes must outlive ids
 * @param profile how the value is written
 * @return CLONE_PARSE_OK, or the first fault found
 */
HA_CHECK_RESULT
clone_parse_e clone_ids_parse(clone_ids_t *ids, span_t value,
                              clone_profile_e profile);

/**
 * The word for a fault, for logs.
 *
 * @return a constant; "?" for a value outside the enum
 */
const char *clone_parse_name(clone_parse_e parse);

/**
 * The word for a profile, as in the configuration.
 *
 * @return a constant; "?" for a value outside the enum
 */
const char *clone_profile_name(clone_profile_e profile);

/**
 * Find a profile by its word.
 *
 * @param profile the profile; CLONE_PROFILE_WEBSPHERE on failure
 * @param word compared without regard to case, the whole word
 * @return 1 when there is such a profile
 */
HA_CHECK_RESULT
int clone_profile_parse(clone_profile_e *profile, const char *word);

#endif
