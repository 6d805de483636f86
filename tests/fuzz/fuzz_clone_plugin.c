/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin-cfg.xml of any bytes is read or refused with a reason; a record
 * that was read is whole, and every request finds a route of it or none.
 */
#include <stdint.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_pools.h>

#include "clone_lint.h"
#include "clone_match.h"
#include "clone_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

static void check_findings(const clone_findings_t *findings,
                           unsigned int lines)
{
    unsigned int i;

    demand(findings->list->nelts <= CLONE_FINDINGS_MAX);
    for (i = 0; i < (unsigned int)findings->list->nelts; i++) {
        const clone_finding_t *finding =
            &APR_ARRAY_IDX(findings->list, (int)i, clone_finding_t);
        span_t text = span_of_text(finding->text);

        demand(finding->line <= lines);
        demand(text.len > 0 && clone_text_utf8(text) == text.len);
        demand(memchr(text.data, '\n', text.len) == NULL);
        demand(memchr(text.data, '\x1b', text.len) == NULL);
    }
}

static void check_cluster(const clone_plugin_cluster_t *cluster)
{
    unsigned int i;

    demand(cluster->name != NULL && cluster->line > 0);
    demand(cluster->primary_count + cluster->backup_count
           <= cluster->server_count);
    for (i = 0; i < cluster->server_count; i++) {
        const clone_plugin_server_t *server = &cluster->server[i];

        demand(server->name != NULL && server->io_timeout_sec >= 0);
        demand(server->role == CLONE_PLUGIN_IDLE
               || server->transport_count > 0);
        demand((clone_plugin_transport(server, 1) != NULL)
               == (server->transport_count > 0));
    }
    for (i = 0; i < cluster->primary_count; i++) {
        demand(cluster->primary[i]->role == CLONE_PLUGIN_PRIMARY
               && cluster->primary[i]->rank == i);
    }
    for (i = 0; i < cluster->backup_count; i++) {
        demand(cluster->backup[i]->role == CLONE_PLUGIN_BACKUP
               && cluster->backup[i]->rank == i);
    }
}

/* A request made of what the file names finds at least that route's rank. */
static void check_match(const clone_plugin_t *plugin,
                        const clone_match_t *match)
{
    unsigned int i;

    for (i = 0; i < plugin->route_count && i < 50; i++) {
        const clone_plugin_route_t *route = &plugin->route[i];
        const char *host = "h";
        const char *path = "/x";
        clone_match_hit_t hit;
        unsigned int port = 80;

        demand(route->cluster != NULL);
        if ((route->vhosts != NULL && route->vhosts->count == 0)
            || (route->uris != NULL && route->uris->count == 0)) {
            continue;
        }
        if (route->vhosts != NULL) {
            const clone_plugin_vhost_t *vhost = &route->vhosts->vhost[0];

            host = vhost->host != NULL ? vhost->host : host;
            port = vhost->port > 0 ? vhost->port : port;
        }
        if (route->uris != NULL) {
            path = route->uris->uri[0].name;
        }
        /* A ';' in a pattern never matches. */
        demand(clone_match_find(&hit, match, span_of_text(host), port,
                                span_of_text(path))
               || strchr(path, ';') != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int is_ready;
    const clone_plugin_t *plugin;
    const clone_match_t *match;
    clone_findings_t *findings;
    unsigned int lines = 1;
    clone_match_hit_t hit;
    apr_pool_t *ptemp;
    apr_pool_t *p;
    size_t i;

    if (!is_ready) {
        demand(apr_initialize() == APR_SUCCESS);
        is_ready = 1;
    }
    for (i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    demand(apr_pool_create(&p, NULL) == APR_SUCCESS);
    demand(apr_pool_create(&ptemp, p) == APR_SUCCESS);
    findings = clone_findings_make(p);
    demand((clone_plugin_parse(&plugin, findings,
                               span_of((const char *)data, size), p, ptemp)
            == CLONE_FINDING_OK) == (plugin != NULL));
    apr_pool_destroy(ptemp);
    demand((plugin == NULL) == (findings->count[CLONE_ERROR] > 0));
    if (plugin != NULL) {
        for (i = 0; i < plugin->cluster_count; i++) {
            check_cluster(&plugin->cluster[i]);
        }
        clone_lint(plugin, findings, p);
        match = clone_match_make(plugin, findings, p);
        if (match != NULL) {
            check_match(plugin, match);
            (void)!clone_match_find(&hit, match, span_of_text("localhost"),
                                    80, span_of((const char *)data, size));
        }
    }
    check_findings(findings, lines);
    apr_pool_destroy(p);
    return 0;
}
