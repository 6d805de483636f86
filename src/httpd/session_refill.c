/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A save, or the renewal of a time to live, that does not get to an owner is
 * noted in shared memory (ha_refill.h). When that node is up again, one child
 * at a time reads what the others hold of the session and brings it there, at
 * a bounded rate, by the ordinary protocol: add and cas, never set.
 *
 * What this does not know: sessions that nobody wrote while the node was away
 * and that it forgot nevertheless, for it was restarted. They are repaired
 * when they are used.
 */
#include "session_refill.h"

#include <http_config.h>
#include <http_log.h>

#include "ha_far.h"
#include "log_tags.h"
#include "session_protocol.h"

APLOG_USE_MODULE(session_ha);

/* Between two turns while there is work, and two looks while there is none. */
#define TURN_USEC (100 * 1000)
#define IDLE_USEC APR_USEC_PER_SEC

/* Stands for the list of nodes: their names in order. */
static apr_uint64_t print_of(const ha_store_t *store)
{
    apr_uint64_t print = 0xcbf29ce484222325ULL; /* FNV-1a */
    unsigned int i;
    apr_size_t k;

    for (i = 0; i < store->count; i++) {
        span_t name = store->nodes[i].name;

        for (k = 0; k <= name.len; k++) {
            print ^= k < name.len ? (unsigned char)name.data[k] : 0;
            print *= 0x100000001b3ULL;
        }
    }
    return print;
}

void session_refill_prepare(session_site_t *site)
{
    site->nodes_print = print_of(site->store);
    ha_refill_open(site->refill, site->nodes_print);
}

static int rate_of(const session_site_t *site)
{
    int rate = session_server_of(site->server)->refill_rate;

    return rate != HA_UNSET ? rate : HA_REFILL_RATE_DEFAULT;
}

static void note(const session_site_t *site, const ha_refill_job_t *job)
{
    if (ha_refill_note(site->refill, job)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, site->server, HALOG(0230)
                     "no room to remember which sessions a node misses while "
                     "it is away; those that are not remembered are copied "
                     "back when they are used");
    }
}

void session_refill_note(const ha_saved_t *saved, const ha_session_env_t *env,
                         const ha_sid_t *sid)
{
    const session_site_t *site = session_site();
    ha_refill_job_t job;

    if (site->refill == NULL || saved->missed == 0 || saved->put_off != 0
        || saved->refused || rate_of(site) == 0
        || !ha_refill_is_open(site->refill, site->nodes_print)) {
        return;
    }
    memset(&job, 0, sizeof(job));
    memcpy(job.digest, sid->digest, sizeof(job.digest));
    job.nodes = saved->missed;
    if (site->store->count < HA_NODES_MAX) {
        /* nodes off the list need not be made whole */
        job.nodes &= ((apr_uint64_t)1 << site->store->count) - 1;
    }
    job.ttl_sec = env->ttl_sec;
    job.replicas = env->replicas;
    job.noted = env->now;
    if (job.nodes != 0) {
        note(site, &job);
    }
}

/* ---- copy back ----------------------------------------------------------- */

static apr_uint64_t nodes_up(ha_store_t *store)
{
    apr_uint64_t up = 0;
    unsigned int i;

    for (i = 0; i < store->count; i++) {
        if (store->ops->is_up(store, i)) {
            up |= (apr_uint64_t)1 << i;
        }
    }
    return up;
}

/* Bring one session; 0 when a node is silent, and so work should rest. */
static int bring(const session_site_t *site, ha_refill_job_t *job,
                 apr_time_t deadline, apr_pool_t *p)
{
    ha_session_env_t env;
    ha_bundle_t bundle;
    ha_brought_t brought;
    ha_sid_t sid;
    apr_int64_t left;

    if (!session_protocol_fill(&env)) {
        return 0;
    }
    left = (apr_int64_t)job->ttl_sec - apr_time_sec(env.now - job->noted);
    if (left <= 0) {
        return 1; /* it has run out meanwhile */
    }
    env.replicas = job->replicas;
    env.ttl_sec = (apr_uint32_t)left;
    env.past_sec = ha_conf_ttl_sec(ha_conf_ttl_sec(site->longest_sec));
    env.deadline = deadline;
    memset(&bundle, 0, sizeof(bundle));
    bundle.nodes = job->nodes;
    ha_sid_recall(&sid, job->digest);
    ha_far_bring(&brought, &env, &sid, &bundle, p);
    job->nodes &= ~brought.done;
    if (job->nodes == 0) {
        ha_refill_done(site->refill);
        return 1;
    }
    note(site, job);
    return brought.silent == 0;
}

static void say_done(const session_site_t *site)
{
    ha_refill_usage_t usage;

    ha_refill_usage(&usage, site->refill);
    if (usage.pending == 0) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, site->server, HALOG(0231)
                     "all sessions that nodes are known to have missed are "
                     "copied back, %" APR_UINT64_T_FMT " so far", usage.done);
    }
}

/* One turn: so many sessions as the rate allows, and the deadline. */
static void take_turn(const session_site_t *site, int quota,
                      apr_time_t deadline, apr_pool_t *p)
{
    ha_refill_job_t job;
    apr_pool_t *scratch;
    int done = 0;
    int goes_on = 1;

    while (goes_on && done < quota && apr_time_now() < deadline
           && ha_refill_take(site->refill, &job, nodes_up(site->store))) {
        apr_pool_create(&scratch, p);
        goes_on = bring(site, &job, deadline, scratch);
        apr_pool_destroy(scratch);
        done++;
    }
    if (done > 0) {
        say_done(site);
    }
}

static apr_interval_time_t refill(void *ctx, apr_time_t deadline,
                                  apr_pool_t *p)
{
    const session_site_t *site = ctx;
    apr_time_t now = apr_time_now();
    apr_interval_time_t every = TURN_USEC;
    apr_interval_time_t wait = IDLE_USEC;
    ha_refill_usage_t usage;
    int rate = rate_of(site);

    ha_refill_usage(&usage, site->refill);
    if (usage.pending == 0
        || !ha_refill_is_open(site->refill, site->nodes_print)) {
        return IDLE_USEC;
    }
    if (rate < APR_USEC_PER_SEC / TURN_USEC) {
        every = APR_USEC_PER_SEC / rate;
    }
    /* web servers that saw the same node come back need not march in step */
    every += now % (every / 8);
    if (ha_refill_claim(site->refill, &wait, now, every)) {
        take_turn(site, (int)(rate * every / APR_USEC_PER_SEC) > 0
                        ? (int)(rate * every / APR_USEC_PER_SEC) : 1,
                  deadline, p);
    }
    return wait;
}

apr_status_t session_refill_start(session_site_t *site)
{
    return site->courier != NULL && rate_of(site) > 0
           ? ha_courier_task(site->courier, refill, site) : APR_SUCCESS;
}
