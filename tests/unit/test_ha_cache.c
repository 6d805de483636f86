/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ha_cache.h"

static const char *const is_private[] = {
    "private", "PRIVATE", " private ", "private,max-age=60",
    "max-age=60, private", "no-cache,\tprivate ,x", ",,private,,",
    "no-cache=\"a\", private", "x=\"\\\"\", private",
};

static const char *const is_not[] = {
    "", ",", "p", "priv", "privates", "xprivate", "public", "x=private",
    "private=\"X-Foo\"", "private=\"X-Foo\", max-age=60", "private=x",
    "no-cache=\"private\"", "no-cache=\"a, private\"",
    "x=\"\\\", private", "x=\"a, private", "private max-age", "private;x",
};

START_TEST(private_without_an_argument_is_found)
{
    ck_assert_msg(ha_cache_is_private(is_private[_i]), "'%s'",
                  is_private[_i]);
}
END_TEST

START_TEST(what_only_looks_like_it_is_not)
{
    ck_assert_msg(!ha_cache_is_private(is_not[_i]), "'%s'", is_not[_i]);
}
END_TEST

START_TEST(no_header_says_nothing)
{
    ck_assert(!ha_cache_is_private(NULL));
}
END_TEST

/* A copy that ends with the prefix: a read behind it is seen by the
 * sanitizers. */
START_TEST(every_prefix_is_read_within_its_bounds)
{
    static const char whole[] = "no-cache=\"a\\\", b\" , private";
    size_t len;

    for (len = 0; len < sizeof(whole); len++) {
        char *copy = calloc(1, len + 1);

        memcpy(copy, whole, len);
        ck_assert_int_eq(ha_cache_is_private(copy),
                         len >= sizeof(whole) - 1);
        free(copy);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_cache");
    TCase *tcase = tcase_create("private");

    tcase_add_loop_test(tcase, private_without_an_argument_is_found, 0,
                        (int)(sizeof(is_private) / sizeof(is_private[0])));
    tcase_add_loop_test(tcase, what_only_looks_like_it_is_not, 0,
                        (int)(sizeof(is_not) / sizeof(is_not[0])));
    tcase_add_test(tcase, no_header_says_nothing);
    tcase_add_test(tcase, every_prefix_is_read_within_its_bounds);
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
