/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of clone_intent.h lives in shared memory, for graceful restarts,
 * and in a file, for others. Children write the file, in a directory of
 * theirs: they may not write where the server's own state is, and root should
 * not write where they may. The parent reads it, once, when it has no memory
 * of its own.
 */
#include "clone_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <sys/stat.h>

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>
#include <http_main.h>
#include <unixd.h>

#include "clone_config.h"
#include "clone_intent.h"
#include "clone_server.h"
#include "clone_shared.h"
#include "clone_track.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define DEFAULT_DIR "proxy_clone"
#define FILE_NAME "members"

/* The shared record. Who dies while he writes leaves the other text. */
typedef struct kept_t {
    apr_uint32_t is_made;
    apr_uint32_t current;  /* of text[] */
    apr_uint32_t is_known; /* text[current] says something */
    apr_uint32_t is_unsaved; /* the file says something else */
    pthread_mutex_t lock;  /* robust, between processes */
    char text[2][CLONE_INTENT_TEXT_MAX + 1];
} kept_t;

/* Made in the parent for each configuration, then read only. */
static kept_t *the_kept;
static apr_hash_t *the_configured; /* proxy_worker * to unsigned int * */
static const char *the_dir;
static pid_t the_parent;

/* ---- the shared text ----------------------------------------------------- */

static apr_status_t make_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    int rv = pthread_mutexattr_init(&attr);

    if (rv == 0) {
        rv = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
        if (rv == 0) {
            rv = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
        }
        if (rv == 0) {
            rv = pthread_mutex_init(lock, &attr);
        }
        (void)pthread_mutexattr_destroy(&attr);
    }
    return rv;
}

static apr_status_t lock_kept(void)
{
    int rv = pthread_mutex_lock(&the_kept->lock);

    return rv == EOWNERDEAD ? pthread_mutex_consistent(&the_kept->lock) : rv;
}

static void unlock_kept(void)
{
    (void)pthread_mutex_unlock(&the_kept->lock);
}

static const char *text_now(void)
{
    return the_kept->is_known ? the_kept->text[the_kept->current] : "";
}

/* With the lock held, or by the parent before there are children. */
static void put_text(const char *text)
{
    apr_uint32_t next = !the_kept->current;

    apr_cpystrn(the_kept->text[next], text, sizeof(the_kept->text[next]));
    __atomic_store_n(&the_kept->current, next, __ATOMIC_RELEASE);
    the_kept->is_known = 1;
}

static apr_status_t open_kept(server_rec *s)
{
    void *memory;
    apr_status_t rv = clone_shared_get(&memory, "kept", sizeof(*the_kept), s);

    the_kept = memory;
    if (rv == APR_SUCCESS && !the_kept->is_made) {
        rv = make_lock(&the_kept->lock);
        the_kept->is_made = rv == APR_SUCCESS;
    }
    return rv;
}

static apr_array_header_t *parse(const char *text, apr_pool_t *p)
{
    apr_array_header_t *intents;
    unsigned int bad_line;

    if (clone_intent_parse(&intents, &bad_line, span_of_text(text), p)
        != CLONE_INTENT_OK) {
        /* an empty text; ours is well formed */
        bad_line = 0;
    }
    return intents;
}

apr_array_header_t *clone_keep_intents(apr_pool_t *p)
{
    const char *text = "";

    if (lock_kept() == APR_SUCCESS) {
        text = apr_pstrdup(p, text_now());
        unlock_kept();
    }
    return parse(text, p);
}

/* ---- the file ------------------------------------------------------------ */

static const char *path_of(const char *suffix, apr_pool_t *p)
{
    return apr_pstrcat(p, the_dir, "/" FILE_NAME, suffix, NULL);
}

/* A regular file, whoever may have put something else there. */
static apr_status_t read_file(span_t *text, const char *path, apr_pool_t *p)
{
    char *buffer = apr_palloc(p, CLONE_INTENT_TEXT_MAX + 1);
    apr_size_t len = 0;
    ssize_t got = 1;
    struct stat info;
    apr_status_t rv = APR_SUCCESS;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    *text = span_of(buffer, 0);
    if (fd < 0) {
        return errno;
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        rv = APR_EINVAL;
    }
    while (rv == APR_SUCCESS && got > 0 && len <= CLONE_INTENT_TEXT_MAX) {
        got = read(fd, buffer + len, CLONE_INTENT_TEXT_MAX + 1 - len);
        if (got > 0) {
            len += (apr_size_t)got;
        }
        else if (got < 0 && errno != EINTR) {
            rv = errno;
        }
    }
    (void)close(fd);
    if (rv == APR_SUCCESS) {
        text->len = len;
    }
    return rv;
}

/* The whole new file or the whole old one, also after a power cut. */
static apr_status_t write_file(const char *text, apr_pool_t *p)
{
    const char *path = path_of("", p);
    const char *fresh = path_of(".new", p);
    apr_file_t *file;
    apr_status_t closed;
    apr_status_t rv = apr_file_open(
        &file, fresh, APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_TRUNCATE,
        APR_FPROT_UREAD | APR_FPROT_UWRITE, p);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_file_write_full(file, text, strlen(text), NULL);
    if (rv == APR_SUCCESS) {
        rv = apr_file_datasync(file);
    }
    closed = apr_file_close(file);
    if (rv == APR_SUCCESS) {
        rv = closed;
    }
    return rv == APR_SUCCESS ? apr_file_rename(fresh, path, p) : rv;
}

/* ---- what is asked for --------------------------------------------------- */

static unsigned int configured(const clone_copy_t *copy)
{
    const unsigned int *flags = apr_hash_get(the_configured, &copy->worker,
                                             sizeof(copy->worker));
    int is_drained;

    /* plugin-cfg.xml may say another weight by now than at the start */
    if (clone_config_drained(&is_drained, copy->server,
                             copy->balancer->s->name,
                             copy->worker->s->name_ex)) {
        return is_drained ? CLONE_FLAG_DRAIN : 0;
    }
    return flags != NULL ? *flags : 0;
}

/* Where all copies agree, and one of them was configured otherwise. */
static void find_wish(clone_intent_t *wish, const clone_person_t *person)
{
    unsigned int same = ~0u;
    unsigned int other = 0;
    unsigned int first = clone_census_flags(
        clone_census_copy(person, 0)->worker);
    int i;

    for (i = 0; i < person->copies->nelts; i++) {
        const proxy_worker *worker = clone_census_copy(person, i)->worker;
        unsigned int flags = clone_census_flags(worker);

        same &= ~(flags ^ first);
        other |= flags ^ configured(clone_census_copy(person, i));
    }
    wish->balancer = person->balancer;
    wish->member = person->id;
    wish->mask = same & other
                 & (CLONE_FLAG_DRAIN | CLONE_FLAG_STOP | CLONE_FLAG_DISABLE);
    wish->value = first & wish->mask;
}

/* Since when a member drains; all who may be asked agree on it. */
static void note_drain(const clone_person_t *person, apr_time_t since)
{
    const proxy_worker *worker = clone_census_copy(person, 0)->worker;
    clone_slot_no slot = clone_track_slot(person->balancer, worker);
    int is_draining = 0;
    int i;

    for (i = 0; i < person->copies->nelts; i++) {
        is_draining |= PROXY_WORKER_IS_DRAINING(
            clone_census_copy(person, i)->worker) != 0;
    }
    if (slot != 0) {
        (void)clone_board_drain(clone_track_board(), slot, is_draining,
                                since);
    }
}

/* What is asked for by now; of members that are not there, what was. */
static const char *renew(const apr_array_header_t *before,
                         const apr_array_header_t *census, const char *by,
                         apr_pool_t *p)
{
    apr_array_header_t *after = apr_array_make(p, 8, sizeof(clone_intent_t));
    apr_time_t now = apr_time_now();
    int i;

    for (i = 0; i < census->nelts; i++) {
        const clone_person_t *person = &APR_ARRAY_IDX(census, i,
                                                      clone_person_t);
        const clone_intent_t *old = clone_intent_find(
            before, person->balancer, person->id);
        clone_intent_t wish;

        find_wish(&wish, person);
        note_drain(person, now);
        if (wish.mask == 0) {
            continue;
        }
        if (old != NULL && old->mask == wish.mask
            && old->value == wish.value) {
            wish = *old;
        }
        else {
            wish.since = now;
            wish.by = by;
        }
        APR_ARRAY_PUSH(after, clone_intent_t) = wish;
    }
    for (i = 0; i < before->nelts; i++) {
        const clone_intent_t *old = &APR_ARRAY_IDX(before, i, clone_intent_t);

        if (clone_census_find(census, old->balancer, old->member) == NULL) {
            APR_ARRAY_PUSH(after, clone_intent_t) = *old;
        }
    }
    return clone_intent_print(after, p);
}

apr_status_t clone_keep_capture(request_rec *r,
                                const apr_array_header_t *census,
                                const char *by)
{
    const char *text;
    apr_status_t rv = lock_kept();

    if (rv != APR_SUCCESS) {
        return rv;
    }
    text = renew(parse(text_now(), r->pool), census, by, r->pool);
    if (strcmp(text, text_now()) != 0) {
        put_text(text);
        the_kept->is_unsaved = 1;
    }
    if (the_kept->is_unsaved) {
        rv = write_file(text, r->pool);
        the_kept->is_unsaved = rv != APR_SUCCESS;
    }
    unlock_kept();
    if (rv != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r, CRLOG(0301)
                      "%s cannot be written: which members were taken out is "
                      "remembered until httpd stops and no longer; see "
                      "ProxyCloneStateDir", path_of("", r->pool));
    }
    return rv;
}

int clone_keep_watch(request_rec *r)
{
    if (r->method_number == M_POST && r->handler != NULL
        && strcmp(r->handler, "balancer-manager") == 0) {
        (void)clone_keep_capture(r, clone_census_take(1, r->pool),
                                 r->user != NULL ? r->user : "-");
    }
    return DECLINED;
}

/* ---- restarts ------------------------------------------------------------ */

int clone_keep_look(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                    server_rec *s)
{
    apr_array_header_t *census;
    int i;
    int j;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    census = clone_census_take(0, ptemp);
    the_configured = apr_hash_make(pconf);
    for (i = 0; i < census->nelts; i++) {
        const clone_person_t *person = &APR_ARRAY_IDX(census, i,
                                                      clone_person_t);

        for (j = 0; j < person->copies->nelts; j++) {
            const proxy_worker *worker = clone_census_copy(person, j)->worker;
            unsigned int flags = clone_census_flags(worker);

            apr_hash_set(the_configured,
                         apr_pmemdup(pconf, &worker, sizeof(worker)),
                         sizeof(worker),
                         apr_pmemdup(pconf, &flags, sizeof(flags)));
        }
    }
    return OK;
}

/* What the page did last may have been missed; the parent sees it, too. */
static apr_status_t look_back(void *data)
{
    apr_pool_t *p;

    if (getpid() != the_parent
        || apr_pool_create(&p, NULL) != APR_SUCCESS) {
        return APR_SUCCESS;
    }
    clone_config_catch_up(ap_server_conf, p);
    if (lock_kept() == APR_SUCCESS) {
        const char *text = renew(parse(text_now(), p),
                                 clone_census_take(0, p), "-", p);

        if (strcmp(text, text_now()) != 0) {
            put_text(text);
            the_kept->is_unsaved = 1;
        }
        unlock_kept();
    }
    apr_pool_destroy(p);
    return APR_SUCCESS;
}

static char *dir_of(const server_rec *s, apr_pool_t *p)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);

    return ap_runtime_dir_relative(
        p, server->conf->state_dir != NULL ? server->conf->state_dir
                                           : DEFAULT_DIR);
}

int clone_keep_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                     server_rec *s)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);
    const char *dir = dir_of(s, ptemp);
    apr_finfo_t finfo;

    /* A server that is up goes on, and says so when somebody is taken out. So
     * does one where nobody has asked for this. */
    if (server->conf->state_dir == NULL || ap_state_query(AP_SQ_CONFIG_GEN) > 1
        || apr_stat(&finfo, dir, APR_FINFO_TYPE, ptemp) != APR_SUCCESS
        || finfo.filetype == APR_DIR) {
        return OK;
    }
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, CRLOG(0146)
                 "ProxyCloneStateDir %s is there, and no directory", dir);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static void make_dir(server_rec *s)
{
    apr_status_t rv = apr_dir_make(the_dir, APR_FPROT_UREAD | APR_FPROT_UWRITE
                                   | APR_FPROT_UEXECUTE, s->process->pconf);

    if (rv == APR_SUCCESS && geteuid() == 0
        && lchown(the_dir, ap_unixd_config.user_id,
                  ap_unixd_config.group_id) != 0) {
        rv = errno;
    }
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EEXIST(rv)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s, CRLOG(0141)
                     "%s cannot be made: which members were taken out is "
                     "remembered until httpd stops and no longer; see "
                     "ProxyCloneStateDir", the_dir);
    }
}

/* The file's text, as far as it makes sense. */
static const char *load_file(server_rec *s, apr_pool_t *p)
{
    const char *path = path_of("", p);
    apr_array_header_t *intents;
    unsigned int bad_line;
    span_t text;
    clone_intent_e fault;
    apr_status_t rv = read_file(&text, path, p);

    if (APR_STATUS_IS_ENOENT(rv)) {
        return "";
    }
    fault = clone_intent_parse(&intents, &bad_line, text, p);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s, CRLOG(0142)
                     "%s cannot be read: members that were taken out before "
                     "the stop are back", path);
    }
    else if (fault != CLONE_INTENT_OK) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, CRLOG(0143)
                     "%s, line %u: %s; members that were taken out by such "
                     "lines are back", path, bad_line,
                     clone_intent_name(fault));
    }
    return clone_intent_print(intents, p);
}

static int restore_one(const clone_person_t *person,
                       const clone_intent_t *intent)
{
    int i;

    for (i = 0; intent != NULL && i < person->copies->nelts; i++) {
        clone_census_set(clone_census_copy(person, i), intent->mask,
                         intent->value);
    }
    note_drain(person, intent != NULL ? intent->since : apr_time_now());
    return intent != NULL;
}

static void restore_all(server_rec *s, apr_pool_t *p)
{
    apr_array_header_t *census = clone_census_take(0, p);
    apr_array_header_t *intents = parse(text_now(), p);
    int restored = 0;
    int i;

    for (i = 0; i < census->nelts; i++) {
        const clone_person_t *person = &APR_ARRAY_IDX(census, i,
                                                      clone_person_t);

        restored += restore_one(person, clone_intent_find(
            intents, person->balancer, person->id));
    }
    if (restored > 0) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, s, CRLOG(0144)
                     "%d members stand as they were asked to before, not as "
                     "they are configured", restored);
    }
}

int clone_keep_restore(apr_pool_t *pconf, apr_pool_t *plog,
                       apr_pool_t *ptemp, server_rec *s)
{
    apr_status_t rv;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    rv = open_kept(s);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, CRLOG(0145)
                     "no shared memory to remember in which members were "
                     "taken out");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    the_dir = dir_of(s, pconf);
    the_parent = getpid();
    make_dir(s);
    if (!the_kept->is_known) {
        put_text(load_file(s, ptemp));
    }
    restore_all(s, ptemp);
    apr_pool_pre_cleanup_register(pconf, NULL, look_back);
    return OK;
}

void clone_keep_mark(proxy_worker_shared *s, const char *balancer,
                     apr_pool_t *p)
{
    const clone_intent_t *intent = clone_intent_find(
        clone_keep_intents(p), balancer,
        s->route[0] != '\0' ? s->route : s->name_ex);

    if (intent != NULL) {
        s->status = clone_census_status(s->status, intent->mask,
                                        intent->value);
    }
}
