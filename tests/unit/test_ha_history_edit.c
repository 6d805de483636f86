/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories of an edited list of nodes: web servers are reloaded one after
 * the other, each with the new list, while clients use one session through
 * all of them and up to R-1 nodes fail. Whoever is reloaded knows both lists,
 * the others the old one alone. What a reader must see is as in
 * test_ha_history.c:
 *
 *     acknowledged before the load began <= value <= attempted by its end
 *
 * At the end the nodes taken off the list are switched off, one lifetime
 * passes, and the session is there, by the new list alone. A failing history
 * prints its seed; HA_HISTORY_COUNT=<n> runs so many of each shape.
 */
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <check.h>

#include "ha_session.h"
#include "sim_store.h"

#define CLIENTS_MAX 4
#define SERVERS_MAX 3
#define STEPS 24
#define TTL_SEC 1800

/* Loads after which all nodes have been probed and all copies repaired. */
#define LOADS_TO_REPAIR 400

/* A list as text: node number, zone, weight of one digit, and a space. */
typedef struct edit_t {
    const char *before;
    const char *after;
    unsigned int nodes;
    unsigned int replicas;
} edit_t;

typedef struct history_t {
    apr_uint64_t seed;
    const edit_t *edit;
    sim_list_t list[2];                   /* before and after */
    apr_time_t used;                      /* the old list, last */
    unsigned int servers;
    unsigned int generation[SERVERS_MAX]; /* the list that each one has */
    unsigned int bad[SIM_NODES_MAX];      /* nodes that may fail now */
    unsigned int mends;
    unsigned int seen_whole[2];           /* by each list, at which mend */
    unsigned int clients;
    unsigned int running;
    ha_sid_t sid;
    apr_time_t issued;
    unsigned int acked[CLIENTS_MAX];
    unsigned int attempted[CLIENTS_MAX];
    int end_attempted;
    int end_acked;
} history_t;

static unsigned int host_of(const history_t *h, unsigned int server)
{
    return 2 * server + h->generation[server];
}

static ha_session_env_t surroundings(sim_t *sim, const history_t *h,
                                     unsigned int host)
{
    ha_session_env_t env;

    memset(&env, 0, sizeof(env));
    env.store = sim_store(sim, host);
    env.replicas = h->edit->replicas;
    env.ttl_sec = TTL_SEC;
    env.now = sim_now(sim);
    env.issued = h->issued;
    env.deadline = env.now + apr_time_from_sec(1);
    env.writer = (apr_uint64_t)sim_random(sim, 0x7fffffff) << 32
                 | sim_random(sim, 0x7fffffff);
    return env;
}

static const char *name_of(unsigned int client, apr_pool_t *p)
{
    return apr_psprintf(p, "counter%u", client);
}

static void judge_table(const history_t *h, const history_t *before,
                        const apr_table_t *table, apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < h->clients; i++) {
        const char *value = apr_table_get(table, name_of(i, p));
        unsigned int seen = value != NULL ? (unsigned int)atoi(value) : 0;

        ck_assert_msg(seen >= before->acked[i] && seen <= h->attempted[i],
                      "seed %" APR_UINT64_T_FMT ": counter %u is %u, "
                      "acknowledged %u, attempted %u", h->seed, i, seen,
                      before->acked[i], h->attempted[i]);
    }
}

/* Load, and hold what is seen against what is known. */
static ha_session_t *load_and_judge(sim_t *sim, history_t *h,
                                    unsigned int host, apr_pool_t *p)
{
    const history_t before = *h;
    ha_session_env_t env = surroundings(sim, h, host);
    ha_session_t *session;
    ha_load_e found = ha_session_load(&session, &env, &h->sid, p);

    ck_assert_msg(found == HA_LOAD_HIT || h->end_attempted,
                  "seed %" APR_UINT64_T_FMT ": %s for a session that lives, "
                  "by list %u", h->seed, ha_load_name(found), host % 2);
    ck_assert_msg(found == HA_LOAD_ENDED || !before.end_acked,
                  "seed %" APR_UINT64_T_FMT ": %s after an acknowledged "
                  "logout", h->seed, ha_load_name(found));
    if (found != HA_LOAD_HIT) {
        h->seen_whole[host % 2] = before.mends;
        return NULL;
    }
    if (ha_session_copies(session) == h->edit->replicas) {
        h->seen_whole[host % 2] = before.mends;
    }
    judge_table(h, &before, ha_session_table(session, p), p);
    return session;
}

static void count_up(sim_t *sim, history_t *h, unsigned int client,
                     unsigned int host, ha_session_t *session, apr_pool_t *p)
{
    ha_session_env_t env = surroundings(sim, h, host);
    unsigned int number = ++h->attempted[client];
    ha_saved_t saved;
    ha_op_t op;

    op.name = span_of_text(name_of(client, p));
    op.value = span_of_text(apr_psprintf(p, "%u", number));
    op.gone = 0;
    ha_session_save(session, &saved, &env, &op, 1);
    ck_assert_msg(!saved.refused || h->end_attempted,
                  "seed %" APR_UINT64_T_FMT ": refused without a logout",
                  h->seed);
    if (!saved.refused && saved.copies == saved.wanted) {
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
    if (saved.copies == saved.wanted) {
        h->end_acked = 1;
    }
}

static void play_client(sim_t *sim, history_t *h, unsigned int client)
{
    unsigned int step;

    for (step = 0; step < STEPS; step++) {
        unsigned int host = host_of(h, sim_random(sim, h->servers));
        apr_pool_t *p;
        ha_session_t *session;
        ha_saved_t saved;

        ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
        session = load_and_judge(sim, h, host, p);
        if (session == NULL) {
            sim_yield(sim);
        }
        else if (sim_random(sim, 8 * STEPS) == 0) {
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

/* ---- faults, and who is reloaded when ------------------------------------ */

static void begin_epoch(sim_t *sim, history_t *h)
{
    unsigned int i;

    for (i = 0; i + 1 < h->edit->replicas; i++) {
        h->bad[i] = sim_random(sim, h->edit->nodes);
    }
}

static void hurt(sim_t *sim, history_t *h)
{
    unsigned int node = h->bad[sim_random(sim, h->edit->replicas - 1)];

    switch (sim_random(sim, 4)) {
    case 0:
        sim_cut(sim, node);
        break;
    case 1:
        sim_forget(sim, node);
        break;
    case 2:
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

    for (i = 0; i < h->edit->nodes; i++) {
        sim_mend(sim, i);
        sim_probe(sim, i);
    }
    h->mends++;
}

/* Whether R copies have been seen by each list that somebody has. */
static int is_whole(const history_t *h)
{
    unsigned int i;

    for (i = 0; i < h->servers; i++) {
        if (h->seen_whole[h->generation[i]] != h->mends) {
            return 0;
        }
    }
    return 1;
}

static void reload(sim_t *sim, history_t *h, unsigned int server)
{
    if (h->generation[server] == 0) {
        h->generation[server] = 1;
        h->used = sim_now(sim);
    }
}

static void play_chaos(sim_t *sim, history_t *h)
{
    unsigned int i;

    begin_epoch(sim, h);
    while (h->running > 0) {
        if (sim_random(sim, 12) == 0) {
            reload(sim, h, sim_random(sim, h->servers));
        }
        if (h->edit->replicas > 1 && is_whole(h)) {
            hurt(sim, h);
        }
        for (i = sim_random(sim, 20); i > 0; i--) {
            sim_yield(sim);
        }
        sim_yield(sim);
        if (is_whole(h) && sim_random(sim, 6) == 0) {
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

/* ---- one history --------------------------------------------------------- */

static void read_list(sim_t *sim, sim_list_t *list, const char *text,
                      apr_pool_t *p)
{
    sim_list_init(list);
    for (; *text != '\0'; text += text[3] == ' ' ? 4 : 3) {
        sim_list_add(sim, list, (unsigned int)(text[0] - '0'),
                     apr_pstrndup(p, text + 1, 1),
                     (unsigned int)(text[2] - '0'));
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
    h->issued = sim_now(sim);
    env = surroundings(sim, h, 0);
    session = ha_session_make(&h->sid, p);
    ha_session_save(session, &saved, &env, &op, 1);
    ck_assert_uint_eq(saved.copies, saved.wanted);
}

/* Switch off what is not on the new list; return how often it was asked. */
static unsigned int switch_off_gone(sim_t *sim, const history_t *h)
{
    unsigned int calls = 0;
    unsigned int i;
    unsigned int k;

    for (i = 0; i < h->edit->nodes; i++) {
        for (k = 0; k < h->list[1].count && h->list[1].at[k] != i; k++) {
        }
        if (k == h->list[1].count) {
            sim_cut(sim, i);
            calls += sim_calls(sim, i);
        }
    }
    return calls;
}

/* All reloaded, all mended; a lifetime after that the new list is alone. */
static void end_history(sim_t *sim, history_t *h, apr_pool_t *p)
{
    unsigned int calls;
    unsigned int i;

    mend_all(sim, h);
    for (i = 0; i < h->servers; i++) {
        reload(sim, h, i);
    }
    for (i = 0; i < LOADS_TO_REPAIR && !is_whole(h); i++) {
        (void)load_and_judge(sim, h, host_of(h, i % h->servers), p);
    }
    ck_assert_msg(is_whole(h), "seed %" APR_UINT64_T_FMT ": not repaired",
                  h->seed);
    (void)switch_off_gone(sim, h);
    for (i = 0; i < h->servers; i++) {
        (void)load_and_judge(sim, h, host_of(h, i), p);
    }
    sim_wait(sim, apr_time_from_sec(TTL_SEC));
    calls = switch_off_gone(sim, h);
    for (i = 0; i < h->servers; i++) {
        (void)load_and_judge(sim, h, host_of(h, i), p);
    }
    ck_assert_uint_eq(switch_off_gone(sim, h), calls);
}

static void play_history(apr_uint64_t seed, const edit_t *edit)
{
    apr_pool_t *p;
    history_t h;
    sim_t *sim;
    unsigned int i;

    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    memset(&h, 0, sizeof(h));
    sim = sim_make(seed, edit->nodes, p);
    h.seed = seed;
    h.edit = edit;
    h.clients = h.running = 1 + sim_random(sim, CLIENTS_MAX);
    h.servers = 1 + sim_random(sim, SERVERS_MAX);
    h.used = sim_now(sim);
    read_list(sim, &h.list[0], edit->before, p);
    read_list(sim, &h.list[1], edit->after, p);
    for (i = 0; i < h.servers; i++) {
        sim_configure(sim, 2 * i, &h.list[0], NULL, NULL);
        sim_configure(sim, 2 * i + 1, &h.list[1], &h.list[0], &h.used);
    }
    begin_session(sim, &h, p);
    sim_run(sim, play, h.clients + 1, &h);
    end_history(sim, &h, p);
    sim_free(sim);
    apr_pool_destroy(p);
}

static const edit_t edits[] = {
    { "0a1 1a1", "0a1 1a1 2a1", 3, 1 },             /* one more */
    { "0a1 1a1", "0a1 1a1 2a1", 3, 2 },
    { "0a1 1a1 2a1", "0a1 2a1", 3, 1 },             /* one less */
    { "0a1 1a1 2a1", "0a1 2a1", 3, 2 },
    { "0a1 1a1 2a1 3a1 4a1", "0a1 1a1 3a1 4a1", 5, 3 },
    { "0a1 1a1 2a1", "0a1 1a1 2a9", 3, 1 },         /* other weights */
    { "0a1 1a9 2a1 3a1", "0a9 1a1 2a1 3a9", 4, 2 },
    { "0a1 1a1 2b1 3b1", "0a1 1b1 2b1 3a1", 4, 2 }, /* other zones */
    { "0a1 1b1 2c1 3c1", "0a1 1a1 2a1 3b1", 4, 3 },
    { "0a1", "1a1", 2, 1 },                         /* all others */
    { "0a1 1a1 2a1", "3a1 4a1 5a1", 6, 2 },
    { "0a1 1a1 2a1 3a1", "4a1 5a1 6a1 7a1", 8, 3 },
};

START_TEST(nobody_is_logged_out_by_an_edit_of_the_list)
{
    const char *count = getenv("HA_HISTORY_COUNT");
    int left = count != NULL ? atoi(count) : 60;
    int i;

    ck_assert_int_gt(left, 0);
    for (i = 0; i < left; i++) {
        play_history(100000ULL * (apr_uint64_t)(_i + 1) + (apr_uint64_t)i,
                     &edits[_i]);
    }
}
END_TEST

/* The new owner was there all the time, and has never been told anything. */
START_TEST(a_new_owner_is_no_witness_of_what_the_old_one_has)
{
    static const edit_t edit = { "0a1", "0a1 1a9", 2, 1 };
    unsigned int order[2] = { 0, 0 };
    ha_session_t *session;
    ha_session_env_t env;
    apr_pool_t *p;
    history_t h;
    sim_t *sim;

    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    memset(&h, 0, sizeof(h));
    sim = sim_make(1, edit.nodes, p);
    h.edit = &edit;
    h.used = sim_now(sim);
    read_list(sim, &h.list[0], edit.before, p);
    read_list(sim, &h.list[1], edit.after, p);
    sim_configure(sim, 0, &h.list[0], NULL, NULL);
    sim_configure(sim, 1, &h.list[1], &h.list[0], &h.used);
    while (order[0] != 1) {
        begin_session(sim, &h, p);
        ha_place_order(order, h.list[1].nodes, 2, 1,
                       span_of((const char *)h.sid.digest, HA_SID_DIGEST));
    }
    h.issued = 0;
    sim_cut(sim, 0);
    env = surroundings(sim, &h, 1);
    ck_assert_int_eq(ha_session_load(&session, &env, &h.sid, p),
                     HA_LOAD_UNKNOWN);
    sim_mend(sim, 0);
    ck_assert_int_eq(ha_session_load(&session, &env, &h.sid, p),
                     HA_LOAD_HIT);
    sim_free(sim);
    apr_pool_destroy(p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_history_edit");
    TCase *tcase = tcase_create("edits");
    SRunner *runner;
    int failed;

    apr_initialize();
    atexit(apr_terminate);
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, nobody_is_logged_out_by_an_edit_of_the_list, 0,
                        (int)(sizeof(edits) / sizeof(edits[0])));
    tcase_add_test(tcase, a_new_owner_is_no_witness_of_what_the_old_one_has);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
