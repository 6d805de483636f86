/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_courier_board.h"

#include <apr_shm.h>

/*
 * Every member is one word, read and written whole. Sums across slots are of
 * one moment only roughly, which is what a status page needs.
 */

/** Children at the same time that are shown. */
#define SLOTS 1024

/** A slot whose heart has not beaten for as long is nobody's. */
#define DEAD_USEC (60 * APR_USEC_PER_SEC)

typedef struct slot_t {
    apr_time_t beat; /* 0: free */
    apr_uint64_t waiting;
    apr_uint64_t bytes;
    apr_time_t oldest;
} slot_t;

struct ha_courier_board_t {
    apr_uint64_t sent;
    apr_uint64_t dropped;
    apr_uint64_t told;         /* dropped when that was said last */
    apr_uint32_t is_dropping;  /* 1: said so, and not yet over */
    slot_t slot[SLOTS];
};

#define READ(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define WRITE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)

apr_status_t ha_courier_board_create(ha_courier_board_t **board,
                                     apr_pool_t *p)
{
    apr_shm_t *memory = NULL;
    apr_status_t rv = apr_shm_create(&memory, sizeof(**board), NULL, p);

    *board = NULL;
    if (rv == APR_SUCCESS) {
        *board = apr_shm_baseaddr_get(memory);
        memset(*board, 0, sizeof(**board));
    }
    return rv;
}

static int is_alive(apr_time_t beat, apr_time_t now)
{
    return beat != 0 && now - beat < DEAD_USEC;
}

void ha_courier_usage(ha_courier_usage_t *usage,
                      const ha_courier_board_t *board, apr_time_t now)
{
    int i;

    memset(usage, 0, sizeof(*usage));
    usage->sent = READ(board->sent);
    usage->dropped = READ(board->dropped);
    for (i = 0; i < SLOTS; i++) {
        const slot_t *slot = &board->slot[i];
        apr_time_t oldest = READ(slot->oldest);

        if (!is_alive(READ(slot->beat), now)) {
            continue;
        }
        usage->waiting += READ(slot->waiting);
        usage->bytes += READ(slot->bytes);
        if (oldest != 0 && (usage->oldest == 0 || oldest < usage->oldest)) {
            usage->oldest = oldest;
        }
    }
}

int ha_courier_board_claim(ha_courier_board_t *board, apr_time_t now)
{
    int i;

    for (i = 0; i < SLOTS; i++) {
        slot_t *slot = &board->slot[i];
        apr_time_t beat = READ(slot->beat);

        if (!is_alive(beat, now)
            && __atomic_compare_exchange_n(&slot->beat, &beat, now, 0,
                                           __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE)) {
            WRITE(slot->waiting, 0);
            WRITE(slot->bytes, 0);
            WRITE(slot->oldest, 0);
            return i;
        }
    }
    return -1;
}

void ha_courier_board_tell(ha_courier_board_t *board, int slot,
                           const ha_courier_usage_t *usage, apr_time_t now)
{
    if (slot >= 0) {
        WRITE(board->slot[slot].waiting, usage->waiting);
        WRITE(board->slot[slot].bytes, usage->bytes);
        WRITE(board->slot[slot].oldest, usage->oldest);
        WRITE(board->slot[slot].beat, now);
    }
}

void ha_courier_board_leave(ha_courier_board_t *board, int slot)
{
    if (slot >= 0) {
        WRITE(board->slot[slot].waiting, 0);
        WRITE(board->slot[slot].beat, 0);
    }
}

void ha_courier_board_sent(ha_courier_board_t *board, apr_uint64_t count)
{
    (void)__atomic_add_fetch(&board->sent, count, __ATOMIC_RELAXED);
}

int ha_courier_board_dropped(ha_courier_board_t *board, apr_uint64_t count)
{
    apr_uint32_t no = 0;

    (void)__atomic_add_fetch(&board->dropped, count, __ATOMIC_RELAXED);
    return __atomic_compare_exchange_n(&board->is_dropping, &no, 1, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

int ha_courier_board_is_over(ha_courier_board_t *board, apr_time_t now,
                             apr_uint64_t *dropped)
{
    ha_courier_usage_t usage;
    apr_uint32_t yes = 1;

    *dropped = 0;
    if (!READ(board->is_dropping)) {
        return 0;
    }
    ha_courier_usage(&usage, board, now);
    if (usage.waiting > 0
        || !__atomic_compare_exchange_n(&board->is_dropping, &yes, 0, 0,
                                        __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
        return 0;
    }
    *dropped = usage.dropped - READ(board->told);
    WRITE(board->told, usage.dropped);
    return 1;
}
