/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_MC_GUARD_H
#define HA_MC_GUARD_H

/**
 * @file ha_mc_guard.h
 * A look at an answer before libmemcached reads it, without taking it.
 */

#include <errno.h>

#include <sys/socket.h>

#include <apr_network_io.h>
#include <apr_time.h>

#include "ha_base.h"

/** Bytes of the greatest item that is read: memcached's own limit and more. */
#define HA_MC_ITEM_MAX (2 * 1024 * 1024)

/** What rv says when a node's words make no sense. */
#define HA_MC_GARBAGE EPROTO

/**
 * Whether a peer is who a connection was opened to. An IPv4 address and its
 * form in IPv6 are one.
 *
 * @param peer any address
 * @param host address literal
 * @param port of the host
 */
int ha_mc_guard_is_at(const struct sockaddr_storage *peer, const char *host,
                      apr_port_t port);

/**
 * Find this process's socket by its local port and its peer.
 *
 * @param from local port
 * @param host address literal the connection was opened to
 * @param port of the host
 * @return its descriptor, -1 when there is none
 */
int ha_mc_guard_find(apr_port_t from, const char *host, apr_port_t port);

/**
 * Find this process's socket to a unix socket, and mark it.
 *
 * @param path of the peer
 * @return the descriptor of the only one that is not marked; -1 when there
 *         are none or several, as when two threads connect at the same moment
 */
int ha_mc_guard_find_unix(const char *path);

/** Mark a socket that is not the one somebody looks for. */
void ha_mc_guard_mark(int fd);

/** Whether nothing came that nobody asked for, not even the end. */
int ha_mc_guard_is_quiet(int fd);

/**
 * Wait until the answer to a "gets" of one key is there, and judge it.
 *
 * Returns APR_SUCCESS when there is an empty answer, or an item of the right
 * key whose first line makes sense and which is there whole, or as much of it
 * as a socket surely holds.
 *
 * @param fd a socket
 * @param key the key asked for
 * @param deadline when to give up
 * @return APR_SUCCESS; APR_TIMEUP; HA_MC_GARBAGE; ECONNRESET when the peer
 *         has hung up; or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_mc_guard_wait(int fd, span_t key, apr_time_t deadline);

/**
 * Judge the beginning of an answer.
 *
 * @param total bytes of the whole answer, when it is told by then; else 0
 * @param seen what came so far
 * @param key the key asked for
 * @return APR_SUCCESS when total is known; APR_INCOMPLETE; HA_MC_GARBAGE
 */
HA_CHECK_RESULT
apr_status_t ha_mc_guard_judge(apr_size_t *total, span_t seen, span_t key);

#endif
