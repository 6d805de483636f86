/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <check.h>

#include "ha_fleet.h"

#define SECRET_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SECRET_B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define NOW apr_time_from_sec(1000000)

static apr_pool_t *pool;
static ha_ring_t ring;

static void set_ring(const char *text)
{
    unsigned int line;

    ck_assert_int_eq(ha_ring_parse(&ring, &line, span_of_text(text)),
                     HA_RING_OK);
}

static void set_up(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    set_ring(SECRET_A);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

/* A list of nodes named by letters, "ab": weight 1, zone z, port by letter. */
static ha_fleet_list_t list_of(const char *names, unsigned int replicas,
                               apr_time_t used)
{
    ha_fleet_node_t *nodes = apr_pcalloc(pool, 64 * sizeof(*nodes));
    ha_fleet_list_t list = { nodes, 0, replicas, used };

    for (; *names != '\0'; names++) {
        ha_fleet_node_t *node = &nodes[list.count++];

        node->place.name = span_of(names, 1);
        node->place.zone = span_of_text("z");
        node->place.weight = 1;
        node->address = span_of_text(apr_psprintf(pool, "unix:/run/%c d",
                                                  *names));
    }
    return list;
}

static ha_fleet_member_t member_of(const char *id, apr_time_t seen,
                                   const char *names)
{
    ha_fleet_member_t member;

    memset(&member, 0, sizeof(member));
    member.id = span_of_text(id);
    member.label = span_of_text("web:80");
    member.keys = span_of_text("0123456789abcdef");
    member.seen = seen;
    member.lists[0] = list_of(names, 2, seen);
    member.count = 1;
    return member;
}

static ha_fleet_t *fleet_of(span_t item)
{
    ha_fleet_t *fleet = apr_pcalloc(pool, sizeof(*fleet));

    ha_fleet_read(fleet, item, &ring, pool);
    return fleet;
}

static span_t signed_text(const char *id, apr_time_t seen, const char *names)
{
    ha_fleet_member_t member = member_of(id, seen, names);

    ha_fleet_sign(&member, &ring, pool);
    return member.text;
}

START_TEST(an_entry_is_read_as_it_was_written)
{
    ha_fleet_member_t member = member_of("0011223344556677", NOW, "abc");
    const ha_fleet_member_t *got;
    ha_fleet_t *fleet;

    member.lists[1] = list_of("ab", 1, NOW - apr_time_from_sec(5));
    member.count = 2;
    ha_fleet_sign(&member, &ring, pool);
    fleet = fleet_of(member.text);
    ck_assert_uint_eq(fleet->count, 1);
    got = &fleet->members[0];
    ck_assert(got->is_genuine);
    ck_assert(span_is_equal(got->id, member.id));
    ck_assert(span_is_equal(got->label, member.label));
    ck_assert(span_is_equal(got->keys, member.keys));
    ck_assert(got->seen == NOW);
    ck_assert_uint_eq(got->count, 2);
    ck_assert(ha_fleet_list_is_same(&got->lists[0], &member.lists[0]));
    ck_assert(ha_fleet_list_is_same(&got->lists[1], &member.lists[1]));
    ck_assert(got->lists[1].used == member.lists[1].used);
    ck_assert(span_is_equal(got->lists[0].nodes[2].address,
                            span_of_text("unix:/run/c d")));
    ck_assert(span_is_equal(ha_fleet_write(fleet, pool), member.text));
}
END_TEST

START_TEST(a_node_without_a_zone_is_kept_so)
{
    ha_fleet_member_t member = member_of("00", NOW, "a");
    ha_fleet_node_t node = member.lists[0].nodes[0];
    ha_fleet_t *fleet;

    node.place.zone = span_of(NULL, 0);
    member.lists[0].nodes = &node;
    ha_fleet_sign(&member, &ring, pool);
    fleet = fleet_of(member.text);
    ck_assert_uint_eq(fleet->count, 1);
    ck_assert_uint_eq(fleet->members[0].lists[0].nodes[0].place.zone.len, 0);
}
END_TEST

START_TEST(no_prefix_of_an_entry_counts)
{
    span_t text = signed_text("00", NOW, "abc");
    apr_size_t len;

    for (len = 0; len < text.len; len++) {
        /* a copy of just that length, so that nothing behind it is read */
        char *copy = malloc(len + 1);

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, text.data, len);
        ck_assert_uint_eq(fleet_of(span_of(copy, len))->count, 0);
        free(copy);
    }
}
END_TEST

START_TEST(no_changed_entry_is_genuine)
{
    span_t text = signed_text("00", NOW, "abc");
    char *copy = apr_pstrmemdup(pool, text.data, text.len);
    apr_size_t i;
    int bit;

    for (i = 0; i < text.len; i++) {
        for (bit = 0; bit < 8; bit++) {
            ha_fleet_t *fleet;
            unsigned int k;

            copy[i] = (char)(text.data[i] ^ (1 << bit));
            fleet = fleet_of(span_of(copy, text.len));
            for (k = 0; k < fleet->count; k++) {
                ck_assert_msg(!fleet->members[k].is_genuine,
                              "byte %d bit %d", (int)i, bit);
            }
        }
        copy[i] = text.data[i];
    }
}
END_TEST

START_TEST(what_cannot_be_read_is_passed_over)
{
    static const char *const junk[] = {
        "", "\n", "member\n", "member a b c d\n", "node 1 a =z b\n",
        "member 00 1 aa web\nmac x\n", "member 00 1 aa web\nlist 1 0\n",
        "member 00 1 aa web\nlist 1 9\nnode 1 a =z b\n",
        "member 00 1 aa web\nlist 1 1\nnode 0 a =z b\n",
        "member 00 1 aa web\nlist 1 1\nnode 101 a =z b\n",
        "member 00 1 aa web\nlist 1 1\nnode 1 a z b\n",
        "member 00 1 aa web\nlist 1 1\nnode 1 a =z\n",
        "member 00 9999999999999 aa web\n", "member 00 -1 aa web\n",
    };
    span_t good = signed_text("00", NOW, "a");
    char *item = apr_pstrcat(pool, junk[_i],
                             apr_pstrmemdup(pool, good.data, good.len), NULL);
    ha_fleet_t *fleet = fleet_of(span_of_text(item));

    ck_assert_uint_eq(fleet->count, 1);
    ck_assert(fleet->members[0].is_genuine);
}
END_TEST

START_TEST(any_key_of_the_ring_makes_an_entry_genuine)
{
    span_t text = signed_text("00", NOW, "a");

    set_ring(SECRET_B "\n" SECRET_A);
    ck_assert(fleet_of(text)->members[0].is_genuine);
    set_ring(SECRET_B);
    ck_assert(!fleet_of(text)->members[0].is_genuine);
}
END_TEST

START_TEST(a_forged_entry_never_replaces_a_genuine_one)
{
    span_t good = signed_text("00", NOW, "a");
    ha_fleet_t *fleet = apr_pcalloc(pool, sizeof(*fleet));
    span_t forged;

    set_ring(SECRET_B);
    forged = signed_text("00", NOW + apr_time_from_sec(60), "b");
    set_ring(SECRET_A);
    ha_fleet_read(fleet, good, &ring, pool);
    ha_fleet_read(fleet, forged, &ring, pool);
    ck_assert(span_is_equal(ha_fleet_write(fleet, pool), good));
    fleet->count = 0;
    ha_fleet_read(fleet, forged, &ring, pool);
    ha_fleet_read(fleet, good, &ring, pool);
    ck_assert(span_is_equal(ha_fleet_write(fleet, pool), good));
}
END_TEST

START_TEST(the_newer_entry_of_a_web_server_counts)
{
    span_t old = signed_text("00", NOW - apr_time_from_sec(1), "a");
    span_t new = signed_text("00", NOW, "b");
    ha_fleet_t *fleet = fleet_of(new);

    ha_fleet_read(fleet, old, &ring, pool);
    ck_assert(span_is_equal(ha_fleet_write(fleet, pool), new));
}
END_TEST

START_TEST(a_full_fleet_loses_its_oldest_entry)
{
    ha_fleet_t *fleet = apr_pcalloc(pool, sizeof(*fleet));
    int i;

    for (i = 0; i <= HA_FLEET_MAX; i++) {
        ha_fleet_read(fleet, signed_text(apr_psprintf(pool, "%d", i),
                                         NOW + apr_time_from_sec(i), "a"),
                      &ring, pool);
    }
    ck_assert_uint_eq(fleet->count, HA_FLEET_MAX);
    for (i = 0; i < HA_FLEET_MAX; i++) {
        ck_assert(fleet->members[i].seen != NOW);
    }
}
END_TEST

START_TEST(entries_of_another_time_are_forgotten)
{
    static const int offsets[] = { -61, -60, 0, 60, 61 };
    ha_fleet_t *fleet = apr_pcalloc(pool, sizeof(*fleet));
    unsigned int i;

    for (i = 0; i < 5; i++) {
        ha_fleet_member_t member =
            member_of(apr_psprintf(pool, "%u", i),
                      NOW + apr_time_from_sec(offsets[i]), "a");

        ha_fleet_put(fleet, &member);
    }
    ha_fleet_forget(fleet, NOW, apr_time_from_sec(60));
    ck_assert_uint_eq(fleet->count, 3);
}
END_TEST

/* What differs: nodes by letters, replicas, keys. */
static const struct {
    const char *names;
    unsigned int replicas;
    const char *keys;
    unsigned int differ;
    const char *phrase;
} differences[] = {
    { "ab", 2, "k", HA_FLEET_SAME, "nothing" },
    { "ba", 2, "k", HA_FLEET_SAME, "nothing" },
    { "abc", 2, "k", HA_FLEET_NODES, "nodes" },
    { "a", 2, "k", HA_FLEET_NODES, "nodes" },
    { "ac", 2, "k", HA_FLEET_NODES, "nodes" },
    { "ab", 1, "k", HA_FLEET_REPLICAS, "replicas" },
    { "ab", 2, "l", HA_FLEET_SECRETS, "secrets" },
    { "ac", 3, "l", HA_FLEET_NODES | HA_FLEET_REPLICAS | HA_FLEET_SECRETS,
      "nodes, replicas and secrets" },
};

START_TEST(two_web_servers_are_told_apart)
{
    ha_fleet_member_t self = member_of("00", NOW, "ab");
    ha_fleet_member_t other = member_of("11", NOW, differences[_i].names);
    unsigned int differ;

    self.keys = span_of_text("k");
    other.keys = span_of_text(differences[_i].keys);
    other.lists[0].replicas = differences[_i].replicas;
    other.is_genuine = 1;
    differ = ha_fleet_compare(&self, &other);
    ck_assert_uint_eq(differ, differences[_i].differ);
    ck_assert_str_eq(ha_fleet_differ_name(differ), differences[_i].phrase);
    other.is_genuine = 0;
    ck_assert_uint_eq(ha_fleet_compare(&self, &other), HA_FLEET_SECRETS);
}
END_TEST

START_TEST(zones_and_weights_make_another_list)
{
    ha_fleet_list_t a = list_of("ab", 2, NOW);
    ha_fleet_list_t b = list_of("ab", 2, NOW);
    ha_fleet_node_t nodes[2];

    memcpy(nodes, b.nodes, sizeof(nodes));
    b.nodes = nodes;
    ck_assert(ha_fleet_list_is_same(&a, &b));
    nodes[1].address = span_of_text("elsewhere");
    ck_assert(ha_fleet_list_is_same(&a, &b));
    nodes[1].place.weight = 2;
    ck_assert(!ha_fleet_list_is_same(&a, &b));
    nodes[1].place.weight = 1;
    nodes[1].place.zone = span_of_text("y");
    ck_assert(!ha_fleet_list_is_same(&a, &b));
}
END_TEST

START_TEST(rings_are_told_apart_by_their_secrets_alone)
{
    char one[HA_FLEET_ID + 1];
    char other[HA_FLEET_ID + 1];

    set_ring(SECRET_A "\n" SECRET_B);
    ha_fleet_keys(one, &ring);
    set_ring(SECRET_B "\n" SECRET_A);
    ha_fleet_keys(other, &ring);
    ck_assert_str_eq(one, other);
    set_ring(SECRET_A);
    ha_fleet_keys(other, &ring);
    ck_assert_str_ne(one, other);
}
END_TEST

START_TEST(earlier_lists_come_once_each_and_latest_first)
{
    ha_fleet_t *fleet = apr_pcalloc(pool, sizeof(*fleet));
    ha_fleet_list_t now = list_of("abc", 2, NOW);
    ha_fleet_list_t past[HA_PAST_MAX];
    ha_fleet_member_t member = member_of("00", NOW, "abc");
    unsigned int count = 0;
    unsigned int i;

    member.is_genuine = 1;
    member.lists[1] = list_of("ab", 2, NOW - 30);
    member.count = 2;
    ha_fleet_put(fleet, &member);
    member = member_of("11", NOW - 20, "ab");
    member.is_genuine = 1;
    member.lists[1] = list_of("a", 2, NOW - 10);
    member.count = 2;
    ha_fleet_put(fleet, &member);
    member = member_of("22", NOW, "xyz");
    ha_fleet_put(fleet, &member); /* not genuine */
    ha_fleet_past(past, &count, fleet, &now);
    ck_assert_uint_eq(count, 2);
    ck_assert(past[0].used == NOW - 10 && past[0].count == 1);
    ck_assert(past[1].used == NOW - 20 && past[1].count == 2);
    ck_assert(ha_fleet_used(fleet, &past[1]) == NOW - 20);
    ck_assert(ha_fleet_used(fleet, &now) == NOW);
    for (i = 0; i < 8; i++) {
        ha_fleet_list_t more = list_of(apr_psprintf(pool, "p%u", i), 2,
                                       NOW - 15 + (apr_time_t)i);

        ha_fleet_past_add(past, &count, &more);
    }
    ck_assert_uint_eq(count, HA_PAST_MAX);
    for (i = 1; i < count; i++) {
        ck_assert(past[i - 1].used >= past[i].used);
    }
    ck_assert(past[0].used == NOW - 8);
}
END_TEST

/* One entry after the other: seconds, nodes, and what is said. */
static const struct {
    int sec;
    const char *names;
    ha_fleet_news_e news;
} entries[] = {
    { 0, "ab", HA_FLEET_NO_NEWS },   { 10, "ab", HA_FLEET_NO_NEWS },
    { 20, "abc", HA_FLEET_DIFFERS }, { 30, "abc", HA_FLEET_NO_NEWS },
    { 40, "ab", HA_FLEET_AGREES },   { 50, "ab", HA_FLEET_NO_NEWS },
    { 60, "a", HA_FLEET_DIFFERS },   { 659, "a", HA_FLEET_NO_NEWS },
    { 660, "a", HA_FLEET_LASTS },    { 670, "a", HA_FLEET_NO_NEWS },
    { 2000, "a", HA_FLEET_NO_NEWS }, { 2010, "ab", HA_FLEET_AGREES },
};

START_TEST(each_change_is_told_once_and_what_lasts_once_more)
{
    ha_fleet_watch_t watch[HA_FLEET_MAX];
    ha_fleet_member_t self = member_of("00", NOW, "ab");
    unsigned int differ;
    unsigned int i;

    memset(watch, 0, sizeof(watch));
    for (i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
        apr_time_t now = NOW + apr_time_from_sec(entries[i].sec);
        ha_fleet_member_t other = member_of("11", now, entries[i].names);

        other.is_genuine = 1;
        ck_assert_int_eq(ha_fleet_judge(watch, &differ, &self, &other, now),
                         entries[i].news);
        ck_assert_uint_eq(differ, strcmp(entries[i].names, "ab") == 0
                                  ? HA_FLEET_SAME : HA_FLEET_NODES);
        ck_assert_int_eq(ha_fleet_judge(watch, &differ, &self, &self, now),
                         HA_FLEET_NO_NEWS);
    }
}
END_TEST

START_TEST(who_wrote_nothing_for_long_is_passed_over)
{
    ha_fleet_watch_t watch[HA_FLEET_MAX];
    ha_fleet_member_t self = member_of("00", NOW, "ab");
    ha_fleet_member_t other =
        member_of("11", NOW - apr_time_from_sec(HA_FLEET_STALE_SEC), "a");
    unsigned int differ;

    memset(watch, 0, sizeof(watch));
    other.is_genuine = 1;
    ck_assert_int_eq(ha_fleet_judge(watch, &differ, &self, &other, NOW + 1),
                     HA_FLEET_NO_NEWS);
    ck_assert_int_eq(ha_fleet_judge(watch, &differ, &self, &other, NOW),
                     HA_FLEET_DIFFERS);
}
END_TEST

START_TEST(more_web_servers_than_places_are_watched_in_turn)
{
    ha_fleet_watch_t watch[HA_FLEET_MAX];
    ha_fleet_member_t self = member_of("self", NOW, "ab");
    unsigned int differ;
    int i;

    memset(watch, 0, sizeof(watch));
    for (i = 0; i < 3 * HA_FLEET_MAX; i++) {
        ha_fleet_member_t other = member_of(apr_psprintf(pool, "%d", i),
                                            NOW, "a");

        ck_assert_int_eq(ha_fleet_judge(watch, &differ, &self, &other,
                                        NOW + i), HA_FLEET_DIFFERS);
        ck_assert_uint_eq(differ, HA_FLEET_SECRETS);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_fleet");
    TCase *tcase = tcase_create("fleet");
    SRunner *runner;
    int failed;

    apr_initialize();
    atexit(apr_terminate);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_entry_is_read_as_it_was_written);
    tcase_add_test(tcase, a_node_without_a_zone_is_kept_so);
    tcase_add_test(tcase, no_prefix_of_an_entry_counts);
    tcase_add_test(tcase, no_changed_entry_is_genuine);
    tcase_add_loop_test(tcase, what_cannot_be_read_is_passed_over, 0, 14);
    tcase_add_test(tcase, any_key_of_the_ring_makes_an_entry_genuine);
    tcase_add_test(tcase, a_forged_entry_never_replaces_a_genuine_one);
    tcase_add_test(tcase, the_newer_entry_of_a_web_server_counts);
    tcase_add_test(tcase, a_full_fleet_loses_its_oldest_entry);
    tcase_add_test(tcase, entries_of_another_time_are_forgotten);
    tcase_add_loop_test(tcase, two_web_servers_are_told_apart, 0,
                        (int)(sizeof(differences) / sizeof(*differences)));
    tcase_add_test(tcase, zones_and_weights_make_another_list);
    tcase_add_test(tcase, rings_are_told_apart_by_their_secrets_alone);
    tcase_add_test(tcase, earlier_lists_come_once_each_and_latest_first);
    tcase_add_test(tcase, each_change_is_told_once_and_what_lasts_once_more);
    tcase_add_test(tcase, who_wrote_nothing_for_long_is_passed_over);
    tcase_add_test(tcase, more_web_servers_than_places_are_watched_in_turn);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
