/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a crew comes to hold the same: after each round, what every node holds
 * says what is left to do. ha_crew.c has the rounds themselves.
 */
#include "ha_crew.h"
#include "ha_far.h"

/* How long an end is remembered. Somebody who is cut off from it may use the
 * session, and renew it, until its absolute end. */
static apr_uint32_t end_sec(const ha_session_env_t *env)
{
    return env->end_sec > ha_crew_past_sec(env) ? env->end_sec
                                                : ha_crew_past_sec(env);
}

/* Whether the log of a peer is worth folding into a snapshot. Records of
 * newer code stay behind the snapshot and do not count. */
static int is_long(const ha_peer_t *peer)
{
    unsigned int records = peer->fold.records
                           - apr_hash_count(peer->image->records);
    apr_size_t appended = peer->fold.good - peer->fold.head;

    return peer->fold.result == HA_FOLD_OK
           && (records > HA_FOLD_RECORDS_MAX || appended > HA_FOLD_BYTES
               || (records > HA_FOLD_RECORDS_MIN
                   && appended > peer->fold.head + peer->fold.head / 2));
}

/* Whether a peer holds records that should be sealed in another way. */
static int is_to_reseal(const ha_crew_t *crew, const ha_peer_t *peer)
{
    return crew->env->is_resealing && peer->image != NULL
           && peer->fold.stale > 0;
}

/* Whether all that a peer holds is the end, written by add or cas and so for
 * long enough. Another secret may have sealed it: bytes need not be ours. */
static int is_bare_end(const ha_peer_t *peer, const ha_image_t *merged)
{
    return peer->image->ended && peer->fold.result == HA_FOLD_OK
           && peer->fold.records == 1 + apr_hash_count(peer->image->records)
           && ha_image_covers(peer->image, merged);
}

/* Plan for one target what brings it to whole. Never over newer code. */
static void plan_repair(ha_peer_t *peer, span_t whole)
{
    if (peer->image == NULL && (!peer->is_asked || peer->answer == HA_MISS)) {
        ha_crew_plan(peer, HA_ADD, whole);
    }
    else if (peer->answer == HA_HIT && peer->fold.result != HA_FOLD_NEWER) {
        ha_crew_plan(peer, HA_CAS, whole);
    }
    peer->is_repair = 1;
}

/* Whether by each list as many targets have proved it as were asked for. */
static int is_enough(const ha_crew_t *crew)
{
    unsigned int v;
    unsigned int i;

    for (v = 0; v < crew->views; v++) {
        unsigned int targets = 0;
        unsigned int proved = 0;

        for (i = 0; i < crew->count; i++) {
            const ha_peer_t *peer = &crew->peers[i];

            targets += peer->is_target >> v & 1;
            proved += (peer->is_target >> v & 1) && peer->is_proved;
        }
        if (proved < (crew->acks < targets ? crew->acks : targets)) {
            return 0;
        }
    }
    return crew->acks > 0;
}

/* Whether a target holds all and should hold it in another form. */
static int has_long(const ha_crew_t *crew)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        const ha_peer_t *peer = &crew->peers[i];

        if (peer->is_target && peer->image != NULL
            && (is_long(peer) || is_to_reseal(crew, peer))) {
            return 1;
        }
    }
    return 0;
}

/* Note who holds what is needed. A proof stays one: nobody takes back. */
static void note_proofs(ha_crew_t *crew, const ha_image_t *needed)
{
    unsigned int i;

    for (i = 0; i < crew->count; i++) {
        ha_peer_t *peer = &crew->peers[i];

        if (peer->image != NULL && ha_image_covers(peer->image, needed)) {
            peer->is_proved = 1;
        }
    }
}

/* Whether a peer is to be brought to whole, which merged encodes to. */
static int is_work(const ha_crew_t *crew, const ha_peer_t *peer,
                   const ha_image_t *merged, span_t whole)
{
    if (peer->image != NULL && span_is_equal(peer->held, whole)) {
        return 0;
    }
    if (merged->ended && peer->image != NULL) {
        /* The end is for every copy there is. Nor does it do to have it at
         * the tail of a log: that is as long-lived as the log was, which an
         * append does not change, and keeps what the user had in it. */
        return !is_bare_end(peer, merged) || is_to_reseal(crew, peer);
    }
    return peer->is_target
           && (!peer->is_proved || (peer->image != NULL && is_long(peer))
               || is_to_reseal(crew, peer));
}

/* Plan what is left to do. Whole is what all peers hold together; an end
 * must outlive every copy there may be. */
static void plan_repairs(ha_crew_t *crew, const ha_image_t *merged)
{
    span_t whole = span_of(NULL, 0);
    unsigned int i;

    crew->ttl_sec = merged->ended ? end_sec(crew->env) : crew->env->ttl_sec;

    for (i = 0; i < crew->count; i++) {
        ha_peer_t *peer = &crew->peers[i];

        if (whole.len == 0 && is_work(crew, peer, merged, whole)) {
            whole = ha_delta_encode_image(crew->sid, merged, crew->env->seal,
                                          crew->pool);
        }
        if (whole.len > 0 && is_work(crew, peer, merged, whole)) {
            plan_repair(peer, whole);
        }
    }
}

/*
 * Bring all targets to hold what is needed, in at most the rounds given.
 * Each round writes what is known by then, so that a cas that won over a
 * concurrent append has that append in it. Returns what all hold together.
 */
ha_image_t *ha_crew_settle(ha_crew_t *crew, ha_image_t *needed, int rounds)
{
    ha_image_t *merged = ha_crew_merge(crew, needed);

    note_proofs(crew, needed);
    while (rounds-- > 0) {
        int is_good = is_enough(crew) && !merged->ended;

        if (is_good && !has_long(crew)) {
            break;
        }
        if (!is_good) {
            ha_far_stand_in(crew);
        }
        plan_repairs(crew, merged);
        if (ha_crew_run(crew) == 0) {
            break;
        }
        merged = ha_crew_merge(crew, merged);
        note_proofs(crew, needed);
    }
    return merged;
}
