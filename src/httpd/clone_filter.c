/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter looks at the first brigade of an answer and then leaves: what
 * follows passes it no more. That first brigade may be
 *
 *   an error, or the end of the connection: mod_proxy_http's way to drop a
 *     client that is kept alive, without a word. It is swallowed, and the
 *     client gets a real answer;
 *   bytes without a status line before them, which mod_proxy_http takes for
 *     HTTP/0.9 and would relay as a 200;
 *   an answer with a status that is to be tried again;
 *   an answer. From here on nothing can be taken back.
 */
#include "clone_filter.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "clone_attempt.h"

/* Before all others: none of them shall see what is not to be sent. */
#define FILTER_TYPE ((ap_filter_type)(AP_FTYPE_RESOURCE - 1))

static ap_filter_rec_t *filter_rec;

/* Whether it says, before any byte, that there is no answer. */
static int is_broken(apr_bucket_brigade *bb)
{
    apr_bucket *e;

    for (e = APR_BRIGADE_FIRST(bb); e != APR_BRIGADE_SENTINEL(bb);
         e = APR_BUCKET_NEXT(e)) {
        if (AP_BUCKET_IS_ERROR(e) || AP_BUCKET_IS_EOC(e)) {
            return 1;
        }
        if (!APR_BUCKET_IS_METADATA(e)) {
            return 0;
        }
    }
    return 0;
}

static apr_status_t watch(ap_filter_t *f, apr_bucket_brigade *bb)
{
    clone_request_t *req = f->ctx;
    request_rec *r = f->r;

    if (APR_BRIGADE_EMPTY(bb)) {
        return APR_SUCCESS;
    }
    if (req->seen != CLONE_END_ANSWERED) {
        /* the rest of what was refused */
        apr_brigade_cleanup(bb);
        return APR_EGENERAL;
    }
    if (is_broken(bb)) {
        req->seen = CLONE_END_LOST;
        apr_brigade_cleanup(bb);
        return APR_SUCCESS;
    }
    req->seen = clone_attempt_is_refused(req, r);
    if (req->seen != CLONE_END_ANSWERED) {
        apr_brigade_cleanup(bb);
        return APR_EGENERAL;
    }
    req->is_given = 1;
    clone_attempt_works(req, r);
    clone_filter_remove(req);
    return ap_pass_brigade(f->next, bb);
}

void clone_filter_register(void)
{
    filter_rec = ap_register_output_filter("PROXY_CLONE_WATCH", watch, NULL,
                                           FILTER_TYPE);
}

void clone_filter_add(clone_request_t *req, request_rec *r)
{
    if (req->filter == NULL) {
        req->filter = ap_add_output_filter_handle(filter_rec, req, r,
                                                  r->connection);
    }
}

void clone_filter_remove(clone_request_t *req)
{
    if (req->filter != NULL) {
        ap_remove_output_filter(req->filter);
        req->filter = NULL;
    }
}
