/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_own.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <check.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static apr_pool_t *p;

static void set_up(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(p);
    apr_terminate();
}

#define WS CLONE_PROFILE_WEBSPHERE
#define WLS CLONE_PROFILE_WEBLOGIC

/* Members have the routes A and B, the third has none; B answers. */
typedef struct row_t {
    clone_profile_e profile;
    const char *issued;
    const char *asked;  /* the request's session, or NULL */
    const char *header; /* its Cookie header, or NULL */
    const char *url;
    clone_own_e found;
    const char *id;
} row_t;

static const row_t rows[] = {
    { WS, "0000s:new1", NULL, NULL, "/", CLONE_OWN_FOUND, "new1" },
    { WS, "0000s:A:new1", NULL, NULL, "/", CLONE_OWN_FOUND, "new1" },
    { WS, "0000s:new1:A", NULL, NULL, "/", CLONE_OWN_FOUND, "new1" },
    { WS, "0000s", NULL, NULL, "/", CLONE_OWN_KNOWN, "" },
    { WS, "0000s:A", NULL, NULL, "/", CLONE_OWN_KNOWN, "" },
    /* The member's id is known: no other can be its own. */
    { WS, "0000s:B", NULL, NULL, "/", CLONE_OWN_KNOWN, "" },
    { WS, "0000s:new1:B", NULL, NULL, "/", CLONE_OWN_KNOWN, "" },
    { WS, "0000s:B:new1", NULL, NULL, "/", CLONE_OWN_KNOWN, "" },
    { WS, "0000s:new1:new2:B", NULL, NULL, "/", CLONE_OWN_KNOWN, "" },
    /* Which of two? */
    { WS, "0000s:new1:new2", NULL, NULL, "/", CLONE_OWN_UNSURE, "" },
    { WLS, "s!1!2", NULL, NULL, "/", CLONE_OWN_FOUND, "1" },
    { WLS, "s!1!2!1308677666322", NULL, NULL, "/", CLONE_OWN_FOUND, "1" },
    { WLS, "s!A!2", NULL, NULL, "/", CLONE_OWN_KNOWN, "" },
    { WLS, "s!B!2", NULL, NULL, "/", CLONE_OWN_KNOWN, "" },
    { WLS, "s", NULL, NULL, "/", CLONE_OWN_KNOWN, "" },
    /* What the client sent comes back with the member behind it. */
    { WS, "0000s:evil", "0000s:evil", "J=0000s:evil", "/", CLONE_OWN_UNSURE,
      "" },
    { WS, "0000s:evil:new1", "0000s:evil", "J=0000s:evil", "/",
      CLONE_OWN_UNSURE, "" },
    { WS, "0000t:new1", "0000s:old", "J=0000s:old", "/", CLONE_OWN_FOUND,
      "new1" },
    { WLS, "t!1!2", "s!3!4", "J=s!3!4", "/", CLONE_OWN_FOUND, "1" },
    /* It may stand where no session is read from. */
    { WS, "0000s:evil", NULL, "X=evil", "/", CLONE_OWN_UNSURE, "" },
    { WS, "0000s:evil", NULL, "evil", "/", CLONE_OWN_UNSURE, "" },
    { WS, "0000s:evil", NULL, "X=%65vi%6C", "/", CLONE_OWN_UNSURE, "" },
    { WS, "0000s:evil", NULL, "X=%65vi%6D", "/", CLONE_OWN_FOUND, "evil" },
    { WS, "0000s:evil", NULL, NULL, "/a;x=evil", CLONE_OWN_UNSURE, "" },
    { WS, "0000s:evil", NULL, NULL, "/?x=1&evi%6c", CLONE_OWN_UNSURE, "" },
    { WS, "0000s:evil", NULL, NULL, "/?x=%zz%&%6", CLONE_OWN_FOUND, "evil" },
    { WS, "0000s:evil", NULL, NULL, "/evi", CLONE_OWN_FOUND, "evil" }
};

START_TEST(an_id_is_the_member_s_own_when_it_can_be_nobody_else_s)
{
    const row_t *row = &rows[_i];
    const span_t routes[] = { span_of_text("A"), span_of_text("B"),
                              span_of(NULL, 0) };
    span_t sent[2];
    clone_format_t format;
    clone_ids_t issued;
    clone_ids_t asked;
    clone_own_t own;
    span_t id = span_of("x", 1);

    clone_format_of(&format, row->profile);
    ck_assert_int_eq(clone_ids_parse(&issued, span_of_text(row->issued),
                                     &format, p), CLONE_PARSE_OK);
    memset(&own, 0, sizeof(own));
    if (row->asked != NULL) {
        ck_assert_int_eq(clone_ids_parse(&asked, span_of_text(row->asked),
                                         &format, p), CLONE_PARSE_OK);
        own.sessions = &asked;
        own.session_count = 1;
    }
    sent[0] = row->header != NULL ? span_of_text(row->header)
                                  : span_of(NULL, 0);
    sent[1] = span_of_text(row->url);
    own.issued = &issued;
    own.route = routes[1];
    own.routes = routes;
    own.route_count = 3;
    own.sent = sent;
    own.sent_count = 2;
    own.is_owner_first = format.is_owner_first;
    ck_assert_int_eq(clone_own_find(&id, &own, p), row->found);
    ck_assert(span_is_equal(id, span_of_text(row->id)));
}
END_TEST

START_TEST(a_member_without_a_route_has_no_known_id)
{
    const span_t none = { NULL, 0 };
    clone_ids_t issued;
    clone_own_t own;
    span_t id;

    memset(&issued, 0, sizeof(issued));
    memset(&own, 0, sizeof(own));
    issued.count = 1;
    issued.clone[0] = span_of_text("7");
    own.issued = &issued;
    own.routes = &none;
    own.route_count = 1;
    ck_assert_int_eq(clone_own_find(&id, &own, p), CLONE_OWN_FOUND);
    ck_assert(span_is_equal(id, span_of_text("7")));
    own.sessions = &issued;
    own.session_count = 1;
    ck_assert_int_eq(clone_own_find(&id, &own, p), CLONE_OWN_UNSURE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_own");
    TCase *tests = tcase_create("clone_own");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(
        tests, an_id_is_the_member_s_own_when_it_can_be_nobody_else_s, 0,
        LENGTH_OF(rows));
    tcase_add_test(tests, a_member_without_a_route_has_no_known_id);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
