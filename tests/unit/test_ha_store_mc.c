/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/wait.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ha_limits.h"
#include "ha_store_mc.h"
#include "io_server.h"

#define TTL 3600
#define NODES 4

/* A budget that healthy nodes keep, one that sick ones use up, and how late
 * is late: a test machine may be busy. */
#define LONG_USEC (5 * APR_USEC_PER_SEC)
#define SHORT_USEC (150 * 1000)
#define SLACK_USEC (1 * APR_USEC_PER_SEC)
#define PATIENCE_USEC (20 * APR_USEC_PER_SEC)

static apr_pool_t *pool;
static apr_pool_t *pchild;
static ha_health_t *health;
static ha_store_t *store;
static ha_mc_node_t nodes[HA_NODES_MAX];
static io_memcached_t servers[NODES];

/* ---- events -------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int told[HA_EVENT_GARBAGE + 1];
static ha_event_t last;

static void take_note(void *ctx, const ha_event_t *event)
{
    (void)ctx;
    (void)pthread_mutex_lock(&lock);
    told[event->kind]++;
    last = *event;
    (void)pthread_mutex_unlock(&lock);
}

static unsigned int times_told(ha_event_e kind)
{
    unsigned int times;

    (void)pthread_mutex_lock(&lock);
    times = told[kind];
    (void)pthread_mutex_unlock(&lock);
    return times;
}

static void wait_until_told(ha_event_e kind, unsigned int times)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_USEC;

    while (times_told(kind) < times) {
        ck_assert_msg(apr_time_now() < deadline, "event %d was not told",
                      kind);
        apr_sleep(2000);
    }
}

/* ---- stores -------------------------------------------------------------- */

static void set_up(void)
{
    memset(servers, 0, sizeof(servers));
    memset(told, 0, sizeof(told));
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_health_create(&health, pool), APR_SUCCESS);
    pchild = NULL;
}

static void tear_down(void)
{
    int i;

    if (pchild) {
        apr_pool_destroy(pchild);
    }
    for (i = 0; i < NODES; i++) {
        io_memcached_kill(&servers[i]);
    }
    apr_pool_destroy(pool);
}

static void name_node(unsigned int i, const char *address)
{
    ck_assert_int_eq(ha_mc_address_parse(&nodes[i], address, pool),
                     HA_MC_ADDRESS_OK);
    nodes[i].place.name = span_of_text(apr_psprintf(pool, "n%u", i));
    nodes[i].place.zone = span_of_text("");
    nodes[i].place.weight = 1;
}

static void name_port(unsigned int i, apr_port_t port)
{
    name_node(i, apr_psprintf(pool, "127.0.0.1:%u", (unsigned int)port));
}

static void open_store(unsigned int count)
{
    ck_assert_int_eq(ha_store_mc_make(&store, nodes, count, health,
                                      take_note, NULL, pool), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pchild, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_store_mc_child_init(store, pchild), APR_SUCCESS);
}

static void open_servers(unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        io_memcached_start(&servers[i], NULL, NULL);
        name_port(i, servers[i].port);
    }
    open_store(count);
}

/* ---- calls --------------------------------------------------------------- */

static ha_call_t call_node(unsigned int node, ha_verb_e verb, const char *key,
                           span_t data, apr_uint64_t version,
                           apr_time_t budget)
{
    ha_call_t call;
    apr_time_t begin = apr_time_now();

    memset(&call, 0, sizeof(call));
    call.node = node;
    call.verb = verb;
    call.data = data;
    call.version = version;
    store->ops->run(store, key, &call, 1, TTL, begin + budget, pool);
    ck_assert_msg(apr_time_now() - begin < budget + SLACK_USEC,
                  "the deadline was missed");
    return call;
}

static ha_call_t call(ha_verb_e verb, const char *key, const char *data,
                      apr_uint64_t version)
{
    ha_call_t one = call_node(0, verb, key, span_of_text(data), version,
                              LONG_USEC);

    ck_assert_int_eq(one.rv, APR_SUCCESS);
    ck_assert_int_ne(one.answer, HA_UNKNOWN);
    return one;
}

static ha_call_t get(const char *key)
{
    return call(HA_GET, key, "", 0);
}

static void assert_holds(ha_call_t one, const char *text)
{
    ck_assert_int_eq(one.answer, HA_HIT);
    ck_assert_uint_ne(one.version, 0);
    ck_assert(span_is_equal(one.held, span_of_text(text)));
}

static void assert_missed(ha_call_t one)
{
    ck_assert_int_eq(one.answer, HA_MISS);
    ck_assert_uint_eq(one.held.len, 0);
}

/* A call that must get no answer, within its budget. */
static ha_call_t call_in_vain(unsigned int node)
{
    ha_call_t one = call_node(node, HA_GET, "k", span_of(NULL, 0), 0,
                              SHORT_USEC);

    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_ne(one.rv, APR_SUCCESS);
    ck_assert_uint_eq(one.held.len, 0);
    return one;
}

static void wait_until_down(unsigned int node)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_USEC;

    while (store->ops->is_up(store, node)) {
        (void)call_in_vain(node);
        ck_assert(apr_time_now() < deadline);
    }
}

static void wait_until_whole(unsigned int node)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_USEC;

    while (store->ops->whole_since(store, node) == 0) {
        ck_assert(apr_time_now() < deadline);
        apr_sleep(2000);
    }
}

/* ---- verbs --------------------------------------------------------------- */

START_TEST(what_was_never_added_is_missed)
{
    open_servers(1);
    assert_missed(get("k"));
    assert_missed(call(HA_APPEND, "k", "x", 0));
    assert_missed(call(HA_CAS, "k", "x", 1));
    assert_missed(call(HA_CAS, "k", "x", 0));
    assert_missed(call(HA_TOUCH, "k", "", 0));
    assert_missed(call(HA_REMOVE, "k", "", 0));
    assert_missed(get("k"));
}
END_TEST

START_TEST(every_verb_does_to_the_item_what_it_says)
{
    ha_call_t one;
    apr_uint64_t version;

    open_servers(1);
    assert_holds(call(HA_ADD, "k", "one", 0), "one");
    assert_holds(call(HA_ADD, "k", "two", 0), "one");
    version = get("k").version;
    one = call(HA_APPEND, "k", "-two", 0);
    assert_holds(one, "one-two");
    ck_assert_uint_ne(one.version, version);
    assert_holds(call(HA_CAS, "k", "lost", version), "one-two");
    assert_holds(call(HA_CAS, "k", "lost", 0), "one-two");
    assert_holds(call(HA_CAS, "k", "three", one.version), "three");
    one = call(HA_TOUCH, "k", "", 0);
    ck_assert_int_eq(one.answer, HA_HIT);
    ck_assert_uint_eq(one.held.len, 0);
    assert_holds(get("k"), "three");
    assert_missed(call(HA_REMOVE, "k", "", 0));
    assert_missed(get("k"));
    assert_holds(call(HA_ADD, "k", "", 0), "");
    assert_holds(call(HA_TOUCH, "k", "", 0), "");
}
END_TEST

START_TEST(any_bytes_come_back)
{
    static const char bytes[] = "\0\r\nEND\r\nVALUE k 0 1 1\r\n\xff\x80 get k";
    span_t data = span_of(bytes, sizeof(bytes));
    ha_call_t one;

    open_servers(1);
    one = call_node(0, HA_ADD, "k", data, 0, LONG_USEC);
    ck_assert(span_is_equal(one.held, data));
    one = call_node(0, HA_APPEND, "k", data, 0, LONG_USEC);
    ck_assert_uint_eq(one.held.len, 2 * data.len);
    ck_assert_mem_eq(one.held.data + data.len, bytes, data.len);
}
END_TEST

static const apr_size_t sizes[] = { 0, 1, 1000, 8191, 8192, 8193, 32767,
                                    32768, 65536, 200000, HA_VALUE_MAX };

START_TEST(a_value_of_any_size_comes_back)
{
    char *bytes = apr_palloc(pool, HA_VALUE_MAX);
    span_t data = span_of(bytes, sizes[_i]);
    ha_call_t one;
    apr_size_t i;

    for (i = 0; i < HA_VALUE_MAX; i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    open_servers(1);
    ck_assert(span_is_equal(call_node(0, HA_ADD, "k", data, 0,
                                      LONG_USEC).held, data));
    one = call_node(0, HA_GET, "k", span_of(NULL, 0), 0, LONG_USEC);
    ck_assert(span_is_equal(one.held, data));
    one = call_node(0, HA_CAS, "k", data, one.version, LONG_USEC);
    ck_assert(span_is_equal(one.held, data));
    ck_assert_int_eq(call(HA_TOUCH, "k", "", 0).answer, HA_HIT);
}
END_TEST

START_TEST(what_a_node_refuses_as_too_large_is_a_miss)
{
    const apr_size_t limit = 1024 * 1024; /* memcached's own */
    char *bytes = apr_pcalloc(pool, limit);
    ha_call_t one;

    open_servers(1);
    one = call_node(0, HA_ADD, "k", span_of(bytes, limit), 0, LONG_USEC);
    assert_missed(one);
    assert_holds(call(HA_ADD, "k", "small", 0), "small");
    one = call_node(0, HA_APPEND, "k", span_of(bytes, limit - 30), 0,
                    LONG_USEC);
    assert_holds(one, "small");
    one = call_node(0, HA_CAS, "k", span_of(bytes, limit), one.version,
                    LONG_USEC);
    assert_holds(one, "small");
    assert_holds(get("k"), "small");
}
END_TEST

static void wait_until_missed(const char *key)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_USEC;

    while (get(key).answer == HA_HIT) {
        ck_assert(apr_time_now() < deadline);
        apr_sleep(20000);
    }
}

static void run_ttl(ha_verb_e verb, const char *key, apr_uint32_t ttl)
{
    ha_call_t one;

    memset(&one, 0, sizeof(one));
    one.verb = verb;
    one.data = span_of_text("x");
    store->ops->run(store, key, &one, 1, ttl, apr_time_now() + LONG_USEC,
                    pool);
    ck_assert_int_eq(one.answer, HA_HIT);
}

START_TEST(a_touch_renews_the_time_to_live_and_an_append_does_not)
{
    open_servers(1);
    run_ttl(HA_ADD, "touched", 1);
    run_ttl(HA_TOUCH, "touched", TTL);
    run_ttl(HA_ADD, "grown", 1);
    run_ttl(HA_APPEND, "grown", TTL);
    run_ttl(HA_ADD, "shortened", TTL);
    run_ttl(HA_TOUCH, "shortened", 1);
    wait_until_missed("grown");
    wait_until_missed("shortened");
    assert_holds(get("touched"), "x");
}
END_TEST

START_TEST(a_time_to_live_beyond_30_days_is_not_over)
{
    open_servers(1);
    run_ttl(HA_ADD, "k30", 30 * 24 * 3600);
    run_ttl(HA_ADD, "k31", 30 * 24 * 3600 + 1);
    run_ttl(HA_ADD, "k365", 365 * 24 * 3600);
    run_ttl(HA_TOUCH, "k30", 31 * 24 * 3600);
    assert_holds(get("k30"), "x");
    assert_holds(get("k31"), "x");
    assert_holds(get("k365"), "x");
}
END_TEST

START_TEST(a_bad_key_is_unknown_and_no_fault_of_the_node)
{
    char key[252];
    int i;

    open_servers(1);
    memset(key, 'k', sizeof(key));
    key[250] = '\0';
    assert_holds(call(HA_ADD, key, "long", 0), "long");
    key[250] = 'k';
    key[251] = '\0';
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(call_node(0, HA_ADD, key, span_of_text("x"), 0,
                                   LONG_USEC).answer, HA_UNKNOWN);
        ck_assert_int_eq(call_node(0, HA_GET, "a b", span_of(NULL, 0), 0,
                                   LONG_USEC).rv, APR_EINVAL);
    }
    ck_assert_int_eq(call_node(7, HA_GET, "k", span_of(NULL, 0), 0,
                               LONG_USEC).rv, APR_EINVAL);
    ck_assert_int_eq(store->ops->is_up(store, 0), 1);
    assert_missed(get("k"));
}
END_TEST

START_TEST(a_node_is_reached_by_name_and_by_socket)
{
    const char *path = apr_psprintf(pool, "%s/mc.%ld", P_tmpdir,
                                    (long)getpid());
    ha_call_t one;

    io_memcached_start(&servers[0], NULL, NULL);
    io_memcached_start_unix(&servers[1], path);
    name_node(0, apr_psprintf(pool, "localhost:%u",
                              (unsigned int)servers[0].port));
    name_node(1, apr_psprintf(pool, "unix:%s", path));
    open_store(2);
    assert_holds(call(HA_ADD, "k", "name", 0), "name");
    one = call_node(1, HA_ADD, "k", span_of_text("socket"), 0, LONG_USEC);
    assert_holds(one, "socket");
    wait_until_whole(0);
    wait_until_whole(1);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(each_node_of_a_batch_gets_its_own_verb)
{
    static const ha_verb_e verbs[NODES] = { HA_TOUCH, HA_APPEND, HA_ADD,
                                            HA_REMOVE };
    ha_call_t calls[NODES];
    unsigned int i;

    open_servers(NODES);
    for (i = 0; i < NODES; i++) {
        if (i != 2) {
            (void)call_node(i, HA_ADD, "k", span_of_text("old"), 0,
                            LONG_USEC);
        }
    }
    memset(calls, 0, sizeof(calls));
    for (i = 0; i < NODES; i++) {
        /* not in the order of nodes, and one that does not exist */
        calls[i].node = NODES - 1 - i;
        calls[i].verb = verbs[NODES - 1 - i];
        calls[i].data = span_of_text("new");
    }
    store->ops->run(store, "k", calls, NODES, TTL,
                    apr_time_now() + LONG_USEC, pool);
    assert_missed(calls[0]);
    assert_holds(calls[1], "new");
    assert_holds(calls[2], "oldnew");
    ck_assert_int_eq(calls[3].answer, HA_HIT);
    ck_assert_uint_eq(calls[3].held.len, 0);
}
END_TEST

/* ---- nodes that fail ------------------------------------------------------ */

START_TEST(a_hung_node_costs_a_budget_three_times_and_then_nothing)
{
    apr_time_t begin;
    int i;

    open_servers(2);
    assert_holds(call(HA_ADD, "k", "kept", 0), "kept");
    io_memcached_freeze(&servers[0]);
    for (i = 0; i < HA_HEALTH_FAILURES && store->ops->is_up(store, 0); i++) {
        ck_assert_int_eq(call_in_vain(0).rv, APR_TIMEUP);
    }
    ck_assert_int_eq(store->ops->is_up(store, 0), 0);
    ck_assert_int_eq(store->ops->whole_since(store, 0), 0);
    ck_assert_uint_eq(times_told(HA_EVENT_DOWN), 1);

    begin = apr_time_now();
    for (i = 0; i < 1000; i++) {
        ck_assert_int_ne(call_in_vain(0).rv, APR_TIMEUP);
    }
    ck_assert(apr_time_now() - begin < 1000 * SHORT_USEC / 10);
    ck_assert_int_eq(call_node(1, HA_GET, "k", span_of(NULL, 0), 0,
                               LONG_USEC).answer, HA_MISS);

    io_memcached_thaw(&servers[0]);
    wait_until_told(HA_EVENT_UP, 1);
    assert_holds(get("k"), "kept");
    ck_assert_uint_eq(times_told(HA_EVENT_RESTARTED), 0);
    ck_assert_uint_eq(times_told(HA_EVENT_DOWN), 1);
}
END_TEST

START_TEST(hung_nodes_together_cost_one_budget_and_a_good_one_answers)
{
    ha_call_t calls[NODES];
    apr_time_t begin;
    unsigned int i;

    open_servers(NODES);
    for (i = 0; i < NODES; i++) {
        (void)call_node(i, HA_ADD, "k", span_of_text("x"), 0, LONG_USEC);
    }
    for (i = 0; i < NODES - 1; i++) {
        io_memcached_freeze(&servers[i]);
    }
    memset(calls, 0, sizeof(calls));
    for (i = 0; i < NODES; i++) {
        calls[i].node = i;
    }
    begin = apr_time_now();
    store->ops->run(store, "k", calls, NODES, TTL, begin + APR_USEC_PER_SEC,
                    pool);
    /* two budgets would be more */
    ck_assert(apr_time_now() - begin < 2 * APR_USEC_PER_SEC);
    for (i = 0; i < NODES - 1; i++) {
        ck_assert_int_eq(calls[i].answer, HA_UNKNOWN);
        io_memcached_thaw(&servers[i]);
    }
    assert_holds(calls[NODES - 1], "x");
}
END_TEST

START_TEST(black_holes_leave_time_for_a_good_node)
{
    ha_call_t calls[3];
    apr_time_t begin;
    unsigned int i;

    io_memcached_start(&servers[0], NULL, NULL);
    name_port(0, io_black_hole());
    name_port(1, io_black_hole());
    name_port(2, servers[0].port);
    open_store(3);
    memset(calls, 0, sizeof(calls));
    for (i = 0; i < 3; i++) {
        calls[i].node = i;
        calls[i].verb = HA_ADD;
        calls[i].data = span_of_text("x");
    }
    begin = apr_time_now();
    store->ops->run(store, "k", calls, 3, TTL, begin + APR_USEC_PER_SEC,
                    pool);
    ck_assert(apr_time_now() - begin < 2 * APR_USEC_PER_SEC);
    ck_assert_int_eq(calls[0].rv, APR_TIMEUP);
    ck_assert_int_eq(calls[1].rv, APR_TIMEUP);
    assert_holds(calls[2], "x");
}
END_TEST

START_TEST(a_node_that_was_killed_and_comes_back_empty_has_restarted)
{
    apr_time_t killed;

    open_servers(1);
    assert_holds(call(HA_ADD, "k", "x", 0), "x");
    wait_until_whole(0);
    killed = apr_time_now();
    io_memcached_kill(&servers[0]);
    wait_until_down(0);
    ck_assert_uint_eq(times_told(HA_EVENT_DOWN), 1);
    ck_assert_int_eq(last.failures, HA_HEALTH_FAILURES);
    ck_assert(span_is_equal(last.node, span_of_text("n0")));

    io_memcached_restart(&servers[0]);
    wait_until_told(HA_EVENT_RESTARTED, 1);
    ck_assert_int_eq(store->ops->is_up(store, 0), 1);
    assert_missed(get("k"));
    wait_until_whole(0);
    ck_assert(store->ops->whole_since(store, 0) > killed);
    ck_assert_uint_eq(times_told(HA_EVENT_UP), 0);
}
END_TEST

/* Fill the stack of idle connections. */
#define THREADS 16

static void *call_often(void *arg)
{
    unsigned int seed = (unsigned int)(apr_uintptr_t)arg;
    apr_pool_t *p;
    int i;

    if (apr_pool_create_unmanaged(&p) != APR_SUCCESS) {
        abort();
    }
    for (i = 0; i < 100; i++) {
        ha_call_t calls[NODES];
        char key[32];
        unsigned int n;

        memset(calls, 0, sizeof(calls));
        for (n = 0; n < store->count; n++) {
            calls[n].node = n;
            calls[n].verb = i % 10 == 0 ? HA_ADD
                            : i % 10 == 9 ? HA_TOUCH
                                          : HA_APPEND;
            calls[n].data = span_of("0123456789", 10);
        }
        (void)snprintf(key, sizeof(key), "t%u-%d", seed, i / 10);
        store->ops->run(store, key, calls, store->count, TTL,
                        apr_time_now() + LONG_USEC, p);
        for (n = 0; n < store->count; n++) {
            if (calls[n].answer != HA_HIT
                || (i % 10 < 9
                    && calls[n].held.len != 10 * ((apr_size_t)i % 10 + 1))) {
                abort();
            }
        }
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

static void call_from_threads(void)
{
    pthread_t threads[THREADS];
    apr_uintptr_t i;

    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often,
                                        (void *)i), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}

START_TEST(many_threads_and_nodes_get_what_is_theirs)
{
    open_servers(NODES);
    call_from_threads();
    ck_assert_uint_eq(times_told(HA_EVENT_DOWN), 0);
    ck_assert_uint_eq(times_told(HA_EVENT_GARBAGE), 0);
}
END_TEST

START_TEST(a_restart_between_two_calls_costs_no_call)
{
    int round;

    open_servers(1);
    call_from_threads();
    for (round = 0; round < 5; round++) {
        (void)call(HA_ADD, "k", "x", 0);
        wait_until_whole(0);
        io_memcached_kill(&servers[0]);
        io_memcached_restart(&servers[0]);
        /* no witness: it may have forgotten */
        assert_missed(call(HA_APPEND, "k", "y", 0));
        ck_assert(store->ops->whole_since(store, 0) == 0
                  || times_told(HA_EVENT_RESTARTED) > (unsigned int)round);
        wait_until_told(HA_EVENT_RESTARTED, (unsigned int)round + 1);
    }
    ck_assert_uint_eq(times_told(HA_EVENT_DOWN), 0);
}
END_TEST

START_TEST(connections_closed_by_the_node_cost_no_call_and_no_trust)
{
    apr_time_t since;
    apr_time_t begin;

    io_memcached_start(&servers[0], "-o", "idle_timeout=1");
    name_port(0, servers[0].port);
    open_store(1);
    (void)call(HA_ADD, "k", "x", 0);
    wait_until_whole(0);
    since = store->ops->whole_since(store, 0);
    /* memcached looks for idle ones once a second */
    begin = apr_time_now();
    while (apr_time_now() - begin < 4 * APR_USEC_PER_SEC) {
        apr_sleep(100000);
    }
    assert_holds(get("k"), "x");
    wait_until_whole(0);
    ck_assert_int_eq(store->ops->whole_since(store, 0), since);
    ck_assert_uint_eq(times_told(HA_EVENT_RESTARTED), 0);
}
END_TEST

START_TEST(a_node_out_of_connections_is_unknown_and_never_a_miss)
{
    unsigned int unknown = 0;
    int i;

    io_memcached_start(&servers[0], "-c", "40");
    name_port(0, servers[0].port);
    open_store(1);
    (void)call_node(0, HA_ADD, "k", span_of_text("x"), 0, LONG_USEC);
    for (i = 0; i < 60; i++) {
        ha_store_t *other;
        apr_pool_t *p;
        ha_call_t one;

        ck_assert_int_eq(ha_store_mc_make(&other, nodes, 1, health, NULL,
                                          NULL, pool), APR_SUCCESS);
        ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
        ck_assert_int_eq(ha_store_mc_child_init(other, p), APR_SUCCESS);
        memset(&one, 0, sizeof(one));
        other->ops->run(other, "k", &one, 1, TTL,
                        apr_time_now() + SHORT_USEC, pool);
        ck_assert_int_ne(one.answer, HA_MISS);
        unknown += one.answer == HA_UNKNOWN;
    }
    ck_assert_uint_gt(unknown, 0);
}
END_TEST

START_TEST(a_node_that_talks_nonsense_goes_down_and_is_told_of_once)
{
    io_fake_t *fake = io_fake_start(IO_FAKE_REPLY, "HTTP/1.1 400 Bad\r\n",
                                    18);
    int i;

    name_port(0, io_fake_port(fake));
    open_store(1);
    for (i = 0; i < HA_HEALTH_FAILURES; i++) {
        ha_call_t one = call_node(0, HA_ADD, "k", span_of_text("x"), 0,
                                  LONG_USEC);

        ck_assert_int_eq(one.answer, HA_UNKNOWN);
        ck_assert_int_eq(one.rv, EPROTO);
    }
    ck_assert_int_eq(store->ops->is_up(store, 0), 0);
    ck_assert_uint_eq(times_told(HA_EVENT_GARBAGE), 1);
    ck_assert_uint_eq(times_told(HA_EVENT_DOWN), 1);
    apr_pool_destroy(pchild);
    pchild = NULL;
    io_fake_stop(fake);
}
END_TEST

START_TEST(a_budget_used_up_elsewhere_downs_nobody)
{
    int i;

    open_servers(1);
    (void)call(HA_ADD, "k", "x", 0);
    wait_until_whole(0);
    for (i = 0; i < 20; i++) {
        ha_call_t one = call_node(0, HA_APPEND, "k", span_of_text("y"), 0,
                                  -1);

        ck_assert_int_eq(one.answer, HA_UNKNOWN);
        ck_assert_int_eq(one.rv, APR_TIMEUP);
    }
    ck_assert_int_eq(store->ops->is_up(store, 0), 1);
    ck_assert_int_eq(store->ops->whole_since(store, 0), 0);
    assert_holds(get("k"), "x");
}
END_TEST

/* ---- processes ------------------------------------------------------------ */

START_TEST(a_node_that_one_process_finds_down_is_down_for_the_other)
{
    int status = 0;
    pid_t pid;

    name_port(0, io_closed_port());
    ck_assert_int_eq(ha_store_mc_make(&store, nodes, 1, health, take_note,
                                      NULL, pool), APR_SUCCESS);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        apr_pool_t *p;
        ha_call_t one;

        if (apr_pool_create(&p, NULL) != APR_SUCCESS
            || ha_store_mc_child_init(store, p) != APR_SUCCESS) {
            _exit(99);
        }
        while (store->ops->is_up(store, 0)) {
            memset(&one, 0, sizeof(one));
            store->ops->run(store, "k", &one, 1, TTL,
                            apr_time_now() + SHORT_USEC, p);
        }
        apr_pool_destroy(p);
        _exit((int)times_told(HA_EVENT_DOWN));
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_int_eq(store->ops->is_up(store, 0), 0);
}
END_TEST

START_TEST(a_store_is_of_no_use_before_child_init_and_after_a_fork)
{
    int status = 0;
    pid_t pid;

    io_memcached_start(&servers[0], NULL, NULL);
    name_port(0, servers[0].port);
    ck_assert_int_eq(ha_store_mc_make(&store, nodes, 1, health, take_note,
                                      NULL, pool), APR_SUCCESS);
    ck_assert_int_eq(call_in_vain(0).rv, APR_EINIT);
    ck_assert_int_eq(apr_pool_create(&pchild, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_store_mc_child_init(store, pchild), APR_SUCCESS);
    (void)call(HA_ADD, "k", "x", 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        ha_call_t one;

        memset(&one, 0, sizeof(one));
        store->ops->run(store, "k", &one, 1, TTL, apr_time_now() + LONG_USEC,
                        pool);
        _exit(one.answer == HA_UNKNOWN && one.rv == APR_EINIT ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    /* the parent's connection was not touched */
    assert_holds(get("k"), "x");
    ck_assert_int_eq(ha_health_failures(health, 0), 0);
}
END_TEST

START_TEST(the_end_of_a_child_waits_for_no_probe)
{
    apr_time_t begin;

    name_port(0, io_black_hole());
    open_store(1);
    (void)call_in_vain(0);
    begin = apr_time_now();
    apr_pool_destroy(pchild);
    pchild = NULL;
    ck_assert(apr_time_now() - begin < SLACK_USEC);
}
END_TEST

START_TEST(as_many_nodes_as_the_limit_can_be_made_and_no_more)
{
    unsigned int i;

    for (i = 0; i < HA_NODES_MAX; i++) {
        name_port(i, (apr_port_t)(1 + i));
    }
    ck_assert_int_eq(ha_store_mc_make(&store, nodes, HA_NODES_MAX, health,
                                      NULL, NULL, pool), APR_SUCCESS);
    ck_assert_uint_eq(store->count, HA_NODES_MAX);
    ck_assert_int_eq(ha_store_mc_make(&store, nodes, HA_NODES_MAX + 1,
                                      health, NULL, NULL, pool), APR_EINVAL);
    ck_assert_ptr_null(store);
    for (i = 0; i < HA_NODES_MAX; i++) {
        name_port(i, (apr_port_t)(1001 + i));
    }
    ck_assert_int_eq(ha_store_mc_make(&store, nodes, HA_NODES_MAX, health,
                                      NULL, NULL, pool), APR_SUCCESS);
    name_port(0, 9999);
    ck_assert_int_eq(ha_store_mc_make(&store, nodes, 1, health, NULL, NULL,
                                      pool), APR_ENOSPC);
    ck_assert_ptr_null(store);
}
END_TEST

START_TEST(the_library_that_is_loaded_may_be_used)
{
    ck_assert_pstr_eq(ha_store_mc_fault(), NULL);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_store_mc");
    TCase *tcase = tcase_create("store");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, what_was_never_added_is_missed);
    tcase_add_test(tcase, every_verb_does_to_the_item_what_it_says);
    tcase_add_test(tcase, any_bytes_come_back);
    tcase_add_loop_test(tcase, a_value_of_any_size_comes_back, 0,
                        (int)(sizeof(sizes) / sizeof(sizes[0])));
    tcase_add_test(tcase, what_a_node_refuses_as_too_large_is_a_miss);
    tcase_add_test(tcase,
                   a_touch_renews_the_time_to_live_and_an_append_does_not);
    tcase_add_test(tcase, a_time_to_live_beyond_30_days_is_not_over);
    tcase_add_test(tcase, a_bad_key_is_unknown_and_no_fault_of_the_node);
    tcase_add_test(tcase, a_node_is_reached_by_name_and_by_socket);
    tcase_add_test(tcase, each_node_of_a_batch_gets_its_own_verb);
    tcase_add_test(tcase,
                   a_hung_node_costs_a_budget_three_times_and_then_nothing);
    tcase_add_test(
        tcase, hung_nodes_together_cost_one_budget_and_a_good_one_answers);
    tcase_add_test(tcase, black_holes_leave_time_for_a_good_node);
    tcase_add_test(tcase,
                   a_node_that_was_killed_and_comes_back_empty_has_restarted);
    tcase_add_test(tcase, many_threads_and_nodes_get_what_is_theirs);
    tcase_add_test(tcase, a_restart_between_two_calls_costs_no_call);
    tcase_add_test(tcase,
                   connections_closed_by_the_node_cost_no_call_and_no_trust);
    tcase_add_test(tcase,
                   a_node_out_of_connections_is_unknown_and_never_a_miss);
    tcase_add_test(tcase,
                   a_node_that_talks_nonsense_goes_down_and_is_told_of_once);
    tcase_add_test(tcase, a_budget_used_up_elsewhere_downs_nobody);
    tcase_add_test(tcase,
                   a_node_that_one_process_finds_down_is_down_for_the_other);
    tcase_add_test(tcase,
                   a_store_is_of_no_use_before_child_init_and_after_a_fork);
    tcase_add_test(tcase, the_end_of_a_child_waits_for_no_probe);
    tcase_add_test(tcase,
                   as_many_nodes_as_the_limit_can_be_made_and_no_more);
    tcase_add_test(tcase, the_library_that_is_loaded_may_be_used);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner;
    int failed;

    if (apr_initialize() != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
