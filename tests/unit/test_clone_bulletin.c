/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_bulletin.h"

#include <sys/wait.h>
#include <unistd.h>

#include <apr_general.h>
#include <check.h>

static apr_pool_t *p;
static clone_bulletin_t *board;

static void set_up(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    ck_assert_int_eq(clone_bulletin_make(&board, p), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(p);
    apr_terminate();
}

START_TEST(a_new_board_is_empty)
{
    span_t text;

    ck_assert_uint_eq(clone_bulletin_number(board), 0);
    ck_assert_uint_eq(clone_bulletin_get(&text, board, p), 0);
    ck_assert_uint_eq(text.len, 0);
}
END_TEST

START_TEST(all_processes_see_the_latest_text)
{
    span_t text;
    int status;
    pid_t pid;

    clone_bulletin_put(board, span_of_text("first"));
    pid = fork();
    if (pid == 0) {
        clone_bulletin_put(board, span_of_text("second one"));
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_uint_eq(clone_bulletin_number(board), 2);
    ck_assert_uint_eq(clone_bulletin_get(&text, board, p), 2);
    ck_assert(span_is_equal(text, span_of_text("second one")));
}
END_TEST

START_TEST(half_a_text_is_none)
{
    span_t text;

    clone_bulletin_put(board, span_of_text("first"));
    board->text[2] = '!'; /* a writer that died */
    ck_assert_uint_eq(clone_bulletin_get(&text, board, p), 0);
    board->len = sizeof(board->text) + 1;
    ck_assert_uint_eq(clone_bulletin_get(&text, board, p), 0);
    ck_assert_uint_eq(text.len, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_bulletin");
    TCase *tests = tcase_create("clone_bulletin");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_new_board_is_empty);
    tcase_add_test(tests, all_processes_see_the_latest_text);
    tcase_add_test(tests, half_a_text_is_none);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
