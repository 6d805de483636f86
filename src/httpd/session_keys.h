/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_KEYS_H
#define SESSION_KEYS_H

/**
 * @file session_keys.h
 * The secrets in use, and how they change while the server runs.
 *
 * The parent alone may read the file. It looks at it every few seconds, and
 * puts a ring that is good and new into memory that all children see. A ring
 * that stands there never changes and is never taken away, so readers need no
 * lock: they look up the number of the latest one.
 */

#include <httpd.h>

#include "ha_ring.h"
#include "ha_seal.h"
#include "ha_session.h"

/** What the file of secrets gave at one time. Never changes. */
typedef struct session_keys_t {
    ha_ring_t ring;   /**< signs and verifies cookies */
    ha_seal_t seal;   /**< of that ring; seals and opens records */
    apr_time_t since; /**< when it came into use */
    int is_shut;      /**< 1: it only stands in for a file that could not be
                           read; nothing is loaded or saved */
} session_keys_t;

/** What outlives a graceful restart, in the parent. */
typedef struct session_ring_t {
    ha_ring_t ring;             /**< the latest; count 0: none yet */
    ha_encryption_e encryption; /**< asked for since then */
    apr_time_t since;           /**< when one of these changed last */
    int is_read;                /**< 1: of a file; 0: random */
    int is_shut;                /**< as in session_keys_t */
} session_ring_t;

/** The rings of one generation of children. */
typedef struct session_vault_t session_vault_t;

/**
 * Make the vault, in the parent.
 *
 * @param vault made
 * @param latest its first ring; kept up to date by session_keys_monitor()
 * @param path the file of secrets; NULL for none
 * @param pconf owns it
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t session_keys_make(session_vault_t **vault,
                               session_ring_t *latest, const char *path,
                               apr_pool_t *pconf);

/**
 * The secrets in use now. Any thread, no lock, no allocation.
 *
 * @return valid for as long as the process lives
 */
const session_keys_t *session_keys(void);

/** @return what goes on when the file cannot be taken, for a log line */
const char *session_keys_left(const session_ring_t *ring);

/** Hook of the parent, every ten seconds: look at the file. */
int session_keys_monitor(apr_pool_t *p, server_rec *s);

/**
 * Count and report copies that a load could not open; once when it begins,
 * and once when it is over.
 *
 * @param noticed of one load
 * @param s for log lines
 */
void session_keys_note(const ha_noticed_t *noticed, server_rec *s);

#endif
