/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_cookie_words.h"

#include <check.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const struct {
    const char *name;
    clone_cookie_word_e fault;
} names[] = {
    { "ROUTE", CLONE_COOKIE_WORD_OK },
    { "__Host-route.1", CLONE_COOKIE_WORD_OK },
    { "Offer", CLONE_COOKIE_WORD_OK },
    { "", CLONE_COOKIE_WORD_NAME },
    { "a b", CLONE_COOKIE_WORD_NAME },
    { "a=b", CLONE_COOKIE_WORD_NAME },
    { "a;b", CLONE_COOKIE_WORD_NAME },
    { "a\r\nb", CLONE_COOKIE_WORD_NAME },
    { "a,b", CLONE_COOKIE_WORD_NAME },
    { "a\"b", CLONE_COOKIE_WORD_NAME },
    { "path=/x", CLONE_COOKIE_WORD_NAME }
};

START_TEST(a_name_is_taken_whole_or_refused)
{
    clone_cookie_conf_t conf;

    ck_assert_int_eq(clone_cookie_word_init(&conf, names[_i].name),
                     names[_i].fault);
    ck_assert((conf.name != NULL)
              == (names[_i].fault == CLONE_COOKIE_WORD_OK));
    ck_assert_str_eq(conf.path, "/");
    ck_assert_int_eq(conf.same_site, CLONE_SAME_SITE_LAX);
}
END_TEST

START_TEST(off_is_no_cookie)
{
    clone_cookie_conf_t conf;

    ck_assert_int_eq(clone_cookie_word_init(&conf, "oFF"),
                     CLONE_COOKIE_WORD_OK);
    ck_assert_ptr_null(conf.name);
}
END_TEST

static const struct {
    const char *word;
    clone_cookie_word_e fault;
} words[] = {
    { "path=/", CLONE_COOKIE_WORD_OK },
    { "Path=/shop/a%20b", CLONE_COOKIE_WORD_OK },
    { "path=", CLONE_COOKIE_WORD_PATH },
    { "path=shop", CLONE_COOKIE_WORD_PATH },
    { "path=/a;b", CLONE_COOKIE_WORD_PATH },
    { "path=/a\r\nX: y", CLONE_COOKIE_WORD_PATH },
    { "path=/a b", CLONE_COOKIE_WORD_PATH },
    { "domain=example.com", CLONE_COOKIE_WORD_OK },
    { "domain=", CLONE_COOKIE_WORD_DOMAIN },
    { "domain=a;b", CLONE_COOKIE_WORD_DOMAIN },
    { "samesite=LAX", CLONE_COOKIE_WORD_OK },
    { "samesite=Strict", CLONE_COOKIE_WORD_OK },
    { "samesite=none", CLONE_COOKIE_WORD_OK },
    { "samesite=", CLONE_COOKIE_WORD_SAME_SITE },
    { "secure=On", CLONE_COOKIE_WORD_OK },
    { "secure=auto", CLONE_COOKIE_WORD_OK },
    { "secure=off", CLONE_COOKIE_WORD_SECURE },
    { "httponly=off", CLONE_COOKIE_WORD_KEY },
    { "path", CLONE_COOKIE_WORD_KEY },
    { "", CLONE_COOKIE_WORD_KEY }
};

START_TEST(an_attribute_is_taken_whole_or_refused)
{
    clone_cookie_conf_t before;
    clone_cookie_conf_t conf;

    ck_assert_int_eq(clone_cookie_word_init(&before, "R"),
                     CLONE_COOKIE_WORD_OK);
    conf = before;
    ck_assert_str_eq(
        clone_cookie_word_name(clone_cookie_word_set(&conf, words[_i].word)),
        clone_cookie_word_name(words[_i].fault));
    ck_assert(words[_i].fault == CLONE_COOKIE_WORD_OK
              || (conf.path == before.path && conf.domain == before.domain
                  && conf.same_site == before.same_site
                  && conf.is_secure == before.is_secure));
}
END_TEST

START_TEST(every_fault_has_its_own_words)
{
    int i;
    int j;

    for (i = CLONE_COOKIE_WORD_OK; i <= CLONE_COOKIE_WORD_SECURE; i++) {
        ck_assert_str_ne(clone_cookie_word_name((clone_cookie_word_e)i), "?");
        for (j = CLONE_COOKIE_WORD_OK; j < i; j++) {
            ck_assert_str_ne(clone_cookie_word_name((clone_cookie_word_e)i),
                             clone_cookie_word_name((clone_cookie_word_e)j));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_cookie_words");
    TCase *tests = tcase_create("clone_cookie_words");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, a_name_is_taken_whole_or_refused, 0,
                        LENGTH_OF(names));
    tcase_add_test(tests, off_is_no_cookie);
    tcase_add_loop_test(tests, an_attribute_is_taken_whole_or_refused, 0,
                        LENGTH_OF(words));
    tcase_add_test(tests, every_fault_has_its_own_words);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
