/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_drain.h"

#include <check.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define SEC APR_USEC_PER_SEC
#define MIN (60 * SEC)

typedef struct verdict_t {
    clone_drain_facts_t facts;
    unsigned int wanted;
} verdict_t;

/* copies closed, sessions exact, in flight, quiet wanted */
static const verdict_t verdicts[] = {
    { { 1, 1, 0, 1, 0, 9 * SEC, 5 * SEC }, 0 },
    { { 3, 3, 0, 1, 0, 9 * SEC, 5 * SEC }, 0 },
    { { 1, 1, 0, 1, 0, 5 * SEC, 5 * SEC }, 0 },
    { { 1, 1, 0, 1, 0, -1, 5 * SEC }, 0 },
    { { 1, 1, 0, 1, 0, 0, 0 }, 0 },
    { { 1, 0, 0, 1, 0, -1, 5 * SEC }, CLONE_UNSAFE_OPEN },
    { { 3, 2, 0, 1, 0, -1, 5 * SEC }, CLONE_UNSAFE_OPEN },
    { { 1, 1, 1, 1, 0, -1, 5 * SEC }, CLONE_UNSAFE_SESSIONS },
    { { 1, 1, 0, 1, 1, -1, 5 * SEC }, CLONE_UNSAFE_IN_FLIGHT },
    { { 1, 1, 0, 1, 0, 4 * SEC, 5 * SEC }, CLONE_UNSAFE_RECENT },
    { { 1, 1, 0, 1, 0, 0, 5 * SEC }, CLONE_UNSAFE_RECENT },
    { { 1, 1, 0, 0, 0, -1, 5 * SEC }, CLONE_UNSAFE_UNCOUNTED },
    { { 1, 1, 7, 0, 0, -1, 5 * SEC },
      CLONE_UNSAFE_SESSIONS | CLONE_UNSAFE_UNCOUNTED },
    { { 2, 1, 7, 0, 3, SEC, 5 * SEC },
      CLONE_UNSAFE_OPEN | CLONE_UNSAFE_SESSIONS | CLONE_UNSAFE_IN_FLIGHT
          | CLONE_UNSAFE_RECENT | CLONE_UNSAFE_UNCOUNTED }
};

START_TEST(each_reason_alone_keeps_a_member_up)
{
    ck_assert_uint_eq(clone_drain_judge(&verdicts[_i].facts),
                      verdicts[_i].wanted);
}
END_TEST

typedef struct leaving_t {
    clone_leave_t leave;
    int wanted;
} leaving_t;

/* drained, deadline, within, idle, idle_max */
static const leaving_t leavings[] = {
    /* no deadline, and before it */
    { { 99 * MIN, -1, MIN, 29 * MIN, 30 * MIN }, 0 },
    { { 99 * MIN, -1, MIN, -1, 30 * MIN }, 0 },
    { { 9 * MIN, 10 * MIN, MIN, 29 * MIN, 30 * MIN }, 0 },
    { { 9 * MIN, 10 * MIN, MIN, -1, 30 * MIN }, 0 },
    /* at it, and then evenly */
    { { 10 * MIN, 10 * MIN, 6 * MIN, 30 * MIN, 30 * MIN }, 1 },
    { { 10 * MIN, 10 * MIN, 6 * MIN, 29 * MIN, 30 * MIN }, 0 },
    { { 10 * MIN, 10 * MIN, 6 * MIN, -1, 30 * MIN }, 1 },
    { { 11 * MIN, 10 * MIN, 6 * MIN, 25 * MIN, 30 * MIN }, 1 },
    { { 11 * MIN, 10 * MIN, 6 * MIN, 24 * MIN, 30 * MIN }, 0 },
    { { 13 * MIN, 10 * MIN, 6 * MIN, 15 * MIN, 30 * MIN }, 1 },
    { { 13 * MIN, 10 * MIN, 6 * MIN, 14 * MIN, 30 * MIN }, 0 },
    { { 15 * MIN, 10 * MIN, 6 * MIN, 5 * MIN, 30 * MIN }, 1 },
    { { 15 * MIN, 10 * MIN, 6 * MIN, 4 * MIN, 30 * MIN }, 0 },
    /* after it everybody */
    { { 16 * MIN, 10 * MIN, 6 * MIN, 0, 30 * MIN }, 1 },
    { { 99 * MIN, 10 * MIN, 6 * MIN, 0, 30 * MIN }, 1 },
    /* at once */
    { { 0, 0, 0, 0, 30 * MIN }, 1 },
    { { 10 * MIN, 10 * MIN, 0, 0, 30 * MIN }, 1 },
    { { 10 * MIN - 1, 10 * MIN, 0, 0, 30 * MIN }, 0 }
};

START_TEST(the_idle_leave_first)
{
    ck_assert_int_eq(clone_drain_leaves(&leavings[_i].leave),
                     leavings[_i].wanted);
}
END_TEST

START_TEST(every_reason_has_its_own_word)
{
    unsigned int i;
    unsigned int j;

    for (i = 0; i < CLONE_UNSAFE_BITS; i++) {
        ck_assert_str_ne(clone_unsafe_name(1u << i), "?");
        for (j = 0; j < i; j++) {
            ck_assert_str_ne(clone_unsafe_name(1u << i),
                             clone_unsafe_name(1u << j));
        }
    }
    ck_assert_str_eq(clone_unsafe_name(1u << CLONE_UNSAFE_BITS), "?");
    ck_assert_str_eq(clone_unsafe_name(3), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_drain");
    TCase *tests = tcase_create("clone_drain");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, each_reason_alone_keeps_a_member_up, 0,
                        LENGTH_OF(verdicts));
    tcase_add_loop_test(tests, the_idle_leave_first, 0, LENGTH_OF(leavings));
    tcase_add_test(tests, every_reason_has_its_own_word);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
