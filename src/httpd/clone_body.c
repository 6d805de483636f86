/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_proxy_http keeps what it has read of a body over its attempts, in a
 * brigade that hangs at the request's pool under a name of its own. Filled by
 * us, whole and with its end, the brigade is all that it sends, and it never
 * reads the client. The name is no part of mod_proxy's interface. So a filter
 * of ours stands before the client, too, and gives the same bytes to whoever
 * reads: to mod_proxy_ajp, and to a mod_proxy_http that knows no such brigade.
 * No body is lost then; it is just not sent twice, because we could not tell
 * what became of the rest of the first.
 *
 * What is offered are copies: of a heap bucket another reference, of a file
 * another bucket. Nothing is copied byte by byte.
 */
#include "clone_body.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>

#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* Just before the filters of resources; the type is open to such numbers. */
#define FILTER_TYPE ((ap_filter_type)(AP_FTYPE_RESOURCE - 1))
/* Where mod_proxy_http keeps what it has read. */
#define STASH_NAME "proxy-req-input"

struct clone_body_t {
    apr_bucket_brigade *held;
    apr_bucket_brigade *pulled; /* what the filter has left to give */
    ap_filter_t *filter;
    apr_file_t *file;
    apr_off_t in_memory;
    apr_off_t in_file;
    int is_whole;
    int is_stuck;   /* the file takes no more */
    int was_pulled;
};

static ap_filter_rec_t *filter_rec;

/* Copies of all there is, and the end when it is all. */
static void copy_to(apr_bucket_brigade *bb, const clone_body_t *body)
{
    apr_bucket *e;

    for (e = APR_BRIGADE_FIRST(body->held);
         e != APR_BRIGADE_SENTINEL(body->held); e = APR_BUCKET_NEXT(e)) {
        apr_bucket *copy;

        if (apr_bucket_copy(e, &copy) == APR_SUCCESS) {
            APR_BRIGADE_INSERT_TAIL(bb, copy);
        }
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
}

static apr_status_t give(ap_filter_t *f, apr_bucket_brigade *bb,
                         ap_input_mode_t mode, apr_read_type_e block,
                         apr_off_t readbytes)
{
    clone_body_t *body = f->ctx;
    apr_bucket *after;
    apr_status_t rv;

    if (mode != AP_MODE_READBYTES && mode != AP_MODE_EXHAUSTIVE) {
        return APR_ENOTIMPL;
    }
    if (!body->was_pulled) {
        body->was_pulled = 1;
        apr_brigade_cleanup(body->pulled);
        copy_to(body->pulled, body);
    }
    if (APR_BRIGADE_EMPTY(body->pulled)) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
        return APR_SUCCESS;
    }
    if (mode == AP_MODE_EXHAUSTIVE) {
        APR_BRIGADE_CONCAT(bb, body->pulled);
        return APR_SUCCESS;
    }
    rv = apr_brigade_partition(body->pulled, readbytes, &after);
    if (rv != APR_SUCCESS && rv != APR_INCOMPLETE) {
        return rv;
    }
    while (APR_BRIGADE_FIRST(body->pulled) != after
           && !APR_BRIGADE_EMPTY(body->pulled)) {
        apr_bucket *e = APR_BRIGADE_FIRST(body->pulled);

        APR_BUCKET_REMOVE(e);
        APR_BRIGADE_INSERT_TAIL(bb, e);
    }
    /* Who has read all bytes need not ask again for the end. */
    if (!APR_BRIGADE_EMPTY(body->pulled)
        && APR_BUCKET_IS_EOS(APR_BRIGADE_FIRST(body->pulled))) {
        APR_BRIGADE_CONCAT(bb, body->pulled);
    }
    return APR_SUCCESS;
}

void clone_body_register(void)
{
    /* Behind every filter that may change a body: what was held is what
     * came out of them. */
    filter_rec = ap_register_input_filter("PROXY_CLONE_BODY", give, NULL,
                                          FILTER_TYPE);
}

/* A file that goes away with its last descriptor, however we end. */
static apr_status_t open_file(apr_file_t **file, apr_pool_t *p)
{
    const char *folder;
    char *name;
    apr_status_t rv = apr_temp_dir_get(&folder, p);

    *file = NULL;
    if (rv == APR_SUCCESS) {
        name = apr_pstrcat(p, folder, "/proxy_clone.XXXXXX", NULL);
        rv = apr_file_mktemp(file, name, APR_FOPEN_CREATE | APR_FOPEN_READ
                             | APR_FOPEN_WRITE | APR_FOPEN_EXCL
                             | APR_FOPEN_BINARY, p);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_remove(name, p);
    }
    return rv;
}

static void append_file(clone_body_t *body, apr_pool_t *p)
{
    if (body->in_file > 0) {
        (void)apr_brigade_insert_file(body->held, body->file, 0,
                                      body->in_file, p);
    }
}

/* Move buckets to the file, as many as it takes. */
static apr_status_t write_all(clone_body_t *body, apr_bucket_brigade *bb)
{
    while (!APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *e = APR_BRIGADE_FIRST(bb);
        const char *data;
        apr_size_t len;
        apr_status_t rv = apr_bucket_read(e, &data, &len, APR_BLOCK_READ);

        if (rv == APR_SUCCESS) {
            rv = apr_file_write_full(body->file, data, len, NULL);
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
        body->in_file += (apr_off_t)len;
        apr_bucket_delete(e);
    }
    return APR_SUCCESS;
}

/*
 * Move what is in memory, and what came now, to the file. What a full disk
 * does not take stays in memory, and nothing more is read: the request goes
 * on as one whose body is too long.
 */
static apr_status_t add_to_file(clone_body_t *body, apr_bucket_brigade *bb,
                                request_rec *r)
{
    apr_status_t rv = APR_SUCCESS;

    APR_BRIGADE_PREPEND(bb, body->held);
    body->in_memory = 0;
    if (body->file == NULL) {
        rv = open_file(&body->file, r->pool);
    }
    if (rv == APR_SUCCESS) {
        rv = write_all(body, bb);
    }
    if (rv == APR_SUCCESS) {
        return APR_SUCCESS;
    }
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r, CRLOG(0224)
                  "a request's body cannot be written to a temporary file, "
                  "the request is not sent again if it fails");
    body->is_stuck = 1;
    append_file(body, r->pool);
    return ap_save_brigade(NULL, &body->held, &bb, r->pool);
}

static apr_status_t add(clone_body_t *body, apr_bucket_brigade *bb,
                        apr_off_t memory, request_rec *r)
{
    apr_off_t len = 0;
    apr_status_t rv = apr_brigade_length(bb, 1, &len);

    if (rv != APR_SUCCESS || len == 0) {
        apr_brigade_cleanup(bb);
        return rv;
    }
    if (body->file != NULL || body->in_memory + len > memory) {
        return add_to_file(body, bb, r);
    }
    body->in_memory += len;
    return ap_save_brigade(NULL, &body->held, &bb, r->pool);
}

/* Bytes the client says will come, or -1. */
static apr_off_t length_said(const request_rec *r)
{
    const char *text = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t length;
    char *end;

    if (text == NULL || apr_strtoff(&length, text, &end, 10) != APR_SUCCESS
        || *end != '\0') {
        return -1;
    }
    return length;
}

/* Take the end of the body out of what was read; 1 when it was there. */
static int take_end(apr_bucket_brigade *bb)
{
    apr_bucket *e = APR_BRIGADE_FIRST(bb);
    int is_end = 0;

    while (e != APR_BRIGADE_SENTINEL(bb)) {
        apr_bucket *next = APR_BUCKET_NEXT(e);

        if (APR_BUCKET_IS_METADATA(e)) {
            is_end = is_end || APR_BUCKET_IS_EOS(e);
            apr_bucket_delete(e);
        }
        e = next;
    }
    return is_end;
}

static clone_body_t *make_body(request_rec *r)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    clone_body_t *body = apr_pcalloc(r->pool, sizeof(*body));

    body->held = apr_brigade_create(r->pool, alloc);
    body->pulled = apr_brigade_create(r->pool, alloc);
    return body;
}

/* Read on until the end, or as far as may be held. */
static int read_body(clone_body_t *body, request_rec *r, apr_off_t memory,
                     apr_off_t limit)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool,
                                                r->connection->bucket_alloc);

    while (!body->is_whole && !body->is_stuck
           && body->in_memory + body->in_file <= limit) {
        apr_status_t rv = ap_get_brigade(r->input_filters, bb,
                                         AP_MODE_READBYTES, APR_BLOCK_READ,
                                         HUGE_STRING_LEN);
        int is_end;

        if (rv != APR_SUCCESS) {
            return ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
        }
        is_end = take_end(bb);
        rv = add(body, bb, memory, r);
        if (rv != APR_SUCCESS) {
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        body->is_whole = is_end;
    }
    return OK;
}

int clone_body_hold(clone_body_t **body, request_rec *r, apr_off_t memory,
                    apr_off_t limit)
{
    int rc;

    *body = NULL;
    if (limit == 0 || length_said(r) > limit) {
        return OK;
    }
    *body = make_body(r);
    rc = read_body(*body, r, memory < limit ? memory : limit, limit);
    if (rc != OK) {
        *body = NULL;
        return rc;
    }
    if (!(*body)->is_stuck) {
        append_file(*body, r->pool);
    }
    if ((*body)->is_whole) {
        (*body)->filter = ap_add_input_filter_handle(filter_rec, *body, r,
                                                     r->connection);
    }
    return OK;
}

int clone_body_is_whole(const clone_body_t *body)
{
    return body != NULL && body->is_whole;
}

int clone_body_was_pulled(const clone_body_t *body)
{
    return body->was_pulled;
}

void clone_body_forget(request_rec *r)
{
    (void)apr_pool_userdata_setn(NULL, STASH_NAME, NULL, r->pool);
}

void clone_body_offer(clone_body_t *body, request_rec *r)
{
    apr_bucket_brigade *stash;
    void *kept = NULL;

    (void)apr_pool_userdata_get(&kept, STASH_NAME, r->pool);
    stash = kept;
    if (stash == NULL) {
        stash = apr_brigade_create(r->pool, r->connection->bucket_alloc);
        (void)apr_pool_userdata_setn(stash, STASH_NAME, NULL, r->pool);
    }
    if (body->is_whole) {
        apr_brigade_cleanup(stash);
        copy_to(stash, body);
        body->was_pulled = 0;
    }
    else {
        /* Once; what failed before it was sent is still there later. */
        APR_BRIGADE_CONCAT(stash, body->held);
    }
}

void clone_body_close(clone_body_t *body, request_rec *r)
{
    if (body->filter != NULL) {
        ap_remove_input_filter(body->filter);
        body->filter = NULL;
    }
    apr_brigade_cleanup(body->held);
    apr_brigade_cleanup(body->pulled);
}
