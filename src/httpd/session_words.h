/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_WORDS_H
#define SESSION_WORDS_H

/**
 * @file session_words.h
 * Words of directives, judged: each function takes the whole word or none.
 */

#include <httpd.h>

#include <apr_tables.h>

#include "ha_store_mc.h"

/** Whether a word is a token of HTTP: fit for a cookie's or header's name. */
int session_word_is_token(const char *word);

/** Whether a word is a header that HTTP or a proxy cannot do without. */
int session_word_is_protocol(const char *word);

/** Whether a word may stand as Path of a cookie. */
int session_word_is_path(const char *word);

/** Whether a word may stand as Domain of a cookie. */
int session_word_is_domain(const char *word);

/** Whether a word may name a node or a zone in log lines and on pages. */
int session_word_is_name(const char *word);

/**
 * Read a whole decimal number.
 *
 * @param number filled on success
 * @return 1 when the word is a number from min to max
 */
int session_word_number(apr_int64_t *number, const char *word,
                        apr_int64_t min, apr_int64_t max);

/**
 * Read the words behind SessionHAServer.
 *
 * @param node filled
 * @param nodes those before it
 * @param argc number of words
 * @param argv name=, address=, zone= and weight= in any order
 * @param directive named in messages
 * @param p owns what the node points to, and messages
 * @return NULL, or what is wrong in httpd's voice
 */
const char *session_words_node(ha_mc_node_t *node,
                               const apr_array_header_t *nodes, int argc,
                               char *const argv[], const char *directive,
                               apr_pool_t *p);

#endif
