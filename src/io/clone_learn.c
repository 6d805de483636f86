/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash = SipHash-2-4( key, balancer 0x00 id )
 * set  = the hash's low bits; a set has eight places
 * word = the hash's high 32 bits, the member's 32 bits
 *
 * A place is one 64-bit word that is changed as a whole by compare-and-swap,
 * so no reader ever sees half of it, and a process that dies leaves nothing
 * half done. When an id was last used stands in a word of its own: it decides
 * what is forgotten and may be a moment late.
 *
 * The key is random, so nobody outside can choose ids that share a set, or
 * that are taken for each other.
 */
#include "clone_learn.h"

#include <apr_atomic.h>
#include <apr_siphash.h>

#define PLACES 8
#define MAGIC 0x636c6e31u /* changes with the layout */

/* How often an id is put while others change the same set. */
#define ATTEMPTS 16

typedef struct set_t {
    volatile apr_uint64_t word[PLACES]; /* 0: free */
    volatile apr_uint32_t used[PLACES]; /* seconds since 1970 */
} set_t;

struct clone_learn_t {
    apr_uint32_t magic;
    apr_uint32_t sets; /* a power of two */
    unsigned char key[CLONE_LEARN_KEY];
    volatile apr_uint64_t counts[CLONE_LEARN_COUNTS];
    set_t set[1]; /* sets of them */
};

static unsigned int sets_for(unsigned int ids)
{
    unsigned int sets = 1;

    while (sets * PLACES < ids && sets < 0x1000000) {
        sets *= 2;
    }
    return sets;
}

apr_size_t clone_learn_size(unsigned int ids)
{
    return sizeof(clone_learn_t) + (sets_for(ids) - 1) * sizeof(set_t);
}

int clone_learn_is_blank(const clone_learn_t *memory)
{
    return memory->magic != MAGIC;
}

void clone_learn_init(clone_learn_t *memory, unsigned int ids,
                      const unsigned char key[CLONE_LEARN_KEY])
{
    memory->sets = sets_for(ids);
    memcpy(memory->key, key, CLONE_LEARN_KEY);
    memory->magic = MAGIC;
}

apr_uint32_t clone_learn_member(const clone_learn_t *learn, span_t name)
{
    apr_uint64_t hash = apr_siphash24(name.data, name.len, learn->key);
    apr_uint32_t member = (apr_uint32_t)(hash >> 32);

    return member != 0 ? member : 1;
}

static apr_uint64_t hash_of(const clone_learn_t *learn, span_t balancer,
                            span_t id)
{
    unsigned char key[CLONE_LEARN_KEY];
    apr_uint64_t inner = apr_siphash24(balancer.data, balancer.len,
                                       learn->key);

    /* A key for each balancer, in place of a text joined of both. */
    memcpy(key, learn->key, sizeof(key));
    memcpy(key, &inner, sizeof(inner));
    return apr_siphash24(id.data, id.len, key);
}

static set_t *set_of(clone_learn_t *learn, apr_uint64_t hash)
{
    return &learn->set[hash & (learn->sets - 1)];
}

static apr_uint32_t tag_of(apr_uint64_t hash)
{
    return (apr_uint32_t)(hash >> 32);
}

static void touch(set_t *set, unsigned int i, apr_time_t now)
{
    apr_uint32_t now_sec = (apr_uint32_t)apr_time_sec(now);

    /* Read first: a line that is only read stays in every core's cache. */
    if (apr_atomic_read32(&set->used[i]) != now_sec) {
        apr_atomic_set32(&set->used[i], now_sec);
    }
}

apr_uint32_t clone_learn_find(clone_learn_t *learn, span_t balancer,
                              span_t id, apr_time_t now)
{
    apr_uint64_t hash = hash_of(learn, balancer, id);
    set_t *set = set_of(learn, hash);
    unsigned int i;

    for (i = 0; i < PLACES; i++) {
        apr_uint64_t word = apr_atomic_read64(&set->word[i]);

        if (word != 0 && tag_of(word) == tag_of(hash)) {
            touch(set, i, now);
            return (apr_uint32_t)word;
        }
    }
    return 0;
}

/* What the id's places hold, and the best place for it. */
typedef struct scan_t {
    unsigned int place;  /* its own, else a free one, else the oldest */
    apr_uint64_t held;   /* the word there */
    int is_mine;
} scan_t;

/*
 * Two writers may have put one id at two free places in the same moment. The
 * later of them is freed, or it would come back when the first is forgotten.
 */
static void scan(scan_t *found, set_t *set, apr_uint32_t tag)
{
    apr_uint32_t oldest = 0;
    unsigned int i;

    memset(found, 0, sizeof(*found));
    for (i = 0; i < PLACES; i++) {
        apr_uint64_t word = apr_atomic_read64(&set->word[i]);
        apr_uint32_t used = word == 0 ? 0 : apr_atomic_read32(&set->used[i]);

        if (word != 0 && tag_of(word) == tag) {
            if (found->is_mine) {
                (void)apr_atomic_cas64(&set->word[i], 0, word);
                continue;
            }
            found->is_mine = 1;
        }
        else if (found->is_mine || (i > 0 && used >= oldest)) {
            continue;
        }
        oldest = used;
        found->place = i;
        found->held = word;
    }
}

clone_learn_put_e clone_learn_put(clone_learn_t *learn, span_t balancer,
                                  span_t id, apr_uint32_t member,
                                  apr_time_t now)
{
    apr_uint64_t hash = hash_of(learn, balancer, id);
    apr_uint64_t word = (apr_uint64_t)tag_of(hash) << 32 | member;
    set_t *set = set_of(learn, hash);
    int attempt;

    for (attempt = 0; attempt < ATTEMPTS; attempt++) {
        scan_t found;

        scan(&found, set, tag_of(hash));
        touch(set, found.place, now);
        if (found.is_mine && found.held == word) {
            return CLONE_LEARN_KEPT;
        }
        if (apr_atomic_cas64(&set->word[found.place], word, found.held)
            != found.held) {
            continue;
        }
        clone_learn_add(learn, CLONE_LEARN_LEARNED);
        if (!found.is_mine && found.held != 0) {
            clone_learn_add(learn, CLONE_LEARN_EVICTED);
        }
        return CLONE_LEARN_NEW;
    }
    return CLONE_LEARN_BUSY;
}

void clone_learn_add(clone_learn_t *learn, clone_learn_count_e which)
{
    (void)apr_atomic_inc64(&learn->counts[which]);
}

apr_uint64_t clone_learn_count(clone_learn_t *learn,
                               clone_learn_count_e which)
{
    return apr_atomic_read64(&learn->counts[which]);
}

unsigned int clone_learn_held(clone_learn_t *learn)
{
    unsigned int held = 0;
    unsigned int i;
    unsigned int k;

    for (i = 0; i < learn->sets; i++) {
        for (k = 0; k < PLACES; k++) {
            held += apr_atomic_read64(&learn->set[i].word[k]) != 0;
        }
    }
    return held;
}

unsigned int clone_learn_room(const clone_learn_t *learn)
{
    return learn->sets * PLACES;
}
