/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories with rotations: several web servers use the session of one
 * browser while it is given other ids, and one node is cut off, mended and
 * made to lose answers. Each client takes the id that the browser has at that
 * moment; it may be an old one by the time it arrives. Who has the newest id
 * must see every acknowledged write, whatever id it was made with; who has an
 * old one, his own; and after an acknowledged logout nobody sees anything.
 * A failing history prints its seed: HA_HISTORY_SEED and HA_HISTORY_COUNT are
 * as in test_ha_history.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <check.h>

#include "ha_rotate.h"
#include "sim_store.h"

#define CLIENTS_MAX 4
#define STEPS 16

typedef struct history_t {
    apr_uint64_t seed;
    unsigned int nodes;
    unsigned int replicas;
    unsigned int bad;           /* the node that may fail */
    int may_fail;
    int may_end;
    unsigned int clients;
    unsigned int running;
    int clock_sec[CLIENTS_MAX]; /* by which each host's clock is wrong */
    ha_sid_t sid;               /* the browser's */
    int is_rotating;
    unsigned int rotations;
    unsigned int late;          /* requests that came with an old id */
    unsigned int acked[CLIENTS_MAX];
    unsigned int attempted[CLIENTS_MAX];
    int end_attempted;
    int end_acked;
} history_t;

/* One request. */
typedef struct visit_t {
    sim_t *sim;
    history_t *h;
    history_t before;      /* what was known when it began */
    unsigned int client;
    unsigned int host;
    ha_session_t *session; /* NULL with an old id */
    ha_late_t late;
    apr_pool_t *pool;
} visit_t;

static ha_session_env_t surroundings(const visit_t *v)
{
    ha_session_env_t env;

    memset(&env, 0, sizeof(env));
    env.store = sim_store(v->sim, v->host);
    env.replicas = v->h->replicas;
    env.acks = v->h->replicas;
    env.ttl_sec = 1800;
    env.now = sim_now(v->sim) + apr_time_from_sec(v->h->clock_sec[v->host]);
    env.deadline = env.now + apr_time_from_sec(1);
    env.writer = (apr_uint64_t)sim_random(v->sim, 0x7fffffff) << 32
                 | sim_random(v->sim, 0x7fffffff);
    return env;
}

static ha_sid_t any_sid(sim_t *sim)
{
    unsigned char id[HA_SID_BYTES];
    ha_sid_t sid;
    unsigned int i;

    for (i = 0; i < sizeof(id); i++) {
        id[i] = (unsigned char)sim_random(sim, 256);
    }
    ha_sid_init(&sid, id);
    return sid;
}

static const char *name_of(unsigned int client, apr_pool_t *p)
{
    return apr_psprintf(p, "counter%u", client);
}

/* ---- reading ------------------------------------------------------------ */

static void judge_table(const visit_t *v, const apr_table_t *table,
                        int is_late)
{
    unsigned int i;

    for (i = 0; i < v->h->clients; i++) {
        const char *value = apr_table_get(table, name_of(i, v->pool));
        unsigned int seen = value != NULL ? (unsigned int)atoi(value) : 0;

        if (is_late && i != v->client && value == NULL) {
            /* Counted up with a newer id, which hides it. */
            continue;
        }
        ck_assert_msg(seen >= v->before.acked[i]
                          && seen <= v->h->attempted[i],
                      "seed %" APR_UINT64_T_FMT ": counter %u is %u%s, "
                      "acknowledged %u, attempted %u", v->h->seed, i, seen,
                      is_late ? " with an old id" : "", v->before.acked[i],
                      v->h->attempted[i]);
    }
}

/* Load with the browser's id, and hold what is seen against what is known.
 * Returns 0 when the session has ended. */
static int load_and_judge(visit_t *v)
{
    ha_sid_t sid = v->h->sid;
    ha_session_env_t env = surroundings(v);
    ha_session_t *found;
    ha_load_e result;

    v->before = *v->h;
    result = ha_session_load(&found, &env, &sid, v->pool);
    v->session = found;
    if (result == HA_LOAD_MOVED) {
        v->session = NULL;
        v->h->late++;
        env = surroundings(v);
        result = ha_late_follow(&v->late, found, 0, &env, v->pool);
    }
    if (v->before.end_acked || (v->h->end_attempted
                                && result == HA_LOAD_ENDED)) {
        ck_assert_msg(result == HA_LOAD_ENDED, "seed %" APR_UINT64_T_FMT
                      ": %s after an acknowledged logout", v->h->seed,
                      ha_load_name(result));
        return 0;
    }
    ck_assert_msg(result == HA_LOAD_HIT, "seed %" APR_UINT64_T_FMT
                  ": %s for a session that lives", v->h->seed,
                  ha_load_name(result));
    judge_table(v, v->session != NULL ? ha_session_table(v->session, v->pool)
                                      : ha_late_table(&v->late, v->pool),
                v->session == NULL);
    return 1;
}

/* ---- writing ------------------------------------------------------------ */

static ha_op_t count_op(visit_t *v)
{
    ha_op_t op;

    op.name = span_of_text(name_of(v->client, v->pool));
    op.value = span_of_text(apr_psprintf(v->pool, "%u",
                                         ++v->h->attempted[v->client]));
    op.gone = 0;
    return op;
}

static void note_count(visit_t *v, const ha_saved_t *saved)
{
    ck_assert_msg(!saved->refused || v->h->end_attempted,
                  "seed %" APR_UINT64_T_FMT ": refused without a logout",
                  v->h->seed);
    if (!saved->refused && saved->copies == saved->wanted) {
        v->h->acked[v->client] = v->h->attempted[v->client];
    }
}

static void count_up(visit_t *v)
{
    ha_session_env_t env = surroundings(v);
    ha_op_t op = count_op(v);
    ha_saved_t saved;

    if (v->session == NULL) {
        ha_late_save(&v->late, &saved, &env, &op, 1);
    }
    else {
        ha_session_save(v->session, &saved, &env, &op, 1);
        if (ha_late_is_due(v->session)) {
            ha_load_e result = ha_late_follow(&v->late, v->session, 0, &env,
                                              v->pool);

            ck_assert(result == HA_LOAD_HIT || v->h->end_attempted);
            ha_late_save(&v->late, &saved, &env, &op, 1);
        }
    }
    note_count(v, &saved);
}

static void rotate(visit_t *v)
{
    ha_session_env_t env = surroundings(v);
    ha_sid_t sid = any_sid(v->sim);
    ha_op_t op = count_op(v);
    ha_session_t *fresh = ha_rotate_copy(v->session, NULL, &sid, v->pool);
    ha_forward_t forward;
    ha_saved_t saved;
    ha_saved_t left;

    memset(&forward, 0, sizeof(forward));
    forward.until = APR_INT64_MAX;
    memcpy(forward.id, sid.bytes, HA_SID_BYTES);
    v->h->is_rotating = 1;
    switch (ha_rotate_session(fresh, v->session, &forward, &saved, &left,
                              &env, &op, 1)) {
    case HA_ROTATE_DONE:
        v->h->sid = sid;
        v->h->rotations++;
        note_count(v, &saved);
        break;
    case HA_ROTATE_ENDED:
        ck_assert(v->h->end_attempted);
        break;
    case HA_ROTATE_FAILED:
        break;
    }
    v->h->is_rotating = 0;
}

static void log_out(visit_t *v)
{
    ha_session_env_t env = surroundings(v);
    ha_saved_t saved;

    v->h->end_attempted = 1;
    ha_rotate_end(v->session != NULL ? v->session : v->late.origin, &saved,
                  &env, v->pool);
    if (saved.copies == saved.wanted) {
        v->h->end_acked = 1;
    }
}

/* ---- playing ------------------------------------------------------------ */

static void play_client(sim_t *sim, history_t *h, unsigned int client)
{
    unsigned int step;

    for (step = 0; step < STEPS; step++) {
        visit_t v;

        memset(&v, 0, sizeof(v));
        v.sim = sim;
        v.h = h;
        v.client = client;
        v.host = sim_random(sim, h->clients);
        ck_assert_int_eq(apr_pool_create(&v.pool, NULL), APR_SUCCESS);
        if (!load_and_judge(&v)) {
            sim_yield(sim);
        }
        else if (h->may_end && sim_random(sim, 4 * STEPS) == 0) {
            log_out(&v);
        }
        else if (v.session != NULL && !h->is_rotating
                 && memcmp(ha_session_sid(v.session)->bytes, h->sid.bytes,
                           HA_SID_BYTES) == 0
                 && sim_random(sim, 5) == 0) {
            rotate(&v);
        }
        else {
            count_up(&v);
        }
        apr_pool_destroy(v.pool);
    }
    h->running--;
}

static void play_chaos(sim_t *sim, history_t *h)
{
    unsigned int i;

    while (h->running > 0) {
        if (h->may_fail) {
            switch (sim_random(sim, 4)) {
            case 0:
                sim_cut(sim, h->bad);
                break;
            case 1:
                sim_deafen(sim, h->bad, 50);
                break;
            default:
                sim_mend(sim, h->bad);
                sim_probe(sim, h->bad);
                break;
            }
        }
        for (i = 1 + sim_random(sim, 20); i > 0; i--) {
            sim_yield(sim);
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
    ha_op_t op = { { "user", 4 }, { "ada", 3 }, 0 };
    ha_session_env_t env;
    ha_session_t *session;
    ha_saved_t saved;
    visit_t v;

    memset(&v, 0, sizeof(v));
    v.sim = sim;
    v.h = h;
    h->sid = any_sid(sim);
    env = surroundings(&v);
    session = ha_session_make(&h->sid, p);
    ha_session_save(session, &saved, &env, &op, 1);
    ck_assert_uint_eq(saved.copies, saved.wanted);
}

static const struct {
    unsigned int nodes;
    unsigned int replicas;
    int may_fail;
    int may_end;
} shapes[] = {
    { 1, 1, 0, 0 }, { 2, 2, 0, 1 }, { 3, 2, 1, 0 }, { 3, 2, 1, 1 },
    { 5, 3, 1, 1 },
};

static void play_history(apr_uint64_t seed, int shape, unsigned int *rotations,
                         unsigned int *late)
{
    apr_pool_t *p;
    history_t h;
    sim_t *sim;
    unsigned int i;

    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    memset(&h, 0, sizeof(h));
    sim = sim_make(seed, shapes[shape].nodes, p);
    h.seed = seed;
    h.nodes = shapes[shape].nodes;
    h.replicas = shapes[shape].replicas;
    h.may_fail = shapes[shape].may_fail;
    h.may_end = shapes[shape].may_end;
    h.bad = sim_random(sim, h.nodes);
    h.clients = h.running = 2 + sim_random(sim, CLIENTS_MAX - 1);
    for (i = 0; i < h.clients; i++) {
        h.clock_sec[i] = (int)sim_random(sim, 61) - 30;
    }
    begin_session(sim, &h, p);
    sim_run(sim, play, h.clients + 1, &h);
    *rotations += h.rotations;
    *late += h.late;
    sim_free(sim);
    apr_pool_destroy(p);
}

START_TEST(no_write_is_lost_to_a_rotation)
{
    const char *seed = getenv("HA_HISTORY_SEED");
    const char *count = getenv("HA_HISTORY_COUNT");
    int left = count != NULL ? atoi(count) : 60;
    unsigned int rotations = 0;
    unsigned int late = 0;
    int i;

    if (seed != NULL) {
        play_history(strtoull(seed, NULL, 10), _i, &rotations, &late);
        return;
    }
    ck_assert_int_gt(left, 0);
    for (i = 0; i < left; i++) {
        play_history(100000ULL * (unsigned int)(_i + 1) + (unsigned int)i, _i,
                     &rotations, &late);
    }
    /* That happened of which the test is about. */
    ck_assert_uint_gt(rotations, (unsigned int)left);
    ck_assert_uint_gt(late, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_history_rotate");
    TCase *tcase = tcase_create("histories");
    SRunner *runner;
    int failed;

    apr_initialize();
    atexit(apr_terminate);
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, no_write_is_lost_to_a_rotation, 0,
                        (int)(sizeof(shapes) / sizeof(shapes[0])));
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
