/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_retry_cmds.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "clone_cmds.h"
#include "ha_interval.h"

const char *clone_retry_take_number(apr_int64_t *number, const cmd_parms *cmd,
                                    const char *what, const char *arg,
                                    apr_int64_t least, apr_int64_t most)
{
    char *end;
    apr_int64_t n = apr_strtoi64(arg, &end, 10);

    if (!apr_isdigit(*arg) || *end != '\0' || n < least || n > most) {
        return apr_psprintf(cmd->pool, "%s%s must be between "
                            "%" APR_INT64_T_FMT " and %" APR_INT64_T_FMT
                            ", not '%s'", cmd->cmd->name, what, least, most,
                            arg);
    }
    *number = n;
    return NULL;
}

const char *clone_retry_set_replay(cmd_parms *cmd, void *unused,
                                   const char *word, const char *times)
{
    static const char *const words[] = { "never", "idempotent", "always" };
    clone_conf_t *conf;
    const char *error = clone_cmds_scope(&conf, cmd);
    apr_int64_t i = 0;

    if (error != NULL) {
        return error;
    }
    while (i < 3 && apr_cstr_casecmp(word, words[i]) != 0) {
        i++;
    }
    if (i == 3) {
        return apr_psprintf(cmd->pool, "%s must be never, idempotent or "
                            "always, not '%s'", cmd->cmd->name, word);
    }
    conf->retry.replay = i;
    if (i == 0 && times != NULL) {
        return apr_psprintf(cmd->pool, "%s never takes nothing else, not "
                            "'%s'", cmd->cmd->name, times);
    }
    return times == NULL ? NULL
         : clone_retry_take_number(&conf->retry.replays, cmd, ": times",
                                   times, 1, CLONE_REPLAYS_MAX);
}

const char *clone_retry_set_statuses(cmd_parms *cmd, void *unused, int argc,
                                     char *const argv[])
{
    clone_conf_t *conf;
    const char *error = clone_cmds_scope(&conf, cmd);
    apr_int64_t statuses = 0;
    int i;

    if (error != NULL) {
        return error;
    }
    if (argc == 0) {
        return apr_psprintf(cmd->pool, "%s needs a status, or none",
                            cmd->cmd->name);
    }
    if (argc > 1 && apr_cstr_casecmp(argv[0], "none") == 0) {
        return apr_psprintf(cmd->pool, "%s none takes nothing else, not '%s'",
                            cmd->cmd->name, argv[1]);
    }
    for (i = 0; i < argc; i++) {
        apr_int64_t bit = strlen(argv[i]) == 3
                        ? clone_status_bit(atoi(argv[i])) : 0;

        if (bit == 0 && !(argc == 1
                          && apr_cstr_casecmp(argv[0], "none") == 0)) {
            return apr_psprintf(cmd->pool, "%s must be none, or some of 429, "
                                "500, 502, 503 and 504, not '%s'",
                                cmd->cmd->name, argv[i]);
        }
        statuses |= bit;
    }
    conf->retry.statuses = statuses;
    return NULL;
}

#define NUMBER(name, least, most) \
    const clone_retry_number_t clone_retry_##name = { \
        APR_OFFSETOF(clone_retry_conf_t, name), least, most \
    }

NUMBER(body_memory, 0, CLONE_BODY_MEMORY_MAX);
NUMBER(body_file, 0, CLONE_BODY_FILE_MAX);
NUMBER(failures, 1, CLONE_FAILURES_MAX);

const char *clone_retry_set_number(cmd_parms *cmd, void *unused,
                                   const char *arg)
{
    const clone_retry_number_t *number = cmd->info;
    clone_conf_t *conf;
    const char *error = clone_cmds_scope(&conf, cmd);
    apr_int64_t *member;

    if (error != NULL) {
        return error;
    }
    member = (void *)((char *)&conf->retry + number->offset);
    return clone_retry_take_number(member, cmd, "", arg, number->least,
                                   number->most);
}

const char *clone_retry_set_budget(cmd_parms *cmd, void *unused,
                                   const char *percent, const char *floor)
{
    clone_conf_t *conf;
    const char *error = clone_cmds_scope(&conf, cmd);

    if (error == NULL) {
        error = clone_retry_take_number(&conf->retry.budget, cmd, ": percent",
                                        percent, 0, CLONE_BUDGET_PERCENT_MAX);
    }
    if (error == NULL && floor != NULL) {
        error = clone_retry_take_number(&conf->retry.budget_floor, cmd,
                                        ": requests a second", floor, 0,
                                        CLONE_BUDGET_FLOOR_MAX);
    }
    return error;
}

const char *clone_retry_set_deadline(cmd_parms *cmd, void *unused,
                                     const char *arg)
{
    clone_conf_t *conf;
    const char *error = clone_cmds_scope(&conf, cmd);
    apr_interval_time_t deadline;

    if (error != NULL) {
        return error;
    }
    if (ha_interval_parse(&deadline, arg) != HA_INTERVAL_OK
        || deadline < CLONE_DEADLINE_MIN_USEC
        || deadline > CLONE_DEADLINE_MAX_USEC) {
        return apr_psprintf(cmd->pool, "%s must be between 100ms and 1h, with "
                            "a unit (ms, s, m, h; default s), not '%s'",
                            cmd->cmd->name, arg);
    }
    conf->retry.deadline = deadline;
    return NULL;
}
