/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_seats.h"

#include <apr_lib.h>
#include <apr_strings.h>

/* mod_proxy's own range, beyond which weights are scaled down. */
#define WEIGHT_MAX 100

/* FNV-1a, 32 bits: a mark to tell names apart, no more. */
static apr_uint32_t mark_of(const char *text)
{
    apr_uint32_t mark = 0x811c9dc5u;

    for (; *text != '\0'; text++) {
        mark = (mark ^ (unsigned char)*text) * 0x01000193u;
    }
    return mark;
}

const char *clone_seats_name(const clone_plugin_cluster_t *cluster, int side,
                               apr_pool_t *p)
{
    char *name = apr_pstrdup(p, cluster->name);
    int is_lossy = strlen(name) > CLONE_SEATS_NAME_MAX;
    char *c;

    for (c = name; *c != '\0'; c++) {
        *c = (char)apr_tolower(*c);
        if (!apr_isascii(*c) || (!apr_isalnum(*c) && *c != '-' && *c != '_'
                                 && *c != '.')) {
            *c = '-';
            is_lossy = 1;
        }
    }
    if (is_lossy) {
        name = apr_psprintf(p, "%.*s-%08x", CLONE_SEATS_NAME_MAX - 9, name,
                            mark_of(cluster->name));
    }
    return side ? apr_pstrcat(p, name, "-https", NULL) : name;
}

const clone_plugin_transport_t *
clone_seats_needs_tls(const clone_plugin_cluster_t *cluster)
{
    unsigned int i;

    for (i = 0; i < cluster->server_count; i++) {
        const clone_plugin_server_t *server = &cluster->server[i];
        const clone_plugin_transport_t *transport;

        if (server->role == CLONE_PLUGIN_IDLE) {
            continue;
        }
        transport = clone_plugin_transport(server, 0);
        if (transport != NULL && transport->is_https) {
            return transport;
        }
    }
    return NULL;
}

/* As for a server, of the addresses of the whole cluster. */
static const clone_plugin_transport_t *
address_of(const clone_plugin_cluster_t *cluster, int is_https)
{
    unsigned int i;

    for (i = 0; i < cluster->address_count; i++) {
        if (cluster->address[i].is_https == is_https) {
            return &cluster->address[i];
        }
    }
    return cluster->address_count > 0 ? &cluster->address[0] : NULL;
}

int clone_seats_is_split(const clone_plugin_cluster_t *cluster)
{
    unsigned int i;

    for (i = 0; i < cluster->server_count; i++) {
        const clone_plugin_server_t *server = &cluster->server[i];

        if (server->role != CLONE_PLUGIN_IDLE
            && clone_plugin_transport(server, 0)
               != clone_plugin_transport(server, 1)) {
            return 1;
        }
    }
    return address_of(cluster, 0) != address_of(cluster, 1);
}

static unsigned int heaviest(const clone_plugin_cluster_t *cluster)
{
    unsigned int most = WEIGHT_MAX;
    unsigned int i;

    for (i = 0; i < cluster->server_count; i++) {
        if (cluster->server[i].weight > most) {
            most = cluster->server[i].weight;
        }
    }
    return most;
}

static const char *url_of(const clone_plugin_transport_t *transport,
                          apr_pool_t *p)
{
    return apr_psprintf(p, strchr(transport->host, ':') != NULL
                           ? "%s://[%s]:%u" : "%s://%s:%u",
                        transport->is_https ? "https" : "http",
                        transport->host, transport->port);
}

/* A free seat at this address; NULL when somebody has it. */
static clone_seat_t *add_seat(apr_array_header_t *seats,
                              const clone_plugin_transport_t *transport,
                              apr_pool_t *p)
{
    const char *url = url_of(transport, p);
    clone_seat_t *seat;

    if (clone_seats_at(seats, url) != NULL) {
        return NULL;
    }
    seat = apr_array_push(seats);
    memset(seat, 0, sizeof(*seat));
    seat->transport = transport;
    seat->url = url;
    seat->route = "";
    seat->factor = 100;
    return seat;
}

/* A tunnel of mod_proxy has one time-out, for both ways together. */
static int socket_sec_of(const clone_plugin_server_t *server)
{
    int sec = server->ws_idle_timeout_sec >= 0 ? server->ws_idle_timeout_sec
                                               : server->ws_io_timeout_sec;

    return sec > 0 ? sec : 0;
}

static void add_server(apr_array_header_t *seats,
                       const clone_plugin_cluster_t *cluster,
                       const clone_plugin_server_t *server, int is_https,
                       apr_pool_t *p)
{
    const clone_plugin_transport_t *transport =
        clone_plugin_transport(server, is_https);
    clone_seat_t *seat = server->role == CLONE_PLUGIN_IDLE || transport == NULL
                         ? NULL : add_seat(seats, transport, p);

    if (seat == NULL) {
        return;
    }
    seat->server = server;
    seat->route = server->clone_id != NULL ? server->clone_id : "";
    seat->lbset = server->role == CLONE_PLUGIN_BACKUP ? (int)server->rank + 1
                                                      : 0;
    seat->is_drained = server->weight == 0;
    if (!seat->is_drained) {
        seat->factor = (int)(server->weight * CLONE_SEATS_FACTOR_MAX
                             / heaviest(cluster));
        seat->factor = seat->factor > 0 ? seat->factor : 1;
    }
    seat->connect_sec = server->connect_timeout_sec;
    seat->io_sec = server->io_timeout_sec;
    seat->io_downs = server->io_timeout_downs;
    seat->retry_sec = cluster->retry_sec;
    seat->socket_sec = socket_sec_of(server);
    seat->is_waited_for = server->wait_for_continue;
}

apr_array_header_t *clone_seats_make(const clone_plugin_cluster_t *cluster,
                                        int is_https, apr_pool_t *p)
{
    apr_array_header_t *seats = apr_array_make(
        p, (int)cluster->server_count + 1, sizeof(clone_seat_t));
    const clone_plugin_transport_t *address = address_of(cluster, is_https);
    unsigned int i;

    for (i = 0; i < cluster->server_count; i++) {
        add_server(seats, cluster, &cluster->server[i], is_https, p);
    }
    if (address != NULL) {
        clone_seat_t *seat = add_seat(seats, address, p);

        if (seat != NULL) {
            seat->lbset = CLONE_SEATS_ADDRESS_SET;
            seat->retry_sec = cluster->retry_sec;
        }
    }
    return seats;
}

const clone_seat_t *clone_seats_at(const apr_array_header_t *seats,
                                       const char *url)
{
    const clone_seat_t *seat = (const void *)seats->elts;
    int i;

    for (i = 0; i < seats->nelts; i++) {
        if (strcmp(seat[i].url, url) == 0) {
            return &seat[i];
        }
    }
    return NULL;
}

unsigned int clone_seats_most(const clone_seat_t *seat)
{
    return seat->server != NULL ? seat->server->max_connections : 0;
}
