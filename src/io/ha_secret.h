/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_SECRET_H
#define HA_SECRET_H

/**
 * @file ha_secret.h
 * The file of secrets, read with suspicion.
 */

#include <apr_pools.h>

#include "ha_base.h"
#include "ha_ring.h"

/** Bytes of a file: all secrets at their longest, and as much again for
 * comments. */
#define HA_SECRET_FILE_MAX (2 * HA_SECRETS_MAX * HA_SECRET_LEN_MAX)

/** What became of a file. */
typedef enum ha_secret_e {
    HA_SECRET_OK = 0,
    HA_SECRET_UNREADABLE, /**< the system said no */
    HA_SECRET_IRREGULAR,  /**< a directory, a pipe: no regular file */
    HA_SECRET_LARGE,      /**< it has more than HA_SECRET_FILE_MAX bytes */
    HA_SECRET_EXPOSED,    /**< every user of this host may read or write it */
    HA_SECRET_BAD         /**< it holds something else */
} ha_secret_e;

/** Why. */
typedef struct ha_secret_fault_t {
    apr_status_t rv;    /**< with HA_SECRET_UNREADABLE */
    ha_ring_e ring;     /**< with HA_SECRET_BAD */
    unsigned int line;  /**< likewise, from 1; 0 when no line is at fault */
} ha_secret_fault_t;

/** @return what a file that could not be read does, "is no regular file"; "?"
 * for other results */
const char *ha_secret_name(ha_secret_e result);

/**
 * Read a file of secrets. What was read of it is wiped.
 *
 * @param ring filled; empty on failure
 * @param fault filled always
 * @param path absolute
 * @param ptemp scratch
 * @return HA_SECRET_OK when the ring may be used
 */
HA_CHECK_RESULT
ha_secret_e ha_secret_read(ha_ring_t *ring, ha_secret_fault_t *fault,
                           const char *path, apr_pool_t *ptemp);

#endif
