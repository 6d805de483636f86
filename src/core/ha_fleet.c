/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of web servers, merged as everything here is: an entry has one
 * writer, and of two versions the newer counts, so that copies of the item
 * may differ from node to node, get lost, and be written by many at once.
 */
#include "ha_fleet.h"

const char *ha_fleet_differ_name(unsigned int differ)
{
    static const char *const names[] = {
        "nothing", "nodes", "replicas", "nodes and replicas", "secrets",
        "nodes and secrets", "replicas and secrets",
        "nodes, replicas and secrets"
    };

    return names[differ & 7];
}

static ha_fleet_member_t *find_member(ha_fleet_t *fleet, span_t id)
{
    unsigned int i;

    for (i = 0; i < fleet->count; i++) {
        if (span_is_equal(fleet->members[i].id, id)) {
            return &fleet->members[i];
        }
    }
    return NULL;
}

/* Whether an entry is worth more than another. */
static int is_better(const ha_fleet_member_t *a, const ha_fleet_member_t *b)
{
    if (a->is_genuine != b->is_genuine) {
        return a->is_genuine;
    }
    return a->seen > b->seen;
}

void ha_fleet_put(ha_fleet_t *fleet, const ha_fleet_member_t *member)
{
    ha_fleet_member_t *place = find_member(fleet, member->id);
    unsigned int i;

    if (place != NULL) {
        if (is_better(member, place)) {
            *place = *member;
        }
        return;
    }
    if (fleet->count < HA_FLEET_MAX) {
        fleet->members[fleet->count++] = *member;
        return;
    }
    place = &fleet->members[0];
    for (i = 1; i < fleet->count; i++) {
        if (is_better(place, &fleet->members[i])) {
            place = &fleet->members[i];
        }
    }
    if (is_better(member, place)) {
        *place = *member;
    }
}

void ha_fleet_forget(ha_fleet_t *fleet, apr_time_t now, apr_interval_time_t age)
{
    unsigned int kept = 0;
    unsigned int i;

    for (i = 0; i < fleet->count; i++) {
        const ha_fleet_member_t *member = &fleet->members[i];

        if (member->seen >= now - age && member->seen <= now + age) {
            fleet->members[kept++] = *member;
        }
    }
    fleet->count = kept;
}

static const ha_place_node_t *find_node(const ha_fleet_list_t *list,
                                        span_t name)
{
    unsigned int i;

    for (i = 0; i < list->count; i++) {
        if (span_is_equal(list->nodes[i].place.name, name)) {
            return &list->nodes[i].place;
        }
    }
    return NULL;
}

/* Names are unique in a list, so one direction will do. */
static int has_same_nodes(const ha_fleet_list_t *a, const ha_fleet_list_t *b)
{
    unsigned int i;

    if (a->count != b->count) {
        return 0;
    }
    for (i = 0; i < a->count; i++) {
        const ha_place_node_t *node = &a->nodes[i].place;
        const ha_place_node_t *other = find_node(b, node->name);

        if (other == NULL || other->weight != node->weight
            || !span_is_equal(other->zone, node->zone)) {
            return 0;
        }
    }
    return 1;
}

int ha_fleet_list_is_same(const ha_fleet_list_t *a, const ha_fleet_list_t *b)
{
    return a->replicas == b->replicas && has_same_nodes(a, b);
}

unsigned int ha_fleet_compare(const ha_fleet_member_t *self,
                              const ha_fleet_member_t *other)
{
    unsigned int differ = HA_FLEET_SAME;

    if (!other->is_genuine) {
        return HA_FLEET_SECRETS;
    }
    if (!span_is_equal(self->keys, other->keys)) {
        differ |= HA_FLEET_SECRETS;
    }
    if (self->lists[0].replicas != other->lists[0].replicas) {
        differ |= HA_FLEET_REPLICAS;
    }
    if (!has_same_nodes(&self->lists[0], &other->lists[0])) {
        differ |= HA_FLEET_NODES;
    }
    return differ;
}

apr_time_t ha_fleet_used(const ha_fleet_t *fleet, const ha_fleet_list_t *list)
{
    apr_time_t used = 0;
    unsigned int i;
    unsigned int k;

    for (i = 0; i < fleet->count; i++) {
        const ha_fleet_member_t *member = &fleet->members[i];

        for (k = 0; member->is_genuine && k < member->count; k++) {
            if (member->lists[k].used > used
                && ha_fleet_list_is_same(&member->lists[k], list)) {
                used = member->lists[k].used;
            }
        }
    }
    return used;
}

void ha_fleet_past_add(ha_fleet_list_t lists[HA_PAST_MAX],
                       unsigned int *count, const ha_fleet_list_t *list)
{
    ha_fleet_list_t added = *list;
    unsigned int at;
    unsigned int i;

    for (i = 0; i < *count; i++) {
        if (ha_fleet_list_is_same(&lists[i], list)) {
            if (lists[i].used > added.used) {
                return;
            }
            /* taken out here, to be put in where it belongs */
            memmove(&lists[i], &lists[i + 1],
                    (*count - i - 1) * sizeof(*lists));
            *count -= 1;
            break;
        }
    }
    for (at = *count; at > 0 && lists[at - 1].used < added.used; at--) {
    }
    if (at == HA_PAST_MAX) {
        return;
    }
    if (*count < HA_PAST_MAX) {
        *count += 1;
    }
    memmove(&lists[at + 1], &lists[at], (*count - at - 1) * sizeof(*lists));
    lists[at] = added;
}

void ha_fleet_past(ha_fleet_list_t lists[HA_PAST_MAX], unsigned int *count,
                   const ha_fleet_t *fleet, const ha_fleet_list_t *now)
{
    unsigned int i;
    unsigned int k;

    for (i = 0; i < fleet->count; i++) {
        const ha_fleet_member_t *member = &fleet->members[i];

        for (k = 0; member->is_genuine && k < member->count; k++) {
            if (!ha_fleet_list_is_same(&member->lists[k], now)) {
                ha_fleet_past_add(lists, count, &member->lists[k]);
            }
        }
    }
}

/* The place of a web server in a watch; a new one has the oldest place. */
static ha_fleet_watch_t *find_watch(ha_fleet_watch_t *watch, span_t id,
                                    apr_time_t now)
{
    char padded[HA_FLEET_ID] = { 0 };
    unsigned int oldest = 0;
    unsigned int i;

    memcpy(padded, id.data, id.len < sizeof(padded) ? id.len
                                                    : sizeof(padded));
    for (i = 0; i < HA_FLEET_MAX; i++) {
        if (memcmp(watch[i].id, padded, sizeof(padded)) == 0) {
            return &watch[i];
        }
        if (watch[i].since < watch[oldest].since) {
            oldest = i;
        }
    }
    memset(&watch[oldest], 0, sizeof(*watch));
    memcpy(watch[oldest].id, padded, sizeof(padded));
    watch[oldest].since = now;
    return &watch[oldest];
}

ha_fleet_news_e ha_fleet_judge(ha_fleet_watch_t *watch, unsigned int *differ,
                               const ha_fleet_member_t *self,
                               const ha_fleet_member_t *other, apr_time_t now)
{
    ha_fleet_watch_t *at;

    *differ = HA_FLEET_SAME;
    if (other->seen < now - apr_time_from_sec(HA_FLEET_STALE_SEC)
        || span_is_equal(self->id, other->id)) {
        return HA_FLEET_NO_NEWS;
    }
    *differ = ha_fleet_compare(self, other);
    at = find_watch(watch, other->id, now);
    if (at->differ != *differ) {
        at->differ = *differ;
        at->since = now;
        at->is_long = 0;
        return *differ != HA_FLEET_SAME ? HA_FLEET_DIFFERS : HA_FLEET_AGREES;
    }
    if (*differ != HA_FLEET_SAME && !at->is_long
        && now - at->since >= apr_time_from_sec(HA_FLEET_LONG_SEC)) {
        at->is_long = 1;
        return HA_FLEET_LASTS;
    }
    return HA_FLEET_NO_NEWS;
}
