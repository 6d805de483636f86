/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of sessions with open addressing. Who fills or empties a slot
 * owns it meanwhile (BUSY) by compare-and-swap; nobody waits, and a slot that
 * is owned is passed over. A child that dies as an owner loses one slot. Two
 * notes of one session may stand twice, and a note may get lost to somebody
 * who takes the session at that moment: both cost a repair, no session.
 */
#include "ha_refill.h"

#include <apr_shm.h>

/* Slots in which a session may stand. */
#define WAYS 16

#define EMPTY 0
#define BUSY 1
#define READY 2

typedef struct slot_t {
    apr_uint32_t state;
    ha_refill_job_t job;
} slot_t;

struct ha_refill_t {
    apr_uint64_t nodes;   /* stands for the list of nodes */
    apr_uint64_t pending;
    apr_uint64_t done;
    apr_uint64_t dropped;
    apr_uint32_t is_full; /* 1: it has been said */
    apr_uint32_t cursor;  /* where to look for work next */
    apr_time_t due;
    slot_t slot[HA_REFILL_MAX];
};

#define READ(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define WRITE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)
#define ADD(word, value) \
    (void)__atomic_add_fetch(&(word), (value), __ATOMIC_ACQ_REL)

static int own(slot_t *slot, apr_uint32_t from)
{
    return __atomic_compare_exchange_n(&slot->state, &from, BUSY, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

apr_status_t ha_refill_create(ha_refill_t **refill, apr_pool_t *p)
{
    apr_shm_t *memory = NULL;
    apr_status_t rv = apr_shm_create(&memory, sizeof(**refill), NULL, p);

    *refill = NULL;
    if (rv == APR_SUCCESS) {
        *refill = apr_shm_baseaddr_get(memory);
        memset(*refill, 0, sizeof(**refill));
    }
    return rv;
}

void ha_refill_open(ha_refill_t *refill, apr_uint64_t nodes)
{
    unsigned int i;

    if (READ(refill->nodes) == nodes) {
        return;
    }
    WRITE(refill->nodes, nodes);
    for (i = 0; i < HA_REFILL_MAX; i++) {
        WRITE(refill->slot[i].state, EMPTY);
    }
    WRITE(refill->pending, 0);
    WRITE(refill->is_full, 0);
}

int ha_refill_is_open(const ha_refill_t *refill, apr_uint64_t nodes)
{
    return READ(refill->nodes) == nodes;
}

static slot_t *way_of(ha_refill_t *refill, const unsigned char *digest,
                      unsigned int way)
{
    apr_uint32_t first;

    memcpy(&first, digest, sizeof(first));
    return &refill->slot[(first + way) % HA_REFILL_MAX];
}

/* Add to what is noted of a session; 0 when nothing is. */
static int add_to_known(ha_refill_t *refill, const ha_refill_job_t *job)
{
    unsigned int way;

    for (way = 0; way < WAYS; way++) {
        slot_t *slot = way_of(refill, job->digest, way);

        if (READ(slot->state) != READY || !own(slot, READY)) {
            continue;
        }
        if (memcmp(slot->job.digest, job->digest, HA_SID_DIGEST) == 0) {
            apr_uint64_t nodes = slot->job.nodes | job->nodes;

            slot->job = *job;
            slot->job.nodes = nodes;
            WRITE(slot->state, READY);
            return 1;
        }
        WRITE(slot->state, READY);
    }
    return 0;
}

int ha_refill_note(ha_refill_t *refill, const ha_refill_job_t *job)
{
    unsigned int way;

    if (add_to_known(refill, job)) {
        return 0;
    }
    for (way = 0; way < WAYS; way++) {
        slot_t *slot = way_of(refill, job->digest, way);

        if (own(slot, EMPTY)) {
            slot->job = *job;
            ADD(refill->pending, 1);
            WRITE(slot->state, READY);
            return 0;
        }
    }
    ADD(refill->dropped, 1);
    return __atomic_exchange_n(&refill->is_full, 1, __ATOMIC_ACQ_REL) == 0;
}

/* Take what can be done now of a slot; 0 when nothing can. */
static int take_from(ha_refill_t *refill, slot_t *slot, ha_refill_job_t *job,
                     apr_uint64_t nodes)
{
    if (READ(slot->state) != READY || !own(slot, READY)) {
        return 0;
    }
    *job = slot->job;
    job->nodes &= nodes;
    slot->job.nodes &= ~nodes;
    if (slot->job.nodes != 0) {
        WRITE(slot->state, READY);
        return job->nodes != 0;
    }
    WRITE(slot->state, EMPTY);
    if (__atomic_sub_fetch(&refill->pending, 1, __ATOMIC_ACQ_REL) == 0) {
        WRITE(refill->is_full, 0);
    }
    return 1;
}

int ha_refill_take(ha_refill_t *refill, ha_refill_job_t *job,
                   apr_uint64_t nodes)
{
    apr_uint32_t at = READ(refill->cursor);
    unsigned int i;

    if (nodes == 0 || READ(refill->pending) == 0) {
        return 0;
    }
    for (i = 0; i < HA_REFILL_MAX; i++) {
        if (take_from(refill, &refill->slot[(at + i) % HA_REFILL_MAX], job,
                      nodes)) {
            WRITE(refill->cursor, at + i + 1);
            return 1;
        }
    }
    return 0;
}

void ha_refill_done(ha_refill_t *refill)
{
    ADD(refill->done, 1);
}

void ha_refill_usage(ha_refill_usage_t *usage, const ha_refill_t *refill)
{
    usage->pending = READ(refill->pending);
    usage->done = READ(refill->done);
    usage->dropped = READ(refill->dropped);
}

int ha_refill_claim(ha_refill_t *refill, apr_interval_time_t *wait,
                    apr_time_t now, apr_interval_time_t every)
{
    apr_time_t due = READ(refill->due);

    if (now < due && due - now <= every) {
        *wait = due - now;
        return 0;
    }
    *wait = every;
    return __atomic_compare_exchange_n(&refill->due, &due, now + every, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
