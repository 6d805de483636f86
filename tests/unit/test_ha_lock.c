/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_lock.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "sim_store.h"
#include "store_fake.h"

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

#define NOW (apr_time_from_sec(1000000000))

static apr_pool_t *pool;

static void set_up(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

/* Three nodes, two of which hold the lock, and two that want it. */
typedef struct bench_t {
    store_fake_t *fake;
    ha_sid_t sid;
    apr_time_t now;
    ha_lock_t ada;
    ha_lock_t bob;
} bench_t;

static void arm(bench_t *bench, ha_lock_t *lock, unsigned char owner)
{
    unsigned char bytes[HA_LOCK_OWNER_BYTES];

    memset(bytes, owner, sizeof(bytes));
    ha_lock_init(lock, store_fake_store(bench->fake), 2, &bench->sid, bytes);
}

static bench_t *make_bench(unsigned int nodes)
{
    bench_t *bench = apr_pcalloc(pool, sizeof(*bench));

    bench->fake = store_fake_make(nodes, pool);
    bench->now = NOW;
    store_fake_set_time(bench->fake, NOW);
    store_fake_sid(&bench->sid, bench->fake, nodes < 2 ? nodes : 2, 1);
    arm(bench, &bench->ada, 0xaa);
    arm(bench, &bench->bob, 0xbb);
    return bench;
}

static void pass(bench_t *bench, int seconds)
{
    bench->now += apr_time_from_sec(seconds);
    store_fake_set_time(bench->fake, bench->now);
}

static const char *try(bench_t *bench, ha_lock_t *lock)
{
    return ha_lock_name(ha_lock_try(lock, bench->now,
                                    bench->now + APR_USEC_PER_SEC, pool));
}

static const char *renew(bench_t *bench, ha_lock_t *lock)
{
    return ha_lock_name(ha_lock_renew(lock, bench->now,
                                      bench->now + APR_USEC_PER_SEC, pool));
}

static void release(bench_t *bench, ha_lock_t *lock)
{
    ha_lock_release(lock, bench->now + APR_USEC_PER_SEC, pool);
}

/* Who has each node: "ab-" is ada, bob and nobody. */
static const char *owners(bench_t *bench)
{
    unsigned int count = store_fake_store(bench->fake)->count;
    char *text = apr_pcalloc(pool, count + 1);
    unsigned int i;

    for (i = 0; i < count; i++) {
        span_t item = store_fake_item(bench->fake, i, bench->ada.key);

        text[i] = span_is_equal(item, span_of_text(bench->ada.token)) ? 'a'
                : span_is_equal(item, span_of_text(bench->bob.token)) ? 'b'
                : '-';
    }
    return text;
}

START_TEST(one_has_it_and_then_another)
{
    bench_t *bench = make_bench(3);

    ck_assert_str_eq(try(bench, &bench->ada), "held");
    ck_assert_str_eq(store_fake_log(bench->fake), "add@0 | add@1");
    ck_assert_str_eq(owners(bench), "aa-");
    ck_assert_int_gt(bench->ada.until, bench->now);
    ck_assert_str_eq(try(bench, &bench->bob), "busy");
    ck_assert_str_eq(owners(bench), "aa-");
    ck_assert_int_eq(bench->bob.until, 0);
    (void)store_fake_log(bench->fake);
    release(bench, &bench->ada);
    ck_assert_str_eq(store_fake_log(bench->fake), "cas@0 cas@1");
    ck_assert_str_eq(owners(bench), "---");
    ck_assert_str_eq(try(bench, &bench->bob), "held");
    ck_assert_str_eq(owners(bench), "bb-");
}
END_TEST

START_TEST(it_is_not_the_sessions_item)
{
    bench_t *bench = make_bench(1);

    ck_assert_str_ne(bench->ada.key, bench->sid.key);
    ck_assert_str_eq(bench->ada.key + 3, bench->sid.key + 3);
    ck_assert_uint_le(strlen(bench->ada.key), 250);
}
END_TEST

START_TEST(what_was_released_is_gone_in_a_second)
{
    bench_t *bench = make_bench(2);

    ck_assert_str_eq(try(bench, &bench->ada), "held");
    release(bench, &bench->ada);
    pass(bench, 2);
    ck_assert_uint_eq(store_fake_item(bench->fake, 0,
                                      bench->ada.key).len, 0);
    ck_assert_uint_eq(store_fake_item(bench->fake, 1,
                                      bench->ada.key).len, 0);
}
END_TEST

START_TEST(an_owner_that_died_keeps_others_out_no_longer_than_its_lease)
{
    bench_t *bench = make_bench(3);

    ck_assert_str_eq(try(bench, &bench->ada), "held");
    pass(bench, HA_LOCK_TTL_SEC - 3);
    ck_assert_str_eq(try(bench, &bench->bob), "busy");
    pass(bench, 4);
    ck_assert_int_lt(bench->ada.until, bench->now);
    ck_assert_str_eq(try(bench, &bench->bob), "held");
    /* And who was only thought dead learns it, and takes nothing away. */
    ck_assert_str_eq(renew(bench, &bench->ada), "busy");
    ck_assert_int_eq(bench->ada.until, 0);
    release(bench, &bench->ada);
    ck_assert_str_eq(owners(bench), "bb-");
}
END_TEST

START_TEST(renewal_keeps_it_for_as_long_as_it_takes)
{
    bench_t *bench = make_bench(3);
    int i;

    ck_assert_str_eq(try(bench, &bench->ada), "held");
    for (i = 0; i < 20; i++) {
        pass(bench, 10);
        ck_assert_str_eq(renew(bench, &bench->ada), "held");
        ck_assert_str_eq(owners(bench), "aa-");
        ck_assert_str_eq(try(bench, &bench->bob), "busy");
    }
}
END_TEST

START_TEST(a_lease_that_ran_out_is_not_renewed)
{
    bench_t *bench = make_bench(3);

    ck_assert_str_eq(try(bench, &bench->ada), "held");
    pass(bench, HA_LOCK_TTL_SEC + 1);
    /* Bob may have had it meanwhile, and changed the session. */
    ck_assert_str_eq(renew(bench, &bench->ada), "busy");
    ck_assert_str_eq(owners(bench), "---");
}
END_TEST

typedef struct fault_t {
    const char *plan[3];   /* one a node, for the owner */
    const char *owners;    /* then */
    const char *others;    /* what another gets */
} fault_t;

static const fault_t faults[] = {
    { { "add:ok", "add:ok", "" }, "aa-", "busy" },
    /* A silent node's place is taken by the next one. */
    { { "add:lost", "add:ok", "add:ok" }, "-aa", "busy" },
    { { "add:timeout", "add:ok", "add:ok" }, "aaa", "busy" },
    { { "add:ok", "add:lost", "add:ok" }, "a-a", "busy" },
    { { "add:ok", "add:timeout", "add:ok" }, "aaa", "busy" },
    { { "add:lost", "add:ok", "add:lost" }, "-a-", "busy" },
    { { "add:full", "add:ok", "add:ok" }, "-aa", "busy" },
    /* What somebody else wrote there is nobody's lock. */
    { { "add:garbage cas:ok", "add:ok", "" }, "aa-", "busy" },
};

START_TEST(less_nodes_than_copies_may_fail)
{
    const fault_t *fault = &faults[_i];
    bench_t *bench = make_bench(3);
    unsigned int i;

    if (strstr(fault->plan[0], "garbage") != NULL) {
        store_fake_put(bench->fake, 0, bench->ada.key, span_of_text("x"));
    }
    for (i = 0; i < 3; i++) {
        store_fake_plan(bench->fake, i, fault->plan[i]);
    }
    ck_assert_str_eq(try(bench, &bench->ada), "held");
    store_fake_expect_played(bench->fake);
    ck_assert_str_eq(owners(bench), fault->owners);
    ck_assert_str_eq(try(bench, &bench->bob), fault->others);
    release(bench, &bench->ada);
    ck_assert_str_eq(owners(bench), "---");
    ck_assert_str_eq(try(bench, &bench->bob), "held");
}
END_TEST

START_TEST(nobody_holds_what_nobody_gave)
{
    bench_t *bench = make_bench(3);
    unsigned int i;

    for (i = 0; i < 3; i++) {
        store_fake_plan(bench->fake, i, "add:lost");
    }
    ck_assert_str_eq(try(bench, &bench->ada), "unknown");
    ck_assert_int_eq(bench->ada.until, 0);
    for (i = 0; i < 3; i++) {
        store_fake_set_up(bench->fake, i, 0);
    }
    (void)store_fake_log(bench->fake);
    ck_assert_str_eq(try(bench, &bench->bob), "unknown");
    ck_assert_str_eq(store_fake_log(bench->fake), "");
}
END_TEST

/* The first node forgot, or is cut off from the other web server. */
START_TEST(a_node_that_forgets_gives_it_to_nobody_else)
{
    bench_t *bench = make_bench(3);

    ck_assert_str_eq(try(bench, &bench->ada), "held");
    store_fake_restart(bench->fake, 0);
    ck_assert_str_eq(try(bench, &bench->bob), "busy");
    ck_assert_str_eq(owners(bench), "-a-");
    ck_assert_str_eq(renew(bench, &bench->ada), "held");
    ck_assert_str_eq(owners(bench), "aa-");
    store_fake_set_up(bench->fake, 0, 0);
    ck_assert_str_eq(try(bench, &bench->bob), "busy");
    ck_assert_str_eq(renew(bench, &bench->ada), "held");
}
END_TEST

START_TEST(an_owner_learns_that_all_nodes_forgot)
{
    bench_t *bench = make_bench(2);

    ck_assert_str_eq(try(bench, &bench->ada), "held");
    store_fake_restart(bench->fake, 0);
    store_fake_restart(bench->fake, 1);
    ck_assert_str_eq(renew(bench, &bench->ada), "busy");
    ck_assert_int_eq(bench->ada.until, 0);
}
END_TEST

START_TEST(silence_is_no_loss_before_the_lease_runs_out)
{
    bench_t *bench = make_bench(2);
    apr_time_t until;

    ck_assert_str_eq(try(bench, &bench->ada), "held");
    until = bench->ada.until;
    store_fake_plan(bench->fake, 0, "cas:lost");
    store_fake_plan(bench->fake, 1, "cas:timeout");
    ck_assert_str_eq(renew(bench, &bench->ada), "unknown");
    ck_assert_int_eq(bench->ada.until, until);
    ck_assert_str_eq(renew(bench, &bench->ada), "held");
    release(bench, &bench->ada);
    ck_assert_str_eq(owners(bench), "--");
}
END_TEST

START_TEST(a_release_that_was_lost_can_be_repeated)
{
    bench_t *bench = make_bench(2);

    ck_assert_str_eq(try(bench, &bench->ada), "held");
    store_fake_plan(bench->fake, 0, "cas:lost");
    release(bench, &bench->ada);
    ck_assert_str_eq(owners(bench), "a-");
    release(bench, &bench->ada);
    ck_assert_str_eq(owners(bench), "--");
}
END_TEST

/* ---- histories ---------------------------------------------------------- */

#define ACTORS 4
#define TURNS 6

/* Many want it at once while one node, less than R, plays every trick. */
typedef struct history_t {
    ha_sid_t sid;
    unsigned int nodes;
    unsigned int bad;
    unsigned int inside;   /* who hold it now */
    unsigned int running;
    unsigned int turns;
} history_t;

static void take_turn(sim_t *sim, history_t *h, ha_lock_t *lock,
                      apr_pool_t *p)
{
    unsigned int i;
    ha_lock_e result;

    do {
        result = ha_lock_try(lock, sim_now(sim),
                             sim_now(sim) + APR_USEC_PER_SEC, p);
        lock->silent = 0;
        for (i = sim_random(sim, 8); i > 0; i--) {
            sim_yield(sim);
        }
    } while (result != HA_LOCK_HELD);
    ck_assert_uint_eq(h->inside, 0);
    h->inside++;
    h->turns++;
    for (i = sim_random(sim, 12); i > 0; i--) {
        sim_yield(sim);
        if (sim_random(sim, 4) == 0) {
            ck_assert_int_ne(ha_lock_renew(lock, sim_now(sim),
                                           sim_now(sim) + APR_USEC_PER_SEC,
                                           p), HA_LOCK_BUSY);
        }
    }
    ck_assert_uint_eq(h->inside, 1);
    h->inside--;
    ha_lock_release(lock, sim_now(sim) + APR_USEC_PER_SEC, p);
}

static void play_owner(sim_t *sim, history_t *h, unsigned int actor)
{
    unsigned char owner[HA_LOCK_OWNER_BYTES];
    unsigned int i;

    for (i = 0; i < TURNS; i++) {
        ha_lock_t lock;
        apr_pool_t *p;

        apr_pool_create(&p, NULL);
        memset(owner, (int)(actor * TURNS + i), sizeof(owner));
        ha_lock_init(&lock, sim_store(sim, actor), 2, &h->sid, owner);
        take_turn(sim, h, &lock, p);
        apr_pool_destroy(p);
    }
    h->running--;
}

static void play_chaos(sim_t *sim, history_t *h)
{
    while (h->running > 0) {
        switch (sim_random(sim, 5)) {
        case 0:
            sim_cut(sim, h->bad);
            break;
        case 1:
            sim_forget(sim, h->bad);
            break;
        case 2:
            sim_deafen(sim, h->bad, 50);
            break;
        case 3:
            sim_mend(sim, h->bad);
            break;
        default:
            sim_probe(sim, h->bad);
            break;
        }
        sim_yield(sim);
    }
    sim_mend(sim, h->bad);
}

static void play(sim_t *sim, unsigned int actor, void *ctx)
{
    history_t *h = ctx;

    if (actor == ACTORS) {
        play_chaos(sim, h);
    }
    else {
        play_owner(sim, h, actor);
    }
}

START_TEST(never_two_have_it_while_less_than_r_nodes_fail)
{
    const char *said = getenv("HA_HISTORY_COUNT");
    int count = said != NULL ? atoi(said) / 10 + 1 : 10;
    int k;

    for (k = 0; k < count; k++) {
        unsigned char id[HA_SID_BYTES];
        history_t h;
        sim_t *sim;
        unsigned int i;

        memset(&h, 0, sizeof(h));
        h.nodes = 2 + (unsigned int)(_i + k) % 3;
        sim = sim_make((apr_uint64_t)(_i * 100000 + k + 1), h.nodes, pool);
        for (i = 0; i < sizeof(id); i++) {
            id[i] = (unsigned char)sim_random(sim, 256);
        }
        ha_sid_init(&h.sid, id);
        h.bad = sim_random(sim, h.nodes);
        h.running = ACTORS;
        sim_run(sim, play, ACTORS + 1, &h);
        ck_assert_uint_eq(h.turns, ACTORS * TURNS);
        sim_free(sim);
    }
}
END_TEST

/* Rounds as the store saw them: when each had to be done. */
static const ha_store_ops_t *plain;
static apr_time_t ends[8];
static unsigned int rounds;

static void note_round(ha_store_t *store, const char *key, ha_call_t *calls,
                       unsigned int count, apr_uint32_t ttl_sec,
                       apr_time_t deadline, apr_pool_t *p)
{
    ck_assert_uint_lt(rounds, LENGTH_OF(ends));
    ends[rounds++] = deadline;
    while (count-- > 0) {
        /* what is no session's is no gap in what a node knows of sessions */
        ck_assert(calls[count].is_repair);
        plain->run(store, key, &calls[count], 1, ttl_sec, deadline, p);
    }
}

START_TEST(a_node_that_hangs_leaves_time_for_the_others)
{
    bench_t *bench = make_bench(3);
    ha_store_t *store = store_fake_store(bench->fake);
    apr_time_t end = bench->now + APR_USEC_PER_SEC;
    ha_store_ops_t noting = *store->ops;

    plain = store->ops;
    noting.run = note_round;
    store->ops = &noting;
    rounds = 0;
    store_fake_plan(bench->fake, 0, "add:lost");
    ck_assert_str_eq(try(bench, &bench->ada), "held");
    ck_assert_str_eq(owners(bench), "-aa");
    ck_assert_uint_eq(rounds, 3);
    ck_assert_int_eq(ends[0], end - APR_USEC_PER_SEC / 2);
    ck_assert_int_eq(ends[1], end - APR_USEC_PER_SEC / 4);
    ck_assert_int_eq(ends[2], end);
    release(bench, &bench->ada);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_lock");
    TCase *tests = tcase_create("ha_lock");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, one_has_it_and_then_another);
    tcase_add_test(tests, it_is_not_the_sessions_item);
    tcase_add_test(tests, what_was_released_is_gone_in_a_second);
    tcase_add_test(
        tests, an_owner_that_died_keeps_others_out_no_longer_than_its_lease);
    tcase_add_test(tests, renewal_keeps_it_for_as_long_as_it_takes);
    tcase_add_test(tests, a_lease_that_ran_out_is_not_renewed);
    tcase_add_loop_test(tests, less_nodes_than_copies_may_fail, 0,
                        LENGTH_OF(faults));
    tcase_add_test(tests, nobody_holds_what_nobody_gave);
    tcase_add_test(tests, a_node_that_forgets_gives_it_to_nobody_else);
    tcase_add_test(tests, an_owner_learns_that_all_nodes_forgot);
    tcase_add_test(tests, silence_is_no_loss_before_the_lease_runs_out);
    tcase_add_test(tests, a_release_that_was_lost_can_be_repeated);
    tcase_add_test(tests, a_node_that_hangs_leaves_time_for_the_others);
    tcase_add_loop_test(tests, never_two_have_it_while_less_than_r_nodes_fail,
                        0, 8);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
