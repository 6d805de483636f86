/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_cmds.h"

#include <ap_expr.h>
#include <apr_cstr.h>
#include <apr_network_io.h>
#include <apr_strings.h>
#include <httpd.h>
#include <mod_proxy.h>

#include "clone_config_cmds.h"
#include "clone_cookie_words.h"
#include "clone_decision.h"
#include "clone_limit_cmds.h"
#include "clone_retry_cmds.h"
#include "clone_server.h"
#include "clone_sessions.h"
#include "ha_interval.h"

APLOG_USE_MODULE(proxy_balancer_clone);

static const char *refuse_section(cmd_parms *cmd, const ap_directive_t *section)
{
    return apr_psprintf(cmd->pool, "%s belongs in the server config, in a "
                        "virtual host or in <Proxy balancer://name>, not in "
                        "%s %s", cmd->cmd->name,
                        section != NULL ? section->directive : "a section",
                        section != NULL ? section->args : "");
}

/* The <Proxy> section around a directive, with <IfModule> in between or not. */
static const ap_directive_t *find_proxy_section(const ap_directive_t *at)
{
    while (at != NULL && apr_cstr_casecmp(at->directive, "<Proxy") != 0) {
        at = at->parent;
    }
    return at;
}

/* The balancer's name as mod_proxy keeps it: lower case, without a path. */
static char *balancer_name(apr_pool_t *p, const char *url)
{
    char *name = apr_pstrdup(p, url);
    char *slash = strchr(name + strlen(BALANCER_PREFIX), '/');

    if (slash != NULL) {
        *slash = '\0';
    }
    ap_str_tolower(name);
    return name;
}

/*
 * The record that a directive here speaks of. mod_proxy keeps what stands in
 * <Proxy balancer://name> with the request; the router needs it at start, so
 * it is kept by name in the server's record.
 */
static const char *find_scope(clone_conf_t **conf, cmd_parms *cmd)
{
    clone_server_t *server = ap_get_module_config(
        cmd->server->module_config, &proxy_balancer_clone_module);
    const ap_directive_t *proxy;

    *conf = &server->conf->any;
    if (cmd->path == NULL) {
        return NULL;
    }
    proxy = find_proxy_section(cmd->directive->parent);
    if (proxy == NULL || proxy->args[strspn(proxy->args, " \t\"'")] == '~'
        || apr_cstr_casecmpn(cmd->path, BALANCER_PREFIX,
                             strlen(BALANCER_PREFIX)) != 0) {
        return refuse_section(cmd, cmd->directive->parent);
    }
    if (strpbrk(cmd->path, "*?[") != NULL) {
        return apr_psprintf(cmd->pool, "%s needs the name of one balancer "
                            "around it, not the pattern '%s'",
                            cmd->cmd->name, cmd->path);
    }
    *conf = clone_server_conf_named(server->conf,
                                    balancer_name(cmd->pool, cmd->path));
    return NULL;
}

const char *clone_cmds_scope(clone_conf_t **conf, cmd_parms *cmd)
{
    return find_scope(conf, cmd);
}

/* Not httpd's own flag: that one takes "On nonsense" for On. */
static const char *read_flag(int *flag, cmd_parms *cmd, const char *arg)
{
    if (apr_cstr_casecmp(arg, "on") != 0 && apr_cstr_casecmp(arg, "off") != 0) {
        return apr_psprintf(cmd->pool, "%s must be On or Off, not '%s'",
                            cmd->cmd->name, arg);
    }
    *flag = apr_cstr_casecmp(arg, "on") == 0;
    return NULL;
}

static const char *set_routing(cmd_parms *cmd, void *unused, const char *arg)
{
    clone_conf_t *conf;
    const char *error = find_scope(&conf, cmd);

    return error != NULL ? error : read_flag(&conf->routing, cmd, arg);
}

static const char *set_learn(cmd_parms *cmd, void *unused, const char *arg)
{
    clone_conf_t *conf;
    const char *error = find_scope(&conf, cmd);

    return error != NULL ? error : read_flag(&conf->learn, cmd, arg);
}

static clone_server_conf_t *server_conf(const cmd_parms *cmd)
{
    const clone_server_t *server = ap_get_module_config(
        cmd->server->module_config, &proxy_balancer_clone_module);

    return server->conf;
}

/* A number of the whole host, in the main server's record. */
static const char *take_number(int *number, cmd_parms *cmd, const char *arg,
                               int least, int most)
{
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    char *end;
    apr_int64_t n;

    if (error != NULL) {
        return error;
    }
    n = apr_strtoi64(arg, &end, 10);
    if (end == arg || *end != '\0' || n < least || n > most) {
        return apr_psprintf(cmd->pool, "%s must be between %d and %d, not "
                            "'%s'", cmd->cmd->name, least, most, arg);
    }
    *number = (int)n;
    return NULL;
}

static const char *set_learn_max(cmd_parms *cmd, void *unused,
                                 const char *arg)
{
    return take_number(&server_conf(cmd)->learn_max, cmd, arg,
                       CLONE_LEARN_MIN, CLONE_LEARN_MAX);
}

static const char *set_private_headers(cmd_parms *cmd, void *unused,
                                       const char *arg)
{
    clone_conf_t *conf;
    const char *error = find_scope(&conf, cmd);

    return error != NULL ? error : read_flag(&conf->private_headers, cmd, arg);
}

static const char *set_explain(cmd_parms *cmd, void *unused, const char *arg)
{
    clone_conf_t *conf;
    const char *error = find_scope(&conf, cmd);
    const ap_expr_info_t *condition;

    if (error != NULL) {
        return error;
    }
    if (apr_cstr_casecmp(arg, clone_decision_never) == 0) {
        conf->explain = clone_decision_never;
        return NULL;
    }
    if (apr_cstr_casecmp(arg, clone_decision_always) == 0) {
        conf->explain = clone_decision_always;
        return NULL;
    }
    condition = ap_expr_parse_cmd(cmd, arg, AP_EXPR_FLAG_DONT_VARY, &error,
                                  NULL);
    if (error != NULL) {
        return apr_psprintf(cmd->pool, "%s must be On, Off or an expression, "
                            "not '%s': %s", cmd->cmd->name, arg, error);
    }
    conf->explain = condition;
    return NULL;
}

static const char *set_removal(cmd_parms *cmd, void *unused, const char *arg)
{
    static const char *const words[] = { "routed", "all", "none" };
    int i;

    for (i = CLONE_REMOVAL_ROUTED; i <= CLONE_REMOVAL_NONE; i++) {
        if (apr_cstr_casecmp(arg, words[i]) == 0) {
            server_conf(cmd)->removal = i;
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "%s must be routed, all or none, not '%s'",
                        cmd->cmd->name, arg);
}

/* Whether a directive has other words than this one. */
static int has_more(const cmd_parms *cmd)
{
    const char *args = cmd->directive->args;

    (void)ap_getword_conf(cmd->temp_pool, &args);
    return *args != '\0';
}

static const char *add_trusted(cmd_parms *cmd, void *unused, const char *arg)
{
    clone_server_conf_t *conf = server_conf(cmd);
    apr_ipsubnet_t *net;
    char *address = apr_pstrdup(cmd->temp_pool, arg);
    char *bits = strchr(address, '/');

    if (conf->trusted == NULL) {
        conf->trusted = apr_array_make(cmd->pool, 4, sizeof(apr_ipsubnet_t *));
    }
    if (apr_cstr_casecmp(arg, "none") == 0) {
        if (has_more(cmd)) {
            return apr_psprintf(cmd->pool, "%s None takes nothing else, not "
                                "'%s'", cmd->cmd->name, cmd->directive->args);
        }
        apr_array_clear(conf->trusted);
        return NULL;
    }
    if (bits != NULL) {
        *bits++ = '\0';
    }
    if (apr_ipsubnet_create(&net, address, bits, cmd->pool) != APR_SUCCESS) {
        return apr_psprintf(cmd->pool, "%s must be addresses, with or without "
                            "/bits, or None, not '%s'", cmd->cmd->name, arg);
    }
    APR_ARRAY_PUSH(conf->trusted, apr_ipsubnet_t *) = net;
    return NULL;
}

/* ---- live sessions and drains ------------------------------------------- */

#define IDLE_LEAST apr_time_from_sec(1)
#define IDLE_MOST apr_time_from_sec(CLONE_SESSION_IDLE_MAX)

static const char *take_interval(apr_interval_time_t *interval,
                                 const cmd_parms *cmd, const char *arg,
                                 apr_interval_time_t least)
{
    if (ha_interval_parse(interval, arg) != HA_INTERVAL_OK
        || *interval < least || *interval > IDLE_MOST) {
        return apr_psprintf(cmd->pool, "%s must be between %s and 10d, with a "
                            "unit (ms, s, m, h, d; default s), not '%s'",
                            cmd->cmd->name, least > 0 ? "1s" : "0", arg);
    }
    return NULL;
}

static const char *set_session_idle(cmd_parms *cmd, void *unused,
                                    const char *arg)
{
    clone_conf_t *conf;
    apr_interval_time_t idle = 0;
    const char *error = find_scope(&conf, cmd);

    if (error == NULL) {
        error = take_interval(&idle, cmd, arg, IDLE_LEAST);
    }
    if (error == NULL) {
        conf->session_idle_sec = (int)apr_time_sec(idle);
    }
    return error;
}

static const char *set_drain_deadline(cmd_parms *cmd, void *unused,
                                      const char *arg, const char *within)
{
    clone_conf_t *conf;
    apr_interval_time_t deadline = 0;
    apr_interval_time_t spread = 0;
    const char *error = find_scope(&conf, cmd);


    if (error != NULL) {
        return error;
    }
    if (within == NULL && apr_cstr_casecmp(arg, "none") == 0) {
        conf->drain_deadline_msec = CLONE_NEVER;
        return NULL;
    }
    error = take_interval(&deadline, cmd, arg, 0);
    if (error == NULL && within != NULL) {
        error = take_interval(&spread, cmd, within, 0);
    }
    if (error == NULL) {
        conf->drain_deadline_msec = (int)apr_time_as_msec(deadline);
        conf->drain_within_msec = within != NULL
                                      ? (int)apr_time_as_msec(spread)
                                      : HA_UNSET;
    }
    return error;
}

static const char *set_sessions(cmd_parms *cmd, void *unused, const char *arg)
{
    return take_number(&server_conf(cmd)->sessions, cmd, arg,
                       CLONE_SESSIONS_LEAST, CLONE_SESSIONS_MAX);
}

static const char *set_state_dir(cmd_parms *cmd, void *unused,
                                 const char *arg)
{
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (error == NULL) {
        server_conf(cmd)->state_dir = arg;
    }
    return error;
}

static const char *refuse_both(cmd_parms *cmd)
{
    return apr_psprintf(cmd->pool, "%s says what ProxyCloneProfile or "
                        "ProxyCloneFormat has said here before; take one of "
                        "them away", cmd->cmd->name);
}

static const char *set_profile(cmd_parms *cmd, void *unused, const char *arg)
{
    clone_conf_t *conf;
    clone_profile_e profile;
    const char *error = find_scope(&conf, cmd);
    const char *words = "";
    int i;

    if (error != NULL) {
        return error;
    }
    if (conf->profile == CLONE_PROFILE_FREE) {
        return refuse_both(cmd);
    }
    if (clone_profile_parse(&profile, arg)) {
        conf->profile = profile;
        return NULL;
    }
    for (i = 0; i < CLONE_PROFILES; i++) {
        words = apr_pstrcat(cmd->pool, words, i == 0 ? "" : ", ",
                            clone_profile_name((clone_profile_e)i), NULL);
    }
    return apr_psprintf(cmd->pool, "%s must be one of %s, not '%s'",
                        cmd->cmd->name, words, arg);
}

/* What one of words of the form name=value says again, or NULL. */
static const char *refuse_twice(cmd_parms *cmd, int argc, char *const argv[])
{
    int i;
    int k;

    for (i = 1; i < argc; i++) {
        apr_size_t len = strcspn(argv[i], "=") + 1;

        for (k = 0; k < i; k++) {
            if (apr_cstr_casecmpn(argv[i], argv[k], len) == 0) {
                return apr_psprintf(cmd->pool, "%s: %.*s is there twice, the "
                                    "second is '%s'", cmd->cmd->name,
                                    (int)len, argv[i], argv[i]);
            }
        }
    }
    return NULL;
}

static const char *set_format(cmd_parms *cmd, void *unused, int argc,
                              char *const argv[])
{
    clone_conf_t *conf;
    clone_format_t format;
    clone_format_e fault = CLONE_FORMAT_OK;
    const char *error = find_scope(&conf, cmd);
    int i;

    if (error != NULL) {
        return error;
    }
    if (conf->profile != HA_UNSET) {
        return refuse_both(cmd);
    }
    clone_format_init(&format);
    for (i = 0; i < argc; i++) {
        fault = clone_format_set(&format, argv[i]);
        if (fault != CLONE_FORMAT_OK) {
            return apr_psprintf(cmd->pool, "%s: %s, not '%s'",
                                cmd->cmd->name, clone_format_name(fault),
                                argv[i]);
        }
    }
    fault = clone_format_finish(&format);
    if (fault != CLONE_FORMAT_OK) {
        return apr_psprintf(cmd->pool, "%s: %s", cmd->cmd->name,
                            clone_format_name(fault));
    }
    error = refuse_twice(cmd, argc, argv);
    if (error != NULL) {
        return error;
    }
    conf->profile = CLONE_PROFILE_FREE;
    conf->format = format;
    return NULL;
}

static const char *set_cookie(cmd_parms *cmd, void *unused, int argc,
                              char *const argv[])
{
    clone_conf_t *conf;
    clone_cookie_conf_t *cookie;
    clone_cookie_word_e fault;
    const char *error = find_scope(&conf, cmd);
    int i = 0;

    if (error != NULL) {
        return error;
    }
    cookie = apr_pcalloc(cmd->pool, sizeof(*cookie));
    fault = clone_cookie_word_init(cookie, argc > 0 ? argv[0] : "");
    while (fault == CLONE_COOKIE_WORD_OK && ++i < argc) {
        fault = clone_cookie_word_set(cookie, argv[i]);
    }
    if (fault != CLONE_COOKIE_WORD_OK) {
        return apr_psprintf(cmd->pool, "%s %s, not '%s'", cmd->cmd->name,
                            clone_cookie_word_name(fault),
                            argc > 0 ? argv[i] : "");
    }
    conf->cookie = cookie;
    return NULL;
}

static const char *set_secret_file(cmd_parms *cmd, void *unused,
                                   const char *arg)
{
    clone_server_t *server = ap_get_module_config(
        cmd->server->module_config, &proxy_balancer_clone_module);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (error != NULL) {
        return error;
    }
    server->conf->secret_file = ap_server_root_relative(cmd->pool, arg);
    return server->conf->secret_file != NULL
               ? NULL : apr_psprintf(cmd->pool, "%s: '%s' is no path",
                                     cmd->cmd->name, arg);
}

/* mod_proxy opens <Proxy> for both kinds of context. */
#define ANYWHERE (RSRC_CONF | ACCESS_CONF)

#define NUMBER(name) (void *)&clone_retry_##name

const command_rec clone_cmds[] = {
    AP_INIT_TAKE1("ProxyCloneRouting", set_routing, NULL, ANYWHERE,
                  "On to follow the clone ids of a session, Off to leave the "
                  "balancer as it is (default Off)"),
    AP_INIT_TAKE1("ProxyCloneSessionIdle", set_session_idle, NULL, ANYWHERE,
                  "time after which the application servers end an idle "
                  "session, 1s to 10d (default 30m)"),
    AP_INIT_TAKE12("ProxyCloneDrainDeadline", set_drain_deadline, NULL,
                   ANYWHERE,
                   "None, or the time after which sessions leave a member "
                   "that drains, the idle ones first, and the time over which "
                   "they do (default None)"),
    AP_INIT_TAKE1("ProxyCloneSessions", set_sessions, NULL, RSRC_CONF,
                  "live sessions that are counted exactly (default 100000)"),
    AP_INIT_TAKE1("ProxyCloneStateDir", set_state_dir, NULL, RSRC_CONF,
                  "directory for what outlives a stop: members taken out "
                  "(default proxy_clone in DefaultRuntimeDir)"),
    AP_INIT_TAKE1("ProxyCloneProfile", set_profile, NULL, ANYWHERE,
                  "how the application servers write clone ids: websphere, "
                  "websphere-plus, tomcat, jetty, wildfly, wildfly-ranked, "
                  "weblogic or spring (default websphere)"),
    AP_INIT_TAKE_ARGV("ProxyCloneFormat", set_format, NULL, ANYWHERE,
                      "how clone ids are written where no profile fits: "
                      "separator=CHARACTERS [position=first|last] "
                      "[list=yes|no] [decode=none|percent|base64] "
                      "[skip=NUMBER]"),
    AP_INIT_TAKE1("ProxyCloneLearn", set_learn, NULL, ANYWHERE,
                  "On to send clone ids that no member has to the member that "
                  "has issued them, Off to forget them (default On)"),
    AP_INIT_TAKE1("ProxyCloneLearnMax", set_learn_max, NULL, RSRC_CONF,
                  "clone ids that are remembered for all balancers, 64 to "
                  "1048576 (default 4096)"),
    AP_INIT_TAKE1("ProxyCloneExplain", set_explain, NULL, ANYWHERE,
                  "On, Off or an expression: for which requests the decision "
                  "is told as JSON (default Off)"),
    AP_INIT_TAKE1("ProxyClonePrivateHeaders", set_private_headers, NULL,
                  ANYWHERE,
                  "On to tell members in $WS headers who the client is "
                  "(default Off)"),
    AP_INIT_TAKE1("ProxyCloneHeaderRemoval", set_removal, NULL, RSRC_CONF,
                  "routed, all or none: from which proxied requests such "
                  "headers of clients are removed (default routed)"),
    AP_INIT_ITERATE("ProxyCloneTrustedProxy", add_trusted, NULL, RSRC_CONF,
                    "addresses of proxies whose $WS headers are believed, "
                    "10.0.0.1 or 10.0.0.0/8, or None (default None)"),
    AP_INIT_TAKE1("ProxyCloneConfig", clone_config_set_file, NULL, RSRC_CONF,
                  "the plugin-cfg.xml of WebSphere or Liberty whose hosts, "
                  "paths, clusters and servers are to be served"),
    AP_INIT_TAKE12("ProxyCloneConfigReserve", clone_config_set_reserve, NULL,
                   RSRC_CONF,
                   "how many members of each cluster, and how many clusters, "
                   "may come while the server runs (default 8 2)"),
    AP_INIT_TAKE_ARGV("ProxyCloneCookie", set_cookie, NULL, ANYWHERE,
                      "Off, or the name of a cookie in which the router keeps "
                      "the clone, and path=PATH, domain=HOST, "
                      "samesite=Lax|Strict|None, secure=auto|on (default "
                      "Off)"),
    AP_INIT_TAKE1("ProxyCloneCookieSecretFile", set_secret_file, NULL,
                  RSRC_CONF,
                  "a file of secrets, one a line, that sign the router's "
                  "cookie: the first signs, all verify"),
    AP_INIT_TAKE12("ProxyCloneReplay", clone_retry_set_replay, NULL, ANYWHERE,
                   "which requests are sent again after a member may have "
                   "executed them, never, idempotent or always, and how often "
                   "(default idempotent 1)"),
    AP_INIT_TAKE_ARGV("ProxyCloneRetryStatus", clone_retry_set_statuses, NULL,
                      ANYWHERE,
                      "statuses of answers for which another member is asked, "
                      "of 429, 500, 502, 503 and 504, or none (default none)"),
    AP_INIT_TAKE1("ProxyCloneBodyMemory", clone_retry_set_number,
                  NUMBER(body_memory), ANYWHERE, "bytes of a body held in "
                  "memory, for requests that may be sent again (default "
                  "65536)"),
    AP_INIT_TAKE1("ProxyCloneBodyFile", clone_retry_set_number,
                  NUMBER(body_file), ANYWHERE, "bytes of a body held at all, "
                  "above ProxyCloneBodyMemory in a temporary file (default "
                  "1048576)"),
    AP_INIT_TAKE1("ProxyCloneFailures", clone_retry_set_number,
                  NUMBER(failures), ANYWHERE, "failures in a row after which "
                  "a member is down (default 3)"),
    AP_INIT_TAKE12("ProxyCloneRetryBudget", clone_retry_set_budget, NULL,
                   ANYWHERE, "percent of a balancer's requests that are sent "
                   "again at most, and so many a second in any case (default "
                   "20 3)"),
    AP_INIT_TAKE1("ProxyCloneDeadline", clone_retry_set_deadline, NULL,
                  ANYWHERE, "time after which a request is not tried again, "
                  "100ms to 1h (default 90s)"),
    AP_INIT_TAKE_ARGV("ProxyCloneMaxInFlight", clone_limit_set_most, NULL,
                      ANYWHERE, "Off, or requests that a member may have at a "
                      "time, and queue=NUMBER that wait for it for "
                      "wait=INTERVAL, if they have a session (default Off)"),
    AP_INIT_TAKE1("ProxyCloneSlowStart", clone_limit_set_slow_start, NULL,
                  ANYWHERE, "Off, or the time over which a member that is "
                  "back gets more and more new sessions, 1s to 1h (default "
                  "Off)"),
    { NULL, { NULL }, NULL, 0, RAW_ARGS, NULL }
};

void *clone_cmds_create(apr_pool_t *p, server_rec *s)
{
    clone_server_t *server = apr_pcalloc(p, sizeof(*server));

    server->conf = clone_server_conf_make(p);
    return server;
}

void *clone_cmds_merge(apr_pool_t *p, void *base, void *over)
{
    const clone_server_t *main_server = base;
    const clone_server_t *host = over;
    clone_server_t *server = apr_pcalloc(p, sizeof(*server));

    server->conf = clone_server_conf_merge(main_server->conf, host->conf, p);
    server->config = main_server->config;
    return server;
}
