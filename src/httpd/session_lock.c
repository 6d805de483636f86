/* SPDX-License-Identifier: Apache-2.0 */
#include "session_lock.h"

#include <http_config.h>
#include <http_log.h>
#include <util_filter.h>

#include <apr_atomic.h>

#include "ha_keeper.h"
#include "log_tags.h"
#include "session_protocol.h"

APLOG_USE_MODULE(session_ha);

/* How long to wait before asking again, the first time and at most. */
#define PAUSE_MIN_USEC (4 * 1000)
#define PAUSE_MAX_USEC (100 * 1000)

static ap_filter_rec_t *the_filter;

/* What one try may take of the budget: half of what the load has left. */
static apr_interval_time_t time_to_take(const session_state_t *state)
{
    return session_protocol_load_time(state) / 2;
}

/* What giving it back may take: what is left, and never nothing, for whoever
 * comes next would wait for much longer. */
static apr_interval_time_t time_to_release(const session_state_t *state)
{
    apr_interval_time_t budget = ha_server_conf_budget(
        &session_server_of(state->server)->conf);
    apr_interval_time_t left = budget - state->spent;

    return left > budget / 8 ? left : budget / 8;
}

static void release(session_state_t *state)
{
    ha_kept_t *kept = state->lock;
    apr_pool_t *p;

    state->lock = NULL;
    ha_keeper_leave(session_site()->keeper, kept);
    apr_pool_create(&p, state->pool);
    ha_lock_release(&kept->lock, apr_time_now() + time_to_release(state), p);
    apr_pool_destroy(p);
}

static apr_status_t release_at_end(void *data)
{
    release(data);
    return APR_SUCCESS;
}

/* The next of a row of numbers, for jitter. */
static apr_uint32_t jitter(apr_uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

/*
 * Ask until somebody says something else than busy, or it takes too long. The
 * last try is paid for from the budget; the time before it is another request's
 * doing, and no node's.
 */
static ha_lock_e ask(ha_lock_t *lock, session_state_t *state,
                     apr_time_t until, apr_uint32_t seed)
{
    apr_interval_time_t pause = PAUSE_MIN_USEC;
    apr_pool_t *p;
    ha_lock_e result;

    apr_pool_create(&p, state->pool);
    for (;;) {
        apr_time_t now = apr_time_now();
        apr_interval_time_t part;

        result = ha_lock_try(lock, now, now + time_to_take(state), p);
        apr_pool_clear(p);
        part = apr_time_now() - now;
        now += part;
        if (result != HA_LOCK_BUSY) {
            state->spent += part;
            break;
        }
        if (now >= until) {
            break;
        }
        part = pause / 2 + jitter(&seed) % (apr_uint32_t)pause;
        apr_sleep(part < until - now ? part : until - now);
        pause = pause * 2 < PAUSE_MAX_USEC ? pause * 2 : PAUSE_MAX_USEC;
    }
    apr_pool_destroy(p);
    return result;
}

static void count(ha_lock_e result, int has_waited)
{
    session_counts_t *counts = session_site()->counts;

    if (result == HA_LOCK_HELD) {
        apr_atomic_inc64(&counts->lock_taken);
    }
    if (result == HA_LOCK_BUSY) {
        apr_atomic_inc64(&counts->lock_busy);
    }
    else if (has_waited) {
        apr_atomic_inc64(&counts->lock_waited);
    }
}

ha_lock_e session_lock_take(session_state_t *state, const ha_sid_t *sid,
                            request_rec *r)
{
    session_site_t *site = session_site();
    apr_interval_time_t wait =
        ha_conf_exclusive_wait(session_conf_of(r->per_dir_config));
    ha_kept_t *kept = apr_pcalloc(state->pool, sizeof(*kept));
    apr_time_t begun = apr_time_now();
    unsigned char owner[HA_LOCK_OWNER_BYTES];
    apr_uint32_t seed;
    ha_lock_e result;

    if (site->keeper == NULL
        || apr_generate_random_bytes(owner, sizeof(owner)) != APR_SUCCESS) {
        return HA_LOCK_UNKNOWN;
    }
    memcpy(&seed, owner, sizeof(seed));
    ha_lock_init(&kept->lock, site->store, state->replicas, sid, owner);
    result = ask(&kept->lock, state, begun + wait, seed);
    count(result, apr_time_now() - begun > PAUSE_MIN_USEC);
    if (result == HA_LOCK_HELD) {
        state->lock = kept;
        state->is_let_go = 0;
        ha_keeper_take(site->keeper, kept);
        apr_pool_pre_cleanup_register(state->pool, state, release_at_end);
    }
    else if (result == HA_LOCK_BUSY) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, HALOG(0433)
                      "session %s: in use by another request for all of %"
                      APR_TIME_T_FMT " ms; answered with 503", sid->tag,
                      apr_time_as_msec(wait));
    }
    return result;
}

void session_lock_give_back(session_state_t *state)
{
    if (state->lock != NULL) {
        apr_pool_cleanup_kill(state->pool, state, release_at_end);
        release(state);
    }
}

int session_lock_is_sound(const session_state_t *state)
{
    return !state->is_let_go
        && (state->lock == NULL
            || ha_keeper_has(session_site()->keeper, state->lock));
}

/* ---- the end of the answer ----------------------------------------------- */

static int has_end(const apr_bucket_brigade *in)
{
    const apr_bucket *at;

    for (at = APR_BRIGADE_FIRST(in); at != APR_BRIGADE_SENTINEL(in);
         at = APR_BUCKET_NEXT(at)) {
        if (APR_BUCKET_IS_EOS(at)) {
            return 1;
        }
    }
    return 0;
}

/*
 * Before the client has the last of the answer: he may ask the next thing at
 * once, and the request's pool ends when this one is logged.
 */
static apr_status_t let_go(ap_filter_t *f, apr_bucket_brigade *in)
{
    session_root_t *root = session_root_of(f->r, 0);
    session_state_t *state = root != NULL ? root->states : NULL;

    if (!has_end(in)) {
        return ap_pass_brigade(f->next, in);
    }
    for (; state != NULL && f->r->main == NULL; state = state->next) {
        if (state->lock != NULL) {
            session_lock_give_back(state);
            state->is_let_go = 1;
        }
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, in);
}

void session_lock_insert_filter(request_rec *r)
{
    if (session_site()->has_exclusive) {
        ap_add_output_filter_handle(the_filter, NULL, r, r->connection);
    }
}

void session_lock_register(void)
{
    /* Behind SESSION_HA_OUT, which saves what must be saved with the lock. */
    the_filter = ap_register_output_filter(
        "SESSION_HA_LOCK", let_go, NULL,
        (ap_filter_type)(AP_FTYPE_CONTENT_SET + 2));
}
