/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_store_shm.h"

#include <errno.h>
#include <time.h>

#include <apr_shm.h>

#include "ha_limits.h"
#include "ha_shm_seg.h"

/*
 * Why not httpd's socache shmcb: each of its parts is a ring that gives room
 * back at its tail alone. A session that is rewritten leaves a dead copy in
 * the ring, and when the ring's head meets its tail the oldest entry goes,
 * however alive: a busy session pushes out the quiet ones while most of the
 * memory holds its own old copies. It also knows neither append nor compare
 * and swap, which the protocol is made of.
 *
 * The memory is cut into segments, each with a lock of its own and the keys
 * that hash to it. A lock is waited for until the deadline. A process may die
 * or be stopped while it holds one: the next one to come rebuilds what a dead
 * one left, and a stopped one costs UNKNOWN.
 *
 * Items expire by the monotonic clock: setting the time ends no session.
 */

/** Bytes of a segment, unless there would be too many or none. */
#define SEGMENT (4 * 1024 * 1024)
#define SEGMENTS_MAX 64

/** Microseconds between two events about dropped items. */
#define TELL_USEC (60 * APR_USEC_PER_SEC)

/** Microseconds to wait for a lock to look what is there. */
#define LOOK_USEC (100 * 1000)

struct ha_shm_t {
    apr_size_t size;             /**< bytes asked for */
    apr_time_t made;             /**< when, by the wall clock */
    apr_time_t told;             /**< last event about dropped items */
    apr_uint32_t count;          /**< segments, a power of two */
    ha_seg_t seg[SEGMENTS_MAX];
};

typedef struct shm_store_t {
    ha_store_t base;
    ha_place_node_t node;
    ha_shm_t *shm;
    ha_event_fn event;
    void *ctx;
} shm_store_t;

static apr_time_t clock_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec((apr_time_t)now.tv_sec) + now.tv_nsec / 1000;
}

static apr_time_t clock_after(apr_uint32_t sec)
{
    return clock_now() + apr_time_from_sec((apr_time_t)sec);
}

/* ---- the memory ---------------------------------------------------------- */

apr_status_t ha_shm_create(ha_shm_t **shm, apr_size_t size, apr_pool_t *p)
{
    apr_size_t head = APR_ALIGN(sizeof(**shm), HA_BLOCK);
    apr_shm_t *memory = NULL;
    apr_status_t rv;
    ha_shm_t *made;
    apr_size_t part;
    apr_uint32_t i;

    *shm = NULL;
    if (size < HA_SHM_MIN || size > HA_SHM_MAX) {
        return APR_EINVAL;
    }
    rv = apr_shm_create(&memory, head + size, NULL, p);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* anonymous shared memory is zero, and not there until it is used */
    made = apr_shm_baseaddr_get(memory);
    made->size = size;
    made->made = apr_time_now();
    made->count = 1;
    while (made->count < SEGMENTS_MAX && size / made->count > SEGMENT) {
        made->count *= 2;
    }
    part = size / made->count / HA_BLOCK * HA_BLOCK;
    for (i = 0; rv == APR_SUCCESS && i < made->count; i++) {
        rv = ha_seg_init(&made->seg[i], (char *)made + head + i * part, part);
    }
    *shm = rv == APR_SUCCESS ? made : NULL;
    return rv;
}

apr_size_t ha_shm_size(const ha_shm_t *shm)
{
    return shm->size;
}

/** Wait for a segment's lock; make the segment whole if need be. */
static apr_status_t lock(ha_seg_t *seg, apr_time_t deadline)
{
    int rv = pthread_mutex_trylock(&seg->lock);

    if (rv == EBUSY) {
        struct timespec until;

        until.tv_sec = (time_t)apr_time_sec(deadline);
        until.tv_nsec = (long)apr_time_usec(deadline) * 1000;
        rv = pthread_mutex_timedlock(&seg->lock, &until);
    }
    if (rv == EOWNERDEAD) {
        ha_seg_rebuild(seg);
        rv = pthread_mutex_consistent(&seg->lock);
    }
    return rv == ETIMEDOUT ? APR_TIMEUP : rv;
}

static void unlock(ha_seg_t *seg)
{
    (void)pthread_mutex_unlock(&seg->lock);
}

void ha_shm_usage(ha_shm_usage_t *usage, ha_shm_t *shm)
{
    apr_time_t deadline = apr_time_now() + LOOK_USEC;
    apr_uint32_t i;

    memset(usage, 0, sizeof(*usage));
    for (i = 0; i < shm->count; i++) {
        ha_seg_t *seg = &shm->seg[i];

        usage->size += (apr_uint64_t)seg->blocks * HA_BLOCK;
        if (lock(seg, deadline) == APR_SUCCESS) {
            ha_seg_sweep(seg, 0, clock_now());
            usage->items += seg->items;
            usage->used += (apr_uint64_t)(seg->blocks - seg->free) * HA_BLOCK;
            usage->dropped += seg->dropped;
            unlock(seg);
        }
    }
}

/* ---- the store ----------------------------------------------------------- */

/** Say at most once a minute, on all of this host, that items are dropped. */
static void tell_full(const shm_store_t *store, int waited_msec)
{
    apr_time_t now = clock_now();
    apr_time_t told = __atomic_load_n(&store->shm->told, __ATOMIC_RELAXED);
    ha_event_t event = { HA_EVENT_FULL, { NULL, 0 }, APR_SUCCESS, 0, 0, 0 };

    if (store->event == NULL || (told && now - told < TELL_USEC)
        || !__atomic_compare_exchange_n(&store->shm->told, &told, now, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        return;
    }
    event.node = store->node.name;
    event.waited_msec = waited_msec;
    store->event(store->ctx, &event);
}

/** The verb, on an item that is there: head, or not: 0. */
static ha_block_no carry_out(ha_seg_t *seg, ha_block_no head, span_t key,
                             apr_uint32_t hash, const ha_call_t *call,
                             apr_uint32_t ttl_sec, apr_time_t now)
{
    apr_time_t expires = clock_after(ttl_sec);
    ha_block_no put = 0;

    switch (call->verb) {
    case HA_ADD:
        return head ? head
                    : ha_seg_put(seg, key, hash, 0, call->data, expires, now);
    case HA_APPEND:
        if (head) {
            (void)ha_seg_append(seg, head, call->data, now);
        }
        return head;
    case HA_CAS:
        if (head && ha_seg_item(seg, head)->version == call->version) {
            put = ha_seg_put(seg, key, hash, head, call->data, expires, now);
        }
        return put ? put : head;
    case HA_TOUCH:
        if (head) {
            ha_seg_touch(seg, head, expires);
        }
        return head;
    case HA_REMOVE:
        if (head) {
            ha_seg_remove(seg, head);
        }
        return 0;
    case HA_GET:
    default:
        return head;
    }
}

static void run_one(const shm_store_t *store, span_t key, ha_call_t *call,
                    apr_uint32_t ttl_sec, apr_time_t deadline, apr_pool_t *p)
{
    apr_uint64_t hash = ha_seg_hash(key);
    ha_shm_t *shm = store->shm;
    ha_seg_t *seg = &shm->seg[(hash >> 32) & (shm->count - 1)];
    apr_time_t now;
    apr_uint64_t dropped;
    ha_block_no head;

    call->rv = lock(seg, deadline);
    if (call->rv != APR_SUCCESS) {
        return;
    }
    now = clock_now();
    dropped = seg->dropped;
    head = ha_seg_find(seg, key, (apr_uint32_t)hash, now);
    head = carry_out(seg, head, key, (apr_uint32_t)hash, call, ttl_sec, now);
    if (head) {
        call->version = ha_seg_item(seg, head)->version;
        if (call->verb != HA_TOUCH) {
            call->held = ha_seg_copy(seg, head, p);
        }
    }
    dropped = seg->dropped - dropped;
    unlock(seg);
    call->answer = head ? HA_HIT : HA_MISS;
    if (dropped) {
        tell_full(store, (int)((clock_now() - now) / 1000));
    }
}

static void run(ha_store_t *base, const char *key, ha_call_t *calls,
                unsigned int count, apr_uint32_t ttl_sec, apr_time_t deadline,
                apr_pool_t *p)
{
    span_t name = span_of_text(key);
    unsigned int i;

    for (i = 0; i < count; i++) {
        calls[i].answer = HA_UNKNOWN;
        calls[i].held = span_of(NULL, 0);
        calls[i].rv = APR_EINVAL;
        if (calls[i].node == 0 && name.len && name.len <= HA_SEG_KEY_MAX) {
            run_one((shm_store_t *)base, name, &calls[i], ttl_sec, deadline,
                    p);
        }
    }
}

static int is_up(ha_store_t *base, unsigned int node)
{
    (void)base;
    return node == 0;
}

static apr_time_t whole_since(ha_store_t *base, unsigned int node)
{
    return node == 0 ? ((shm_store_t *)base)->shm->made : 0;
}

static const ha_store_ops_t ops = { run, is_up, whole_since };

ha_store_t *ha_store_shm_make(ha_shm_t *shm, ha_event_fn event, void *ctx,
                              apr_pool_t *p)
{
    shm_store_t *store = apr_pcalloc(p, sizeof(*store));

    store->node.name = span_of_text("shm");
    store->node.zone = span_of_text("");
    store->node.weight = 1;
    store->base.ops = &ops;
    store->base.name = "shm";
    store->base.nodes = &store->node;
    store->base.count = 1;
    store->shm = shm;
    store->event = event;
    store->ctx = ctx;
    return &store->base;
}
