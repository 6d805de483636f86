/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_health.h"

#include <apr_shm.h>

#include "ha_limits.h"

/*
 * Every member that children share is one word, read and written whole.
 * Who changes down_since from or to 0 has changed the node's state, so that
 * of many reports in many children exactly one is told to speak.
 *
 * A node's misses count as knowledge only while it is whole: reached without
 * a gap, by one and the same process, which was not told to forget everything
 * and drops nothing. A failure, a restart and such a count end that, and so
 * does a doubt. A doubt is any connection newly made: for all we know
 * its server has just started. It lasts until a probe that began after it
 * finds the process that was there before. An absence ends with being whole
 * since its end, whatever was reported while it lasted.
 */

#define SLOTS (HA_NODES_MAX * 2)
#define ADDRESS_MAX 272

/** Microseconds between two probes of a node: down at first, at last, up. */
#define BACKOFF_MIN_USEC (250 * 1000)
#define BACKOFF_MAX_USEC (2 * 1000 * 1000)
#define CHECK_USEC (5 * 1000 * 1000)

/** A node down again as soon as this after it came up goes on backing off. */
#define FLAP_USEC (10 * APR_USEC_PER_SEC)

/** Microseconds at least between two checks because of doubts. */
#define DOUBT_USEC (50 * 1000)

/** A server's start is known to about a second. */
#define START_SLACK_USEC (2 * APR_USEC_PER_SEC)

/** A slot that no configuration asked for as long may be reused. */
#define STALE_USEC (60 * APR_USEC_PER_SEC)

/** Microseconds between two words about nonsense, or about dropped items. */
#define TELL_USEC (60 * APR_USEC_PER_SEC)

typedef struct slot_t {
    char name[HA_NAME_MAX + 1];    /* set in the parent alone */
    char address[ADDRESS_MAX + 1];
    apr_time_t wanted;             /* last asked for; 0: never */
    apr_time_t down_since;         /* 0: up */
    apr_time_t up_since;           /* the last time it came up */
    apr_time_t whole_since;        /* 0: not known */
    apr_time_t started;            /* the server's start */
    apr_time_t away;               /* length of the last absence */
    apr_time_t due;                /* next probe */
    apr_time_t claimed;            /* last probe */
    apr_time_t told;               /* last word about nonsense */
    apr_time_t told_full;          /* and about dropped items */
    apr_uint64_t flushes;          /* what it has counted */
    apr_uint64_t evictions;
    apr_uint32_t pid;              /* the server's; 0: not known */
    apr_uint32_t counting;         /* whose counts these are; 0: nobody's */
    apr_uint32_t failures;         /* in a row */
    apr_uint32_t backoff;          /* microseconds */
    apr_uint32_t doubts;           /* raised so far */
    apr_uint32_t checking;         /* doubts when the last probe began */
    apr_uint32_t settled;          /* doubts that a probe has settled */
} slot_t;

struct ha_health_t {
    slot_t slot[SLOTS];
};

#define READ(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define WRITE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)

/** Change a time from what it was believed to be; 1 for who did it. */
static int change(apr_time_t *word, apr_time_t from, apr_time_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

apr_status_t ha_health_create(ha_health_t **health, apr_pool_t *p)
{
    apr_shm_t *memory = NULL;
    apr_status_t rv = apr_shm_create(&memory, sizeof(**health), NULL, p);

    *health = NULL;
    if (rv == APR_SUCCESS) {
        *health = apr_shm_baseaddr_get(memory);
        memset(*health, 0, sizeof(**health));
    }
    return rv;
}

static int is_named(const slot_t *slot, span_t name, span_t address)
{
    return slot->wanted
           && span_is_equal(span_of_text(slot->name), name)
           && span_is_equal(span_of_text(slot->address), address);
}

/** A slot nobody has, or the one nobody wanted for longest; or -1. */
static int find_room(const ha_health_t *health, apr_time_t now)
{
    int best = 0;
    int i;

    for (i = 1; i < SLOTS; i++) {
        if (health->slot[i].wanted < health->slot[best].wanted) {
            best = i;
        }
    }
    return health->slot[best].wanted < now - STALE_USEC ? best : -1;
}

int ha_health_slot(ha_health_t *health, span_t name, span_t address,
                   apr_time_t now)
{
    slot_t *slot;
    int i;

    if (name.len > HA_NAME_MAX || address.len > ADDRESS_MAX) {
        return -1;
    }
    for (i = 0; i < SLOTS; i++) {
        if (is_named(&health->slot[i], name, address)) {
            health->slot[i].wanted = now;
            return i;
        }
    }
    i = find_room(health, now);
    if (i >= 0) {
        slot = &health->slot[i];
        memset(slot, 0, sizeof(*slot));
        memcpy(slot->name, name.data, name.len);
        memcpy(slot->address, address.data, address.len);
        slot->wanted = now;
    }
    return i;
}

int ha_health_is_up(const ha_health_t *health, int slot)
{
    return READ(health->slot[slot].down_since) == 0;
}

apr_time_t ha_health_whole_since(const ha_health_t *health, int slot)
{
    const slot_t *s = &health->slot[slot];

    if (READ(s->down_since) || READ(s->doubts) != READ(s->settled)) {
        return 0;
    }
    return READ(s->whole_since);
}

int ha_health_failures(const ha_health_t *health, int slot)
{
    return (int)READ(health->slot[slot].failures);
}

apr_time_t ha_health_away(const ha_health_t *health, int slot)
{
    return READ(health->slot[slot].away);
}

/** End an absence, if there is one; 1 for who did it. */
static int come_up(slot_t *s, apr_time_t now)
{
    apr_time_t since = READ(s->down_since);

    if (since == 0 || !change(&s->down_since, since, 0)) {
        return 0;
    }
    WRITE(s->failures, 0);
    WRITE(s->up_since, now);
    WRITE(s->away, now - since);
    WRITE(s->due, now + CHECK_USEC);
    return 1;
}

ha_health_e ha_health_succeeded(ha_health_t *health, int slot, apr_time_t now)
{
    slot_t *s = &health->slot[slot];

    if (READ(s->failures)) {
        WRITE(s->failures, 0);
    }
    if (READ(s->down_since)) {
        WRITE(s->whole_since, now);
    }
    else if (READ(s->whole_since) == 0) {
        (void)change(&s->whole_since, 0, now);
    }
    return come_up(s, now) ? HA_HEALTH_CAME_UP : HA_HEALTH_SAME;
}

ha_health_e ha_health_failed(ha_health_t *health, int slot, apr_time_t now)
{
    slot_t *s = &health->slot[slot];
    apr_uint32_t failures;
    apr_uint32_t backoff;

    WRITE(s->whole_since, 0);
    failures = __atomic_add_fetch(&s->failures, 1, __ATOMIC_ACQ_REL);
    if (failures < HA_HEALTH_FAILURES || !change(&s->down_since, 0, now)) {
        return HA_HEALTH_SAME;
    }
    backoff = READ(s->backoff);
    if (backoff == 0 || now - READ(s->up_since) > FLAP_USEC) {
        backoff = BACKOFF_MIN_USEC;
        WRITE(s->backoff, backoff);
    }
    WRITE(s->due, now + backoff);
    return HA_HEALTH_WENT_DOWN;
}

void ha_health_missed(ha_health_t *health, int slot)
{
    WRITE(health->slot[slot].whole_since, 0);
}

/** Whether to speak of something again; 1 for the one who shall. */
static int may_tell(apr_time_t *word, apr_time_t now)
{
    apr_time_t told = READ(*word);

    return (told == 0 || now - told >= TELL_USEC) && change(word, told, now);
}

int ha_health_may_tell(ha_health_t *health, int slot, apr_time_t now)
{
    return may_tell(&health->slot[slot].told, now);
}

void ha_health_doubt(ha_health_t *health, int slot)
{
    (void)__atomic_add_fetch(&health->slot[slot].doubts, 1, __ATOMIC_ACQ_REL);
}

int ha_health_is_doubted(const ha_health_t *health, int slot)
{
    const slot_t *s = &health->slot[slot];
    apr_uint32_t doubts = READ(s->doubts);

    return READ(s->down_since) == 0 && doubts != READ(s->settled)
           && doubts != READ(s->checking);
}

/** Microseconds until the probe after this one, a quarter of it by chance. */
static apr_time_t next_wait(slot_t *s, apr_uint32_t random)
{
    apr_uint32_t wait = CHECK_USEC;

    if (READ(s->down_since)) {
        wait = READ(s->backoff);
        wait = wait ? wait : BACKOFF_MIN_USEC;
        WRITE(s->backoff, wait < BACKOFF_MAX_USEC / 2 ? wait * 2
                                                      : BACKOFF_MAX_USEC);
    }
    return (apr_time_t)wait + random % (wait / 4);
}

int ha_health_claim(ha_health_t *health, int slot, apr_time_t now,
                    apr_uint32_t random)
{
    slot_t *s = &health->slot[slot];
    apr_time_t due = READ(s->due);
    apr_uint32_t doubts = READ(s->doubts);
    int is_doubted = ha_health_is_doubted(health, slot);

    if (now < due
        && !(is_doubted && now >= READ(s->claimed) + DOUBT_USEC)) {
        return 0;
    }
    if (!change(&s->due, due, now + next_wait(s, random))) {
        return 0;
    }
    WRITE(s->claimed, now);
    WRITE(s->checking, doubts);
    return 1;
}

ha_health_e ha_health_identified(ha_health_t *health, int slot,
                                 apr_time_t began, apr_uint32_t pid,
                                 apr_time_t started, apr_time_t now)
{
    slot_t *s = &health->slot[slot];
    apr_time_t down_since = READ(s->down_since);
    apr_uint32_t known = READ(s->pid);
    int forgot = known
                 && (known != pid
                     || started > READ(s->started) + START_SLACK_USEC);
    int came_up;

    if (began < down_since) {
        return HA_HEALTH_SAME;
    }
    WRITE(s->pid, pid);
    WRITE(s->started, started);
    if (down_since || known == 0 || forgot || READ(s->whole_since) == 0) {
        WRITE(s->whole_since, now);
    }
    WRITE(s->settled, READ(s->checking));
    came_up = come_up(s, now);
    if (forgot) {
        return HA_HEALTH_FORGOT;
    }
    return came_up ? HA_HEALTH_CAME_UP : HA_HEALTH_SAME;
}

ha_health_e ha_health_counted(ha_health_t *health, int slot,
                              apr_uint64_t flushes, apr_uint64_t evictions,
                              apr_time_t now)
{
    slot_t *s = &health->slot[slot];
    int is_first = READ(s->counting) != READ(s->pid);
    int is_flushed = flushes > READ(s->flushes);
    int is_dropping = evictions > READ(s->evictions);

    WRITE(s->flushes, flushes);
    WRITE(s->evictions, evictions);
    WRITE(s->counting, READ(s->pid));
    if (is_first || (!is_flushed && !is_dropping)) {
        return HA_HEALTH_SAME;
    }
    WRITE(s->whole_since, now);
    if (is_flushed) {
        return HA_HEALTH_FLUSHED;
    }
    return may_tell(&s->told_full, now) ? HA_HEALTH_DROPS : HA_HEALTH_SAME;
}

apr_uint64_t ha_health_evictions(const ha_health_t *health, int slot)
{
    return READ(health->slot[slot].evictions);
}
