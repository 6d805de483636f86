/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One word is one session:
 *
 *   | expires, 22 bits | member, 12 bits | name, 30 bits |      0: free
 *
 * A session may stand in one of two buckets of eight words, which its hash
 * picks; the name is further bits of the hash. A word changes by compare and
 * swap alone, so a process that dies leaves nothing half done, and nobody
 * waits for anybody. Nothing is counted while requests are served: who wants
 * to know reads the table, which cannot drift.
 *
 * With two buckets to choose from and half of the words to spare, the table
 * takes what was asked for, and a session that finds both buckets full is a
 * rare thing that add() tells. Two sessions are taken for one when both share
 * a bucket and a name, which in a million comes to one in a hundred tables.
 *
 * Two threads may enter one session at the same time, in two words. Whoever
 * has entered one looks again, and of two the later in order is taken away;
 * both threads see it the same way, and at least one sees both.
 *
 * Expiry is in seconds, modulo 2^22. What lies up to CLONE_SESSION_IDLE_MAX
 * ahead is live, all else is over; so words that are over must be freed before
 * the clock is round, in 38 days. Additions free what they meet, and the sweep
 * the rest. A clock that is set back makes sessions last longer, not shorter.
 */
#include "clone_sessions.h"

#define WAYS 8
#define NAME_BITS 30
#define SLOT_BITS 12
#define TIME_BITS 22
#define TIME_MASK ((1u << TIME_BITS) - 1)
#define NAME_MASK ((1u << NAME_BITS) - 1)
#define SWEEP_SEC 3600

struct clone_sessions_t {
    apr_uint64_t buckets; /* 0: not laid out yet */
    apr_time_t since;
    apr_time_t swept;     /* second of the last sweep */
    apr_uint64_t spare[5]; /* words begin on a line of the cache */
    apr_uint64_t word[];
};

/* Where a session may stand. */
typedef struct place_t {
    apr_uint64_t *bucket[2];
    apr_uint32_t name;
} place_t;

static apr_uint64_t buckets_for(apr_uint32_t sessions)
{
    return ((apr_uint64_t)sessions * 3 / 2 + WAYS - 1) / WAYS + 2;
}

apr_size_t clone_sessions_size(apr_uint32_t sessions)
{
    return sizeof(clone_sessions_t)
           + (apr_size_t)buckets_for(sessions) * WAYS * sizeof(apr_uint64_t);
}

void clone_sessions_init(clone_sessions_t *table, apr_uint32_t sessions,
                         apr_time_t now)
{
    table->buckets = buckets_for(sessions);
    table->swept = apr_time_sec(now);
    table->since = now;
}

apr_time_t clone_sessions_since(const clone_sessions_t *table)
{
    return table->since;
}

/* ---- one word ------------------------------------------------------------ */

static apr_uint64_t load(const apr_uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static int swap(apr_uint64_t *word, apr_uint64_t from, apr_uint64_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static apr_uint32_t name_in(apr_uint64_t word)
{
    return (apr_uint32_t)word & NAME_MASK;
}

static unsigned int slot_in(apr_uint64_t word)
{
    return (unsigned int)(word >> NAME_BITS) & (CLONE_SLOTS - 1);
}

/* Seconds until it is over; 0 when it is. */
static apr_uint32_t left_in(apr_uint64_t word, apr_uint32_t now_sec)
{
    apr_uint32_t expires = (apr_uint32_t)(word >> (NAME_BITS + SLOT_BITS));
    apr_uint32_t left = (expires - now_sec) & TIME_MASK;

    /* Room above the limit: the clock may have been set back a little. */
    return left <= CLONE_SESSION_IDLE_MAX + SWEEP_SEC ? left : 0;
}

static apr_uint64_t word_of(apr_uint32_t name, unsigned int slot,
                            apr_uint32_t expires)
{
    return (apr_uint64_t)(expires & TIME_MASK) << (NAME_BITS + SLOT_BITS)
           | (apr_uint64_t)(slot & (CLONE_SLOTS - 1)) << NAME_BITS | name;
}

static apr_uint32_t second_of(apr_time_t now)
{
    return (apr_uint32_t)((apr_uint64_t)apr_time_sec(now) & TIME_MASK);
}

/* ---- one session --------------------------------------------------------- */

static void find_place(place_t *place, const clone_sessions_t *table,
                       apr_uint64_t hash)
{
    apr_uint64_t *word = (void *)(apr_uintptr_t)table->word;
    apr_uint64_t low = hash & 0xffffffffu;
    apr_uint64_t mixed = hash * 0x9e3779b97f4a7c15u;
    apr_uint64_t first = low * table->buckets >> 32;
    apr_uint64_t step = 1 + ((mixed >> 32) * (table->buckets - 1) >> 32);
    apr_uint64_t second = (first + step) % table->buckets;

    place->bucket[0] = word + first * WAYS;
    place->bucket[1] = word + second * WAYS;
    place->name = (apr_uint32_t)(hash >> 34);
    if (place->name == 0) {
        place->name = 1; /* a word that says nothing else is free */
    }
}

static apr_uint64_t *word_at(const place_t *place, int i)
{
    return &place->bucket[i / WAYS][i % WAYS];
}

/* The first word of a session; -1 when there is none. Later ones go. */
static int find_only(const place_t *place)
{
    int found = -1;
    int i;

    for (i = 0; i < 2 * WAYS; i++) {
        apr_uint64_t word = load(word_at(place, i));

        if (name_in(word) != place->name) {
            continue;
        }
        if (found < 0) {
            found = i;
        }
        else {
            (void)swap(word_at(place, i), word, 0);
        }
    }
    return found;
}

/* Change the word of a session that is there; 0 when it no longer is. */
static int renew(const place_t *place, int i, apr_uint64_t to)
{
    apr_uint64_t *at = word_at(place, i);

    for (;;) {
        apr_uint64_t word = load(at);

        if (name_in(word) != place->name) {
            return 0;
        }
        if (word == to || swap(at, word, to)) {
            return 1;
        }
    }
}

/* Take a word that is free or over, in the emptier bucket. */
static int enter(const place_t *place, apr_uint64_t to, apr_uint32_t now_sec)
{
    int room[2] = { 0, 0 };
    int i;
    int first;

    for (i = 0; i < 2 * WAYS; i++) {
        room[i / WAYS] += left_in(load(word_at(place, i)), now_sec) == 0;
    }
    first = room[1] > room[0] ? WAYS : 0;
    for (i = 0; i < 2 * WAYS; i++) {
        apr_uint64_t *at = word_at(place, (first + i) % (2 * WAYS));
        apr_uint64_t word = load(at);

        if ((word == 0 || left_in(word, now_sec) == 0)
            && swap(at, word, to)) {
            return 1;
        }
    }
    return 0;
}

int clone_sessions_add(clone_sessions_t *table, apr_uint64_t hash,
                       unsigned int slot, apr_uint32_t idle_sec,
                       apr_time_t now)
{
    apr_uint32_t now_sec = second_of(now);
    apr_uint64_t to;
    place_t place;
    int i;

    find_place(&place, table, hash);
    /* A second more: the one that has begun does not count. */
    to = word_of(place.name, slot, now_sec + idle_sec + 1);
    i = find_only(&place);
    if (i >= 0 && renew(&place, i, to)) {
        return 1;
    }
    if (!enter(&place, to, now_sec)) {
        return 0;
    }
    (void)find_only(&place);
    return 1;
}

void clone_sessions_remove(clone_sessions_t *table, apr_uint64_t hash)
{
    place_t place;
    int i;

    find_place(&place, table, hash);
    for (i = find_only(&place); i >= 0; i = find_only(&place)) {
        apr_uint64_t word = load(word_at(&place, i));

        if (name_in(word) == place.name) {
            (void)swap(word_at(&place, i), word, 0);
        }
    }
}

unsigned int clone_sessions_find(const clone_sessions_t *table,
                                 apr_uint64_t hash, apr_time_t now,
                                 apr_uint32_t *left_sec)
{
    place_t place;
    int i;

    *left_sec = 0;
    find_place(&place, table, hash);
    for (i = 0; i < 2 * WAYS; i++) {
        apr_uint64_t word = load(word_at(&place, i));

        if (name_in(word) == place.name) {
            *left_sec = left_in(word, second_of(now));
            return *left_sec > 0 ? slot_in(word) : 0;
        }
    }
    return 0;
}

/* ---- all sessions -------------------------------------------------------- */

void clone_sessions_tally(const clone_sessions_t *table, clone_tally_t *tally,
                          apr_time_t now)
{
    apr_uint64_t count = table->buckets * WAYS;
    apr_uint32_t now_sec = second_of(now);
    apr_uint64_t i;

    memset(tally, 0, CLONE_SLOTS * sizeof(*tally));
    for (i = 0; i < count; i++) {
        apr_uint64_t word = load(&table->word[i]);
        apr_uint32_t left = word != 0 ? left_in(word, now_sec) : 0;

        if (left > 0) {
            clone_tally_t *one = &tally[slot_in(word)];

            one->sessions++;
            if (left > one->longest) {
                one->longest = left;
            }
        }
    }
}

void clone_sessions_sweep(clone_sessions_t *table, apr_time_t now)
{
    apr_time_t swept = __atomic_load_n(&table->swept, __ATOMIC_RELAXED);
    apr_uint64_t count = table->buckets * WAYS;
    apr_uint64_t i;

    if (apr_time_sec(now) - swept < SWEEP_SEC
        || !__atomic_compare_exchange_n(&table->swept, &swept,
                                        apr_time_sec(now), 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        return;
    }
    for (i = 0; i < count; i++) {
        apr_uint64_t word = load(&table->word[i]);

        if (word != 0 && left_in(word, second_of(now)) == 0) {
            (void)swap(&table->word[i], word, 0);
        }
    }
}
