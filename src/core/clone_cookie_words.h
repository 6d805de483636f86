/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_COOKIE_WORDS_H
#define CLONE_COOKIE_WORDS_H

/**
 * @file clone_cookie_words.h
 * The route cookie in an administrator's words.
 */

#include "clone_cookie.h"

/** What is wrong with a word. */
typedef enum clone_cookie_word_e {
    CLONE_COOKIE_WORD_OK = 0,
    CLONE_COOKIE_WORD_NAME,      /**< no name for a cookie */
    CLONE_COOKIE_WORD_KEY,       /**< no such attribute */
    CLONE_COOKIE_WORD_PATH,      /**< no path */
    CLONE_COOKIE_WORD_DOMAIN,    /**< no domain */
    CLONE_COOKIE_WORD_SAME_SITE, /**< none of Lax, Strict, None */
    CLONE_COOKIE_WORD_SECURE     /**< neither auto nor on */
} clone_cookie_word_e;

/** @return a constant phrase; "?" for a value outside the enum */
const char *clone_cookie_word_name(clone_cookie_word_e fault);

/**
 * Begin a cookie: its name, and attributes as nobody said otherwise.
 *
 * @param conf filled
 * @param name borrowed; "Off" is no cookie
 */
HA_CHECK_RESULT
clone_cookie_word_e clone_cookie_word_init(clone_cookie_conf_t *conf,
                                           const char *name);

/**
 * Set one attribute: path=, domain=, samesite=Lax|Strict|None,
 * secure=auto|on.
 *
 * @param conf changed on success
 * @param word "attribute=value", borrowed
 */
HA_CHECK_RESULT
clone_cookie_word_e clone_cookie_word_set(clone_cookie_conf_t *conf,
                                          const char *word);

#endif
