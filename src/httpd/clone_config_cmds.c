/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_config_cmds.h"

#include <apr_strings.h>

#include "clone_config.h"
#include "clone_server.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* The file's record, made with the first directive that speaks of it. */
static const char *find_config(clone_config_t **config, cmd_parms *cmd)
{
    clone_server_t *server = ap_get_module_config(
        cmd->server->module_config, &proxy_balancer_clone_module);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (error == NULL && server->config == NULL) {
        server->config = clone_config_make(cmd->pool);
    }
    *config = server->config;
    return error;
}

const char *clone_config_set_file(cmd_parms *cmd, void *unused,
                                  const char *arg)
{
    clone_config_t *config;
    const char *error = find_config(&config, cmd);

    if (error != NULL) {
        return error;
    }
    if (config->path != NULL) {
        return apr_psprintf(cmd->pool, "%s is said already, for %s",
                            cmd->cmd->name, config->path);
    }
    return clone_config_read(config, cmd, arg);
}

static const char *set_room(int *room, cmd_parms *cmd, const char *what,
                            const char *arg, int max)
{
    char *end;
    apr_int64_t n = apr_strtoi64(arg, &end, 10);

    if (end == arg || *end != '\0' || n < 0 || n > max) {
        return apr_psprintf(cmd->pool, "%s: the number of %s must be between "
                            "0 and %d, not '%s'", cmd->cmd->name, what, max,
                            arg);
    }
    *room = (int)n;
    return NULL;
}

const char *clone_config_set_reserve(cmd_parms *cmd, void *unused,
                                     const char *members,
                                     const char *clusters)
{
    clone_config_t *config;
    const char *error = find_config(&config, cmd);

    if (error == NULL) {
        error = set_room(&config->member_room, cmd, "members", members,
                         CLONE_CONFIG_MEMBER_ROOM_MAX);
    }
    if (error == NULL && clusters != NULL) {
        error = set_room(&config->cluster_room, cmd, "clusters", clusters,
                         CLONE_CONFIG_CLUSTER_ROOM_MAX);
    }
    return error;
}
