/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_conf.h"

#include <apr_time.h>

/* Seconds that a store's clock may round, and lag behind ours. */
#define TTL_SLACK_SEC 5

static int set_or(int over, int base)
{
    return over != HA_UNSET ? over : base;
}

static apr_interval_time_t time_or(apr_interval_time_t over,
                                   apr_interval_time_t base)
{
    return over != HA_UNSET ? over : base;
}

static const char *text_or(const char *over, const char *base)
{
    return over != NULL ? over : base;
}

void ha_conf_init(ha_conf_t *conf)
{
    conf->enabled = HA_UNSET;
    conf->cookie_name = NULL;
    conf->cookie_path = NULL;
    conf->cookie_domain = NULL;
    conf->cookie_same_site = HA_UNSET;
    conf->cookie_secure = HA_UNSET;
    conf->cookie_http_only = HA_UNSET;
    conf->request_header = NULL;
    conf->delta_header = NULL;
    conf->unknown_policy = HA_UNSET;
    conf->save_policy = HA_UNSET;
    conf->copies_header = NULL;
    conf->exclusive = HA_UNSET;
    conf->per_user = HA_UNSET;
    conf->exclusive_wait = HA_UNSET;
    conf->control_header = NULL;
    conf->rotate_on = NULL;
    conf->rotate_grace = HA_UNSET;
    conf->idle = HA_UNSET;
    conf->lifetime = HA_UNSET;
}

void ha_conf_merge(ha_conf_t *conf, const ha_conf_t *base,
                   const ha_conf_t *over)
{
    conf->enabled = set_or(over->enabled, base->enabled);
    conf->cookie_name = text_or(over->cookie_name, base->cookie_name);
    conf->cookie_path = text_or(over->cookie_path, base->cookie_path);
    conf->cookie_domain = text_or(over->cookie_domain, base->cookie_domain);
    conf->cookie_same_site = set_or(over->cookie_same_site,
                                    base->cookie_same_site);
    conf->cookie_secure = set_or(over->cookie_secure, base->cookie_secure);
    conf->cookie_http_only = set_or(over->cookie_http_only,
                                    base->cookie_http_only);
    conf->request_header = text_or(over->request_header,
                                   base->request_header);
    conf->delta_header = text_or(over->delta_header, base->delta_header);
    conf->unknown_policy = set_or(over->unknown_policy,
                                  base->unknown_policy);
    conf->save_policy = set_or(over->save_policy, base->save_policy);
    conf->copies_header = text_or(over->copies_header, base->copies_header);
    conf->exclusive = set_or(over->exclusive, base->exclusive);
    conf->per_user = set_or(over->per_user, base->per_user);
    conf->exclusive_wait = time_or(over->exclusive_wait,
                                   base->exclusive_wait);
    conf->control_header = text_or(over->control_header,
                                   base->control_header);
    conf->rotate_on = text_or(over->rotate_on, base->rotate_on);
    conf->rotate_grace = time_or(over->rotate_grace, base->rotate_grace);
    conf->idle = time_or(over->idle, base->idle);
    conf->lifetime = time_or(over->lifetime, base->lifetime);
}

void ha_server_conf_init(ha_server_conf_t *conf)
{
    conf->replicas = HA_UNSET;
    conf->acks = HA_UNSET;
    conf->budget = HA_UNSET;
    conf->far_writes = HA_UNSET;
}

void ha_server_conf_merge(ha_server_conf_t *conf,
                          const ha_server_conf_t *base,
                          const ha_server_conf_t *over)
{
    conf->replicas = set_or(over->replicas, base->replicas);
    conf->acks = set_or(over->acks, base->acks);
    conf->budget = time_or(over->budget, base->budget);
    conf->far_writes = set_or(over->far_writes, base->far_writes);
}

int ha_conf_enabled(const ha_conf_t *conf)
{
    return set_or(conf->enabled, 0);
}

const char *ha_conf_cookie_name(const ha_conf_t *conf)
{
    return text_or(conf->cookie_name, "HASESSION");
}

const char *ha_conf_cookie_path(const ha_conf_t *conf)
{
    return text_or(conf->cookie_path, "/");
}

static const char *text_or_none(const char *text)
{
    return text != NULL && *text != '\0' ? text : NULL;
}

const char *ha_conf_cookie_domain(const ha_conf_t *conf)
{
    return text_or_none(conf->cookie_domain);
}

ha_same_site_e ha_conf_cookie_same_site(const ha_conf_t *conf)
{
    return (ha_same_site_e)set_or(conf->cookie_same_site, HA_SAME_SITE_LAX);
}

ha_secure_e ha_conf_cookie_secure(const ha_conf_t *conf)
{
    return (ha_secure_e)set_or(conf->cookie_secure, HA_SECURE_AUTO);
}

int ha_conf_cookie_http_only(const ha_conf_t *conf)
{
    return set_or(conf->cookie_http_only, 1);
}

const char *ha_conf_request_header(const ha_conf_t *conf)
{
    return text_or_none(conf->request_header);
}

const char *ha_conf_delta_header(const ha_conf_t *conf)
{
    return text_or_none(conf->delta_header);
}

const char *ha_conf_control_header(const ha_conf_t *conf)
{
    return text_or_none(conf->control_header);
}

/* mod_auth_form keeps its user as <AuthName>-user. */
const char *ha_conf_rotate_on(const ha_conf_t *conf)
{
    return text_or_none(text_or(conf->rotate_on, "*-user"));
}

apr_interval_time_t ha_conf_rotate_grace(const ha_conf_t *conf)
{
    return time_or(conf->rotate_grace,
                   apr_time_from_sec(HA_ROTATE_GRACE_DEFAULT_SEC));
}

ha_policy_e ha_conf_unknown_policy(const ha_conf_t *conf)
{
    return (ha_policy_e)set_or(conf->unknown_policy, HA_POLICY_FAIL);
}

ha_save_policy_e ha_conf_save_policy(const ha_conf_t *conf)
{
    return (ha_save_policy_e)set_or(conf->save_policy, HA_SAVE_SERVE);
}

const char *ha_conf_copies_header(const ha_conf_t *conf)
{
    return text_or_none(conf->copies_header);
}

int ha_conf_exclusive(const ha_conf_t *conf)
{
    return set_or(conf->exclusive, 0);
}

int ha_conf_per_user(const ha_conf_t *conf)
{
    return set_or(conf->per_user, 0);
}

apr_interval_time_t ha_conf_exclusive_wait(const ha_conf_t *conf)
{
    return time_or(conf->exclusive_wait, HA_LOCK_WAIT_DEFAULT_USEC);
}

apr_uint32_t ha_conf_idle_sec(const ha_conf_t *conf)
{
    return (apr_uint32_t)apr_time_sec(
        time_or(conf->idle, apr_time_from_sec(HA_IDLE_DEFAULT_SEC)));
}

apr_uint32_t ha_conf_lifetime_sec(const ha_conf_t *conf)
{
    return (apr_uint32_t)apr_time_sec(time_or(conf->lifetime, 0));
}

unsigned int ha_server_conf_replicas(const ha_server_conf_t *conf,
                                     unsigned int nodes)
{
    unsigned int replicas =
        (unsigned int)set_or(conf->replicas, HA_REPLICAS_DEFAULT);

    return replicas < nodes ? replicas : nodes;
}

unsigned int ha_server_conf_acks(const ha_server_conf_t *conf,
                                 unsigned int replicas)
{
    unsigned int acks = (unsigned int)set_or(conf->acks, HA_ACKS_ALL);

    if (acks == HA_ACKS_MAJORITY) {
        return replicas / 2 + 1;
    }
    return acks < replicas ? acks : replicas;
}

apr_interval_time_t ha_server_conf_budget(const ha_server_conf_t *conf)
{
    return time_or(conf->budget, HA_BUDGET_DEFAULT_USEC);
}

ha_far_e ha_server_conf_far_writes(const ha_server_conf_t *conf)
{
    return (ha_far_e)set_or(conf->far_writes, HA_FAR_SYNC);
}

int ha_conf_is_contradictory(const ha_conf_t *conf)
{
    return ha_conf_cookie_same_site(conf) == HA_SAME_SITE_NONE
        && ha_conf_cookie_secure(conf) == HA_SECURE_OFF;
}

apr_uint32_t ha_conf_touch_sec(apr_uint32_t idle_sec)
{
    apr_uint32_t touch_sec = idle_sec / 10;

    if (touch_sec > HA_TOUCH_MAX_SEC) {
        return HA_TOUCH_MAX_SEC;
    }
    return touch_sec > 0 ? touch_sec : 1;
}

apr_uint32_t ha_conf_ttl_sec(apr_uint32_t idle_sec)
{
    return idle_sec + ha_conf_touch_sec(idle_sec) + TTL_SLACK_SEC;
}
