/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an operation works.
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
 * After an edit of the list of nodes there are several orders: by each list
 * that may still be in use the session has owners and targets of its own.
 * All of them are asked and written, so that web servers with the old list
 * and with the new one meet, whichever was told first.
 *
 * Nothing is ever set blindly, so no operation can bring an ended session
 * back: add finds the tombstone in its way, and cas has read it. What loses
 * a race leaves work for the next reader and no damage.
 */
#include "ha_crew.h"

#include "ha_far.h"

/* Up for this request: one that it waited for in vain is not asked again. */
int ha_crew_is_up(const ha_crew_t *crew, const ha_peer_t *peer)
{
    ha_store_t *store = crew->env->store;

    return !(crew->silent >> peer->node & 1)
           && store->ops->is_up(store, peer->node);
}

int ha_crew_is_near(const ha_crew_t *crew, const ha_peer_t *peer)
{
    span_t zone = crew->env->zone;

    return zone.len == 0
           || span_is_equal(zone, crew->env->store->nodes[peer->node].zone);
}

apr_uint32_t ha_crew_past_sec(const ha_session_env_t *env)
{
    return env->past_sec > env->ttl_sec ? env->past_sec : env->ttl_sec;
}

/* The peer of a node, which joins when only an earlier list has it. */
static unsigned int peer_of(ha_crew_t *crew, unsigned int node)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].node == node) {
            return i;
        }
    }
    crew->peers[crew->count].node = node;
    return crew->count++;
}

/* Add the next node of a view; twice is once, two names may be one node. */
static void add_to_view(ha_crew_t *crew, ha_view_t *view, unsigned int node)
{
    unsigned int peer = peer_of(crew, node);
    unsigned int i;

    for (i = 0; i < view->count; i++) {
        if (view->peer[i] == peer) {
            return;
        }
    }
    view->peer[view->count++] = (unsigned char)peer;
}

/* The first ones of a view that are up become its targets. */
static void choose_targets(ha_crew_t *crew, unsigned int number)
{
    ha_view_t *view = &crew->view[number];
    unsigned int targets = 0;
    unsigned int i;

    for (i = 0; i < view->count && targets < view->wanted; i++) {
        ha_peer_t *peer = &crew->peers[view->peer[i]];

        if (ha_crew_is_up(crew, peer)) {
            peer->is_target |= 1u << number;
            targets++;
        }
    }
}

/* Add a view: the order of the session in a list of nodes. */
static void add_view(ha_crew_t *crew, const ha_place_node_t *nodes,
                     const unsigned int *at, unsigned int count,
                     unsigned int replicas)
{
    const ha_store_t *store = crew->env->store;
    ha_view_t *view = &crew->view[crew->views];
    unsigned int order[HA_NODES_MAX];
    unsigned int i;

    ha_place_order(order, nodes, count, replicas,
                   span_of((const char *)crew->sid->digest, HA_SID_DIGEST));
    for (i = 0; i < count; i++) {
        unsigned int node = at != NULL ? at[order[i]] : order[i];

        if (node < store->count + store->gone) {
            add_to_view(crew, view, node);
        }
    }
    view->wanted = replicas < view->count ? replicas : view->count;
    choose_targets(crew, crew->views++);
}

/* Whether what was placed by an earlier list can still be there. */
static int is_remembered(const ha_session_env_t *env, const ha_past_t *past)
{
    apr_time_t used = __atomic_load_n(past->used, __ATOMIC_ACQUIRE);

    return used + apr_time_from_sec(ha_crew_past_sec(env)) > env->now;
}

ha_crew_t *ha_crew_gather(const ha_session_env_t *env, const ha_sid_t *sid,
                          apr_uint64_t silent, apr_pool_t *p)
{
    ha_crew_t *crew = apr_pcalloc(p, sizeof(*crew));
    const ha_store_t *store = env->store;
    unsigned int i;

    crew->env = env;
    crew->sid = sid;
    crew->silent = silent;
    crew->ttl_sec = env->ttl_sec;
    crew->pool = p;
    add_view(crew, store->nodes, NULL, store->count, env->replicas);
    crew->wanted = crew->view[0].wanted;
    for (i = 0; i < store->past_count && i < HA_PAST_MAX; i++) {
        const ha_past_t *past = &store->past[i];

        if (is_remembered(env, past)) {
            add_view(crew, past->nodes, past->at, past->count,
                     past->replicas > env->replicas ? past->replicas
                                                    : env->replicas);
        }
    }
    return crew;
}

void ha_crew_plan(ha_peer_t *peer, ha_verb_e verb, span_t data)
{
    if (data.len > HA_VALUE_MAX) {
        /* Nobody could read it back, and what is there is worth more. */
        return;
    }
    peer->verb = verb;
    peer->data = data;
    peer->is_planned = 1;
    peer->is_repair = 0;
}

/* Fold what a peer holds, or take the image of one that holds the same. */
static void look_at(ha_crew_t *crew, ha_peer_t *peer)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        const ha_peer_t *other = &crew->peers[i];

        if (other != peer && other->image != NULL
            && span_is_equal(other->held, peer->held)) {
            peer->image = other->image;
            peer->fold = other->fold;
            return;
        }
    }
    peer->image = ha_image_make(crew->pool);
    switch (ha_delta_fold(peer->image, &peer->fold, crew->sid,
                          crew->env->seal, peer->held)) {
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
    case HA_FOLD_LOCKED:
    case HA_FOLD_CLEAR:
        /* What nobody here can read may be anything, the end too. Whoever
         * has the secret can, so it is not written over. */
        peer->answer = HA_UNKNOWN;
        peer->image = NULL;
        return;
    case HA_FOLD_EMPTY:
    case HA_FOLD_FOREIGN:
        /* Somebody else's bytes: no session here, and nobody's witness. */
        peer->image = NULL;
        return;
    }
}

/* Count what cannot be read and is no damage. */
static void note_locked(const ha_crew_t *crew, const ha_peer_t *peer)
{
    ha_noticed_t *noticed = crew->env->noticed;

    if (noticed != NULL) {
        noticed->locked += peer->fold.result == HA_FOLD_LOCKED;
        noticed->clear += peer->fold.result == HA_FOLD_CLEAR;
    }
}

/* Take over one answer. A touch tells that the item is there, no more. */
static void take_answer(ha_crew_t *crew, ha_peer_t *peer, const ha_call_t *call)
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
        note_locked(crew, peer);
    }
}

unsigned int ha_crew_run(ha_crew_t *crew)
{
    const ha_session_env_t *env = crew->env;
    ha_call_t *calls = apr_pcalloc(crew->pool, crew->count * sizeof(*calls));
    ha_peer_t *callers[HA_NODES_MAX];
    unsigned int count = 0;
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        ha_peer_t *peer = &crew->peers[i];

        if (peer->is_planned) {
            calls[count].node = peer->node;
            calls[count].verb = peer->verb;
            calls[count].data = peer->data;
            calls[count].is_repair = peer->is_repair;
            calls[count].version = peer->version;
            callers[count++] = peer;
        }
    }
    if (count > 0) {
        env->store->ops->run(env->store, crew->sid->key, calls, count,
                             crew->ttl_sec, env->deadline, crew->pool);
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
ha_image_t *ha_crew_merge(const ha_crew_t *crew, ha_image_t *base)
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

int ha_crew_is_locked(const ha_crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        ha_fold_e result = crew->peers[i].fold.result;

        if (result == HA_FOLD_NEWER || result == HA_FOLD_LOCKED
            || result == HA_FOLD_CLEAR) {
            return 1;
        }
    }
    return 0;
}

int ha_crew_is_held(const ha_crew_t *crew)
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
 * of this session can be: since it was issued, or for the longest time to
 * live. It has the session, or its tombstone, or there is none.
 */
int ha_crew_is_witness(const ha_crew_t *crew, const ha_peer_t *peer)
{
    const ha_session_env_t *env = crew->env;
    apr_time_t since = env->store->ops->whole_since(env->store, peer->node);

    if (since == 0 || peer->answer == HA_UNKNOWN
        || (peer->answer == HA_HIT && peer->image == NULL)) {
        return 0;
    }
    return since <= env->now - apr_time_from_sec(ha_crew_past_sec(env))
           || (since + HA_SKEW_USEC <= env->issued
               && env->issued <= env->now + HA_SKEW_USEC);
}

static int has_witness_in(const ha_crew_t *crew, const ha_view_t *view)
{
    unsigned int i;

    for (i = 0; i < view->wanted; i++) {
        const ha_peer_t *peer = &crew->peers[view->peer[i]];

        if (peer->is_asked && ha_crew_is_witness(crew, peer)) {
            return 1;
        }
    }
    return 0;
}

/* An owner by one list need not know what was placed by another. */
int ha_crew_has_witness(const ha_crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->views; i++) {
        if (!has_witness_in(crew, &crew->view[i])) {
            return 0;
        }
    }
    return 1;
}

int ha_crew_is_complete(const ha_crew_t *crew)
{
    ha_store_t *store = crew->env->store;
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        const ha_peer_t *peer = &crew->peers[i];
        int is_over = peer->node >= store->count
                      && !store->ops->is_up(store, peer->node);

        if (!is_over && (!peer->is_asked || peer->answer == HA_UNKNOWN)) {
            return 0;
        }
    }
    return 1;
}

int ha_crew_is_short(const ha_crew_t *crew)
{
    unsigned int held = 0;
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        const ha_peer_t *peer = &crew->peers[i];

        if (peer->is_target && peer->is_asked && peer->answer == HA_MISS) {
            return 1;
        }
        held += (peer->is_target & 1) && peer->answer == HA_HIT;
    }
    return held + crew->put_off < crew->wanted;
}

void ha_crew_consult(ha_crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        ha_peer_t *peer = &crew->peers[i];

        if (!peer->is_asked && ha_crew_is_up(crew, peer)) {
            ha_crew_plan(peer, HA_GET, span_of(NULL, 0));
        }
    }
    ha_crew_run(crew);
}

/* Whether an owner lacks what others hold because it was away or forgot. Then
 * it may lack the end, too, and only the stand-ins of the time know that. */
static int is_owner_behind(const ha_crew_t *crew)
{
    unsigned int v;
    unsigned int i;

    for (v = 0; v < crew->views; v++) {
        for (i = 0; i < crew->view[v].wanted; i++) {
            const ha_peer_t *peer = &crew->peers[crew->view[v].peer[i]];

            if (peer->is_asked && peer->answer == HA_MISS
                && !ha_crew_is_witness(crew, peer)) {
                return ha_crew_is_held(crew);
            }
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
void ha_crew_ask(ha_crew_t *crew)
{
    unsigned int i;

    do {
        ha_far_stand_in(crew);
        for (i = 0; i < crew->count; i++) {
            if (crew->peers[i].is_target && !crew->peers[i].is_asked) {
                ha_crew_plan(&crew->peers[i], HA_GET, span_of(NULL, 0));
            }
        }
    } while (ha_crew_run(crew) > 0);
    if (!ha_crew_has_witness(crew) || is_owner_behind(crew)) {
        ha_crew_consult(crew);
    }
}
