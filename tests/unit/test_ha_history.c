/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories: several web servers use one session at the same time while
 * nodes are cut off, mended, restarted empty and made to lose answers. At
 * most W-1 of N nodes fail in one epoch, where W copies make a save good,
 * which is what the protocol promises to survive; the next epoch, with other
 * nodes, begins when all are mended, their probers have noticed, and somebody
 * has seen R copies since. The clocks of the web servers differ by up to a
 * minute, and every fourth time by up to twenty. Each client writes a counter
 * of its own, through any web server, so what a reader must see is
 * known at every moment:
 *
 *     acknowledged before the load began <= value <= attempted by its end
 *
 * and after an acknowledged logout nobody sees the session again. A failing
 * history prints its seed; HA_HISTORY_SEED=<n> repeats that one, and
 * HA_HISTORY_COUNT=<n> runs so many of each shape.
 */
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <check.h>

#include "ha_session.h"
#include "sim_store.h"

#define CLIENTS_MAX 4
#define STEPS 24

/* Loads after which all nodes have been probed and all copies repaired. */
#define LOADS_TO_REPAIR 400

/* What the world knows of the one session. */
typedef struct history_t {
    apr_uint64_t seed;
    unsigned int replicas;
    unsigned int acks;                 /* 0: all, and good when all are */
    unsigned int nodes;
    unsigned int order[SIM_NODES_MAX]; /* placement of the session */
    unsigned int bad[SIM_NODES_MAX];   /* nodes that may fail now */
    unsigned int bad_count;
    unsigned int mends;                /* times that all were mended */
    unsigned int seen_whole;           /* the mend that R copies outlived */
    unsigned int clients;
    unsigned int running;
    int clock_sec[CLIENTS_MAX]; /* by which each host's clock is wrong */
    int may_end;
    ha_sid_t sid;
    apr_time_t issued;
    unsigned int acked[CLIENTS_MAX];
    unsigned int attempted[CLIENTS_MAX];
    int end_attempted;
    int end_acked;
} history_t;

static ha_session_env_t surroundings(sim_t *sim, const history_t *h,
                                     unsigned int host)
{
    ha_session_env_t env;

    memset(&env, 0, sizeof(env));
    env.store = sim_store(sim, host);
    env.replicas = h->replicas;
    env.acks = h->acks;
    env.ttl_sec = 1800;
    env.now = sim_now(sim) + apr_time_from_sec(h->clock_sec[host]);
    env.issued = h->issued;
    env.deadline = env.now + apr_time_from_sec(1);
    env.writer = (apr_uint64_t)sim_random(sim, 0x7fffffff) << 32
                 | sim_random(sim, 0x7fffffff);
    return env;
}

/* W: what a save needs to be good, and one more than may fail. */
static unsigned int good_copies(const history_t *h)
{
    return h->acks > 0 ? h->acks : h->replicas;
}

static const char *name_of(unsigned int client, apr_pool_t *p)
{
    return apr_psprintf(p, "counter%u", client);
}

/* Load, and hold what is seen against what is known. */
static ha_session_t *load_and_judge(sim_t *sim, history_t *h,
                                    unsigned int host, apr_pool_t *p)
{
    const history_t before = *h;
    ha_session_env_t env = surroundings(sim, h, host);
    ha_session_t *session;
    ha_load_e found = ha_session_load(&session, &env, &h->sid, p);
    apr_table_t *table;
    unsigned int i;

    if (before.end_acked) {
        ck_assert_msg(found == HA_LOAD_ENDED, "seed %" APR_UINT64_T_FMT
                      ": %s after an acknowledged logout",
                      h->seed, ha_load_name(found));
    }
    if (!h->end_attempted) {
        ck_assert_msg(found == HA_LOAD_HIT, "seed %" APR_UINT64_T_FMT
                      ": %s for a session that lives",
                      h->seed, ha_load_name(found));
    }
    ck_assert_msg(found == HA_LOAD_HIT || found == HA_LOAD_ENDED,
                  "seed %" APR_UINT64_T_FMT ": %s", h->seed,
                  ha_load_name(found));
    if (found != HA_LOAD_HIT) {
        h->seen_whole = before.mends;
        return NULL;
    }
    if (ha_session_copies(session) == h->replicas) {
        h->seen_whole = before.mends;
    }
    table = ha_session_table(session, p);
    for (i = 0; i < h->clients; i++) {
        const char *value = apr_table_get(table, name_of(i, p));
        unsigned int seen = value != NULL ? (unsigned int)atoi(value) : 0;

        ck_assert_msg(seen >= before.acked[i] && seen <= h->attempted[i],
                      "seed %" APR_UINT64_T_FMT ": counter %u is %u, "
                      "acknowledged %u, attempted %u",
                      h->seed, i, seen, before.acked[i], h->attempted[i]);
    }
    return session;
}

static void count_up(sim_t *sim, history_t *h, unsigned int client,
                     unsigned int host, ha_session_t *session, apr_pool_t *p)
{
    ha_session_env_t env = surroundings(sim, h, host);
    unsigned int number = ++h->attempted[client];
    ha_saved_t saved;
    ha_op_t ops[2];

    ops[0].name = span_of_text(name_of(client, p));
    ops[0].value = span_of_text(apr_psprintf(p, "%u", number));
    ops[0].gone = 0;
    ops[1].name = span_of_text("shared");
    ops[1].value = ops[0].value;
    ops[1].gone = sim_random(sim, 3) == 0;
    ha_session_save(session, &saved, &env, ops, 2);
    ck_assert_msg(!saved.refused || h->end_attempted,
                  "seed %" APR_UINT64_T_FMT ": refused without a logout",
                  h->seed);
    if (!saved.refused && saved.copies >= good_copies(h)) {
        h->acked[client] = number;
    }
}

static void log_out(sim_t *sim, history_t *h, unsigned int host,
                    ha_session_t *session)
{
    ha_session_env_t env = surroundings(sim, h, host);
    ha_saved_t saved;

    h->end_attempted = 1;
    ha_session_end(session, &saved, &env);
    if (saved.copies >= good_copies(h)) {
        h->end_acked = 1;
    }
}

static void play_client(sim_t *sim, history_t *h, unsigned int client)
{
    unsigned int step;

    for (step = 0; step < STEPS; step++) {
        unsigned int host = sim_random(sim, h->clients);
        apr_pool_t *p;
        ha_session_t *session;
        ha_saved_t saved;

        ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
        session = load_and_judge(sim, h, host, p);
        if (session == NULL) {
            sim_yield(sim);
        }
        else if (h->may_end && sim_random(sim, 4 * STEPS) == 0) {
            log_out(sim, h, host, session);
        }
        else if (sim_random(sim, 5) == 0) {
            ha_session_env_t env = surroundings(sim, h, host);

            ha_session_touch(session, &saved, &env);
        }
        else {
            count_up(sim, h, client, host, session, p);
        }
        apr_pool_destroy(p);
    }
    h->running--;
}

/* Choose who may fail next, among the owners and the first stand-in. */
static void begin_epoch(sim_t *sim, history_t *h)
{
    unsigned int first = h->replicas < h->nodes ? h->replicas + 1 : h->nodes;
    unsigned int i;

    h->bad_count = 0;
    for (i = 0; i + 1 < good_copies(h); i++) {
        h->bad[h->bad_count++] = h->order[sim_random(sim, first)];
    }
}

static void hurt(sim_t *sim, unsigned int node)
{
    switch (sim_random(sim, 5)) {
    case 0:
    case 1:
        sim_cut(sim, node);
        break;
    case 2:
        sim_forget(sim, node);
        break;
    case 3:
        sim_deafen(sim, node, 50);
        break;
    default:
        sim_mend(sim, node);
        break;
    }
}

static void mend_all(sim_t *sim, history_t *h)
{
    unsigned int i;

    for (i = 0; i < h->nodes; i++) {
        sim_mend(sim, i);
        sim_probe(sim, i);
    }
    h->mends++;
}

static void play_chaos(sim_t *sim, history_t *h)
{
    unsigned int i;

    begin_epoch(sim, h);
    while (h->running > 0) {
        if (h->bad_count > 0 && h->mends == h->seen_whole) {
            hurt(sim, h->bad[sim_random(sim, h->bad_count)]);
        }
        for (i = sim_random(sim, 20); i > 0; i--) {
            sim_yield(sim);
        }
        sim_yield(sim);
        if (h->mends == h->seen_whole && sim_random(sim, 6) == 0) {
            mend_all(sim, h);
            begin_epoch(sim, h);
        }
    }
}

static void play(sim_t *sim, unsigned int actor, void *ctx)
{
    history_t *h = ctx;

    if (actor == h->clients) {
        play_chaos(sim, h);
    }
    else {
        play_client(sim, h, actor);
    }
}

static void begin_session(sim_t *sim, history_t *h, apr_pool_t *p)
{
    unsigned char id[HA_SID_BYTES];
    ha_session_env_t env;
    ha_session_t *session;
    ha_saved_t saved;
    ha_op_t op = { { "user", 4 }, { "ada", 3 }, 0 };
    unsigned int i;

    for (i = 0; i < sizeof(id); i++) {
        id[i] = (unsigned char)sim_random(sim, 256);
    }
    ha_sid_init(&h->sid, id);
    ha_place_order(h->order, sim_store(sim, 0)->nodes, h->nodes, h->replicas,
                   span_of((const char *)h->sid.digest, HA_SID_DIGEST));
    h->issued = sim_now(sim);
    env = surroundings(sim, h, 0);
    session = ha_session_make(&h->sid, p);
    ha_session_save(session, &saved, &env, &op, 1);
    ck_assert_uint_eq(saved.copies, saved.wanted);
}

typedef struct shape_t {
    unsigned int nodes;
    unsigned int replicas;
    unsigned int acks;
    int may_end;
} shape_t;

static void play_history(apr_uint64_t seed, const shape_t *shape)
{
    apr_pool_t *p;
    history_t h;
    sim_t *sim;
    unsigned int i;

    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    memset(&h, 0, sizeof(h));
    sim = sim_make(seed, shape->nodes, p);
    h.seed = seed;
    h.replicas = shape->replicas;
    h.acks = shape->acks;
    h.may_end = shape->may_end;
    h.clients = h.running = 1 + sim_random(sim, CLIENTS_MAX);
    h.nodes = shape->nodes;
    for (i = 0; i < h.clients; i++) {
        int most_sec = seed % 4 == 0 ? 600 : 30;

        h.clock_sec[i] =
            (int)sim_random(sim, 2 * (unsigned int)most_sec + 1) - most_sec;
    }
    begin_session(sim, &h, p);
    sim_run(sim, play, h.clients + 1, &h);
    mend_all(sim, &h);
    for (i = 0; i < LOADS_TO_REPAIR && h.seen_whole != h.mends; i++) {
        (void)load_and_judge(sim, &h, i % h.clients, p);
    }
    ck_assert_msg(h.seen_whole == h.mends,
                  "seed %" APR_UINT64_T_FMT ": not repaired", seed);
    sim_free(sim);
    apr_pool_destroy(p);
}

static void play_histories(const shape_t *shape)
{
    const char *seed = getenv("HA_HISTORY_SEED");
    const char *count = getenv("HA_HISTORY_COUNT");
    int left = count != NULL ? atoi(count) : 60;
    int i;

    if (seed != NULL) {
        play_history(strtoull(seed, NULL, 10), shape);
        return;
    }
    ck_assert_int_gt(left, 0);
    for (i = 0; i < left; i++) {
        play_history(1000000ULL * shape->nodes + 100000ULL * shape->replicas
                         + 10000ULL * shape->acks + i, shape);
    }
}

static const shape_t shapes[] = {
    { 1, 1, 0, 0 }, { 1, 1, 0, 1 }, { 3, 1, 0, 1 }, { 2, 2, 0, 0 },
    { 3, 2, 0, 0 }, { 3, 2, 0, 1 }, { 5, 2, 0, 1 }, { 3, 3, 0, 1 },
    { 4, 3, 0, 0 }, { 5, 3, 0, 1 }, { 7, 4, 0, 1 }, { 3, 2, 1, 1 },
    { 3, 3, 2, 1 }, { 4, 3, 2, 0 }, { 5, 3, 2, 1 }, { 7, 4, 3, 1 },
};

START_TEST(every_acknowledged_write_outlives_every_history)
{
    play_histories(&shapes[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_history");
    TCase *tcase = tcase_create("histories");
    SRunner *runner;
    int failed;

    apr_initialize();
    atexit(apr_terminate);
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase,
                        every_acknowledged_write_outlives_every_history, 0,
                        (int)(sizeof(shapes) / sizeof(shapes[0])));
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
