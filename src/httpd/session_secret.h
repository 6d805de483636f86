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
 * Read a file of secrets, and say at crit what is wrong with it.
 *
 * @param ring filled; empty on failure
 * @param path absolute
 * @param s for log lines
 * @param ptemp scratch
 * @return 1 when the ring may be used
 */
HA_CHECK_RESULT
int session_secret_read(ha_ring_t *ring, const char *path, server_rec *s,
                        apr_pool_t *ptemp);

#endif
