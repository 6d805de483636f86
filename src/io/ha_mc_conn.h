/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_MC_CONN_H
#define HA_MC_CONN_H

/**
 * @file ha_mc_conn.h
 * One connection to one memcached: a handle of libmemcached and what keeps it
 * from hurting us. Belongs to one thread at a time.
 */

#include <apr_network_io.h>
#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_mc_guard.h"
#include "ha_store.h"

typedef struct ha_mc_conn_t ha_mc_conn_t;

/**
 * Make a handle. Connects with the first send.
 *
 * @param host address literal, or path of a unix socket
 * @param port 0 for a path
 * @return to be closed; NULL when memory is out
 */
ha_mc_conn_t *ha_mc_conn_open(const char *host, apr_port_t port);

/**
 * Whether a connection that was idle is as it was left: nobody hung up, and
 * nothing came that was not asked for.
 */
int ha_mc_conn_is_quiet(const ha_mc_conn_t *conn);

/**
 * Whether answers are looked at before they are read. After a first answer;
 * one that is not guarded should not be used again.
 */
int ha_mc_conn_is_guarded(const ha_mc_conn_t *conn);

/** Close and free. Waits for nobody. */
void ha_mc_conn_close(ha_mc_conn_t *conn);

/**
 * Send a verb and a request to read the item back. Touch is not a verb here.
 *
 * @param key terminated
 * @param call verb, data and version
 * @param expires as memcached wants it
 * @param msec for connecting, and as often as the socket is full; at least 1
 * @return APR_SUCCESS; APR_TIMEUP; or what the system said. After a failure
 *         the connection can only be closed.
 */
HA_CHECK_RESULT
apr_status_t ha_mc_conn_send(ha_mc_conn_t *conn, const char *key,
                             const ha_call_t *call, time_t expires, int msec);

/**
 * Read the item back.
 *
 * @param key the one that was sent
 * @param call answer, version and held are filled on success alone
 * @param deadline when to give up
 * @param p owns held
 * @return APR_SUCCESS; APR_TIMEUP; HA_MC_GARBAGE; or what the system said.
 *         After a failure the connection can only be closed.
 */
HA_CHECK_RESULT
apr_status_t ha_mc_conn_fetch(ha_mc_conn_t *conn, const char *key,
                              ha_call_t *call, apr_time_t deadline,
                              apr_pool_t *p);

/** Milliseconds until a deadline, rounded up, at least 1. */
int ha_mc_rest_msec(apr_time_t deadline);

/** Links of the stack of idle connections; its owner's business. */
typedef struct ha_mc_link_t {
    ha_mc_conn_t *next;   /**< below in the stack */
    apr_time_t last_used; /**< when it was put there */
} ha_mc_link_t;

/** The links of a connection. */
ha_mc_link_t *ha_mc_conn_link(ha_mc_conn_t *conn);

#endif
