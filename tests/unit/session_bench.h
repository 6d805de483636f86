/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_BENCH_H
#define SESSION_BENCH_H

/**
 * @file session_bench.h
 * One session on a fake store, and words for what is done to it and seen.
 *
 * The session's placement order is node 0, node 1 and so on. Failures of the
 * bench itself fail the test.
 */

#include <apr_pools.h>

#include "ha_session.h"
#include "store_fake.h"

/** Seconds that an item lives unless a test says otherwise. */
#define BENCH_TTL_SEC 1800

/** A store, a clock, a session id. Change env as a test needs. */
typedef struct bench_t {
    apr_pool_t *pool;
    store_fake_t *fake;
    ha_sid_t sid;
    ha_saved_t saved;     /**< by the last operation */
    ha_session_env_t env; /**< writer is renewed by each operation */
} bench_t;

/**
 * Make a bench.
 *
 * @param nodes number of nodes of the store
 * @param replicas owners of the session
 * @param p owns it
 */
bench_t *bench_make(unsigned int nodes, unsigned int replicas, apr_pool_t *p);

/** Let time pass for the store and for whoever uses it. */
void bench_pass(bench_t *bench, int seconds);

/** Make a session with attributes such as "user=ada pw=x" and save it. */
ha_session_t *bench_create(bench_t *bench, const char *ops);

/**
 * Save changes: "user=ada -pw" sets one attribute and removes another.
 *
 * @return "2/2" for copies of wanted; behind it ", 1 stand-in" and the like
 *         when not all copies are owners, ", failed" when they are some
 *         and too few, and ", refused"
 */
const char *bench_save(bench_t *bench, ha_session_t *session,
                       const char *ops);

/** Log out. Returns what bench_save() returns. */
const char *bench_end(bench_t *bench, ha_session_t *session);

/** Renew the time to live. Returns what bench_save() returns. */
const char *bench_touch(bench_t *bench, ha_session_t *session);

/**
 * Load the session.
 *
 * @return "hit", "miss", "ended", "moved" or "unknown"; behind hit the
 *         attributes
 */
const char *bench_load(bench_t *bench, ha_session_t **session);

/** What a session says it holds: "a=1 b=2", by name. */
const char *bench_table(const bench_t *bench, const ha_session_t *session);

/**
 * What a node holds: "a=1 b=2", "ended", "nothing" when there is no item, or
 * the word of ha_fold_name() when it cannot be read to its end.
 */
const char *bench_node(const bench_t *bench, unsigned int node);

/** The records of a node's item, 0 when there is none. */
unsigned int bench_records(const bench_t *bench, unsigned int node);

/** A record as another web server would append it at this moment. */
span_t bench_record(bench_t *bench, const char *ops);

#endif
