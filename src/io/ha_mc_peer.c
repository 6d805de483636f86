/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_mc_peer.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <apr_strings.h>

/*
 * Connections are used last in, first out, so that few stay warm and the rest
 * can be told from below. A stack holds connections of one process: it is
 * empty at the fork and filled in children alone.
 */

/** Whether a host is an address already. */
static int is_literal(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, address) == 1
           || inet_pton(AF_INET6, host, address) == 1;
}

apr_status_t ha_mc_peer_init(ha_mc_peer_t *peer)
{
    const ha_mc_node_t *node = peer->node;

    peer->idle = NULL;
    peer->idle_count = 0;
    peer->ips = 0;
    peer->pick = 0;
    peer->has_failed = 0;
    peer->is_name = node->path == NULL && !is_literal(node->host);
    if (node->path == NULL && !peer->is_name) {
        apr_cpystrn(peer->ip[0], node->host, HA_MC_IP_SIZE);
        peer->ips = 1;
    }
    return pthread_mutex_init(&peer->lock, NULL);
}

apr_status_t ha_mc_peer_resolve(ha_mc_peer_t *peer, apr_pool_t *p)
{
    char ip[HA_MC_IPS_MAX][HA_MC_IP_SIZE];
    apr_sockaddr_t *at = NULL;
    unsigned int ips = 0;
    apr_status_t rv;

    if (!peer->is_name) {
        return APR_SUCCESS;
    }
    __atomic_store_n(&peer->has_failed, 0, __ATOMIC_RELAXED);
    rv = apr_sockaddr_info_get(&at, peer->node->host, APR_UNSPEC,
                               peer->node->port, 0, p);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (; at && ips < HA_MC_IPS_MAX; at = at->next) {
        if (apr_sockaddr_ip_getbuf(ip[ips], HA_MC_IP_SIZE, at)
            == APR_SUCCESS) {
            ips++;
        }
    }
    if (ips == 0) {
        return APR_ENOTIMPL;
    }
    (void)pthread_mutex_lock(&peer->lock);
    if (peer->ips != ips || memcmp(peer->ip, ip, ips * sizeof(ip[0])) != 0) {
        memcpy(peer->ip, ip, ips * sizeof(ip[0]));
        peer->ips = ips;
        peer->pick = 0;
    }
    (void)pthread_mutex_unlock(&peer->lock);
    return APR_SUCCESS;
}

unsigned int ha_mc_peer_where(ha_mc_peer_t *peer, char ip[HA_MC_IP_SIZE * 2])
{
    unsigned int ips;

    if (peer->node->path) {
        apr_cpystrn(ip, peer->node->path, HA_MC_IP_SIZE * 2);
        return 1;
    }
    ip[0] = '\0';
    (void)pthread_mutex_lock(&peer->lock);
    ips = peer->ips;
    if (ips) {
        apr_cpystrn(ip, peer->ip[peer->pick], HA_MC_IP_SIZE);
    }
    (void)pthread_mutex_unlock(&peer->lock);
    return ips;
}

int ha_mc_peer_is_lost(ha_mc_peer_t *peer)
{
    char ip[HA_MC_IP_SIZE * 2];

    return peer->is_name
           && (ha_mc_peer_where(peer, ip) == 0
               || !ha_health_is_up(peer->health, peer->slot)
               || __atomic_load_n(&peer->has_failed, __ATOMIC_RELAXED));
}

static int is_loopback(const char *ip)
{
    unsigned char v6[sizeof(struct in6_addr)];
    unsigned char v4[sizeof(struct in_addr)];
    static const unsigned char one[sizeof(v6)] = { 0, 0, 0, 0, 0, 0, 0, 0,
                                                   0, 0, 0, 0, 0, 0, 0, 1 };
    static const unsigned char mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0,
                                            0, 0, 0xff, 0xff, 127 };

    if (inet_pton(AF_INET, ip, v4) == 1) {
        return v4[0] == 127;
    }
    return inet_pton(AF_INET6, ip, v6) == 1
           && (memcmp(v6, one, sizeof(one)) == 0
               || memcmp(v6, mapped, sizeof(mapped)) == 0);
}

int ha_mc_peer_is_local(ha_mc_peer_t *peer)
{
    unsigned int local = 0;
    unsigned int i;

    if (peer->node->path != NULL) {
        return 1;
    }
    (void)pthread_mutex_lock(&peer->lock);
    for (i = 0; i < peer->ips; i++) {
        local += (unsigned int)is_loopback(peer->ip[i]);
    }
    i = peer->ips;
    (void)pthread_mutex_unlock(&peer->lock);
    return i > 0 && local == i;
}

void ha_mc_peer_turn(ha_mc_peer_t *peer, const char *ip)
{
    (void)pthread_mutex_lock(&peer->lock);
    if (peer->ips > 1 && strcmp(peer->ip[peer->pick], ip) == 0) {
        peer->pick = (peer->pick + 1) % peer->ips;
    }
    (void)pthread_mutex_unlock(&peer->lock);
}

/* ---- idle connections ---------------------------------------------------- */

static ha_mc_conn_t *take_top(ha_mc_peer_t *peer)
{
    ha_mc_conn_t *conn;

    (void)pthread_mutex_lock(&peer->lock);
    conn = peer->idle;
    if (conn) {
        peer->idle = ha_mc_conn_link(conn)->next;
        peer->idle_count--;
    }
    (void)pthread_mutex_unlock(&peer->lock);
    return conn;
}

ha_mc_conn_t *ha_mc_peer_take(ha_mc_peer_t *peer)
{
    ha_mc_conn_t *conn = take_top(peer);

    while (conn && !ha_mc_conn_is_quiet(conn)) {
        ha_health_doubt(peer->health, peer->slot);
        ha_mc_conn_close(conn);
        conn = take_top(peer);
    }
    return conn;
}

void ha_mc_peer_give(ha_mc_peer_t *peer, ha_mc_conn_t *conn, apr_time_t now)
{
    ha_mc_link_t *link = ha_mc_conn_link(conn);
    int is_full;

    link->last_used = now;
    (void)pthread_mutex_lock(&peer->lock);
    is_full = peer->idle_count >= HA_MC_IDLE_MAX;
    if (!is_full) {
        link->next = peer->idle;
        peer->idle = conn;
        peer->idle_count++;
    }
    (void)pthread_mutex_unlock(&peer->lock);
    if (is_full) {
        ha_mc_conn_close(conn);
    }
}

void ha_mc_peer_trim(ha_mc_peer_t *peer, apr_time_t before)
{
    ha_mc_conn_t **at;
    ha_mc_conn_t *conn;
    unsigned int kept = 0;

    (void)pthread_mutex_lock(&peer->lock);
    for (at = &peer->idle; *at; at = &ha_mc_conn_link(*at)->next, kept++) {
        if (ha_mc_conn_link(*at)->last_used < before) {
            break;
        }
    }
    conn = *at;
    *at = NULL;
    peer->idle_count = kept;
    (void)pthread_mutex_unlock(&peer->lock);
    while (conn) {
        ha_mc_conn_t *next = ha_mc_conn_link(conn)->next;

        ha_mc_conn_close(conn);
        conn = next;
    }
}

/* ---- reports ------------------------------------------------------------- */

static void speak(const ha_mc_peer_t *peer, ha_event_e kind, apr_status_t rv,
                  apr_time_t waited)
{
    ha_event_t event;

    if (peer->event == NULL) {
        return;
    }
    event.kind = kind;
    event.node = peer->node->place.name;
    event.rv = rv;
    event.waited_msec = (int)(waited / 1000);
    event.failures = ha_health_failures(peer->health, peer->slot);
    event.away_sec = 0;
    if (kind == HA_EVENT_UP || kind == HA_EVENT_RESTARTED) {
        event.away_sec = (int)apr_time_sec(ha_health_away(peer->health,
                                                          peer->slot));
    }
    peer->event(peer->ctx, &event);
}

/** Tell of what a report changed. */
static void tell(const ha_mc_peer_t *peer, ha_health_e what, apr_status_t rv,
                 apr_time_t waited)
{
    switch (what) {
    case HA_HEALTH_WENT_DOWN:
        speak(peer, HA_EVENT_DOWN, rv, waited);
        break;
    case HA_HEALTH_CAME_UP:
        speak(peer, HA_EVENT_UP, rv, waited);
        break;
    case HA_HEALTH_FORGOT:
        speak(peer, HA_EVENT_RESTARTED, rv, waited);
        break;
    case HA_HEALTH_FLUSHED:
        speak(peer, HA_EVENT_FLUSHED, rv, waited);
        break;
    case HA_HEALTH_DROPS:
        speak(peer, HA_EVENT_FULL, rv, waited);
        break;
    case HA_HEALTH_SAME:
    default:
        break;
    }
}

void ha_mc_peer_answered(ha_mc_peer_t *peer, apr_time_t now,
                         apr_time_t waited)
{
    tell(peer, ha_health_succeeded(peer->health, peer->slot, now),
         APR_SUCCESS, waited);
}

void ha_mc_peer_failed(ha_mc_peer_t *peer, apr_status_t rv, apr_time_t now,
                       apr_time_t waited)
{
    ha_health_e what = ha_health_failed(peer->health, peer->slot, now);

    __atomic_store_n(&peer->has_failed, 1, __ATOMIC_RELAXED);
    if (rv == HA_MC_GARBAGE
        && ha_health_may_tell(peer->health, peer->slot, now)) {
        speak(peer, HA_EVENT_GARBAGE, rv, waited);
    }
    tell(peer, what, rv, waited);
}

void ha_mc_peer_identified(ha_mc_peer_t *peer, apr_uint32_t pid,
                           apr_time_t started, apr_time_t now,
                           apr_time_t waited)
{
    tell(peer, ha_health_identified(peer->health, peer->slot, now - waited,
                                    pid, started, now),
         APR_SUCCESS, waited);
}

void ha_mc_peer_counted(ha_mc_peer_t *peer, apr_uint64_t flushes,
                        apr_uint64_t evictions, apr_time_t now)
{
    tell(peer, ha_health_counted(peer->health, peer->slot, flushes, evictions,
                                 now),
         APR_SUCCESS, 0);
}
