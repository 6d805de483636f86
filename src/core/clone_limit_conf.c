/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_limit_conf.h"

static apr_int64_t set_or(apr_int64_t over, apr_int64_t base)
{
    return over != HA_UNSET ? over : base;
}

void clone_limit_conf_init(clone_limit_conf_t *conf)
{
    conf->most = HA_UNSET;
    conf->queue = HA_UNSET;
    conf->wait = HA_UNSET;
    conf->slow_start = HA_UNSET;
    conf->by_member = HA_UNSET;
}

void clone_limit_conf_merge(clone_limit_conf_t *conf,
                            const clone_limit_conf_t *base,
                            const clone_limit_conf_t *over)
{
    conf->most = set_or(over->most, base->most);
    conf->queue = set_or(over->queue, base->queue);
    conf->wait = set_or(over->wait, base->wait);
    conf->slow_start = set_or(over->slow_start, base->slow_start);
    conf->by_member = set_or(over->by_member, base->by_member);
}

void clone_limit_conf_fill(clone_limit_conf_t *conf)
{
    static const clone_limit_conf_t defaults = {
        0, CLONE_QUEUE_DEFAULT, CLONE_WAIT_DEFAULT_USEC, 0, 0
    };

    clone_limit_conf_merge(conf, &defaults, conf);
}

apr_time_t clone_limit_end(const clone_limit_conf_t *conf, apr_time_t now,
                           apr_time_t deadline)
{
    apr_time_t end = now + conf->wait;

    return end < deadline ? end : deadline;
}

/* The upper bits of a product depend on all of the seed's. */
static apr_uint64_t scatter(apr_uint64_t seed)
{
    return seed * 0x9e3779b97f4a7c15u >> 32;
}

unsigned int clone_limit_share(const clone_limit_conf_t *conf,
                               apr_time_t back, apr_time_t now)
{
    apr_int64_t share;

    /* A clock that was set back does not begin it anew. */
    if (back == 0 || now < back || now - back >= conf->slow_start) {
        return CLONE_SHARE_WHOLE;
    }
    share = (now - back) * CLONE_SHARE_WHOLE / conf->slow_start;
    return share > CLONE_SHARE_MIN ? (unsigned int)share : CLONE_SHARE_MIN;
}

int clone_limit_draw(unsigned int share, apr_uint64_t seed)
{
    return scatter(seed) % CLONE_SHARE_WHOLE < share;
}

apr_interval_time_t clone_limit_pause(unsigned int round, apr_uint64_t seed)
{
    apr_interval_time_t usual = CLONE_PAUSE_MAX_USEC;

    if (round < 8 && (CLONE_PAUSE_MIN_USEC << round) < usual) {
        usual = CLONE_PAUSE_MIN_USEC << round;
    }
    return usual / 2 + (apr_interval_time_t)(scatter(seed)
                                             % (apr_uint64_t)usual);
}
