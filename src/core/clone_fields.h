/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_FIELDS_H
#define CLONE_FIELDS_H

/**
 * @file clone_fields.h
 * The header fields that a web server and an application server keep between
 * themselves: who the client is, as WebSphere and Liberty read it. Whoever
 * can send them can be anybody.
 */

#include "ha_base.h"
#include "ha_limits.h"

/**
 * Whether a request's field is private: $WS*, _WS_*, rmcorrelator,
 * ARM_CORRELATOR and ZOS_TRAN_XID, in any case.
 *
 * @param name of a header or of a trailer
 * @return 1 when it is
 */
int clone_fields_is_private(span_t name);

/**
 * Whether an answer's field is private: $WS* and _WS_*, in any case.
 *
 * @param name of a header
 * @return 1 when it is
 */
int clone_fields_is_private_reply(span_t name);

/**
 * Whether a value can be sent: 1 to CLONE_FIELD_MAX bytes, none of them a
 * control character, so no end of a line.
 *
 * @return 1 when it can
 */
int clone_fields_is_value(span_t value);

/**
 * Take private names out of a list, such as that of Connection: what stands
 * there is removed from a request by the next hop.
 *
 * @param out 2 * list.len + 1 bytes: the other names, ", " between them,
 *            terminated; quotes are gone
 * @param list names divided by commas, semicolons or blanks
 * @return 1 when one was taken out
 */
int clone_fields_filter(char *out, span_t list);

/**
 * The base64 text of a PEM block, its first and last line and its line ends
 * left out.
 *
 * @param out pem.len + 1 bytes, terminated; empty on failure
 * @param pem the block; only white space may stand before it
 * @return bytes in out, 0 when pem is no whole block
 */
apr_size_t clone_fields_pem(char *out, span_t pem);

#endif
