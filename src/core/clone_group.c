/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_group.h"

#include <stddef.h>

#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "clone_attribute.h"
#include "clone_text.h"
#include "clone_xml.h"

typedef struct reader_t {
    apr_hash_t *names; /* what the group has already */
    clone_findings_t *findings;
    apr_pool_t *p;
    apr_pool_t *ptemp;
} reader_t;

static const char *quote(const reader_t *reader, const char *text)
{
    return clone_findings_quote(reader->findings, span_of_text(text));
}

/* Once in a group is enough; tools that merge files repeat things. */
static int is_new(reader_t *reader, const apr_xml_elem *elem,
                  const char *name)
{
    if (apr_hash_get(reader->names, name, APR_HASH_KEY_STRING) != NULL) {
        clone_findings_add(reader->findings, clone_xml_line(elem), CLONE_NOTE,
                           CLONE_FINDING_DUPLICATE,
                           "%s '%s' is in this group already",
                           quote(reader, elem->name), quote(reader, name));
        return 0;
    }
    apr_hash_set(reader->names, name, APR_HASH_KEY_STRING, name);
    return 1;
}

/* ---- VirtualHostGroup ---------------------------------------------------- */

static int parse_port(unsigned int *port, const char *text)
{
    unsigned int number = 0;
    const char *c;

    if (strcmp(text, "*") == 0) {
        *port = 0;
        return 1;
    }
    for (c = text; apr_isdigit(*c) && c < text + 6; c++) {
        number = number * 10 + (unsigned int)(*c - '0');
    }
    *port = number;
    return c > text && *c == '\0' && number >= 1 && number <= 65535;
}

/* Host and port of "host:port"; brackets around what holds a colon. */
static int parse_vhost(clone_plugin_vhost_t *vhost, const char *name,
                       apr_pool_t *p)
{
    const char *colon = strrchr(name, ':');
    const char *bracket = strrchr(name, ']');
    char *host;

    vhost->port = 0;
    if (colon == NULL || (bracket != NULL && bracket > colon)) {
        host = apr_pstrdup(p, name);
    }
    else {
        host = apr_pstrmemdup(p, name, (apr_size_t)(colon - name));
        if (!parse_port(&vhost->port, colon + 1)) {
            return 0;
        }
    }
    clone_text_lower(host);
    vhost->host = strcmp(host, "*") == 0 ? NULL
        : strchr(host, ':') != NULL && host[0] != '['
        ? apr_pstrcat(p, "[", host, "]", NULL) : host;
    return host[0] != '\0';
}

static void check_vhost(reader_t *reader, const clone_plugin_vhost_t *vhost)
{
    if (vhost->host != NULL && strchr(vhost->host, '*') != NULL) {
        clone_findings_add(reader->findings, vhost->line, CLONE_WARNING,
                           CLONE_FINDING_LENIENT, "VirtualHost '%s' matches "
                           "no host: '*' stands for a whole name or port",
                           quote(reader, vhost->name));
    }
    else if (vhost->port == 0 && strstr(vhost->name, ":*") == NULL) {
        clone_findings_add(reader->findings, vhost->line, CLONE_NOTE,
                           CLONE_FINDING_LENIENT, "VirtualHost '%s' names no "
                           "port: read as any port",
                           quote(reader, vhost->name));
    }
}

static void read_vhost(reader_t *reader, clone_plugin_vhosts_t *group,
                       clone_plugin_vhost_t *vhost, const apr_xml_elem *elem)
{
    static const clone_attribute_t table[] = {
        { "Name", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_vhost_t, name), 0, 0, NULL },
        { NULL, CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL }
    };

    vhost->line = clone_xml_line(elem);
    clone_attributes_read(vhost, elem, table, reader->findings, reader->p);
    if (vhost->name == NULL || !parse_vhost(vhost, vhost->name, reader->p)) {
        clone_findings_add(reader->findings, vhost->line, CLONE_ERROR,
                           vhost->name == NULL ? CLONE_FINDING_MISSING
                                               : CLONE_FINDING_INVALID,
                           "VirtualHost must be named host:port, not '%s'",
                           vhost->name != NULL ? quote(reader, vhost->name)
                                               : "");
        return;
    }
    if (is_new(reader, elem,
               apr_psprintf(reader->ptemp, "%s:%u", vhost->host != NULL
                            ? vhost->host : "*", vhost->port))) {
        check_vhost(reader, vhost);
        group->count++;
    }
}

void clone_group_read_vhosts(clone_plugin_vhosts_t *group,
                             const apr_xml_elem *parent,
                             clone_findings_t *findings, apr_pool_t *p,
                             apr_pool_t *ptemp)
{
    reader_t reader = { NULL, findings, p, ptemp };
    clone_plugin_vhost_t *vhosts = apr_pcalloc(
        p, (clone_xml_count(parent, "VirtualHost") + 1)
                   * sizeof(*vhosts));
    const apr_xml_elem *elem;

    reader.names = apr_hash_make(ptemp);
    group->vhost = vhosts;
    for (elem = parent->first_child; elem != NULL; elem = elem->next) {
        if (clone_xml_is_named(elem, "VirtualHost")) {
            memset(&vhosts[group->count], 0, sizeof(*vhosts));
            read_vhost(&reader, group, &vhosts[group->count], elem);
        }
        else {
            clone_xml_note_unknown(findings, elem);
        }
    }
}

/* ---- UriGroup ------------------------------------------------------------ */

/* 0 when no path can match it as it is meant. */
static int check_uri(reader_t *reader, const clone_plugin_uri_t *uri)
{
    const char *star = strchr(uri->name, '*');

    if (star != NULL && strchr(star + 1, '*') != NULL) {
        clone_findings_add(reader->findings, uri->line, CLONE_WARNING,
                           CLONE_FINDING_LENIENT, "Uri '%s' is left out: "
                           "only one '*' is understood",
                           quote(reader, uri->name));
        return 0;
    }
    if (uri->name[0] != '/' && uri->name[0] != '*') {
        clone_findings_add(reader->findings, uri->line, CLONE_WARNING,
                           CLONE_FINDING_LENIENT, "Uri '%s' matches no path: "
                           "paths begin with '/'", quote(reader, uri->name));
    }
    return 1;
}

static void read_uri(reader_t *reader, clone_plugin_uris_t *group,
                     clone_plugin_uri_t *uri, const apr_xml_elem *elem)
{
    static const clone_attribute_t table[] = {
        { "Name", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_uri_t, name), 0, 0, NULL },
        { "AffinityCookie", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_uri_t, cookie), 0, 0, NULL },
        { "AffinityURLIdentifier", CLONE_ATTRIBUTE_TEXT,
          offsetof(clone_plugin_uri_t, url_id), 0, 0, NULL },
        { NULL, CLONE_ATTRIBUTE_TEXT, 0, 0, 0, NULL }
    };

    uri->cookie = CLONE_PLUGIN_COOKIE;
    uri->url_id = CLONE_PLUGIN_URL_ID;
    uri->line = clone_xml_line(elem);
    clone_attributes_read(uri, elem, table, reader->findings, reader->p);
    if (uri->name == NULL) {
        clone_findings_add(reader->findings, uri->line, CLONE_ERROR,
                           CLONE_FINDING_MISSING, "Uri has no Name");
    }
    else if (is_new(reader, elem, uri->name)
             && check_uri(reader, uri)) {
        group->count++;
    }
}

void clone_group_read_uris(clone_plugin_uris_t *group,
                           const apr_xml_elem *parent,
                           clone_findings_t *findings, apr_pool_t *p,
                           apr_pool_t *ptemp)
{
    reader_t reader = { NULL, findings, p, ptemp };
    clone_plugin_uri_t *uris = apr_pcalloc(
        p, (clone_xml_count(parent, "Uri") + 1) * sizeof(*uris));
    const apr_xml_elem *elem;

    reader.names = apr_hash_make(ptemp);
    group->uri = uris;
    for (elem = parent->first_child; elem != NULL; elem = elem->next) {
        if (clone_xml_is_named(elem, "Uri")) {
            memset(&uris[group->count], 0, sizeof(*uris));
            read_uri(&reader, group, &uris[group->count], elem);
        }
        else {
            clone_xml_note_unknown(findings, elem);
        }
    }
}

