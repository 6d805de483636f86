/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_route.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define MEMBERS_MAX 8

/*
 * A balancer is written as words, one a member: its route, then flags.
 *   A  usable         Ae  unusable     At  tried       An  draining
 *   Ah standby        Ar  spare        A1  in set 1    A>B redirected to B
 * Sessions are cookies of the websphere profile, joined by one blank.
 */
typedef struct row_t {
    const char *members;
    const char *sessions;
    int is_pinned;
    const char *wanted; /* "first A"; for a placed one the candidates, "failover
                           BC", of which any is right; "new"; "none" */
} row_t;

static const row_t rows[] = {
    /* the list, in order */
    { "A B C", "", 0, "new" },
    { "A B C", "0000s:A", 0, "first A" },
    { "A B C", "0000s:C", 0, "first C" },
    { "A B C", "0000s:C:B", 0, "first C" },
    { "Ae B C", "0000s:A:C", 0, "next C" },
    { "At B C", "0000s:A:C", 0, "next C" },
    { "Ae Be C", "0000s:A:B:C", 0, "next C" },
    { "Aet B C", "0000s:A:B", 0, "next B" },
    { "A B C", "0000s:X:B", 0, "next B" },
    { "A AB ABC", "0000s:AB", 0, "first AB" },
    { "A1 B", "0000s:A", 0, "first A" },
    { "Ah B", "0000s:A", 0, "first A" },
    { "Ar B", "0000s:A", 0, "first A" },
    { "A B", "0000s:a", 0, "unknown AB" },
    /* two members may share a route; the standby comes last */
    { "Ah A B", "0000s:A", 0, "first #1" },
    { "A A B", "0000s:A", 0, "first #0" },
    { "At A B", "0000s:A", 0, "first #1" },
    { "Ah Ae B", "0000s:A", 0, "first #0" },
    /* several sessions */
    { "A B C", "0000s:X 0000t:B", 0, "first B" },
    { "Ae B C", "0000s:A 0000t:C", 0, "first C" },
    { "A B C", "0000s:A 0000t:C", 0, "first A" },
    /* draining: its own sessions and nothing else */
    { "An B C", "0000s:A", 0, "first A" },
    { "Ae Bn C", "0000s:A:B", 0, "next B" },
    { "Ae Bn C", "0000s:A", 0, "failover C" },
    { "Ae Bn", "0000s:A", 0, "none" },
    { "An B", "0000s", 0, "unknown B" },
    /* redirect: after the whole list, before placement */
    { "Ae>C B C", "0000s:A", 0, "redirect C" },
    { "Ae>C B C", "0000s:A:B", 0, "next B" },
    { "At>C B C", "0000s:A", 0, "redirect C" },
    { "Ae>B Be>C C", "0000s:A", 0, "redirect C" },
    { "Ae>B Bet>A C", "0000s:A", 0, "failover C" },
    { "Ae>A B", "0000s:A", 0, "failover B" },
    { "Ae>X B", "0000s:A", 0, "failover B" },
    { "A>C B C", "0000s:A", 0, "first A" },
    { "Ae>C B Cn", "0000s:A", 0, "redirect C" },
    { "Ae>C B Ct", "0000s:A", 0, "failover B" },
    { "Ae>C B Ch", "0000s:A", 0, "redirect C" },
    /* placement */
    { "Ae B C", "0000s:A", 0, "failover BC" },
    { "Ae Bt C", "0000s:A", 0, "failover C" },
    { "A B C", "0000s", 0, "unknown ABC" },
    { "A B C", "0000s:12345678", 0, "unknown ABC" },
    { "Ae Be Ce", "0000s:A", 0, "none" },
    { "At Bt Ct", "0000s:A", 0, "none" },
    { "", "0000s:A", 0, "none" },
    { "", "", 0, "new" },
    /* placement by set: the lowest that has one to offer */
    { "Ae B1 C", "0000s:A", 0, "failover C" },
    { "Ae B1 Ce", "0000s:A", 0, "failover B" },
    { "Ae B2 C1 D2", "0000s:A", 0, "failover C" },
    { "A2e B2 C2", "0000s:A", 0, "failover BC" },
    { "Ae B1n C2", "0000s:A", 0, "failover C" },
    /* standby: when its set has nothing else */
    { "Ae Bh C", "0000s:A", 0, "failover C" },
    { "Ae Bh Ce", "0000s:A", 0, "failover B" },
    { "Ae Bh C1", "0000s:A", 0, "failover B" },
    { "Ae Bhe C1", "0000s:A", 0, "failover C" },
    { "Ae Bhn C1", "0000s:A", 0, "failover C" },
    /* spare: one for one in place of the unusable of its set */
    { "A Br", "0000s", 0, "unknown A" },
    { "Ae Br", "0000s:A", 0, "failover B" },
    { "Ae Br Cr", "0000s:A", 0, "failover B" },
    { "Ae De Br Cr", "0000s:A", 0, "failover BC" },
    { "Ae Bre Cr", "0000s:A", 0, "failover C" },
    { "Ae B1r C1", "0000s:A", 0, "failover C" },
    { "An Br C1", "0000s", 0, "unknown C" },
    { "Ae Brh Ch", "0000s:A", 0, "failover B" },
    /* nofailover: the list and redirects, no strangers */
    { "Ae B C", "0000s:A", 1, "none" },
    { "Ae B C", "0000s:A:C", 1, "next C" },
    { "Ae>C B C", "0000s:A", 1, "redirect C" },
    { "At B", "0000s:A", 1, "none" },
    { "A B", "0000s:X", 1, "unknown AB" },
    { "A B", "0000s", 1, "unknown AB" },
    { "A B", "", 1, "new" }
};

typedef struct fixture_t {
    clone_member_t members[MEMBERS_MAX];
    char redirects[MEMBERS_MAX][32];
    unsigned int count;
    clone_ids_t sessions[CLONE_VALUES_MAX];
    unsigned int session_count;
} fixture_t;

static void add_member(fixture_t *fix, const char *word, apr_size_t len)
{
    unsigned int at = fix->count++;
    clone_member_t *member = &fix->members[at];
    apr_size_t route_len = strspn(word, "ABCDEFGH");
    apr_size_t i;

    memset(member, 0, sizeof(*member));
    member->route = span_of(word, route_len);
    member->name = member->route;
    member->weight = 100;
    member->is_usable = 1;
    for (i = route_len; i < len; i++) {
        switch (word[i]) {
        case 'e':
            member->is_usable = 0;
            break;
        case 't':
            member->is_tried = 1;
            break;
        case 'n':
            member->is_draining = 1;
            break;
        case 'h':
            member->is_standby = 1;
            break;
        case 'r':
            member->is_spare = 1;
            break;
        case '>':
            ck_assert(len - i <= sizeof(fix->redirects[0]));
            memcpy(fix->redirects[at], word + i + 1, len - i - 1);
            fix->redirects[at][len - i - 1] = '\0';
            member->redirect = fix->redirects[at];
            return;
        default:
            ck_assert(word[i] >= '0' && word[i] <= '9');
            member->lbset = word[i] - '0';
            break;
        }
    }
}

static void read_members(fixture_t *fix, const char *text)
{
    while (*text != '\0') {
        apr_size_t len = strcspn(text, " ");

        add_member(fix, text, len);
        text += len + (text[len] == ' ');
    }
}

static void read_sessions(fixture_t *fix, const char *text)
{
    clone_format_t websphere;

    clone_format_of(&websphere, CLONE_PROFILE_WEBSPHERE);
    while (*text != '\0') {
        apr_size_t len = strcspn(text, " ");

        ck_assert_int_eq(clone_ids_parse(&fix->sessions[fix->session_count++],
                                         span_of(text, len), &websphere,
                                         NULL), CLONE_PARSE_OK);
        text += len + (text[len] == ' ');
    }
}

static void choose(clone_choice_t *choice, const fixture_t *fix, int is_pinned)
{
    clone_route_choose(choice, fix->members, fix->count, fix->sessions,
                       fix->session_count, is_pinned);
}

static int is_wanted(const fixture_t *fix, const clone_choice_t *choice,
                     const char *wanted)
{
    const char *reason = clone_reason_name(choice->reason);
    apr_size_t len = strlen(reason);
    span_t route;

    if (strncmp(wanted, reason, len) != 0) {
        return 0;
    }
    if (choice->reason == CLONE_REASON_NEW
        || choice->reason == CLONE_REASON_NONE) {
        return wanted[len] == '\0' && choice->member == 0;
    }
    wanted += len + 1;
    if (wanted[0] == '#') {
        return choice->member == (unsigned int)atoi(wanted + 1);
    }
    route = fix->members[choice->member].route;
    if (choice->reason == CLONE_REASON_FAILOVER
        || choice->reason == CLONE_REASON_UNKNOWN) {
        return route.len == 1 && strchr(wanted, route.data[0]) != NULL;
    }
    return span_is_equal(route, span_of_text(wanted));
}

START_TEST(the_rules_choose)
{
    const row_t *row = &rows[_i];
    fixture_t fix;
    clone_choice_t choice;

    memset(&fix, 0, sizeof(fix));
    memset(&choice, 0x5a, sizeof(choice));
    read_members(&fix, row->members);
    read_sessions(&fix, row->sessions);
    choose(&choice, &fix, row->is_pinned);
    ck_assert_msg(is_wanted(&fix, &choice, row->wanted),
                  "\"%s\" for \"%s\": %s #%u, not %s", row->sessions,
                  row->members, clone_reason_name(choice.reason),
                  choice.member, row->wanted);
}
END_TEST

/* Place session number n on the members written; the route's letter. */
static char place_one(const char *members, int n, const char *clones)
{
    fixture_t fix;
    clone_choice_t choice;
    char value[64];

    memset(&fix, 0, sizeof(fix));
    read_members(&fix, members);
    sprintf(value, "0000session%d%s", n, clones);
    read_sessions(&fix, value);
    choose(&choice, &fix, 0);
    ck_assert(choice.reason == CLONE_REASON_FAILOVER
              || choice.reason == CLONE_REASON_UNKNOWN);
    return fix.members[choice.member].route.data[0];
}

START_TEST(every_router_places_a_session_alike)
{
    int n;

    for (n = 0; n < 200; n++) {
        ck_assert_int_eq(place_one("Ae B C D", n, ":A"),
                         place_one("D C B Ae", n, ":A"));
    }
}
END_TEST

START_TEST(the_version_in_the_cookie_moves_nobody)
{
    fixture_t before;
    fixture_t after;
    clone_choice_t choice[2];

    memset(&before, 0, sizeof(before));
    memset(&after, 0, sizeof(after));
    read_members(&before, "Ae B C D");
    read_members(&after, "Ae B C D");
    read_sessions(&before, "0001session:A");
    read_sessions(&after, "0009session:A");
    choose(&choice[0], &before, 0);
    choose(&choice[1], &after, 0);
    ck_assert_uint_eq(choice[0].member, choice[1].member);
}
END_TEST

START_TEST(a_dead_clone_s_sessions_spread_evenly)
{
    int on[3] = { 0, 0, 0 };
    int n;

    for (n = 0; n < 3000; n++) {
        on[place_one("Ae B C D", n, ":A") - 'B']++;
    }
    for (n = 0; n < 3; n++) {
        ck_assert_int_ge(on[n], 850);
        ck_assert_int_le(on[n], 1150);
    }
}
END_TEST

START_TEST(losing_one_more_moves_only_its_sessions)
{
    int n;
    int moved = 0;

    for (n = 0; n < 500; n++) {
        char before = place_one("Ae B C D", n, ":A");
        char after = place_one("Ae B Ce D", n, ":A");

        if (before == 'C') {
            moved++;
        }
        else {
            ck_assert_int_eq(before, after);
        }
    }
    ck_assert_int_gt(moved, 100);
}
END_TEST

START_TEST(a_heavier_member_gets_its_share)
{
    fixture_t fix;
    int heavy = 0;
    int n;

    for (n = 0; n < 3000; n++) {
        clone_choice_t choice;
        char value[64];

        memset(&fix, 0, sizeof(fix));
        read_members(&fix, "A B");
        fix.members[1].weight = 300;
        sprintf(value, "0000session%d", n);
        read_sessions(&fix, value);
        choose(&choice, &fix, 0);
        heavy += choice.member == 1;
    }
    ck_assert_int_ge(heavy, 2100);
    ck_assert_int_le(heavy, 2400);
}
END_TEST

START_TEST(the_session_that_decided_is_named)
{
    static const struct {
        const char *members;
        const char *sessions;
        unsigned int session;
    } cases[] = {
        { "A B", "0000s:A 0000t:B", 0 },
        { "A B", "0000s:X 0000t:B", 1 },
        { "Ae B", "0000s:X 0000t:A", 1 },
        { "Ae>B B", "0000s:X 0000t:A", 1 },
        { "A B", "0000s:X 0000t:Y", 0 }
    };
    fixture_t fix;
    clone_choice_t choice;

    memset(&fix, 0, sizeof(fix));
    read_members(&fix, cases[_i].members);
    read_sessions(&fix, cases[_i].sessions);
    choose(&choice, &fix, 0);
    ck_assert_uint_eq(choice.session, cases[_i].session);
}
END_TEST

START_TEST(a_learned_id_counts_where_it_is_listed_and_says_so)
{
    static const struct {
        const char *members;
        const char *session;
        apr_uint32_t learned;
        const char *wanted;
    } cases[] = {
        { "A B", "0000s:A:B", 1, "learned A" },
        { "A B", "0000s:A:B", 2, "first A" },
        { "Ae B", "0000s:A:B", 2, "learned B" },
        { "Ae B", "0000s:A:B", 1, "next B" },
        { "Ae>B B", "0000s:A", 1, "redirect B" },
        { "Ae B", "0000s:A", 1, "failover B" }
    };
    fixture_t fix;
    clone_choice_t choice;
    char got[32];

    memset(&fix, 0, sizeof(fix));
    read_members(&fix, cases[_i].members);
    read_sessions(&fix, cases[_i].session);
    fix.sessions[0].learned = cases[_i].learned;
    choose(&choice, &fix, 0);
    (void)sprintf(got, "%s %c", clone_reason_name(choice.reason),
                  fix.members[choice.member].route.data[0]);
    ck_assert_str_eq(got, cases[_i].wanted);
}
END_TEST

START_TEST(a_request_tries_each_member_once_and_ends)
{
    fixture_t fix;
    clone_choice_t choice;
    unsigned int seen = 0;
    int attempt;

    memset(&fix, 0, sizeof(fix));
    read_members(&fix, "A B>A C D1 Eh");
    read_sessions(&fix, "0000s:A:B");
    for (attempt = 0; attempt < 5; attempt++) {
        choose(&choice, &fix, 0);
        ck_assert_int_ne(choice.reason, CLONE_REASON_NONE);
        ck_assert_uint_eq(seen & (1u << choice.member), 0);
        seen |= 1u << choice.member;
        fix.members[choice.member].is_tried = 1;
    }
    choose(&choice, &fix, 0);
    ck_assert_int_eq(choice.reason, CLONE_REASON_NONE);
}
END_TEST

START_TEST(every_reason_has_its_own_word)
{
    int i;
    int j;

    for (i = CLONE_REASON_NEW; i <= CLONE_REASON_NONE; i++) {
        ck_assert_str_ne(clone_reason_name((clone_reason_e)i), "?");
        for (j = CLONE_REASON_NEW; j < i; j++) {
            ck_assert_str_ne(clone_reason_name((clone_reason_e)i),
                             clone_reason_name((clone_reason_e)j));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_route");
    TCase *tests = tcase_create("clone_route");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, the_rules_choose, 0, LENGTH_OF(rows));
    tcase_add_test(tests, every_router_places_a_session_alike);
    tcase_add_test(tests, the_version_in_the_cookie_moves_nobody);
    tcase_add_test(tests, a_dead_clone_s_sessions_spread_evenly);
    tcase_add_test(tests, losing_one_more_moves_only_its_sessions);
    tcase_add_test(tests, a_heavier_member_gets_its_share);
    tcase_add_loop_test(tests, the_session_that_decided_is_named, 0, 5);
    tcase_add_loop_test(tests,
                        a_learned_id_counts_where_it_is_listed_and_says_so, 0,
                        6);
    tcase_add_test(tests, a_request_tries_each_member_once_and_ends);
    tcase_add_test(tests, every_reason_has_its_own_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
