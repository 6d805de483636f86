/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of load and of copies when clones and nodes die, join and
 * leave: computed with the modules' own placement (ha_place) and routing
 * (clone_route), beside three schemes that others use.
 *
 *   rendezvous  ours
 *   ring        consistent hashing, 160 points a node, the next point serves
 *   buddy       the next server in the list takes over, or holds the copy
 *   everywhere  each server holds each session
 *
 *     sim SESSIONS
 *
 * prints one result a line: what, scheme, nodes, x, value, divided by tabs.
 * The same number of sessions gives the same results.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clone_route.h"
#include "ha_place.h"

#define NODES_MAX 1000
#define POINTS 160
#define NAME 16
#define DRAWS 40

typedef enum scheme_e {
    RENDEZVOUS, RING, BUDDY, EVERYWHERE
} scheme_e;

static const char *const scheme_name[] = {
    "rendezvous", "ring", "buddy", "everywhere"
};

/* One point of the ring. */
typedef struct point_t {
    apr_uint64_t at;
    unsigned int node;
} point_t;

/* Servers, the same for every scheme. */
typedef struct world_t {
    unsigned int count;
    char name[NODES_MAX][NAME];
    clone_member_t member[NODES_MAX];
    ha_place_node_t node[NODES_MAX];
    point_t ring[NODES_MAX * POINTS];
    int is_dead[NODES_MAX];
    unsigned int dead;
} world_t;

static world_t world; /* 3 MB: too much for the stack */

/* ---- chance, the same each time ------------------------------------------ */

/* SplitMix64 after Steele, Lea and Flood (2014). */
static apr_uint64_t mix(apr_uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* The session id of a number: what is placed. */
static span_t key_of(char *text, unsigned int number)
{
    static const char digit[] = "0123456789abcdef";
    apr_uint64_t bits = mix(number);
    int i;

    for (i = 0; i < 16; i++) {
        text[i] = digit[bits >> (4 * i) & 15];
    }
    return span_of(text, 16);
}

/* ---- the world ----------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const point_t *one = a;
    const point_t *other = b;

    return one->at < other->at ? -1 : one->at > other->at;
}

static void build(unsigned int count, unsigned int zones)
{
    static char zone[8][4];
    unsigned int i;
    unsigned int p;

    memset(&world, 0, sizeof(world));
    world.count = count;
    for (i = 0; i < count; i++) {
        clone_member_t *member = &world.member[i];

        snprintf(world.name[i], NAME, "n%04u", i);
        snprintf(zone[i % zones], sizeof(zone[0]), "z%u", i % zones);
        member->name = member->route = span_of_text(world.name[i]);
        member->weight = 1;
        member->is_usable = 1;
        world.node[i].name = member->name;
        world.node[i].zone = span_of_text(zone[i % zones]);
        world.node[i].weight = 1;
        for (p = 0; p < POINTS; p++) {
            world.ring[i * POINTS + p].at = mix((apr_uint64_t)i << 32 | p
                                                | 1ULL << 63);
            world.ring[i * POINTS + p].node = i;
        }
    }
    qsort(world.ring, (size_t)count * POINTS, sizeof(point_t), by_place);
}

static void revive(void)
{
    unsigned int i;

    memset(world.is_dead, 0, sizeof(world.is_dead));
    world.dead = 0;
    for (i = 0; i < world.count; i++) {
        world.member[i].is_usable = 1;
    }
}

static void kill_node(unsigned int node)
{
    if (!world.is_dead[node]) {
        world.is_dead[node] = 1;
        world.member[node].is_usable = 0;
        world.dead++;
    }
}

/* So many, chosen by a seed; in a row when the seed is 0. */
static void kill_some(unsigned int count, unsigned int seed)
{
    unsigned int step = 0;

    revive();
    while (world.dead < count) {
        kill_node(seed == 0 ? step
                            : (unsigned int)(mix((apr_uint64_t)seed << 32
                                                 | step) % world.count));
        step++;
    }
}

/* ---- who serves a session ------------------------------------------------ */

/* First point of the ring at or behind a place. */
static unsigned int find_point(apr_uint64_t at)
{
    unsigned int low = 0;
    unsigned int high = world.count * POINTS;

    while (low < high) {
        unsigned int middle = low + (high - low) / 2;

        if (world.ring[middle].at < at) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low % (world.count * POINTS);
}

static unsigned int next_on_ring(unsigned int number)
{
    unsigned int p = find_point(mix(number));

    while (world.is_dead[world.ring[p].node]) {
        p = (p + 1) % (world.count * POINTS);
    }
    return world.ring[p].node;
}

static unsigned int next_in_list(unsigned int home)
{
    while (world.is_dead[home]) {
        home = (home + 1) % world.count;
    }
    return home;
}

/* The router's own choice, for a session whose cookie names its home. */
static unsigned int route(unsigned int number, unsigned int home)
{
    char text[16];
    clone_ids_t ids;
    clone_choice_t choice;

    memset(&ids, 0, sizeof(ids));
    ids.session = key_of(text, number);
    ids.clone[0] = world.member[home].route;
    ids.count = 1;
    clone_route_choose(&choice, world.member, world.count, &ids, 1, 0);
    return choice.member;
}

/* Home of session n is server n modulo count: new sessions are dealt out. */
static unsigned int serve(scheme_e scheme, unsigned int number)
{
    unsigned int home = number % world.count;

    if (!world.is_dead[home]) {
        return home;
    }
    return scheme == RENDEZVOUS ? route(number, home)
         : scheme == RING ? next_on_ring(number) : next_in_list(home);
}

/* Sessions of each server as it is now; the most of one. */
static unsigned int load(unsigned int *on, scheme_e scheme,
                         unsigned int sessions)
{
    unsigned int most = 0;
    unsigned int n;

    memset(on, 0, world.count * sizeof(*on));
    for (n = 0; n < sessions; n++) {
        on[serve(scheme, n)]++;
    }
    for (n = 0; n < world.count; n++) {
        most = on[n] > most ? on[n] : most;
    }
    return most;
}

static void say(const char *what, scheme_e scheme, unsigned int nodes,
                double x, double value)
{
    printf("%s\t%s\t%u\t%g\t%.6g\n", what, scheme_name[scheme], nodes, x,
           value);
}

/* ---- clones die ---------------------------------------------------------- */

/* The busiest survivor, where 1 is everybody's load of before. */
static void survivors(unsigned int nodes, unsigned int sessions)
{
    static unsigned int on[NODES_MAX];
    unsigned int deaths[] = { 1, 2, nodes / 4 };
    unsigned int d;
    int s;

    build(nodes, 1);
    for (d = 0; d < 3; d++) {
        if (deaths[d] == 0 || deaths[d] >= nodes
            || (d == 2 && deaths[d] <= 2)) {
            continue;
        }
        kill_some(deaths[d], 0);
        for (s = RENDEZVOUS; s <= BUDDY; s++) {
            say("survivor", (scheme_e)s, nodes, deaths[d],
                (double)load(on, (scheme_e)s, sessions) * nodes / sessions);
        }
        say("fair", RENDEZVOUS, nodes, deaths[d],
            (double)nodes / (nodes - deaths[d]));
    }
}

/*
 * One clone dies; whoever then has more than he can bear dies, too, and so
 * on. What of all clones is left at the end, at a load of so much of what
 * they can bear.
 */
static void cascade(unsigned int nodes, unsigned int sessions)
{
    static unsigned int on[NODES_MAX];
    unsigned int percent;
    int s;

    build(nodes, 1);
    for (percent = 30; percent <= 95; percent += 5) {
        double bear = 100.0 / percent * sessions / nodes;

        for (s = RENDEZVOUS; s <= BUDDY; s++) {
            unsigned int before;
            unsigned int i;

            kill_some(1, 0);
            do {
                before = world.dead;
                (void)load(on, (scheme_e)s, sessions);
                for (i = 0; i < nodes; i++) {
                    if (on[i] > bear && world.dead < nodes) {
                        kill_node(i);
                    }
                }
            } while (world.dead > before && world.dead < nodes);
            say("cascade", (scheme_e)s, nodes, percent,
                (double)(nodes - world.dead) / nodes);
        }
    }
}

/* ---- copies on nodes ----------------------------------------------------- */

/* The nodes that hold a session, owners first; how many. */
static unsigned int holders(unsigned int *order, scheme_e scheme,
                            unsigned int number, unsigned int copies)
{
    char text[16];
    unsigned int n = 0;
    unsigned int p;

    switch (scheme) {
    case RENDEZVOUS:
        ha_place_order(order, world.node, world.count, copies,
                       key_of(text, number));
        return copies;
    case RING:
        for (p = find_point(mix(number)); n < copies;
             p = (p + 1) % (world.count * POINTS)) {
            unsigned int i;

            for (i = 0; i < n && order[i] != world.ring[p].node; i++) {
                continue;
            }
            if (i == n) {
                order[n++] = world.ring[p].node;
            }
        }
        return copies;
    case BUDDY:
        for (n = 0; n < copies; n++) {
            order[n] = (unsigned int)((mix(number) + n) % world.count);
        }
        return copies;
    default:
        for (n = 0; n < world.count; n++) {
            order[n] = n;
        }
        return world.count;
    }
}

static void spread(unsigned int nodes, unsigned int copies,
                   unsigned int sessions)
{
    unsigned int order[HA_NODES_MAX];
    int s;

    build(nodes, 1);
    for (s = RENDEZVOUS; s <= BUDDY; s++) {
        unsigned int on[HA_NODES_MAX] = { 0 };
        unsigned int most = 0;
        unsigned int n;
        unsigned int c;

        for (n = 0; n < sessions; n++) {
            (void)holders(order, (scheme_e)s, n, copies);
            for (c = 0; c < copies; c++) {
                on[order[c]]++;
            }
        }
        for (n = 0; n < nodes; n++) {
            most = on[n] > most ? on[n] : most;
        }
        say("spread", (scheme_e)s, nodes, copies,
            (double)most * nodes / ((double)sessions * copies));
    }
}

/* The share of copies that a node more moves; of these, those that had to. */
static void join(unsigned int nodes, unsigned int copies,
                 unsigned int sessions)
{
    unsigned int *before = calloc((size_t)sessions * copies,
                                  sizeof(*before));
    unsigned int order[HA_NODES_MAX];
    int s;

    if (before == NULL) {
        exit(1);
    }
    for (s = RENDEZVOUS; s <= BUDDY; s++) {
        apr_uint64_t moved = 0;
        unsigned int n;
        unsigned int c;
        unsigned int k;

        build(nodes, 1);
        for (n = 0; n < sessions; n++) {
            (void)holders(order, (scheme_e)s, n, copies);
            memcpy(before + (size_t)n * copies, order,
                   copies * sizeof(*order));
        }
        build(nodes + 1, 1);
        for (n = 0; n < sessions; n++) {
            (void)holders(order, (scheme_e)s, n, copies);
            for (c = 0; c < copies; c++) {
                for (k = 0; k < copies
                     && before[(size_t)n * copies + k] != order[c]; k++) {
                    continue;
                }
                moved += k == copies;
            }
        }
        say("moved", (scheme_e)s, nodes, copies,
            (double)moved / ((double)sessions * copies));
    }
    free(before);
}

/* The share of sessions all of whose holders are among the dead. */
static double share_lost(scheme_e scheme, unsigned int copies,
                         unsigned int sessions)
{
    unsigned int order[HA_NODES_MAX];
    unsigned int lost = 0;
    unsigned int n;

    for (n = 0; n < sessions; n++) {
        unsigned int count = holders(order, scheme, n, copies);
        unsigned int c;

        for (c = 0; c < count && world.is_dead[order[c]]; c++) {
            continue;
        }
        lost += c == count;
    }
    return (double)lost / sessions;
}

/* Nodes die at once, so nothing was copied in between: what is lost. */
static void loss(const char *what, unsigned int nodes, unsigned int zones,
                 unsigned int copies, unsigned int sessions, scheme_e last)
{
    unsigned int dead;
    unsigned int draw;
    int s;

    build(nodes, zones);
    for (s = RENDEZVOUS; s <= (int)last; s++) {
        for (dead = 1; dead <= nodes; dead++) {
            double sum = 0;

            for (draw = 1; draw <= DRAWS; draw++) {
                kill_some(dead, draw);
                sum += share_lost((scheme_e)s, copies, sessions / DRAWS);
            }
            say(what, (scheme_e)s, nodes, dead, sum / DRAWS);
        }
    }
}

/* A whole zone at once, with zones told and not told. */
static void zone_loss(unsigned int nodes, unsigned int copies,
                      unsigned int sessions)
{
    unsigned int told;
    unsigned int i;

    for (told = 0; told < 2; told++) {
        build(nodes, told ? 3 : 1);
        for (i = 0; i < nodes; i += 3) {
            kill_node(i);
        }
        say(told ? "zone-told" : "zone-untold", RENDEZVOUS, nodes, copies,
            share_lost(RENDEZVOUS, copies, sessions));
    }
}

int main(int argc, char **argv)
{
    static const unsigned int clones[] = { 3, 10, 30, 100, 300, 1000 };
    static const unsigned int nodes[] = { 3, 5, 10, 20, 40, 63 };
    unsigned int sessions = argc == 2 ? (unsigned int)atoi(argv[1]) : 0;
    unsigned int i;

    if (sessions < 10000 || sessions > 10000000) {
        fputs("usage: sim SESSIONS, 10000 to 10000000\n", stderr);
        return 2;
    }
    for (i = 0; i < sizeof(clones) / sizeof(clones[0]); i++) {
        survivors(clones[i], sessions);
    }
    cascade(3, sessions / 10);
    cascade(10, sessions / 10);
    cascade(100, sessions / 10);
    for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        spread(nodes[i], 2, sessions);
        join(nodes[i], 2, sessions / 10);
        zone_loss(nodes[i], 2, sessions / 10);
    }
    loss("lost-2", 12, 1, 2, sessions / 10, EVERYWHERE);
    loss("lost-3", 12, 1, 3, sessions / 10, BUDDY);
    loss("lost-2-zones", 12, 3, 2, sessions / 10, RENDEZVOUS);
    loss("lost-3-zones", 12, 3, 3, sessions / 10, RENDEZVOUS);
    return 0;
}
