/* SPDX-License-Identifier: Apache-2.0 */
#include "session_far.h"

#include <http_config.h>
#include <http_log.h>

#include "ha_far.h"
#include "log_tags.h"
#include "session_protocol.h"

APLOG_USE_MODULE(session_ha);

/* ---- the courier --------------------------------------------------------- */

static void deliver(ha_delivery_t *delivery, void *ctx,
                    const ha_parcel_t *parcel, apr_time_t deadline,
                    apr_pool_t *p)
{
    ha_session_env_t env;
    ha_bundle_t bundle;
    ha_brought_t brought;

    if (!session_protocol_fill(&env)) {
        return;
    }
    env.replicas = parcel->replicas;
    env.ttl_sec = parcel->ttl_sec;
    env.past_sec = parcel->past_sec;
    env.issued = parcel->issued;
    env.zone = session_site()->zone;
    env.deadline = deadline;
    bundle.nodes = parcel->nodes;
    bundle.records = parcel->records;
    bundle.is_whole = parcel->is_whole;
    bundle.is_touch = parcel->is_touch;
    ha_far_bring(&brought, &env, &parcel->sid, &bundle, p);
    delivery->done = brought.done;
    delivery->silent = brought.silent;
}

static void tell(void *ctx, ha_courier_event_e kind, apr_uint64_t count)
{
    server_rec *s = ctx;

    switch (kind) {
    case HA_COURIER_DROPS:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HALOG(0220)
                     "far copies: the queue is full or a node refuses them, "
                     "changes are dropped; the session's next request behind "
                     "its touch interval repairs them");
        break;
    case HA_COURIER_WHOLE:
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HALOG(0221)
                     "far copies: nothing waits any more; %" APR_UINT64_T_FMT
                     " changes were dropped meanwhile", count);
        break;
    case HA_COURIER_LEFT:
    default:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HALOG(0222)
                     "this child ends with %" APR_UINT64_T_FMT " changes that "
                     "nodes far or away did not take yet; the other nodes "
                     "have them, and the sessions' next requests bring the "
                     "rest",
                     count);
        break;
    }
}

void session_far_child_init(session_site_t *site, apr_pool_t *pchild)
{
    const session_server_t *top = session_server_of(site->server);
    ha_courier_conf_t conf;
    apr_status_t rv;

    conf.store = site->store;
    conf.board = site->board;
    conf.deliver = deliver;
    conf.event = tell;
    conf.ctx = site->server;
    conf.budget = ha_server_conf_budget(&top->conf);
    rv = ha_courier_start(&site->courier, &conf, pchild);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, site->server, HALOG(0223)
                     "this child has no queue for far copies; its requests "
                     "wait for all zones");
    }
}

/* ---- requests ------------------------------------------------------------ */

static int is_async(const session_state_t *state)
{
    const session_site_t *site = session_site();
    const session_server_t *server = session_server_of(state->server);

    return site->courier != NULL && site->zone.len > 0
        && ha_server_conf_far_writes(&server->conf) == HA_FAR_ASYNC;
}

int session_far_is_known(const session_state_t *state, const ha_sid_t *sid,
                         apr_time_t now)
{
    apr_time_t last = is_async(state)
                    ? ha_recent_get(session_site()->recent, sid) : 0;

    return last != 0
        && now - last < apr_time_from_sec(ha_conf_touch_sec(state->idle_sec));
}

void session_far_send(ha_saved_t *saved, const ha_session_env_t *env,
                      const ha_sid_t *sid, int is_touch)
{
    ha_courier_t *courier = session_site()->courier;
    ha_parcel_t parcel;

    if (saved->missed == 0) {
        return;
    }
    memset(&parcel, 0, sizeof(parcel));
    parcel.sid = *sid;
    parcel.nodes = saved->missed;
    parcel.records = saved->records;
    parcel.is_whole = saved->is_whole;
    parcel.is_touch = is_touch;
    parcel.replicas = env->replicas;
    parcel.ttl_sec = env->ttl_sec;
    parcel.past_sec = env->past_sec;
    parcel.issued = env->issued;
    if (courier == NULL || !ha_courier_send(courier, &parcel)) {
        saved->put_off = 0;
        return;
    }
    saved->missed = 0;
}

void session_far_save(const session_state_t *state, ha_saved_t *saved,
                      const ha_session_env_t *env, const ha_op_t *ops,
                      unsigned int count)
{
    ha_session_env_t hurried = *env;

    hurried.far_later = is_async(state);
    ha_session_save(state->session, saved, &hurried, ops, count);
    if (hurried.far_later && saved->copies > 0 && !saved->refused) {
        session_far_send(saved, env, ha_session_sid(state->session), 0);
    }
}

void session_far_touch(const session_state_t *state, ha_saved_t *saved,
                       const ha_session_env_t *env)
{
    ha_session_env_t hurried = *env;

    hurried.far_later = is_async(state);
    ha_session_touch(state->session, saved, &hurried);
    if (hurried.far_later && saved->copies > 0 && !saved->refused) {
        session_far_send(saved, env, ha_session_sid(state->session), 1);
    }
}
