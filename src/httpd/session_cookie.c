/* SPDX-License-Identifier: Apache-2.0 */
#include "session_cookie.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include "ha_limits.h"

/*
 * One part of a Cookie header, up to the next semicolon, or the comma with
 * which httpd joins two headers of a name. Our values hold neither.
 */
typedef struct pair_t {
    const char *from;  /* first byte behind the separator before */
    const char *to;    /* its separator, or the end */
    span_t value;      /* without blanks and quotes */
} pair_t;

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Without blanks around it, and without a pair of quotes. */
static span_t trim(const char *from, const char *to)
{
    while (from < to && is_blank(*from)) {
        from++;
    }
    while (from < to && is_blank(to[-1])) {
        to--;
    }
    if (to - from >= 2 && *from == '"' && to[-1] == '"') {
        from++;
        to--;
    }
    return span_of(from, (apr_size_t)(to - from));
}

/* Look at the pair at from; returns 1 when it has the name. */
static int read_pair(pair_t *pair, const char *from, span_t name)
{
    const char *equals;
    span_t mine;

    pair->from = from;
    pair->to = from + strcspn(from, ";,");
    equals = memchr(from, '=', (apr_size_t)(pair->to - from));
    if (equals == NULL) {
        return 0;
    }
    while (from < equals && is_blank(*from)) {
        from++;
    }
    mine = span_of(from, (apr_size_t)(equals - from));
    while (mine.len > 0 && is_blank(mine.data[mine.len - 1])) {
        mine.len--;
    }
    pair->value = trim(equals + 1, pair->to);
    return span_is_equal(mine, name);
}

int session_cookie_each(const apr_table_t *headers, const char *name,
                        int (*fn)(void *ctx, span_t value), void *ctx)
{
    const apr_array_header_t *all = apr_table_elts(headers);
    const apr_table_entry_t *entry = (const apr_table_entry_t *)all->elts;
    span_t wanted = span_of_text(name);
    int seen = 0;
    int i;

    for (i = 0; i < all->nelts; i++) {
        const char *at = entry[i].val;
        pair_t pair;

        if (strcasecmp(entry[i].key, "Cookie") != 0) {
            continue;
        }
        for (; *at != '\0'; at = pair.to + (*pair.to != '\0')) {
            if (!read_pair(&pair, at, wanted)) {
                continue;
            }
            seen++;
            if (fn(ctx, pair.value) || seen == HA_COOKIES_TRIED) {
                return seen;
            }
        }
    }
    return seen;
}

/* Whether the pair at from has one of the names. */
static int read_ours(pair_t *pair, const char *from,
                     const apr_array_header_t *names)
{
    int i;

    pair->from = from;
    pair->to = from + strcspn(from, ";,");
    for (i = 0; i < names->nelts; i++) {
        if (read_pair(pair, from,
                      span_of_text(APR_ARRAY_IDX(names, i, const char *)))) {
            return 1;
        }
    }
    return 0;
}

/* The other pairs of one Cookie header; NULL when none is left. */
static const char *keep_others(const char *header,
                               const apr_array_header_t *names,
                               int *is_changed, apr_pool_t *p)
{
    char *kept = apr_palloc(p, strlen(header) + 1);
    char *end = kept;
    const char *at;
    pair_t pair;

    for (at = header; *at != '\0'; at = pair.to + (*pair.to != '\0')) {
        if (read_ours(&pair, at, names)) {
            *is_changed = 1;
            continue;
        }
        if (end > kept) {
            *end++ = pair.from[-1];
        }
        else {
            while (pair.from < pair.to && is_blank(*pair.from)) {
                pair.from++;
            }
        }
        memcpy(end, pair.from, (apr_size_t)(pair.to - pair.from));
        end += pair.to - pair.from;
    }
    *end = '\0';
    return end > kept ? kept : NULL;
}

void session_cookie_strip(apr_table_t *headers,
                          const apr_array_header_t *names, apr_pool_t *p)
{
    const apr_array_header_t *all = apr_table_elts(headers);
    const apr_table_entry_t *entry = (const apr_table_entry_t *)all->elts;
    apr_array_header_t *kept = apr_array_make(p, 1, sizeof(const char *));
    int is_changed = 0;
    int i;

    for (i = 0; i < all->nelts; i++) {
        if (strcasecmp(entry[i].key, "Cookie") == 0) {
            const char *rest = keep_others(entry[i].val, names, &is_changed,
                                           p);

            if (rest != NULL) {
                APR_ARRAY_PUSH(kept, const char *) = rest;
            }
        }
    }
    if (is_changed) {
        apr_table_unset(headers, "Cookie");
        for (i = 0; i < kept->nelts; i++) {
            apr_table_add(headers, "Cookie",
                          APR_ARRAY_IDX(kept, i, const char *));
        }
    }
}

char *session_cookie_set(const ha_conf_t *conf, const char *value,
                         apr_uint32_t max_age_sec, int is_tls, apr_pool_t *p)
{
    static const char *const same_sites[] = { "Lax", "Strict", "None" };
    const char *domain = ha_conf_cookie_domain(conf);
    ha_same_site_e same_site = ha_conf_cookie_same_site(conf);
    ha_secure_e secure = ha_conf_cookie_secure(conf);
    const char *age = "";

    if (*value == '\0') {
        age = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    }
    else if (max_age_sec > 0) {
        age = apr_psprintf(p, "; Max-Age=%u", max_age_sec);
    }
    if (secure == HA_SECURE_AUTO) {
        secure = is_tls ? HA_SECURE_ON : HA_SECURE_OFF;
    }
    if (same_site == HA_SAME_SITE_NONE) {
        /* Browsers drop it without Secure. Sections that overlap may bring
         * the two together, which no check of the configuration sees. */
        secure = HA_SECURE_ON;
    }
    return apr_pstrcat(p, ha_conf_cookie_name(conf), "=", value, "; Path=",
                       ha_conf_cookie_path(conf),
                       domain != NULL ? "; Domain=" : "",
                       domain != NULL ? domain : "", age,
                       ha_conf_cookie_http_only(conf) ? "; HttpOnly" : "",
                       secure == HA_SECURE_ON ? "; Secure" : "",
                       "; SameSite=", same_sites[same_site], NULL);
}
