/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_proxy_http gives a tunnel the longer one of the time-outs that both its
 * sockets have, and asks them after it has sent the 101 to the client. So a
 * filter at the client's connection sees the 101 and sets both. Neither socket
 * is used for anything else afterwards.
 */
#include "clone_config_socket.h"

#include <http_core.h>
#include <mod_proxy.h>
#include <util_filter.h>

#include "clone_request.h"

#define FILTER_NAME "PROXY_CLONE_SOCKET"

static ap_filter_rec_t *filter_rec;

static void set_timeout(conn_rec *c, apr_interval_time_t timeout)
{
    apr_socket_t *socket = ap_get_conn_socket(c);

    if (socket != NULL) {
        (void)apr_socket_timeout_set(socket, timeout);
    }
}

static apr_status_t watch(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const clone_request_t *req = f->ctx;

    if (req->socket_sec > 0
        && req->socket_of->status == HTTP_SWITCHING_PROTOCOLS) {
        apr_interval_time_t timeout = apr_time_from_sec(req->socket_sec);

        set_timeout(f->c, timeout);
        set_timeout(req->socket_to, timeout);
    }
    return ap_pass_brigade(f->next, bb);
}

/* What the filter looks at goes with the request, the connection may stay. */
static apr_status_t remove_filter(void *data)
{
    ap_remove_output_filter(data);
    return APR_SUCCESS;
}

/* The member is about to be asked. */
static int begin(request_rec *r, request_rec *backend_r)
{
    clone_request_t *req = clone_request_get(r);

    if (req == NULL || req->socket_sec <= 0
        || apr_table_get(r->headers_in, "Upgrade") == NULL) {
        return DECLINED;
    }
    req->socket_of = r;
    req->socket_to = backend_r->connection;
    if (req->socket_filter == NULL) {
        req->socket_filter = ap_add_output_filter_handle(filter_rec, req, r,
                                                         r->connection);
        apr_pool_cleanup_register(r->pool, req->socket_filter, remove_filter,
                                  apr_pool_cleanup_null);
    }
    return DECLINED;
}

void clone_config_socket_register(void)
{
    filter_rec = ap_register_output_filter(FILTER_NAME, watch, NULL,
                                           AP_FTYPE_CONNECTION);
    APR_OPTIONAL_HOOK(proxy, create_req, begin, NULL, NULL,
                      APR_HOOK_MIDDLE);
}
