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
 *
 * Where the number is limited, nobody has the time to add cells. So there is a
 * sum, too, in a word with the number of its changes:
 *
 *   | changes, 32 bits | sum, 32 bits |
 *
 * Whoever frees a cell takes its count from the sum. A process that is killed
 * between the two leaves a sum that is wrong by one: it is compared to the
 * cells now and then when it says full, and put right when it is wrong twice
 * by as much, and nothing had changed meanwhile.
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

#define CHANGE ((apr_uint64_t)1 << 32)

/* How often a sum that says full is compared to the cells. */
#define CHECK_USEC (APR_USEC_PER_SEC / 5)

/* A line of the cache for each. */
typedef struct slot_t {
    apr_uint64_t id;       /* hash of its names; 0: nobody's */
    apr_time_t last;       /* end of its last request */
    apr_time_t missed;     /* sessions may be uncounted until then */
    apr_time_t drained;    /* since when it drains; 0: it does not */
    apr_uint64_t sum;      /* of all flights, and its changes */
    apr_time_t checked;    /* when that was compared to the cells */
    apr_uint32_t flights;  /* those that found no cell */
    apr_int32_t excess;    /* by which the sum was wrong then */
    apr_time_t back;       /* since when it serves; 0: nobody has looked */
} slot_t;

#define AWAY ((apr_time_t)-1) /* as a time since when: it does not */

/* What became of requests that a limit concerned. */
typedef struct tale_t {
    apr_uint64_t count[CLONE_BOARD_COUNTS];
    apr_time_t told; /* when the log had a word of it */
    apr_uint64_t spare[7 - CLONE_BOARD_COUNTS];
} tale_t;

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
    tale_t tale[CLONE_SLOTS];
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

/* The slot of this name; the first who asks takes a free one. */
static clone_slot_no find_slot(clone_board_t *board, apr_uint64_t id)
{
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

clone_slot_no clone_board_slot(clone_board_t *board,
                               const clone_board_key_t *key, span_t member)
{
    return find_slot(board, clone_board_hash(key, member));
}

clone_slot_no clone_board_queue(clone_board_t *board, clone_slot_no slot)
{
    return find_slot(board, ~__atomic_load_n(&board->slot[slot].id,
                                             __ATOMIC_RELAXED));
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

apr_time_t clone_board_back(clone_board_t *board, clone_slot_no slot)
{
    apr_time_t since = __atomic_load_n(&board->slot[slot].back,
                                       __ATOMIC_RELAXED);

    return since == AWAY ? 0 : since;
}

void clone_board_watch(clone_board_t *board, clone_slot_no slot, int is_here,
                       apr_time_t unseen, apr_time_t now)
{
    apr_time_t *back = &board->slot[slot].back;
    apr_time_t was = __atomic_load_n(back, __ATOMIC_RELAXED);

    if (!is_here) {
        if (was != AWAY) {
            __atomic_store_n(back, AWAY, __ATOMIC_RELAXED);
        }
        return;
    }
    if (was == AWAY || was == 0) {
        (void)__atomic_compare_exchange_n(back, &was,
                                          was == 0 ? unseen : now, 0,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
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
static void free_cell(clone_board_t *board, cell_t *cell, apr_uint64_t id)
{
    apr_uint64_t was = id;

    if (__atomic_compare_exchange_n(&cell->id, &was, BEING_FREED, 0,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        apr_uint32_t count = __atomic_exchange_n(&cell->count, 0,
                                                 __ATOMIC_RELAXED);

        __atomic_fetch_add(&board->slot[(apr_uint32_t)id].sum, CHANGE - count,
                           __ATOMIC_SEQ_CST);
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
                free_cell(board, &board->cell[at], other);
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

/* A flight that is in the sum already. */
static clone_flight_t take_off(clone_board_t *board, clone_slot_no slot)
{
    clone_flight_t flight;

    flight.slot = slot;
    flight.cell = find_cell(board, slot);
    __atomic_fetch_add(count_of(board, flight), 1, __ATOMIC_SEQ_CST);
    return flight;
}

clone_flight_t clone_board_enter(clone_board_t *board, clone_slot_no slot)
{
    __atomic_fetch_add(&board->slot[slot].sum, CHANGE + 1, __ATOMIC_SEQ_CST);
    return take_off(board, slot);
}

void clone_board_leave(clone_board_t *board, clone_flight_t flight)
{
    __atomic_fetch_sub(count_of(board, flight), 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&board->slot[flight.slot].sum, CHANGE - 1,
                       __ATOMIC_SEQ_CST);
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
            free_cell(board, cell, id);
        }
        else {
            sum += count;
        }
    }
    return sum;
}

/* The part of it that both times agree on. */
static apr_int32_t certain(apr_int32_t before, apr_int32_t now)
{
    if (before > 0 && now > 0) {
        return before < now ? before : now;
    }
    if (before < 0 && now < 0) {
        return before > now ? before : now;
    }
    return 0;
}

/* Compare the sum to the cells, if it is time for that, and we are first. */
static void check(clone_board_t *board, clone_slot_no no, apr_time_t now)
{
    slot_t *slot = &board->slot[no];
    apr_time_t last = __atomic_load_n(&slot->checked, __ATOMIC_RELAXED);
    apr_uint64_t sum;
    apr_int32_t excess;
    apr_int32_t wrong;

    if ((last <= now && now - last < CHECK_USEC)
        || !__atomic_compare_exchange_n(&slot->checked, &last, now, 0,
                                        __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
        return;
    }
    sum = __atomic_load_n(&slot->sum, __ATOMIC_SEQ_CST);
    excess = (apr_int32_t)((apr_uint32_t)sum - clone_board_flights(board, no));
    if (__atomic_load_n(&slot->sum, __ATOMIC_SEQ_CST) != sum) {
        return; /* somebody came or went, or was found dead */
    }
    wrong = certain(__atomic_exchange_n(&slot->excess, excess,
                                        __ATOMIC_RELAXED), excess);
    if (wrong != 0
        && __atomic_compare_exchange_n(
            &slot->sum, &sum, sum + CHANGE - (apr_uint64_t)(apr_int64_t)wrong,
            0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        __atomic_store_n(&slot->excess, 0, __ATOMIC_RELAXED);
    }
}

int clone_board_is_full(clone_board_t *board, clone_slot_no slot,
                        unsigned int most, apr_time_t now)
{
    if ((apr_uint32_t)__atomic_load_n(&board->slot[slot].sum,
                                      __ATOMIC_SEQ_CST) < most) {
        return 0;
    }
    check(board, slot, now);
    return 1;
}

int clone_board_try(clone_flight_t *flight, clone_board_t *board,
                    clone_slot_no slot, unsigned int most, apr_time_t now)
{
    apr_uint64_t *sum = &board->slot[slot].sum;
    apr_uint64_t was = __atomic_load_n(sum, __ATOMIC_SEQ_CST);

    flight->slot = 0;
    flight->cell = -1;
    do {
        if ((apr_uint32_t)was >= most) {
            check(board, slot, now);
            return 0;
        }
    } while (!__atomic_compare_exchange_n(sum, &was, was + CHANGE + 1, 0,
                                          __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    *flight = take_off(board, slot);
    return 1;
}

/* ---- what became of them ------------------------------------------------- */

void clone_board_count(clone_board_t *board, clone_slot_no slot,
                       clone_board_count_e what)
{
    __atomic_fetch_add(&board->tale[slot].count[what], 1, __ATOMIC_RELAXED);
}

apr_uint64_t clone_board_counted(const clone_board_t *board,
                                 clone_slot_no slot, clone_board_count_e what)
{
    return __atomic_load_n(&board->tale[slot].count[what], __ATOMIC_RELAXED);
}

apr_uint64_t clone_board_counted_all(const clone_board_t *board,
                                     clone_board_count_e what)
{
    apr_uint64_t sum = 0;
    unsigned int i;

    for (i = 0; i < CLONE_SLOTS; i++) {
        sum += clone_board_counted(board, i, what);
    }
    return sum;
}

int clone_board_may_tell(clone_board_t *board, clone_slot_no slot,
                         apr_interval_time_t every, apr_time_t now)
{
    apr_time_t *told = &board->tale[slot].told;
    apr_time_t was = __atomic_load_n(told, __ATOMIC_RELAXED);

    return (was > now || now - was >= every)
           && __atomic_compare_exchange_n(told, &was, now, 0,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* ---- start --------------------------------------------------------------- */

void clone_board_begin(clone_board_t *board)
{
    unsigned int i;

    own_number = (apr_uint32_t)getpid();
    for (i = 0; i < CELLS; i++) {
        apr_uint64_t id = id_at(&board->cell[i]);

        if (id >> 32 == own_number) {
            free_cell(board, &board->cell[i], id);
        }
    }
}
