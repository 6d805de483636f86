/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>

#include "shm_site.h"

/* ---- verbs -------------------------------------------------------------- */

START_TEST(what_was_never_added_is_missed)
{
    shm_assert_missed(shm_get("k"));
    shm_assert_missed(shm_call(HA_APPEND, "k", span_of_text("x"), 0, SHM_TTL,
                               shm_pool));
    shm_assert_missed(shm_call(HA_CAS, "k", span_of_text("x"), 1, SHM_TTL,
                               shm_pool));
    shm_assert_missed(shm_call(HA_CAS, "k", span_of_text("x"), 0, SHM_TTL,
                               shm_pool));
    shm_assert_missed(shm_call(HA_TOUCH, "k", span_of(NULL, 0), 0, SHM_TTL,
                               shm_pool));
    shm_assert_missed(shm_call(HA_REMOVE, "k", span_of(NULL, 0), 0, SHM_TTL,
                               shm_pool));
    shm_assert_missed(shm_get("k"));
}
END_TEST

START_TEST(the_first_add_wins)
{
    shm_assert_holds(shm_add("k", "one"), "one");
    shm_assert_holds(shm_add("k", "two"), "one");
    shm_assert_holds(shm_get("k"), "one");
    shm_assert_missed(shm_get("K"));
}
END_TEST

START_TEST(an_append_goes_behind_and_changes_the_version)
{
    apr_uint64_t version = shm_add("k", "one").version;
    ha_call_t one = shm_call(HA_APPEND, "k", span_of_text("-two"), 0, SHM_TTL,
                             shm_pool);

    shm_assert_holds(one, "one-two");
    ck_assert_uint_ne(one.version, version);
    ck_assert_uint_eq(shm_get("k").version, one.version);
}
END_TEST

START_TEST(a_cas_replaces_the_version_it_names)
{
    ha_call_t one = shm_add("k", "one");

    one = shm_call(HA_CAS, "k", span_of_text("two"), one.version, SHM_TTL,
                   shm_pool);
    shm_assert_holds(one, "two");
    shm_assert_holds(shm_get("k"), "two");
    ck_assert_uint_eq(shm_get("k").version, one.version);
}
END_TEST

START_TEST(a_cas_of_another_version_says_what_is_held)
{
    ha_call_t one = shm_add("k", "one");

    (void)shm_call(HA_APPEND, "k", span_of_text("+"), 0, SHM_TTL, shm_pool);
    shm_assert_holds(shm_call(HA_CAS, "k", span_of_text("two"), one.version,
                              SHM_TTL, shm_pool), "one+");
    shm_assert_holds(shm_call(HA_CAS, "k", span_of_text("two"), 0, SHM_TTL,
                              shm_pool), "one+");
}
END_TEST

START_TEST(a_version_never_comes_back_with_a_key)
{
    apr_uint64_t version = shm_add("k", "one").version;

    (void)shm_call(HA_REMOVE, "k", span_of(NULL, 0), 0, SHM_TTL, shm_pool);
    (void)shm_add("k", "one");
    shm_assert_holds(shm_call(HA_CAS, "k", span_of_text("two"), version,
                              SHM_TTL, shm_pool), "one");
}
END_TEST

START_TEST(a_touch_brings_no_bytes)
{
    ha_call_t one;

    (void)shm_add("k", "one");
    one = shm_call(HA_TOUCH, "k", span_of(NULL, 0), 0, SHM_TTL, shm_pool);
    ck_assert_int_eq(one.answer, HA_HIT);
    ck_assert_uint_eq(one.held.len, 0);
    shm_assert_holds(shm_get("k"), "one");
}
END_TEST

START_TEST(what_is_removed_is_missed_and_can_be_added)
{
    (void)shm_add("k", "one");
    shm_assert_missed(shm_call(HA_REMOVE, "k", span_of(NULL, 0), 0, SHM_TTL,
                               shm_pool));
    shm_assert_missed(shm_get("k"));
    shm_assert_holds(shm_add("k", "two"), "two");
    ck_assert_uint_eq(shm_usage().items, 1);
}
END_TEST

START_TEST(a_key_that_is_too_long_or_another_node_is_unknown)
{
    char key[252];
    ha_call_t one;

    memset(key, 'k', sizeof(key));
    key[250] = '\0';
    shm_assert_holds(shm_add(key, "long"), "long");
    shm_assert_holds(shm_get(key), "long");
    key[250] = 'k';
    key[251] = '\0';
    memset(&one, 0, sizeof(one));
    shm_store->ops->run(shm_store, key, &one, 1, SHM_TTL,
                        apr_time_now() + SHM_BUDGET_USEC, shm_pool);
    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_eq(one.rv, APR_EINVAL);
    one.node = 1;
    shm_store->ops->run(shm_store, "k", &one, 1, SHM_TTL,
                        apr_time_now() + SHM_BUDGET_USEC, shm_pool);
    ck_assert_int_eq(one.answer, HA_UNKNOWN);
    ck_assert_int_eq(one.rv, APR_EINVAL);
}
END_TEST

START_TEST(the_only_node_is_up_and_whole_since_it_was_made)
{
    apr_time_t since = shm_store->ops->whole_since(shm_store, 0);

    ck_assert_uint_eq(shm_store->count, 1);
    ck_assert_int_eq(shm_store->ops->is_up(shm_store, 0), 1);
    ck_assert_int_eq(shm_store->ops->is_up(shm_store, 1), 0);
    ck_assert(since > 0 && since <= apr_time_now());
    ck_assert_int_eq(shm_store->ops->whole_since(shm_store, 1), 0);
}
END_TEST

/* ---- sizes -------------------------------------------------------------- */

static const apr_size_t sizes[] = {
    0, 1, 2, 437, 438, 439, 440, 934, 935, 936, 1430, 1431, 1432, 4000,
    16384, 65536, 300000, HA_VALUE_MAX - 1, HA_VALUE_MAX
};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

START_TEST(a_value_of_any_size_comes_back)
{
    span_t data = span_of(shm_pattern, sizes[_i]);

    ck_assert(span_is_equal(shm_call(HA_ADD, "kk", data, 0, SHM_TTL,
                                     shm_pool).held, data));
    ck_assert(span_is_equal(shm_get("kk").held, data));
    (void)shm_call(HA_REMOVE, "kk", span_of(NULL, 0), 0, SHM_TTL, shm_pool);
    ck_assert_uint_eq(shm_usage().used, 0);
}
END_TEST

START_TEST(a_value_grows_by_any_size)
{
    apr_size_t len = 0;
    unsigned int step;

    shm_assert_holds(shm_add("k", ""), "");
    for (step = 0; len + step <= HA_VALUE_MAX; step = (step * 5 + 1) % 9000) {
        ha_call_t one = shm_call(HA_APPEND, "k", span_of(shm_pattern + len,
                                                         step), 0, SHM_TTL,
                                 shm_pool);

        len += step;
        ck_assert_uint_eq(one.held.len, len);
        ck_assert_mem_eq(one.held.data, shm_pattern, len);
        apr_pool_clear(shm_pool);
        shm_use_memory(HA_SHM_MIN);
        (void)shm_call(HA_ADD, "k", span_of(shm_pattern, len), 0, SHM_TTL,
                       shm_pool);
    }
    ck_assert_uint_gt(len, HA_VALUE_MAX / 2);
}
END_TEST

START_TEST(a_chain_of_appends_stays_in_order)
{
    apr_pool_t *p;
    apr_size_t len = 0;
    apr_size_t step;

    ck_assert_int_eq(apr_pool_create(&p, shm_pool), APR_SUCCESS);
    shm_assert_holds(shm_add("k", ""), "");
    for (step = 1; len + step <= HA_VALUE_MAX; step += 13) {
        ha_call_t one = shm_call(HA_APPEND, "k", span_of(shm_pattern + len,
                                                         step), 0, SHM_TTL, p);

        len += step;
        ck_assert_uint_eq(one.held.len, len);
        ck_assert_mem_eq(one.held.data, shm_pattern, len);
        apr_pool_clear(p);
    }
    ck_assert_uint_eq(shm_usage().dropped, 0);
}
END_TEST

START_TEST(a_value_above_the_limit_is_refused_and_the_old_one_stays)
{
    span_t large = span_of(shm_pattern, HA_VALUE_MAX + 1);
    ha_call_t one;

    shm_assert_missed(shm_call(HA_ADD, "k", large, 0, SHM_TTL, shm_pool));
    one = shm_add("k", "one");
    shm_assert_holds(shm_call(HA_CAS, "k", large, one.version, SHM_TTL,
                              shm_pool), "one");
    shm_assert_holds(shm_call(HA_APPEND, "k", span_of(shm_pattern,
                                                      HA_VALUE_MAX - 2), 0,
                              SHM_TTL, shm_pool), "one");
    shm_assert_holds(shm_call(HA_APPEND, "k", large, 0, SHM_TTL, shm_pool),
                     "one");
    shm_assert_holds(shm_get("k"), "one");
}
END_TEST

START_TEST(a_replacement_that_does_not_fit_beside_the_old_value_is_refused)
{
    span_t old = span_of(shm_pattern, HA_VALUE_MAX);
    span_t new = span_of(shm_pattern + 1, HA_VALUE_MAX);
    ha_call_t one = shm_call(HA_ADD, "k", old, 0, SHM_TTL, shm_pool);

    ck_assert(span_is_equal(shm_call(HA_CAS, "k", new, one.version, SHM_TTL,
                                 shm_pool).held, old));
    ck_assert_uint_eq(shm_usage().dropped, 0);
    ck_assert_uint_eq(shm_events, 0);
}
END_TEST

START_TEST(memory_of_a_size_out_of_bounds_is_not_made)
{
    ck_assert_int_eq(ha_shm_create(&shm_memory, HA_SHM_MIN - 1, shm_pool),
                     APR_EINVAL);
    ck_assert_ptr_null(shm_memory);
    ck_assert_int_eq(ha_shm_create(&shm_memory, (apr_size_t)HA_SHM_MAX + 1,
                                   shm_pool), APR_EINVAL);
    ck_assert_ptr_null(shm_memory);
}
END_TEST

static const apr_size_t memories[] = {
    HA_SHM_MIN, HA_SHM_MIN + 1, 5000000, HA_SHM_DEFAULT, 100000001
};

START_TEST(memory_of_any_size_is_used_almost_whole)
{
    char key[32];
    int i;

    shm_use_memory(memories[_i]);
    ck_assert_uint_eq(ha_shm_size(shm_memory), memories[_i]);
    ck_assert_uint_le(shm_usage().size, memories[_i]);
    ck_assert_uint_ge(shm_usage().size, memories[_i] / 100 * 97);
    for (i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        shm_assert_holds(shm_add(key, key), key);
    }
    for (i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        shm_assert_holds(shm_get(key), key);
    }
    ck_assert_uint_eq(shm_usage().items, 200);
}
END_TEST

/* ---- time --------------------------------------------------------------- */

START_TEST(an_item_is_over_after_its_time_and_can_be_added_again)
{
    apr_time_t begin = apr_time_now();

    (void)shm_call(HA_ADD, "k", span_of_text("one"), 0, 1, shm_pool);
    shm_wait_until_missed("k");
    ck_assert(apr_time_now() - begin >= APR_USEC_PER_SEC);
    shm_assert_missed(shm_call(HA_APPEND, "k", span_of_text("x"), 0, SHM_TTL,
                               shm_pool));
    shm_assert_holds(shm_add("k", "two"), "two");
}
END_TEST

START_TEST(a_touch_and_a_cas_renew_the_time_and_an_append_does_not)
{
    ha_call_t one;

    (void)shm_call(HA_ADD, "touched", span_of_text("t"), 0, 1, shm_pool);
    (void)shm_call(HA_TOUCH, "touched", span_of(NULL, 0), 0, SHM_TTL, shm_pool);
    one = shm_call(HA_ADD, "replaced", span_of_text("r"), 0, 1, shm_pool);
    (void)shm_call(HA_CAS, "replaced", span_of_text("R"), one.version, SHM_TTL,
                   shm_pool);
    (void)shm_call(HA_ADD, "grown", span_of_text("g"), 0, 1, shm_pool);
    (void)shm_call(HA_APPEND, "grown", span_of_text("G"), 0, SHM_TTL, shm_pool);
    (void)shm_call(HA_ADD, "shortened", span_of_text("s"), 0, SHM_TTL,
                   shm_pool);
    (void)shm_call(HA_TOUCH, "shortened", span_of(NULL, 0), 0, 1, shm_pool);
    shm_wait_until_missed("grown");
    shm_wait_until_missed("shortened");
    shm_assert_holds(shm_get("touched"), "t");
    shm_assert_holds(shm_get("replaced"), "R");
}
END_TEST

START_TEST(a_time_to_live_of_136_years_is_not_over)
{
    (void)shm_call(HA_ADD, "k", span_of_text("one"), 0, 0xffffffffu, shm_pool);
    shm_assert_holds(shm_get("k"), "one");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_store_shm");
    TCase *tcase = tcase_create("store");

    tcase_add_checked_fixture(tcase, shm_set_up, shm_tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, what_was_never_added_is_missed);
    tcase_add_test(tcase, the_first_add_wins);
    tcase_add_test(tcase, an_append_goes_behind_and_changes_the_version);
    tcase_add_test(tcase, a_cas_replaces_the_version_it_names);
    tcase_add_test(tcase, a_cas_of_another_version_says_what_is_held);
    tcase_add_test(tcase, a_version_never_comes_back_with_a_key);
    tcase_add_test(tcase, a_touch_brings_no_bytes);
    tcase_add_test(tcase, what_is_removed_is_missed_and_can_be_added);
    tcase_add_test(tcase, a_key_that_is_too_long_or_another_node_is_unknown);
    tcase_add_test(tcase, the_only_node_is_up_and_whole_since_it_was_made);
    tcase_add_loop_test(tcase, a_value_of_any_size_comes_back, 0, SIZES);
    tcase_add_test(tcase, a_value_grows_by_any_size);
    tcase_add_test(tcase, a_chain_of_appends_stays_in_order);
    tcase_add_test(tcase,
                   a_value_above_the_limit_is_refused_and_the_old_one_stays);
    tcase_add_test(
        tcase,
        a_replacement_that_does_not_fit_beside_the_old_value_is_refused);
    tcase_add_test(tcase, memory_of_a_size_out_of_bounds_is_not_made);
    tcase_add_loop_test(tcase, memory_of_any_size_is_used_almost_whole, 0,
                        (int)(sizeof(memories) / sizeof(memories[0])));
    tcase_add_test(tcase,
                   an_item_is_over_after_its_time_and_can_be_added_again);
    tcase_add_test(tcase,
                   a_touch_and_a_cas_renew_the_time_and_an_append_does_not);
    tcase_add_test(tcase, a_time_to_live_of_136_years_is_not_over);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner;
    int failed;

    if (apr_initialize() != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
