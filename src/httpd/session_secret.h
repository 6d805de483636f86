/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_SECRET_H
#define SESSION_SECRET_H

/**
 * @file session_secret.h
 * The file of secrets.
 */

#include <httpd.h>

#include "ha_base.h"
#include "ha_ring.h"

/**
 * Read a file of secrets, and say what is wrong with it: at crit where the
 * server will not start, at error where it goes on.
 *
 * @param ring filled; empty on failure
 * @param path absolute
 * @param is_up 1: the server runs, and goes on whatever comes of it
 * @param s for log lines
 * @param ptemp scratch
 * @return 1 when the ring may be used
 */
HA_CHECK_RESULT
int session_secret_read(ha_ring_t *ring, const char *path, int is_up,
                        server_rec *s, apr_pool_t *ptemp);

#endif
