/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol, in the words of the seam.
 *
 * An operation looks at all nodes in the session's placement order: its
 * peers. The first R are owners. The first R that are up are the targets,
 * so that a stand-in is simply the next one in the order. Work goes in
 * rounds, one batch of calls and so one network round trip each; after a
 * round every peer that answered has an image of what it holds, and what is
 * still to do follows from the images alone:
 *
 *     a target misses the session       add the whole of it
 *     it holds something that lacks     cas the whole over it
 *     it did not answer                 the next node stands in for it
 *
 * Nothing is ever set blindly, so no operation can bring an ended session
 * back: add finds the tombstone in its way, and cas has read it. What loses
 * a race leaves work for the next reader and no damage.
 */
#include "ha_session.h"

/* Round trips that one operation may take; one is usual, two repair. */
#define ROUNDS_MAX 4

/* One node in the course of one operation. */
typedef struct peer_t {
    unsigned int node;    /* index in the store */
    int is_target;        /* it should hold the session */
    int is_asked;         /* it has been asked in this operation */
    int is_planned;       /* the next round has a call for it */
    int is_proved;        /* it held what was needed, at some moment */
    ha_verb_e verb;       /* the last planned call */
    span_t data;          /* and its data */
    ha_answer_e answer;   /* the last answer */
    apr_uint64_t version; /* of the item, on HIT */
    span_t held;          /* the item's bytes, on HIT */
    ha_image_t *image;    /* what held folds to; NULL when that is nothing */
    ha_fold_t fold;       /* how the fold went */
} peer_t;

/* An operation: its surroundings, and all nodes in placement order. */
typedef struct crew_t {
    const ha_session_env_t *env;
    const ha_sid_t *sid;
    apr_pool_t *pool;
    unsigned int count;  /* nodes of the store */
    unsigned int wanted; /* owners, and so targets */
    apr_uint64_t silent; /* a bit a node: it failed this request already */
    peer_t peers[HA_NODES_MAX];
} crew_t;

struct ha_session_t {
    apr_pool_t *pool;
    ha_sid_t sid;
    ha_image_t *image;   /* what the store is known to hold */
    int is_stored;       /* a store has it */
    apr_uint64_t silent; /* nodes that failed this request, a bit a node */
    unsigned int copies; /* owners that held it, when last looked at */
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
    case HA_LOAD_HIT:
        return "hit";
    }
    return "unknown";
}

/* Up for this request: one that it waited for in vain is not asked again. */
static int is_up(const crew_t *crew, const peer_t *peer)
{
    ha_store_t *store = crew->env->store;

    return !(crew->silent >> peer->node & 1)
           && store->ops->is_up(store, peer->node);
}

/* All nodes in placement order; the first ones that are up are targets. */
static crew_t *gather(const ha_session_env_t *env, const ha_sid_t *sid,
                      apr_uint64_t silent, apr_pool_t *p)
{
    crew_t *crew = apr_pcalloc(p, sizeof(*crew));
    unsigned int order[HA_NODES_MAX];
    unsigned int targets = 0;
    unsigned int i;

    crew->env = env;
    crew->sid = sid;
    crew->silent = silent;
    crew->pool = p;
    crew->count = env->store->count;
    crew->wanted = env->replicas < crew->count ? env->replicas : crew->count;
    ha_place_order(order, env->store->nodes, crew->count, crew->wanted,
                   span_of((const char *)sid->digest, sizeof(sid->digest)));
    for (i = 0; i < crew->count; i++) {
        crew->peers[i].node = order[i];
        if (targets < crew->wanted && is_up(crew, &crew->peers[i])) {
            crew->peers[i].is_target = 1;
            targets++;
        }
    }
    return crew;
}

static void plan(peer_t *peer, ha_verb_e verb, span_t data)
{
    if (data.len > HA_VALUE_MAX) {
        /* Nobody could read it back, and what is there is worth more. */
        return;
    }
    peer->verb = verb;
    peer->data = data;
    peer->is_planned = 1;
}

/* Fold what a peer holds, or take the image of one that holds the same. */
static void look_at(crew_t *crew, peer_t *peer)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        const peer_t *other = &crew->peers[i];

        if (other != peer && other->image != NULL
            && span_is_equal(other->held, peer->held)) {
            peer->image = other->image;
            peer->fold = other->fold;
            return;
        }
    }
    peer->image = ha_image_make(crew->pool);
    switch (ha_delta_fold(peer->image, &peer->fold, crew->sid, peer->held)) {
    case HA_FOLD_OK:
    case HA_FOLD_DAMAGED:
        return;
    case HA_FOLD_NEWER:
        if (peer->fold.records == 0) {
            /* It is there and cannot be read: that is not knowing. */
            peer->answer = HA_UNKNOWN;
            peer->image = NULL;
        }
        return;
    case HA_FOLD_EMPTY:
    case HA_FOLD_FOREIGN:
        /* Somebody else's bytes: no session here, and nobody's witness. */
        peer->image = NULL;
        return;
    }
}

/* Take over one answer. A touch tells that the item is there, no more. */
static void take_answer(crew_t *crew, peer_t *peer, const ha_call_t *call)
{
    peer->is_asked = 1;
    peer->is_planned = 0;
    peer->answer = call->answer;
    peer->version = call->version;
    peer->held = span_of(NULL, 0);
    peer->image = NULL;
    if (call->answer == HA_UNKNOWN) {
        crew->silent |= (apr_uint64_t)1 << peer->node;
    }
    if (call->answer == HA_HIT && call->verb != HA_TOUCH) {
        peer->held = call->held;
        look_at(crew, peer);
    }
}

/* Carry out what is planned, all at the same time. Returns how many calls. */
static unsigned int run_round(crew_t *crew)
{
    const ha_session_env_t *env = crew->env;
    ha_call_t *calls = apr_pcalloc(crew->pool, crew->count * sizeof(*calls));
    peer_t *callers[HA_NODES_MAX];
    unsigned int count = 0;
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        peer_t *peer = &crew->peers[i];

        if (peer->is_planned) {
            calls[count].node = peer->node;
            calls[count].verb = peer->verb;
            calls[count].data = peer->data;
            calls[count].version = peer->version;
            callers[count++] = peer;
        }
    }
    if (count > 0) {
        env->store->ops->run(env->store, crew->sid->key, calls, count,
                             env->ttl_sec, env->deadline, crew->pool);
    }
    for (i = 0; i < count; i++) {
        take_answer(crew, callers[i], &calls[i]);
    }
    return count;
}

/*
 * Fold what all peers hold into one image, on top of base if there is one.
 * Usually all hold the same, and then the answer is an image that exists: it
 * is borrowed, not copied, and nobody changes it.
 */
static ha_image_t *merge(const crew_t *crew, ha_image_t *base)
{
    ha_image_t *merged = base;
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        ha_image_t *image = crew->peers[i].image;

        if (image == NULL || image == merged) {
            continue;
        }
        if (merged == NULL) {
            merged = base = image;
        }
        else if (!ha_image_covers(merged, image)) {
            if (merged == base) {
                merged = ha_image_make(crew->pool);
                ha_image_merge(merged, base);
            }
            ha_image_merge(merged, image);
        }
    }
    return merged;
}

static unsigned int count_answers(const crew_t *crew, ha_answer_e answer)
{
    unsigned int found = 0;
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        const peer_t *peer = &crew->peers[i];

        found += peer->is_asked && peer->answer == answer;
    }
    return found;
}

static int is_held(const crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].image != NULL) {
            return 1;
        }
    }
    return 0;
}

/*
 * A reliable witness has been there, without a gap, for as long as anything
 * of this session can be: since it was issued, or for a time to live. It has
 * the session, or its tombstone, or there is none.
 */
static int is_witness(const crew_t *crew, const peer_t *peer)
{
    const ha_session_env_t *env = crew->env;
    apr_time_t since = env->store->ops->whole_since(env->store, peer->node);

    if (since == 0 || peer->answer == HA_UNKNOWN
        || (peer->answer == HA_HIT && peer->image == NULL)) {
        return 0;
    }
    return since <= env->now - apr_time_from_sec(env->ttl_sec)
           || since + HA_SKEW_USEC <= env->issued;
}

static int has_witness(const crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->wanted; i++) {
        if (crew->peers[i].is_asked && is_witness(crew, &crew->peers[i])) {
            return 1;
        }
    }
    return 0;
}

/* Ask every node that is up and has not been asked yet. */
static void consult_others(crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        peer_t *peer = &crew->peers[i];

        if (!peer->is_asked && is_up(crew, peer)) {
            plan(peer, HA_GET, span_of(NULL, 0));
        }
    }
    run_round(crew);
}

/* A target that is silent gives its place to the next node that is up. */
static void replace_silent(crew_t *crew)
{
    unsigned int i;
    unsigned int next = 0;

    for (i = 0; i < crew->count; i++) {
        peer_t *peer = &crew->peers[i];

        if (!peer->is_target || !peer->is_asked || peer->is_proved
            || peer->answer != HA_UNKNOWN) {
            continue;
        }
        while (next < crew->count
               && (crew->peers[next].is_target
                   || (crew->peers[next].is_asked
                       && crew->peers[next].answer == HA_UNKNOWN)
                   || !is_up(crew, &crew->peers[next]))) {
            next++;
        }
        if (next == crew->count) {
            return;
        }
        peer->is_target = 0;
        crew->peers[next].is_target = 1;
    }
}

/* Whether the log of a peer is worth folding into a snapshot. Records of
 * newer code stay behind the snapshot and do not count. */
static int is_long(const peer_t *peer)
{
    return peer->fold.result == HA_FOLD_OK
           && (peer->fold.records - apr_hash_count(peer->image->records)
                   > HA_FOLD_RECORDS
               || peer->fold.good - peer->fold.head > HA_FOLD_BYTES);
}

/* Plan for one target what brings it to whole. Never over newer code. */
static void plan_repair(peer_t *peer, span_t whole)
{
    if (peer->image == NULL && (!peer->is_asked || peer->answer == HA_MISS)) {
        plan(peer, HA_ADD, whole);
    }
    else if (peer->answer == HA_HIT && peer->fold.result != HA_FOLD_NEWER) {
        plan(peer, HA_CAS, whole);
    }
}

/* Note who holds what is needed. A proof stays one: nobody takes back. */
static void note_proofs(crew_t *crew, const ha_image_t *needed)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        peer_t *peer = &crew->peers[i];

        if (peer->image != NULL && ha_image_covers(peer->image, needed)) {
            peer->is_proved = 1;
        }
    }
}

/* Whether a peer is to be brought to whole, which merged encodes to. */
static int is_work(const peer_t *peer, const ha_image_t *merged, span_t whole)
{
    if (peer->image != NULL && span_is_equal(peer->held, whole)) {
        return 0;
    }
    if (merged->ended && peer->image != NULL) {
        /* The end is for every copy there is. Nor does it do to have it at
         * the tail of a log: that is as long-lived as the log was, which an
         * append does not change, and keeps what the user had in it. */
        return 1;
    }
    return peer->is_target
           && (!peer->is_proved || (peer->image != NULL && is_long(peer)));
}

/* Plan what is left to do. Whole is what all peers hold together. */
static void plan_repairs(crew_t *crew, const ha_image_t *merged)
{
    span_t whole = span_of(NULL, 0);
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        peer_t *peer = &crew->peers[i];

        if (whole.len == 0 && is_work(peer, merged, whole)) {
            whole = ha_delta_encode_image(crew->sid, merged, crew->pool);
        }
        if (whole.len > 0 && is_work(peer, merged, whole)) {
            plan_repair(peer, whole);
        }
    }
}

/*
 * Bring all targets to hold what is needed, in at most the rounds given.
 * Each round writes what is known by then, so that a cas that won over a
 * concurrent append has that append in it. Returns what all hold together.
 */
static ha_image_t *settle(crew_t *crew, ha_image_t *needed, int rounds)
{
    ha_image_t *merged = merge(crew, needed);

    note_proofs(crew, needed);
    while (rounds-- > 0) {
        replace_silent(crew);
        plan_repairs(crew, merged);
        if (run_round(crew) == 0) {
            break;
        }
        merged = merge(crew, merged);
        note_proofs(crew, needed);
    }
    return merged;
}

/* Count the targets that have proved it; owners stand first. */
static void report(const crew_t *crew, ha_saved_t *saved)
{
    unsigned int i;

    memset(saved, 0, sizeof(*saved));
    saved->wanted = crew->wanted;
    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].is_proved && crew->peers[i].is_target) {
            saved->copies += 1;
            saved->owners += i < crew->wanted;
        }
    }
}

/* A stamp after everything this session has seen. */
static ha_stamp_t next_stamp(const ha_session_env_t *env,
                             const ha_image_t *image)
{
    ha_stamp_t stamp;

    stamp.time = (apr_uint64_t)env->now;
    stamp.writer = env->writer;
    if (image->latest.time >= stamp.time && image->latest.time + 1 != 0) {
        stamp.time = image->latest.time + 1;
    }
    return stamp;
}

static ha_session_t *make_session(const ha_sid_t *sid, ha_image_t *image,
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
    return make_session(sid, ha_image_make(p), p);
}

/* Whether an owner lacks what others hold because it was away or forgot. Then
 * it may lack the end, too, and only the stand-ins of the time know that. */
static int is_owner_behind(const crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->wanted; i++) {
        const peer_t *peer = &crew->peers[i];

        if (peer->is_asked && peer->answer == HA_MISS
            && !is_witness(crew, peer)) {
            return is_held(crew);
        }
    }
    return 0;
}

/*
 * Ask until R nodes have answered, the first ones in the order that do, and
 * everybody while nobody's word is good enough. R answers meet every write
 * that R nodes proved while less than R were out of reach: whoever stands
 * before the writer's nodes was out of reach then, and those are too few.
 */
static void ask_owners(crew_t *crew)
{
    unsigned int i;

    do {
        replace_silent(crew);
        for (i = 0; i < crew->count; i++) {
            if (crew->peers[i].is_target && !crew->peers[i].is_asked) {
                plan(&crew->peers[i], HA_GET, span_of(NULL, 0));
            }
        }
    } while (run_round(crew) > 0);
    if (!has_witness(crew) || is_owner_behind(crew)) {
        consult_others(crew);
    }
}

/* Without a copy anywhere: is there no session, or does nobody know? */
static ha_load_e judge_absence(const crew_t *crew)
{
    if (has_witness(crew)
        || count_answers(crew, HA_MISS) + count_answers(crew, HA_HIT)
               == crew->count) {
        return HA_LOAD_MISS;
    }
    return HA_LOAD_UNKNOWN;
}

ha_load_e ha_session_load(ha_session_t **session, const ha_session_env_t *env,
                          const ha_sid_t *sid, apr_pool_t *p)
{
    crew_t *crew = gather(env, sid, 0, p);
    ha_image_t *image;
    ha_saved_t saved;

    *session = NULL;
    ask_owners(crew);
    if (!is_held(crew)) {
        return judge_absence(crew);
    }
    image = settle(crew, merge(crew, NULL), 1);
    if (image->ended) {
        return HA_LOAD_ENDED;
    }
    report(crew, &saved);
    *session = make_session(sid, image, p);
    (*session)->is_stored = 1;
    (*session)->copies = saved.copies;
    (*session)->silent = crew->silent;
    return HA_LOAD_HIT;
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

unsigned int ha_session_copies(const ha_session_t *session)
{
    return session->copies;
}

/* The first round of a save: one record to all, or all of a new session. */
static void send_change(crew_t *crew, const ha_session_t *session,
                        span_t record, span_t whole)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].is_target) {
            plan(&crew->peers[i], session->is_stored ? HA_APPEND : HA_ADD,
                 session->is_stored ? record : whole);
        }
    }
    run_round(crew);
    if (session->is_stored && !is_held(crew)) {
        /* All that should have it lost it: before it is planted anew, ask
         * the others whether it was logged out meanwhile. */
        consult_others(crew);
    }
}

void ha_session_save(ha_session_t *session, ha_saved_t *saved,
                     const ha_session_env_t *env, const ha_op_t *ops,
                     unsigned int count)
{
    apr_pool_t *p = session->pool;
    crew_t *crew = gather(env, &session->sid, session->silent, p);
    ha_image_t *needed = ha_image_make(p);
    ha_image_t *merged;
    ha_change_t change;

    change.stamp = next_stamp(env, session->image);
    change.access = env->now;
    change.ops = ops;
    change.count = count;
    ha_image_merge(needed, session->image);
    ha_delta_apply(needed, &change);
    send_change(crew, session, ha_delta_encode(&session->sid, &change, p),
                ha_delta_encode_image(&session->sid, needed, p));
    merged = settle(crew, needed, ROUNDS_MAX - 1);
    report(crew, saved);
    session->silent = crew->silent;
    if (merged->ended) {
        ha_image_end(session->image);
        saved->refused = 1;
    }
    else if (saved->copies > 0) {
        session->image = merged;
        session->is_stored = 1;
        session->copies = saved->copies;
    }
}

void ha_session_end(ha_session_t *session, ha_saved_t *saved,
                    const ha_session_env_t *env)
{
    crew_t *crew = gather(env, &session->sid, 0, session->pool);
    span_t end = ha_delta_encode_end(
        &session->sid, next_stamp(env, session->image), session->pool);
    unsigned int i;

    /* Everybody is told, not the targets alone: a stand-in of some earlier
     * outage may still hold a living copy. Nor is a node spared that was
     * silent before in this request: it may hold one too. */
    for (i = 0; i < crew->count; i++) {
        if (is_up(crew, &crew->peers[i])) {
            plan(&crew->peers[i], HA_APPEND, end);
        }
    }
    run_round(crew);
    ha_image_end(session->image);
    settle(crew, session->image, ROUNDS_MAX - 1);
    report(crew, saved);
    session->copies = saved->copies;
}

/* Somebody lacks what was touched: before it is planted there anew, find out
 * from those who have it whether it ended meanwhile. */
static void read_touched(crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].is_asked && crew->peers[i].answer == HA_HIT) {
            plan(&crew->peers[i], HA_GET, span_of(NULL, 0));
        }
    }
    if (run_round(crew) == 0) {
        consult_others(crew);
    }
}

void ha_session_touch(ha_session_t *session, ha_saved_t *saved,
                      const ha_session_env_t *env)
{
    crew_t *crew = gather(env, &session->sid, session->silent,
                          session->pool);
    ha_image_t *merged;
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].is_target) {
            plan(&crew->peers[i], HA_TOUCH, span_of(NULL, 0));
        }
    }
    run_round(crew);
    for (i = 0; i < crew->count; i++) {
        peer_t *peer = &crew->peers[i];

        peer->is_proved = peer->is_asked && peer->answer == HA_HIT;
    }
    if (count_answers(crew, HA_HIT) < crew->wanted) {
        read_touched(crew);
    }
    merged = settle(crew, session->image, 1);
    report(crew, saved);
    if (merged->ended) {
        ha_image_end(session->image);
        saved->refused = 1;
    }
}
