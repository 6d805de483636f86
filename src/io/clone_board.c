/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests under way are counted for each process apart, in cells:
 *
 *   | process, 32 bits | member, 32 bits |  count        id 0: free
 *
 * A count that all processes shared would be wrong for ever after one of them
 * was killed within a request, and its member never be free of requests. Of
 * a process that is gone the cells are freed by whoever comes by. Two threads
 * may make two cells for one process and member: both are added.
 */
#include "clone_board.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <apr_siphash.h>

#define CELLS 16384
#define WINDOW 64 /* cells that one process and member may be in */
#define PROBES 256 /* likewise, numbers of one member */
#define BEING_FREED ((apr_uint64_t)1) /* no process has the number 0 */

typedef struct slot_t {
    apr_uint64_t id;       /* hash of its names; 0: nobody's */
    apr_time_t last;       /* end of its last request */
    apr_time_t missed;     /* sessions may be uncounted until then */
    apr_time_t drained;    /* since when it drains; 0: it does not */
    apr_uint32_t flights;  /* those that found no cell */
    apr_uint32_t spare[7]; /* a line of the cache for each */
} slot_t;

typedef struct cell_t {
    apr_uint64_t id;
    apr_uint32_t count;
    apr_uint32_t spare;
} cell_t;

struct clone_board_t {
    apr_uint32_t is_made;
    unsigned char key[CLONE_BOARD_KEY];
    apr_uint32_t spare[11];
    slot_t slot[CLONE_SLOTS];
    cell_t cell[CELLS];
};

apr_size_t clone_board_size(void)
{
    return sizeof(clone_board_t);
}

int clone_board_is_made(const clone_board_t *board)
{
    return board->is_made != 0;
}

void clone_board_init(clone_board_t *board,
                      const unsigned char key[CLONE_BOARD_KEY])
{
    memcpy(board->key, key, sizeof(board->key));
    board->is_made = 1;
}

void clone_board_key(clone_board_key_t *key, const clone_board_t *board,
                     span_t balancer)
{
    apr_uint64_t hash = apr_siphash24(balancer.data, balancer.len,
                                      board->key);
    apr_size_t i;

    memcpy(key->bytes, board->key, sizeof(key->bytes));
    for (i = 0; i < sizeof(hash); i++) {
        key->bytes[i] ^= (unsigned char)(hash >> 8 * i);
    }
}

apr_uint64_t clone_board_hash(const clone_board_key_t *key, span_t session)
{
    return apr_siphash24(session.data, session.len, key->bytes);
}

/* ---- members ------------------------------------------------------------- */

clone_slot_no clone_board_slot(clone_board_t *board,
                               const clone_board_key_t *key, span_t member)
{
    apr_uint64_t id = clone_board_hash(key, member);
    apr_uint64_t first;
    unsigned int i;

    id += id == 0;
    first = id % (CLONE_SLOTS - 2);
    for (i = 0; i < PROBES; i++) {
        /* 0 is none and 1 is the waiters'. */
        unsigned int no = 2 + (unsigned int)((first + i) % (CLONE_SLOTS - 2));
        apr_uint64_t found = __atomic_load_n(&board->slot[no].id,
                                             __ATOMIC_RELAXED);

        if (found == id
            || (found == 0
                && (__atomic_compare_exchange_n(&board->slot[no].id, &found,
                                                id, 0, __ATOMIC_RELAXED,
                                                __ATOMIC_RELAXED)
                    || found == id))) {
            return no;
        }
    }
    return 0;
}

/* Times only rise. */
static void raise_time(apr_time_t *at, apr_time_t to)
{
    apr_time_t was = __atomic_load_n(at, __ATOMIC_RELAXED);

    while (was < to
           && !__atomic_compare_exchange_n(at, &was, to, 0, __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED)) {
        /* was is what another one made of it */
    }
}

void clone_board_note(clone_board_t *board, clone_slot_no slot,
                      apr_time_t now)
{
    raise_time(&board->slot[slot].last, now);
}

apr_time_t clone_board_last(const clone_board_t *board, clone_slot_no slot)
{
    return __atomic_load_n(&board->slot[slot].last, __ATOMIC_RELAXED);
}

void clone_board_miss(clone_board_t *board, clone_slot_no slot,
                      apr_time_t until)
{
    raise_time(&board->slot[slot].missed, until);
}

apr_time_t clone_board_missed(const clone_board_t *board, clone_slot_no slot)
{
    return __atomic_load_n(&board->slot[slot].missed, __ATOMIC_RELAXED);
}

apr_time_t clone_board_drain(clone_board_t *board, clone_slot_no slot,
                             int is_draining, apr_time_t now)
{
    apr_time_t *since = &board->slot[slot].drained;
    apr_time_t was = __atomic_load_n(since, __ATOMIC_RELAXED);

    if (!is_draining) {
        if (was != 0) {
            __atomic_store_n(since, 0, __ATOMIC_RELAXED);
        }
        return 0;
    }
    if (was == 0
        && __atomic_compare_exchange_n(since, &was, now, 0, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED)) {
        return now;
    }
    return was;
}

/* ---- requests under way -------------------------------------------------- */

/* Of this process. Kept: each request needs it, and getpid() asks the kernel
 * every time. */
static apr_uint32_t own_number;

static int is_gone(apr_uint32_t process)
{
    return kill((pid_t)process, 0) != 0 && errno == ESRCH;
}

/* Free a cell; of several who try, one does. */
static void free_cell(cell_t *cell, apr_uint64_t id)
{
    if (__atomic_compare_exchange_n(&cell->id, &id, BEING_FREED, 0,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        __atomic_store_n(&cell->count, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&cell->id, 0, __ATOMIC_RELEASE);
    }
}

static int claim(cell_t *cell, apr_uint64_t id)
{
    apr_uint64_t none = 0;

    return __atomic_compare_exchange_n(&cell->id, &none, id, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static apr_uint64_t id_at(const cell_t *cell)
{
    return __atomic_load_n(&cell->id, __ATOMIC_ACQUIRE);
}

static int find_cell(clone_board_t *board, clone_slot_no slot)
{
    apr_uint64_t id = (apr_uint64_t)own_number << 32 | slot;
    unsigned int first = (unsigned int)((id * 0x9e3779b97f4a7c15u) >> 40);
    int is_again;
    unsigned int i;

    for (i = 0; i < WINDOW; i++) {
        unsigned int at = (first + i) % CELLS;

        if (id_at(&board->cell[at]) == id) {
            return (int)at;
        }
    }
    for (is_again = 0; is_again < 2; is_again++) {
        for (i = 0; i < WINDOW; i++) {
            unsigned int at = (first + i) % CELLS;
            apr_uint64_t other = id_at(&board->cell[at]);

            if (is_again && other > BEING_FREED
                && is_gone((apr_uint32_t)(other >> 32))) {
                free_cell(&board->cell[at], other);
            }
            if (claim(&board->cell[at], id)) {
                return (int)at;
            }
        }
    }
    return -1;
}

static apr_uint32_t *count_of(clone_board_t *board, clone_flight_t flight)
{
    return flight.cell < 0 ? &board->slot[flight.slot].flights
                           : &board->cell[flight.cell].count;
}

clone_flight_t clone_board_enter(clone_board_t *board, clone_slot_no slot)
{
    clone_flight_t flight;

    flight.slot = slot;
    flight.cell = find_cell(board, slot);
    __atomic_fetch_add(count_of(board, flight), 1, __ATOMIC_SEQ_CST);
    return flight;
}

void clone_board_leave(clone_board_t *board, clone_flight_t flight)
{
    __atomic_fetch_sub(count_of(board, flight), 1, __ATOMIC_SEQ_CST);
}

unsigned int clone_board_flights(clone_board_t *board, clone_slot_no slot)
{
    unsigned int sum = __atomic_load_n(&board->slot[slot].flights,
                                       __ATOMIC_SEQ_CST);
    unsigned int i;

    for (i = 0; i < CELLS; i++) {
        cell_t *cell = &board->cell[i];
        apr_uint64_t id = id_at(cell);
        apr_uint32_t count = __atomic_load_n(&cell->count, __ATOMIC_SEQ_CST);

        if (id <= BEING_FREED || (apr_uint32_t)id != slot || count == 0) {
            continue;
        }
        if (is_gone((apr_uint32_t)(id >> 32))) {
            free_cell(cell, id);
        }
        else {
            sum += count;
        }
    }
    return sum;
}

void clone_board_begin(clone_board_t *board)
{
    unsigned int i;

    own_number = (apr_uint32_t)getpid();
    for (i = 0; i < CELLS; i++) {
        apr_uint64_t id = id_at(&board->cell[i]);

        if (id >> 32 == own_number) {
            free_cell(&board->cell[i], id);
        }
    }
}
