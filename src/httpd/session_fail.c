/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_session saves in its output filter, when the handler has begun to
 * write, and passes over what its provider returns. So the answer is there,
 * and nothing of it is sent yet. ap_die() makes an error of it from within
 * the filter, as httpd's own header filter does, with chunking and length of
 * the error's own; it leaves r with the filters of the protocol alone. The
 * handler is told that writing failed. One that does not listen would write
 * behind the error's end: from now on all it writes is swallowed.
 */
#include "session_fail.h"

#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

static ap_filter_rec_t *the_swallower;

static apr_status_t swallow(ap_filter_t *f, apr_bucket_brigade *in)
{
    apr_brigade_cleanup(in);
    return AP_FILTER_ERROR;
}

apr_status_t session_fail_answer(request_rec *r, int status,
                                 const apr_table_t *keep)
{
    apr_table_clear(r->headers_out);
    r->err_headers_out = apr_table_copy(r->pool, keep);
    r->content_encoding = NULL;
    /* As if nothing had gone wrong yet, or ErrorDocument is not asked. */
    r->status = HTTP_OK;
    r->status_line = NULL;
    ap_die(status, r);
    ap_add_output_filter_handle(the_swallower, NULL, r, r->connection);
    return AP_FILTER_ERROR;
}

void session_fail_register(apr_pool_t *p)
{
    /* In front of all that a handler could write through. */
    the_swallower = ap_register_output_filter("SESSION_HA_SWALLOW", swallow,
                                              NULL, AP_FTYPE_RESOURCE);
}
