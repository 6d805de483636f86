/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_TEXT_H
#define CLONE_TEXT_H

/**
 * @file clone_text.h
 * Bytes from outside as text: is it UTF-8, and what of it may be printed.
 */

#include <apr_pools.h>

#include "ha_base.h"

/**
 * Bytes of the UTF-8 sequence at the head of a text. Overlong forms,
 * surrogates and what is above U+10FFFF are none.
 *
 * @return 1 to 4; 0 when there is none
 */
HA_CHECK_RESULT
apr_size_t clone_text_sequence(span_t text);

/**
 * How far a text is UTF-8.
 *
 * @return offset of the first byte that is not; text.len when all of it is
 */
HA_CHECK_RESULT
apr_size_t clone_text_utf8(span_t text);

/**
 * Read bytes as ISO-8859-1, in which every byte is a character.
 *
 * @return the same in UTF-8, in p; at most twice as long
 */
span_t clone_text_of_latin1(span_t text, apr_pool_t *p);

/**
 * Copy a text for people to read: control characters, C1 included, and bytes
 * that are no UTF-8 become '?'. What does not fit is cut at a character, and
 * "..." says so.
 *
 * @param max bytes of the copy before the dots
 * @return terminated, in p
 */
const char *clone_text_printable(span_t text, apr_size_t max, apr_pool_t *p);

/**
 * Compare ASCII letters without regard to case, all other bytes as they are.
 *
 * @return 1 when both are the same then
 */
int clone_text_is_alike(span_t a, span_t b);

/** Turn ASCII letters to lower case in place, all other bytes stay. */
void clone_text_lower(char *text);

#endif
