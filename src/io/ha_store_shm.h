/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_STORE_SHM_H
#define HA_STORE_SHM_H

/**
 * @file ha_store_shm.h
 * The seam over shared memory of this host: one node, no server.
 *
 * Two objects with two lives. The memory holds the sessions and outlives a
 * graceful restart; it is plain data and survives the module being unloaded
 * and loaded again. The store is how one generation of the module uses it.
 */

#include <apr_pools.h>

#include "ha_store.h"

/** The memory: segments, locks, items. Shared by all children. */
typedef struct ha_shm_t ha_shm_t;

/**
 * Make the memory. In the parent, before the fork.
 *
 * @param shm made; NULL on failure
 * @param size bytes, HA_SHM_MIN to HA_SHM_MAX
 * @param p owns it; the process pool, for it to outlive a restart
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_shm_create(ha_shm_t **shm, apr_size_t size, apr_pool_t *p);

/** Bytes the memory was made with. */
apr_size_t ha_shm_size(const ha_shm_t *shm);

/** What is in the memory right now. */
typedef struct ha_shm_usage_t {
    apr_uint64_t items;   /**< items that are not over */
    apr_uint64_t used;    /**< bytes of blocks in use */
    apr_uint64_t size;    /**< bytes of all blocks */
    apr_uint64_t dropped; /**< items dropped before their time, ever */
} ha_shm_usage_t;

/**
 * Look at the memory. Any thread.
 *
 * @param usage filled
 */
void ha_shm_usage(ha_shm_usage_t *usage, ha_shm_t *shm);

/**
 * Make a store over the memory. In the parent or in a child.
 *
 * @param shm outlives the store
 * @param event called when items are dropped before their time, at most
 *              once a minute; may be NULL
 * @param ctx handed to event
 * @param p owns the store
 * @return the store; never NULL
 */
ha_store_t *ha_store_shm_make(ha_shm_t *shm, ha_event_fn event, void *ctx,
                              apr_pool_t *p);

#endif
