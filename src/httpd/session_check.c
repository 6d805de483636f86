/* SPDX-License-Identifier: Apache-2.0 */
#include "session_check.h"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>

#include <apr_strings.h>

#include "ha_interval.h"
#include "log_tags.h"
#include "session_hooks.h"
#include "session_module.h"
#include "session_secret.h"

APLOG_USE_MODULE(session_ha);

int session_check_is_used(const server_rec *s)
{
    for (; s != NULL; s = s->next) {
        if (session_server_of(s)->is_used) {
            return 1;
        }
    }
    return 0;
}

ha_encryption_e session_check_encryption(const session_server_t *top)
{
    return top->encryption != HA_UNSET ? (ha_encryption_e)top->encryption
                                       : HA_ENCRYPTION_OFF;
}

/* ---- the tree of directives: what no record of ours holds --------------- */

typedef int (*visit_fn)(void *ctx, const ap_directive_t *directive);

/* Visit each directive, sections first, until a visit returns 1. */
static int visit(const ap_directive_t *directive, visit_fn fn, void *ctx)
{
    for (; directive != NULL; directive = directive->next) {
        if (fn(ctx, directive)
            || visit(directive->first_child, fn, ctx)) {
            return 1;
        }
    }
    return 0;
}

typedef struct values_t {
    const char *name;
    apr_array_header_t *found;
    apr_pool_t *pool;
} values_t;

static int note_value(void *ctx, const ap_directive_t *directive)
{
    values_t *values = ctx;
    const char *args = directive->args;
    const char *value;
    int i;

    if (strcasecmp(directive->directive, values->name) != 0) {
        return 0;
    }
    value = ap_getword_conf(values->pool, &args);
    if (strcasecmp(value, "None") == 0) {
        return 0;
    }
    for (i = 0; i < values->found->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(values->found, i, const char *), value)
            == 0) {
            return 0;
        }
    }
    APR_ARRAY_PUSH(values->found, const char *) = value;
    return 0;
}

apr_array_header_t *session_check_values(const char *name, apr_pool_t *p)
{
    values_t values;

    values.name = name;
    values.found = apr_array_make(p, 2, sizeof(const char *));
    values.pool = p;
    visit(ap_conftree, note_value, &values);
    return values.found;
}

static apr_uint32_t longest_of(const char *name, apr_pool_t *ptemp)
{
    const apr_array_header_t *words = session_check_values(name, ptemp);
    apr_interval_time_t longest = 0;
    apr_interval_time_t idle;
    int i;

    for (i = 0; i < words->nelts; i++) {
        if (ha_interval_parse(&idle, APR_ARRAY_IDX(words, i, const char *))
                == HA_INTERVAL_OK
            && apr_time_sec(idle) < APR_INT32_MAX && idle > longest) {
            longest = idle;
        }
    }
    return (apr_uint32_t)apr_time_sec(longest);
}

apr_uint32_t session_check_longest_sec(apr_pool_t *ptemp)
{
    apr_uint32_t stock = longest_of("SessionMaxAge", ptemp);
    apr_uint32_t ours = longest_of("SessionHAIdleLimit", ptemp);
    apr_uint32_t longest = stock > ours ? stock : ours;

    return longest > HA_IDLE_DEFAULT_SEC ? longest : HA_IDLE_DEFAULT_SEC;
}

/* Where SessionHA is turned on, and where encryption is asked for. */
typedef struct crypto_t {
    const ap_directive_t *crypto; /* SessionCryptoPassphrase looked at */
    const ap_directive_t *on;     /* SessionHA On in its scope */
    apr_pool_t *pool;
} crypto_t;

static int find_on(void *ctx, const ap_directive_t *directive)
{
    crypto_t *found = ctx;
    const char *args = directive->args;
    const ap_directive_t *scope;

    if (strcasecmp(directive->directive, "SessionHA") != 0
        || strcasecmp(ap_getword_conf(found->pool, &args), "On") != 0) {
        return 0;
    }
    for (scope = directive->parent; ; scope = scope->parent) {
        if (scope == found->crypto->parent) {
            found->on = directive;
            return 1;
        }
        if (scope == NULL) {
            return 0;
        }
    }
}

static int find_crypto(void *ctx, const ap_directive_t *directive)
{
    crypto_t *found = ctx;

    if (strcasecmp(directive->directive, "SessionCryptoPassphrase") != 0
        && strcasecmp(directive->directive,
                      "SessionCryptoPassphraseFile") != 0) {
        return 0;
    }
    found->crypto = directive;
    return visit(ap_conftree, find_on, found);
}

/*
 * mod_session_crypto encrypts the encoded session; ours is stored attribute
 * by attribute and never sees it. With SessionHAEncryption what is stored is
 * encrypted, which is what was asked for. Without, what is asked for in an
 * enclosing scope is found here, the rest (sections that overlap) by the first
 * request.
 */
static int check_crypto(server_rec *s, const session_server_t *top,
                        apr_pool_t *ptemp)
{
    crypto_t found = { NULL, NULL, ptemp };

    if (session_check_encryption(top) != HA_ENCRYPTION_OFF
        || !visit(ap_conftree, find_crypto, &found)) {
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0105)
                 "%s at %s:%d asks for encrypted sessions, but SessionHA On "
                 "at %s:%d would store them in clear: mod_session_crypto "
                 "cannot encrypt for mod_session_ha, SessionHAEncryption On "
                 "does; or take one of them out",
                 found.crypto->directive, found.crypto->filename,
                 found.crypto->line_num, found.on->filename,
                 found.on->line_num);
    return 0;
}

/* Warnings are for the test of a configuration and for the one that is used;
 * a start reads it twice. */
static int is_to_warn(void)
{
    return ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST
        || ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG;
}

/* ---- contradictions ----------------------------------------------------- */

/* "file:line" of the virtual host, for messages. */
static const char *where(const server_rec *s)
{
    return s->is_virtual && s->defn_name != NULL
               ? apr_psprintf(s->process->pconf, "%s:%u", s->defn_name,
                              s->defn_line_number)
               : "main server";
}

static int check_replicas(server_rec *s, const session_server_t *top)
{
    int nodes = top->nodes != NULL ? top->nodes->nelts : 1;
    int is_fine = 1;

    for (; s != NULL; s = s->next) {
        int replicas = session_server_of(s)->conf.replicas;

        if (replicas != HA_UNSET && replicas > nodes) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0103)
                         "%s: SessionHAReplicas %d, but there %s; each "
                         "copy needs a node of its own",
                         where(s), replicas,
                         top->nodes == NULL
                         ? "is no SessionHAServer, and shared memory keeps 1"
                         : apr_psprintf(s->process->pconf, "%s %d "
                                        "SessionHAServer", nodes == 1
                                        ? "is only" : "are only", nodes));
            is_fine = 0;
        }
    }
    return is_fine;
}

static int check_acks(server_rec *s, const session_server_t *top)
{
    unsigned int nodes = top->nodes != NULL ? (unsigned int)top->nodes->nelts
                                            : 1;
    int is_fine = 1;

    for (; s != NULL; s = s->next) {
        const ha_server_conf_t *conf = &session_server_of(s)->conf;
        unsigned int replicas = ha_server_conf_replicas(conf, nodes);

        if (conf->acks != HA_UNSET && conf->acks != HA_ACKS_MAJORITY
            && conf->acks > (int)replicas) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0120)
                         "%s: SessionHAWriteAcks %d, but a session has %u "
                         "cop%s: no save could ever be good",
                         where(s), conf->acks, replicas,
                         replicas == 1 ? "y" : "ies");
            is_fine = 0;
        }
    }
    return is_fine;
}

/* The header in which mod_session itself takes a session, or NULL. */
static const char *stock_header(const ap_conf_vector_t *vector)
{
    const module *stock = ap_find_linked_module("mod_session.c");
    const session_dir_conf *conf = vector != NULL && stock != NULL
                                 ? ap_get_module_config(vector, stock) : NULL;

    return conf != NULL && conf->header_set ? conf->header : NULL;
}

/* Each of these is to mean one thing to an answer that has it. */
static int check_headers(const ha_conf_t *merged,
                         const ap_conf_vector_t *section, server_rec *s)
{
    const char *stock = stock_header(section);
    struct {
        const char *directive;
        const char *name;
    } all[3] = {
        { "SessionHADeltaHeader", ha_conf_delta_header(merged) },
        { "SessionHAControlHeader", ha_conf_control_header(merged) },
        { "SessionHeader", stock != NULL ? stock
                                         : stock_header(s->lookup_defaults) }
    };
    int i;
    int k;

    for (i = 1; i < 3; i++) {
        for (k = 0; k < i; k++) {
            if (all[i].name != NULL && all[k].name != NULL
                && *all[i].name != '\0'
                && strcasecmp(all[i].name, all[k].name) == 0) {
                ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0122)
                             "%s: %s and %s both name the header %s%s: an "
                             "answer could not say which it means; give one "
                             "of them another name", where(s),
                             all[k].directive, all[i].directive, all[i].name,
                             section != NULL ? " in a section" : "");
                return 0;
            }
        }
    }
    return 1;
}

static int check_conf(const ha_conf_t *base, const ap_conf_vector_t *section,
                      server_rec *s)
{
    ha_conf_t merged = *base;

    /* a section that names none of our directives has no record of ours */
    if (section != NULL && session_conf_of(section) != NULL) {
        ha_conf_merge(&merged, base, session_conf_of(section));
    }
    if (!check_headers(&merged, section, s)) {
        return 0;
    }
    if (!ha_conf_is_contradictory(&merged)) {
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0104)
                 "%s: SessionHACookieSameSite None and "
                 "SessionHACookieSecure Off come together%s; browsers refuse "
                 "such a cookie",
                 where(s), section != NULL ? " in a section" : "");
    return 0;
}

/* The server's own settings, and each section merged into them. */
static int check_cookies(server_rec *s)
{
    for (; s != NULL; s = s->next) {
        const ha_conf_t *base = session_conf_of(s->lookup_defaults);
        core_server_config *core =
            ap_get_core_module_config(s->module_config);
        apr_array_header_t *both[2] = { core->sec_dir, core->sec_url };
        int k;
        int i;

        if (!check_conf(base, NULL, s)) {
            return 0;
        }
        for (k = 0; k < 2; k++) {
            for (i = 0; both[k] != NULL && i < both[k]->nelts; i++) {
                if (!check_conf(base, APR_ARRAY_IDX(both[k], i,
                                                    ap_conf_vector_t *), s)) {
                    return 0;
                }
            }
        }
    }
    return 1;
}

static int check_session_module(server_rec *s)
{
    if (session_hooks_has_session()) {
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0101)
                 "SessionHA On needs mod_session, which is not loaded%s",
                 ap_find_linked_module("mod_session.c") != NULL
                 ? " before mod_session_ha: put its LoadModule line first"
                 : ": add LoadModule session_module before mod_session_ha's");
    return 0;
}

/* Nodes outlive and outnumber servers, so the secret must too. */
static int check_nodes(server_rec *s, const session_server_t *top)
{
    const char *fault = ha_store_mc_fault();

    if (top->nodes == NULL) {
        return 1;
    }
    if (fault != NULL) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0102)
                     "SessionHAServer cannot be used: %s", fault);
        return 0;
    }
    if (top->secret_file == NULL) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0106)
                     "SessionHAServer needs SessionHASecretFile: all web "
                     "servers of the nodes must sign cookies with the same "
                     "secret; make one with `openssl rand -base64 32`, "
                     "chmod 600, and copy it to each of them");
        return 0;
    }
    return 1;
}

/* The zones of all nodes, each once. */
static const char *list_zones(const apr_array_header_t *nodes, apr_pool_t *p)
{
    const ha_mc_node_t *all = (const ha_mc_node_t *)nodes->elts;
    const char *text = "";
    int i;
    int k;

    for (i = 0; i < nodes->nelts; i++) {
        for (k = 0; k < i; k++) {
            if (span_is_equal(all[k].place.zone, all[i].place.zone)) {
                break;
            }
        }
        if (k == i && all[i].place.zone.len > 0) {
            text = apr_pstrcat(p, text, *text != '\0' ? ", " : "",
                               all[i].place.zone.data, NULL);
        }
    }
    return text;
}

static int is_zone(const char *zone, const apr_array_header_t *nodes)
{
    const ha_mc_node_t *all = (const ha_mc_node_t *)nodes->elts;
    int i;

    for (i = 0; i < nodes->nelts; i++) {
        if (span_is_equal(all[i].place.zone, span_of_text(zone))) {
            return 1;
        }
    }
    return 0;
}

static int check_zone(server_rec *s, const session_server_t *top,
                      apr_pool_t *p)
{
    const char *zones = top->nodes != NULL ? list_zones(top->nodes, p) : "";

    if (top->zone == NULL || (top->nodes != NULL
                              && is_zone(top->zone, top->nodes))) {
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0130)
                 "SessionHAZone %s: no SessionHAServer is in that zone; %s%s",
                 top->zone, *zones != '\0' ? "there are: " : "none has a "
                 "zone=", zones);
    return 0;
}

static int check_far_writes(server_rec *s, const session_server_t *top)
{
    for (; s != NULL; s = s->next) {
        if (top->zone == NULL
            && ha_server_conf_far_writes(&session_server_of(s)->conf)
               == HA_FAR_ASYNC) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0131)
                         "%s: SessionHAFarWrites async needs "
                         "SessionHAZone: without it nobody knows what is far",
                         where(s));
            return 0;
        }
    }
    return 1;
}

/* A directive of ours that does nothing without SessionHA On. */
static int find_idle(void *ctx, const ap_directive_t *directive)
{
    const ap_directive_t **found = ctx;

    if (strncasecmp(directive->directive, "SessionHA", 9) != 0
        || directive->directive[9] == '\0') {
        return 0;
    }
    *found = directive;
    return 1;
}

static void warn_of_idle(server_rec *s)
{
    const ap_directive_t *found = NULL;

    if (is_to_warn() && visit(ap_conftree, find_idle, &found)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HALOG(0121)
                     "%s at %s:%d does nothing: SessionHA On stands nowhere, "
                     "and no session is kept here", found->directive,
                     found->filename, found->line_num);
    }
}

int session_check_config(apr_pool_t *pconf, apr_pool_t *plog,
                         apr_pool_t *ptemp, server_rec *s)
{
    const session_server_t *top = session_server_of(s);
    ha_ring_t ring;
    int is_fine;

    if (!session_check_is_used(s)) {
        warn_of_idle(s);
        return OK;
    }
    is_fine = check_session_module(s) && check_nodes(s, top)
           && check_zone(s, top, ptemp) && check_far_writes(s, top)
           && check_replicas(s, top) && check_acks(s, top)
           && check_cookies(s) && check_crypto(s, top, ptemp);
    /*
     * A start reads the file in post_config. A test reads it here, so that
     * `apachectl graceful` refuses what a running server would not take.
     */
    if (is_fine && top->secret_file != NULL
        && ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST) {
        is_fine = session_secret_read(&ring, top->secret_file, 0, s, ptemp);
        ha_ring_wipe(&ring);
    }
    return is_fine ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
