/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_keeper.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "shm_site.h"

#define INTERVAL (2 * 1000)

static apr_pool_t *child;
static ha_keeper_t *keeper;

/* How far the clock is ahead; the code under test has no other. */
static apr_time_t ahead;

apr_time_t apr_time_now(void)
{
    struct timeval now;

    (void)gettimeofday(&now, NULL);
    return apr_time_from_sec((apr_time_t)now.tv_sec) + now.tv_usec
           + __atomic_load_n(&ahead, __ATOMIC_ACQUIRE);
}

static void set_up(void)
{
    ahead = 0;
    apr_initialize();
    shm_set_up();
    apr_pool_create(&child, NULL);
    ck_assert_int_eq(ha_keeper_start(&keeper, INTERVAL, SHM_BUDGET_USEC,
                                     child), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(child);
    shm_tear_down();
    apr_terminate();
}

/* Take a session's lock; the number is the session and the owner. */
static void take(ha_kept_t *kept, unsigned char number, apr_pool_t *p)
{
    unsigned char bytes[HA_SID_BYTES];
    ha_sid_t sid;

    memset(bytes, number, sizeof(bytes));
    ha_sid_init(&sid, bytes);
    memset(kept, 0, sizeof(*kept));
    ha_lock_init(&kept->lock, shm_store, 1, &sid, bytes);
    shm_must(ha_lock_try(&kept->lock, apr_time_now(),
                         apr_time_now() + SHM_BUDGET_USEC, p)
             == HA_LOCK_HELD);
}

static void release(ha_kept_t *kept, apr_pool_t *p)
{
    ha_lock_release(&kept->lock, apr_time_now() + SHM_BUDGET_USEC, p);
}

/* The lock itself is the keeper's, so what is asked about it goes by the key
 * that the test took down before. */
static apr_uint64_t version_of(const char *key)
{
    return shm_get(key).version;
}

static const char *key_of(const ha_kept_t *kept)
{
    return apr_pstrdup(shm_pool, kept->lock.key);
}

static void wait_for_renewal(const char *key, int times)
{
    apr_time_t end = apr_time_now() + SHM_PATIENCE_USEC;

    while (times-- > 0) {
        apr_uint64_t before = version_of(key);

        while (version_of(key) == before) {
            ck_assert_int_lt(apr_time_now(), end);
            apr_sleep(500);
        }
    }
}

START_TEST(a_lock_in_care_is_renewed)
{
    ha_kept_t kept;
    const char *key;

    take(&kept, 1, shm_pool);
    key = key_of(&kept);
    ha_keeper_take(keeper, &kept);
    wait_for_renewal(key, 3);
    ck_assert(ha_keeper_has(keeper, &kept));
    ha_keeper_leave(keeper, &kept);
    release(&kept, shm_pool);
    ck_assert_uint_ne(shm_get(kept.lock.key).held.len,
                      strlen(kept.lock.token));
}
END_TEST

START_TEST(what_was_handed_back_is_left_alone)
{
    ha_kept_t one;
    ha_kept_t two;
    const char *key;
    const char *other;
    apr_uint64_t version;

    take(&one, 1, shm_pool);
    take(&two, 2, shm_pool);
    key = key_of(&one);
    other = key_of(&two);
    ha_keeper_take(keeper, &one);
    ha_keeper_take(keeper, &two);
    wait_for_renewal(key, 1);
    ha_keeper_leave(keeper, &one);
    version = version_of(key);
    wait_for_renewal(other, 5);
    ck_assert_uint_eq(version_of(key), version);
    ha_keeper_leave(keeper, &two);
    /* Twice does no harm. */
    ha_keeper_leave(keeper, &two);
}
END_TEST

START_TEST(a_lock_that_somebody_else_has_is_known_for_lost)
{
    apr_time_t end = apr_time_now() + SHM_PATIENCE_USEC;
    ha_call_t item;
    ha_kept_t kept;
    const char *key;

    take(&kept, 1, shm_pool);
    key = key_of(&kept);
    ha_keeper_take(keeper, &kept);
    do {
        item = shm_get(key);
        item = shm_call(HA_CAS, key,
                        span_of_text("L1 00112233445566778899aabbccddeeff"),
                        item.version, SHM_TTL, shm_pool);
    } while (item.held.data[3] != '0' || item.held.data[4] != '0');
    while (ha_keeper_has(keeper, &kept)) {
        ck_assert_int_lt(apr_time_now(), end);
        apr_sleep(500);
    }
    ha_keeper_leave(keeper, &kept);
    release(&kept, shm_pool);
    shm_assert_holds(shm_get(key),
                     "L1 00112233445566778899aabbccddeeff");
}
END_TEST

START_TEST(a_clock_that_is_set_back_delays_no_renewal)
{
    ha_kept_t kept;
    const char *key;

    __atomic_store_n(&ahead, apr_time_from_sec(3600), __ATOMIC_RELEASE);
    take(&kept, 1, shm_pool);
    key = key_of(&kept);
    ha_keeper_take(keeper, &kept);
    __atomic_store_n(&ahead, 0, __ATOMIC_RELEASE);
    wait_for_renewal(key, 3);
    ck_assert(ha_keeper_has(keeper, &kept));
    ha_keeper_leave(keeper, &kept);
    release(&kept, shm_pool);
}
END_TEST

#define SIGNALS 2000

static ha_kept_t *asked;
static int interrupted;

/* A child that ends in a signal handler asks the keeper there. */
static void ask_in_handler(int number)
{
    (void)number;
    (void)ha_keeper_has(keeper, asked);
    (void)__atomic_add_fetch(&interrupted, 1, __ATOMIC_ACQ_REL);
}

static void *send_signals(void *data)
{
    while (__atomic_load_n(&interrupted, __ATOMIC_ACQUIRE) < SIGNALS) {
        (void)pthread_kill(*(pthread_t *)data, SIGUSR2);
        apr_sleep(50);
    }
    return NULL;
}

START_TEST(a_signal_meets_nobody_with_the_mutex)
{
    pthread_t self = pthread_self();
    struct sigaction action;
    pthread_t sender;
    ha_kept_t kept;

    take(&kept, 1, shm_pool);
    asked = &kept;
    ha_keeper_take(keeper, &kept);
    memset(&action, 0, sizeof(action));
    action.sa_handler = ask_in_handler;
    ck_assert_int_eq(sigaction(SIGUSR2, &action, NULL), 0);
    interrupted = 0;
    ck_assert_int_eq(pthread_create(&sender, NULL, send_signals, &self), 0);
    while (__atomic_load_n(&interrupted, __ATOMIC_ACQUIRE) < SIGNALS) {
        ck_assert(ha_keeper_has(keeper, &kept));
    }
    ck_assert_int_eq(pthread_join(sender, NULL), 0);
    ha_keeper_leave(keeper, &kept);
    release(&kept, shm_pool);
}
END_TEST

#define THREADS 6
#define TURNS 200

static void *come_and_go(void *data)
{
    unsigned char number = *(unsigned char *)data;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, NULL);
    for (i = 0; i < TURNS; i++) {
        ha_kept_t kept;

        take(&kept, number, p);
        ha_keeper_take(keeper, &kept);
        if (i % 8 == 0) {
            apr_sleep(INTERVAL);
        }
        shm_must(ha_keeper_has(keeper, &kept));
        ha_keeper_leave(keeper, &kept);
        release(&kept, p);
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

START_TEST(many_come_and_go)
{
    pthread_t threads[THREADS];
    unsigned char numbers[THREADS];
    int i;

    for (i = 0; i < THREADS; i++) {
        numbers[i] = (unsigned char)(i + 1);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go,
                                        &numbers[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}
END_TEST

/* A child ends while locks are in care: nobody works with them any more. */
START_TEST(the_end_of_a_child_ends_the_care)
{
    ha_kept_t kept;
    const char *key;

    take(&kept, 1, shm_pool);
    key = key_of(&kept);
    ha_keeper_take(keeper, &kept);
    wait_for_renewal(key, 1);
    apr_pool_clear(child);
    ck_assert_uint_eq(version_of(key), kept.lock.version[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_keeper");
    TCase *tests = tcase_create("ha_keeper");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_lock_in_care_is_renewed);
    tcase_add_test(tests, what_was_handed_back_is_left_alone);
    tcase_add_test(tests, a_lock_that_somebody_else_has_is_known_for_lost);
    tcase_add_test(tests, a_clock_that_is_set_back_delays_no_renewal);
    tcase_add_test(tests, a_signal_meets_nobody_with_the_mutex);
    tcase_add_test(tests, many_come_and_go);
    tcase_add_test(tests, the_end_of_a_child_ends_the_care);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
