/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "mc_site.h"

apr_pool_t *mc_pool;
apr_pool_t *mc_pchild;
ha_health_t *mc_health;
ha_store_t *mc_store;
ha_mc_node_t mc_nodes[HA_NODES_MAX];
io_memcached_t mc_servers[MC_NODES];

/* ---- events -------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int told[HA_EVENT_GARBAGE + 1];
static ha_event_t last;

void mc_take_note(void *ctx, const ha_event_t *event)
{
    (void)ctx;
    (void)pthread_mutex_lock(&lock);
    told[event->kind]++;
    last = *event;
    (void)pthread_mutex_unlock(&lock);
}

unsigned int mc_times_told(ha_event_e kind)
{
    unsigned int times;

    (void)pthread_mutex_lock(&lock);
    times = told[kind];
    (void)pthread_mutex_unlock(&lock);
    return times;
}

ha_event_t mc_last_event(void)
{
    ha_event_t event;

    (void)pthread_mutex_lock(&lock);
    event = last;
    (void)pthread_mutex_unlock(&lock);
    return event;
}

void mc_wait_until_told(ha_event_e kind, unsigned int times)
{
    apr_time_t deadline = apr_time_now() + MC_PATIENCE_USEC;

    while (mc_times_told(kind) < times) {
        ck_assert_msg(apr_time_now() < deadline, "event %d was not told",
                      kind);
        apr_sleep(2000);
    }
}

/* ---- stores -------------------------------------------------------------- */

void mc_set_up(void)
{
    memset(mc_servers, 0, sizeof(mc_servers));
    memset(told, 0, sizeof(told));
    ck_assert_int_eq(apr_pool_create(&mc_pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_health_create(&mc_health, mc_pool), APR_SUCCESS);
    mc_pchild = NULL;
}

void mc_tear_down(void)
{
    int i;

    if (mc_pchild) {
        apr_pool_destroy(mc_pchild);
    }
    for (i = 0; i < MC_NODES; i++) {
        io_memcached_kill(&mc_servers[i]);
    }
    apr_pool_destroy(mc_pool);
}

void mc_name_node(unsigned int i, const char *address)
{
    ck_assert_int_eq(ha_mc_address_parse(&mc_nodes[i], address, mc_pool),
                     HA_MC_ADDRESS_OK);
    mc_nodes[i].place.name = span_of_text(apr_psprintf(mc_pool, "n%u", i));
    mc_nodes[i].place.zone = span_of_text("");
    mc_nodes[i].place.weight = 1;
}

void mc_name_port(unsigned int i, apr_port_t port)
{
    mc_name_node(i, apr_psprintf(mc_pool, "127.0.0.1:%u", (unsigned int)port));
}

void mc_open_store(unsigned int count)
{
    ck_assert_int_eq(ha_store_mc_make(&mc_store, mc_nodes, count, mc_health,
                                      mc_take_note, NULL, mc_pool),
                     APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&mc_pchild, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_store_mc_child_init(mc_store, mc_pchild), APR_SUCCESS);
}

void mc_open_servers(unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        io_memcached_start(&mc_servers[i], NULL, NULL);
        mc_name_port(i, mc_servers[i].port);
    }
    mc_open_store(count);
}

/* ---- calls --------------------------------------------------------------- */

ha_call_t mc_call_node(unsigned int node, ha_verb_e verb, const char *key,
                       span_t data, apr_uint64_t version, apr_time_t budget)
{
    ha_call_t call;
    apr_time_t begin = apr_time_now();

    memset(&call, 0, sizeof(call));
    call.node = node;
    call.verb = verb;
    call.data = data;
    call.version = version;
    mc_store->ops->run(mc_store, key, &call, 1, MC_TTL, begin + budget,
                       mc_pool);
    ck_assert_msg(apr_time_now() - begin < budget + MC_SLACK_USEC,
                  "the deadline was missed");
    return call;
}

ha_call_t mc_call(ha_verb_e verb, const char *key, const char *data,
                  apr_uint64_t version)
{
    ha_call_t one = mc_call_node(0, verb, key, span_of_text(data), version,
                              MC_LONG_USEC);

    ck_assert_int_eq(one.rv, APR_SUCCESS);
    ck_assert_int_ne(one.answer, HA_UNKNOWN);
    return one;
}

ha_call_t mc_get(const char *key)
{
    return mc_call(HA_GET, key, "", 0);
}

void mc_assert_holds(ha_call_t one, const char *text)
{
    ck_assert_int_eq(one.answer, HA_HIT);
    ck_assert_uint_ne(one.version, 0);
    ck_assert(span_is_equal(one.held, span_of_text(text)));
}

void mc_assert_missed(ha_call_t one)
{
    ck_assert_int_eq(one.answer, HA_MISS);
    ck_assert_uint_eq(one.held.len, 0);
}

/* A call that must get no answer, within its budget. */
ha_call_t mc_call_in_vain(unsigned int node)
{
    ha_call_t one = mc_call_node(node, HA_GET, "k", span_of(NULL, 0), 0,
                              MC_SHORT_USEC);

    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_ne(one.rv, APR_SUCCESS);
    ck_assert_uint_eq(one.held.len, 0);
    return one;
}

void mc_wait_until_down(unsigned int node)
{
    apr_time_t deadline = apr_time_now() + MC_PATIENCE_USEC;

    while (mc_store->ops->is_up(mc_store, node)) {
        (void)mc_call_in_vain(node);
        ck_assert(apr_time_now() < deadline);
    }
}

void mc_wait_until_whole(unsigned int node)
{
    apr_time_t deadline = apr_time_now() + MC_PATIENCE_USEC;

    while (mc_store->ops->whole_since(mc_store, node) == 0) {
        ck_assert(apr_time_now() < deadline);
        apr_sleep(2000);
    }
}
