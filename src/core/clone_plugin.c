/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree is walked twice, for the file's parts name each other in any
 * order: groups and clusters first, then the routes that tie them together.
 *
 * Of two things of one name the first counts, as the second one's author may
 * have meant something else by it; to join them would send requests to
 * servers that the first one's author never heard of.
 */
#include "clone_plugin.h"

#include <stddef.h>

#include <apr_cstr.h>
#include <apr_hash.h>

#include "clone_attribute.h"
#include "clone_cluster.h"
#include "clone_group.h"
#include "clone_xml.h"

typedef struct reader_t {
    clone_plugin_t *plugin;
    clone_findings_t *findings;
    apr_pool_t *p;
    apr_pool_t *ptemp;
    apr_hash_t *vhosts; /* by name */
    apr_hash_t *uris;
    apr_hash_t *clusters;
    int marks_busy_down; /* for clusters that do not say */
} reader_t;

static const char *quote(const reader_t *reader, const char *text)
{
    return clone_findings_quote(reader->findings, span_of_text(text));
}

/* Refuse what has no name; leave out what has one that is taken. */
static int is_first(reader_t *reader, apr_hash_t *names,
                    const apr_xml_elem *elem, const char *name)
{
    unsigned int line = clone_xml_line(elem);

    if (name == NULL) {
        clone_findings_add(reader->findings, line, CLONE_ERROR,
                           CLONE_FINDING_MISSING, "%s has no Name",
                           quote(reader, elem->name));
        return 0;
    }
    if (apr_hash_get(names, name, APR_HASH_KEY_STRING) != NULL) {
        clone_findings_add(reader->findings, line, CLONE_WARNING,
                           CLONE_FINDING_DUPLICATE,
                           "%s '%s' is there already; the first one counts",
                           quote(reader, elem->name), quote(reader, name));
        return 0;
    }
    return 1;
}

/* ---- groups and clusters ------------------------------------------------ */

static const char *name_of(reader_t *reader, const apr_xml_elem *elem)
{
    static const clone_attribute_t table[] = {
        { "Name", CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL },
        { NULL, CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL }
    };
    const char *name = NULL;

    clone_attributes_read(&name, elem, table, reader->findings, reader->p);
    return name;
}

static void read_all_vhosts(reader_t *reader, const apr_xml_elem *root)
{
    clone_plugin_vhosts_t *groups = apr_pcalloc(
        reader->p, (clone_xml_count(root, "VirtualHostGroup") + 1)
                   * sizeof(*groups));
    unsigned int count = 0;
    const apr_xml_elem *elem;

    for (elem = root->first_child; elem != NULL; elem = elem->next) {
        clone_plugin_vhosts_t *group = &groups[count];

        if (clone_xml_is_named(elem, "VirtualHostGroup")) {
            group->name = name_of(reader, elem);
            group->line = clone_xml_line(elem);
            if (is_first(reader, reader->vhosts, elem, group->name)) {
                clone_group_read_vhosts(group, elem, reader->findings,
                                        reader->p, reader->ptemp);
                apr_hash_set(reader->vhosts, group->name,
                             APR_HASH_KEY_STRING, group);
                count++;
            }
        }
    }
    reader->plugin->vhosts = groups;
    reader->plugin->vhosts_count = count;
}

static void read_all_uris(reader_t *reader, const apr_xml_elem *root)
{
    clone_plugin_uris_t *groups = apr_pcalloc(
        reader->p, (clone_xml_count(root, "UriGroup") + 1) * sizeof(*groups));
    unsigned int count = 0;
    const apr_xml_elem *elem;

    for (elem = root->first_child; elem != NULL; elem = elem->next) {
        clone_plugin_uris_t *group = &groups[count];

        if (clone_xml_is_named(elem, "UriGroup")) {
            group->name = name_of(reader, elem);
            group->line = clone_xml_line(elem);
            if (is_first(reader, reader->uris, elem, group->name)) {
                clone_group_read_uris(group, elem, reader->findings,
                                      reader->p, reader->ptemp);
                apr_hash_set(reader->uris, group->name, APR_HASH_KEY_STRING,
                             group);
                count++;
            }
        }
    }
    reader->plugin->uris = groups;
    reader->plugin->uris_count = count;
}

static void read_all_clusters(reader_t *reader, const apr_xml_elem *root)
{
    clone_plugin_cluster_t *clusters = apr_pcalloc(
        reader->p, (clone_xml_count(root, "ServerCluster") + 1)
                   * sizeof(*clusters));
    unsigned int count = 0;
    const apr_xml_elem *elem;

    for (elem = root->first_child; elem != NULL; elem = elem->next) {
        clone_plugin_cluster_t *cluster = &clusters[count];

        if (clone_xml_is_named(elem, "ServerCluster")) {
            clone_cluster_read(cluster, elem, reader->marks_busy_down,
                               reader->findings, reader->p);
            if (is_first(reader, reader->clusters, elem, cluster->name)) {
                apr_hash_set(reader->clusters, cluster->name,
                             APR_HASH_KEY_STRING, cluster);
                count++;
            }
        }
    }
    reader->plugin->cluster = clusters;
    reader->plugin->cluster_count = count;
}

/* ---- Route --------------------------------------------------------------- */

typedef struct route_names_t {
    const char *vhosts;
    const char *uris;
    const char *cluster;
} route_names_t;

/* A group that is named must be there. */
static int resolve(reader_t *reader, const void **found, apr_hash_t *names,
                   unsigned int line, const char *what, const char *name)
{
    *found = NULL;
    if (name == NULL) {
        return 1;
    }
    *found = apr_hash_get(names, name, APR_HASH_KEY_STRING);
    if (*found == NULL) {
        clone_findings_add(reader->findings, line, CLONE_WARNING,
                           CLONE_FINDING_DANGLING, "Route is left out: there "
                           "is no %s '%s'", what, quote(reader, name));
        return 0;
    }
    return 1;
}

static int read_route(reader_t *reader, clone_plugin_route_t *route,
                      const apr_xml_elem *elem)
{
    static const clone_attribute_t table[] = {
        { "VirtualHostGroup", CLONE_ATTRIBUTE_TEXT,
          offsetof(route_names_t, vhosts), 0, 0, NULL },
        { "UriGroup", CLONE_ATTRIBUTE_TEXT,
          offsetof(route_names_t, uris), 0, 0, NULL },
        { "ServerCluster", CLONE_ATTRIBUTE_TEXT,
          offsetof(route_names_t, cluster), 0, 0, NULL },
        { NULL, CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL }
    };
    route_names_t names = { NULL, NULL, NULL };
    const void *vhosts;
    const void *uris;
    const void *cluster;

    route->line = clone_xml_line(elem);
    clone_attributes_read(&names, elem, table, reader->findings, reader->p);
    if (names.cluster == NULL) {
        clone_findings_add(reader->findings, route->line, CLONE_ERROR,
                           CLONE_FINDING_MISSING,
                           "Route names no ServerCluster");
        return 0;
    }
    if (!resolve(reader, &cluster, reader->clusters, route->line,
                 "ServerCluster", names.cluster)
        || !resolve(reader, &vhosts, reader->vhosts, route->line,
                    "VirtualHostGroup", names.vhosts)
        || !resolve(reader, &uris, reader->uris, route->line, "UriGroup",
                    names.uris)) {
        return 0;
    }
    route->cluster = cluster;
    route->vhosts = vhosts;
    route->uris = uris;
    return 1;
}

static void read_all_routes(reader_t *reader, const apr_xml_elem *root)
{
    clone_plugin_route_t *routes = apr_pcalloc(
        reader->p, (clone_xml_count(root, "Route") + 1) * sizeof(*routes));
    unsigned int count = 0;
    const apr_xml_elem *elem;

    for (elem = root->first_child; elem != NULL; elem = elem->next) {
        if (clone_xml_is_named(elem, "Route")) {
            count += (unsigned int)read_route(reader, &routes[count], elem);
        }
    }
    reader->plugin->route = routes;
    reader->plugin->route_count = count;
}

/* ---- the rest ------------------------------------------------------------ */

static void read_log(reader_t *reader, const apr_xml_elem *elem)
{
    static const clone_attribute_t table[] = {
        { "Name", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_t, log_name), 0, 0, NULL },
        { "LogLevel", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_t, log_level), 0, 0, NULL },
        { NULL, CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL }
    };

    clone_attributes_read(reader->plugin, elem, table, reader->findings,
                          reader->p);
}

static void read_property(reader_t *reader, const apr_xml_elem *elem,
                          clone_plugin_property_t *properties)
{
    static const clone_attribute_t table[] = {
        { "Name", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_property_t, name), 0, 0, NULL },
        { "Value", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_property_t, value), 0, 0, NULL },
        { NULL, CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL }
    };
    clone_plugin_property_t property = { "", "", 0 };

    property.line = clone_xml_line(elem);
    clone_attributes_read(&property, elem, table, reader->findings,
                          reader->p);
    property.name = property.name != NULL ? property.name : "";
    property.value = property.value != NULL ? property.value : "";
    properties[reader->plugin->property_count++] = property;
}

static void read_proxies(reader_t *reader, const apr_xml_elem *parent)
{
    const apr_xml_elem *elem;
    const char **names = apr_pcalloc(
        reader->p, (clone_xml_count(parent, "TrustedProxy")
                    + reader->plugin->trusted_proxy_count + 1)
                   * sizeof(*names));
    unsigned int count = reader->plugin->trusted_proxy_count;

    if (count > 0) {
        memcpy(names, reader->plugin->trusted_proxy, count * sizeof(*names));
    }
    for (elem = parent->first_child; elem != NULL; elem = elem->next) {
        const char *name;

        if (!clone_xml_is_named(elem, "TrustedProxy")) {
            clone_xml_note_unknown(reader->findings, elem);
        }
        else if ((name = name_of(reader, elem)) != NULL) {
            names[count++] = name;
        }
        else {
            clone_findings_add(reader->findings, clone_xml_line(elem),
                               CLONE_ERROR, CLONE_FINDING_MISSING,
                               "TrustedProxy has no Name");
        }
    }
    reader->plugin->trusted_proxy = names;
    reader->plugin->trusted_proxy_count = count;
}

static int is_one_of(const apr_xml_elem *elem, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (clone_xml_is_named(elem, *names)) {
            return 1;
        }
    }
    return 0;
}

static void read_others(reader_t *reader, const apr_xml_elem *root)
{
    static const char *const elsewhere[] = {
        "VirtualHostGroup", "UriGroup", "ServerCluster", "Route",
        "ConfigHash", NULL
    };
    static const char *const ignored[] = {
        "RequestMetrics", "IntelligentManagement", NULL
    };
    clone_plugin_property_t *properties = apr_pcalloc(
        reader->p, (clone_xml_count(root, "Property") + 1)
                   * sizeof(*properties));
    const apr_xml_elem *elem;

    reader->plugin->property = properties;
    for (elem = root->first_child; elem != NULL; elem = elem->next) {
        if (clone_xml_is_named(elem, "Property")) {
            read_property(reader, elem, properties);
        }
        else if (clone_xml_is_named(elem, "Log")) {
            read_log(reader, elem);
        }
        else if (clone_xml_is_named(elem, "TrustedProxyGroup")) {
            read_proxies(reader, elem);
        }
        else if (is_one_of(elem, ignored)) {
            clone_findings_add(reader->findings, clone_xml_line(elem),
                               CLONE_NOTE, CLONE_FINDING_IGNORED,
                               "%s has no effect", quote(reader, elem->name));
        }
        else if (!is_one_of(elem, elsewhere)) {
            clone_xml_note_unknown(reader->findings, elem);
        }
    }
}

typedef struct config_t {
    clone_plugin_t it;
    const char *port_preference;
    int marks_busy_down;
} config_t;

#define MEMBER(name) offsetof(config_t, it.name)

static void read_config(reader_t *reader, const apr_xml_elem *root)
{
    static const clone_attribute_t table[] = {
        { "RefreshInterval", CLONE_ATTRIBUTE_INT, MEMBER(refresh_sec), -1,
          CLONE_PLUGIN_SEC_MAX, NULL },
        { "IgnoreDNSFailures", CLONE_ATTRIBUTE_FLAG,
          MEMBER(ignores_dns_failures), 0, 0, NULL },
        { "AppServerPortPreference", CLONE_ATTRIBUTE_TEXT,
          offsetof(config_t, port_preference), 0, 0, NULL },
        { "VHostMatchingCompat", CLONE_ATTRIBUTE_FLAG,
          MEMBER(matches_server_port), 0, 0, NULL },
        { "TrustedProxyEnable", CLONE_ATTRIBUTE_FLAG, MEMBER(trusts_proxies),
          0, 0, NULL },
        { "MarkBusyDown", CLONE_ATTRIBUTE_FLAG,
          offsetof(config_t, marks_busy_down), 0, 0, NULL },
        /* bodies of GET are sent on, whatever it says */
        { "AcceptAllContent", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "" },
        { "HTTPMaxHeaders", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "300" },
        { "ResponseChunkSize", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "64" },
        { "ASDisableNagle", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "false" },
        { "IISDisableNagle", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "" },
        { "IISPluginPriority", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "" },
        { "ChunkedResponse", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "false" },
        { "FIPSEnable", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "false" },
        { "SSLConsolidate", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "" },
        { "ConfigHash", CLONE_ATTRIBUTE_IGNORED, 0, 0, 0, "" },
        { NULL, CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL }
    };
    config_t config = { { 0 }, NULL, 0 };

    config.it.refresh_sec = 60;
    clone_attributes_read(&config, root, table, reader->findings, reader->p);
    *reader->plugin = config.it;
    reader->marks_busy_down = config.marks_busy_down;
    if (config.port_preference == NULL
        || apr_cstr_casecmp(config.port_preference, "HostHeader") == 0) {
        return;
    }
    if (apr_cstr_casecmp(config.port_preference, "WebserverPort") == 0) {
        reader->plugin->prefers_server_port = 1;
        return;
    }
    clone_findings_add(reader->findings, clone_xml_line(root), CLONE_WARNING,
                       CLONE_FINDING_LENIENT, "AppServerPortPreference '%s' "
                       "is read as HostHeader",
                       quote(reader, config.port_preference));
}

static void read_document(reader_t *reader, const apr_xml_elem *root)
{
    read_config(reader, root);
    read_all_vhosts(reader, root);
    read_all_uris(reader, root);
    read_all_clusters(reader, root);
    read_all_routes(reader, root);
    read_others(reader, root);
}

clone_finding_e clone_plugin_parse(const clone_plugin_t **plugin,
                                   clone_findings_t *findings, span_t text,
                                   apr_pool_t *p, apr_pool_t *ptemp)
{
    const apr_xml_elem *root;
    reader_t reader;

    *plugin = NULL;
    memset(&reader, 0, sizeof(reader));
    reader.plugin = apr_pcalloc(p, sizeof(*reader.plugin));
    reader.findings = findings;
    reader.p = p;
    reader.ptemp = ptemp;
    reader.vhosts = apr_hash_make(ptemp);
    reader.uris = apr_hash_make(ptemp);
    reader.clusters = apr_hash_make(ptemp);
    if (clone_xml_parse(&root, findings, text, ptemp) != CLONE_FINDING_OK) {
        return findings->first;
    }
    if (!clone_xml_is_named(root, "Config")) {
        clone_findings_add(findings, clone_xml_line(root), CLONE_ERROR,
                           CLONE_FINDING_ROOT, "a plugin-cfg.xml begins with "
                           "Config, not '%s'", quote(&reader, root->name));
        return findings->first;
    }
    read_document(&reader, root);
    clone_findings_sort(findings);
    if (findings->first == CLONE_FINDING_OK) {
        *plugin = reader.plugin;
    }
    return findings->first;
}

const clone_plugin_transport_t *
clone_plugin_transport(const clone_plugin_server_t *server, int is_https)
{
    unsigned int i;

    for (i = 0; i < server->transport_count; i++) {
        if (server->transport[i].is_https == (is_https != 0)) {
            return &server->transport[i];
        }
    }
    return server->transport_count > 0 ? &server->transport[0] : NULL;
}

const char *clone_plugin_role_name(clone_plugin_role_e role)
{
    switch (role) {
    case CLONE_PLUGIN_PRIMARY:
        return "primary";
    case CLONE_PLUGIN_BACKUP:
        return "backup";
    case CLONE_PLUGIN_IDLE:
        return "idle";
    default:
        return "?";
    }
}
