/* SPDX-License-Identifier: Apache-2.0 */
/* What all children of a host report at the same time. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/wait.h>

#include <apr_general.h>

#include "ha_health.h"

#define T0 (1700000000 * APR_USEC_PER_SEC)

static apr_pool_t *pool;
static ha_health_t *health;
static int slot;

static void set_up(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(ha_health_create(&health, pool), APR_SUCCESS);
    slot = ha_health_slot(health, span_of_text("n1"), span_of_text("a:1"),
                          T0);
    ck_assert_int_ge(slot, 0);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

START_TEST(failures_seen_by_two_processes_add_up)
{
    int status = 0;
    pid_t pid;

    (void)ha_health_failed(health, slot, T0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)ha_health_failed(health, slot, T0);
        _exit(ha_health_failed(health, slot, T0));
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), HA_HEALTH_WENT_DOWN);
    ck_assert_int_eq(ha_health_is_up(health, slot), 0);
}
END_TEST

#define THREADS 8
#define ROUNDS 2000

typedef struct worker_t {
    pthread_t thread;
    unsigned int downs;
    unsigned int ups;
    unsigned int claims;
} worker_t;

static void *report_all_kinds(void *arg)
{
    worker_t *worker = arg;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        apr_time_t now = T0 + i;

        switch (i % 8) {
        case 0:
        case 1:
        case 2:
        case 3:
            worker->downs += ha_health_failed(health, slot, now)
                             == HA_HEALTH_WENT_DOWN;
            break;
        case 4:
            worker->ups += ha_health_succeeded(health, slot, now)
                           == HA_HEALTH_CAME_UP;
            break;
        case 5:
            worker->claims += ha_health_claim(health, slot, T0, 0) == 1;
            break;
        case 6:
            ha_health_doubt(health, slot);
            break;
        default:
            worker->ups += ha_health_identified(health, slot, now, 1, T0, now)
                           == HA_HEALTH_CAME_UP;
            break;
        }
    }
    return NULL;
}

START_TEST(every_change_is_told_to_exactly_one_of_many_threads)
{
    worker_t workers[THREADS];
    unsigned int downs = 0;
    unsigned int ups = 0;
    int i;

    memset(workers, 0, sizeof(workers));
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL,
                                        report_all_kinds, &workers[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
        downs += workers[i].downs;
        ups += workers[i].ups;
    }
    /* downs and ups take turns, and the first is a down */
    ck_assert_uint_eq(downs, ups + !ha_health_is_up(health, slot));
    ck_assert_uint_gt(downs, 0);
}
END_TEST

static void *claim_one(void *arg)
{
    worker_t *worker = arg;

    worker->claims = ha_health_claim(health, slot, T0, 0) == 1;
    return NULL;
}

START_TEST(one_of_many_threads_gets_a_claim)
{
    worker_t workers[THREADS];
    unsigned int claims = 0;
    int i;

    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, claim_one,
                                        &workers[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
        claims += workers[i].claims;
    }
    ck_assert_uint_eq(claims, 1);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_health_many");
    TCase *tcase = tcase_create("table");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, failures_seen_by_two_processes_add_up);
    tcase_add_test(tcase, every_change_is_told_to_exactly_one_of_many_threads);
    tcase_add_test(tcase, one_of_many_threads_gets_a_claim);
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
