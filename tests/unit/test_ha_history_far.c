/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories of two zones whose web servers do not wait for each other's
 * copies. Zones are lost as a whole, cut off or emptied, one at a time and
 * the next one when all has been brought and seen in R copies; web servers
 * outlive their zone's nodes, and bring what they queued when nodes are back.
 * What is held against each load is
 *
 *     brought before the load began <= value <= attempted by its end
 *
 * where a write is brought when every node that it missed has proved it. A
 * server in a zone that no fault touched must also see every write that a
 * server of that zone acknowledged, brought or not. The same goes for ends.
 * And where zones are cut off and forget nothing, a server must see what it
 * got all R copies of itself, whoever stood in for its zone.
 * At the end all is brought, either zone is lost, and all must be there. A
 * failing history prints its seed; HA_HISTORY_COUNT=<n> runs so many of each
 * shape.
 */
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <check.h>

#include "ha_far.h"
#include "sim_store.h"

#define ZONES 2
#define HOSTS 4
#define CLIENTS_MAX 3
#define STEPS 24
#define QUEUE_MAX 4096

/* Loads after which all copies have been repaired. */
#define LOADS_TO_REPAIR 400

static const char *const zone_name[ZONES] = { "east", "west" };

typedef struct shape_t {
    unsigned int each;     /* nodes of a zone */
    unsigned int replicas;
    int may_end;
    int both_fail;         /* or west alone */
    int may_forget;        /* a zone that is lost may come back empty */
} shape_t;

/* What a host has queued, and what it is worth when it arrives. */
typedef struct queued_t {
    unsigned int host;
    ha_bundle_t bundle;
    unsigned int client; /* CLIENTS_MAX: an end; above: neither */
    unsigned int number;
} queued_t;

typedef struct known_t {
    unsigned int zone[ZONES][CLIENTS_MAX]; /* acknowledged in a zone */
    unsigned int full[HOSTS][CLIENTS_MAX]; /* in R copies, by a host */
    unsigned int brought[CLIENTS_MAX];
    int end_zone[ZONES];
    int end_brought;
} known_t;

typedef struct history_t {
    apr_uint64_t seed;
    const shape_t *shape;
    apr_pool_t *pool;
    sim_list_t list;
    unsigned int clients;
    unsigned int running;
    unsigned int mends;
    unsigned int seen_whole; /* the mend that R copies outlived */
    int is_used[HOSTS];      /* the host has used the session */
    ha_sid_t sid;
    apr_time_t issued;
    known_t known;
    unsigned int attempted[CLIENTS_MAX];
    int end_attempted;
    queued_t queue[QUEUE_MAX];
    unsigned int count;
} history_t;

static unsigned int zone_of(unsigned int host)
{
    return host % ZONES;
}

static ha_session_env_t surroundings(sim_t *sim, const history_t *h,
                                     unsigned int host)
{
    ha_session_env_t env;

    memset(&env, 0, sizeof(env));
    env.store = sim_store(sim, host);
    env.replicas = h->shape->replicas;
    env.ttl_sec = 1800;
    env.now = sim_now(sim);
    env.issued = h->issued;
    env.deadline = env.now + apr_time_from_sec(1);
    env.writer = (apr_uint64_t)sim_random(sim, 0x7fffffff) << 32
                 | sim_random(sim, 0x7fffffff);
    env.zone = span_of_text(zone_name[zone_of(host)]);
    env.far_later = 1;
    return env;
}

static const char *name_of(unsigned int client, apr_pool_t *p)
{
    return apr_psprintf(p, "counter%u", client);
}

/* Whether a host's zone has met no fault. */
static int is_spared(const history_t *h, unsigned int host)
{
    return zone_of(host) == 0 && !h->shape->both_fail;
}

/* What a host must see of a client's counter. */
static unsigned int floor_of(const history_t *h, const known_t *known,
                             unsigned int host, unsigned int client)
{
    unsigned int acked = known->zone[zone_of(host)][client];
    unsigned int full = known->full[host][client];
    unsigned int least = known->brought[client];

    if (is_spared(h, host) && acked > least) {
        least = acked;
    }
    return !h->shape->may_forget && full > least ? full : least;
}

static void judge_table(const history_t *h, const known_t *before,
                        unsigned int host, const ha_session_t *session,
                        apr_pool_t *p)
{
    apr_table_t *table = ha_session_table(session, p);
    unsigned int i;

    for (i = 0; i < h->clients; i++) {
        const char *value = apr_table_get(table, name_of(i, p));
        unsigned int seen = value != NULL ? (unsigned int)atoi(value) : 0;
        unsigned int least = floor_of(h, before, host, i);

        ck_assert_msg(seen >= least && seen <= h->attempted[i],
                      "seed %" APR_UINT64_T_FMT ": counter %u is %u for host "
                      "%u, at least %u, attempted %u", h->seed, i, seen, host,
                      least, h->attempted[i]);
    }
}

static ha_session_t *load_and_judge(sim_t *sim, history_t *h,
                                    unsigned int host, apr_pool_t *p)
{
    const known_t before = h->known;
    unsigned int mends = h->mends;
    ha_session_env_t env = surroundings(sim, h, host);
    ha_session_t *session;
    ha_load_e found;

    env.near_first = h->is_used[host] && sim_random(sim, 4) > 0;
    found = ha_session_load(&session, &env, &h->sid, p);
    h->is_used[host] = 1;
    ck_assert_msg(found == HA_LOAD_HIT || h->end_attempted,
                  "seed %" APR_UINT64_T_FMT ": %s for a session that lives",
                  h->seed, ha_load_name(found));
    if (before.end_brought
        || (is_spared(h, host) && before.end_zone[zone_of(host)])) {
        ck_assert_msg(found == HA_LOAD_ENDED, "seed %" APR_UINT64_T_FMT
                      ": %s after a logout", h->seed, ha_load_name(found));
    }
    if (found != HA_LOAD_HIT) {
        /* an end found near is not repaired far away */
        h->seen_whole = env.near_first ? h->seen_whole : mends;
        return NULL;
    }
    if (ha_session_copies(session) == h->shape->replicas) {
        h->seen_whole = mends;
    }
    judge_table(h, &before, host, session, p);
    return session;
}

/* ---- the queues ---------------------------------------------------------- */

static void note_brought(history_t *h, unsigned int client,
                         unsigned int number)
{
    if (client == CLIENTS_MAX) {
        h->known.end_brought = 1;
    }
    else if (client < CLIENTS_MAX && h->known.brought[client] < number) {
        h->known.brought[client] = number;
    }
}

/* Queue what an operation left undone; it is brought when nothing is. */
static void queue_up(history_t *h, unsigned int host, const ha_saved_t *saved,
                     unsigned int client, unsigned int number, int is_touch)
{
    queued_t *item = &h->queue[h->count];

    if (saved->missed == 0) {
        note_brought(h, client, number);
        return;
    }
    ck_assert_uint_lt(h->count, QUEUE_MAX);
    item->host = host;
    item->client = client;
    item->number = number;
    item->bundle.nodes = saved->missed;
    item->bundle.records = span_of(apr_pmemdup(h->pool, saved->records.data,
                                               saved->records.len),
                                   saved->records.len);
    item->bundle.is_whole = saved->is_whole;
    item->bundle.is_touch = is_touch;
    h->count++;
}

/* Bring the i-th that is queued. Nobody else takes one out. */
static void bring(sim_t *sim, history_t *h, unsigned int i)
{
    ha_session_env_t env = surroundings(sim, h, h->queue[i].host);
    ha_brought_t brought;
    apr_pool_t *p;

    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    ha_far_bring(&brought, &env, &h->sid, &h->queue[i].bundle, p);
    apr_pool_destroy(p);
    h->queue[i].bundle.nodes &= ~brought.done;
    if (h->queue[i].bundle.nodes == 0) {
        note_brought(h, h->queue[i].client, h->queue[i].number);
        h->queue[i] = h->queue[--h->count];
    }
}

static void bring_all(sim_t *sim, history_t *h)
{
    int tries = 20000;

    while (h->count > 0 && tries-- > 0) {
        bring(sim, h, sim_random(sim, h->count));
    }
    ck_assert_msg(h->count == 0, "seed %" APR_UINT64_T_FMT ": not brought",
                  h->seed);
}

static void play_courier(sim_t *sim, history_t *h)
{
    while (h->running > 0) {
        if (h->count > 0 && sim_random(sim, 3) > 0) {
            bring(sim, h, sim_random(sim, h->count));
        }
        sim_yield(sim);
    }
}

/* ---- clients ------------------------------------------------------------- */

static int is_acked(const ha_saved_t *saved)
{
    return !saved->refused && saved->copies > 0
           && saved->copies + saved->put_off >= saved->wanted;
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
    if (is_acked(&saved)) {
        h->known.zone[zone_of(host)][client] = number;
        if (saved.copies == saved.wanted) {
            h->known.full[host][client] = number;
        }
        queue_up(h, host, &saved, client, number, 0);
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
        h->known.end_zone[zone_of(host)] = 1;
        queue_up(h, host, &saved, CLIENTS_MAX, 0, 0);
    }
    else {
        queue_up(h, host, &saved, CLIENTS_MAX + 1, 0, 0);
    }
}

static void touch(sim_t *sim, history_t *h, unsigned int host,
                  ha_session_t *session)
{
    ha_session_env_t env = surroundings(sim, h, host);
    ha_saved_t saved;

    ha_session_touch(session, &saved, &env);
    if (!saved.refused) {
        queue_up(h, host, &saved, CLIENTS_MAX + 1, 0, 1);
    }
}

static void play_client(sim_t *sim, history_t *h, unsigned int client)
{
    unsigned int step;

    for (step = 0; step < STEPS; step++) {
        unsigned int host = sim_random(sim, HOSTS);
        ha_session_t *session;
        apr_pool_t *p;

        ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
        session = load_and_judge(sim, h, host, p);
        if (session == NULL) {
            sim_yield(sim);
        }
        else if (h->shape->may_end && sim_random(sim, 4 * STEPS) == 0) {
            log_out(sim, h, host, session);
        }
        else if (sim_random(sim, 5) == 0) {
            touch(sim, h, host, session);
        }
        else {
            count_up(sim, h, client, host, session, p);
        }
        apr_pool_destroy(p);
    }
    h->running--;
}

/* ---- zones --------------------------------------------------------------- */

/* Lose a zone: its nodes are gone for all hosts, and perhaps what they had. */
static void lose(sim_t *sim, const history_t *h, unsigned int zone, int forget)
{
    unsigned int i;

    for (i = zone; i < ZONES * h->shape->each; i += ZONES) {
        sim_cut(sim, i);
        if (forget) {
            sim_forget(sim, i);
        }
    }
}

static void mend_all(sim_t *sim, history_t *h)
{
    unsigned int i;

    for (i = 0; i < ZONES * h->shape->each; i++) {
        sim_mend(sim, i);
        sim_probe(sim, i);
    }
    h->mends++;
}

static void play_chaos(sim_t *sim, history_t *h)
{
    unsigned int i;

    while (h->running > 0) {
        if (h->seen_whole == h->mends && h->count == 0) {
            unsigned int zone = h->shape->both_fail ? sim_random(sim, ZONES)
                                                    : ZONES - 1;

            lose(sim, h, zone,
                 h->shape->may_forget && sim_random(sim, 2) == 0);
            i = sim_random(sim, sim_random(sim, 2) == 0 ? 30 : 300);
            for (; i > 0 && h->running > 0; i--) {
                sim_yield(sim);
            }
            mend_all(sim, h);
        }
        sim_yield(sim);
    }
}

static void play(sim_t *sim, unsigned int actor, void *ctx)
{
    history_t *h = ctx;

    if (actor < h->clients) {
        play_client(sim, h, actor);
    }
    else if (actor == h->clients) {
        play_courier(sim, h);
    }
    else {
        play_chaos(sim, h);
    }
}

static void begin_session(sim_t *sim, history_t *h)
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
    sim_list_init(&h->list);
    for (i = 0; i < ZONES * h->shape->each; i++) {
        sim_list_add(sim, &h->list, i, zone_name[i % ZONES], 1);
    }
    for (i = 0; i < HOSTS; i++) {
        sim_configure(sim, i, &h->list, NULL, NULL);
    }
    h->issued = sim_now(sim);
    env = surroundings(sim, h, 0);
    session = ha_session_make(&h->sid, h->pool);
    ha_session_save(session, &saved, &env, &op, 1);
    ck_assert(is_acked(&saved));
    queue_up(h, 0, &saved, CLIENTS_MAX + 1, 0, 0);
    bring_all(sim, h);
}

/* All is brought, so either zone may go. */
static void judge_end(sim_t *sim, history_t *h)
{
    unsigned int lost = sim_random(sim, ZONES);
    unsigned int i;

    mend_all(sim, h);
    bring_all(sim, h);
    for (i = 0; i < h->clients; i++) {
        unsigned int east = h->known.zone[0][i];
        unsigned int west = h->known.zone[1][i];

        h->known.brought[i] = east > west ? east : west;
    }
    for (i = 0; i < LOADS_TO_REPAIR && h->seen_whole != h->mends; i++) {
        (void)load_and_judge(sim, h, i % HOSTS, h->pool);
    }
    ck_assert_uint_eq(h->seen_whole, h->mends);
    lose(sim, h, lost, 1);
    for (i = 0; i < 4 * HOSTS; i++) {
        (void)load_and_judge(sim, h, i % HOSTS, h->pool);
    }
}

static void play_history(apr_uint64_t seed, const shape_t *shape)
{
    history_t *h;
    apr_pool_t *p;
    sim_t *sim;

    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    h = apr_pcalloc(p, sizeof(*h));
    sim = sim_make(seed, ZONES * shape->each, p);
    h->seed = seed;
    h->shape = shape;
    h->pool = p;
    h->clients = h->running = 1 + sim_random(sim, CLIENTS_MAX);
    begin_session(sim, h);
    sim_run(sim, play, h->clients + 2, h);
    judge_end(sim, h);
    sim_free(sim);
    apr_pool_destroy(p);
}

static const shape_t shapes[] = {
    { 1, 2, 0, 0, 1 }, { 2, 2, 1, 0, 1 }, { 3, 3, 1, 0, 0 },
    { 1, 2, 0, 1, 0 }, { 2, 2, 0, 1, 0 }, { 2, 2, 0, 1, 1 },
    { 2, 2, 1, 1, 1 }, { 3, 4, 1, 1, 1 }, { 3, 3, 0, 1, 0 },
};

START_TEST(what_was_brought_outlives_a_zone)
{
    const char *seed = getenv("HA_HISTORY_SEED");
    const char *count = getenv("HA_HISTORY_COUNT");
    int left = count != NULL ? atoi(count) : 60;
    int i;

    if (seed != NULL) {
        play_history(strtoull(seed, NULL, 10), &shapes[_i]);
        return;
    }
    ck_assert_int_gt(left, 0);
    for (i = 0; i < left; i++) {
        play_history(1000000ULL * ((unsigned int)_i + 1) + (unsigned int)i,
                     &shapes[_i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_history_far");
    TCase *tcase = tcase_create("zones");
    SRunner *runner;
    int failed;

    apr_initialize();
    atexit(apr_terminate);
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, what_was_brought_outlives_a_zone, 0,
                        (int)(sizeof(shapes) / sizeof(shapes[0])));
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
