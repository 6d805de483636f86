/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_config_limit.h"

#include <apr_strings.h>
#include <http_log.h>
#include <util_filter.h>

#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define FILTER_NAME "PROXY_CLONE_LIMIT"

/* What may still come of a request's body. */
typedef struct room_t {
    apr_off_t left;
} room_t;

/* mod_proxy makes 413 of APR_ENOSPC. */
static apr_status_t count(ap_filter_t *f, apr_bucket_brigade *bb,
                          ap_input_mode_t mode, apr_read_type_e block,
                          apr_off_t bytes)
{
    room_t *room = f->ctx;
    apr_off_t length = 0;
    apr_status_t rv = ap_get_brigade(f->next, bb, mode, block, bytes);

    if (rv != APR_SUCCESS || mode == AP_MODE_SPECULATIVE) {
        return rv;
    }
    rv = apr_brigade_length(bb, 1, &length);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    room->left -= length;
    if (room->left < 0) {
        apr_brigade_cleanup(bb);
        return APR_ENOSPC;
    }
    return APR_SUCCESS;
}

void clone_config_limit_register(void)
{
    ap_register_input_filter(FILTER_NAME, count, NULL, AP_FTYPE_RESOURCE);
}

int clone_config_limit(request_rec *r, apr_int64_t limit)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t bytes;
    char *end;

    if (length == NULL) {
        room_t *room = apr_palloc(r->pool, sizeof(*room));

        room->left = limit;
        ap_add_input_filter(FILTER_NAME, room, r, r->connection);
        return OK;
    }
    if (apr_strtoff(&bytes, length, &end, 10) != APR_SUCCESS
        || bytes <= limit) {
        return OK; /* what is no number is refused where the body is read */
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, CRLOG(0422)
                  "a body of %s bytes is over the PostSizeLimit of %"
                  APR_INT64_T_FMT, length, limit);
    return HTTP_REQUEST_ENTITY_TOO_LARGE;
}
