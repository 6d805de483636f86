/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placement knows names and nothing else: not who is up, not in which order
 * the configuration lists the nodes. That is what lets every web server work
 * it out alone and be right.
 */
#include "ha_place.h"

#include <math.h>

#include <apr_siphash.h>

/*
 * Public on purpose: it is the same on every host, for ever. Changing it
 * moves every session of every installation.
 */
static const unsigned char hash_key[APR_SIPHASH_KSIZE] = {
    'm', 'o', 'd', '_', 's', 'e', 's', 's',
    'i', 'o', 'n', '_', 'h', 'a', '/', '1'
};

static apr_uint64_t hash_of(span_t bytes)
{
    return apr_siphash24(bytes.data, bytes.len, hash_key);
}

/* Little-endian, so that hosts of both kinds agree. */
static void put_number(unsigned char *to, apr_uint64_t number)
{
    unsigned int i;

    for (i = 0; i < sizeof(number); i++) {
        to[i] = (unsigned char)(number >> (8 * i));
    }
}

apr_uint64_t ha_place_hash(span_t key)
{
    return hash_of(key);
}

double ha_place_score(span_t key, span_t name, unsigned int weight)
{
    return ha_place_score_of(hash_of(key), name, weight);
}

double ha_place_score_of(apr_uint64_t key_hash, span_t name,
                         unsigned int weight)
{
    /* Each half is hashed alone, so "ab"+"c" and "a"+"bc" differ, and no
     * buffer has to hold both. */
    unsigned char halves[2 * sizeof(apr_uint64_t)];
    double u;

    put_number(halves, key_hash);
    put_number(halves + sizeof(apr_uint64_t), hash_of(name));
    u = (double)(hash_of(span_of((const char *)halves, sizeof(halves))) >> 12);
    /* 52 bits and a half, because 53 and a half would round up to u = 1. */
    return -(double)weight / log((u + 0.5) * 0x1p-52);
}

/* Whether a stands before b: by score, equal scores by name. */
static int is_before(const double *scores, const ha_place_node_t *nodes,
                     unsigned int a, unsigned int b)
{
    apr_size_t shorter;
    int diff;

    if (scores[a] != scores[b]) {
        return scores[a] > scores[b];
    }
    shorter = nodes[a].name.len < nodes[b].name.len ? nodes[a].name.len
                                                    : nodes[b].name.len;
    diff = memcmp(nodes[a].name.data, nodes[b].name.data, shorter);
    return diff != 0 ? diff < 0 : nodes[a].name.len < nodes[b].name.len;
}

static void sort_by_score(unsigned int *order, const double *scores,
                          const ha_place_node_t *nodes, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        unsigned int at = i;

        while (at > 0 && is_before(scores, nodes, i, order[at - 1])) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
}

/* Whether one of the owners so far lives in the zone of nodes[candidate]. */
static int is_zone_taken(const unsigned int *order, unsigned int owners,
                         const ha_place_node_t *nodes, unsigned int candidate)
{
    unsigned int i;

    for (i = 0; i < owners; i++) {
        if (span_is_equal(nodes[order[i]].zone, nodes[candidate].zone)) {
            return 1;
        }
    }
    return 0;
}

/* Bring order[from] to position to; what was between moves back by one. */
static void move_up(unsigned int *order, unsigned int from, unsigned int to)
{
    unsigned int moved = order[from];

    for (; from > to; from--) {
        order[from] = order[from - 1];
    }
    order[to] = moved;
}

void ha_place_order(unsigned int *order, const ha_place_node_t *nodes,
                    unsigned int count, unsigned int replicas, span_t key)
{
    apr_uint64_t key_hash = hash_of(key);
    double scores[HA_NODES_MAX];
    unsigned int owners;
    unsigned int i;

    for (i = 0; i < count; i++) {
        scores[i] = ha_place_score_of(key_hash, nodes[i].name,
                                      nodes[i].weight);
    }
    sort_by_score(order, scores, nodes, count);
    for (owners = 1; owners < replicas && owners < count; owners++) {
        for (i = owners; i < count; i++) {
            if (!is_zone_taken(order, owners, nodes, order[i])) {
                move_up(order, i, owners);
                break;
            }
        }
    }
}
