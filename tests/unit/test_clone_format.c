/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_format.h"

#include <check.h>

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

START_TEST(every_profile_is_found_by_its_word)
{
    clone_profile_e profile;
    int i;

    for (i = 0; i < CLONE_PROFILES; i++) {
        ck_assert(clone_profile_parse(
            &profile, clone_profile_name((clone_profile_e)i)));
        ck_assert_int_eq(profile, i);
    }
    ck_assert(clone_profile_parse(&profile, "WildFly-Ranked"));
    ck_assert_int_eq(profile, CLONE_PROFILE_WILDFLY_RANKED);
    ck_assert_str_eq(clone_profile_name(CLONE_PROFILE_FREE), "free");
    ck_assert_str_eq(clone_profile_name((clone_profile_e)99), "?");
}
END_TEST

START_TEST(half_a_word_is_no_profile)
{
    static const char *const words[] = {
        "", "web", "webspher", "websphere-", "websphere:", "tomcat ", "jboss",
        "free", "spring1"
    };
    clone_profile_e profile = CLONE_PROFILE_JETTY;

    ck_assert(!clone_profile_parse(&profile, words[_i]));
    ck_assert_int_eq(profile, CLONE_PROFILE_WEBSPHERE);
}
END_TEST

START_TEST(every_profile_has_a_form_that_could_be_set_field_by_field)
{
    clone_format_t format;
    int i;

    for (i = 0; i < CLONE_PROFILES; i++) {
        clone_format_of(&format, (clone_profile_e)i);
        ck_assert_int_eq(clone_format_finish(&format), CLONE_FORMAT_OK);
    }
    clone_format_of(&format, CLONE_PROFILE_FREE);
    ck_assert_int_eq(clone_format_finish(&format), CLONE_FORMAT_NOTHING);
}
END_TEST

static const struct {
    const char *field;
    clone_format_e fault;
} fields[] = {
    { "separator=:", CLONE_FORMAT_OK },
    { "SEPARATOR=!#&'()*+", CLONE_FORMAT_OK },
    { "separator=-./:<>?@", CLONE_FORMAT_OK },
    { "separator=[]^_`{|}", CLONE_FORMAT_OK },
    { "separator=~$", CLONE_FORMAT_OK },
    { "separator=", CLONE_FORMAT_SEPARATOR },
    { "separator=!!!!!!!!!", CLONE_FORMAT_SEPARATOR },
    { "separator=a", CLONE_FORMAT_SEPARATOR },
    { "separator=:Z", CLONE_FORMAT_SEPARATOR },
    { "separator=0", CLONE_FORMAT_SEPARATOR },
    { "separator=;", CLONE_FORMAT_SEPARATOR },
    { "separator=,", CLONE_FORMAT_SEPARATOR },
    { "separator==", CLONE_FORMAT_SEPARATOR },
    { "separator=%", CLONE_FORMAT_SEPARATOR },
    { "separator=\"", CLONE_FORMAT_SEPARATOR },
    { "separator=\\", CLONE_FORMAT_SEPARATOR },
    { "separator= ", CLONE_FORMAT_SEPARATOR },
    { "separator=:\t", CLONE_FORMAT_SEPARATOR },
    { "separator=\xc3\xa4", CLONE_FORMAT_SEPARATOR },
    { "separator=\x7f", CLONE_FORMAT_SEPARATOR },
    { "position=first", CLONE_FORMAT_OK },
    { "position=LAST", CLONE_FORMAT_OK },
    { "position=", CLONE_FORMAT_POSITION },
    { "position=lastly", CLONE_FORMAT_POSITION },
    { "list=yes", CLONE_FORMAT_OK },
    { "list=No", CLONE_FORMAT_OK },
    { "list=on", CLONE_FORMAT_LIST },
    { "decode=none", CLONE_FORMAT_OK },
    { "decode=Percent", CLONE_FORMAT_OK },
    { "decode=base64", CLONE_FORMAT_OK },
    { "decode=base", CLONE_FORMAT_DECODE },
    { "skip=0", CLONE_FORMAT_OK },
    { "skip=64", CLONE_FORMAT_OK },
    { "skip=65", CLONE_FORMAT_SKIP },
    { "skip=99999999999999999999999", CLONE_FORMAT_SKIP },
    { "skip=-1", CLONE_FORMAT_SKIP },
    { "skip=+1", CLONE_FORMAT_SKIP },
    { "skip=4x", CLONE_FORMAT_SKIP },
    { "skip=", CLONE_FORMAT_SKIP },
    { "skip", CLONE_FORMAT_KEY },
    { "=4", CLONE_FORMAT_KEY },
    { "", CLONE_FORMAT_KEY },
    { "skipp=4", CLONE_FORMAT_KEY },
    { "separators=:", CLONE_FORMAT_KEY }
};

START_TEST(a_field_is_taken_whole_or_not_at_all)
{
    clone_format_t before;
    clone_format_t format;

    memset(&before, 0, sizeof(before));
    memset(&format, 0, sizeof(format));
    clone_format_init(&before);
    clone_format_init(&format);
    ck_assert_str_eq(clone_format_name(clone_format_set(&format,
                                                        fields[_i].field)),
                     clone_format_name(fields[_i].fault));
    ck_assert(fields[_i].fault == CLONE_FORMAT_OK
              || memcmp(&format, &before, sizeof(format)) == 0);
}
END_TEST

START_TEST(what_stands_behind_the_last_separator_is_no_list)
{
    clone_format_t format;

    clone_format_init(&format);
    ck_assert_int_eq(clone_format_finish(&format), CLONE_FORMAT_NOTHING);
    ck_assert_int_eq(clone_format_set(&format, "separator=:"),
                     CLONE_FORMAT_OK);
    ck_assert_int_eq(clone_format_finish(&format), CLONE_FORMAT_OK);
    ck_assert(format.is_list);
    ck_assert_int_eq(clone_format_set(&format, "position=last"),
                     CLONE_FORMAT_OK);
    ck_assert_int_eq(clone_format_finish(&format), CLONE_FORMAT_OK);
    ck_assert(!format.is_list);
    ck_assert_int_eq(clone_format_set(&format, "list=yes"), CLONE_FORMAT_OK);
    ck_assert_int_eq(clone_format_finish(&format), CLONE_FORMAT_LAST_LIST);
    ck_assert_int_eq(clone_format_set(&format, "position=first"),
                     CLONE_FORMAT_OK);
    ck_assert_int_eq(clone_format_finish(&format), CLONE_FORMAT_OK);
    ck_assert(format.is_list);
}
END_TEST

START_TEST(every_fault_has_its_own_words)
{
    int i;
    int j;

    for (i = CLONE_FORMAT_OK; i <= CLONE_FORMAT_LAST_LIST; i++) {
        ck_assert_str_ne(clone_format_name((clone_format_e)i), "?");
        for (j = CLONE_FORMAT_OK; j < i; j++) {
            ck_assert_str_ne(clone_format_name((clone_format_e)i),
                             clone_format_name((clone_format_e)j));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_format");
    TCase *tests = tcase_create("clone_format");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, every_profile_is_found_by_its_word);
    tcase_add_loop_test(tests, half_a_word_is_no_profile, 0, 9);
    tcase_add_test(tests,
                   every_profile_has_a_form_that_could_be_set_field_by_field);
    tcase_add_loop_test(tests, a_field_is_taken_whole_or_not_at_all, 0,
                        LENGTH_OF(fields));
    tcase_add_test(tests, what_stands_behind_the_last_separator_is_no_list);
    tcase_add_test(tests, every_fault_has_its_own_words);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
