/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_FORMAT_H
#define CLONE_FORMAT_H

/**
 * @file clone_format.h
 * How a session cookie's value is written: ready-made forms of application
 * servers, and a free form that an administrator puts together.
 */

#include "ha_base.h"
#include "ha_limits.h"

/** Whose form a value has. */
typedef enum clone_profile_e {
    CLONE_PROFILE_WEBSPHERE = 0,  /**< ccccSESSION:a:b, cccc is a version */
    CLONE_PROFILE_WEBSPHERE_PLUS, /**< the same with '+' for ':' */
    CLONE_PROFILE_TOMCAT,         /**< SESSION.a, from the first dot on */
    CLONE_PROFILE_JETTY,          /**< SESSION.a, after the last dot */
    CLONE_PROFILE_WILDFLY,        /**< SESSION.a, from the first dot on */
    CLONE_PROFILE_WILDFLY_RANKED, /**< SESSION.a.b.c, best first */
    CLONE_PROFILE_WEBLOGIC,       /**< SESSION!a!b[!time] */
    CLONE_PROFILE_SPRING,         /**< base64 of SESSION.a */
    CLONE_PROFILE_FREE            /**< none of them: said field by field */
} clone_profile_e;

/** Profiles that have a word; they count from 0. */
#define CLONE_PROFILES 8

/** What a value is wrapped in. */
typedef enum clone_decoding_e {
    CLONE_DECODING_NONE = 0, /**< nothing; only a separator may be
                                  percent-encoded */
    CLONE_DECODING_PERCENT,  /**< percent-encoding */
    CLONE_DECODING_BASE64    /**< base64 of RFC 4648, sections 4 and 5 */
} clone_decoding_e;

/** The form of a value. Plain data, may be copied. */
typedef struct clone_format_t {
    char separators[CLONE_SEPARATORS_MAX + 1]; /**< any of them divides */
    clone_decoding_e decoding;
    apr_size_t skip;         /**< characters in front of the session id that
                                  change while the session lives */
    apr_size_t time_digits;  /**< numbers of so many digits or more are no
                                  clone ids; 0: they are */
    unsigned int is_last : 1; /**< the last separator divides, not the first */
    unsigned int is_list : 1; /**< every further separator divides, too */
    unsigned int is_owner_first : 1; /**< the first id is of who owns the
                                          session, the others of who may */
    unsigned int is_list_said : 1; /**< list= was set, or is the profile's */
} clone_format_t;

/** What is wrong with a free form. */
typedef enum clone_format_e {
    CLONE_FORMAT_OK = 0,
    CLONE_FORMAT_KEY,        /**< no such field */
    CLONE_FORMAT_SEPARATOR,  /**< bad separators */
    CLONE_FORMAT_POSITION,   /**< neither first nor last */
    CLONE_FORMAT_LIST,       /**< neither yes nor no */
    CLONE_FORMAT_DECODE,     /**< no such decoding */
    CLONE_FORMAT_SKIP,       /**< no number, or too large */
    CLONE_FORMAT_NOTHING,    /**< no separator was given */
    CLONE_FORMAT_LAST_LIST   /**< a list behind the last separator */
} clone_format_e;

/**
 * The form of a profile.
 *
 * @param format filled; for CLONE_PROFILE_FREE and anything unknown with a
 *               form that divides nothing
 */
void clone_format_of(clone_format_t *format, clone_profile_e profile);

/** The free form before its fields: first, a list, nothing wrapped. */
void clone_format_init(clone_format_t *format);

/**
 * Set one field of a free form: separator=CHARACTERS, position=first|last,
 * list=yes|no, decode=none|percent|base64, skip=NUMBER. Words are compared
 * without regard to case.
 *
 * @param format changed on success only
 * @param field "name=value"
 * @return CLONE_FORMAT_OK, or what is wrong with it
 */
HA_CHECK_RESULT
clone_format_e clone_format_set(clone_format_t *format, const char *field);

/**
 * What is wrong with a free form when all its fields are set.
 *
 * position=last without list= means list=no.
 *
 * @param format completed
 * @return CLONE_FORMAT_OK, or the fault
 */
HA_CHECK_RESULT
clone_format_e clone_format_finish(clone_format_t *format);

/**
 * What a fault asks for, for the administrator.
 *
 * @return a constant phrase; "?" for a value outside the enum
 */
const char *clone_format_name(clone_format_e fault);

/**
 * The word for a profile, as in the configuration; "free" for the free form.
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
