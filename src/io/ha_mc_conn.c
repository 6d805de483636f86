/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_mc_conn.h"

#include <stdlib.h>

#include <apr_strings.h>
#include <libmemcached/memcached.h>

/*
 * What libmemcached 1.1.4 does, and how this file lives with it.
 *
 * - Reading the reply to a store command, to touch or to delete can abort
 *   the process: asserts are live in distributions. So nothing is sent that
 *   is replied to but "gets", and its reply is read by the fetch path, which
 *   has no asserts.
 * - "Not found" is said for errors too. With a result that was counted once
 *   already, an empty reply says END and an error its own name.
 * - A reply is parsed into fixed memory without a check: a key may be up to
 *   90 bytes longer than its place, and a length near 2^64 writes up to two
 *   bytes before the value. The allocator below leaves room around all it
 *   hands out, and refuses what is greater than any item, so neither does
 *   harm. The result has such room too; two flags behind its key say whether
 *   it is to be freed, so the allocator knows it and does not free it.
 * - The time limit is one poll's: it is set anew before each step.
 * - It may poll again for POLL_TIMEOUT when it says good-bye.
 *
 * ha_mc_guard.c looks at an answer before it is read at all. Where it cannot,
 * the above must do.
 */

/** Room before and after all memory that libmemcached gets. */
#define BEFORE 16
#define BEHIND 128

struct ha_mc_conn_t {
    memcached_st st;
    char st_room[BEHIND];
    memcached_result_st result;
    char result_room[BEHIND];
    int is_result_gone; /* a long key had it freed */
    const char *host; /* of the peer: literal, or a path */
    apr_port_t port;  /* of the peer, 0 for a path */
    int is_known;     /* fd was looked for */
    int fd;           /* the handle's socket; -1 when it was not found */
    int has_answered; /* once at least */
    ha_mc_link_t link;
};

static void *take(const memcached_st *st, const size_t size, void *ctx)
{
    char *memory = NULL;

    (void)st;
    (void)ctx;
    if (size <= HA_MC_ITEM_MAX) {
        memory = malloc(BEFORE + size + BEHIND);
    }
    return memory ? memory + BEFORE : NULL;
}

static void *take_zeroed(const memcached_st *st, size_t count,
                         const size_t size, void *ctx)
{
    void *memory = NULL;

    if (size == 0 || count <= HA_MC_ITEM_MAX / size) {
        memory = take(st, count * size, ctx);
    }
    return memory ? memset(memory, 0, count * size) : NULL;
}

static void *retake(const memcached_st *st, void *old, const size_t size,
                    void *ctx)
{
    char *memory = NULL;

    if (old == NULL) {
        return take(st, size, ctx);
    }
    if (size <= HA_MC_ITEM_MAX) {
        memory = realloc((char *)old - BEFORE, BEFORE + size + BEHIND);
    }
    return memory ? memory + BEFORE : NULL;
}

static void give_back(const memcached_st *st, void *memory, void *ctx)
{
    ha_mc_conn_t *conn = ctx;

    (void)st;
    if (memory == &conn->result) {
        conn->is_result_gone = 1;
    }
    else if (memory) {
        free((char *)memory - BEFORE);
    }
}

static int set(memcached_st *st, memcached_behavior_t what, apr_int64_t value)
{
    return memcached_behavior_set(st, what, (apr_uint64_t)value)
           == MEMCACHED_SUCCESS;
}

/** Set up a handle; 1 when all went well. */
static int prepare(ha_mc_conn_t *conn, const char *host, apr_port_t port)
{
    memcached_st *st = &conn->st;
    memcached_return_t rc = memcached_set_memory_allocators(
        st, take, give_back, retake, take_zeroed, conn);

    if (rc != MEMCACHED_SUCCESS
        /* Nagle's algorithm would hold the second of two packets back */
        || !set(st, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1)
        /* no linger: what has not left when we give up must not arrive */
        || !set(st, MEMCACHED_BEHAVIOR_NO_BLOCK, 1)
        || !set(st, MEMCACHED_BEHAVIOR_TCP_KEEPALIVE, 1)
        /* keys are sent as they are, so a bad one would be a command */
        || !set(st, MEMCACHED_BEHAVIOR_VERIFY_KEY, 1)
        || !set(st, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1)
        || !set(st, MEMCACHED_BEHAVIOR_NOREPLY, 1)
        /* when to leave a node alone is ours to say */
        || !set(st, MEMCACHED_BEHAVIOR_RETRY_TIMEOUT, -1)) {
        return 0;
    }
    rc = port ? memcached_server_add(st, host, port)
              : memcached_server_add_unix_socket(st, host);
    return rc == MEMCACHED_SUCCESS;
}

ha_mc_conn_t *ha_mc_conn_open(const char *host, apr_port_t port)
{
    /* its host stands behind it */
    ha_mc_conn_t *conn = calloc(1, sizeof(*conn) + strlen(host) + 1);

    if (conn == NULL) {
        return NULL;
    }
    conn->host = strcpy((char *)(conn + 1), host);
    if (memcached_create(&conn->st) == NULL) {
        free(conn);
        return NULL;
    }
    conn->port = port;
    conn->fd = -1;
    if (!prepare(conn, host, port)) {
        ha_mc_conn_close(conn);
        return NULL;
    }
    return conn;
}

static void set_patience(ha_mc_conn_t *conn, int msec)
{
    /* a plain store into the handle; it cannot fail for values above 0 */
    (void)set(&conn->st, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, msec);
}

void ha_mc_conn_close(ha_mc_conn_t *conn)
{
    set_patience(conn, 1);
    memcached_free(&conn->st);
    free(conn);
}

ha_mc_link_t *ha_mc_conn_link(ha_mc_conn_t *conn)
{
    return &conn->link;
}

int ha_mc_rest_msec(apr_time_t deadline)
{
    apr_time_t rest = (deadline - apr_time_now() + 999) / 1000;

    return rest < 1 ? 1 : rest > 60000 ? 60000 : (int)rest;
}

/** What a return code means to us. */
static apr_status_t status_of(ha_mc_conn_t *conn, memcached_return_t rc)
{
    int error = 0;

    switch (rc) {
    case MEMCACHED_SUCCESS:
        return APR_SUCCESS;
    case MEMCACHED_TIMEOUT:
    case MEMCACHED_IN_PROGRESS:
        return APR_TIMEUP;
    case MEMCACHED_MEMORY_ALLOCATION_FAILURE:
        return APR_ENOMEM;
    case MEMCACHED_BAD_KEY_PROVIDED:
    case MEMCACHED_INVALID_ARGUMENTS:
        return APR_EINVAL;
    case MEMCACHED_FAILURE:
    case MEMCACHED_HOST_LOOKUP_FAILURE:
    case MEMCACHED_CONNECTION_FAILURE:
    case MEMCACHED_WRITE_FAILURE:
    case MEMCACHED_READ_FAILURE:
    case MEMCACHED_SOME_ERRORS:
    case MEMCACHED_NO_SERVERS:
    case MEMCACHED_ERRNO:
    case MEMCACHED_FAIL_UNIX_SOCKET:
    case MEMCACHED_CONNECTION_SOCKET_CREATE_FAILURE:
    case MEMCACHED_SERVER_TEMPORARILY_DISABLED:
        error = memcached_last_error_errno(&conn->st);
        /* it forgets the reason, or remembers what a poll said on the way */
        if (error == 0 || error == EAGAIN || error == EINPROGRESS) {
            error = conn->has_answered ? ECONNRESET : ECONNREFUSED;
        }
        return error;
    default:
        return HA_MC_GARBAGE;
    }
}

static memcached_return_t send_verb(memcached_st *st, const char *key,
                                    size_t len, const ha_call_t *call,
                                    time_t expires)
{
    const char *data = call->data.len ? call->data.data : "";

    switch (call->verb) {
    case HA_ADD:
        return memcached_add(st, key, len, data, call->data.len, expires, 0);
    case HA_APPEND:
        return memcached_append(st, key, len, data, call->data.len, 0, 0);
    case HA_CAS:
        /* it would leave a 0 out, and the line would mean something else */
        return call->version == 0
                   ? MEMCACHED_SUCCESS
                   : memcached_cas(st, key, len, data, call->data.len,
                                   expires, 0, call->version);
    case HA_REMOVE:
        return memcached_delete(st, key, len, 0);
    case HA_TOUCH:
    case HA_GET:
    default:
        return MEMCACHED_SUCCESS;
    }
}

/** Find the handle's socket, once it is connected. */
static int find_socket(const ha_mc_conn_t *conn)
{
    apr_port_t from;

    if (conn->port == 0) {
        return ha_mc_guard_find_unix(conn->host);
    }
    from = memcached_server_srcport(
        memcached_server_instance_by_position(&conn->st, 0));
    return from ? ha_mc_guard_find(from, conn->host, conn->port) : -1;
}

int ha_mc_conn_is_quiet(const ha_mc_conn_t *conn)
{
    return conn->fd < 0 || ha_mc_guard_is_quiet(conn->fd);
}

int ha_mc_conn_is_guarded(const ha_mc_conn_t *conn)
{
    return conn->fd >= 0;
}

apr_status_t ha_mc_conn_send(ha_mc_conn_t *conn, const char *key,
                             const ha_call_t *call, time_t expires, int msec)
{
    size_t len = strlen(key);
    memcached_return_t rc;

    (void)set(&conn->st, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, msec);
    set_patience(conn, msec);
    rc = send_verb(&conn->st, key, len, call, expires);
    if (rc == MEMCACHED_SUCCESS) {
        rc = memcached_mget(&conn->st, &key, &len, 1);
    }
    if (rc == MEMCACHED_SUCCESS && !conn->is_known) {
        conn->fd = find_socket(conn);
        conn->is_known = 1;
    }
    return status_of(conn, rc);
}

/** One fetch. */
static memcached_return_t fetch(ha_mc_conn_t *conn, apr_time_t deadline)
{
    memcached_return_t rc = MEMCACHED_FAILURE;

    set_patience(conn, ha_mc_rest_msec(deadline));
    if (memcached_fetch_result(&conn->st, &conn->result, &rc) == NULL
        && rc == MEMCACHED_SUCCESS) {
        rc = MEMCACHED_PROTOCOL_ERROR;
    }
    return rc;
}

static void drop_result(ha_mc_conn_t *conn)
{
    conn->result.options.is_allocated = false;
    conn->result.options.is_initialized = true;
    if (!conn->is_result_gone) {
        memcached_result_free(&conn->result);
    }
}

/** Make the result anew; 1 when there was memory. */
static int make_result(ha_mc_conn_t *conn)
{
    conn->is_result_gone = 0;
    if (memcached_result_create(&conn->st, &conn->result) == NULL) {
        return 0;
    }
    /* the value gets memory before its length is known */
    if (memcached_result_set_value(&conn->result, "", 1)
        != MEMCACHED_SUCCESS) {
        drop_result(conn);
        return 0;
    }
    conn->result.count = 1;
    return 1;
}

/** Take the answer; call is filled on success alone. */
static apr_status_t take_answer(ha_mc_conn_t *conn, span_t key,
                                ha_call_t *call, apr_time_t deadline,
                                apr_pool_t *p)
{
    const memcached_result_st *result = &conn->result;
    memcached_return_t rc = fetch(conn, deadline);
    apr_uint64_t version;
    span_t held;

    if (rc == MEMCACHED_END) {
        call->answer = HA_MISS;
        return APR_SUCCESS;
    }
    if (rc != MEMCACHED_SUCCESS) {
        return status_of(conn, rc);
    }
    held = span_of(memcached_result_value(result),
                   memcached_result_length(result));
    version = memcached_result_cas(result);
    if (held.len > HA_MC_ITEM_MAX || version == 0
        || !span_is_equal(key, span_of(result->item_key,
                                       result->key_length))) {
        return HA_MC_GARBAGE;
    }
    held.data = apr_pstrmemdup(p, held.data, held.len);
    rc = fetch(conn, deadline);
    if (rc != MEMCACHED_END) {
        return rc == MEMCACHED_SUCCESS ? HA_MC_GARBAGE : status_of(conn, rc);
    }
    call->answer = HA_HIT;
    call->version = version;
    call->held = held;
    return APR_SUCCESS;
}

apr_status_t ha_mc_conn_fetch(ha_mc_conn_t *conn, const char *key,
                              ha_call_t *call, apr_time_t deadline,
                              apr_pool_t *p)
{
    apr_status_t rv = APR_SUCCESS;

    if (conn->fd >= 0) {
        rv = ha_mc_guard_wait(conn->fd, span_of_text(key), deadline);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!make_result(conn)) {
        return APR_ENOMEM;
    }
    rv = take_answer(conn, span_of_text(key), call, deadline, p);
    drop_result(conn);
    conn->has_answered |= rv == APR_SUCCESS;
    return rv;
}
