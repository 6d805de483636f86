/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_store_mc.h"

#include <sys/un.h>

#include <apr_lib.h>
#include <apr_strings.h>

/** Bytes of a host name, after RFC 1035. */
#define HOST_MAX 253

/** The longest path of a unix socket, less its terminator. */
#define PATH_LEN_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static const char unix_prefix[] = "unix:";

const char *ha_mc_address_name(ha_mc_address_e result)
{
    switch (result) {
    case HA_MC_ADDRESS_OK:
        return "a good address";
    case HA_MC_ADDRESS_NO_PORT:
        return "the port is missing";
    case HA_MC_ADDRESS_BAD_PORT:
        return "the port is not a number from 1 to 65535";
    case HA_MC_ADDRESS_BAD_HOST:
        return "the host is neither a name nor an address";
    case HA_MC_ADDRESS_BAD_PATH:
        return "the path of the socket is not absolute, or too long";
    default:
        return "not known";
    }
}

static int is_name(span_t host)
{
    apr_size_t i;

    for (i = 0; i < host.len; i++) {
        char c = host.data[i];

        if (!apr_isalnum(c) && c != '.' && c != '_' && (c != '-' || i == 0)) {
            return 0;
        }
    }
    return host.len > 0 && host.len <= HOST_MAX && host.data[0] != '.';
}

/** Nothing but the characters of an IPv6 address, and two colons at least. */
static int is_v6(span_t host)
{
    unsigned int colons = 0;
    apr_size_t i;

    for (i = 0; i < host.len; i++) {
        char c = host.data[i];

        if (!apr_isxdigit(c) && c != ':' && c != '.') {
            return 0;
        }
        colons += c == ':';
    }
    return colons >= 2 && host.len < 46;
}

/** The whole word as a port, or 0. */
static apr_port_t port_of(const char *text)
{
    unsigned long port = 0;
    const char *at;

    for (at = text; apr_isdigit(*at) && port <= 65535; at++) {
        port = port * 10 + (unsigned long)(*at - '0');
    }
    return *at == '\0' && port <= 65535 ? (apr_port_t)port : 0;
}

static ha_mc_address_e parse_unix(ha_mc_node_t *node, const char *address,
                                  apr_pool_t *p)
{
    const char *path = address + sizeof(unix_prefix) - 1;

    if (path[0] != '/' || path[1] == '\0' || strlen(path) > PATH_LEN_MAX) {
        return HA_MC_ADDRESS_BAD_PATH;
    }
    node->address = apr_pstrdup(p, address);
    node->host = NULL;
    node->port = 0;
    node->path = node->address + sizeof(unix_prefix) - 1;
    return HA_MC_ADDRESS_OK;
}

ha_mc_address_e ha_mc_address_parse(ha_mc_node_t *node, const char *address,
                                    apr_pool_t *p)
{
    const char *colon = strrchr(address, ':');
    const char *end = strrchr(address, ']');
    span_t host;

    if (strncmp(address, unix_prefix, sizeof(unix_prefix) - 1) == 0) {
        return parse_unix(node, address, p);
    }
    if (colon == NULL || (end && colon < end)) {
        return HA_MC_ADDRESS_NO_PORT;
    }
    if (port_of(colon + 1) == 0) {
        return HA_MC_ADDRESS_BAD_PORT;
    }
    host = span_of(address, (apr_size_t)(colon - address));
    if (address[0] == '[' && end == colon - 1) {
        host = span_of(address + 1, host.len - 2);
        if (!is_v6(host)) {
            return HA_MC_ADDRESS_BAD_HOST;
        }
    }
    else if (!is_name(host)) {
        return HA_MC_ADDRESS_BAD_HOST;
    }
    node->address = apr_pstrdup(p, address);
    node->host = apr_pstrmemdup(p, host.data, host.len);
    node->port = port_of(colon + 1);
    node->path = NULL;
    return HA_MC_ADDRESS_OK;
}
