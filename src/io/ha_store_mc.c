/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_store_mc.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <apr_errno.h>
#include <apr_strings.h>
#include <libmemcached/memcached.h>

#include "ha_mc_round.h"
#include "ha_signals.h"

/** Seconds from which memcached takes a time to live for a date. */
#define TTL_DATE_SEC (30 * 24 * 60 * 60)

/** Latest date to ask for: memcached takes one above INT32_MAX for the past. */
#define DATE_MAX (INT32_MAX - 1)

/** No node of a store. */
#define NONE (HA_NODES_MAX * 2)

typedef struct mc_store_t {
    ha_store_t base;
    ha_place_node_t places[HA_NODES_MAX];
    ha_mc_peer_t peers[HA_NODES_MAX];
    ha_health_t *health;  /* for peers that join */
    ha_event_fn event;
    void *ctx;
    ha_mc_probe_t *probe; /* of this child; NULL in the parent */
    pid_t owner;          /* process whose connections these are; 0: none */
    pid_t child;          /* atomic; the owner while calls may be made, or 0 */
} mc_store_t;

/** Nodes on the list, and those taken off it. */
static unsigned int all_of(const ha_store_t *store)
{
    return store->count + store->gone;
}

/* ---- the seam ------------------------------------------------------------ */

static time_t expires_after(apr_uint32_t ttl_sec)
{
    apr_time_t date = apr_time_sec(apr_time_now()) + (apr_time_t)ttl_sec;

    if (ttl_sec <= TTL_DATE_SEC) {
        return (time_t)ttl_sec;
    }
    return (time_t)(date < DATE_MAX ? date : DATE_MAX);
}

/** Whether connections may be used: not in the parent, not after a fork. */
static int is_usable(const mc_store_t *store)
{
    return __atomic_load_n(&store->child, __ATOMIC_ACQUIRE) == getpid();
}

/**
 * Make a leg of each call that names a node, over a copy of the call.
 *
 * @return number of legs
 */
static unsigned int make_legs(mc_store_t *store, ha_mc_leg_t *legs,
                              ha_call_t *copies, ha_call_t *calls,
                              unsigned int count)
{
    unsigned int n = 0;
    unsigned int i;

    for (i = 0; i < count; i++) {
        calls[i].answer = HA_UNKNOWN;
        calls[i].held = span_of(NULL, 0);
        calls[i].rv = APR_EINVAL;
        if (calls[i].node >= all_of(&store->base) || n == HA_NODES_MAX) {
            continue;
        }
        calls[i].rv = APR_EINIT;
        memset(&legs[n], 0, sizeof(legs[n]));
        copies[n] = calls[i];
        copies[n].rv = APR_TIMEUP;
        legs[n].call = &copies[n];
        legs[n].peer = &store->peers[calls[i].node];
        legs[n].is_touch = calls[i].verb == HA_TOUCH;
        if (legs[n].is_touch) {
            copies[n].verb = HA_GET;
        }
        n++;
    }
    return n;
}

/** Hand the answers over. */
static void copy_back(ha_call_t *calls, unsigned int count,
                      const ha_call_t *copies, unsigned int legs)
{
    unsigned int i;
    unsigned int n;

    for (i = 0, n = 0; i < count && n < legs; i++) {
        if (calls[i].rv == APR_EINVAL) {
            continue;
        }
        calls[i].answer = copies[n].answer;
        calls[i].version = copies[n].version;
        calls[i].rv = copies[n].rv;
        if (calls[i].verb != HA_TOUCH) {
            calls[i].held = copies[n].held;
        }
        n++;
    }
}

static void run(ha_store_t *base, const char *key, ha_call_t *calls,
                unsigned int count, apr_uint32_t ttl_sec, apr_time_t deadline,
                apr_pool_t *p)
{
    mc_store_t *store = (mc_store_t *)base;
    ha_mc_leg_t legs[HA_NODES_MAX];
    ha_call_t copies[HA_NODES_MAX];
    ha_mc_round_t round;
    sigset_t before;
    unsigned int n;

    n = make_legs(store, legs, copies, calls, count);
    if (n == 0 || !is_usable(store)) {
        return;
    }
    round.probe = store->probe;
    round.key = key;
    round.legs = legs;
    round.count = n;
    round.expires = expires_after(ttl_sec);
    round.deadline = deadline;
    round.p = p;
    /* two signals in one wait would make libmemcached wait for ever */
    ha_signals_block(&before);
    ha_mc_round_run(&round);
    ha_signals_restore(&before);
    copy_back(calls, count, copies, n);
}

static int is_up(ha_store_t *base, unsigned int node)
{
    const mc_store_t *store = (mc_store_t *)base;

    return node < all_of(base)
           && ha_health_is_up(store->peers[node].health,
                              store->peers[node].slot);
}

static apr_time_t whole_since(ha_store_t *base, unsigned int node)
{
    const mc_store_t *store = (mc_store_t *)base;

    return node < all_of(base)
               ? ha_health_whole_since(store->peers[node].health,
                                       store->peers[node].slot)
               : 0;
}

static const ha_store_ops_t ops = { run, is_up, whole_since };

/* ---- life ---------------------------------------------------------------- */

const char *ha_store_mc_fault(void)
{
    static char fault[160];
    const char *version = memcached_lib_version();
    unsigned int part[3] = { 0, 0, 0 };
    const char *at = version;
    unsigned int i;

    for (i = 0; i < 3; i++) {
        char *end = NULL;

        part[i] = (unsigned int)strtoul(at, &end, 10);
        at = *end == '.' ? end + 1 : end;
    }
    if (part[0] * 10000 + part[1] * 100 + part[2] >= 10104) {
        return NULL;
    }
    apr_snprintf(fault, sizeof(fault), "libmemcached %s is loaded, 1.1.4 is "
                 "needed: older ones report a time-out as \"not found\" and "
                 "can return another key's value", version);
    return fault;
}

/** Set up one node; what names stand for is looked up. */
static apr_status_t make_peer(mc_store_t *store, unsigned int at,
                              const ha_mc_node_t *node, apr_pool_t *p)
{
    ha_mc_peer_t *peer = &store->peers[at];
    apr_status_t rv;

    memset(peer, 0, sizeof(*peer));
    store->places[at] = node->place;
    peer->node = node;
    peer->health = store->health;
    peer->event = store->event;
    peer->ctx = store->ctx;
    peer->slot = ha_health_slot(store->health, node->place.name,
                                span_of_text(node->address), apr_time_now());
    if (peer->slot < 0) {
        return APR_ENOSPC;
    }
    rv = ha_mc_peer_init(peer);
    if (rv == APR_SUCCESS) {
        /* what is not known yet is for the children's probers */
        apr_status_t looked_up = ha_mc_peer_resolve(peer, p);

        (void)looked_up;
    }
    return rv;
}

apr_status_t ha_store_mc_make(ha_store_t **store, const ha_mc_node_t *nodes,
                              unsigned int count, ha_health_t *health,
                              ha_event_fn event, void *ctx, apr_pool_t *p)
{
    mc_store_t *made = apr_pcalloc(p, sizeof(*made));
    apr_status_t rv;
    unsigned int i;

    *store = NULL;
    if (count < 1 || count > HA_NODES_MAX) {
        return APR_EINVAL;
    }
    made->health = health;
    made->event = event;
    made->ctx = ctx;
    for (i = 0; i < count; i++) {
        rv = make_peer(made, i, &nodes[i], p);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    made->base.ops = &ops;
    made->base.name = "memcached";
    made->base.nodes = made->places;
    made->base.count = count;
    *store = &made->base;
    return APR_SUCCESS;
}

/** The node with this name or else this address; NONE if there is neither. */
static unsigned int find_node(const mc_store_t *store,
                              const ha_mc_node_t *node)
{
    unsigned int i;

    for (i = 0; i < all_of(&store->base); i++) {
        if (span_is_equal(store->places[i].name, node->place.name)) {
            return i;
        }
    }
    for (i = 0; i < all_of(&store->base); i++) {
        if (strcmp(store->peers[i].node->address, node->address) == 0) {
            return i;
        }
    }
    return NONE;
}

/** Translate a list for the seam; nodes not known yet join the store. */
static apr_status_t remember_one(mc_store_t *store, ha_past_t *past,
                                 const ha_mc_list_t *list, apr_pool_t *p)
{
    ha_place_node_t *places = apr_pcalloc(p, list->count * sizeof(*places));
    unsigned int *at = apr_pcalloc(p, list->count * sizeof(*at));
    unsigned int i;

    for (i = 0; i < list->count; i++) {
        unsigned int end = all_of(&store->base);

        places[i] = list->nodes[i].place;
        at[i] = find_node(store, &list->nodes[i]);
        if (at[i] == NONE && end < HA_NODES_MAX) {
            apr_status_t rv = make_peer(store, end, &list->nodes[i], p);

            if (rv != APR_SUCCESS) {
                return rv;
            }
            at[i] = end;
            store->base.gone++;
        }
    }
    past->nodes = places;
    past->at = at;
    past->count = list->count;
    past->replicas = list->replicas;
    past->used = list->used;
    return APR_SUCCESS;
}

apr_status_t ha_store_mc_remember(ha_store_t *base, const ha_mc_list_t *lists,
                                  unsigned int count, apr_pool_t *p)
{
    mc_store_t *store = (mc_store_t *)base;
    ha_past_t *past = apr_pcalloc(p, HA_PAST_MAX * sizeof(*past));
    apr_status_t rv;
    unsigned int i;

    for (i = 0; i < count && i < HA_PAST_MAX; i++) {
        rv = remember_one(store, &past[i], &lists[i], p);
        if (rv != APR_SUCCESS) {
            base->gone = 0;
            return rv;
        }
    }
    base->past = past;
    base->past_count = i;
    return APR_SUCCESS;
}

void ha_store_mc_missed(ha_store_t *base, unsigned int node)
{
    const mc_store_t *store = (mc_store_t *)base;

    ha_health_missed(store->health, store->peers[node].slot);
}

apr_uint64_t ha_store_mc_evictions(const ha_store_t *base, unsigned int node)
{
    const mc_store_t *store = (const mc_store_t *)base;

    return ha_health_evictions(store->health, store->peers[node].slot);
}

int ha_store_mc_is_local(ha_store_t *store, unsigned int node)
{
    return ha_mc_peer_is_local(&((mc_store_t *)store)->peers[node]);
}

/*
 * A child ends in this order: no new calls, no prober, no connections, and
 * then no pipe to wake the prober with; for threads may still call.
 */

static apr_status_t refuse_calls(void *data)
{
    mc_store_t *store = data;

    __atomic_store_n(&store->child, 0, __ATOMIC_RELEASE);
    return APR_SUCCESS;
}

static apr_status_t close_all(void *data)
{
    mc_store_t *store = data;
    unsigned int i;

    /* a copy of this process has no say over these connections */
    if (store->owner != getpid()) {
        return APR_SUCCESS;
    }
    store->owner = 0;
    for (i = 0; i < all_of(&store->base); i++) {
        ha_mc_peer_trim(&store->peers[i], APR_INT64_MAX);
    }
    return APR_SUCCESS;
}

void ha_store_mc_peek(ha_store_t *base, ha_call_t *calls, const char *key,
                      apr_time_t deadline, apr_pool_t *p)
{
    mc_store_t *store = (mc_store_t *)base;
    apr_status_t rv;
    unsigned int i;

    memset(calls, 0, all_of(base) * sizeof(*calls));
    for (i = 0; i < all_of(base); i++) {
        calls[i].node = i;
        calls[i].verb = HA_GET;
    }
    store->owner = getpid();
    __atomic_store_n(&store->child, store->owner, __ATOMIC_RELEASE);
    run(base, key, calls, all_of(base), 1, deadline, p);
    (void)refuse_calls(store);
    rv = close_all(store);
    (void)rv;
}

apr_status_t ha_store_mc_child_init(ha_store_t *store, apr_pool_t *pchild)
{
    mc_store_t *made = (mc_store_t *)store;
    apr_status_t rv;

    rv = ha_mc_probe_start(&made->probe, made->peers, all_of(store),
                           pchild);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* what is registered last runs first */
    apr_pool_cleanup_register(pchild, made, close_all, apr_pool_cleanup_null);
    apr_pool_pre_cleanup_register(pchild, made, refuse_calls);
    made->owner = getpid();
    __atomic_store_n(&made->child, made->owner, __ATOMIC_RELEASE);
    return APR_SUCCESS;
}
