/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_lint.h"

#include <stdlib.h>

#include <apr_hash.h>

typedef struct lint_t {
    const clone_plugin_t *plugin;
    clone_findings_t *findings;
    apr_hash_t *used;     /* groups and clusters that a route names */
    apr_hash_t *keyrings; /* key databases that were mentioned already */
    apr_pool_t *ptemp;
} lint_t;

static const char *quote(const lint_t *lint, const char *text)
{
    return clone_findings_quote(lint->findings, span_of_text(text));
}

static void warn(lint_t *lint, unsigned int line, clone_finding_e kind,
                 const char *what, const char *name, const char *rest)
{
    clone_findings_add(lint->findings, line, CLONE_WARNING, kind,
                       "%s '%s'%s", what, quote(lint, name), rest);
}

/* ---- what is not used ---------------------------------------------------- */

static void use(lint_t *lint, const void *const *thing)
{
    apr_hash_set(lint->used, thing, sizeof(*thing), thing);
}

static int is_used(const lint_t *lint, const void *thing)
{
    return apr_hash_get(lint->used, &thing, sizeof(thing)) != NULL;
}

static void mark_used(lint_t *lint)
{
    const clone_plugin_t *plugin = lint->plugin;
    const void **things = apr_palloc(lint->ptemp, (plugin->route_count + 1)
                                                  * 3 * sizeof(*things));
    unsigned int i;

    for (i = 0; i < plugin->route_count; i++) {
        things[3 * i] = plugin->route[i].vhosts;
        things[3 * i + 1] = plugin->route[i].uris;
        things[3 * i + 2] = plugin->route[i].cluster;
        use(lint, &things[3 * i]);
        use(lint, &things[3 * i + 1]);
        use(lint, &things[3 * i + 2]);
    }
}

static void check_groups(lint_t *lint)
{
    const clone_plugin_t *plugin = lint->plugin;
    unsigned int i;

    for (i = 0; i < plugin->vhosts_count; i++) {
        const clone_plugin_vhosts_t *group = &plugin->vhosts[i];

        if (!is_used(lint, group)) {
            warn(lint, group->line, CLONE_FINDING_UNUSED,
                 "no Route uses VirtualHostGroup", group->name,
                 "");
        }
        else if (group->count == 0) {
            warn(lint, group->line, CLONE_FINDING_UNUSED,
                 "VirtualHostGroup", group->name,
                 " is empty: its routes match nothing");
        }
    }
    for (i = 0; i < plugin->uris_count; i++) {
        const clone_plugin_uris_t *group = &plugin->uris[i];

        if (!is_used(lint, group)) {
            warn(lint, group->line, CLONE_FINDING_UNUSED,
                 "no Route uses UriGroup", group->name,
                 "");
        }
        else if (group->count == 0) {
            warn(lint, group->line, CLONE_FINDING_UNUSED,
                 "UriGroup", group->name,
                 " is empty: its routes match nothing");
        }
    }
}

/* ---- clone ids ----------------------------------------------------------- */

static int compare_ids(const void *left, const void *right)
{
    const clone_plugin_server_t *const *a = left;
    const clone_plugin_server_t *const *b = right;
    int order = strcmp((*a)->clone_id, (*b)->clone_id);

    return order != 0 ? order : (*a > *b) - (*a < *b);
}

/* In order, what an id begins stands right behind it. */
static void check_two_ids(lint_t *lint, const clone_plugin_server_t *a,
                          const clone_plugin_server_t *b)
{
    if (strcmp(a->clone_id, b->clone_id) == 0) {
        clone_findings_add(lint->findings, b->line, CLONE_WARNING,
                           CLONE_FINDING_DUPLICATE, "CloneID '%s' is that of "
                           "line %u, too: sessions go to the first one",
                           quote(lint, b->clone_id), a->line);
    }
    else if (strncmp(a->clone_id, b->clone_id, strlen(a->clone_id)) == 0) {
        clone_findings_add(lint->findings, a->line, CLONE_WARNING,
                           CLONE_FINDING_DANGEROUS, "CloneID '%s' begins "
                           "CloneID '%s' of line %u: WebSphere takes one for "
                           "the other in its own cookies",
                           quote(lint, a->clone_id),
                           quote(lint, b->clone_id), b->line);
    }
}

static void check_ids(lint_t *lint, const clone_plugin_cluster_t *cluster)
{
    const clone_plugin_server_t **servers = apr_palloc(
        lint->ptemp, (cluster->server_count + 1) * sizeof(*servers));
    unsigned int count = 0;
    unsigned int i;

    for (i = 0; i < cluster->server_count; i++) {
        const clone_plugin_server_t *server = &cluster->server[i];

        if (server->clone_id == NULL) {
            continue;
        }
        servers[count++] = server;
        if (strchr(server->clone_id,
                   cluster->is_plus_separated ? '+' : ':') != NULL) {
            warn(lint, server->line, CLONE_FINDING_DANGEROUS,
                 "CloneID", server->clone_id,
                 " holds the byte that separates clone ids");
        }
    }
    qsort(servers, count, sizeof(*servers), compare_ids);
    for (i = 1; i < count; i++) {
        check_two_ids(lint, servers[i - 1], servers[i]);
    }
    for (i = 0; i < cluster->server_count && cluster->server_count > 1; i++) {
        if (cluster->server[i].clone_id == NULL) {
            warn(lint, cluster->server[i].line, CLONE_FINDING_DANGEROUS,
                 "Server", cluster->server[i].name,
                 " has no CloneID: sessions do not stay with it");
        }
    }
}

/* ---- servers ------------------------------------------------------------- */

static void check_transport(lint_t *lint,
                            const clone_plugin_transport_t *transport)
{
    if (!transport->is_https) {
        return;
    }
    if (transport->keyring == NULL) {
        clone_findings_add(lint->findings, transport->line, CLONE_WARNING,
                           CLONE_FINDING_DANGEROUS, "https to %s:%u without "
                           "a keyring: the file says nothing of whom to trust",
                           quote(lint, transport->host), transport->port);
    }
    else if (apr_hash_get(lint->keyrings, transport->keyring,
                          APR_HASH_KEY_STRING) == NULL) {
        apr_hash_set(lint->keyrings, transport->keyring, APR_HASH_KEY_STRING,
                     transport);
        clone_findings_add(lint->findings, transport->line, CLONE_NOTE,
                           CLONE_FINDING_IGNORED, "key database '%s' cannot "
                           "be read by httpd: certificates come from PEM "
                           "files that its configuration names",
                           quote(lint, transport->keyring));
    }
}

static void check_server(lint_t *lint, const clone_plugin_server_t *server)
{
    unsigned int i;

    for (i = 0; i < server->transport_count; i++) {
        check_transport(lint, &server->transport[i]);
    }
    if (server->role == CLONE_PLUGIN_IDLE && server->transport_count > 0) {
        warn(lint, server->line, CLONE_FINDING_UNUSED,
             "Server", server->name,
             " is in no list of its cluster and gets no requests");
    }
    if (server->weight == 0) {
        warn(lint, server->line, CLONE_FINDING_DANGEROUS,
             "Server", server->name,
             " has weight 0: it gets no new sessions");
    }
    if (server->io_timeout_downs) {
        warn(lint, server->line, CLONE_FINDING_DANGEROUS,
             "Server", server->name,
             " has a negative ServerIOTimeout: one slow page takes it down");
    }
    if (server->connect_timeout_sec == 0) {
        clone_findings_add(lint->findings, server->line, CLONE_NOTE,
                           CLONE_FINDING_DANGEROUS, "Server '%s' has "
                           "ConnectTimeout 0: a dead host is found out when "
                           "the system gives up, after minutes",
                           quote(lint, server->name));
    }
    if (server->extended_handshake) {
        clone_findings_add(lint->findings, server->line, CLONE_NOTE,
                           CLONE_FINDING_IGNORED,
                           "ExtendedHandshake has no effect");
    }
}

static int compare_addresses(const void *left, const void *right)
{
    const clone_plugin_transport_t *const *a = left;
    const clone_plugin_transport_t *const *b = right;
    int order = strcmp((*a)->host, (*b)->host);

    if (order == 0) {
        order = ((*a)->port > (*b)->port) - ((*a)->port < (*b)->port);
    }
    return order != 0 ? order : (*a > *b) - (*a < *b);
}

static void check_addresses(lint_t *lint,
                            const clone_plugin_cluster_t *cluster)
{
    const clone_plugin_transport_t **all;
    unsigned int count = 0;
    unsigned int i;
    unsigned int j;

    for (i = 0; i < cluster->server_count; i++) {
        count += cluster->server[i].transport_count;
    }
    all = apr_palloc(lint->ptemp, (count + 1) * sizeof(*all));
    count = 0;
    for (i = 0; i < cluster->server_count; i++) {
        for (j = 0; j < cluster->server[i].transport_count; j++) {
            all[count++] = &cluster->server[i].transport[j];
        }
    }
    qsort(all, count, sizeof(*all), compare_addresses);
    for (i = 1; i < count; i++) {
        if (all[i]->port == all[i - 1]->port
            && strcmp(all[i]->host, all[i - 1]->host) == 0) {
            clone_findings_add(lint->findings, all[i]->line, CLONE_WARNING,
                               CLONE_FINDING_DUPLICATE, "%s:%u is an address "
                               "of this cluster already, in line %u",
                               quote(lint, all[i]->host), all[i]->port,
                               all[i - 1]->line);
        }
    }
}

/* ---- clusters ------------------------------------------------------------ */

/*
 * With a negative ServerIOTimeout one slow page, tried on one server after
 * the other, takes each down. The first is to be back before the last goes:
 * RetryInterval <= (servers - 1) * timeout - 1.
 */
static void check_retry(lint_t *lint, const clone_plugin_cluster_t *cluster)
{
    apr_int64_t others = (apr_int64_t)cluster->primary_count - 1;
    apr_int64_t limit;
    int timeout = 0;
    unsigned int i;

    for (i = 0; i < cluster->primary_count; i++) {
        const clone_plugin_server_t *server = cluster->primary[i];

        if (server->io_timeout_downs
            && (timeout == 0 || server->io_timeout_sec < timeout)) {
            timeout = server->io_timeout_sec;
        }
    }
    limit = others * timeout - 1;
    if (timeout == 0 || cluster->retry_sec <= limit) {
        return;
    }
    clone_findings_add(lint->findings, cluster->line, CLONE_WARNING,
                       CLONE_FINDING_DANGEROUS, "ServerCluster '%s': with "
                       "ServerIOTimeout -%d on %u servers, one slow page can "
                       "have all of them down at once; RetryInterval %d "
                       "should be at most %" APR_INT64_T_FMT,
                       quote(lint, cluster->name), timeout,
                       cluster->primary_count, cluster->retry_sec,
                       limit > 0 ? limit : 0);
}

static void check_settings(lint_t *lint,
                           const clone_plugin_cluster_t *cluster)
{
    if (!cluster->removes_special_headers) {
        warn(lint, cluster->line, CLONE_FINDING_DANGEROUS,
             "ServerCluster", cluster->name,
             ": RemoveSpecialHeaders is false, so that clients can claim to "
             "be anybody by $WS headers");
    }
    if (cluster->post_limit >= 0) {
        clone_findings_add(lint->findings, cluster->line, CLONE_NOTE,
                           CLONE_FINDING_LENIENT, "PostSizeLimit is read as "
                           "%" APR_INT64_T_FMT " bytes",
                           cluster->post_limit);
    }
    if (cluster->gets_dwlm_table) {
        clone_findings_add(lint->findings, cluster->line, CLONE_NOTE,
                           CLONE_FINDING_IGNORED,
                           "GetDWLMTable has no effect");
    }
}

static void check_cluster(lint_t *lint, const clone_plugin_cluster_t *cluster)
{
    unsigned int i;

    if (!is_used(lint, cluster)) {
        warn(lint, cluster->line, CLONE_FINDING_UNUSED,
             "no Route uses ServerCluster", cluster->name,
             "");
    }
    if (cluster->primary_count + cluster->backup_count
        + cluster->address_count == 0) {
        warn(lint, cluster->line, CLONE_FINDING_DANGLING,
             "ServerCluster", cluster->name,
             " has no server that may get requests");
    }
    for (i = 0; i < cluster->server_count; i++) {
        check_server(lint, &cluster->server[i]);
    }
    for (i = 0; i < cluster->address_count; i++) {
        check_transport(lint, &cluster->address[i]);
    }
    check_ids(lint, cluster);
    check_addresses(lint, cluster);
    check_retry(lint, cluster);
    check_settings(lint, cluster);
}

void clone_lint(const clone_plugin_t *plugin, clone_findings_t *findings,
                apr_pool_t *ptemp)
{
    lint_t lint;
    unsigned int i;

    lint.plugin = plugin;
    lint.findings = findings;
    lint.used = apr_hash_make(ptemp);
    lint.keyrings = apr_hash_make(ptemp);
    lint.ptemp = ptemp;
    mark_used(&lint);
    check_groups(&lint);
    for (i = 0; i < plugin->cluster_count; i++) {
        check_cluster(&lint, &plugin->cluster[i]);
    }
    if (plugin->route_count == 0) {
        clone_findings_add(findings, 0, CLONE_WARNING, CLONE_FINDING_UNUSED,
                           "there is no Route: no request is served");
    }
    if (plugin->trusts_proxies != (plugin->trusted_proxy_count > 0)) {
        clone_findings_add(findings, 0, CLONE_NOTE, CLONE_FINDING_UNUSED,
                           plugin->trusts_proxies
                           ? "TrustedProxyEnable without any TrustedProxy"
                           : "TrustedProxy without TrustedProxyEnable: none "
                           "is trusted");
    }
    clone_findings_sort(findings);
}
