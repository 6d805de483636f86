/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include <apr_general.h>

#include "shm_site.h"

apr_pool_t *shm_pool;
ha_shm_t *shm_memory;
ha_store_t *shm_store;
unsigned int shm_events;
char shm_pattern[HA_VALUE_MAX + 1];

static void count_event(void *ctx, const ha_event_t *event)
{
    unsigned int *count = ctx;

    ck_assert_int_eq(event->kind, HA_EVENT_FULL);
    ck_assert(span_is_equal(event->node, span_of_text("shm")));
    (*count)++;
}

void shm_use_memory(apr_size_t size)
{
    ck_assert_int_eq(ha_shm_create(&shm_memory, size, shm_pool), APR_SUCCESS);
    shm_store = ha_store_shm_make(shm_memory, count_event, &shm_events,
                                  shm_pool);
}

void shm_set_up(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(shm_pattern); i++) {
        shm_pattern[i] = (char)(i * 7 + i / 251);
    }
    shm_events = 0;
    ck_assert_int_eq(apr_pool_create(&shm_pool, NULL), APR_SUCCESS);
    shm_use_memory(HA_SHM_MIN);
}

void shm_tear_down(void)
{
    apr_pool_destroy(shm_pool);
}

/*
 * For code that other threads and processes run too: libcheck reports every
 * assertion through one pipe, which is the test's own thread's.
 */
void shm_must(int is_so)
{
    if (!is_so) {
        abort();
    }
}

/* One call, with an answer that is known. */
ha_call_t shm_call(ha_verb_e verb, const char *key, span_t data,
                   apr_uint64_t version, apr_uint32_t ttl, apr_pool_t *p)
{
    ha_call_t one;

    memset(&one, 0, sizeof(one));
    one.verb = verb;
    one.data = data;
    one.version = version;
    shm_store->ops->run(shm_store, key, &one, 1, ttl,
                        apr_time_now() + SHM_BUDGET_USEC, p);
    shm_must(one.rv == APR_SUCCESS);
    shm_must(one.answer != HA_UNKNOWN);
    return one;
}

ha_call_t shm_get(const char *key)
{
    return shm_call(HA_GET, key, span_of(NULL, 0), 0, 0, shm_pool);
}

ha_call_t shm_add(const char *key, const char *text)
{
    return shm_call(HA_ADD, key, span_of_text(text), 0, SHM_TTL, shm_pool);
}

void shm_assert_holds(ha_call_t one, const char *text)
{
    ck_assert_int_eq(one.answer, HA_HIT);
    ck_assert_uint_ne(one.version, 0);
    ck_assert(span_is_equal(one.held, span_of_text(text)));
}

void shm_assert_missed(ha_call_t one)
{
    ck_assert_int_eq(one.answer, HA_MISS);
    ck_assert_uint_eq(one.held.len, 0);
}

ha_shm_usage_t shm_usage(void)
{
    ha_shm_usage_t now;

    ha_shm_usage(&now, shm_memory);
    return now;
}

void shm_wait_until_missed(const char *key)
{
    apr_time_t deadline = apr_time_now() + SHM_PATIENCE_USEC;

    while (shm_get(key).answer == HA_HIT) {
        ck_assert(apr_time_now() < deadline);
        apr_sleep(10000);
    }
}
