/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_courier.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ha_signals.h"

/*
 * One thread stays, from the first parcel or task on. While parcels can be
 * brought and many wait, it starts others, up to HA_COURIER_THREADS, which end
 * when there is nothing to bring; for a far node is some milliseconds away,
 * and one thread brings one parcel a round trip.
 *
 * The lock is held for copying a record and for looking through the queue,
 * never while anything is sent. Requests hold it with signals blocked: a
 * child of the prefork MPM ends from within its signal handler, and that
 * waits for the threads here.
 */

/** Microseconds between two tries of a node that gave no answer. */
#define BACKOFF_MIN_USEC (100 * 1000)
#define BACKOFF_MAX_USEC (5 * 1000 * 1000)

/** Tries of a parcel whose node answers and does not take it, and the
 * microseconds between the first two; they double. */
#define TRIES 6
#define RETRY_USEC (20 * 1000)

/** Microseconds between two looks at who is up, with and without a queue. */
#define TICK_USEC (50 * 1000)
#define IDLE_USEC (5 * APR_USEC_PER_SEC)

/** Microseconds between two words on the board. */
#define TELL_USEC (100 * 1000)

/** Parcels for each thread, above which another one starts. */
#define DEEP 8

/** Microseconds, after the time for bringing the rest, until threads that
 * hang in a delivery are left to the end of the process. */
#define LEAVE_USEC (500 * 1000)

typedef struct road_t {
    apr_time_t due;              /* not to be tried before */
    apr_interval_time_t backoff; /* 0: the last try had an answer */
} road_t;

typedef struct chore_t {
    ha_courier_task_fn fn;
    void *ctx;
    apr_time_t due;
} chore_t;

struct ha_courier_t {
    ha_courier_conf_t conf;
    pid_t owner;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t news;  /* something came, or the end */
    pthread_cond_t ended; /* a thread did */
    ha_parcels_t *queue;
    road_t roads[HA_NODES_MAX];
    chore_t chores[HA_COURIER_TASKS];
    unsigned int chores_count;
    unsigned int running; /* threads */
    int has_first;        /* the one that stays */
    int stop;             /* nothing is taken any more */
    apr_time_t drain_until;
    apr_time_t told;      /* the board, when last */
    int is_told_of;       /* that something waits */
    apr_uint32_t random;
    int slot;             /* on the board; -1: none */
};

/* ---- the lock ------------------------------------------------------------ */

static void lock(ha_courier_t *courier, sigset_t *before)
{
    ha_signals_block(before);
    (void)pthread_mutex_lock(&courier->lock);
}

static void unlock(ha_courier_t *courier, const sigset_t *before)
{
    (void)pthread_mutex_unlock(&courier->lock);
    ha_signals_restore(before);
}

/* Wait for a signal or for so long. */
static void wait_for(ha_courier_t *courier, pthread_cond_t *cond,
                     apr_interval_time_t usec)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += usec / APR_USEC_PER_SEC;
    until.tv_nsec += usec % APR_USEC_PER_SEC * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(cond, &courier->lock, &until);
}

/* ---- words --------------------------------------------------------------- */

/* With the lock held, which is let go meanwhile. */
static void speak(ha_courier_t *courier, ha_courier_event_e kind,
                  apr_uint64_t count)
{
    if (courier->conf.event != NULL) {
        (void)pthread_mutex_unlock(&courier->lock);
        courier->conf.event(courier->conf.ctx, kind, count);
        (void)pthread_mutex_lock(&courier->lock);
    }
}

static void count_dropped(ha_courier_t *courier, apr_uint64_t count)
{
    if (count > 0 && ha_courier_board_dropped(courier->conf.board, count)) {
        speak(courier, HA_COURIER_DROPS, count);
    }
}

/* Say on the board what waits, now and then; at once whether anything does.
 * When nothing does, say that drops are over. */
static void tell(ha_courier_t *courier, apr_time_t now)
{
    ha_courier_usage_t usage;
    apr_uint64_t dropped;

    if (courier->is_told_of && now - courier->told < TELL_USEC
        && ha_parcels_count(courier->queue) > 0) {
        return;
    }
    courier->told = now;
    memset(&usage, 0, sizeof(usage));
    usage.waiting = ha_parcels_changes(courier->queue);
    usage.bytes = ha_parcels_bytes(courier->queue);
    usage.oldest = ha_parcels_oldest(courier->queue);
    courier->is_told_of = usage.waiting > 0;
    ha_courier_board_tell(courier->conf.board, courier->slot, &usage, now);
    if (usage.waiting == 0 && !courier->stop
        && ha_courier_board_is_over(courier->conf.board, now, &dropped)) {
        speak(courier, HA_COURIER_WHOLE, dropped);
    }
}

/* ---- one parcel ---------------------------------------------------------- */

/* Nodes that may be asked now, a bit a node. */
static apr_uint64_t ready_nodes(const ha_courier_t *courier, apr_time_t now)
{
    ha_store_t *store = courier->conf.store;
    apr_uint64_t ready = 0;
    unsigned int i;

    for (i = 0; i < store->count + store->gone; i++) {
        if (now >= courier->roads[i].due && store->ops->is_up(store, i)) {
            ready |= (apr_uint64_t)1 << i;
        }
    }
    return ready;
}

/* After Marsaglia's xorshift; up to a quarter of an interval. */
static apr_interval_time_t jitter(ha_courier_t *courier,
                                  apr_interval_time_t of)
{
    courier->random ^= courier->random << 13;
    courier->random ^= courier->random >> 17;
    courier->random ^= courier->random << 5;
    return (apr_interval_time_t)courier->random % (of / 4);
}

/* Note which roads are open. When the child ends, there is one try. */
static void note_roads(ha_courier_t *courier, apr_uint64_t asked,
                       const ha_delivery_t *delivery, apr_time_t now)
{
    unsigned int i;

    for (i = 0; i < HA_NODES_MAX; i++) {
        road_t *road = &courier->roads[i];
        apr_uint64_t bit = (apr_uint64_t)1 << i;

        if (!(asked & bit)) {
            continue;
        }
        if (!(delivery->silent & bit)) {
            road->backoff = 0;
            continue;
        }
        road->backoff = road->backoff == 0 ? BACKOFF_MIN_USEC
                                           : road->backoff * 2;
        if (road->backoff > BACKOFF_MAX_USEC) {
            road->backoff = BACKOFF_MAX_USEC;
        }
        road->due = courier->stop ? courier->drain_until
                                  : now + road->backoff
                                    + jitter(courier, road->backoff);
    }
}

/* Take note of a delivery; what is left waits on. */
static void note_delivery(ha_courier_t *courier, ha_waiting_t *waiting,
                          apr_uint64_t asked, const ha_delivery_t *delivery)
{
    apr_time_t now = apr_time_now();
    apr_uint64_t left = waiting->parcel.nodes & ~(asked & delivery->done);
    apr_time_t due = 0;

    note_roads(courier, asked, delivery, now);
    if (left == 0) {
        ha_courier_board_sent(courier->conf.board,
                              ha_parcels_drop(courier->queue, waiting));
        return;
    }
    if (left & asked & ~delivery->silent) {
        due = now + ((apr_interval_time_t)RETRY_USEC << waiting->tries);
        if (++waiting->tries > TRIES) {
            count_dropped(courier, ha_parcels_drop(courier->queue, waiting));
            return;
        }
    }
    ha_parcels_return(courier->queue, waiting, left, due);
}

static int start_thread(ha_courier_t *courier, void *(*fn)(void *));
static void *help(void *arg);

/* Bring one parcel, if there is one that can be; 0 if not. */
static int bring_one(ha_courier_t *courier, apr_pool_t *p)
{
    apr_time_t now = apr_time_now();
    apr_time_t deadline = now + courier->conf.budget;
    apr_uint64_t ready = ha_parcels_count(courier->queue) > 0
                       ? ready_nodes(courier, now) : 0;
    ha_waiting_t *waiting = ready ? ha_parcels_take(courier->queue, ready, now)
                                  : NULL;
    ha_delivery_t delivery = { 0, 0 };
    ha_parcel_t parcel;

    if (waiting == NULL) {
        return 0;
    }
    if (ha_parcels_count(courier->queue) > DEEP * courier->running
        && courier->running < HA_COURIER_THREADS) {
        (void)start_thread(courier, help);
    }
    if (courier->stop && deadline > courier->drain_until) {
        deadline = courier->drain_until;
    }
    parcel = waiting->parcel;
    parcel.nodes &= ready;
    (void)pthread_mutex_unlock(&courier->lock);
    courier->conf.deliver(&delivery, courier->conf.ctx, &parcel, deadline, p);
    apr_pool_clear(p);
    (void)pthread_mutex_lock(&courier->lock);
    note_delivery(courier, waiting, parcel.nodes, &delivery);
    tell(courier, apr_time_now());
    return 1;
}

/* ---- threads ------------------------------------------------------------- */

/* Do what is due; returns when the next is. */
static apr_time_t do_chores(ha_courier_t *courier, apr_pool_t *p)
{
    apr_time_t next = APR_INT64_MAX;
    unsigned int i;

    for (i = 0; i < courier->chores_count && !courier->stop; i++) {
        chore_t chore = courier->chores[i];
        apr_time_t now = apr_time_now();

        if (now >= chore.due) {
            apr_interval_time_t wait;

            (void)pthread_mutex_unlock(&courier->lock);
            wait = chore.fn(chore.ctx, now + courier->conf.budget, p);
            apr_pool_clear(p);
            (void)pthread_mutex_lock(&courier->lock);
            chore.due = courier->chores[i].due = apr_time_now() + wait;
        }
        next = chore.due < next ? chore.due : next;
    }
    return next;
}

/* Whether a thread should end: the child does, and all is brought or time is
 * up. What waits for a node that is down will not be brought. */
static int is_over(ha_courier_t *courier, int did_something)
{
    return courier->stop
           && (ha_parcels_count(courier->queue) == 0
               || apr_time_now() >= courier->drain_until
               || (!did_something
                   && !ha_parcels_has(courier->queue,
                                      ready_nodes(courier,
                                                  apr_time_now()))));
}

/* A pool that no other thread's pool knows. */
static apr_pool_t *make_pool(void)
{
    apr_allocator_t *allocator = NULL;
    apr_pool_t *p = NULL;

    if (apr_allocator_create(&allocator) != APR_SUCCESS) {
        return NULL;
    }
    if (apr_pool_create_unmanaged_ex(&p, NULL, allocator) != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return NULL;
    }
    apr_allocator_owner_set(allocator, p);
    return p;
}

/* With the lock held. */
static void end_thread(ha_courier_t *courier)
{
    courier->running--;
    (void)pthread_cond_signal(&courier->ended);
    (void)pthread_mutex_unlock(&courier->lock);
}

/* The thread that stays. */
static void *stay(void *arg)
{
    ha_courier_t *courier = arg;
    apr_pool_t *p = make_pool();
    int is_busy = 1;

    (void)pthread_mutex_lock(&courier->lock);
    while (p != NULL && !is_over(courier, is_busy)) {
        apr_time_t now = apr_time_now();
        apr_time_t due = do_chores(courier, p);

        is_busy = bring_one(courier, p);
        if (!is_busy && !is_over(courier, 0)) {
            apr_interval_time_t wait =
                ha_parcels_count(courier->queue) > 0 ? TICK_USEC : IDLE_USEC;

            count_dropped(courier, ha_parcels_expire(courier->queue, now));
            tell(courier, now);
            now = apr_time_now();
            wait = due - now < wait ? due - now : wait;
            wait_for(courier, &courier->news, wait > 0 ? wait : 1);
        }
    }
    (void)pthread_mutex_unlock(&courier->lock);
    if (p != NULL) {
        apr_pool_destroy(p);
    }
    (void)pthread_mutex_lock(&courier->lock);
    courier->has_first = 0;
    end_thread(courier);
    return NULL;
}

/* A thread that helps while there is something to bring. */
static void *help(void *arg)
{
    ha_courier_t *courier = arg;
    apr_pool_t *p = make_pool();

    (void)pthread_mutex_lock(&courier->lock);
    while (p != NULL && !is_over(courier, 1) && bring_one(courier, p)) {
        /* go on */
    }
    (void)pthread_mutex_unlock(&courier->lock);
    if (p != NULL) {
        apr_pool_destroy(p);
    }
    (void)pthread_mutex_lock(&courier->lock);
    end_thread(courier);
    return NULL;
}

/* Start a thread with all signals blocked: they are for others. */
static int start_thread(ha_courier_t *courier, void *(*fn)(void *))
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int rv = pthread_attr_init(&attr);

    if (rv != 0) {
        return rv;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rv = pthread_create(&thread, &attr, fn, courier);
    (void)pthread_attr_destroy(&attr);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    courier->running += rv == 0;
    return rv;
}

/* See that the thread that stays is there. */
static int see_to_thread(ha_courier_t *courier)
{
    int rv = 0;

    if (!courier->has_first) {
        if (courier->slot < 0) {
            courier->slot = ha_courier_board_claim(courier->conf.board,
                                                   apr_time_now());
        }
        rv = start_thread(courier, stay);
        courier->has_first = rv == 0;
    }
    return rv;
}

/* ---- what others call ---------------------------------------------------- */

int ha_courier_send(ha_courier_t *courier, const ha_parcel_t *parcel)
{
    sigset_t before;
    int is_in = 0;

    lock(courier, &before);
    if (!courier->stop && see_to_thread(courier) == 0) {
        apr_time_t now = apr_time_now();

        is_in = ha_parcels_put(courier->queue, parcel, now);
        if (is_in && !courier->is_told_of) {
            tell(courier, now);
        }
        (void)pthread_cond_signal(&courier->news);
    }
    if (!is_in) {
        count_dropped(courier, 1);
    }
    unlock(courier, &before);
    return is_in;
}

apr_status_t ha_courier_task(ha_courier_t *courier, ha_courier_task_fn task,
                             void *ctx)
{
    apr_status_t rv = APR_ENOSPC;
    sigset_t before;

    lock(courier, &before);
    if (courier->chores_count < HA_COURIER_TASKS) {
        chore_t *chore = &courier->chores[courier->chores_count++];

        chore->fn = task;
        chore->ctx = ctx;
        chore->due = 0;
        rv = see_to_thread(courier);
        (void)pthread_cond_signal(&courier->news);
    }
    unlock(courier, &before);
    return rv;
}

/* Bring the rest, or as much as time allows. */
static void drain(ha_courier_t *courier)
{
    apr_time_t give_up;
    unsigned int i;

    courier->stop = 1;
    courier->drain_until = apr_time_now() + HA_COURIER_DRAIN_USEC;
    give_up = courier->drain_until + LEAVE_USEC;
    for (i = 0; i < HA_NODES_MAX; i++) {
        courier->roads[i].due = 0;
    }
    (void)pthread_cond_broadcast(&courier->news);
    while (courier->running > 0 && apr_time_now() < give_up) {
        wait_for(courier, &courier->ended, LEAVE_USEC);
    }
}

static apr_status_t stop(void *data)
{
    ha_courier_t *courier = data;
    apr_uint64_t left;
    sigset_t before;

    if (courier->owner != getpid()) {
        return APR_SUCCESS; /* the threads are not in a copy of the process */
    }
    lock(courier, &before);
    drain(courier);
    left = ha_parcels_changes(courier->queue);
    if (left > 0) {
        int is_first = ha_courier_board_dropped(courier->conf.board, left);

        (void)is_first; /* this is said in any case */
        speak(courier, HA_COURIER_LEFT, left);
    }
    ha_courier_board_leave(courier->conf.board, courier->slot);
    if (courier->running == 0) {
        ha_parcels_free(courier->queue);
    }
    unlock(courier, &before);
    return APR_SUCCESS;
}

/* Late, for others may still call; never under a thread that hangs. */
static apr_status_t forget(void *data)
{
    ha_courier_t *courier = data;

    if (courier->running == 0) {
        free(courier);
    }
    return APR_SUCCESS;
}

static int init_locks(ha_courier_t *courier)
{
    pthread_condattr_t attr;
    int rv = pthread_condattr_init(&attr);

    if (rv == 0) {
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rv = pthread_mutex_init(&courier->lock, NULL);
    }
    if (rv == 0) {
        rv = pthread_cond_init(&courier->news, &attr);
    }
    if (rv == 0) {
        rv = pthread_cond_init(&courier->ended, &attr);
    }
    return rv;
}

apr_status_t ha_courier_start(ha_courier_t **courier,
                              const ha_courier_conf_t *conf,
                              apr_pool_t *pchild)
{
    ha_courier_t *made = calloc(1, sizeof(*made));
    int rv;

    *courier = NULL;
    if (made == NULL) {
        return APR_ENOMEM;
    }
    apr_pool_cleanup_register(pchild, made, forget, apr_pool_cleanup_null);
    made->conf = *conf;
    made->owner = getpid();
    made->slot = -1;
    made->random = ((apr_uint32_t)apr_time_now() ^ (apr_uint32_t)getpid()) | 1;
    rv = init_locks(made);
    if (rv != 0) {
        return rv;
    }
    made->queue = ha_parcels_make();
    if (made->queue == NULL) {
        return APR_ENOMEM;
    }
    apr_pool_pre_cleanup_register(pchild, made, stop);
    *courier = made;
    return APR_SUCCESS;
}
