/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placement asks nobody and remembers nothing: every router with the same
 * member list sends one session to the same stand-in, and a dead clone's
 * sessions spread over all that are left. The order in which members are
 * listed does not matter, their names and weights do.
 */
#include "clone_route.h"

#include "ha_place.h"

/* What the rules below look at. */
typedef struct view_t {
    const clone_member_t *members;
    unsigned int count;
} view_t;

/* What of a set may be asked in which round. */
typedef enum round_e {
    ROUND_REGULAR,
    ROUND_SPARE,
    ROUND_STANDBY,
    ROUNDS
} round_e;

static int is_ready(const clone_member_t *member)
{
    return member->is_usable && !member->is_tried;
}

/*
 * The member with this route that is best placed to serve: one that is ready,
 * and rather no standby. Two members may carry one route.
 */
static int find_ready(unsigned int *found, const view_t *view, span_t route)
{
    int is_found = 0;
    unsigned int i;

    for (i = 0; i < view->count; i++) {
        const clone_member_t *member = &view->members[i];

        if (route.len == 0 || !span_is_equal(member->route, route)
            || !is_ready(member)) {
            continue;
        }
        if (!is_found || (view->members[*found].is_standby
                          && !member->is_standby)) {
            *found = i;
            is_found = 1;
        }
    }
    return is_found;
}

/* Any member with this route, whatever its state. */
static int find_any(unsigned int *found, const view_t *view, span_t route)
{
    unsigned int i;

    for (i = 0; i < view->count; i++) {
        if (route.len > 0 && span_is_equal(view->members[i].route, route)) {
            *found = i;
            return 1;
        }
    }
    return 0;
}

/* Follow redirects from a route, each member once at most. */
static int find_redirect(unsigned int *found, const view_t *view, span_t route)
{
    unsigned int steps;
    unsigned int at;

    for (steps = 0; steps < view->count; steps++) {
        if (!find_any(&at, view, route)) {
            return 0;
        }
        if (view->members[at].redirect == NULL) {
            return 0;
        }
        route = span_of_text(view->members[at].redirect);
        if (find_ready(found, view, route)) {
            return 1;
        }
    }
    return 0;
}

static int is_of_round(const clone_member_t *member, round_e round)
{
    switch (round) {
    case ROUND_REGULAR:
        return !member->is_spare && !member->is_standby;
    case ROUND_SPARE:
        return member->is_spare;
    default:
        return member->is_standby && !member->is_spare;
    }
}

/*
 * A spare steps in for a regular member of its set that is not usable, one
 * for one, as mod_proxy_balancer does it. Members that drain are not replaced.
 */
static unsigned int spares_wanted(const view_t *view, int lbset)
{
    unsigned int wanted = 0;
    unsigned int i;

    for (i = 0; i < view->count; i++) {
        const clone_member_t *member = &view->members[i];

        if (member->lbset == lbset && is_of_round(member, ROUND_REGULAR)
            && !member->is_draining && !is_ready(member)) {
            wanted++;
        }
    }
    return wanted;
}

/* The best score of one round in one set, against the best so far. */
static int place_round(unsigned int *best, double *best_score,
                       const view_t *view, int lbset, round_e round,
                       apr_uint64_t key)
{
    unsigned int left = round == ROUND_SPARE ? spares_wanted(view, lbset)
                                             : view->count;
    int is_found = 0;
    unsigned int i;

    for (i = 0; i < view->count && left > 0; i++) {
        const clone_member_t *member = &view->members[i];
        double score;

        if (member->lbset != lbset || member->is_draining
            || !is_ready(member) || !is_of_round(member, round)) {
            continue;
        }
        left--;
        score = ha_place_score_of(key, member->name, member->weight);
        if (score > *best_score) {
            *best_score = score;
            *best = i;
            is_found = 1;
        }
    }
    return is_found;
}

static int place_in_set(unsigned int *best, const view_t *view, int lbset,
                        apr_uint64_t key)
{
    double score = 0;
    int regular = place_round(best, &score, view, lbset, ROUND_REGULAR, key);
    int spare = place_round(best, &score, view, lbset, ROUND_SPARE, key);

    return regular || spare
           || place_round(best, &score, view, lbset, ROUND_STANDBY, key);
}

/* The lowest set above the one given; 0 when there is none. */
static int next_set(int *lbset, int *is_first, const view_t *view)
{
    int is_found = 0;
    int best = 0;
    unsigned int i;

    for (i = 0; i < view->count; i++) {
        int set = view->members[i].lbset;

        if ((*is_first || set > *lbset) && (!is_found || set < best)) {
            best = set;
            is_found = 1;
        }
    }
    *is_first = 0;
    *lbset = best;
    return is_found;
}

static int place(unsigned int *best, const view_t *view, span_t session)
{
    apr_uint64_t key = ha_place_hash(session);
    int lbset = 0;
    int is_first = 1;

    while (next_set(&lbset, &is_first, view)) {
        if (place_in_set(best, view, lbset, key)) {
            return 1;
        }
    }
    return 0;
}

static clone_reason_e reason_of(const clone_ids_t *ids, unsigned int i)
{
    if (ids->learned >> i & 1) {
        return CLONE_REASON_LEARNED;
    }
    return i == 0 ? CLONE_REASON_FIRST : CLONE_REASON_NEXT;
}

static int choose_listed(clone_choice_t *choice, const view_t *view,
                         const clone_ids_t *sessions, unsigned int count)
{
    unsigned int s;
    unsigned int i;

    for (s = 0; s < count; s++) {
        for (i = 0; i < sessions[s].count; i++) {
            if (find_ready(&choice->member, view, sessions[s].clone[i])) {
                choice->reason = reason_of(&sessions[s], i);
                choice->session = s;
                return 1;
            }
        }
    }
    return 0;
}

static int choose_redirect(clone_choice_t *choice, const view_t *view,
                           const clone_ids_t *sessions, unsigned int count)
{
    unsigned int s;
    unsigned int i;

    for (s = 0; s < count; s++) {
        for (i = 0; i < sessions[s].count; i++) {
            if (find_redirect(&choice->member, view, sessions[s].clone[i])) {
                choice->reason = CLONE_REASON_REDIRECT;
                choice->session = s;
                return 1;
            }
        }
    }
    return 0;
}

/* The first session that names a member; else the first there is. */
static int find_owner(unsigned int *owner, const view_t *view,
                      const clone_ids_t *sessions, unsigned int count)
{
    unsigned int any;
    unsigned int s;
    unsigned int i;

    for (s = 0; s < count; s++) {
        for (i = 0; i < sessions[s].count; i++) {
            if (find_any(&any, view, sessions[s].clone[i])) {
                *owner = s;
                return 1;
            }
        }
    }
    *owner = 0;
    return 0;
}

void clone_route_choose(clone_choice_t *choice, const clone_member_t *members,
                        unsigned int count, const clone_ids_t *sessions,
                        unsigned int session_count, int is_pinned)
{
    view_t view;
    int is_known;

    view.members = members;
    view.count = count;
    memset(choice, 0, sizeof(*choice));
    choice->reason = CLONE_REASON_NEW;
    if (session_count == 0
        || choose_listed(choice, &view, sessions, session_count)
        || choose_redirect(choice, &view, sessions, session_count)) {
        return;
    }
    is_known = find_owner(&choice->session, &view, sessions, session_count);
    choice->reason = CLONE_REASON_NONE;
    if (is_known && is_pinned) {
        return;
    }
    if (place(&choice->member, &view, sessions[choice->session].session)) {
        choice->reason = is_known ? CLONE_REASON_FAILOVER
                                  : CLONE_REASON_UNKNOWN;
    }
}

const char *clone_reason_name(clone_reason_e reason)
{
    switch (reason) {
    case CLONE_REASON_NEW:
        return "new";
    case CLONE_REASON_FIRST:
        return "first";
    case CLONE_REASON_NEXT:
        return "next";
    case CLONE_REASON_LEARNED:
        return "learned";
    case CLONE_REASON_REDIRECT:
        return "redirect";
    case CLONE_REASON_FAILOVER:
        return "failover";
    case CLONE_REASON_UNKNOWN:
        return "unknown";
    case CLONE_REASON_NONE:
        return "none";
    default:
        return "?";
    }
}
