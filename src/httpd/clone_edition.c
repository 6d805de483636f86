/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_edition.h"

#include <apr_strings.h>
#include <mod_proxy.h>

/* What mod_proxy has room for. */
static const char *check_seat(const clone_seat_t *seat, apr_pool_t *ptemp)
{
    unsigned int line = seat->server != NULL ? seat->server->line
                                             : seat->transport->line;

    /* The ClusterAddress, which is no server, has no route. */
    if (seat->server != NULL
        && strlen(seat->route) >= PROXY_WORKER_MAX_ROUTE_SIZE) {
        return apr_psprintf(ptemp, "%u: the CloneID of server %s is longer "
                            "than %d characters", line, seat->server->name,
                            PROXY_WORKER_MAX_ROUTE_SIZE - 1);
    }
    if (strlen(seat->transport->host) >= PROXY_RFC1035_HOSTNAME_SIZE) {
        return apr_psprintf(ptemp, "%u: the host name of a transport is "
                            "longer than %d characters", line,
                            PROXY_RFC1035_HOSTNAME_SIZE - 1);
    }
    return NULL;
}

static const char *add_side(clone_side_t **added, clone_edition_t *edition,
                            const clone_plugin_cluster_t *cluster,
                            int is_second, int is_https, apr_pool_t *ptemp)
{
    const char *name = apr_pstrcat(edition->pool, BALANCER_PREFIX,
                                   clone_seats_name(cluster, is_second,
                                                      edition->pool), NULL);
    const clone_side_t *other = clone_edition_named(edition, name);
    clone_side_t *side;
    int i;

    if (other != NULL) {
        return apr_psprintf(ptemp, "%u: the clusters in lines %u and %u would "
                            "both be %s; rename one", cluster->line,
                            other->cluster->line, cluster->line, name);
    }
    side = apr_palloc(edition->pool, sizeof(*side));
    side->cluster = cluster;
    side->name = name;
    side->seats = clone_seats_make(cluster, is_https, edition->pool);
    side->has_limits = 0;
    for (i = 0; i < side->seats->nelts; i++) {
        const clone_seat_t *seat =
            &((clone_seat_t *)(void *)side->seats->elts)[i];
        const char *error = check_seat(seat, ptemp);

        side->has_limits |= clone_seats_most(seat) > 0;
        if (error != NULL) {
            return error;
        }
    }
    *(const clone_side_t **)apr_array_push(edition->sides) = side;
    apr_hash_set(edition->named, name, APR_HASH_KEY_STRING, side);
    *added = side;
    return NULL;
}

static const char *add_cluster(clone_edition_t *edition, unsigned int i,
                               int has_tls, apr_pool_t *ptemp)
{
    const clone_plugin_cluster_t *cluster = &edition->plugin->cluster[i];
    const clone_plugin_transport_t *secure = clone_seats_needs_tls(cluster);
    clone_side_t *side = NULL;
    const char *error;

    if (secure != NULL && !has_tls) {
        return apr_psprintf(ptemp, "%u: cluster %s can be reached at the "
                            "https transport %s:%u only; say SSLProxyEngine "
                            "On, and SSLProxyCACertificateFile for the "
                            "certificates to trust", secure->line,
                            cluster->name, secure->host, secure->port);
    }
    error = add_side(&side, edition, cluster, 0, 0, ptemp);
    if (error != NULL) {
        return error;
    }
    edition->side_of[2 * i] = side;
    if (has_tls && clone_seats_is_split(cluster)) {
        error = add_side(&side, edition, cluster, 1, 1, ptemp);
    }
    edition->side_of[2 * i + 1] = side;
    return error;
}

static const char *error_text(const clone_findings_t *findings,
                              apr_pool_t *ptemp)
{
    const clone_finding_t *first = &findings->first_error;

    return first->line > 0 ? apr_psprintf(ptemp, "%u: %s", first->line,
                                          first->text)
                           : apr_pstrcat(ptemp, " ", first->text, NULL);
}

/* ---- what is read and does nothing -------------------------------------- */

typedef struct unused_t {
    clone_findings_t *findings;
    unsigned int line;
} unused_t;

static void note_unused(const unused_t *unused, int is_set, const char *what)
{
    if (is_set) {
        clone_findings_add(unused->findings, unused->line, CLONE_NOTE,
                           CLONE_FINDING_IGNORED, "%s", what);
    }
}

static void note_server(clone_findings_t *findings,
                        const clone_plugin_server_t *server)
{
    unused_t unused;

    unused.findings = findings;
    unused.line = server->line;
    note_unused(&unused, server->ws_io_timeout_sec > 0
                         && server->ws_idle_timeout_sec >= 0,
                "wsServerIOTimeout has no effect beside "
                "wsServerIdleTimeout");
    note_unused(&unused, server->io_timeout_sec == 0,
                "without a ServerIOTimeout, ProxyTimeout holds");
}

static void note_cluster(clone_findings_t *findings,
                         const clone_plugin_cluster_t *cluster)
{
    unused_t unused;
    unsigned int i;

    unused.findings = findings;
    unused.line = cluster->line;
    note_unused(&unused, !cluster->removes_special_headers,
                "RemoveSpecialHeaders has no effect, "
                "ProxyCloneHeaderRemoval has");
    for (i = 0; i < cluster->server_count; i++) {
        note_server(findings, &cluster->server[i]);
    }
}

static void note_file(clone_findings_t *findings, const clone_plugin_t *plugin)
{
    unused_t unused;
    unsigned int i;

    unused.findings = findings;
    unused.line = 0;
    note_unused(&unused, plugin->trusts_proxies,
                "TrustedProxyEnable has no effect, "
                "ProxyCloneTrustedProxy has");
    for (i = 0; i < plugin->cluster_count; i++) {
        note_cluster(findings, &plugin->cluster[i]);
    }
}

const char *clone_edition_make(clone_edition_t **edition,
                               clone_findings_t **findings, span_t text,
                               int has_tls, apr_pool_t *p, apr_pool_t *ptemp)
{
    clone_edition_t *made = apr_pcalloc(p, sizeof(*made));
    const char *error = NULL;
    unsigned int i;

    *edition = NULL;
    *findings = clone_findings_make(ptemp);
    if (clone_plugin_parse(&made->plugin, *findings, text, p, ptemp)
        != CLONE_FINDING_OK) {
        return error_text(*findings, ptemp);
    }
    made->pool = p;
    made->users = 1;
    made->match = clone_match_make(made->plugin, *findings, p);
    if (made->match == NULL) {
        return error_text(*findings, ptemp);
    }
    made->named = apr_hash_make(p);
    made->sides = apr_array_make(p, 2 * (int)made->plugin->cluster_count + 1,
                                 sizeof(clone_side_t *));
    made->side_of = apr_pcalloc(p, (2 * made->plugin->cluster_count + 1)
                                   * sizeof(*made->side_of));
    for (i = 0; error == NULL && i < made->plugin->cluster_count; i++) {
        error = add_cluster(made, i, has_tls, ptemp);
    }
    note_file(*findings, made->plugin);
    clone_findings_sort(*findings);
    *edition = error == NULL ? made : NULL;
    return error;
}

const clone_side_t *clone_edition_side(const clone_edition_t *edition,
                                       const clone_plugin_cluster_t *cluster,
                                       int is_https)
{
    apr_size_t i = (apr_size_t)(cluster - edition->plugin->cluster);

    return edition->side_of[2 * i + (is_https ? 1 : 0)];
}

const clone_side_t *clone_edition_named(const clone_edition_t *edition,
                                        const char *name)
{
    return apr_hash_get(edition->named, name, APR_HASH_KEY_STRING);
}
