/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of private headers, step by step:
 *
 *   arrival   the client's are taken out before any module sees them. What is
 *             there later was put there by this server's configuration.
 *   attempt   a routed request gets ours in a copy of its headers: they differ
 *             from attempt to attempt. Another one gets back what was taken,
 *             unless all requests are to go without.
 *   answer    the application server's are dropped.
 *   log       what was taken is shown to logs again.
 *
 * Trailers come after the arrival, and with MergeTrailers they are headers
 * then: those that are there when an attempt begins are taken out, too. The
 * rest comes after the headers were sent, and mod_proxy sends no trailers.
 */
#include "clone_headers.h"

#include <apr_network_io.h>
#include <apr_strings.h>
#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <mod_proxy.h>
#include <mod_ssl.h>
#include <util_filter.h>

#include "clone_fields.h"
#include "clone_request.h"
#include "clone_server.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* What we keep of a request; with its pool, which internal redirects share. */
typedef struct baggage_t {
    apr_table_t *taken; /* the client's private headers, or NULL */
    apr_table_t *whole; /* headers_in, while a copy stands in; or NULL */
    const request_rec *whole_of; /* whose */
} baggage_t;

/* Short: it is hashed some times for every request. */
#define BAGGAGE_KEY "clone/headers"

#define FILTER_NAME "CLONE_HEADERS"

static ap_filter_rec_t *reply_filter;
static APR_OPTIONAL_FN_TYPE(ssl_var_lookup) *ssl_lookup;

static baggage_t *find_baggage(const request_rec *r)
{
    void *baggage = NULL;

    (void)apr_pool_userdata_get(&baggage, BAGGAGE_KEY, r->pool);
    return baggage;
}

static baggage_t *make_baggage(request_rec *r)
{
    baggage_t *baggage = find_baggage(r);

    if (baggage == NULL) {
        baggage = apr_pcalloc(r->pool, sizeof(*baggage));
        (void)apr_pool_userdata_setn(baggage, BAGGAGE_KEY, NULL, r->pool);
    }
    return baggage;
}

static const clone_server_t *server_of(const request_rec *r)
{
    return ap_get_module_config(r->server->module_config,
                                &proxy_balancer_clone_module);
}

/* Whether the other end of the connection may say who the client is. */
static int is_trusted(const request_rec *r)
{
    const apr_array_header_t *trusted = server_of(r)->conf->trusted;
    apr_ipsubnet_t *const *nets = trusted != NULL ? (void *)trusted->elts
                                                  : NULL;
    int i;

    for (i = 0; nets != NULL && i < trusted->nelts; i++) {
        if (apr_ipsubnet_test(nets[i], r->connection->client_addr)) {
            return 1;
        }
    }
    return 0;
}

/* The private names of a table, each once or more; NULL when there is none. */
static apr_table_t *private_of(const apr_table_t *table, apr_pool_t *p)
{
    const apr_array_header_t *array = apr_table_elts(table);
    const apr_table_entry_t *entries = (const void *)array->elts;
    apr_table_t *found = NULL;
    int i;

    for (i = 0; i < array->nelts; i++) {
        if (!clone_fields_is_private(span_of_text(entries[i].key))) {
            continue;
        }
        if (found == NULL) {
            found = apr_table_make(p, 4);
        }
        apr_table_addn(found, entries[i].key, entries[i].val);
    }
    return found;
}

/* Remove from a table whatever another one names. */
static void remove_named(apr_table_t *table, const apr_table_t *names)
{
    const apr_array_header_t *array = apr_table_elts(names);
    const apr_table_entry_t *entries = (const void *)array->elts;
    int i;

    for (i = 0; i < array->nelts; i++) {
        apr_table_unset(table, entries[i].key);
    }
}

static void add_missing(apr_table_t *table, const apr_table_t *more)
{
    const apr_array_header_t *array = apr_table_elts(more);
    const apr_table_entry_t *entries = (const void *)array->elts;
    int i;

    for (i = 0; i < array->nelts; i++) {
        if (apr_table_get(table, entries[i].key) == NULL) {
            apr_table_addn(table, entries[i].key, entries[i].val);
        }
    }
}

/* The next hop removes what Connection lists: none of ours. */
static void mend_connection(request_rec *r)
{
    const char *list = apr_table_get(r->headers_in, "Connection");
    char *rest;

    if (list == NULL) {
        return;
    }
    rest = apr_palloc(r->pool, 2 * strlen(list) + 1);
    if (clone_fields_filter(rest, span_of_text(list))) {
        apr_table_setn(r->headers_in, "Connection", rest);
    }
}

static void take_headers(request_rec *r)
{
    apr_table_t *found = private_of(r->headers_in, r->pool);

    mend_connection(r);
    if (found != NULL) {
        remove_named(r->headers_in, found);
        make_baggage(r)->taken = found;
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, CRLOG(0151)
                      "%d private headers of the client removed",
                      apr_table_elts(found)->nelts);
    }
}

static int arrive(request_rec *r)
{
    const clone_server_t *server = server_of(r);
    clone_removal_e removal = clone_server_conf_removal(server->conf);

    /* An internal redirect has been here before; what it carries by now may
     * be our administrator's. */
    if (r->prev == NULL && r->main == NULL
        && (removal == CLONE_REMOVAL_ALL
            || (removal == CLONE_REMOVAL_ROUTED && server->is_routing))
        && !is_trusted(r)) {
        take_headers(r);
    }
    return DECLINED;
}

/* Trailers that are there already, and what MergeTrailers made of them. */
static void take_trailers(request_rec *r)
{
    apr_table_t *found = private_of(r->trailers_in, r->pool);

    if (found != NULL) {
        remove_named(r->trailers_in, found);
        remove_named(r->headers_in, found);
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, CRLOG(0152)
                      "%d private trailers of the client removed",
                      apr_table_elts(found)->nelts);
    }
}

/* Where there is none of this name yet, and the value can be sent. */
static void put(apr_table_t *headers, const char *name, const char *value)
{
    if (value != NULL && apr_table_get(headers, name) == NULL
        && clone_fields_is_value(span_of_text(value))) {
        apr_table_setn(headers, name, value);
    }
}

static char *ssl_text(request_rec *r, const char *variable)
{
    char name[32];

    apr_cpystrn(name, variable, sizeof(name));
    return ssl_lookup(r->pool, r->server, r->connection, r, name);
}

static void put_tls(apr_table_t *headers, request_rec *r)
{
    const char *pem;
    char *base64;

    if (ssl_lookup == NULL) {
        return;
    }
    put(headers, "$WSCS", ssl_text(r, "SSL_CIPHER"));
    put(headers, "$WSSI", ssl_text(r, "SSL_SESSION_ID"));
    pem = ssl_text(r, "SSL_CLIENT_CERT");
    if (pem != NULL && pem[0] != '\0') {
        base64 = apr_palloc(r->pool, strlen(pem) + 1);
        (void)clone_fields_pem(base64, span_of_text(pem));
        put(headers, "$WSCC", base64);
    }
}

static const char *host_of(request_rec *r)
{
    return r->hostname != NULL && r->hostname[0] != '\0'
               ? r->hostname : ap_get_server_name(r);
}

static int port_of(request_rec *r, const clone_request_t *req)
{
    return req->tells_own_port ? r->connection->local_addr->port
                               : ap_get_server_port(r);
}

/* What the web server knows of the client, in WebSphere's words. */
static void put_ours(apr_table_t *headers, request_rec *r,
                     const clone_request_t *req)
{
    const char *scheme = ap_http_scheme(r);
    int is_secure = strcmp(scheme, "https") == 0;

    put(headers, "$WSSC", scheme);
    put(headers, "$WSIS", is_secure ? "true" : "false");
    put(headers, "$WSPR", r->protocol);
    put(headers, "$WSRA", r->useragent_ip);
    put(headers, "$WSRH", ap_get_useragent_host(r, REMOTE_NAME, NULL));
    put(headers, "$WSSN", host_of(r));
    put(headers, "$WSSP", apr_itoa(r->pool, port_of(r, req)));
    put(headers, "$WSRU", r->user);
    put(headers, "$WSAT", r->ap_auth_type);
    put_tls(headers, r);
}

/* Whether the member gets a session that it does not know: it has to look for
 * it where sessions of others are stored. */
static int is_failover(const clone_request_t *req)
{
    return req->tried->nelts > 0
           || req->choice.reason == CLONE_REASON_REDIRECT
           || req->choice.reason == CLONE_REASON_FAILOVER;
}

static void swap(request_rec *r, const clone_request_t *req)
{
    baggage_t *baggage = make_baggage(r);

    if (baggage->whole == NULL || baggage->whole_of != r) {
        baggage->whole = r->headers_in;
        baggage->whole_of = r;
    }
    r->headers_in = apr_table_copy(r->pool, baggage->whole);
    put_ours(r->headers_in, r, req);
    if (is_failover(req)) {
        put(r->headers_in, "$WSFO", "true");
    }
}

/* Once for a request, whatever its attempts. */
static void add_reply_filter(request_rec *r)
{
    const ap_filter_t *at;

    for (at = r->output_filters; at != NULL; at = at->next) {
        if (at->frec == reply_filter) {
            return;
        }
    }
    ap_add_output_filter_handle(reply_filter, NULL, r, r->connection);
}

/* The client's headers must not reach the member; here go those that were not
 * there, or not looked for, when the request arrived. */
static void take_late(request_rec *r, int is_late_routing)
{
    if ((apr_is_empty_table(r->trailers_in) && !is_late_routing)
        || is_trusted(r)) {
        return;
    }
    take_trailers(r);
    if (is_late_routing) {
        take_headers(r);
    }
}

static int attempt(request_rec *r, proxy_worker *worker,
                   proxy_server_conf *conf, char *url, const char *proxyhost,
                   apr_port_t proxyport)
{
    const clone_server_t *server = server_of(r);
    const clone_request_t *req = clone_request_get(r);
    clone_removal_e removal = clone_server_conf_removal(server->conf);

    if (req == NULL && removal != CLONE_REMOVAL_ALL) {
        const baggage_t *baggage = find_baggage(r);

        if (baggage != NULL && baggage->taken != NULL) {
            add_missing(r->headers_in, baggage->taken);
        }
        return DECLINED;
    }
    if (removal != CLONE_REMOVAL_NONE) {
        add_reply_filter(r);
        /* balancer-manager can switch routing on where nothing was set. */
        take_late(r, removal == CLONE_REMOVAL_ROUTED && !server->is_routing);
    }
    if (req != NULL && clone_conf_private_headers(&req->conf)) {
        swap(r, req);
    }
    return DECLINED;
}

static int done(int *status, request_rec *r)
{
    baggage_t *baggage = find_baggage(r);

    if (baggage != NULL && baggage->whole != NULL
        && baggage->whole_of == r) {
        r->headers_in = baggage->whole;
        baggage->whole = NULL;
    }
    return DECLINED;
}

static int show_to_logs(request_rec *r)
{
    const baggage_t *baggage = find_baggage(r);

    if (baggage == NULL || baggage->taken == NULL) {
        return DECLINED;
    }
    for (; r != NULL; r = r->next) {
        add_missing(r->headers_in, baggage->taken);
    }
    return DECLINED;
}

static void drop_private(apr_table_t *headers)
{
    const apr_array_header_t *array = apr_table_elts(headers);
    int i = 0;

    while (i < array->nelts) {
        const apr_table_entry_t *entries = (const void *)array->elts;

        if (clone_fields_is_private_reply(span_of_text(entries[i].key))) {
            apr_table_unset(headers, entries[i].key);
            i = 0;
        }
        else {
            i++;
        }
    }
}

/* Runs before the filters that write headers out, and once for an answer. */
static apr_status_t filter_reply(ap_filter_t *f, apr_bucket_brigade *bb)
{
    ap_filter_t *next = f->next;

    drop_private(f->r->headers_out);
    drop_private(f->r->err_headers_out);
    ap_remove_output_filter(f);
    return ap_pass_brigade(next, bb);
}

static void retrieve(void)
{
    ssl_lookup = APR_RETRIEVE_OPTIONAL_FN(ssl_var_lookup);
}

void clone_headers_register(void)
{
    reply_filter = ap_register_output_filter(FILTER_NAME, filter_reply, NULL,
                                             AP_FTYPE_RESOURCE);
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(arrive, NULL, NULL, APR_HOOK_REALLY_FIRST);
    /* Before the real handlers, and behind the one that runs them. */
    proxy_hook_scheme_handler(attempt, NULL, NULL, APR_HOOK_REALLY_FIRST + 1);
    APR_OPTIONAL_HOOK(proxy, request_status, done, NULL, NULL,
                      APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(show_to_logs, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
