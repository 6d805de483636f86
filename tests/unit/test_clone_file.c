/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <check.h>

static apr_pool_t *p;
static char folder[64];
static const char *path;

static void set_up(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    strcpy(folder, "/tmp/test_clone_file.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    path = apr_pstrcat(p, folder, "/file", NULL);
}

static void tear_down(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
    apr_pool_destroy(p);
    apr_terminate();
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_file_is_read_whole)
{
    clone_look_t look;
    clone_look_t again;
    span_t text;

    write_file("twelve bytes");
    ck_assert_int_eq(clone_file_read(&text, &look, path, 100, p),
                     APR_SUCCESS);
    ck_assert(span_is_equal(text, span_of_text("twelve bytes")));
    clone_file_look(&again, path, p);
    ck_assert(clone_look_is_same(&look, &again));
    ck_assert_int_eq(look.size, 12);
}
END_TEST

START_TEST(of_a_large_file_one_byte_more_than_the_limit_is_read)
{
    clone_look_t look;
    span_t text;

    write_file("twelve bytes");
    ck_assert_int_eq(clone_file_read(&text, &look, path, 12, p), APR_SUCCESS);
    ck_assert_uint_eq(text.len, 12);
    ck_assert_int_eq(clone_file_read(&text, &look, path, 6, p), APR_SUCCESS);
    ck_assert_uint_eq(text.len, 7);
    write_file("");
    ck_assert_int_eq(clone_file_read(&text, &look, path, 6, p), APR_SUCCESS);
    ck_assert_uint_eq(text.len, 0);
}
END_TEST

START_TEST(what_is_no_file_says_why)
{
    clone_look_t look;
    span_t text;

    ck_assert(APR_STATUS_IS_ENOENT(clone_file_read(&text, &look, path, 9,
                                                   p)));
    ck_assert(APR_STATUS_IS_ENOENT(look.rv));
    ck_assert_uint_eq(text.len, 0);
    ck_assert_int_eq(clone_file_read(&text, &look, folder, 9, p), EISDIR);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(clone_file_read(&text, &look, path, 9, p), APR_EINVAL);
}
END_TEST

START_TEST(another_file_of_the_name_looks_otherwise)
{
    const char *other = apr_pstrcat(p, path, ".new", NULL);
    clone_look_t before;
    clone_look_t after;

    write_file("one");
    clone_file_look(&before, path, p);
    ck_assert_int_eq(rename(path, other), 0);
    clone_file_look(&after, path, p);
    ck_assert(!clone_look_is_same(&before, &after));
    write_file("two");
    clone_file_look(&after, path, p);
    ck_assert(!clone_look_is_same(&before, &after));
    ck_assert_int_eq(rename(other, path), 0);
    clone_file_look(&after, path, p);
    ck_assert_int_eq(before.mtime, after.mtime);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_file");
    TCase *tests = tcase_create("clone_file");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_file_is_read_whole);
    tcase_add_test(tests,
                   of_a_large_file_one_byte_more_than_the_limit_is_read);
    tcase_add_test(tests, what_is_no_file_says_why);
    tcase_add_test(tests, another_file_of_the_name_looks_otherwise);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
