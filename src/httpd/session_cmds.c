/* SPDX-License-Identifier: Apache-2.0 */
#include "session_cmds.h"

#include <apr_strings.h>

#include "ha_interval.h"
#include "session_module.h"
#include "session_words.h"

extern module AP_MODULE_DECLARE_DATA session_ha_module;

/* A session that may idle for longer than a year is not a session. */
#define IDLE_MIN (APR_USEC_PER_SEC)
#define IDLE_MAX (apr_time_from_sec(365 * 24 * 3600))

#define OFFSET(member) ((void *)APR_OFFSETOF(ha_conf_t, member))

/* ---- records ----------------------------------------------------------- */

ha_conf_t *session_conf_of(const ap_conf_vector_t *vector)
{
    return ap_get_module_config(vector, &session_ha_module);
}

session_server_t *session_server_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &session_ha_module);
}

void *session_dir_make(apr_pool_t *p, char *dir)
{
    ha_conf_t *conf = apr_palloc(p, sizeof(*conf));

    ha_conf_init(conf);
    return conf;
}

void *session_dir_merge(apr_pool_t *p, void *basev, void *overv)
{
    ha_conf_t *conf = apr_palloc(p, sizeof(*conf));

    ha_conf_merge(conf, basev, overv);
    return conf;
}

void *session_server_make(apr_pool_t *p, server_rec *s)
{
    session_server_t *server = apr_pcalloc(p, sizeof(*server));

    ha_server_conf_init(&server->conf);
    server->memory = HA_UNSET;
    server->refill_rate = HA_UNSET;
    server->encryption = HA_UNSET;
    return server;
}

void *session_server_merge(apr_pool_t *p, void *basev, void *overv)
{
    session_server_t *server = apr_pcalloc(p, sizeof(*server));
    const session_server_t *base = basev;
    const session_server_t *over = overv;

    ha_server_conf_merge(&server->conf, &base->conf, &over->conf);
    server->nodes = over->nodes != NULL ? over->nodes : base->nodes;
    server->secret_file = over->secret_file != NULL ? over->secret_file
                                                    : base->secret_file;
    server->zone = over->zone != NULL ? over->zone : base->zone;
    server->refill_rate = over->refill_rate != HA_UNSET ? over->refill_rate
                                                        : base->refill_rate;
    server->memory = over->memory != HA_UNSET ? over->memory : base->memory;
    server->encryption = over->encryption != HA_UNSET ? over->encryption
                                                      : base->encryption;
    server->is_used = over->is_used || base->is_used;
    return server;
}

/* ---- words -------------------------------------------------------------- */

static const char *take_choice(int *member, const cmd_parms *cmd,
                               const char *arg, const char *const *words,
                               const char *phrase)
{
    int i;

    for (i = 0; words[i] != NULL; i++) {
        if (strcasecmp(words[i], arg) == 0) {
            *member = i;
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "%s must be %s, not '%s'", cmd->cmd->name,
                        phrase, arg);
}

/* ---- server config only ------------------------------------------------ */

static const char *set_server(cmd_parms *cmd, void *dummy, int argc,
                              char *const argv[])
{
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    ha_mc_node_t node;

    if (error != NULL) {
        return error;
    }
    if (server->nodes == NULL) {
        server->nodes = apr_array_make(cmd->pool, 8, sizeof(ha_mc_node_t));
    }
    if (server->nodes->nelts == HA_NODES_MAX) {
        return apr_psprintf(cmd->pool, "%s may stand %d times, '%s' is one "
                            "too many", cmd->cmd->name, HA_NODES_MAX,
                            argc > 0 ? argv[0] : "");
    }
    error = session_words_node(&node, server->nodes, argc, argv,
                               cmd->cmd->name, cmd->pool);
    if (error == NULL) {
        APR_ARRAY_PUSH(server->nodes, ha_mc_node_t) = node;
    }
    return error;
}

static const char *set_secret_file(cmd_parms *cmd, void *dummy,
                                   const char *arg)
{
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (error != NULL) {
        return error;
    }
    server->secret_file = ap_server_root_relative(cmd->pool, arg);
    if (*arg == '\0' || server->secret_file == NULL) {
        return apr_psprintf(cmd->pool, "%s must be the path of a file, not "
                            "'%s'", cmd->cmd->name, arg);
    }
    return NULL;
}

static const char *set_refill_rate(cmd_parms *cmd, void *dummy,
                                   const char *arg)
{
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_int64_t number;

    if (error != NULL) {
        return error;
    }
    if (!session_word_number(&number, arg, 0, HA_REFILL_RATE_MAX)) {
        return apr_psprintf(cmd->pool, "%s must be between 0 and %d, not '%s'",
                            cmd->cmd->name, HA_REFILL_RATE_MAX, arg);
    }
    server->refill_rate = (int)number;
    return NULL;
}

static const char *set_memory(cmd_parms *cmd, void *dummy, const char *arg)
{
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (error != NULL) {
        return error;
    }
    if (!session_word_number(&server->memory, arg, HA_SHM_MIN, HA_SHM_MAX)) {
        return apr_psprintf(cmd->pool, "%s must be between %d and %"
                            APR_INT64_T_FMT " bytes, not '%s'",
                            cmd->cmd->name, HA_SHM_MIN,
                            (apr_int64_t)HA_SHM_MAX, arg);
    }
    return NULL;
}

static const char *set_encryption(cmd_parms *cmd, void *dummy,
                                  const char *arg)
{
    static const char *const words[] = { "Off", "On", "Migrate", NULL };
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return error != NULL ? error
         : take_choice(&server->encryption, cmd, arg, words,
                       "On, Off or Migrate");
}

static const char *set_zone(cmd_parms *cmd, void *dummy, const char *arg)
{
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (error != NULL) {
        return error;
    }
    if (!session_word_is_name(arg)) {
        return apr_psprintf(cmd->pool, "%s must be 1 to %d letters, digits, "
                            "'.', '-' or '_', not '%s'", cmd->cmd->name,
                            HA_NAME_MAX, arg);
    }
    server->zone = arg;
    return NULL;
}

/* ---- server config, virtual host --------------------------------------- */

static const char *set_replicas(cmd_parms *cmd, void *dummy, const char *arg)
{
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    apr_int64_t number;

    if (error != NULL) {
        return error;
    }
    if (!session_word_number(&number, arg, HA_REPLICAS_MIN,
                             HA_REPLICAS_MAX)) {
        return apr_psprintf(cmd->pool, "%s must be between %d and %d, not "
                            "'%s'", cmd->cmd->name, HA_REPLICAS_MIN,
                            HA_REPLICAS_MAX, arg);
    }
    server->conf.replicas = (int)number;
    return NULL;
}

static const char *set_acks(cmd_parms *cmd, void *dummy, const char *arg)
{
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    apr_int64_t number;

    if (error != NULL) {
        return error;
    }
    if (strcasecmp(arg, "all") == 0) {
        number = HA_ACKS_ALL;
    }
    else if (strcasecmp(arg, "majority") == 0) {
        number = HA_ACKS_MAJORITY;
    }
    else if (strcasecmp(arg, "one") == 0) {
        number = 1;
    }
    else if (!session_word_number(&number, arg, HA_REPLICAS_MIN,
                                  HA_REPLICAS_MAX)) {
        return apr_psprintf(cmd->pool, "%s must be one, majority, all or a "
                            "number between %d and %d, not '%s'",
                            cmd->cmd->name, HA_REPLICAS_MIN, HA_REPLICAS_MAX,
                            arg);
    }
    server->conf.acks = (int)number;
    return NULL;
}

static const char *take_interval(apr_interval_time_t *interval,
                                 const cmd_parms *cmd, const char *arg,
                                 apr_interval_time_t min,
                                 apr_interval_time_t max, const char *range)
{
    apr_interval_time_t value;

    if (ha_interval_parse(&value, arg) != HA_INTERVAL_OK || value < min
        || value > max) {
        return apr_psprintf(cmd->pool, "%s must be between %s, with a unit "
                            "(ms, s, m, h, d; default s), not '%s'",
                            cmd->cmd->name, range, arg);
    }
    *interval = value;
    return NULL;
}

static const char *set_budget(cmd_parms *cmd, void *dummy, const char *arg)
{
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    if (error != NULL) {
        return error;
    }
    return take_interval(&server->conf.budget, cmd, arg, HA_BUDGET_MIN_USEC,
                         HA_BUDGET_MAX_USEC, "10ms and 10s");
}

/* ---- server config, virtual host, directory ---------------------------- */

/* Not httpd's own flag: that one takes "On nonsense" for On. */
static const char *take_flag(int *member, const cmd_parms *cmd,
                             const char *arg)
{
    static const char *const words[] = { "Off", "On", NULL };

    return take_choice(member, cmd, arg, words, "On or Off");
}

static const char *set_flag(cmd_parms *cmd, void *confv, const char *arg)
{
    int flag = 0;
    const char *error = take_flag(&flag, cmd, arg);

    return error != NULL ? error : ap_set_flag_slot(cmd, confv, flag);
}

static const char *set_enabled(cmd_parms *cmd, void *confv, const char *arg)
{
    ha_conf_t *conf = confv;
    const char *error = take_flag(&conf->enabled, cmd, arg);

    if (error == NULL && conf->enabled) {
        session_server_of(cmd->server)->is_used = 1;
    }
    return error;
}

/* What one scope contradicts is said at its own line. */
static const char *check_same_site(const cmd_parms *cmd,
                                   const ha_conf_t *conf)
{
    if (ha_conf_is_contradictory(conf)) {
        return apr_psprintf(cmd->pool, "%s: browsers refuse a cookie with "
                            "SameSite=None that is not Secure; "
                            "SessionHACookieSameSite None needs "
                            "SessionHACookieSecure On or Auto",
                            cmd->cmd->name);
    }
    return NULL;
}

static const char *set_same_site(cmd_parms *cmd, void *confv,
                                 const char *arg)
{
    static const char *const words[] = { "Lax", "Strict", "None", NULL };
    ha_conf_t *conf = confv;
    const char *error = take_choice(&conf->cookie_same_site, cmd, arg, words,
                                    "Lax, Strict or None");

    return error != NULL ? error : check_same_site(cmd, conf);
}

static const char *set_secure(cmd_parms *cmd, void *confv, const char *arg)
{
    static const char *const words[] = { "Off", "On", "Auto", NULL };
    ha_conf_t *conf = confv;
    const char *error = take_choice(&conf->cookie_secure, cmd, arg, words,
                                    "On, Off or Auto");

    return error != NULL ? error : check_same_site(cmd, conf);
}

static const char *set_policy(cmd_parms *cmd, void *confv, const char *arg)
{
    static const char *const words[] = { "fail", "anonymous", NULL };
    ha_conf_t *conf = confv;

    return take_choice(&conf->unknown_policy, cmd, arg, words,
                       "fail or anonymous");
}

static const char *set_save_policy(cmd_parms *cmd, void *confv,
                                   const char *arg)
{
    static const char *const words[] = { "serve", "fail", NULL };
    ha_conf_t *conf = confv;

    return take_choice(&conf->save_policy, cmd, arg, words, "serve or fail");
}

static const char *set_far_writes(cmd_parms *cmd, void *dummy,
                                  const char *arg)
{
    static const char *const words[] = { "sync", "async", NULL };
    session_server_t *server = session_server_of(cmd->server);
    const char *error = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    return error != NULL ? error
                         : take_choice(&server->conf.far_writes, cmd, arg,
                                       words, "sync or async");
}

static const char *set_cookie_name(cmd_parms *cmd, void *confv,
                                   const char *arg)
{
    ha_conf_t *conf = confv;

    if (!session_word_is_token(arg)) {
        return apr_psprintf(cmd->pool, "%s must be a token, without spaces, "
                            "'=', ';' or ',', not '%s'", cmd->cmd->name, arg);
    }
    if (strlen(arg) > HA_COOKIE_NAME_MAX) {
        return apr_psprintf(cmd->pool, "%s may have %d characters, not %d: "
                            "'%s'", cmd->cmd->name, HA_COOKIE_NAME_MAX,
                            (int)strlen(arg), arg);
    }
    conf->cookie_name = arg;
    return NULL;
}

static const char *set_cookie_path(cmd_parms *cmd, void *confv,
                                   const char *arg)
{
    ha_conf_t *conf = confv;

    if (!session_word_is_path(arg)) {
        return apr_psprintf(cmd->pool, "%s must begin with '/' and hold no "
                            "space, ';' or ',', not '%s'", cmd->cmd->name,
                            arg);
    }
    conf->cookie_path = arg;
    return NULL;
}

static const char *set_cookie_domain(cmd_parms *cmd, void *confv,
                                     const char *arg)
{
    ha_conf_t *conf = confv;

    if (!session_word_is_domain(arg)) {
        return apr_psprintf(cmd->pool, "%s must be a host name or None, not "
                            "'%s'", cmd->cmd->name, arg);
    }
    conf->cookie_domain = strcasecmp(arg, "None") == 0 ? "" : arg;
    return NULL;
}

/* The name of a header of ours, "" for none, at the offset in cmd->info. */
static const char *set_header(cmd_parms *cmd, void *confv, const char *arg)
{
    if (!session_word_is_token(arg)) {
        return apr_psprintf(cmd->pool, "%s must be a header's name or None, "
                            "not '%s'", cmd->cmd->name, arg);
    }
    if (session_word_is_protocol(arg)) {
        return apr_psprintf(cmd->pool, "%s cannot be '%s': HTTP itself needs "
                            "that header", cmd->cmd->name, arg);
    }
    return ap_set_string_slot(cmd, confv,
                              strcasecmp(arg, "None") == 0 ? "" : arg);
}

static const char *set_rotate_on(cmd_parms *cmd, void *confv, int argc,
                                 char *const argv[])
{
    ha_conf_t *conf = confv;
    const char *words = "";
    int i;

    for (i = 0; i < argc; i++) {
        if (*argv[i] == '\0' || strchr(argv[i], ' ') != NULL
            || (argc > 1 && strcasecmp(argv[i], "None") == 0)) {
            return apr_psprintf(cmd->pool, "%s must be names of attributes, "
                                "or None alone, not '%s'", cmd->cmd->name,
                                argv[i]);
        }
        words = apr_pstrcat(cmd->pool, words, i > 0 ? " " : "", argv[i],
                            NULL);
    }
    if (argc == 0) {
        return apr_psprintf(cmd->pool, "%s needs names of attributes, or "
                            "None", cmd->cmd->name);
    }
    conf->rotate_on = strcasecmp(words, "None") == 0 ? "" : words;
    return NULL;
}

static const char *set_rotate_grace(cmd_parms *cmd, void *confv,
                                    const char *arg)
{
    ha_conf_t *conf = confv;

    return take_interval(&conf->rotate_grace, cmd, arg, 0,
                         apr_time_from_sec(HA_ROTATE_GRACE_MAX_SEC),
                         "0 and 5m");
}

static const char *set_idle(cmd_parms *cmd, void *confv, const char *arg)
{
    ha_conf_t *conf = confv;

    return take_interval(&conf->idle, cmd, arg, IDLE_MIN, IDLE_MAX,
                         "1s and 365d");
}

static const char *set_lifetime(cmd_parms *cmd, void *confv, const char *arg)
{
    ha_conf_t *conf = confv;

    if (strcmp(arg, "0") == 0) {
        conf->lifetime = 0;
        return NULL;
    }
    return take_interval(&conf->lifetime, cmd, arg, IDLE_MIN, IDLE_MAX,
                         "1s and 365d, or 0 for no limit");
}

static const char *set_exclusive_wait(cmd_parms *cmd, void *confv,
                                      const char *arg)
{
    ha_conf_t *conf = confv;

    return take_interval(&conf->exclusive_wait, cmd, arg, 0,
                         HA_LOCK_WAIT_MAX_USEC, "0 and 60s");
}

#define IN_DIR (RSRC_CONF | ACCESS_CONF)

const command_rec session_cmds[] = {
    AP_INIT_TAKE_ARGV("SessionHAServer", set_server, NULL, RSRC_CONF,
        "a memcached: name=n address=host:port [zone=z] [weight=1-100]"),
    AP_INIT_TAKE1("SessionHASecretFile", set_secret_file, NULL, RSRC_CONF,
        "the file of secrets, one a line; the first signs, all verify"),
    AP_INIT_TAKE1("SessionHAEncryption", set_encryption, NULL, RSRC_CONF,
        "On, Off, or Migrate for On that still reads what is in clear "
        "(default Off)"),
    AP_INIT_TAKE1("SessionHAMemory", set_memory, NULL, RSRC_CONF,
        "bytes of shared memory for sessions without memcached "
        "(default 33554432)"),
    AP_INIT_TAKE1("SessionHAZone", set_zone, NULL, RSRC_CONF,
        "the zone that this web server is in, as SessionHAServer has it "
        "(default None)"),
    AP_INIT_TAKE1("SessionHAFarWrites", set_far_writes, NULL, RSRC_CONF,
        "sync or async, for copies in other zones than this server's "
        "(default sync)"),
    AP_INIT_TAKE1("SessionHARefillRate", set_refill_rate, NULL, RSRC_CONF,
        "sessions a second copied to nodes that come back, 0 for none "
        "(default 100)"),
    AP_INIT_TAKE1("SessionHAReplicas", set_replicas, NULL, RSRC_CONF,
        "copies kept of each session, 1 to 8 (default 2)"),
    AP_INIT_TAKE1("SessionHAWriteAcks", set_acks, NULL, RSRC_CONF,
        "copies that make a save good: one, majority, all or a number "
        "(default all)"),
    AP_INIT_TAKE1("SessionHATimeBudget", set_budget, NULL, RSRC_CONF,
        "time for all store work of one request (default 250ms)"),
    AP_INIT_TAKE1("SessionHA", set_enabled, NULL, IN_DIR,
        "On to keep mod_session's sessions here (default Off)"),
    AP_INIT_TAKE1("SessionHACookieName", set_cookie_name, NULL, IN_DIR,
        "the name of the session cookie (default HASESSION)"),
    AP_INIT_TAKE1("SessionHACookiePath", set_cookie_path, NULL, IN_DIR,
        "the path that the cookie is sent to (default /)"),
    AP_INIT_TAKE1("SessionHACookieDomain", set_cookie_domain, NULL, IN_DIR,
        "the domain that the cookie is sent to, None for this host alone "
        "(default None)"),
    AP_INIT_TAKE1("SessionHACookieSameSite", set_same_site, NULL, IN_DIR,
        "Lax, Strict or None (default Lax)"),
    AP_INIT_TAKE1("SessionHACookieSecure", set_secure, NULL, IN_DIR,
        "On, Off, or Auto for On over TLS (default Auto)"),
    AP_INIT_TAKE1("SessionHACookieHttpOnly", set_flag,
        OFFSET(cookie_http_only), IN_DIR,
        "On to hide the cookie from scripts (default On)"),
    AP_INIT_TAKE1("SessionHARequestHeader", set_header, OFFSET(request_header),
        IN_DIR,
        "the request header that brings the session to the application "
        "(default None)"),
    AP_INIT_TAKE1("SessionHADeltaHeader", set_header, OFFSET(delta_header),
        IN_DIR,
        "the response header in which the application sets and removes "
        "single attributes (default None)"),
    AP_INIT_TAKE1("SessionHAUnknownPolicy", set_policy, NULL, IN_DIR,
        "fail or anonymous, for when no node answers (default fail)"),
    AP_INIT_TAKE1("SessionHASaveFailurePolicy", set_save_policy, NULL, IN_DIR,
        "serve or fail, for when a session could not be saved (default "
        "serve)"),
    AP_INIT_TAKE1("SessionHACopiesHeader", set_header, OFFSET(copies_header),
        IN_DIR,
        "the response header that tells how many copies there are (default "
        "None)"),
    AP_INIT_TAKE1("SessionHAPerUser", set_flag, OFFSET(per_user),
        IN_DIR, "On for sessions that belong to the user who has logged in, "
        "not to a browser (default Off)"),
    AP_INIT_TAKE1("SessionHAExclusive", set_flag, OFFSET(exclusive),
        IN_DIR, "On for one request of a session at a time (default Off)"),
    AP_INIT_TAKE1("SessionHAExclusiveWait", set_exclusive_wait, NULL, IN_DIR,
        "how long a request waits for the one before it (default 5s)"),
    AP_INIT_TAKE1("SessionHAControlHeader", set_header, OFFSET(control_header),
        IN_DIR,
        "the response header in which the application asks for logout or "
        "rotate (default None)"),
    AP_INIT_TAKE_ARGV("SessionHARotateOn", set_rotate_on, NULL, IN_DIR,
        "names of attributes that say who is logged in, or None (default "
        "*-user)"),
    AP_INIT_TAKE1("SessionHARotateGrace", set_rotate_grace, NULL, IN_DIR,
        "how long an id that was rotated is followed, 0 for not at all "
        "(default 10s)"),
    AP_INIT_TAKE1("SessionHAIdleLimit", set_idle, NULL, IN_DIR,
        "how long a session may idle unless SessionMaxAge says so "
        "(default 30m)"),
    AP_INIT_TAKE1("SessionHALifetime", set_lifetime, NULL, IN_DIR,
        "how old a session may become, 0 for no limit (default 0)"),
    { NULL }
};
