/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol, in the words of the seam: what is sent first, and what is
 * believed of the answers. How the rest follows from them is in ha_crew.c.
 */
#include "ha_session.h"

#include "ha_crew.h"
#include "ha_far.h"
#include "ha_forward.h"

/* Round trips that one operation may take; one is usual, two repair. */
#define ROUNDS_MAX 4

struct ha_session_t {
    apr_pool_t *pool;
    ha_sid_t sid;
    ha_image_t *image;   /* what the store is known to hold */
    int is_stored;       /* a store has it */
    apr_uint64_t silent; /* nodes that failed this request, a bit a node */
    unsigned int copies; /* owners that held it, when last looked at */
    int is_near;         /* at its load this zone alone was asked */
};

const char *ha_load_name(ha_load_e result)
{
    switch (result) {
    case HA_LOAD_UNKNOWN:
        return "unknown";
    case HA_LOAD_MISS:
        return "miss";
    case HA_LOAD_ENDED:
        return "ended";
    case HA_LOAD_MOVED:
        return "moved";
    case HA_LOAD_HIT:
        return "hit";
    }
    return "unknown";
}

/* Count the targets that have proved it; owners stand first. */
static void report(const ha_crew_t *crew, ha_saved_t *saved)
{
    unsigned int i;

    memset(saved, 0, sizeof(*saved));
    saved->wanted = crew->wanted;
    saved->put_off = crew->put_off;
    for (i = 0; i < crew->count; i++) {
        const ha_peer_t *peer = &crew->peers[i];

        if (!peer->is_proved
            && (i < crew->wanted || peer->is_target || peer->is_later)) {
            saved->missed |= (apr_uint64_t)1 << peer->node;
        }
        if (peer->is_target & 1) {
            saved->copies += peer->is_proved;
            saved->owners += peer->is_proved && i < crew->wanted;
            /* Who cannot be asked cannot be waited for. */
            saved->acks += peer->is_proved || !peer->is_asked
                           || peer->answer != HA_UNKNOWN;
        }
    }
    if (crew->env->acks > 0) {
        saved->acks = crew->wanted - crew->put_off;
        saved->acks = crew->env->acks < saved->acks ? crew->env->acks
                                                    : saved->acks;
    }
    if (saved->acks == 0) {
        saved->acks = 1;
    }
}

/*
 * A stamp after everything this session has seen, however far ahead of our
 * clock that is: what the user reads, his next write must win over, and our
 * clock may be the wrong one. Clocks of others go no further than this: no
 * host remembers them from one session to the next.
 */
static ha_stamp_t next_stamp(const ha_session_env_t *env,
                             const ha_image_t *image)
{
    ha_stamp_t stamp;

    stamp.time = (apr_uint64_t)env->now;
    stamp.writer = env->writer;
    if (image->latest.time >= stamp.time
        && image->latest.time + 1 < APR_INT64_MAX) {
        stamp.time = image->latest.time + 1;
    }
    return stamp;
}

ha_session_t *ha_session_make_of(const ha_sid_t *sid, ha_image_t *image,
                                 apr_pool_t *p)
{
    ha_session_t *session = apr_pcalloc(p, sizeof(*session));

    session->pool = p;
    session->sid = *sid;
    session->image = image;
    return session;
}

ha_session_t *ha_session_make(const ha_sid_t *sid, apr_pool_t *p)
{
    return ha_session_make_of(sid, ha_image_make(p), p);
}

/* Without a copy anywhere: is there no session, or does nobody know? */
static ha_load_e judge_absence(const ha_crew_t *crew)
{
    if (!ha_crew_is_locked(crew)
        && (ha_crew_has_witness(crew) || ha_crew_is_complete(crew))) {
        return HA_LOAD_MISS;
    }
    return HA_LOAD_UNKNOWN;
}

ha_load_e ha_session_load(ha_session_t **session, const ha_session_env_t *env,
                          const ha_sid_t *sid, apr_pool_t *p)
{
    ha_crew_t *crew = ha_crew_gather(env, sid, 0, p);
    int is_near = env->near_first && ha_far_ask_near(crew);
    ha_image_t *image;
    ha_image_t *settled;
    ha_saved_t saved;

    *session = NULL;
    if (!is_near) {
        ha_crew_ask(crew);
    }
    if (!ha_crew_is_held(crew)) {
        return judge_absence(crew);
    }
    /* Shown is what the copies counted hold. What else came to one of them
     * while it was repaired, the next reader could miss again; but an end is
     * an end, whoever knows of it. */
    image = ha_crew_merge(crew, NULL);
    settled = ha_crew_settle(crew, image, 1);
    if (settled->ended) {
        image = settled;
    }
    if (ha_forward_is_logout(image)) {
        return HA_LOAD_ENDED;
    }
    report(crew, &saved);
    *session = ha_session_make_of(sid, image, p);
    (*session)->is_stored = 1;
    (*session)->copies = saved.copies;
    (*session)->silent = crew->silent;
    (*session)->is_near = is_near;
    return ha_forward_is_moved(image) ? HA_LOAD_MOVED : HA_LOAD_HIT;
}

apr_table_t *ha_session_table(const ha_session_t *session, apr_pool_t *p)
{
    return ha_image_table(session->image, p);
}

const ha_sid_t *ha_session_sid(const ha_session_t *session)
{
    return &session->sid;
}

int ha_session_is_stored(const ha_session_t *session)
{
    return session->is_stored;
}

apr_time_t ha_session_access(const ha_session_t *session)
{
    return session->image->access;
}

apr_pool_t *ha_session_pool(const ha_session_t *session)
{
    return session->pool;
}

apr_interval_time_t ha_session_ahead(const ha_session_t *session,
                                     apr_time_t now)
{
    /* A stamp that was read is no later than APR_INT64_MAX. */
    apr_time_t latest = (apr_time_t)session->image->latest.time;

    return latest > now ? latest - now : 0;
}

const ha_image_t *ha_session_image(const ha_session_t *session)
{
    return session->image;
}

ha_stamp_t ha_session_stamp(const ha_session_t *session,
                            const ha_session_env_t *env)
{
    return next_stamp(env, session->image);
}

unsigned int ha_session_copies(const ha_session_t *session)
{
    return session->copies;
}

int ha_session_is_near(const ha_session_t *session)
{
    return session->is_near;
}

/* The first round of a save: one record to all, or all of a new session. */
static void send_change(ha_crew_t *crew, const ha_session_t *session,
                        span_t data)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].is_target) {
            ha_crew_plan(&crew->peers[i],
                         session->is_stored ? HA_APPEND : HA_ADD, data);
        }
    }
    ha_crew_run(crew);
    if (session->is_stored && !ha_crew_is_held(crew)) {
        /* All that should have it lost it: before it is planted anew, ask
         * the others whether it was logged out meanwhile. */
        ha_crew_consult(crew);
    }
}

/* Store more than is known to be stored: record says what, and more is it. */
static void store_more(ha_session_t *session, ha_saved_t *saved,
                       const ha_session_env_t *env, const ha_image_t *more,
                       span_t record)
{
    apr_pool_t *p = session->pool;
    ha_crew_t *crew = ha_crew_gather(env, &session->sid, session->silent, p);
    ha_image_t *needed = ha_image_make(p);
    ha_image_t *merged;
    span_t data = record;

    ha_image_merge(needed, session->image);
    ha_image_merge(needed, more);
    if (!session->is_stored) {
        data = ha_delta_encode_image(&session->sid, needed, env->seal, p);
    }
    if (env->far_later) {
        ha_far_put_off(crew);
    }
    send_change(crew, session, data);
    crew->acks = env->acks;
    merged = ha_crew_settle(crew, needed, ROUNDS_MAX - 1);
    report(crew, saved);
    saved->is_whole = !session->is_stored;
    saved->records = data;
    session->silent = crew->silent;
    if (merged->ended) {
        session->image = merged;
        saved->refused = 1;
    }
    else if (saved->copies > 0) {
        session->image = merged;
        session->is_stored = 1;
        session->copies = saved->copies;
    }
}

void ha_session_write(ha_session_t *session, ha_saved_t *saved,
                      const ha_session_env_t *env, const ha_change_t *change)
{
    ha_image_t *more = ha_image_make(session->pool);

    ha_delta_apply(more, change);
    store_more(session, saved, env, more,
               ha_delta_encode(&session->sid, change, env->seal,
                               session->pool));
}

void ha_session_merge(ha_session_t *session, ha_saved_t *saved,
                      const ha_session_env_t *env, const ha_image_t *more)
{
    store_more(session, saved, env, more,
               ha_delta_encode_image(&session->sid, more, env->seal,
                                     session->pool));
}

void ha_session_save(ha_session_t *session, ha_saved_t *saved,
                     const ha_session_env_t *env, const ha_op_t *ops,
                     unsigned int count)
{
    ha_change_t change;

    change.stamp = next_stamp(env, session->image);
    change.access = env->now;
    change.ops = ops;
    change.count = count;
    ha_session_write(session, saved, env, &change);
}

/* End it with what the end says: who logged out, or where it went. */
static void end_with(ha_session_t *session, ha_saved_t *saved,
                     const ha_session_env_t *env, ha_image_t *end)
{
    ha_crew_t *crew = ha_crew_gather(env, &session->sid, 0, session->pool);
    span_t record = ha_delta_encode_image(&session->sid, end, env->seal,
                                          session->pool);
    unsigned int i;

    /* Everybody is told, not the targets alone: a stand-in of some earlier
     * outage may still hold a living copy. Nor is a node spared that was
     * silent before in this request: it may hold one too. */
    for (i = 0; i < crew->count; i++) {
        if (ha_crew_is_up(crew, &crew->peers[i])) {
            ha_crew_plan(&crew->peers[i], HA_APPEND, record);
        }
    }
    ha_crew_run(crew);
    session->image = ha_crew_settle(crew, end, ROUNDS_MAX - 1);
    report(crew, saved);
    saved->records = record;
    saved->is_whole = 1;
    session->copies = saved->copies;
}

/* What is left of a session when it ends. */
static ha_image_t *make_end(const ha_session_t *session)
{
    ha_image_t *end = ha_image_make(session->pool);

    ha_image_merge(end, session->image);
    ha_image_end(end);
    return end;
}

void ha_session_end(ha_session_t *session, ha_saved_t *saved,
                    const ha_session_env_t *env)
{
    ha_image_t *end = make_end(session);

    ha_image_keep(end, end->fields, ha_forward_logout());
    end_with(session, saved, env, end);
}

void ha_session_leave(ha_session_t *session, ha_saved_t *saved,
                      const ha_session_env_t *env, span_t forward)
{
    ha_image_t *end = make_end(session);

    ha_image_keep(end, end->forwards, forward);
    end_with(session, saved, env, end);
}

/* Somebody lacks what was touched: before it is planted there anew, find out
 * from those who have it whether it ended meanwhile. */
static void read_touched(ha_crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].is_asked && crew->peers[i].answer == HA_HIT) {
            ha_crew_plan(&crew->peers[i], HA_GET, span_of(NULL, 0));
        }
    }
    if (ha_crew_run(crew) == 0) {
        ha_crew_consult(crew);
    }
}

void ha_session_touch(ha_session_t *session, ha_saved_t *saved,
                      const ha_session_env_t *env)
{
    ha_crew_t *crew = ha_crew_gather(env, &session->sid, session->silent,
                                     session->pool);
    ha_image_t *merged;
    unsigned int i;

    if (env->far_later) {
        ha_far_put_off(crew);
    }
    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].is_target) {
            ha_crew_plan(&crew->peers[i], HA_TOUCH, span_of(NULL, 0));
        }
    }
    ha_crew_run(crew);
    for (i = 0; i < crew->count; i++) {
        ha_peer_t *peer = &crew->peers[i];

        peer->is_proved = peer->is_asked && peer->answer == HA_HIT;
    }
    if (ha_crew_is_short(crew)) {
        read_touched(crew);
    }
    merged = ha_crew_settle(crew, session->image, 1);
    report(crew, saved);
    if (merged->ended) {
        session->image = merged;
        saved->refused = 1;
    }
}
