/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_census.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_main.h>

#include "clone_intent.h"
#include "clone_track.h"

/* What is being filled. */
typedef struct taking_t {
    apr_array_header_t *census;
    apr_hash_t *known; /* balancer and id to the index of a person */
    apr_hash_t *seen;  /* mod_proxy's records that are in it */
    apr_pool_t *p;
} taking_t;

static clone_person_t *person_at(const apr_array_header_t *census, int i)
{
    return &APR_ARRAY_IDX(census, i, clone_person_t);
}

static clone_person_t *find_or_add(taking_t *taking, const char *balancer,
                                   const char *id)
{
    const char *key = apr_pstrcat(taking->p, balancer, "\n", id, NULL);
    const int *known = apr_hash_get(taking->known, key, APR_HASH_KEY_STRING);
    clone_person_t *person;
    int *index;

    if (known != NULL) {
        return person_at(taking->census, *known);
    }
    index = apr_palloc(taking->p, sizeof(*index));
    *index = taking->census->nelts;
    apr_hash_set(taking->known, key, APR_HASH_KEY_STRING, index);
    person = apr_array_push(taking->census);
    person->balancer = apr_pstrdup(taking->p, balancer);
    person->id = apr_pstrdup(taking->p, id);
    person->copies = apr_array_make(taking->p, 1, sizeof(clone_copy_t));
    return person;
}

static void add_balancer(taking_t *taking, proxy_balancer *balancer,
                         server_rec *s)
{
    int i;

    for (i = 0; i < balancer->workers->nelts; i++) {
        clone_copy_t copy;
        clone_person_t *person;

        copy.worker = APR_ARRAY_IDX(balancer->workers, i, proxy_worker *);
        copy.balancer = balancer;
        copy.server = s;
        if (apr_hash_get(taking->seen, &copy.worker->s,
                         sizeof(copy.worker->s)) != NULL) {
            continue;
        }
        apr_hash_set(taking->seen,
                     apr_pmemdup(taking->p, &copy.worker->s,
                                 sizeof(copy.worker->s)),
                     sizeof(copy.worker->s), copy.worker);
        person = find_or_add(taking, balancer->s->name,
                             clone_track_id(copy.worker));
        APR_ARRAY_PUSH(person->copies, clone_copy_t) = copy;
    }
}

apr_array_header_t *clone_census_take(int in_child, apr_pool_t *p)
{
    taking_t taking;
    server_rec *s;

    taking.census = apr_array_make(p, 8, sizeof(clone_person_t));
    taking.known = apr_hash_make(p);
    taking.seen = apr_hash_make(p);
    taking.p = p;
    for (s = ap_server_conf; s != NULL; s = s->next) {
        proxy_server_conf *conf = ap_get_module_config(s->module_config,
                                                       &proxy_module);
        int i;

        for (i = 0; i < conf->balancers->nelts; i++) {
            proxy_balancer *balancer = &APR_ARRAY_IDX(conf->balancers, i,
                                                      proxy_balancer);

            if (PROXY_THREAD_LOCK(balancer) != APR_SUCCESS) {
                continue;
            }
            if (in_child) {
                (void)ap_proxy_sync_balancer(balancer, s, conf);
            }
            add_balancer(&taking, balancer, s);
            (void)PROXY_THREAD_UNLOCK(balancer);
        }
    }
    return taking.census;
}

const clone_person_t *clone_census_find(const apr_array_header_t *census,
                                        const char *balancer, const char *id)
{
    int i;

    for (i = 0; i < census->nelts; i++) {
        const clone_person_t *person = person_at(census, i);

        if (strcmp(person->id, id) == 0
            && strcmp(person->balancer, balancer) == 0) {
            return person;
        }
    }
    return NULL;
}

int clone_census_has(const apr_array_header_t *census, const char *balancer)
{
    int i;

    for (i = 0; i < census->nelts; i++) {
        if (strcmp(person_at(census, i)->balancer, balancer) == 0) {
            return 1;
        }
    }
    return 0;
}

const clone_copy_t *clone_census_copy(const clone_person_t *person, int i)
{
    return &APR_ARRAY_IDX(person->copies, i, clone_copy_t);
}

/* clone_flag_e's bits, mod_proxy's, and its letters. */
static const struct {
    unsigned int flag;
    unsigned int status;
    char letter;
} flags[] = {
    { CLONE_FLAG_DRAIN, PROXY_WORKER_DRAIN, PROXY_WORKER_DRAIN_FLAG },
    { CLONE_FLAG_STOP, PROXY_WORKER_STOPPED, PROXY_WORKER_STOPPED_FLAG },
    { CLONE_FLAG_DISABLE, PROXY_WORKER_DISABLED, PROXY_WORKER_DISABLED_FLAG }
};

#define FLAGS (sizeof(flags) / sizeof(flags[0]))

unsigned int clone_census_flags(const proxy_worker *worker)
{
    unsigned int value = 0;
    unsigned int i;

    for (i = 0; i < FLAGS; i++) {
        if (worker->s->status & flags[i].status) {
            value |= flags[i].flag;
        }
    }
    return value;
}

unsigned int clone_census_status(unsigned int status, unsigned int mask,
                                 unsigned int value)
{
    unsigned int i;

    for (i = 0; i < FLAGS; i++) {
        if (mask & flags[i].flag) {
            status &= ~flags[i].status;
            status |= value & flags[i].flag ? flags[i].status : 0;
        }
    }
    return status;
}

/*
 * Status words are changed by plain stores all over mod_proxy: another
 * process that marks the member at the same moment may put the old flags
 * back. It had read them within the same microsecond; look again.
 */
#define LOOKS 3
#define LOOK_USEC 500

void clone_census_set(const clone_copy_t *copy, unsigned int mask,
                      unsigned int value)
{
    proxy_worker *worker = copy->worker;
    int was_usable = PROXY_WORKER_IS_USABLE(worker);
    int look;
    unsigned int i;

    for (look = 0; look < LOOKS; look++) {
        int is_locked = PROXY_THREAD_LOCK(copy->balancer) == APR_SUCCESS;

        for (i = 0; i < FLAGS; i++) {
            if (mask & flags[i].flag) {
                (void)ap_proxy_set_wstatus(flags[i].letter,
                                           (value & flags[i].flag) != 0,
                                           worker);
            }
        }
        if (!was_usable && PROXY_WORKER_IS_USABLE(worker)) {
            copy->balancer->s->need_reset = 1;
        }
        if (is_locked) {
            (void)PROXY_THREAD_UNLOCK(copy->balancer);
        }
        apr_sleep(LOOK_USEC);
        if ((clone_census_flags(worker) & mask) == (value & mask)) {
            return;
        }
    }
}
