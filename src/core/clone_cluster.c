/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_cluster.h"

#include <stddef.h>

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "clone_attribute.h"
#include "clone_text.h"
#include "clone_xml.h"

/* What a file leaves unsaid. WebSphere's own defaults differ by version; these
 * are those of the newer ones, in which nobody waits for ever. */
#define RETRY_DEFAULT_SEC 60
#define CONNECT_DEFAULT_SEC 5
#define IO_DEFAULT_SEC 900
#define WEIGHT_DEFAULT 2
#define POST_BUFFER_DEFAULT (64 * 1024)

#define END_OF_TABLE { NULL, CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL }

typedef struct reader_t {
    clone_plugin_cluster_t *cluster;
    clone_plugin_server_t *servers; /* the same as cluster->server */
    int marks_busy_down;
    clone_findings_t *findings;
    apr_pool_t *p;
} reader_t;

static const char *quote(const reader_t *reader, const char *text)
{
    return clone_findings_quote(reader->findings, span_of_text(text));
}

/* ---- Transport ----------------------------------------------------------- */

typedef struct transport_t {
    clone_plugin_transport_t it;
    const char *protocol;
} transport_t;

static void read_property(reader_t *reader,
                          clone_plugin_transport_t *transport,
                          const apr_xml_elem *elem)
{
    static const clone_attribute_t table[] = {
        { "Name", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_property_t, name), 0, 0, NULL },
        { "Value", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_property_t, value), 0, 0, NULL },
        END_OF_TABLE
    };
    clone_plugin_property_t property = { NULL, NULL, 0 };

    clone_attributes_read(&property, elem, table, reader->findings,
                          reader->p);
    if (property.name == NULL) {
        return;
    }
    if (apr_cstr_casecmp(property.name, "keyring") == 0) {
        transport->keyring = property.value;
    }
    else if (apr_cstr_casecmp(property.name, "stashfile") == 0) {
        transport->stashfile = property.value;
    }
    else if (apr_cstr_casecmp(property.name, "certLabel") == 0) {
        transport->cert_label = property.value;
    }
    else {
        clone_findings_add(reader->findings, clone_xml_line(elem), CLONE_NOTE,
                           CLONE_FINDING_UNKNOWN,
                           "Property '%s' of a Transport is not known",
                           quote(reader, property.name));
    }
}

/* It becomes part of a URL: only what a name or an address may hold. */
static int is_host(const char *host)
{
    const char *c;

    for (c = host; *c != '\0'; c++) {
        if (!apr_isalnum(*c) && memchr("-._:", *c, 4) == NULL) {
            return 0;
        }
    }
    return c > host;
}

static const char *host_of(const char *name, apr_pool_t *p)
{
    apr_size_t len = strlen(name);
    char *host = name[0] == '[' && name[len - 1] == ']'
                 ? apr_pstrmemdup(p, name + 1, len - 2)
                 : apr_pstrdup(p, name);

    clone_text_lower(host);
    return host;
}

static int check_transport(reader_t *reader, transport_t *transport)
{
    clone_plugin_transport_t *it = &transport->it;

    if (it->host == NULL || it->port == 0) {
        clone_findings_add(reader->findings, it->line, CLONE_ERROR,
                           CLONE_FINDING_MISSING, "Transport has no %s",
                           it->host == NULL ? "Hostname" : "Port");
        return 0;
    }
    it->host = host_of(it->host, reader->p);
    if (!is_host(it->host)) {
        clone_findings_add(reader->findings, it->line, CLONE_ERROR,
                           CLONE_FINDING_INVALID,
                           "Hostname must be a name or an address, not '%s'",
                           quote(reader, it->host));
        return 0;
    }
    it->is_https = transport->protocol != NULL
                   && apr_cstr_casecmp(transport->protocol, "https") == 0;
    if (!it->is_https && transport->protocol != NULL
        && apr_cstr_casecmp(transport->protocol, "http") != 0) {
        clone_findings_add(reader->findings, it->line, CLONE_ERROR,
                           CLONE_FINDING_INVALID,
                           "Protocol must be http or https, not '%s'",
                           quote(reader, transport->protocol));
        return 0;
    }
    return 1;
}

static int read_transport(reader_t *reader, clone_plugin_transport_t *out,
                          const apr_xml_elem *parent)
{
    static const clone_attribute_t table[] = {
        { "Hostname", CLONE_ATTRIBUTE_TEXT, offsetof(transport_t, it.host),
          0, 0, NULL },
        { "Port", CLONE_ATTRIBUTE_LIMIT, offsetof(transport_t, it.port), 1,
          65535, NULL },
        { "Protocol", CLONE_ATTRIBUTE_TEXT, offsetof(transport_t, protocol),
          0, 0, NULL },
        END_OF_TABLE
    };
    unsigned int errors = reader->findings->count[CLONE_ERROR];
    transport_t transport = { { 0 }, NULL };
    const apr_xml_elem *elem;

    transport.it.line = clone_xml_line(parent);
    clone_attributes_read(&transport, parent, table, reader->findings,
                          reader->p);
    for (elem = parent->first_child; elem != NULL; elem = elem->next) {
        if (clone_xml_is_named(elem, "Property")) {
            read_property(reader, &transport.it, elem);
        }
        else {
            clone_xml_note_unknown(reader->findings, elem);
        }
    }
    /* A port that could not be read was complained of already. */
    if (reader->findings->count[CLONE_ERROR] > errors
        || !check_transport(reader, &transport)) {
        return 0;
    }
    *out = transport.it;
    return 1;
}

static const clone_plugin_transport_t *
read_transports(reader_t *reader, unsigned int *count,
                const apr_xml_elem *parent)
{
    clone_plugin_transport_t *transports = apr_pcalloc(
        reader->p, (clone_xml_count(parent, "Transport") + 1)
                   * sizeof(*transports));
    const apr_xml_elem *elem;

    *count = 0;
    for (elem = parent->first_child; elem != NULL; elem = elem->next) {
        if (clone_xml_is_named(elem, "Transport")) {
            *count += (unsigned int)read_transport(
                reader, &transports[*count], elem);
        }
        else {
            clone_xml_note_unknown(reader->findings, elem);
        }
    }
    return transports;
}

/* ---- Server -------------------------------------------------------------- */

#define MEMBER(name) offsetof(clone_plugin_server_t, name)

static void read_attributes(reader_t *reader, clone_plugin_server_t *server,
                            const apr_xml_elem *elem)
{
    static const clone_attribute_t table[] = {
        { "Name", CLONE_ATTRIBUTE_TEXT, MEMBER(name), 0, 0, NULL },
        { "CloneID", CLONE_ATTRIBUTE_TEXT, MEMBER(clone_id), 0, 0, NULL },
        { "LoadBalanceWeight", CLONE_ATTRIBUTE_LIMIT, MEMBER(weight), 0,
          65535, NULL },
        { "ConnectTimeout", CLONE_ATTRIBUTE_INT, MEMBER(connect_timeout_sec),
          0, CLONE_PLUGIN_SEC_MAX, NULL },
        { "ServerIOTimeout", CLONE_ATTRIBUTE_INT, MEMBER(io_timeout_sec),
          -CLONE_PLUGIN_SEC_MAX, CLONE_PLUGIN_SEC_MAX, NULL },
        { "wsServerIOTimeout", CLONE_ATTRIBUTE_INT,
          MEMBER(ws_io_timeout_sec), -1, CLONE_PLUGIN_SEC_MAX, NULL },
        { "wsServerIdleTimeout", CLONE_ATTRIBUTE_INT,
          MEMBER(ws_idle_timeout_sec), -1, CLONE_PLUGIN_SEC_MAX, NULL },
        { "MaxConnections", CLONE_ATTRIBUTE_LIMIT, MEMBER(max_connections),
          -1, 65535, NULL },
        { "MarkBusyDown", CLONE_ATTRIBUTE_FLAG, MEMBER(marks_busy_down), 0,
          0, NULL },
        { "WaitForContinue", CLONE_ATTRIBUTE_FLAG, MEMBER(wait_for_continue),
          0, 0, NULL },
        { "ExtendedHandshake", CLONE_ATTRIBUTE_FLAG,
          MEMBER(extended_handshake), 0, 0, NULL },
        END_OF_TABLE
    };

    memset(server, 0, sizeof(*server));
    server->weight = WEIGHT_DEFAULT;
    server->connect_timeout_sec = CONNECT_DEFAULT_SEC;
    server->io_timeout_sec = IO_DEFAULT_SEC;
    server->ws_io_timeout_sec = -1;
    server->ws_idle_timeout_sec = -1;
    server->marks_busy_down = reader->marks_busy_down;
    server->role = CLONE_PLUGIN_IDLE;
    server->line = clone_xml_line(elem);
    clone_attributes_read(server, elem, table, reader->findings, reader->p);
    server->io_timeout_downs = server->io_timeout_sec < 0;
    if (server->io_timeout_downs) {
        server->io_timeout_sec = -server->io_timeout_sec;
    }
}

#undef MEMBER

static clone_plugin_server_t *find_server(reader_t *reader, const char *name)
{
    unsigned int i;

    for (i = 0; i < reader->cluster->server_count; i++) {
        if (strcmp(reader->servers[i].name, name) == 0) {
            return &reader->servers[i];
        }
    }
    return NULL;
}

static void read_server(reader_t *reader, const apr_xml_elem *elem)
{
    clone_plugin_server_t server;

    read_attributes(reader, &server, elem);
    server.transport = read_transports(reader, &server.transport_count,
                                       elem);
    if (server.name == NULL) {
        clone_findings_add(reader->findings, server.line, CLONE_ERROR,
                           CLONE_FINDING_MISSING, "Server has no Name");
        return;
    }
    if (find_server(reader, server.name) != NULL) {
        clone_findings_add(reader->findings, server.line, CLONE_WARNING,
                           CLONE_FINDING_DUPLICATE, "Server '%s' is in this "
                           "cluster already; the first one counts",
                           quote(reader, server.name));
        return;
    }
    if (server.transport_count == 0) {
        clone_findings_add(reader->findings, server.line, CLONE_WARNING,
                           CLONE_FINDING_DANGLING, "Server '%s' has no "
                           "Transport and gets no requests",
                           quote(reader, server.name));
    }
    reader->servers[reader->cluster->server_count++] = server;
}

static int read_servers(reader_t *reader, const apr_xml_elem *parent)
{
    unsigned int count = clone_xml_count(parent, "Server");
    const apr_xml_elem *elem;

    if (count > CLONE_PLUGIN_SERVERS_MAX) {
        clone_findings_add(reader->findings, clone_xml_line(parent),
                           CLONE_ERROR, CLONE_FINDING_LIMIT, "%u servers in "
                           "one cluster, %d are allowed", count,
                           CLONE_PLUGIN_SERVERS_MAX);
        return 0;
    }
    reader->servers = apr_pcalloc(reader->p,
                                  (count + 1) * sizeof(*reader->servers));
    reader->cluster->server = reader->servers;
    for (elem = parent->first_child; elem != NULL; elem = elem->next) {
        if (clone_xml_is_named(elem, "Server")) {
            read_server(reader, elem);
        }
    }
    return 1;
}

/* ---- PrimaryServers, BackupServers --------------------------------------- */

/* Where servers of one role are listed. */
typedef struct listing_t {
    const char *name;
    clone_plugin_role_e role;
    const clone_plugin_server_t **servers;
    unsigned int count;
} listing_t;

static void enlist(listing_t *listing, clone_plugin_server_t *server)
{
    if (server->transport_count > 0) {
        server->role = listing->role;
        server->rank = listing->count;
        listing->servers[listing->count++] = server;
    }
}

static void read_pointer(reader_t *reader, listing_t *listing,
                         const apr_xml_elem *elem)
{
    static const clone_attribute_t table[] = {
        { "Name", CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL },
        END_OF_TABLE
    };
    const char *name = NULL;
    clone_plugin_server_t *server;

    clone_attributes_read(&name, elem, table, reader->findings, reader->p);
    server = name != NULL ? find_server(reader, name) : NULL;
    if (server == NULL) {
        clone_findings_add(reader->findings, clone_xml_line(elem),
                           CLONE_WARNING, CLONE_FINDING_DANGLING,
                           "%s names '%s', which is no server of this cluster",
                           listing->name,
                           name != NULL ? quote(reader, name) : "");
    }
    else if (server->role != CLONE_PLUGIN_IDLE) {
        clone_findings_add(reader->findings, clone_xml_line(elem),
                           CLONE_WARNING, CLONE_FINDING_DUPLICATE,
                           "%s names '%s', which is listed already",
                           listing->name, quote(reader, name));
    }
    else {
        enlist(listing, server);
    }
}

static void read_list(reader_t *reader, listing_t *listing,
                      const apr_xml_elem *parent)
{
    const apr_xml_elem *list;
    const apr_xml_elem *elem;

    listing->servers = apr_pcalloc(reader->p,
                                   (reader->cluster->server_count + 1)
                                   * sizeof(*listing->servers));
    for (list = parent->first_child; list != NULL; list = list->next) {
        if (!clone_xml_is_named(list, listing->name)) {
            continue;
        }
        for (elem = list->first_child; elem != NULL; elem = elem->next) {
            if (clone_xml_is_named(elem, "Server")) {
                read_pointer(reader, listing, elem);
            }
            else {
                clone_xml_note_unknown(reader->findings, elem);
            }
        }
    }
}

/* Without a list of primary servers all are, but those of the other list. */
static void read_lists(reader_t *reader, const apr_xml_elem *elem)
{
    clone_plugin_cluster_t *cluster = reader->cluster;
    listing_t primary = { "PrimaryServers", CLONE_PLUGIN_PRIMARY, NULL, 0 };
    listing_t backup = { "BackupServers", CLONE_PLUGIN_BACKUP, NULL, 0 };
    unsigned int i;

    read_list(reader, &primary, elem);
    read_list(reader, &backup, elem);
    if (clone_xml_count(elem, primary.name) == 0) {
        for (i = 0; i < cluster->server_count; i++) {
            if (reader->servers[i].role == CLONE_PLUGIN_IDLE) {
                enlist(&primary, &reader->servers[i]);
            }
        }
    }
    cluster->primary = primary.servers;
    cluster->primary_count = primary.count;
    cluster->backup = backup.servers;
    cluster->backup_count = backup.count;
}

/* ---- ServerCluster ------------------------------------------------------- */

typedef struct cluster_t {
    clone_plugin_cluster_t it;
    const char *balance;
    int marks_busy_down;
} cluster_t;

/* Letters alone count: "Round-Robin" and "roundrobin" are common. */
static int is_word(const char *text, const char *word)
{
    for (; *text != '\0'; text++) {
        if (apr_isalpha(*text)) {
            if (apr_tolower(*text) != *word) {
                return 0;
            }
            word++;
        }
    }
    return *word == '\0';
}

static void read_balance(reader_t *reader, const char *text)
{
    clone_plugin_cluster_t *cluster = reader->cluster;
    const char *name = "Round Robin";

    if (text == NULL) {
        return;
    }
    if (is_word(text, "random")) {
        cluster->balance = CLONE_PLUGIN_RANDOM;
        name = "Random";
    }
    if (apr_cstr_casecmp(text, name) != 0) {
        clone_findings_add(reader->findings, cluster->line, CLONE_WARNING,
                           CLONE_FINDING_LENIENT, "LoadBalance '%s' is read "
                           "as %s", quote(reader, text), name);
    }
}

#define MEMBER(name) offsetof(cluster_t, it.name)

static void read_cluster(reader_t *reader, const apr_xml_elem *elem)
{
    static const clone_attribute_t table[] = {
        { "Name", CLONE_ATTRIBUTE_TEXT, MEMBER(name), 0, 0, NULL },
        { "LoadBalance", CLONE_ATTRIBUTE_TEXT, offsetof(cluster_t, balance),
          0, 0, NULL },
        { "RetryInterval", CLONE_ATTRIBUTE_INT, MEMBER(retry_sec), 0,
          CLONE_PLUGIN_SEC_MAX, NULL },
        { "ServerIOTimeoutRetry", CLONE_ATTRIBUTE_INT,
          MEMBER(timeout_retries), -1, 65535, NULL },
        { "RemoveSpecialHeaders", CLONE_ATTRIBUTE_FLAG,
          MEMBER(removes_special_headers), 0, 0, NULL },
        { "CloneSeparatorChange", CLONE_ATTRIBUTE_FLAG,
          MEMBER(is_plus_separated), 0, 0, NULL },
        { "PostSizeLimit", CLONE_ATTRIBUTE_BYTES, MEMBER(post_limit), -1,
          APR_INT64_MAX, NULL },
        { "PostBufferSize", CLONE_ATTRIBUTE_KBYTES, MEMBER(post_buffer), -1,
          APR_INT32_MAX, NULL },
        { "IgnoreAffinityRequests", CLONE_ATTRIBUTE_FLAG,
          MEMBER(ignores_affinity), 0, 0, NULL },
        { "GetDWLMTable", CLONE_ATTRIBUTE_FLAG, MEMBER(gets_dwlm_table), 0,
          0, NULL },
        { "MarkBusyDown", CLONE_ATTRIBUTE_FLAG,
          offsetof(cluster_t, marks_busy_down), 0, 0, NULL },
        END_OF_TABLE
    };
    cluster_t cluster = { { 0 }, NULL, 0 };

    cluster.it.retry_sec = RETRY_DEFAULT_SEC;
    cluster.it.timeout_retries = -1;
    cluster.it.removes_special_headers = 1;
    cluster.it.post_limit = -1;
    cluster.it.post_buffer = POST_BUFFER_DEFAULT;
    cluster.it.ignores_affinity = 1;
    cluster.it.line = clone_xml_line(elem);
    cluster.marks_busy_down = reader->marks_busy_down;
    clone_attributes_read(&cluster, elem, table, reader->findings,
                          reader->p);
    *reader->cluster = cluster.it;
    reader->marks_busy_down = cluster.marks_busy_down;
    read_balance(reader, cluster.balance);
}

void clone_cluster_read(clone_plugin_cluster_t *cluster,
                        const apr_xml_elem *elem, int marks_busy_down,
                        clone_findings_t *findings, apr_pool_t *p)
{
    const apr_xml_elem *child;
    reader_t reader;

    reader.cluster = cluster;
    reader.servers = NULL;
    reader.marks_busy_down = marks_busy_down;
    reader.findings = findings;
    reader.p = p;
    read_cluster(&reader, elem);
    if (read_servers(&reader, elem)) {
        read_lists(&reader, elem);
    }
    for (child = elem->first_child; child != NULL; child = child->next) {
        if (clone_xml_is_named(child, "ClusterAddress")) {
            cluster->address = read_transports(
                &reader, &cluster->address_count, child);
        }
        else if (!clone_xml_is_named(child, "Server")
                 && !clone_xml_is_named(child, "PrimaryServers")
                 && !clone_xml_is_named(child, "BackupServers")) {
            clone_xml_note_unknown(findings, child);
        }
    }
}
