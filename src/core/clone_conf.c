/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_conf.h"

static int set_or(int over, int base)
{
    return over != HA_UNSET ? over : base;
}

void clone_conf_init(clone_conf_t *conf)
{
    conf->routing = HA_UNSET;
    conf->session_idle_sec = HA_UNSET;
    conf->drain_deadline_msec = HA_UNSET;
    conf->drain_within_msec = HA_UNSET;
    conf->profile = HA_UNSET;
    conf->learn = HA_UNSET;
    conf->cookie = NULL;
    clone_format_init(&conf->format);
    conf->explain = NULL;
    conf->private_headers = HA_UNSET;
    clone_retry_conf_init(&conf->retry);
    clone_limit_conf_init(&conf->limit);
}

void clone_conf_merge(clone_conf_t *conf, const clone_conf_t *base,
                      const clone_conf_t *over)
{
    conf->routing = set_or(over->routing, base->routing);
    conf->session_idle_sec = set_or(over->session_idle_sec,
                                    base->session_idle_sec);
    conf->drain_deadline_msec = set_or(over->drain_deadline_msec,
                                       base->drain_deadline_msec);
    conf->drain_within_msec = set_or(over->drain_within_msec,
                                     base->drain_within_msec);
    conf->format = over->profile != HA_UNSET ? over->format : base->format;
    conf->profile = set_or(over->profile, base->profile);
    conf->learn = set_or(over->learn, base->learn);
    conf->explain = over->explain != NULL ? over->explain : base->explain;
    conf->private_headers = set_or(over->private_headers,
                                   base->private_headers);
    conf->cookie = over->cookie != NULL ? over->cookie : base->cookie;
    clone_retry_conf_merge(&conf->retry, &base->retry, &over->retry);
    clone_limit_conf_merge(&conf->limit, &base->limit, &over->limit);
}

int clone_conf_routing(const clone_conf_t *conf)
{
    return set_or(conf->routing, 0);
}

unsigned int clone_conf_session_idle(const clone_conf_t *conf)
{
    return (unsigned int)set_or(conf->session_idle_sec, 30 * 60);
}

apr_interval_time_t clone_conf_drain_deadline(const clone_conf_t *conf)
{
    int msec = set_or(conf->drain_deadline_msec, CLONE_NEVER);

    return msec == CLONE_NEVER ? -1 : apr_time_from_msec(
        (apr_interval_time_t)msec);
}

apr_interval_time_t clone_conf_drain_within(const clone_conf_t *conf)
{
    return apr_time_from_msec(
        (apr_interval_time_t)set_or(conf->drain_within_msec, 5 * 60 * 1000));
}

unsigned int clone_server_conf_sessions(const clone_server_conf_t *conf)
{
    return (unsigned int)set_or(conf->sessions, CLONE_SESSIONS_DEFAULT);
}

clone_profile_e clone_conf_profile(const clone_conf_t *conf)
{
    return (clone_profile_e)set_or(conf->profile, CLONE_PROFILE_WEBSPHERE);
}

void clone_conf_format(clone_format_t *format, const clone_conf_t *conf)
{
    if (conf->profile == CLONE_PROFILE_FREE) {
        *format = conf->format;
    }
    else {
        clone_format_of(format, clone_conf_profile(conf));
    }
}

const clone_cookie_conf_t *clone_conf_cookie(const clone_conf_t *conf)
{
    return conf->cookie != NULL && conf->cookie->name != NULL ? conf->cookie
                                                              : NULL;
}

int clone_conf_learn(const clone_conf_t *conf)
{
    return set_or(conf->learn, 1);
}

unsigned int clone_server_conf_learn_max(const clone_server_conf_t *conf)
{
    return (unsigned int)set_or(conf->learn_max, CLONE_LEARN_DEFAULT);
}

int clone_conf_private_headers(const clone_conf_t *conf)
{
    return set_or(conf->private_headers, 0);
}

clone_removal_e clone_server_conf_removal(const clone_server_conf_t *conf)
{
    return (clone_removal_e)set_or(conf->removal, CLONE_REMOVAL_ROUTED);
}

clone_server_conf_t *clone_server_conf_make(apr_pool_t *p)
{
    clone_server_conf_t *conf = apr_palloc(p, sizeof(*conf));

    clone_conf_init(&conf->any);
    conf->sessions = HA_UNSET;
    conf->state_dir = NULL;
    conf->secret_file = NULL;
    conf->learn_max = HA_UNSET;
    conf->named = apr_array_make(p, 2, sizeof(clone_named_conf_t));
    conf->removal = HA_UNSET;
    conf->trusted = NULL;
    return conf;
}

static clone_named_conf_t *find_named(const clone_server_conf_t *conf,
                                      const char *name)
{
    clone_named_conf_t *named = (void *)conf->named->elts;
    int i;

    for (i = 0; i < conf->named->nelts; i++) {
        if (strcmp(named[i].name, name) == 0) {
            return &named[i];
        }
    }
    return NULL;
}

clone_conf_t *clone_server_conf_named(clone_server_conf_t *conf,
                                      const char *name)
{
    clone_named_conf_t *named = find_named(conf, name);

    if (named == NULL) {
        named = apr_array_push(conf->named);
        named->name = name;
        clone_conf_init(&named->conf);
    }
    return &named->conf;
}

/* Lay each named record of from over the one of the same name in conf. */
static void add_named(clone_server_conf_t *conf,
                      const clone_server_conf_t *from)
{
    const clone_named_conf_t *named = (const void *)from->named->elts;
    int i;

    for (i = 0; i < from->named->nelts; i++) {
        clone_conf_t *mine = clone_server_conf_named(conf, named[i].name);

        clone_conf_merge(mine, mine, &named[i].conf);
    }
}

clone_server_conf_t *clone_server_conf_merge(const clone_server_conf_t *base,
                                             const clone_server_conf_t *over,
                                             apr_pool_t *p)
{
    clone_server_conf_t *conf = clone_server_conf_make(p);

    clone_conf_merge(&conf->any, &base->any, &over->any);
    conf->sessions = set_or(over->sessions, base->sessions);
    conf->state_dir = over->state_dir != NULL ? over->state_dir
                                              : base->state_dir;
    conf->secret_file = over->secret_file != NULL ? over->secret_file
                                                  : base->secret_file;
    conf->learn_max = set_or(over->learn_max, base->learn_max);
    add_named(conf, base);
    add_named(conf, over);
    conf->removal = set_or(over->removal, base->removal);
    conf->trusted = over->trusted != NULL ? over->trusted : base->trusted;
    return conf;
}

int clone_server_conf_is_named(const clone_server_conf_t *conf,
                               const char *name)
{
    const clone_named_conf_t *named = find_named(conf, name);

    return named != NULL && named->conf.routing != HA_UNSET;
}

void clone_server_conf_of(clone_conf_t *effective,
                          const clone_server_conf_t *conf, const char *name)
{
    clone_server_conf_with(effective, conf, &conf->any, name);
}

void clone_server_conf_with(clone_conf_t *effective,
                            const clone_server_conf_t *conf,
                            const clone_conf_t *file, const char *name)
{
    const clone_named_conf_t *named = find_named(conf, name);

    clone_conf_merge(effective, &conf->any, file);
    if (named != NULL) {
        clone_conf_merge(effective, effective, &named->conf);
    }
}
