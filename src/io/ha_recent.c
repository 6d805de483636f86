/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_recent.h"

#include <apr_shm.h>

/*
 * One word a slot: the high half names the session by bytes of its digest,
 * the low half is the time in seconds. The slot comes from other bytes of the
 * digest, which are as good as random, so that two sessions meet in one slot
 * by chance alone. A word is read and written whole; nobody locks, and a lost
 * race costs one touch.
 */

/** Slots, a power of two: 1 MiB of words. */
#define SLOTS (128 * 1024)

struct ha_recent_t {
    apr_uint64_t word[SLOTS];
};

static apr_uint32_t four_bytes(const unsigned char *from)
{
    return (apr_uint32_t)from[0] << 24 | (apr_uint32_t)from[1] << 16
           | (apr_uint32_t)from[2] << 8 | from[3];
}

static apr_uint32_t slot_of(const ha_sid_t *sid)
{
    return four_bytes(sid->digest) & (SLOTS - 1);
}

static apr_uint32_t name_of(const ha_sid_t *sid)
{
    return four_bytes(sid->digest + 4);
}

apr_status_t ha_recent_create(ha_recent_t **recent, apr_pool_t *p)
{
    apr_shm_t *memory = NULL;
    apr_status_t rv = apr_shm_create(&memory, sizeof(**recent), NULL, p);

    *recent = NULL;
    if (rv == APR_SUCCESS) {
        *recent = apr_shm_baseaddr_get(memory);
        memset(*recent, 0, sizeof(**recent));
    }
    return rv;
}

apr_time_t ha_recent_get(const ha_recent_t *recent, const ha_sid_t *sid)
{
    apr_uint64_t word = __atomic_load_n(&recent->word[slot_of(sid)],
                                        __ATOMIC_RELAXED);

    if ((apr_uint32_t)(word >> 32) != name_of(sid)) {
        return 0;
    }
    return apr_time_from_sec((apr_time_t)(word & 0xffffffffu));
}

void ha_recent_set(ha_recent_t *recent, const ha_sid_t *sid, apr_time_t now)
{
    apr_uint64_t word = (apr_uint64_t)name_of(sid) << 32
                        | (apr_uint32_t)apr_time_sec(now);

    __atomic_store_n(&recent->word[slot_of(sid)], word, __ATOMIC_RELAXED);
}
