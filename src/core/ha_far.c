/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A far zone is a round trip of milliseconds away. With copies there put off,
 * a save ends when this zone's nodes have proved it; what the others miss is
 * told in ha_saved_t, and brought to them by ha_far_bring() later, in any
 * order and as often as need be: folding does not mind.
 */
#include "ha_far.h"

/* Round trips that bringing records may take, the first not counted. */
#define ROUNDS 3

/* ---- put off ------------------------------------------------------------- */

/* Whether a list has a target in this zone. */
static int has_near(const ha_crew_t *crew, unsigned int number)
{
    const ha_view_t *view = &crew->view[number];
    unsigned int i;

    for (i = 0; i < view->count; i++) {
        const ha_peer_t *peer = &crew->peers[view->peer[i]];

        if ((peer->is_target >> number & 1) && ha_crew_is_near(crew, peer)) {
            return 1;
        }
    }
    return 0;
}

/* Targets of a list. */
static unsigned int count_targets(const ha_crew_t *crew, unsigned int number)
{
    unsigned int targets = 0;
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        targets += crew->peers[i].is_target >> number & 1;
    }
    return targets;
}

void ha_far_put_off(ha_crew_t *crew)
{
    unsigned int v;

    for (v = 0; v < crew->views; v++) {
        const ha_view_t *view = &crew->view[v];
        unsigned int i = has_near(crew, v) ? view->count : 0;

        while (i-- > 0 && count_targets(crew, v) > crew->env->acks) {
            ha_peer_t *peer = &crew->peers[view->peer[i]];

            if ((peer->is_target >> v & 1) && !ha_crew_is_near(crew, peer)) {
                peer->is_target &= ~(1u << v);
                peer->is_later = 1;
                crew->put_off += v == 0;
            }
        }
    }
}

/* ---- stand in ------------------------------------------------------------ */

/* Whether a node may take the place of a silent one. */
static int is_free(const ha_crew_t *crew, const ha_peer_t *peer,
                   apr_uint32_t bit)
{
    return !(peer->is_target & bit)
           && !(peer->is_asked && peer->answer == HA_UNKNOWN)
           && ha_crew_is_up(crew, peer);
}

/* The node that takes a silent one's place: the next one that is up, of this
 * zone if targets of others are put off; NULL for none. */
static ha_peer_t *find_free(ha_crew_t *crew, const ha_view_t *view,
                            apr_uint32_t bit)
{
    ha_peer_t *first = NULL;
    unsigned int i;

    for (i = 0; i < view->count; i++) {
        ha_peer_t *peer = &crew->peers[view->peer[i]];

        if (is_free(crew, peer, bit)) {
            if (crew->put_off == 0 || ha_crew_is_near(crew, peer)) {
                return peer;
            }
            first = first == NULL ? peer : first;
        }
    }
    return first;
}

/* A target that is silent gives its place to the next node that is up. One
 * that was put off is waited for when there is no other. */
static void replace_silent(ha_crew_t *crew, unsigned int number)
{
    const ha_view_t *view = &crew->view[number];
    apr_uint32_t bit = 1u << number;
    unsigned int i;

    for (i = 0; i < view->count; i++) {
        ha_peer_t *peer = &crew->peers[view->peer[i]];
        ha_peer_t *next;

        if (!(peer->is_target & bit) || !peer->is_asked || peer->is_proved
            || peer->answer != HA_UNKNOWN) {
            continue;
        }
        next = find_free(crew, view, bit);
        if (next == NULL) {
            return;
        }
        peer->is_target &= ~bit;
        next->is_target |= bit;
        if (next->is_later) {
            next->is_later = 0;
            crew->put_off--;
        }
    }
}

void ha_far_stand_in(ha_crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->views && !crew->is_aimed; i++) {
        replace_silent(crew, i);
    }
}

/* ---- ask near ------------------------------------------------------------ */

/* Whether a peer holds the session, all of it readable. */
static int is_sound(const ha_peer_t *peer)
{
    return peer->is_asked && peer->answer == HA_HIT && peer->image != NULL
           && peer->fold.result == HA_FOLD_OK;
}

/* What the owners in this zone say: is it enough? */
static int is_enough(const ha_crew_t *crew)
{
    int is_fine = 1;
    unsigned int i;

    for (i = 0; i < crew->wanted; i++) {
        const ha_peer_t *peer = &crew->peers[i];

        if (!ha_crew_is_near(crew, peer)) {
            continue;
        }
        if (is_sound(peer) && peer->image->ended) {
            return 1;
        }
        is_fine = is_fine && is_sound(peer)
                  && ha_crew_is_witness(crew, peer);
    }
    return is_fine;
}

int ha_far_ask_near(ha_crew_t *crew)
{
    unsigned int near = 0;
    unsigned int i;

    for (i = 0; i < crew->wanted && crew->views == 1; i++) {
        ha_peer_t *peer = &crew->peers[i];

        if (ha_crew_is_near(crew, peer)) {
            if (!ha_crew_is_up(crew, peer)) {
                return 0;
            }
            near++;
        }
    }
    if (near == 0) {
        return 0;
    }
    for (i = 0; i < crew->wanted; i++) {
        if (ha_crew_is_near(crew, &crew->peers[i])) {
            ha_crew_plan(&crew->peers[i], HA_GET, span_of(NULL, 0));
        }
    }
    ha_crew_run(crew);
    if (!is_enough(crew)) {
        return 0;
    }
    for (i = 0; i < crew->count; i++) {
        crew->peers[i].is_target = i < crew->wanted
                                   && ha_crew_is_near(crew, &crew->peers[i]);
    }
    return 1;
}

/* ---- bring --------------------------------------------------------------- */

/* The nodes meant are the targets, and nobody stands in for them. */
static void aim(ha_crew_t *crew, apr_uint64_t nodes)
{
    unsigned int i;

    crew->is_aimed = 1;
    for (i = 0; i < crew->count; i++) {
        ha_peer_t *peer = &crew->peers[i];

        peer->is_target = (apr_uint32_t)(nodes >> peer->node & 1)
                          && ha_crew_is_up(crew, peer);
    }
}

/* Send the records to the targets; where there is no session they do nothing.
 * What might have to be planted is read from the others at the same time. */
static void send_records(ha_crew_t *crew, span_t records, int read_others)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        ha_peer_t *peer = &crew->peers[i];

        if (peer->is_target) {
            ha_crew_plan(peer, records.len > 0 ? HA_APPEND : HA_GET, records);
        }
        else if (read_others && ha_crew_is_up(crew, peer)) {
            ha_crew_plan(peer, HA_GET, span_of(NULL, 0));
        }
    }
    ha_crew_run(crew);
}

/* Whether a target answered, and holds nothing, or nothing whole. */
static int is_one_short(const ha_crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        const ha_peer_t *peer = &crew->peers[i];

        if (peer->is_target && peer->is_asked && !is_sound(peer)
            && peer->answer != HA_UNKNOWN) {
            return 1;
        }
    }
    return 0;
}

static void renew(ha_crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        if (crew->peers[i].is_target && crew->peers[i].is_proved) {
            ha_crew_plan(&crew->peers[i], HA_TOUCH, span_of(NULL, 0));
        }
    }
    ha_crew_run(crew);
}

static void report(const ha_crew_t *crew, ha_brought_t *brought,
                   apr_uint64_t nodes)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        const ha_peer_t *peer = &crew->peers[i];

        if (peer->is_target && peer->is_proved) {
            brought->done |= (apr_uint64_t)1 << peer->node;
        }
    }
    brought->silent = crew->silent & nodes & ~brought->done;
}

void ha_far_bring(ha_brought_t *brought, const ha_session_env_t *env,
                  const ha_sid_t *sid, const ha_bundle_t *bundle,
                  apr_pool_t *p)
{
    ha_crew_t *crew = ha_crew_gather(env, sid, 0, p);
    ha_image_t *needed = ha_image_make(p);
    int is_given = bundle->records.len > 0;
    ha_image_t *merged;
    ha_fold_t fold;
    ha_fold_e result = ha_delta_fold(needed, &fold, sid, env->seal,
                                     bundle->records);
    int is_whole = bundle->is_whole && result == HA_FOLD_OK;

    memset(brought, 0, sizeof(*brought));
    if (is_given && result != HA_FOLD_OK) {
        /* Sealed by a secret that is gone: nobody can judge it. */
        brought->done = bundle->nodes;
        return;
    }
    aim(crew, bundle->nodes);
    send_records(crew, bundle->records, is_whole || !is_given);
    if (is_one_short(crew)) {
        ha_crew_consult(crew);
    }
    if (!ha_crew_is_held(crew) && !is_whole) {
        /* Nobody has the session. Is it gone, or are they who have it? */
        brought->done = ha_crew_is_complete(crew) ? bundle->nodes : 0;
        brought->silent = crew->silent & bundle->nodes & ~brought->done;
        return;
    }
    merged = ha_crew_merge(crew, needed);
    (void)ha_crew_settle(crew, is_given ? needed : merged, ROUNDS);
    report(crew, brought, bundle->nodes);
    if (bundle->is_touch) {
        renew(crew);
    }
}
