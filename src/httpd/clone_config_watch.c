/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every second (ten times, if RefreshInterval is 0) each child compares one
 * number. When the file is due, the child that gets the lock looks at it, and
 * if it changed reads it, checks it, changes the balancers in shared memory
 * and pins the text up; the others see another number and take their edition
 * from the board. So all have the same, the file is read once, and what is
 * wrong with it is said once.
 */
#include "clone_config_watch.h"

#include <signal.h>

#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_proc.h>
#include <http_log.h>

#include "clone_config_members.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* From one look at the board to the next; and where RefreshInterval 0 says
 * that changes are waited for. */
#define TICK_USEC APR_USEC_PER_SEC
#define QUICK_TICK_USEC (100 * 1000)

/* How long the end of a child waits for the thread. */
#define STOP_USEC (2 * APR_USEC_PER_SEC)

/* A file so young that is bad may be half written: look again first. */
#define SETTLE_USEC APR_USEC_PER_SEC

/* It lives as long as the process, for the thread may. */
struct clone_watch_t {
    apr_pool_t *pool;
    apr_thread_t *thread;
    apr_thread_mutex_t *mutex; /* guards what follows */
    apr_thread_cond_t *news;
    int is_over;   /* the child is ending */
    int has_ended; /* the thread has */
};

/* ---- one edition to the next --------------------------------------------- */

/* A pool that no other thread's pool knows, for an edition. */
static apr_pool_t *make_pool(void)
{
    apr_pool_t *p = NULL;

    return apr_pool_create_unmanaged_ex(&p, NULL, NULL) == APR_SUCCESS ? p
                                                                       : NULL;
}

static const char *make(clone_edition_t **edition,
                        clone_findings_t **findings, clone_config_t *config,
                        span_t text, apr_pool_t *p)
{
    apr_pool_t *own = make_pool();
    const char *error = own != NULL
        ? clone_edition_make(edition, findings, text, config->has_tls, own, p)
        : " no memory";

    if (error != NULL && own != NULL) {
        apr_pool_destroy(own);
        *edition = NULL;
    }
    return error;
}

static int put_in_place(clone_config_t *config, clone_edition_t *edition)
{
    int is_done = clone_config_swap(config, edition);

    if (!is_done) {
        apr_pool_destroy(edition->pool);
    }
    return is_done;
}

/* Take what another child pinned up. The lock is held. */
static int follow(clone_config_t *config, apr_pool_t *p)
{
    clone_edition_t *edition;
    clone_findings_t *findings;
    const char *error = " half a text";
    apr_uint32_t number;
    span_t text;

    if (clone_bulletin_number(config->board) == config->now->number) {
        return 1;
    }
    number = clone_bulletin_get(&text, config->board, p);
    if (number > 0) {
        error = make(&edition, &findings, config, text, p);
    }
    if (error != NULL) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, config->server, CRLOG(0419)
                     "%s: this child cannot follow the others:%s",
                     config->path, error);
        return 0;
    }
    edition->number = number;
    clone_config_members_follow(config);
    if (!put_in_place(config, edition)) {
        return 0;
    }
    ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, config->server, CRLOG(0409)
                 "%s: this child goes by edition %u, too", config->path,
                 number);
    return 1;
}

static void refuse(clone_config_t *config, const clone_look_t *look,
                   const char *error)
{
    config->board->look = *look;
    config->board->is_bad = 1;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, config->server, CRLOG(0411)
                 "%s:%s; going on with what was accepted before",
                 config->path, error);
}

/* The file is another one and good: now it counts. */
static void take(clone_config_t *config, const clone_look_t *look,
                 clone_edition_t *edition, const clone_findings_t *findings,
                 span_t text, apr_pool_t *p)
{
    clone_config_report(config, findings);
    clone_config_members_apply(config, config->now, edition, p);
    clone_config_members_follow(config);
    clone_bulletin_put(config->board, text);
    config->board->look = *look;
    config->board->is_bad = 0;
    edition->number = clone_bulletin_number(config->board);
    if (put_in_place(config, edition)) {
        /* this thread alone puts another one there */
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, config->server, CRLOG(0410)
                     "%s has changed and is in effect: %u routes to %u "
                     "clusters, edition %u", config->path,
                     edition->plugin->route_count,
                     edition->plugin->cluster_count, edition->number);
    }
}

/* Touched, or put back: the text is what is in effect. The lock is held. */
static int is_known(clone_config_t *config, const clone_look_t *look,
                    span_t text)
{
    clone_bulletin_t *board = config->board;

    if (!span_is_equal(text, span_of(board->text, board->len))) {
        return 0;
    }
    board->look = *look;
    if (board->is_bad) {
        board->is_bad = 0;
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, config->server, CRLOG(0412)
                     "%s is as it was accepted before", config->path);
    }
    return 1;
}

/* The file is not as it was seen last. The lock is held. */
static void read_again(clone_config_t *config, apr_pool_t *p)
{
    char buffer[256];
    clone_edition_t *edition = NULL;
    clone_findings_t *findings = NULL;
    clone_look_t look;
    span_t text;
    const char *error;
    apr_status_t rv = clone_file_read(&text, &look, config->path,
                                      CLONE_XML_MAX, p);

    if (APR_STATUS_IS_EAGAIN(rv)) {
        config->board->checked = 0; /* it is being written: soon again */
        return;
    }
    if (rv == APR_SUCCESS && is_known(config, &look, text)) {
        return;
    }
    error = rv == APR_SUCCESS
            ? make(&edition, &findings, config, text, p)
            : apr_pstrcat(p, " ", apr_strerror(rv, buffer, sizeof(buffer)),
                          NULL);
    if (edition != NULL) {
        take(config, &look, edition, findings, text, p);
    }
    else if (apr_time_now() - look.mtime < SETTLE_USEC && look.mtime > 0) {
        config->board->checked = 0;
    }
    else {
        refuse(config, &look, error);
    }
}

static int is_due(const clone_config_t *config)
{
    int every = config->now->plugin->refresh_sec;

    return every >= 0 && apr_time_now() - config->board->checked
                         >= apr_time_from_sec(every);
}

static void look_at_file(clone_config_t *config, apr_pool_t *p)
{
    clone_look_t look;

    config->board->checked = apr_time_now();
    clone_file_look(&look, config->path, p);
    if (!clone_look_is_same(&look, &config->board->look)) {
        read_again(config, p);
    }
}

static void tick(clone_config_t *config, apr_pool_t *p)
{
    int is_behind = clone_bulletin_number(config->board) != config->now->number;

    if (!is_behind && !is_due(config)) {
        return;
    }
    if (is_behind ? apr_global_mutex_lock(config->lock) != APR_SUCCESS
                  : apr_global_mutex_trylock(config->lock) != APR_SUCCESS) {
        return;
    }
    if (follow(config, p) && is_due(config)) {
        look_at_file(config, p);
    }
    (void)apr_global_mutex_unlock(config->lock);
}

void clone_watch_catch_up(clone_config_t *config, apr_pool_t *p)
{
    apr_pool_t *scratch;

    if (clone_bulletin_number(config->board) != config->now->number
        && apr_global_mutex_lock(config->lock) == APR_SUCCESS) {
        apr_pool_create(&scratch, p);
        (void)follow(config, scratch);
        apr_pool_destroy(scratch);
        (void)apr_global_mutex_unlock(config->lock);
    }
}

/* ---- the thread ---------------------------------------------------------- */

int clone_watch_is_over(clone_watch_t *watch)
{
    int is_over;

    if (watch == NULL) {
        return 0;
    }
    (void)apr_thread_mutex_lock(watch->mutex);
    is_over = watch->is_over;
    (void)apr_thread_mutex_unlock(watch->mutex);
    return is_over;
}

/* Wait for the next tick; 0 when there is none. */
static int wait_for_tick(const clone_config_t *config)
{
    clone_watch_t *watch = config->watch;
    int is_quick = config->now->plugin->refresh_sec == 0;
    int is_over;

    (void)apr_thread_mutex_lock(watch->mutex);
    if (!watch->is_over) {
        (void)apr_thread_cond_timedwait(watch->news, watch->mutex,
                                        is_quick ? QUICK_TICK_USEC
                                                 : TICK_USEC);
    }
    is_over = watch->is_over;
    (void)apr_thread_mutex_unlock(watch->mutex);
    return !is_over;
}

static void *APR_THREAD_FUNC run(apr_thread_t *thread, void *data)
{
    clone_config_t *config = data;
    clone_watch_t *watch = config->watch;
    apr_pool_t *p = make_pool();

    while (p != NULL && wait_for_tick(config)) {
        tick(config, p);
        apr_pool_clear(p);
    }
    if (p != NULL) {
        apr_pool_destroy(p);
    }
    (void)apr_thread_mutex_lock(watch->mutex);
    watch->has_ended = 1;
    (void)apr_thread_cond_signal(watch->news);
    (void)apr_thread_mutex_unlock(watch->mutex);
    return NULL;
}

/*
 * Not for ever: who is ended within a signal may hold what the thread waits
 * for, be it in malloc.
 */
static apr_status_t stop(void *data)
{
    clone_watch_t *watch = data;
    apr_time_t until = apr_time_now() + STOP_USEC;
    apr_status_t rv = APR_SUCCESS;

    (void)apr_thread_mutex_lock(watch->mutex);
    watch->is_over = 1;
    (void)apr_thread_cond_signal(watch->news);
    while (!watch->has_ended && apr_time_now() < until) {
        (void)apr_thread_cond_timedwait(watch->news, watch->mutex,
                                        until - apr_time_now());
    }
    if (!watch->has_ended) {
        (void)apr_thread_mutex_unlock(watch->mutex);
        return APR_TIMEUP;
    }
    (void)apr_thread_mutex_unlock(watch->mutex);
    (void)apr_thread_join(&rv, watch->thread);
    return rv;
}

static apr_status_t make_locks(clone_config_t *config, clone_watch_t *watch)
{
    apr_status_t rv = apr_thread_mutex_create(
        &config->guard, APR_THREAD_MUTEX_DEFAULT, watch->pool);

    if (rv == APR_SUCCESS) {
        rv = apr_thread_mutex_create(&watch->mutex, APR_THREAD_MUTEX_DEFAULT,
                                     watch->pool);
    }
    return rv == APR_SUCCESS ? apr_thread_cond_create(&watch->news,
                                                      watch->pool) : rv;
}

/* Signals are for httpd's own threads. */
static apr_status_t start_thread(clone_config_t *config)
{
    sigset_t all;
    sigset_t before;
    apr_status_t rv;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    rv = ap_thread_create(&config->watch->thread, NULL, run, config,
                          config->watch->pool);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rv;
}

apr_status_t clone_watch_start(clone_config_t *config, apr_pool_t *pchild)
{
    apr_pool_t *own;
    clone_watch_t *watch;
    apr_status_t rv;

    if (config->now->plugin->refresh_sec < 0) {
        return APR_SUCCESS;
    }
    rv = apr_global_mutex_child_init(&config->lock,
                                     apr_global_mutex_lockfile(config->lock),
                                     pchild);
    own = rv == APR_SUCCESS ? make_pool() : NULL;
    if (own == NULL) {
        return rv != APR_SUCCESS ? rv : APR_ENOMEM;
    }
    watch = apr_pcalloc(own, sizeof(*watch));
    watch->pool = own;
    rv = make_locks(config, watch);
    if (rv == APR_SUCCESS) {
        config->watch = watch;
        /* one that is born late has the parent's edition, which may be old */
        clone_watch_catch_up(config, pchild);
        rv = start_thread(config);
    }
    if (rv == APR_SUCCESS) {
        apr_pool_pre_cleanup_register(pchild, watch, stop);
    }
    return rv;
}
