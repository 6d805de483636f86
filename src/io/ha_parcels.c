/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_parcels.h"

#include <stdlib.h>

/*
 * Records of one session are joined by putting one behind the other: a log
 * is a log, and the order in which records are folded does not matter. So a
 * session that changes a hundred times while a zone is away takes one parcel
 * and, later, one append.
 *
 * Memory is malloc's, for it is given back in another order than it was taken,
 * by other threads, and bounded by HA_COURIER_PARCELS and HA_COURIER_BYTES.
 */

/** Chains of parcels by session; a power of two. */
#define BUCKETS 1024

struct ha_parcels_t {
    ha_waiting_t *first;
    ha_waiting_t *last;
    ha_waiting_t *buckets[BUCKETS];
    unsigned int count;
    apr_uint64_t changes;
    apr_size_t bytes;
};

ha_parcels_t *ha_parcels_make(void)
{
    return calloc(1, sizeof(ha_parcels_t));
}

static void free_one(ha_waiting_t *waiting)
{
    /* spans are const, and this one is ours */
    free((void *)(apr_uintptr_t)waiting->parcel.records.data);
    free(waiting);
}

void ha_parcels_free(ha_parcels_t *queue)
{
    while (queue->first != NULL) {
        ha_waiting_t *next = queue->first->next;

        free_one(queue->first);
        queue->first = next;
    }
    free(queue);
}

/* A digest is as good as random. */
static ha_waiting_t **bucket_of(ha_parcels_t *queue, const ha_sid_t *sid)
{
    unsigned int number = sid->digest[0] + 256U * sid->digest[1];

    return &queue->buckets[number % BUCKETS];
}

/* One of a session that is, or is not, under way. */
static ha_waiting_t *find(ha_parcels_t *queue, const ha_sid_t *sid,
                          int is_busy)
{
    ha_waiting_t *at = *bucket_of(queue, sid);

    while (at != NULL
           && (at->is_busy != is_busy
               || memcmp(at->parcel.sid.digest, sid->digest,
                         sizeof(sid->digest)) != 0)) {
        at = at->peer;
    }
    return at;
}

/* Put bytes behind, or in front of, what a parcel holds; 0 without memory. */
static int add_records(ha_parcels_t *queue, ha_waiting_t *to, span_t more,
                       int in_front)
{
    span_t held = to->parcel.records;
    char *bytes;

    if (more.len == 0) {
        return 1;
    }
    bytes = malloc(held.len + more.len);
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes + (in_front ? 0 : held.len), more.data, more.len);
    if (held.len > 0) {
        memcpy(bytes + (in_front ? more.len : 0), held.data, held.len);
        free((void *)(apr_uintptr_t)held.data);
    }
    to->parcel.records = span_of(bytes, held.len + more.len);
    queue->bytes += more.len;
    return 1;
}

/* Join one parcel with another; 0 when they are better brought alone. */
static int join(ha_parcels_t *queue, ha_waiting_t *to,
                const ha_parcel_t *more, int in_front)
{
    if (to->parcel.records.len + more->records.len > HA_COURIER_JOIN_BYTES
        || !add_records(queue, to, more->records, in_front)) {
        return 0;
    }
    to->parcel.nodes |= more->nodes;
    to->parcel.is_whole |= more->is_whole;
    to->parcel.is_touch |= more->is_touch;
    if (to->parcel.ttl_sec < more->ttl_sec) {
        to->parcel.ttl_sec = more->ttl_sec;
    }
    if (to->parcel.past_sec < more->past_sec) {
        to->parcel.past_sec = more->past_sec;
    }
    return 1;
}

static void link_in(ha_parcels_t *queue, ha_waiting_t *waiting)
{
    ha_waiting_t **bucket = bucket_of(queue, &waiting->parcel.sid);

    waiting->peer = *bucket;
    *bucket = waiting;
    waiting->next = NULL;
    waiting->prev = queue->last;
    *(queue->last != NULL ? &queue->last->next : &queue->first) = waiting;
    queue->last = waiting;
    queue->count++;
}

int ha_parcels_put(ha_parcels_t *queue, const ha_parcel_t *parcel,
                   apr_time_t now)
{
    ha_waiting_t *waiting = find(queue, &parcel->sid, 0);

    if (queue->bytes + parcel->records.len > HA_COURIER_BYTES) {
        return 0;
    }
    if (waiting == NULL || !join(queue, waiting, parcel, 0)) {
        if (queue->count >= HA_COURIER_PARCELS) {
            return 0;
        }
        waiting = calloc(1, sizeof(*waiting));
        if (waiting == NULL) {
            return 0;
        }
        waiting->parcel = *parcel;
        waiting->parcel.records = span_of(NULL, 0);
        waiting->since = now;
        if (!add_records(queue, waiting, parcel->records, 0)) {
            free(waiting);
            return 0;
        }
        link_in(queue, waiting);
    }
    waiting->changes++;
    queue->changes++;
    return 1;
}

ha_waiting_t *ha_parcels_take(ha_parcels_t *queue, apr_uint64_t ready,
                              apr_time_t now)
{
    ha_waiting_t *at = queue->first;

    while (at != NULL
           && (at->is_busy || !(at->parcel.nodes & ready) || now < at->due
               || find(queue, &at->parcel.sid, 1) != NULL)) {
        at = at->next;
    }
    if (at != NULL) {
        at->is_busy = 1;
    }
    return at;
}

int ha_parcels_has(const ha_parcels_t *queue, apr_uint64_t nodes)
{
    const ha_waiting_t *at = queue->first;

    while (at != NULL && !(at->parcel.nodes & nodes)) {
        at = at->next;
    }
    return at != NULL;
}

unsigned int ha_parcels_drop(ha_parcels_t *queue, ha_waiting_t *waiting)
{
    ha_waiting_t **at = bucket_of(queue, &waiting->parcel.sid);
    unsigned int changes = waiting->changes;

    while (*at != waiting) {
        at = &(*at)->peer;
    }
    *at = waiting->peer;
    *(waiting->prev != NULL ? &waiting->prev->next : &queue->first) =
        waiting->next;
    *(waiting->next != NULL ? &waiting->next->prev : &queue->last) =
        waiting->prev;
    queue->count--;
    queue->changes -= changes;
    queue->bytes -= waiting->parcel.records.len;
    free_one(waiting);
    return changes;
}

void ha_parcels_return(ha_parcels_t *queue, ha_waiting_t *waiting,
                       apr_uint64_t left, apr_time_t due)
{
    ha_waiting_t *later = find(queue, &waiting->parcel.sid, 0);

    waiting->parcel.nodes = left;
    if (later != NULL && join(queue, later, &waiting->parcel, 1)) {
        later->changes += waiting->changes;
        queue->changes += waiting->changes;
        later->since = waiting->since;
        later->due = due;
        later->tries = waiting->tries;
        (void)ha_parcels_drop(queue, waiting);
        return;
    }
    waiting->due = due;
    waiting->is_busy = 0;
}

apr_uint64_t ha_parcels_expire(ha_parcels_t *queue, apr_time_t now)
{
    ha_waiting_t *at = queue->first;
    apr_uint64_t changes = 0;

    while (at != NULL) {
        ha_waiting_t *next = at->next;

        if (!at->is_busy
            && now - at->since > apr_time_from_sec(at->parcel.ttl_sec)) {
            changes += ha_parcels_drop(queue, at);
        }
        at = next;
    }
    return changes;
}

apr_uint64_t ha_parcels_changes(const ha_parcels_t *queue)
{
    return queue->changes;
}

unsigned int ha_parcels_count(const ha_parcels_t *queue)
{
    return queue->count;
}

apr_size_t ha_parcels_bytes(const ha_parcels_t *queue)
{
    return queue->bytes;
}

/* Joined ones take their place at the end with their first date, so that the
 * first in the queue is not always the oldest. */
apr_time_t ha_parcels_oldest(const ha_parcels_t *queue)
{
    const ha_waiting_t *at;
    apr_time_t oldest = 0;

    for (at = queue->first; at != NULL; at = at->next) {
        if (oldest == 0 || at->since < oldest) {
            oldest = at->since;
        }
    }
    return oldest;
}
