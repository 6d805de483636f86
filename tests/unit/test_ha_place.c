/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ha_place.h"

#define KEYS 20000
#define NODES 10

/* ---- helpers ------------------------------------------------------------ */

static ha_place_node_t node_of(const char *name, const char *zone,
                               unsigned int weight)
{
    ha_place_node_t node;

    node.name = span_of_text(name);
    node.zone = span_of_text(zone);
    node.weight = weight;
    return node;
}

/* Ten nodes n0..n9; node i lives in zone i % zones. */
static void make_nodes(ha_place_node_t *nodes, unsigned int count,
                       unsigned int zones)
{
    static const char *const names[] = { "n0", "n1", "n2", "n3", "n4",
                                         "n5", "n6", "n7", "n8", "n9" };
    static const char *const zone_names[] = { "z0", "z1", "z2", "z3" };
    unsigned int i;

    for (i = 0; i < count; i++) {
        nodes[i] = node_of(names[i], zone_names[i % zones], 1);
    }
}

static span_t key_of(char *buffer, apr_size_t size, unsigned int number)
{
    return span_of(buffer, (apr_size_t)snprintf(buffer, size, "session-%u",
                                                number));
}

static void assert_is_permutation(const unsigned int *order,
                                  unsigned int count)
{
    unsigned int seen[HA_NODES_MAX] = { 0 };
    unsigned int i;

    for (i = 0; i < count; i++) {
        ck_assert_uint_lt(order[i], count);
        ck_assert_uint_eq(seen[order[i]], 0);
        seen[order[i]] = 1;
    }
}

/* ---- golden vectors --------------------------------------------------------
 * Computed by a second implementation, written from the papers and from
 * SipHash's reference vector. A change here moves every session of every
 * installation: it needs a new version of the value format, not a new table.
 */

static const struct {
    span_t key;
    const char *name;
    unsigned int weight;
    double score;
} scores[] = {
    { { NULL, 0 }, "n", 1, 0x1.236f957e016b3p+2 },
    { { "k", 1 }, "", 1, 0x1.21daf71091539p+1 },
    { { "ab", 2 }, "c", 1, 0x1.3d4cf12f921dcp+1 },
    { { "a", 1 }, "bc", 1, 0x1.c5bb58fc5ee8dp+1 },
    { { "session", 7 }, "node1", 1, 0x1.494b187913b3ep+1 },
    { { "session", 7 }, "node1", 100, 0x1.0142ab1e97649p+8 },
    { { "\0\1\2\3\4\5\6\7\x08", 9 }, "m\xc3\xbcller", 7,
      0x1.33531332aebf0p+4 },
};

START_TEST(a_score_never_changes)
{
    double score = ha_place_score(scores[_i].key,
                                  span_of_text(scores[_i].name),
                                  scores[_i].weight);

    /* The logarithm may differ in its last bits between C libraries. */
    ck_assert_msg(fabs(score - scores[_i].score) < scores[_i].score * 1e-14,
                  "row %d: %a, not %a", _i, score, scores[_i].score);
    ck_assert(score == ha_place_score_of(ha_place_hash(scores[_i].key),
                                         span_of_text(scores[_i].name),
                                         scores[_i].weight));
}
END_TEST

static const struct {
    const char *key;
    unsigned int replicas;
    const char *order; /* digits of mc1..mc5 */
} orders[] = {
    { "", 1, "52413" },
    { "", 2, "52413" },
    { "", 3, "52413" },
    { "", 5, "52413" },
    { "0", 1, "31254" },
    { "0", 2, "31254" },
    { "0", 3, "31524" },
    { "0", 5, "31524" },
    { "ada", 1, "25143" },
    { "ada", 2, "25143" },
    { "ada", 3, "25413" },
    { "ada", 5, "25413" },
    { "grace", 1, "53412" },
    { "grace", 2, "53412" },
    { "grace", 3, "53142" },
    { "grace", 5, "53142" },
    { "0123456789abcdef0123456789abcdef", 3, "25413" },
};

START_TEST(an_order_never_changes)
{
    ha_place_node_t nodes[5];
    unsigned int order[5];
    char text[6] = { 0 };
    unsigned int i;

    nodes[0] = node_of("mc1", "east", 1);
    nodes[1] = node_of("mc2", "east", 1);
    nodes[2] = node_of("mc3", "west", 1);
    nodes[3] = node_of("mc4", "west", 1);
    nodes[4] = node_of("mc5", "", 3);
    ha_place_order(order, nodes, 5, orders[_i].replicas,
                   span_of_text(orders[_i].key));
    for (i = 0; i < 5; i++) {
        text[i] = (char)('1' + order[i]);
    }
    ck_assert_str_eq(text, orders[_i].order);
}
END_TEST

/* ---- scores ------------------------------------------------------------- */

START_TEST(a_score_is_positive_and_finite)
{
    char buffer[32];
    unsigned int i;

    for (i = 0; i < KEYS; i++) {
        double score = ha_place_score(key_of(buffer, sizeof(buffer), i),
                                      span_of_text("n"), HA_WEIGHT_MAX);

        ck_assert(score > 0 && isfinite(score));
    }
}
END_TEST

START_TEST(a_border_between_key_and_name_matters)
{
    ck_assert(ha_place_score(span_of_text("ab"), span_of_text("c"), 1)
              != ha_place_score(span_of_text("a"), span_of_text("bc"), 1));
    ck_assert(ha_place_score(span_of_text("a"), span_of_text("b"), 1)
              != ha_place_score(span_of_text("b"), span_of_text("a"), 1));
}
END_TEST

/* ---- order -------------------------------------------------------------- */

START_TEST(every_node_stands_in_the_order_once)
{
    ha_place_node_t nodes[NODES];
    unsigned int order[NODES];
    char buffer[32];
    unsigned int count;
    unsigned int replicas;
    unsigned int i;

    make_nodes(nodes, NODES, 3);
    for (i = 0; i < 200; i++) {
        for (count = 1; count <= NODES; count++) {
            for (replicas = 1; replicas <= HA_REPLICAS_MAX; replicas++) {
                ha_place_order(order, nodes, count, replicas,
                               key_of(buffer, sizeof(buffer), i));
                assert_is_permutation(order, count);
            }
        }
    }
}
END_TEST

START_TEST(no_node_gives_no_order)
{
    unsigned int order[1] = { 77 };

    ha_place_order(order, NULL, 0, 2, span_of_text("key"));
    ck_assert_uint_eq(order[0], 77);
}
END_TEST

START_TEST(as_many_nodes_as_the_limit_are_ordered)
{
    ha_place_node_t nodes[HA_NODES_MAX];
    unsigned int order[HA_NODES_MAX];
    char names[HA_NODES_MAX][8];
    unsigned int i;

    for (i = 0; i < HA_NODES_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "m%u", i);
        nodes[i] = node_of(names[i], "", 1);
    }
    ha_place_order(order, nodes, HA_NODES_MAX, HA_REPLICAS_MAX,
                   span_of_text("key"));
    assert_is_permutation(order, HA_NODES_MAX);
}
END_TEST

START_TEST(nodes_of_equal_names_but_for_length_are_told_apart)
{
    ha_place_node_t nodes[2];
    ha_place_node_t swapped[2];
    unsigned int order[2];
    unsigned int other[2];
    char buffer[32];
    unsigned int i;

    nodes[0] = swapped[1] = node_of("mc1", "", 1);
    nodes[1] = swapped[0] = node_of("mc10", "", 1);
    for (i = 0; i < 1000; i++) {
        span_t key = key_of(buffer, sizeof(buffer), i);

        ha_place_order(order, nodes, 2, 1, key);
        ha_place_order(other, swapped, 2, 1, key);
        ck_assert_uint_eq(order[0], 1 - other[0]);
    }
}
END_TEST

START_TEST(an_order_does_not_depend_on_the_order_of_the_list)
{
    /* 7 and 10 have no common divisor, so i * 7 % 10 is a permutation. */
    ha_place_node_t nodes[NODES];
    ha_place_node_t shuffled[NODES];
    unsigned int order[NODES];
    unsigned int other[NODES];
    char buffer[32];
    unsigned int i;
    unsigned int k;

    make_nodes(nodes, NODES, 3);
    for (i = 0; i < NODES; i++) {
        nodes[i].weight = 1 + i;
    }
    for (i = 0; i < NODES; i++) {
        shuffled[i] = nodes[i * 7 % NODES];
    }
    for (i = 0; i < KEYS; i++) {
        span_t key = key_of(buffer, sizeof(buffer), i);

        ha_place_order(order, nodes, NODES, 3, key);
        ha_place_order(other, shuffled, NODES, 3, key);
        for (k = 0; k < NODES; k++) {
            ck_assert_uint_eq(order[k], other[k] * 7 % NODES);
        }
    }
}
END_TEST

/* ---- a node comes or goes ----------------------------------------------- */

/* Both ways at once: what leaves when n<gone> goes is what arrives when it
 * comes. Without zones the rest keeps its order, gap closed. */
START_TEST(a_removed_node_moves_only_its_own_keys)
{
    ha_place_node_t nodes[NODES];
    ha_place_node_t rest[NODES - 1];
    unsigned int order[NODES];
    unsigned int after[NODES - 1];
    unsigned int gone = (unsigned int)_i;
    char buffer[32];
    unsigned int i;
    unsigned int k;

    make_nodes(nodes, NODES, 1);
    for (i = 0, k = 0; i < NODES; i++) {
        if (i != gone) {
            rest[k++] = nodes[i];
        }
    }
    for (i = 0; i < 2000; i++) {
        span_t key = key_of(buffer, sizeof(buffer), i);
        unsigned int at = 0;

        ha_place_order(order, nodes, NODES, 2, key);
        ha_place_order(after, rest, NODES - 1, 2, key);
        for (k = 0; k < NODES; k++) {
            if (order[k] != gone) {
                unsigned int still = after[at++];

                ck_assert_uint_eq(order[k],
                                  still < gone ? still : still + 1);
            }
        }
    }
}
END_TEST

/* With zones too: a key whose owners did not include the node keeps them. */
START_TEST(a_removed_stranger_changes_no_owner)
{
    ha_place_node_t nodes[NODES];
    unsigned int order[NODES];
    unsigned int after[NODES];
    char buffer[32];
    unsigned int i;

    make_nodes(nodes, NODES, 4);
    for (i = 0; i < KEYS; i++) {
        span_t key = key_of(buffer, sizeof(buffer), i);

        ha_place_order(order, nodes, NODES, 2, key);
        if (order[0] != NODES - 1 && order[1] != NODES - 1) {
            ha_place_order(after, nodes, NODES - 1, 2, key);
            ck_assert_uint_eq(order[0], after[0]);
            ck_assert_uint_eq(order[1], after[1]);
        }
    }
}
END_TEST

START_TEST(keys_of_a_removed_node_spread_over_all_the_rest)
{
    ha_place_node_t nodes[NODES];
    unsigned int order[NODES];
    unsigned int heirs[NODES] = { 0 };
    unsigned int moved = 0;
    char buffer[32];
    unsigned int i;

    make_nodes(nodes, NODES, 1);
    for (i = 0; i < KEYS; i++) {
        ha_place_order(order, nodes, NODES, 1,
                       key_of(buffer, sizeof(buffer), i));
        if (order[0] == 0) {
            heirs[order[1]]++;
            moved++;
        }
    }
    ck_assert_uint_gt(moved, KEYS / NODES * 9 / 10);
    for (i = 1; i < NODES; i++) {
        double share = (double)heirs[i] * (NODES - 1) / moved;

        ck_assert_msg(share > 0.7 && share < 1.3, "n%u inherits %.2f", i,
                      share);
    }
}
END_TEST

/* ---- shares ------------------------------------------------------------- */

/*
 * First owners of 20000 keys on ten nodes: 2000 each, one standard deviation
 * is 42. The bound is five of them.
 */
START_TEST(nodes_of_equal_weight_have_equal_shares)
{
    ha_place_node_t nodes[NODES];
    unsigned int order[NODES];
    unsigned int held[NODES] = { 0 };
    char buffer[32];
    unsigned int i;

    make_nodes(nodes, NODES, 1);
    for (i = 0; i < KEYS; i++) {
        ha_place_order(order, nodes, NODES, 1,
                       key_of(buffer, sizeof(buffer), i));
        held[order[0]]++;
    }
    for (i = 0; i < NODES; i++) {
        ck_assert_msg(abs((int)held[i] - KEYS / NODES) <= 212,
                      "n%u is first owner of %u keys", i, held[i]);
    }
}
END_TEST

START_TEST(a_share_follows_the_weight)
{
    static const unsigned int weights[] = { 1, 2, 3, 4, 40, 50 };
    ha_place_node_t nodes[6];
    unsigned int order[6];
    unsigned int held[6] = { 0 };
    char buffer[32];
    unsigned int i;

    make_nodes(nodes, 6, 1);
    for (i = 0; i < 6; i++) {
        nodes[i].weight = weights[i];
    }
    for (i = 0; i < KEYS; i++) {
        ha_place_order(order, nodes, 6, 1,
                       key_of(buffer, sizeof(buffer), i));
        held[order[0]]++;
    }
    for (i = 0; i < 6; i++) {
        double p = weights[i] / 100.0;
        double deviation = sqrt(KEYS * p * (1 - p));

        ck_assert_msg(fabs(held[i] - KEYS * p) <= 5 * deviation,
                      "weight %u is first owner of %u keys", weights[i],
                      held[i]);
    }
}
END_TEST

START_TEST(a_raised_weight_takes_keys_and_gives_none)
{
    ha_place_node_t nodes[NODES];
    unsigned int before[NODES];
    unsigned int after[NODES];
    unsigned int taken = 0;
    char buffer[32];
    unsigned int i;

    make_nodes(nodes, NODES, 1);
    for (i = 0; i < KEYS; i++) {
        span_t key = key_of(buffer, sizeof(buffer), i);

        nodes[4].weight = 1;
        ha_place_order(before, nodes, NODES, 1, key);
        nodes[4].weight = 3;
        ha_place_order(after, nodes, NODES, 1, key);
        if (after[0] != before[0]) {
            ck_assert_uint_eq(after[0], 4);
            taken++;
        }
    }
    ck_assert_uint_gt(taken, 0);
}
END_TEST

/* ---- zones -------------------------------------------------------------- */

static const struct {
    unsigned int count;    /* nodes */
    unsigned int zones;    /* zones they are spread over */
    unsigned int replicas; /* owners wanted */
    unsigned int distinct; /* zones the owners must cover */
} spreads[] = {
    { 10, 1, 3, 1 },
    { 10, 2, 2, 2 },
    { 10, 2, 3, 2 },
    { 10, 3, 3, 3 },
    { 10, 4, 3, 3 },
    { 10, 4, 8, 4 },
    { 5, 4, 4, 4 },
    { 3, 3, 8, 3 },
    { 1, 1, 2, 1 },
};

START_TEST(owners_cover_as_many_zones_as_there_are)
{
    ha_place_node_t nodes[NODES];
    unsigned int order[NODES];
    unsigned int owners = spreads[_i].replicas < spreads[_i].count
                              ? spreads[_i].replicas
                              : spreads[_i].count;
    char buffer[32];
    unsigned int i;
    unsigned int k;

    make_nodes(nodes, spreads[_i].count, spreads[_i].zones);
    for (i = 0; i < 2000; i++) {
        unsigned int seen[4] = { 0 };
        unsigned int distinct = 0;

        ha_place_order(order, nodes, spreads[_i].count, spreads[_i].replicas,
                       key_of(buffer, sizeof(buffer), i));
        for (k = 0; k < owners; k++) {
            unsigned int zone = order[k] % spreads[_i].zones;

            distinct += seen[zone]++ == 0;
        }
        ck_assert_uint_eq(distinct, spreads[_i].distinct);
    }
}
END_TEST

START_TEST(a_zone_never_moves_the_first_owner)
{
    ha_place_node_t with[NODES];
    ha_place_node_t without[NODES];
    unsigned int order[NODES];
    unsigned int plain[NODES];
    char buffer[32];
    unsigned int i;

    make_nodes(with, NODES, 3);
    make_nodes(without, NODES, 1);
    for (i = 0; i < 2000; i++) {
        span_t key = key_of(buffer, sizeof(buffer), i);

        ha_place_order(order, with, NODES, 3, key);
        ha_place_order(plain, without, NODES, 3, key);
        ck_assert_uint_eq(order[0], plain[0]);
    }
}
END_TEST

START_TEST(stand_ins_follow_by_score)
{
    ha_place_node_t nodes[NODES];
    unsigned int order[NODES];
    char buffer[32];
    unsigned int i;
    unsigned int k;

    make_nodes(nodes, NODES, 3);
    for (i = 0; i < 2000; i++) {
        span_t key = key_of(buffer, sizeof(buffer), i);

        ha_place_order(order, nodes, NODES, 3, key);
        for (k = 4; k < NODES; k++) {
            ck_assert(ha_place_score(key, nodes[order[k - 1]].name, 1)
                      > ha_place_score(key, nodes[order[k]].name, 1));
        }
    }
}
END_TEST

/* ---- suite -------------------------------------------------------------- */

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_place");
    TCase *tcase = tcase_create("place");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_score_never_changes, 0, ROWS(scores));
    tcase_add_loop_test(tcase, an_order_never_changes, 0, ROWS(orders));
    tcase_add_test(tcase, a_score_is_positive_and_finite);
    tcase_add_test(tcase, a_border_between_key_and_name_matters);
    tcase_add_test(tcase, every_node_stands_in_the_order_once);
    tcase_add_test(tcase, no_node_gives_no_order);
    tcase_add_test(tcase, as_many_nodes_as_the_limit_are_ordered);
    tcase_add_test(tcase, nodes_of_equal_names_but_for_length_are_told_apart);
    tcase_add_test(tcase, an_order_does_not_depend_on_the_order_of_the_list);
    tcase_add_loop_test(tcase, a_removed_node_moves_only_its_own_keys, 0,
                        NODES);
    tcase_add_test(tcase, a_removed_stranger_changes_no_owner);
    tcase_add_test(tcase, keys_of_a_removed_node_spread_over_all_the_rest);
    tcase_add_test(tcase, nodes_of_equal_weight_have_equal_shares);
    tcase_add_test(tcase, a_share_follows_the_weight);
    tcase_add_test(tcase, a_raised_weight_takes_keys_and_gives_none);
    tcase_add_loop_test(tcase, owners_cover_as_many_zones_as_there_are, 0,
                        ROWS(spreads));
    tcase_add_test(tcase, a_zone_never_moves_the_first_owner);
    tcase_add_test(tcase, stand_ins_follow_by_score);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(make_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
