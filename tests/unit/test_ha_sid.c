/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_sid.h"

#include <check.h>

#include <apr_general.h>

static void fill(ha_sid_t *sid, unsigned char first)
{
    unsigned char bytes[HA_SID_BYTES];
    int i;

    for (i = 0; i < HA_SID_BYTES; i++) {
        bytes[i] = (unsigned char)(first + i);
    }
    ha_sid_init(sid, bytes);
}

/* Computed with another language's SHA-256: stored sessions depend on it. */
START_TEST(the_names_of_an_id_never_change)
{
    static const unsigned char digest[] = { 0x7a, 0x3d, 0xf8, 0xf5, 0x0b };
    ha_sid_t sid;

    fill(&sid, 0);
    ck_assert_str_eq(sid.key,
                     "ha1:ej349Qv2qiK5vL4eVhr0VVio7XPV2da2flr6d37RekE");
    ck_assert_str_eq(sid.tag, "7a3df8f5");
    ck_assert_mem_eq(sid.digest, digest, sizeof(digest));
    ck_assert_int_eq(sid.bytes[15], 15);
}
END_TEST

START_TEST(a_key_fits_a_store_and_shows_nothing_of_the_id)
{
    static const char hex[] = "0123456789abcdef";
    ha_sid_t sid;
    int i;

    fill(&sid, 'A');
    ck_assert_uint_eq(strlen(sid.key), sizeof(sid.key) - 1);
    for (i = 0; sid.key[i] != '\0'; i++) {
        ck_assert(sid.key[i] > ' ' && sid.key[i] <= '~');
    }
    ck_assert_ptr_null(strstr(sid.key, "ABCD"));
    ck_assert_uint_eq(strspn(sid.tag, hex), 8);
}
END_TEST

START_TEST(one_bit_more_makes_another_session)
{
    ha_sid_t one;
    int bit;

    fill(&one, 7);
    for (bit = 0; bit < HA_SID_BYTES * 8; bit++) {
        unsigned char bytes[HA_SID_BYTES];
        ha_sid_t other;

        memcpy(bytes, one.bytes, sizeof(bytes));
        bytes[bit / 8] = (unsigned char)(bytes[bit / 8] ^ 1 << bit % 8);
        ha_sid_init(&other, bytes);
        ck_assert_str_ne(other.key, one.key);
        ck_assert_mem_ne(other.digest, one.digest, HA_SID_DIGEST);
    }
}
END_TEST

START_TEST(a_digest_names_the_session_but_makes_no_cookie)
{
    static const unsigned char nothing[HA_SID_BYTES];
    ha_sid_t one;
    ha_sid_t other;

    fill(&one, 9);
    ha_sid_recall(&other, one.digest);
    ck_assert_str_eq(other.key, one.key);
    ck_assert_str_eq(other.tag, one.tag);
    ck_assert_mem_eq(other.digest, one.digest, HA_SID_DIGEST);
    ck_assert_mem_eq(other.bytes, nothing, HA_SID_BYTES);
}
END_TEST

/* Whoever may be mistaken for another by joining the parts. */
START_TEST(every_user_has_a_session_of_his_own)
{
    static const char *const who[][3] = {
        { "S", "shop", "ada" }, { "S", "shop", "adb" }, { "S", "shop", "" },
        { "S", "shopa", "da" }, { "Ss", "hop", "ada" }, { "S", "", "shopada" },
        { "s", "shop", "ada" }, { "S", "shop", "Ada" }, { "", "", "" },
        { "S", "shop", "mod_session_ha session 1" }
    };
    enum { COUNT = sizeof(who) / sizeof(who[0]) };
    ha_sid_t sids[COUNT];
    ha_sid_t again;
    apr_pool_t *p;
    int i;
    int k;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < COUNT; i++) {
        ha_sid_of_user(&sids[i], span_of_text(who[i][0]),
                       span_of_text(who[i][1]), span_of_text(who[i][2]), p);
        for (k = 0; k < i; k++) {
            ck_assert_str_ne(sids[i].key, sids[k].key);
        }
    }
    ha_sid_of_user(&again, span_of_text("S"), span_of_text("shop"),
                   span_of_text("ada"), p);
    ck_assert_str_eq(again.key, sids[0].key);
    /* As another language computes it. */
    ck_assert_str_eq(again.key,
                     "ha1:KM4Cx-B4bwDAjJe7SMtC_0UK4wM-HZ_j1bZUK675eBk");
    apr_pool_destroy(p);
    apr_terminate();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_sid");
    TCase *tests = tcase_create("ha_sid");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, the_names_of_an_id_never_change);
    tcase_add_test(tests, a_key_fits_a_store_and_shows_nothing_of_the_id);
    tcase_add_test(tests, one_bit_more_makes_another_session);
    tcase_add_test(tests, a_digest_names_the_session_but_makes_no_cookie);
    tcase_add_test(tests, every_user_has_a_session_of_his_own);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
