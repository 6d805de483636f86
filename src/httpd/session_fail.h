/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_FAIL_H
#define SESSION_FAIL_H

/**
 * @file session_fail.h
 * An error in the place of an answer that has been made and not yet sent.
 */

#include <httpd.h>

/**
 * Send an error, or what ErrorDocument says for it, and nothing more: what
 * the handler still writes goes nowhere. To be called by an output filter
 * that comes before the headers are sent, and that has been removed.
 *
 * @param r its headers are forgotten, what a script set included
 * @param status 503 for what may go better later, else 500
 * @param keep headers to be sent along
 * @return what the filter is to return
 */
apr_status_t session_fail_answer(request_rec *r, int status,
                                 const apr_table_t *keep);

/** Register the filter that swallows. */
void session_fail_register(apr_pool_t *p);

#endif
