/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHM_SITE_H
#define SHM_SITE_H

/**
 * @file shm_site.h
 * A store over shared memory for a test. Failing here fails the test.
 */

#include "ha_limits.h"
#include "ha_store_shm.h"

/** Seconds that items live. */
#define SHM_TTL 3600

/** How long a call may take, and how long is for ever. */
#define SHM_BUDGET_USEC (10 * APR_USEC_PER_SEC)
#define SHM_PATIENCE_USEC (30 * APR_USEC_PER_SEC)

extern apr_pool_t *shm_pool;     /**< of the test */
extern ha_shm_t *shm_memory;     /**< the smallest there is, at first */
extern ha_store_t *shm_store;    /**< over it */
extern unsigned int shm_events;  /**< told by it */
extern char shm_pattern[HA_VALUE_MAX + 1]; /**< bytes that differ */

/** Fixture. */
void shm_set_up(void);

/** Fixture. */
void shm_tear_down(void);

/** Take other memory. */
void shm_use_memory(apr_size_t size);

/**
 * End the process unless it is so. For code that other threads and processes
 * run too: libcheck reports assertions through a pipe of the test's thread.
 */
void shm_must(int is_so);

/** One call, with an answer that is known. Any thread, any process. */
ha_call_t shm_call(ha_verb_e verb, const char *key, span_t data,
                   apr_uint64_t version, apr_uint32_t ttl, apr_pool_t *p);

/** Get. */
ha_call_t shm_get(const char *key);

/** Add. */
ha_call_t shm_add(const char *key, const char *text);

/** The answer is a hit, and this text is held. */
void shm_assert_holds(ha_call_t one, const char *text);

/** The answer is a miss. */
void shm_assert_missed(ha_call_t one);

/** What is in the memory. */
ha_shm_usage_t shm_usage(void);

/** Wait until an item is over. */
void shm_wait_until_missed(const char *key);

#endif
