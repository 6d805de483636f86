/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_limit_cmds.h"

#include <apr_cstr.h>
#include <apr_strings.h>

#include "clone_cmds.h"
#include "clone_retry_cmds.h"
#include "ha_interval.h"

/* What follows a name and "=" at the front of a word, or NULL. */
static const char *value_of(const char *word, const char *name)
{
    apr_size_t len = strlen(name);

    return apr_cstr_casecmpn(word, name, len) == 0 && word[len] == '='
               ? word + len + 1 : NULL;
}

static const char *set_word(clone_limit_conf_t *limit, const cmd_parms *cmd,
                            const char *word)
{
    const char *queue = value_of(word, "queue");
    const char *wait = value_of(word, "wait");

    if (queue != NULL) {
        return clone_retry_take_number(&limit->queue, cmd, " queue=", queue,
                                       0, CLONE_QUEUE_MAX);
    }
    if (wait == NULL) {
        return apr_psprintf(cmd->pool, "%s takes queue= and wait= behind the "
                            "number, not '%s'", cmd->cmd->name, word);
    }
    if (ha_interval_parse(&limit->wait, wait) != HA_INTERVAL_OK
        || limit->wait > CLONE_WAIT_MAX_USEC) {
        return apr_psprintf(cmd->pool, "%s wait= must be between 0 and 1m, "
                            "with a unit (ms, s, m, h; default s), not '%s'",
                            cmd->cmd->name, wait);
    }
    return NULL;
}

/* All of it is said at one place: a number with another one's queue would
 * surprise. */
const char *clone_limit_set_most(cmd_parms *cmd, void *unused, int argc,
                                 char *const argv[])
{
    clone_conf_t *conf;
    clone_limit_conf_t limit;
    const char *error = clone_cmds_scope(&conf, cmd);
    int i;

    if (error == NULL && argc == 0) {
        error = apr_psprintf(cmd->pool, "%s needs a number, or Off",
                             cmd->cmd->name);
    }
    if (error != NULL) {
        return error;
    }
    clone_limit_conf_init(&limit);
    clone_limit_conf_fill(&limit);
    limit.slow_start = HA_UNSET;
    limit.by_member = 0;
    if (apr_cstr_casecmp(argv[0], "Off") == 0) {
        if (argc > 1) {
            error = apr_psprintf(cmd->pool, "%s Off takes nothing else, not "
                                 "'%s'", cmd->cmd->name, argv[1]);
        }
    }
    else {
        error = clone_retry_take_number(&limit.most, cmd, "", argv[0], 1,
                                        CLONE_IN_FLIGHT_MAX);
    }
    for (i = 1; error == NULL && i < argc; i++) {
        error = set_word(&limit, cmd, argv[i]);
    }
    if (error == NULL) {
        clone_limit_conf_merge(&conf->limit, &conf->limit, &limit);
    }
    return error;
}

const char *clone_limit_set_slow_start(cmd_parms *cmd, void *unused,
                                       const char *arg)
{
    clone_conf_t *conf;
    const char *error = clone_cmds_scope(&conf, cmd);
    apr_interval_time_t time = 0;

    if (error != NULL) {
        return error;
    }
    if (apr_cstr_casecmp(arg, "Off") != 0
        && (ha_interval_parse(&time, arg) != HA_INTERVAL_OK
            || time < CLONE_SLOW_START_MIN_USEC
            || time > CLONE_SLOW_START_MAX_USEC)) {
        return apr_psprintf(cmd->pool, "%s must be Off, or between 1s and 1h, "
                            "with a unit (ms, s, m, h; default s), not '%s'",
                            cmd->cmd->name, arg);
    }
    conf->limit.slow_start = time;
    return NULL;
}
