/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_retry_conf.h"

static apr_int64_t set_or(apr_int64_t over, apr_int64_t base)
{
    return over != HA_UNSET ? over : base;
}

void clone_retry_conf_init(clone_retry_conf_t *conf)
{
    conf->replay = HA_UNSET;
    conf->replays = HA_UNSET;
    conf->statuses = HA_UNSET;
    conf->body_memory = HA_UNSET;
    conf->body_file = HA_UNSET;
    conf->failures = HA_UNSET;
    conf->budget = HA_UNSET;
    conf->budget_floor = HA_UNSET;
    conf->deadline = HA_UNSET;
    conf->timeout_replays = HA_UNSET;
}

void clone_retry_conf_merge(clone_retry_conf_t *conf,
                            const clone_retry_conf_t *base,
                            const clone_retry_conf_t *over)
{
    conf->replay = set_or(over->replay, base->replay);
    conf->replays = set_or(over->replays, base->replays);
    conf->statuses = set_or(over->statuses, base->statuses);
    conf->body_memory = set_or(over->body_memory, base->body_memory);
    conf->body_file = set_or(over->body_file, base->body_file);
    conf->failures = set_or(over->failures, base->failures);
    conf->budget = set_or(over->budget, base->budget);
    conf->budget_floor = set_or(over->budget_floor, base->budget_floor);
    conf->deadline = set_or(over->deadline, base->deadline);
    conf->timeout_replays = set_or(over->timeout_replays,
                                   base->timeout_replays);
}

void clone_retry_conf_fill(clone_retry_conf_t *conf)
{
    static const clone_retry_conf_t defaults = {
        CLONE_REPLAY_IDEMPOTENT, CLONE_REPLAYS_DEFAULT, 0,
        CLONE_BODY_MEMORY_DEFAULT, CLONE_BODY_FILE_DEFAULT,
        CLONE_FAILURES_DEFAULT, CLONE_BUDGET_PERCENT_DEFAULT,
        CLONE_BUDGET_FLOOR_DEFAULT, CLONE_DEADLINE_DEFAULT_USEC,
        CLONE_REPLAYS_MAX
    };

    clone_retry_conf_merge(conf, &defaults, conf);
}

apr_int64_t clone_status_bit(int status)
{
    switch (status) {
    case 429:
        return 1;
    case 500:
        return 2;
    case 502:
        return 4;
    case 503:
        return 8;
    case 504:
        return 16;
    default:
        return 0;
    }
}
