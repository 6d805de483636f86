/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_replay.h"

#include <check.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* Facts by letters: i idempotent, h held, u upgrade, g given, r reused,
 * p repeated, x excused, d deadline over, l last attempt, t not after a
 * time-out. */
static clone_facts_t facts_of(clone_end_e end, clone_replay_e allowed,
                              unsigned int sends, const char *letters)
{
    clone_facts_t facts;

    memset(&facts, 0, sizeof(facts));
    facts.end = end;
    facts.allowed = allowed;
    facts.sends = sends;
    facts.replays = 1;
    facts.timeouts = end == CLONE_END_SILENT ? sends : 0;
    facts.timeout_replays = strchr(letters, 't') != NULL ? 0 : 8;
    facts.is_idempotent = strchr(letters, 'i') != NULL;
    facts.is_held = strchr(letters, 'h') != NULL;
    facts.is_upgrade = strchr(letters, 'u') != NULL;
    facts.is_given = strchr(letters, 'g') != NULL;
    facts.is_reused = strchr(letters, 'r') != NULL;
    facts.is_repeated = strchr(letters, 'p') != NULL;
    facts.is_excused = strchr(letters, 'x') != NULL;
    facts.is_late = strchr(letters, 'd') != NULL;
    facts.is_last = strchr(letters, 'l') != NULL;
    return facts;
}

#define NEVER CLONE_REPLAY_NEVER
#define IDEM CLONE_REPLAY_IDEMPOTENT
#define ALWAYS CLONE_REPLAY_ALWAYS

static const struct {
    clone_end_e end;
    clone_replay_e allowed;
    unsigned int sends;
    const char *facts;
    clone_verdict_e verdict;
    clone_cause_e cause;
} rows[] = {
    /* an answer is an answer, whatever else */
    { CLONE_END_ANSWERED, IDEM, 1, "ihgd", CLONE_VERDICT_DONE,
      CLONE_CAUSE_ANSWERED },
    /* what no member has goes on, of any method, body held or not */
    { CLONE_END_UNREACHED, IDEM, 0, "", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_UNSENT },
    { CLONE_END_UNREACHED, NEVER, 0, "u", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_UNSENT },
    { CLONE_END_FULL, NEVER, 0, "", CLONE_VERDICT_NEXT, CLONE_CAUSE_UNSENT },
    { CLONE_END_UNREACHED, IDEM, 0, "l", CLONE_VERDICT_STOP,
      CLONE_CAUSE_ATTEMPTS },
    { CLONE_END_UNREACHED, IDEM, 0, "d", CLONE_VERDICT_STOP,
      CLONE_CAUSE_LATE },
    /* sent: by the rule alone */
    { CLONE_END_LOST, IDEM, 1, "ih", CLONE_VERDICT_NEXT, CLONE_CAUSE_REPLAY },
    { CLONE_END_SILENT, IDEM, 1, "ih", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_REPLAY },
    { CLONE_END_GARBLED, IDEM, 1, "ih", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_REPLAY },
    { CLONE_END_STATUS, IDEM, 1, "ih", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_REPLAY },
    { CLONE_END_LOST, IDEM, 1, "h", CLONE_VERDICT_STOP, CLONE_CAUSE_METHOD },
    { CLONE_END_SILENT, IDEM, 1, "h", CLONE_VERDICT_STOP,
      CLONE_CAUSE_METHOD },
    { CLONE_END_LOST, ALWAYS, 1, "h", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_REPLAY },
    { CLONE_END_LOST, NEVER, 1, "ih", CLONE_VERDICT_STOP,
      CLONE_CAUSE_METHOD },
    { CLONE_END_LOST, IDEM, 1, "i", CLONE_VERDICT_STOP, CLONE_CAUSE_BODY },
    { CLONE_END_LOST, ALWAYS, 1, "", CLONE_VERDICT_STOP, CLONE_CAUSE_BODY },
    { CLONE_END_LOST, IDEM, 1, "ihg", CLONE_VERDICT_STOP,
      CLONE_CAUSE_GIVEN },
    { CLONE_END_LOST, ALWAYS, 1, "ihu", CLONE_VERDICT_STOP,
      CLONE_CAUSE_UPGRADE },
    { CLONE_END_LOST, IDEM, 1, "ihd", CLONE_VERDICT_STOP, CLONE_CAUSE_LATE },
    { CLONE_END_LOST, IDEM, 1, "ihl", CLONE_VERDICT_STOP,
      CLONE_CAUSE_ATTEMPTS },
    /* none after a time-out: only that is one */
    { CLONE_END_SILENT, IDEM, 1, "iht", CLONE_VERDICT_STOP,
      CLONE_CAUSE_TIMEOUTS },
    { CLONE_END_SILENT, ALWAYS, 1, "ht", CLONE_VERDICT_STOP,
      CLONE_CAUSE_TIMEOUTS },
    { CLONE_END_SILENT, IDEM, 1, "ht", CLONE_VERDICT_STOP,
      CLONE_CAUSE_METHOD },
    { CLONE_END_LOST, IDEM, 1, "iht", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_REPLAY },
    { CLONE_END_UNREACHED, IDEM, 1, "iht", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_UNSENT },
    /* an old connection that broke: the same member, once */
    { CLONE_END_LOST, IDEM, 1, "ihr", CLONE_VERDICT_SAME, CLONE_CAUSE_STALE },
    { CLONE_END_LOST, IDEM, 1, "ihrl", CLONE_VERDICT_SAME,
      CLONE_CAUSE_STALE },
    { CLONE_END_LOST, IDEM, 1, "hr", CLONE_VERDICT_STOP,
      CLONE_CAUSE_METHOD },
    { CLONE_END_SILENT, IDEM, 1, "ihr", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_REPLAY },
    { CLONE_END_LOST, IDEM, 1, "ihrp", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_REPLAY },
    /* and it resets the new one, too: the first send is excused */
    { CLONE_END_LOST, IDEM, 2, "ihpx", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_REPLAY },
    { CLONE_END_LOST, IDEM, 3, "ihpx", CLONE_VERDICT_STOP,
      CLONE_CAUSE_LIMIT },
    /* it is gone: one more member may have the request */
    { CLONE_END_UNREACHED, IDEM, 1, "ihp", CLONE_VERDICT_NEXT,
      CLONE_CAUSE_UNSENT },
    /* what kills two members is not carried to a third */
    { CLONE_END_LOST, IDEM, 2, "ih", CLONE_VERDICT_STOP, CLONE_CAUSE_LIMIT },
    { CLONE_END_LOST, IDEM, 2, "ihp", CLONE_VERDICT_STOP,
      CLONE_CAUSE_LIMIT },
    { CLONE_END_LOST, ALWAYS, 2, "h", CLONE_VERDICT_STOP,
      CLONE_CAUSE_LIMIT },
    { CLONE_END_UNREACHED, IDEM, 2, "ihp", CLONE_VERDICT_STOP,
      CLONE_CAUSE_LIMIT }
};

START_TEST(an_attempt_is_judged_by_its_row)
{
    clone_facts_t facts = facts_of(rows[_i].end, rows[_i].allowed,
                                   rows[_i].sends, rows[_i].facts);
    clone_cause_e cause;
    clone_verdict_e verdict = clone_replay_judge(&cause, &facts);

    ck_assert_msg(verdict == rows[_i].verdict && cause == rows[_i].cause,
                  "row %d: verdict %d, %s", _i, (int)verdict,
                  clone_cause_name(cause));
}
END_TEST

START_TEST(after_time_outs_it_is_sent_as_often_as_they_allow)
{
    clone_cause_e cause;
    unsigned int n;

    for (n = 1; n <= 4; n++) {
        clone_facts_t facts = facts_of(CLONE_END_SILENT, IDEM, n, "ih");

        facts.replays = 8;
        facts.timeout_replays = 2;
        ck_assert_int_eq(clone_replay_judge(&cause, &facts),
                         n <= 2 ? CLONE_VERDICT_NEXT : CLONE_VERDICT_STOP);
        ck_assert_int_eq(cause, n <= 2 ? CLONE_CAUSE_REPLAY
                                       : CLONE_CAUSE_TIMEOUTS);
    }
}
END_TEST

/* All facts there are: 9 flags, 7 ends, 3 rules, 4 counts, 3 limits. */
START_TEST(nothing_is_sent_twice_against_the_rule)
{
    static const char letters[] = "ihugrpxdl";
    unsigned int flags;
    unsigned int at;

    for (flags = 0; flags < 1u << (sizeof(letters) - 1); flags++) {
        char word[sizeof(letters)] = "";

        for (at = 0; at < sizeof(letters) - 1; at++) {
            if (flags & (1u << at)) {
                strncat(word, &letters[at], 1);
            }
        }
        for (at = 0; at < 7 * 3 * 4 * 3; at++) {
            clone_facts_t facts = facts_of((clone_end_e)(at % 7),
                                           (clone_replay_e)(at / 7 % 3),
                                           at / 21 % 4, word);
            clone_cause_e cause;
            clone_verdict_e verdict;

            facts.replays = at / 84;
            verdict = clone_replay_judge(&cause, &facts);
            if ((verdict != CLONE_VERDICT_SAME
                 && verdict != CLONE_VERDICT_NEXT)
                || !clone_end_is_sent(facts.end) || facts.sends == 0
                || facts.is_excused > facts.is_repeated
                || (facts.is_repeated && facts.sends == 1)) {
                continue;
            }
            ck_assert(!facts.is_given && !facts.is_late && facts.is_held);
            ck_assert(!facts.is_upgrade);
            ck_assert(facts.replays > 0 || facts.is_excused);
            ck_assert(facts.allowed == ALWAYS
                      || (facts.allowed == IDEM && facts.is_idempotent));
            ck_assert(verdict == CLONE_VERDICT_NEXT || !facts.is_repeated);
        }
    }
}
END_TEST

START_TEST(the_client_is_told_what_happened)
{
    ck_assert_int_eq(clone_replay_status(CLONE_END_UNREACHED), 503);
    ck_assert_int_eq(clone_replay_status(CLONE_END_FULL), 503);
    ck_assert_int_eq(clone_replay_status(CLONE_END_LOST), 502);
    ck_assert_int_eq(clone_replay_status(CLONE_END_GARBLED), 502);
    ck_assert_int_eq(clone_replay_status(CLONE_END_SILENT), 504);
    ck_assert_int_eq(clone_replay_status(CLONE_END_STATUS), 0);
    ck_assert_int_eq(clone_replay_status(CLONE_END_ANSWERED), 0);
}
END_TEST

START_TEST(each_end_and_each_cause_has_its_word)
{
    int end;
    int cause;
    int other;

    for (end = 0; end <= CLONE_END_STATUS; end++) {
        ck_assert_str_ne(clone_end_name((clone_end_e)end), "?");
    }
    ck_assert_str_eq(clone_end_name((clone_end_e)end), "?");
    for (cause = 0; cause <= CLONE_CAUSE_BUDGET; cause++) {
        ck_assert_str_ne(clone_cause_name((clone_cause_e)cause), "?");
        for (other = 0; other < cause; other++) {
            ck_assert_str_ne(clone_cause_name((clone_cause_e)cause),
                             clone_cause_name((clone_cause_e)other));
        }
    }
    ck_assert_str_eq(clone_cause_name((clone_cause_e)cause), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_replay");
    TCase *tests = tcase_create("clone_replay");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, an_attempt_is_judged_by_its_row, 0,
                        LENGTH_OF(rows));
    tcase_add_test(tests, after_time_outs_it_is_sent_as_often_as_they_allow);
    tcase_add_test(tests, nothing_is_sent_twice_against_the_rule);
    tcase_add_test(tests, the_client_is_told_what_happened);
    tcase_add_test(tests, each_end_and_each_cause_has_its_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
