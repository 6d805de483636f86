/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application of the session bench, inside httpd, so that what is measured
 * is the keeping of sessions and not an application. Three handlers give the
 * same answer, "n=00000017", to the same requests:
 *
 *     ?op=new&size=4096    begin a session of that many bytes, n = 0
 *     ?op=read&n=17        say the n of the session
 *     ?op=write&n=18       change one attribute of 100 bytes, which holds n
 *
 * bench-session  asks mod_session, whoever keeps its sessions
 * bench-plain    one memcached get, and one set of the whole session on a
 *                write: what the least that a remote store can do costs
 * bench-none     no session: gives back the n of the request
 *
 * No part of the product: it is built for the bench alone.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uuid.h>
#include <httpd.h>
#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>
#include <mod_session.h>

#include <libmemcached/memcached.h>

/** Bytes of the attribute that a write changes. */
#define CHANGE_LEN 100

/** Bytes of each attribute that only fills the session. */
#define FILL_LEN 200

/** Bytes of the largest session. */
#define SIZE_MAX_LEN 65536

/** Seconds that the plain store keeps a session. */
#define PLAIN_TTL_SEC 1800

static APR_OPTIONAL_FN_TYPE(ap_session_get) *session_get;
static APR_OPTIONAL_FN_TYPE(ap_session_set) *session_set;
static APR_OPTIONAL_FN_TYPE(ap_session_load) *session_load;

/** The memcached of bench-plain; a connection for each thread. */
static int plain_port;
static __thread memcached_st *plain;

/** What a request asks for. */
typedef struct ask_t {
    char op;        /* the first letter of op */
    unsigned int n;
    unsigned int size;
} ask_t;

static unsigned int number_of(const char *args, const char *name)
{
    const char *found = strstr(args, name);

    return found ? (unsigned int)strtoul(found + strlen(name), NULL, 10) : 0;
}

static int read_ask(ask_t *ask, const char *args)
{
    if (args == NULL || strncmp(args, "op=", 3) != 0) {
        return 0;
    }
    ask->op = args[3];
    ask->n = number_of(args, "&n=");
    ask->size = number_of(args, "&size=");
    return strchr("nrw", ask->op) != NULL && ask->size <= SIZE_MAX_LEN;
}

static int answer(request_rec *r, unsigned int n)
{
    ap_set_content_type(r, "text/plain");
    ap_set_content_length(r, 11);
    ap_rprintf(r, "n=%08u\n", n % 100000000);
    return OK;
}

/** The changing attribute: n, and something behind it. */
static char *change_of(apr_pool_t *p, unsigned int n)
{
    char *value = apr_palloc(p, CHANGE_LEN + 1);

    memset(value, 'x', CHANGE_LEN);
    value[CHANGE_LEN] = '\0';
    apr_snprintf(value, 9, "%08u", n % 100000000);
    value[8] = 'x';
    return value;
}

/* ---- mod_session --------------------------------------------------------- */

/** Attributes until names and values are of the size asked for. */
static void fill(request_rec *r, session_rec *z, unsigned int size)
{
    unsigned int have = CHANGE_LEN + 1;
    unsigned int i;

    for (i = 0; have < size; i++) {
        char *name = apr_psprintf(r->pool, "fill%03u", i);
        unsigned int len = size - have < FILL_LEN ? size - have : FILL_LEN;
        char *value = apr_palloc(r->pool, len + 1);

        memset(value, 'a' + (int)(i % 26), len);
        value[len] = '\0';
        session_set(r, z, name, value);
        have += len + (unsigned int)strlen(name);
    }
}

static int use_session(request_rec *r)
{
    session_rec *z = NULL;
    const char *value = NULL;
    ask_t ask;

    if (strcmp(r->handler, "bench-session") != 0) {
        return DECLINED;
    }
    if (!read_ask(&ask, r->args)) {
        return HTTP_BAD_REQUEST;
    }
    if (session_load(r, &z) != APR_SUCCESS || z == NULL) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    session_get(r, z, "n", &value);
    if (ask.op != 'n' && value == NULL) {
        return HTTP_GONE;
    }
    if (ask.op == 'r') {
        return answer(r, (unsigned int)strtoul(value, NULL, 10));
    }
    if (ask.op == 'n') {
        fill(r, z, ask.size);
    }
    session_set(r, z, "n", change_of(r->pool, ask.n));
    return answer(r, ask.n);
}

/* ---- one memcached, without anything ------------------------------------- */

static memcached_st *plain_open(void)
{
    memcached_st *mc = memcached_create(NULL);

    memcached_behavior_set(mc, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
    memcached_behavior_set(mc, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 10000);
    memcached_server_add(mc, "127.0.0.1", (in_port_t)plain_port);
    return mc;
}

static int plain_set(const char *key, char *value, size_t len, unsigned int n)
{
    char digits[9];

    apr_snprintf(digits, sizeof(digits), "%08u", n);
    memcpy(value, digits, 8);
    return memcached_set(plain, key, strlen(key), value, len, PLAIN_TTL_SEC, 0)
           == MEMCACHED_SUCCESS;
}

static int plain_begin(request_rec *r, const ask_t *ask)
{
    size_t len = ask->size < CHANGE_LEN ? CHANGE_LEN : ask->size;
    char *value = apr_palloc(r->pool, len);
    char key[APR_UUID_FORMATTED_LENGTH + 1];
    apr_uuid_t id;

    apr_uuid_get(&id);
    apr_uuid_format(key, &id);
    memset(value, 'a', len);
    if (!plain_set(key, value, len, 0)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    apr_table_setn(r->headers_out, "Set-Cookie",
                   apr_pstrcat(r->pool, "plain=", key, NULL));
    return answer(r, 0);
}

static int use_plain(request_rec *r)
{
    const char *cookie = apr_table_get(r->headers_in, "Cookie");
    memcached_return_t rc;
    size_t len = 0;
    uint32_t flags;
    char *value;
    int good;
    ask_t ask;

    if (strcmp(r->handler, "bench-plain") != 0) {
        return DECLINED;
    }
    if (!read_ask(&ask, r->args)) {
        return HTTP_BAD_REQUEST;
    }
    if (plain == NULL) {
        plain = plain_open();
    }
    if (ask.op == 'n') {
        return plain_begin(r, &ask);
    }
    if (cookie == NULL || strncmp(cookie, "plain=", 6) != 0) {
        return HTTP_GONE;
    }
    cookie += 6;
    value = memcached_get(plain, cookie, strlen(cookie), &len, &flags, &rc);
    if (value == NULL || len < CHANGE_LEN) {
        free(value);
        return HTTP_GONE;
    }
    if (ask.op == 'r') {
        ask.n = (unsigned int)atoi(apr_pstrmemdup(r->pool, value, 8));
    }
    good = ask.op == 'r' || plain_set(cookie, value, len, ask.n);
    free(value);
    return good ? answer(r, ask.n) : HTTP_INTERNAL_SERVER_ERROR;
}

/* ---- nothing ------------------------------------------------------------- */

static int use_none(request_rec *r)
{
    ask_t ask;

    if (strcmp(r->handler, "bench-none") != 0) {
        return DECLINED;
    }
    return read_ask(&ask, r->args) ? answer(r, ask.n) : HTTP_BAD_REQUEST;
}

/* ---- the module ---------------------------------------------------------- */

static const char *set_plain(cmd_parms *cmd, void *dir, const char *arg)
{
    plain_port = atoi(arg);
    return plain_port > 0 && plain_port < 65536
               ? NULL : "BenchPlainPort must be a port";
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("BenchPlainPort", set_plain, NULL, RSRC_CONF,
                  "the port of bench-plain's memcached"),
    {NULL}
};

static void find_session(void)
{
    session_get = APR_RETRIEVE_OPTIONAL_FN(ap_session_get);
    session_set = APR_RETRIEVE_OPTIONAL_FN(ap_session_set);
    session_load = APR_RETRIEVE_OPTIONAL_FN(ap_session_load);
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(find_session, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(use_session, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(use_plain, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(use_none, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(bench_app) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, commands, register_hooks
};
