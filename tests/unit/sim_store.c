/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_store.h"

#include <stdlib.h>

#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>

/* Failures in a row that make a node down for a host. */
#define FAILURES_DOWN 3

/* One in this many questions whether a node is up finds it probed. */
#define PROBE_CHANCE 8

/* Histories are about one session, under as many ids as it comes to have. */
#define ITEMS_MAX 256

typedef struct item_t {
    char key[48];
    char *bytes;
    apr_size_t len;
    int is_there;
    apr_uint64_t version;
} item_t;

typedef struct node_t {
    int is_cut;
    unsigned int deaf_percent;
    unsigned int calls;
    unsigned int count; /* entries of items[] in use, there or not */
    item_t items[ITEMS_MAX];
} node_t;

/* What one web server believes about one node. */
typedef struct belief_t {
    int failures;
    apr_time_t whole_since;
} belief_t;

typedef struct host_t {
    ha_store_t store; /* first: the seam hands it back */
    sim_t *sim;
    ha_place_node_t places[SIM_NODES_MAX];
    unsigned int at[SIM_NODES_MAX];   /* numbers of its nodes */
    ha_past_t past;
    unsigned int past_at[SIM_NODES_MAX];
    belief_t beliefs[SIM_NODES_MAX];  /* by number */
} host_t;

typedef struct actor_t {
    sim_t *sim;
    unsigned int number;
    int is_running;
    sim_actor_fn fn;
    void *ctx;
} actor_t;

struct sim_t {
    apr_pool_t *pool;
    apr_uint64_t state; /* of the generator */
    apr_time_t now;
    unsigned int count;
    node_t nodes[SIM_NODES_MAX];
    sim_list_t all;
    host_t hosts[SIM_HOSTS_MAX];
    actor_t actors[SIM_ACTORS_MAX];
    unsigned int actors_count;
    unsigned int baton; /* the actor that may run */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *turn[SIM_ACTORS_MAX]; /* one each: wake nobody else */
};

/* SplitMix64 after Steele, Lea and Flood (2014). */
static apr_uint64_t draw(sim_t *sim)
{
    apr_uint64_t z = (sim->state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

unsigned int sim_random(sim_t *sim, unsigned int limit)
{
    return (unsigned int)(draw(sim) % limit);
}

apr_time_t sim_now(const sim_t *sim)
{
    return sim->now;
}

/* With the mutex held: hand the baton to any actor that still runs. */
static void pass_baton(sim_t *sim)
{
    unsigned int runners[SIM_ACTORS_MAX];
    unsigned int count = 0;
    unsigned int i;

    for (i = 0; i < sim->actors_count; i++) {
        if (sim->actors[i].is_running) {
            runners[count++] = i;
        }
    }
    if (count > 0) {
        sim->baton = runners[sim_random(sim, count)];
        apr_thread_cond_signal(sim->turn[sim->baton]);
    }
}

static void wait_for_baton(sim_t *sim, unsigned int number)
{
    while (sim->baton != number) {
        apr_thread_cond_wait(sim->turn[number], sim->mutex);
    }
}

void sim_yield(sim_t *sim)
{
    unsigned int self;

    sim->now += sim_random(sim, 1000);
    if (sim->actors_count == 0) {
        return; /* before the actors start, and after their end */
    }
    apr_thread_mutex_lock(sim->mutex);
    self = sim->baton;
    pass_baton(sim);
    wait_for_baton(sim, self);
    apr_thread_mutex_unlock(sim->mutex);
}

static void *APR_THREAD_FUNC run_actor(apr_thread_t *thread, void *data)
{
    actor_t *actor = data;
    sim_t *sim = actor->sim;

    apr_thread_mutex_lock(sim->mutex);
    wait_for_baton(sim, actor->number);
    apr_thread_mutex_unlock(sim->mutex);
    actor->fn(sim, actor->number, actor->ctx);
    apr_thread_mutex_lock(sim->mutex);
    actor->is_running = 0;
    pass_baton(sim);
    apr_thread_mutex_unlock(sim->mutex);
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

void sim_run(sim_t *sim, sim_actor_fn fn, unsigned int count, void *ctx)
{
    apr_thread_t *threads[SIM_ACTORS_MAX];
    apr_status_t rv;
    unsigned int i;

    sim->baton = SIM_ACTORS_MAX;
    sim->actors_count = count;
    for (i = 0; i < count; i++) {
        actor_t *actor = &sim->actors[i];

        actor->sim = sim;
        actor->number = i;
        actor->is_running = 1;
        actor->fn = fn;
        actor->ctx = ctx;
        if (apr_thread_create(&threads[i], NULL, run_actor, actor, sim->pool)
            != APR_SUCCESS) {
            abort();
        }
    }
    apr_thread_mutex_lock(sim->mutex);
    pass_baton(sim);
    apr_thread_mutex_unlock(sim->mutex);
    for (i = 0; i < count; i++) {
        apr_thread_join(&rv, threads[i]);
    }
    sim->actors_count = 0;
}

void sim_cut(sim_t *sim, unsigned int node)
{
    sim->nodes[node].is_cut = 1;
}

void sim_mend(sim_t *sim, unsigned int node)
{
    sim->nodes[node].is_cut = 0;
    sim->nodes[node].deaf_percent = 0;
}

void sim_deafen(sim_t *sim, unsigned int node, unsigned int percent)
{
    sim->nodes[node].deaf_percent = percent;
}

void sim_forget(sim_t *sim, unsigned int node)
{
    unsigned int i;

    for (i = 0; i < sim->nodes[node].count; i++) {
        sim->nodes[node].items[i].is_there = 0;
    }
    /* Its connections broke with it, so every host knows. */
    for (i = 0; i < SIM_HOSTS_MAX; i++) {
        sim->hosts[i].beliefs[node].whole_since = 0;
    }
}

static item_t *find_item(node_t *node, const char *key)
{
    unsigned int i;

    for (i = 0; i < node->count; i++) {
        if (strcmp(node->items[i].key, key) == 0) {
            return &node->items[i];
        }
    }
    if (node->count == ITEMS_MAX || strlen(key) >= sizeof(node->items[0].key)) {
        abort();
    }
    apr_cpystrn(node->items[i].key, key, sizeof(node->items[i].key));
    node->count++;
    return &node->items[i];
}

static void put_bytes(item_t *item, span_t head, span_t tail)
{
    char *bytes = malloc(head.len + tail.len + 1);

    if (bytes == NULL) {
        abort();
    }
    if (head.len > 0) {
        memcpy(bytes, head.data, head.len);
    }
    memcpy(bytes + head.len, tail.data, tail.len);
    free(item->bytes);
    item->bytes = bytes;
    item->len = head.len + tail.len;
    item->is_there = 1;
    item->version++;
}

static void take_effect(item_t *item, const ha_call_t *call)
{
    switch (call->verb) {
    case HA_ADD:
        if (!item->is_there) {
            put_bytes(item, span_of(NULL, 0), call->data);
        }
        break;
    case HA_APPEND:
        if (item->is_there) {
            put_bytes(item, span_of(item->bytes, item->len), call->data);
        }
        break;
    case HA_CAS:
        if (item->is_there && item->version == call->version) {
            put_bytes(item, span_of(NULL, 0), call->data);
        }
        break;
    case HA_REMOVE:
        item->is_there = 0;
        break;
    case HA_GET:
    case HA_TOUCH:
        break;
    }
}

static void answer(const item_t *item, ha_call_t *call, apr_pool_t *p)
{
    call->rv = APR_SUCCESS;
    call->answer = item->is_there ? HA_HIT : HA_MISS;
    call->version = item->is_there ? item->version : 0;
    call->held = span_of(NULL, 0);
    if (item->is_there && call->verb != HA_TOUCH) {
        call->held = span_of(apr_pmemdup(p, item->bytes, item->len),
                             item->len);
    }
}

static void learn(host_t *host, unsigned int number, int failed)
{
    belief_t *belief = &host->beliefs[number];

    if (failed) {
        belief->failures++;
        belief->whole_since = 0;
    }
    else {
        belief->failures = 0;
        if (belief->whole_since == 0) {
            belief->whole_since = host->sim->now;
        }
    }
}

static void run_one(host_t *host, const char *key, ha_call_t *call,
                    apr_pool_t *p)
{
    sim_t *sim = host->sim;
    unsigned int number = host->at[call->node];
    node_t *node = &sim->nodes[number];
    int failed;

    sim_yield(sim);
    node->calls++;
    failed = node->is_cut;
    if (!failed) {
        take_effect(find_item(node, key), call);
        sim_yield(sim);
        failed = node->is_cut || sim_random(sim, 100) < node->deaf_percent;
    }
    if (failed) {
        call->answer = HA_UNKNOWN;
        call->rv = APR_TIMEUP;
    }
    else {
        answer(find_item(node, key), call, p);
    }
    learn(host, number, failed);
}

static void sim_store_run(ha_store_t *store, const char *key, ha_call_t *calls,
                          unsigned int count, apr_uint32_t ttl_sec,
                          apr_time_t deadline, apr_pool_t *p)
{
    host_t *host = (host_t *)store;
    unsigned int first = sim_random(host->sim, count);
    unsigned int i;

    (void)ttl_sec;
    (void)deadline;
    for (i = 0; i < count; i++) {
        run_one(host, key, &calls[(first + i) % count], p);
    }
}

static int sim_store_is_up(ha_store_t *store, unsigned int node)
{
    host_t *host = (host_t *)store;
    unsigned int number = host->at[node];
    belief_t *belief = &host->beliefs[number];

    if (belief->failures >= FAILURES_DOWN
        && sim_random(host->sim, PROBE_CHANCE) == 0) {
        learn(host, number, host->sim->nodes[number].is_cut);
    }
    return belief->failures < FAILURES_DOWN;
}

static apr_time_t sim_store_whole_since(ha_store_t *store, unsigned int node)
{
    host_t *host = (host_t *)store;

    return host->beliefs[host->at[node]].whole_since;
}

void sim_probe(sim_t *sim, unsigned int node)
{
    unsigned int i;

    for (i = 0; i < SIM_HOSTS_MAX; i++) {
        if (sim->hosts[i].beliefs[node].failures >= FAILURES_DOWN) {
            learn(&sim->hosts[i], node, sim->nodes[node].is_cut);
        }
    }
}

static const ha_store_ops_t sim_ops = {
    sim_store_run, sim_store_is_up, sim_store_whole_since
};

void sim_list_init(sim_list_t *list)
{
    memset(list, 0, sizeof(*list));
}

void sim_list_add(sim_t *sim, sim_list_t *list, unsigned int node,
                  const char *zone, unsigned int weight)
{
    ha_place_node_t *place = &list->nodes[list->count];

    place->name = span_of_text(apr_psprintf(sim->pool, "n%u", node));
    place->zone = span_of_text(zone);
    place->weight = weight;
    list->at[list->count++] = node;
}

/* The place of a node among a host's; it gets one if it has none. */
static unsigned int find_place(host_t *host, unsigned int number,
                               const ha_place_node_t *place)
{
    unsigned int i;

    for (i = 0; i < host->store.count + host->store.gone; i++) {
        if (host->at[i] == number) {
            return i;
        }
    }
    host->places[i] = *place;
    host->at[i] = number;
    host->store.gone++;
    return i;
}

void sim_configure(sim_t *sim, unsigned int host, const sim_list_t *list,
                   const sim_list_t *before, const apr_time_t *used)
{
    host_t *h = &sim->hosts[host];
    unsigned int i;

    memset(&h->store, 0, sizeof(h->store));
    memcpy(h->places, list->nodes, sizeof(h->places));
    memcpy(h->at, list->at, sizeof(h->at));
    h->store.ops = &sim_ops;
    h->store.name = "sim";
    h->store.nodes = h->places;
    h->store.count = list->count;
    if (before != NULL) {
        for (i = 0; i < before->count; i++) {
            h->past_at[i] = find_place(h, before->at[i], &before->nodes[i]);
        }
        h->past.nodes = before->nodes;
        h->past.at = h->past_at;
        h->past.count = before->count;
        h->past.used = used;
        h->store.past = &h->past;
        h->store.past_count = 1;
    }
}

unsigned int sim_calls(const sim_t *sim, unsigned int node)
{
    return sim->nodes[node].calls;
}

void sim_wait(sim_t *sim, apr_interval_time_t time)
{
    sim->now += time;
}

sim_t *sim_make(apr_uint64_t seed, unsigned int nodes, apr_pool_t *p)
{
    sim_t *sim = apr_pcalloc(p, sizeof(*sim));
    unsigned int i;
    unsigned int j;

    sim->pool = p;
    sim->state = seed;
    sim->count = nodes;
    sim->now = apr_time_from_sec(1000000000);
    if (apr_thread_mutex_create(&sim->mutex, APR_THREAD_MUTEX_DEFAULT, p)
        != APR_SUCCESS) {
        abort();
    }
    for (i = 0; i < SIM_ACTORS_MAX; i++) {
        if (apr_thread_cond_create(&sim->turn[i], p) != APR_SUCCESS) {
            abort();
        }
    }
    sim_list_init(&sim->all);
    for (i = 0; i < nodes; i++) {
        sim_list_add(sim, &sim->all, i, "", 1);
    }
    for (i = 0; i < SIM_HOSTS_MAX; i++) {
        sim->hosts[i].sim = sim;
        sim_configure(sim, i, &sim->all, NULL, NULL);
        for (j = 0; j < nodes; j++) {
            sim->hosts[i].beliefs[j].whole_since =
                sim->now - apr_time_from_sec(3600);
        }
    }
    return sim;
}

void sim_free(sim_t *sim)
{
    unsigned int i;
    unsigned int k;

    for (i = 0; i < sim->count; i++) {
        for (k = 0; k < sim->nodes[i].count; k++) {
            free(sim->nodes[i].items[k].bytes);
        }
        sim->nodes[i].count = 0;
    }
}

ha_store_t *sim_store(sim_t *sim, unsigned int host)
{
    return &sim->hosts[host].store;
}
