/* SPDX-License-Identifier: Apache-2.0 */
#include "session_header.h"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "log_tags.h"

APLOG_USE_MODULE(session_ha);

/* CGI and its kin see X_Session and X-Session as one, and some of them
 * whatever is neither a letter nor a digit. */
static int is_alike(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        char x = apr_isalnum(*a) ? (char)apr_tolower(*a) : '-';
        char y = apr_isalnum(*b) ? (char)apr_tolower(*b) : '-';

        if (x != y) {
            return 0;
        }
    }
    return *a == *b;
}

static void clear_one(request_rec *r, const char *name)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    const apr_table_entry_t *entry = (const apr_table_entry_t *)all->elts;
    const char *connection = apr_table_get(r->headers_in, "Connection");
    int i = 0;

    while (i < all->nelts) {
        if (is_alike(entry[i].key, name)) {
            apr_table_unset(r->headers_in, entry[i].key);
            i = 0;
        }
        else {
            i++;
        }
    }
    /* "Connection: X-Session" would have the proxy take ours out again. */
    if (connection != NULL && ap_find_token(r->pool, connection, name)) {
        apr_table_setn(r->headers_in, "Connection", "close");
    }
}

void session_header_clear(request_rec *r)
{
    const apr_array_header_t *names = session_site()->headers;
    int i;

    for (i = 0; i < names->nelts; i++) {
        clear_one(r, APR_ARRAY_IDX(names, i, const char *));
    }
}

/* Bytes that a text takes when every byte is escaped. */
static int add_length(void *ctx, const char *name, const char *value)
{
    *(apr_size_t *)ctx += 3 * (strlen(name) + strlen(value)) + 2;
    return 1;
}

/* A pair and an ampersand; the last one is taken away again. */
static int add_pair(void *ctx, const char *name, const char *value)
{
    char **end = ctx;

    ap_escape_urlencoded_buffer(*end, name);
    *end += strlen(*end);
    *(*end)++ = '=';
    ap_escape_urlencoded_buffer(*end, value);
    *end += strlen(*end);
    *(*end)++ = '&';
    return 1;
}

static const char *encode(const apr_table_t *table, apr_pool_t *p)
{
    apr_size_t len = 1;
    char *text;
    char *end;

    apr_table_do(add_length, &len, table, NULL);
    text = apr_pcalloc(p, len);
    end = text;
    apr_table_do(add_pair, &end, table, NULL);
    if (end > text) {
        end--;
    }
    *end = '\0';
    return text;
}

apr_size_t session_header_length(const apr_table_t *table, apr_pool_t *p)
{
    return strlen(encode(table, p));
}

void session_header_set(const session_state_t *state, request_rec *r)
{
    const char *name =
        ha_conf_request_header(session_conf_of(r->per_dir_config));
    const char *text;

    if (name == NULL) {
        return;
    }
    text = encode(session_state_table(state, r->pool), r->pool);
    if (*text == '\0') {
        return;
    }
    if (strlen(text) > SESSION_HEADER_MAX) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0309)
                      "the session takes %" APR_SIZE_T_FMT " bytes in %s, "
                      "above %d; the application is not told of it",
                      strlen(text), name, SESSION_HEADER_MAX);
        return;
    }
    apr_table_set(r->headers_in, name, text);
    session_root_of(r, 1)->header = name;
}

void session_header_take_back(request_rec *r)
{
    session_root_t *root = session_root_of(r, 0);

    if (root != NULL && root->header != NULL) {
        apr_table_unset(r->headers_in, root->header);
        root->header = NULL;
    }
}
