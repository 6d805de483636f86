/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent reads the file when it reads the configuration, and the children
 * inherit the edition that it made. Each start has its own board, lock and
 * balancers, so that children of before, who may go on for long, change
 * nothing of the new ones. What was accepted last is on the board of before
 * until the new start has its own: a restart with a bad file goes on with it.
 *
 * A request borrows the edition for as long as it looks at it. The first
 * edition is in the server's pool and stays; later ones have pools of their
 * own, which the last reader destroys.
 */
#include "clone_config.h"

#include <ap_mpm.h>
#include <apr_cstr.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <mod_proxy.h>
#include <util_mutex.h>

#include "clone_config_members.h"
#include "clone_config_watch.h"
#include "clone_server.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define LOCK_NAME "proxy-clone-config"
/* From one try to get the lock to the next. */
#define SPIN_USEC 1000

#define KEPT_NAME "proxy_balancer_clone/config"

/* What httpd retains over restarts. */
typedef struct kept_t {
    apr_pool_t *pool;
    clone_bulletin_t *board;
    char path[1024];
} kept_t;

clone_config_t *clone_config_make(apr_pool_t *p)
{
    clone_config_t *config = apr_pcalloc(p, sizeof(*config));

    config->member_room = HA_UNSET;
    config->cluster_room = HA_UNSET;
    return config;
}

clone_config_t *clone_config_of(server_rec *s)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);

    return server->config != NULL && server->config->path != NULL
           ? server->config : NULL;
}

/* ---- the directive ------------------------------------------------------- */

/* Whether a directive with one of these words stands anywhere. */
static int is_said(const ap_directive_t *at, const char *name,
                   const char *const *words)
{
    for (; at != NULL; at = at->next) {
        int i;

        if (at->first_child != NULL
            && is_said(at->first_child, name, words)) {
            return 1;
        }
        for (i = 0; words[i] != NULL; i++) {
            if (apr_cstr_casecmp(at->directive, name) == 0
                && apr_cstr_casecmp(at->args, words[i]) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

static void ask_for_tls(clone_config_t *config)
{
    static const char *const on[] = { "on", NULL };
    static const char *const checks[] = { "require", "optional", "2", "1",
                                          NULL };

    config->has_tls = is_said(ap_conftree, "SSLProxyEngine", on);
    config->is_verified = is_said(ap_conftree, "SSLProxyVerify", checks);
}

static const char *parse(clone_config_t *config, span_t text,
                         cmd_parms *cmd)
{
    const char *error;
    apr_pool_t *own;

    apr_pool_create(&own, cmd->pool);
    error = clone_edition_make(&config->now, &config->findings, text,
                               config->has_tls, own, cmd->temp_pool);
    if (error != NULL) {
        apr_pool_destroy(own);
        return error;
    }
    config->now->is_kept = 1;
    config->text = text;
    return NULL;
}

/* What the start before this one, or one of its children, accepted last. */
static int parse_kept(clone_config_t *config, cmd_parms *cmd)
{
    const kept_t *kept = ap_retained_data_get(KEPT_NAME);
    span_t text;

    return kept != NULL && kept->board != NULL
           && strcmp(kept->path, config->path) == 0
           && clone_bulletin_get(&text, kept->board, cmd->temp_pool) > 0
           && parse(config, text, cmd) == NULL;
}

const char *clone_config_read(clone_config_t *config, cmd_parms *cmd,
                              const char *path)
{
    char buffer[256];
    const char *error;
    apr_status_t rv;
    span_t text;

    config->path = ap_server_root_relative(cmd->pool, path);
    if (config->path == NULL) {
        return apr_psprintf(cmd->pool, "%s: invalid path '%s'",
                            cmd->cmd->name, path);
    }
    config->server = cmd->server;
    ask_for_tls(config);
    rv = clone_file_read(&text, &config->look, config->path, CLONE_XML_MAX,
                         cmd->temp_pool);
    error = rv == APR_SUCCESS
            ? parse(config, text, cmd)
            : apr_pstrcat(cmd->temp_pool, " ",
                          apr_strerror(rv, buffer, sizeof(buffer)), NULL);
    if (error == NULL) {
        return NULL;
    }
    error = apr_psprintf(cmd->pool, "%s:%s", config->path, error);
    if (parse_kept(config, cmd)) {
        config->complaint = error;
        return NULL;
    }
    return apr_psprintf(cmd->pool, "%s: %s", cmd->cmd->name, error);
}

/* ---- start --------------------------------------------------------------- */

int clone_config_prepare(apr_pool_t *pconf, apr_pool_t *plog,
                         apr_pool_t *ptemp)
{
    return ap_mutex_register(pconf, LOCK_NAME, NULL, APR_LOCK_DEFAULT, 0)
           == APR_SUCCESS ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

/* Pin the text up on a board of this start; the one before may go then. */
static apr_status_t pin_up(clone_config_t *config, apr_pool_t *pconf)
{
    kept_t *kept = ap_retained_data_get(KEPT_NAME);
    apr_pool_t *own;
    apr_status_t rv;

    if (kept == NULL) {
        kept = ap_retained_data_create(KEPT_NAME, sizeof(*kept));
    }
    rv = ap_global_mutex_create(&config->lock, NULL, LOCK_NAME, NULL,
                                config->server, pconf, 0);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* not below the process's pool: of its children the youngest dies first,
     * and pconf's last look at the board is its end */
    apr_pool_create(&own, NULL);
    rv = clone_bulletin_make(&config->board, own);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(own);
        return rv;
    }
    clone_bulletin_put(config->board, config->text);
    config->board->look = config->look;
    config->board->is_bad = config->complaint != NULL;
    config->board->checked = apr_time_now();
    config->now->number = clone_bulletin_number(config->board);
    if (kept->pool != NULL) {
        apr_pool_destroy(kept->pool);
    }
    kept->pool = own;
    kept->board = config->board;
    apr_cpystrn(kept->path, config->path, sizeof(kept->path));
    return APR_SUCCESS;
}

static const char *place_of(const clone_finding_t *finding, apr_pool_t *p,
                            const char *path)
{
    return finding->line > 0 ? apr_psprintf(p, "%s:%u", path, finding->line)
                             : path;
}

void clone_config_report(const clone_config_t *config,
                         const clone_findings_t *findings)
{
    const clone_finding_t *finding = (const void *)findings->list->elts;
    int i;

    for (i = 0; i < findings->list->nelts; i++, finding++) {
        const char *place = place_of(finding, findings->p, config->path);

        if (finding->severity == CLONE_NOTE) {
            ap_log_error(APLOG_MARK, APLOG_INFO, 0, config->server,
                         CRLOG(0403) "%s: %s", place, finding->text);
        }
        else {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, config->server,
                         CRLOG(0402) "%s: %s", place, finding->text);
        }
    }
}

/* What https comes to. */
static void report_tls(const clone_config_t *config)
{
    const clone_plugin_t *plugin = config->now->plugin;
    unsigned int i;

    for (i = 0; i < plugin->cluster_count && !config->has_tls; i++) {
        if (clone_seats_is_split(&plugin->cluster[i])) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, config->server,
                         CRLOG(0407) "%s: the https transports are not used, "
                         "not for clients by TLS either, because "
                         "SSLProxyEngine is not On", config->path);
            return;
        }
    }
    for (i = 0; i < plugin->cluster_count && !config->is_verified; i++) {
        if (config->has_tls
            && (clone_seats_is_split(&plugin->cluster[i])
                || clone_seats_needs_tls(&plugin->cluster[i]) != NULL)) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, config->server,
                         CRLOG(0408) "%s: nobody checks who answers at the "
                         "https transports; say SSLProxyVerify require and "
                         "SSLProxyCACertificateFile", config->path);
            return;
        }
    }
}

static void report_start(const clone_config_t *config, apr_pool_t *ptemp)
{
    const clone_plugin_t *plugin = config->now->plugin;

    if (config->complaint != NULL) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, config->server, CRLOG(0401)
                     "%s; going on with what was accepted last",
                     config->complaint);
    }
    clone_config_report(config, config->findings);
    report_tls(config);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, config->server, CRLOG(0400)
                 "%s: %u routes to %u clusters, %d balancers; %slooking for "
                 "changes%s", config->path, plugin->route_count,
                 plugin->cluster_count, config->now->sides->nelts,
                 plugin->refresh_sec < 0 ? "not " : "",
                 plugin->refresh_sec < 0 ? ""
                 : apr_psprintf(ptemp, " every %d s", plugin->refresh_sec));
}

int clone_config_start(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s)
{
    clone_config_t *config = clone_config_of(s);
    apr_status_t rv;

    if (config == NULL) {
        return OK;
    }
    if (clone_config_members_define(config, pconf, ptemp) != OK) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    rv = pin_up(config, pconf);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, CRLOG(0404)
                     "no shared memory or lock for %s", config->path);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    report_start(config, ptemp);
    return OK;
}

void clone_config_child(apr_pool_t *pchild, server_rec *s)
{
    clone_config_t *config = clone_config_of(s);
    apr_status_t rv;

    if (config == NULL) {
        return;
    }
    config->text = span_of("", 0);
    config->findings = NULL;
    clone_config_members_share(config, s);
    rv = clone_watch_start(config, pchild);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, CRLOG(0405)
                     "this child will not see changes of %s", config->path);
    }
}

/* ---- editions ------------------------------------------------------------ */

static void lock(clone_config_t *config)
{
    if (config->guard != NULL) {
        (void)apr_thread_mutex_lock(config->guard);
    }
}

static void unlock(clone_config_t *config)
{
    if (config->guard != NULL) {
        (void)apr_thread_mutex_unlock(config->guard);
    }
}

clone_edition_t *clone_config_enter(clone_config_t *config)
{
    clone_edition_t *edition;

    lock(config);
    edition = config->now;
    edition->users++;
    unlock(config);
    return edition;
}

/* One reader fewer; the lock is held, and let go of. */
static void leave(clone_config_t *config, clone_edition_t *edition)
{
    int is_last = --edition->users == 0;

    unlock(config);
    if (is_last && !edition->is_kept) {
        apr_pool_destroy(edition->pool);
    }
}

void clone_config_leave(clone_config_t *config, clone_edition_t *edition)
{
    lock(config);
    leave(config, edition);
}

/*
 * A child of prefork that is told to end does so within the signal, be it in
 * the midst of the lock; it waits for our caller then, who must not wait for
 * the lock.
 */
int clone_config_swap(clone_config_t *config, clone_edition_t *edition)
{
    clone_edition_t *old = config->now;

    while (config->guard != NULL
           && apr_thread_mutex_trylock(config->guard) != APR_SUCCESS) {
        if (clone_watch_is_over(config->watch)) {
            return 0;
        }
        apr_sleep(SPIN_USEC);
    }
    config->now = edition;
    leave(config, old);
    return 1;
}

int clone_config_cluster(clone_config_cluster_t *cluster, server_rec *s,
                         const char *name, apr_pool_t *p)
{
    clone_config_t *config = clone_config_of(s);
    const clone_side_t *side;
    clone_edition_t *edition;

    if (config == NULL) {
        return 0;
    }
    edition = clone_config_enter(config);
    side = clone_edition_named(edition, name);
    if (side != NULL) {
        const clone_seat_t *last = side->seats->nelts > 0
            ? (const clone_seat_t *)(void *)side->seats->elts
              + (side->seats->nelts - 1) : NULL;

        cluster->is_random = side->cluster->balance == CLONE_PLUGIN_RANDOM;
        cluster->ignores_affinity = side->cluster->ignores_affinity;
        cluster->is_plus = side->cluster->is_plus_separated;
        cluster->has_limits = side->has_limits;
        cluster->timeout_retries = side->cluster->timeout_retries;
        cluster->body = side->cluster->post_buffer < 0
                        || side->cluster->post_buffer > CLONE_BODY_FILE_MAX
                        ? CLONE_BODY_FILE_MAX : side->cluster->post_buffer;
        cluster->address = p != NULL && last != NULL && last->server == NULL
                           ? apr_pstrdup(p, last->url) : NULL;
    }
    clone_config_leave(config, edition);
    return side != NULL;
}

void clone_config_settings(clone_conf_t *conf, server_rec *s,
                           const char *name)
{
    clone_config_cluster_t cluster;

    if (clone_config_cluster(&cluster, s, name, NULL)) {
        conf->routing = 1;
        conf->profile = cluster.is_plus ? CLONE_PROFILE_WEBSPHERE_PLUS
                                        : CLONE_PROFILE_WEBSPHERE;
        conf->private_headers = 1;
        conf->retry.body_file = cluster.body;
        if (cluster.has_limits) {
            conf->limit.by_member = 1;
        }
        if (cluster.timeout_retries >= 0) {
            conf->retry.timeout_replays = cluster.timeout_retries;
        }
    }
    else if (clone_config_of(s) != NULL
             && clone_config_members_is_reserve(name)) {
        conf->routing = 1;
    }
}

/* What the file says of a member; 0 when it is not from it. */
static int look_up(int *is_drained, unsigned int *most, server_rec *s,
                   const char *name, const char *url)
{
    clone_config_t *config = clone_config_of(s);
    const clone_seat_t *seat = NULL;
    const clone_side_t *side;
    clone_edition_t *edition;

    if (config == NULL) {
        return 0;
    }
    edition = clone_config_enter(config);
    side = clone_edition_named(edition, name);
    if (side != NULL) {
        seat = clone_seats_at(side->seats, url);
        *is_drained = seat != NULL && seat->is_drained;
        *most = seat != NULL ? clone_seats_most(seat) : 0;
    }
    clone_config_leave(config, edition);
    return seat != NULL;
}

int clone_config_drained(int *is_drained, server_rec *s, const char *name,
                         const char *url)
{
    unsigned int most;

    return look_up(is_drained, &most, s, name, url);
}

unsigned int clone_config_most(server_rec *s, const char *name,
                               const char *url)
{
    unsigned int most;
    int is_drained;

    return look_up(&is_drained, &most, s, name, url) ? most : 0;
}

void clone_config_catch_up(server_rec *s, apr_pool_t *p)
{
    clone_config_t *config = clone_config_of(s);

    if (config != NULL && config->board != NULL) {
        clone_watch_catch_up(config, p);
    }
}
