/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread a child, and one mutex over the list of locks. The mutex is free
 * while a renewal asks the store: the lock in work is named, and who wants it
 * back waits for its end. A lock that could not be renewed stays in the list,
 * for its owner to learn of.
 *
 * Renewals are due by the monotonic clock: one that is set back must not make
 * them wait, while nodes forget the lock. Requests hold the mutex with signals
 * blocked: a child of the prefork MPM ends from within its signal handler, and
 * that waits for the thread here.
 */
#include "ha_keeper.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "ha_signals.h"

struct ha_keeper_t {
    pthread_mutex_t mutex;
    pthread_cond_t news;   /* a lock came, or the end */
    pthread_cond_t idle;   /* no renewal is under way */
    pthread_t thread;
    ha_kept_t *first;
    ha_kept_t *at_work;    /* NULL: none is being renewed */
    int is_ending;
    apr_interval_time_t interval;
    apr_interval_time_t budget;
    apr_pool_t *pool;      /* the thread's own */
};

static apr_time_t clock_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec((apr_time_t)now.tv_sec) + now.tv_nsec / 1000;
}

/* Take the mutex in a thread that signals may interrupt. */
static void enter(ha_keeper_t *keeper, sigset_t *before)
{
    ha_signals_block(before);
    (void)pthread_mutex_lock(&keeper->mutex);
}

static void leave(ha_keeper_t *keeper, const sigset_t *before)
{
    (void)pthread_mutex_unlock(&keeper->mutex);
    ha_signals_restore(before);
}

/* The lock that is due first; NULL when there is none. */
static ha_kept_t *find_due(const ha_keeper_t *keeper)
{
    ha_kept_t *due = keeper->first;
    ha_kept_t *kept;

    for (kept = keeper->first; kept != NULL; kept = kept->next) {
        if (kept->due < due->due) {
            due = kept;
        }
    }
    return due;
}

/* Wait for news, at most until a time; 0 is for ever. The mutex is held. */
static void wait_for_news(ha_keeper_t *keeper, apr_time_t until)
{
    struct timespec when;

    if (until == 0) {
        (void)pthread_cond_wait(&keeper->news, &keeper->mutex);
        return;
    }
    when.tv_sec = (time_t)apr_time_sec(until);
    when.tv_nsec = (long)apr_time_usec(until) * 1000;
    (void)pthread_cond_timedwait(&keeper->news, &keeper->mutex, &when);
}

/* Renew one lock. The mutex is held, and free meanwhile. */
static void renew(ha_keeper_t *keeper, ha_kept_t *kept)
{
    apr_time_t begun = clock_now();
    apr_time_t now = apr_time_now();
    ha_lock_t lock = kept->lock;

    keeper->at_work = kept;
    (void)pthread_mutex_unlock(&keeper->mutex);
    if (ha_lock_renew(&lock, now, now + keeper->budget, keeper->pool)
        == HA_LOCK_UNKNOWN) {
        /* Sooner than usual: it may be a matter of one lost packet. */
        begun -= keeper->interval / 2;
    }
    apr_pool_clear(keeper->pool);
    (void)pthread_mutex_lock(&keeper->mutex);
    kept->lock = lock;
    kept->due = begun + keeper->interval;
    keeper->at_work = NULL;
    (void)pthread_cond_broadcast(&keeper->idle);
}

static void *run(void *data)
{
    ha_keeper_t *keeper = data;

    (void)pthread_mutex_lock(&keeper->mutex);
    while (!keeper->is_ending) {
        ha_kept_t *kept = find_due(keeper);

        if (kept == NULL || kept->due > clock_now()) {
            wait_for_news(keeper, kept != NULL ? kept->due : 0);
        }
        else {
            renew(keeper, kept);
        }
    }
    (void)pthread_mutex_unlock(&keeper->mutex);
    return NULL;
}

static apr_status_t stop(void *data)
{
    ha_keeper_t *keeper = data;
    sigset_t before;

    enter(keeper, &before);
    keeper->is_ending = 1;
    (void)pthread_cond_broadcast(&keeper->news);
    leave(keeper, &before);
    (void)pthread_join(keeper->thread, NULL);
    return APR_SUCCESS;
}

/* Start the thread with all signals blocked: they are for others. */
static int start_thread(ha_keeper_t *keeper)
{
    sigset_t all;
    sigset_t before;
    int rv;

    (void)sigfillset(&all);
    rv = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rv == 0) {
        rv = pthread_create(&keeper->thread, NULL, run, keeper);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return rv;
}

static int init_locks(ha_keeper_t *keeper)
{
    pthread_condattr_t attr;
    int rv = pthread_condattr_init(&attr);

    if (rv == 0) {
        rv = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    }
    if (rv == 0) {
        rv = pthread_mutex_init(&keeper->mutex, NULL);
    }
    if (rv == 0) {
        rv = pthread_cond_init(&keeper->news, &attr);
    }
    if (rv == 0) {
        rv = pthread_cond_init(&keeper->idle, &attr);
    }
    return rv;
}

apr_status_t ha_keeper_start(ha_keeper_t **made, apr_interval_time_t interval,
                             apr_interval_time_t budget, apr_pool_t *pchild)
{
    ha_keeper_t *keeper = apr_pcalloc(pchild, sizeof(*keeper));
    apr_allocator_t *allocator = NULL;
    apr_status_t rv;

    *made = NULL;
    keeper->interval = interval;
    keeper->budget = budget;
    /* an allocator of its own: the pool's parent belongs to other threads */
    rv = apr_allocator_create(&allocator);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_pool_create_ex(&keeper->pool, pchild, NULL, allocator);
    if (rv != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return rv;
    }
    apr_allocator_owner_set(allocator, keeper->pool);
    rv = init_locks(keeper);
    if (rv == 0) {
        rv = start_thread(keeper);
    }
    if (rv != 0) {
        return rv;
    }
    apr_pool_pre_cleanup_register(pchild, keeper, stop);
    *made = keeper;
    return APR_SUCCESS;
}

void ha_keeper_take(ha_keeper_t *keeper, ha_kept_t *kept)
{
    sigset_t before;

    enter(keeper, &before);
    kept->due = clock_now() + keeper->interval;
    kept->next = keeper->first;
    keeper->first = kept;
    (void)pthread_cond_signal(&keeper->news);
    leave(keeper, &before);
}

int ha_keeper_has(ha_keeper_t *keeper, const ha_kept_t *kept)
{
    sigset_t before;
    int has;

    enter(keeper, &before);
    has = kept->lock.until > apr_time_now();
    leave(keeper, &before);
    return has;
}

void ha_keeper_leave(ha_keeper_t *keeper, ha_kept_t *kept)
{
    ha_kept_t **at = &keeper->first;
    sigset_t before;

    enter(keeper, &before);
    while (keeper->at_work == kept) {
        (void)pthread_cond_wait(&keeper->idle, &keeper->mutex);
    }
    while (*at != NULL && *at != kept) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = kept->next;
    }
    leave(keeper, &before);
}
