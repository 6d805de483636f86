/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promise of folding, over thousands of histories made from seeds: the
 * order of records, their repetition, how they are spread over values, and
 * what was folded into snapshots on the way make no difference.
 */
#include "ha_delta.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "raw_record.h"

#define LENGTH_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define HISTORIES 4000
#define RECORDS_MAX 12
#define OPS_MAX 4

static apr_pool_t *pool;
static ha_sid_t sid;
static apr_uint64_t seed;

static void set_up(void)
{
    static const unsigned char bytes[HA_SID_BYTES] = { 42 };

    apr_initialize();
    apr_pool_create(&pool, NULL);
    ha_sid_init(&sid, bytes);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

/* splitmix64, of Steele, Lea and Flood: below limit. */
static unsigned int chance(unsigned int limit)
{
    apr_uint64_t z = seed += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (unsigned int)((z ^ z >> 31) >> 32) % limit;
}

/* Few names and few stamps, so that histories meet and tie. */
static span_t any_name(void)
{
    static const char *const names[] = { "a", "A", "b", "bB", "Bb", "c" };

    return span_of_text(names[chance(LENGTH_OF(names))]);
}

static ha_stamp_t any_stamp(void)
{
    ha_stamp_t stamp;

    stamp.time = 1 + chance(6);
    stamp.writer = 1 + chance(3);
    return stamp;
}

static ha_op_t any_op(void)
{
    static const char *const values[] = { "", "1", "2", "10", "longer" };
    ha_op_t op;

    op.name = any_name();
    op.gone = chance(3) == 0;
    op.value = span_of_text(op.gone ? "" : values[chance(5)]);
    return op;
}

static ha_change_t any_change(void)
{
    ha_op_t *ops = apr_palloc(pool, OPS_MAX * sizeof(*ops));
    ha_change_t change;
    unsigned int i;

    change.stamp = any_stamp();
    change.access = chance(5);
    change.count = chance(OPS_MAX + 1);
    change.ops = ops;
    for (i = 0; i < change.count; i++) {
        ops[i] = any_op();
    }
    return change;
}

/* Something that newer code may have written: a kind, a flag, a field. */
static span_t any_newer(void)
{
    static const unsigned char heads[][3] = {
        { 1, 9, 0 }, { 1, 1, 4 }, { 1, 1, 0 }, { 1, 2, 0 }, { 1, 3, 0 }
    };
    /* The end is rare: it makes all else equal. */
    const unsigned char *head = heads[chance(chance(8) == 0 ? 5 : 4)];
    char body[6] = { 0x40, 0, 0, 0, 1, 0 };

    if (chance(2) == 0) {
        body[0] = 6; /* where a session went: kept by its bytes, too */
    }
    body[5] = (char)chance(3);
    return raw_record(&sid, head, any_stamp(), span_of(body, sizeof(body)),
                      pool);
}

static span_t any_record(void)
{
    unsigned int kind = chance(20);
    ha_change_t change;

    if (kind == 0) {
        return ha_delta_encode_end(&sid, any_stamp(), NULL, pool);
    }
    if (kind < 5) {
        return any_newer();
    }
    change = any_change();
    return ha_delta_encode(&sid, &change, NULL, pool);
}

/* A history: its records, and the image of folding them as they come. */
typedef struct history_t {
    span_t records[RECORDS_MAX];
    unsigned int count;
    ha_image_t *image;
} history_t;

static void fold_into(ha_image_t *image, span_t value)
{
    ha_fold_t fold;

    ck_assert_int_eq(ha_delta_fold(image, &fold, &sid, NULL, value),
                     HA_FOLD_OK);
    ck_assert_uint_eq(fold.good, value.len);
}

static void fill_history(history_t *history)
{
    unsigned int i;

    history->count = 1 + chance(RECORDS_MAX);
    history->image = ha_image_make(pool);
    for (i = 0; i < history->count; i++) {
        history->records[i] = any_record();
        fold_into(history->image, history->records[i]);
    }
}

static span_t bytes_of(const ha_image_t *image)
{
    return ha_delta_encode_image(&sid, image, NULL, pool);
}

static int is_same(const ha_image_t *a, const ha_image_t *b)
{
    return span_is_equal(bytes_of(a), bytes_of(b));
}

static void expect_same(const ha_image_t *a, const ha_image_t *b,
                        apr_uint64_t from)
{
    ck_assert_msg(is_same(a, b), "seed %" APR_UINT64_T_FMT, from);
    ck_assert_int_eq(a->ended, b->ended);
    ck_assert_int_eq(a->access, b->access);
    ck_assert_int_eq(ha_stamp_compare(a->latest, b->latest), 0);
}

/* Carry out one test body on every history, each in a pool of its own. */
static void each_history(void (*body)(const history_t *, apr_uint64_t))
{
    apr_pool_t *parent = pool;
    apr_uint64_t from;
    unsigned int ended = 0;

    for (from = 1; from <= HISTORIES; from++) {
        history_t history;

        apr_pool_create(&pool, parent);
        seed = from;
        fill_history(&history);
        ended += history.image->ended != 0;
        body(&history, from);
        apr_pool_destroy(pool);
    }
    pool = parent;
    /* Both kinds have been seen, and many of each. */
    ck_assert_uint_gt(ended, HISTORIES / 10);
    ck_assert_uint_lt(ended, HISTORIES * 9 / 10);
}

static void check_order(const history_t *history, apr_uint64_t from)
{
    span_t shuffled[RECORDS_MAX];
    ha_image_t *image = ha_image_make(pool);
    unsigned int i;

    memcpy(shuffled, history->records, sizeof(shuffled));
    for (i = history->count - 1; i > 0; i--) {
        unsigned int at = chance(i + 1);
        span_t moved = shuffled[at];

        shuffled[at] = shuffled[i];
        shuffled[i] = moved;
    }
    for (i = 0; i < history->count; i++) {
        fold_into(image, shuffled[i]);
        if (chance(3) == 0) {
            fold_into(image, shuffled[chance(i + 1)]);
        }
    }
    expect_same(image, history->image, from);
}

START_TEST(order_and_repetition_of_records_make_no_difference)
{
    each_history(check_order);
}
END_TEST

/* Three nodes, each with some of the records, each with its own snapshots. */
static void check_split(const history_t *history, apr_uint64_t from)
{
    ha_image_t *nodes[3];
    ha_image_t *left = ha_image_make(pool);
    ha_image_t *right = ha_image_make(pool);
    unsigned int i;

    for (i = 0; i < 3; i++) {
        nodes[i] = ha_image_make(pool);
    }
    for (i = 0; i < history->count; i++) {
        unsigned int node = chance(3);

        fold_into(nodes[node], history->records[i]);
        fold_into(nodes[chance(3)], history->records[i]);
        if (chance(4) == 0) {
            ha_image_t *folded = ha_image_make(pool);

            fold_into(folded, bytes_of(nodes[node]));
            nodes[node] = folded;
        }
    }
    /* (0 + 1) + 2 and 2 + (1 + 0), once by merging and once by bytes. */
    ha_image_merge(left, nodes[0]);
    ha_image_merge(left, nodes[1]);
    ha_image_merge(left, nodes[2]);
    fold_into(right, bytes_of(nodes[1]));
    fold_into(right, bytes_of(nodes[0]));
    fold_into(nodes[2], bytes_of(right));
    expect_same(left, history->image, from);
    expect_same(nodes[2], history->image, from);
    ha_image_merge(left, left);
    expect_same(left, history->image, from);
}

START_TEST(any_split_over_nodes_and_any_snapshot_make_no_difference)
{
    each_history(check_split);
}
END_TEST

static void check_covers(const history_t *history, apr_uint64_t from)
{
    ha_image_t *part = ha_image_make(pool);
    history_t other;
    ha_image_t *sum = ha_image_make(pool);
    unsigned int i;

    for (i = 0; i < history->count / 2; i++) {
        fold_into(part, history->records[i]);
    }
    ck_assert(ha_image_covers(history->image, part));
    ck_assert(ha_image_covers(history->image, history->image));
    ck_assert_msg(ha_image_covers(part, history->image)
                      == is_same(part, history->image),
                  "seed %" APR_UINT64_T_FMT, from);
    fill_history(&other);
    ha_image_merge(sum, history->image);
    ha_image_merge(sum, other.image);
    ck_assert_msg(ha_image_covers(history->image, other.image)
                      == is_same(sum, history->image),
                  "seed %" APR_UINT64_T_FMT, from);
    ck_assert(ha_image_covers(sum, other.image));
}

START_TEST(an_image_covers_what_would_not_alter_it_and_nothing_else)
{
    each_history(check_covers);
}
END_TEST

static void check_has(const history_t *history, apr_uint64_t from)
{
    ha_change_t change = any_change();
    ha_image_t *applied = ha_image_make(pool);
    ha_image_t *folded = ha_image_make(pool);

    ha_image_merge(applied, history->image);
    ha_image_merge(folded, history->image);
    ha_delta_apply(applied, &change);
    fold_into(folded, ha_delta_encode(&sid, &change, NULL, pool));
    expect_same(applied, folded, from);
    ck_assert_msg(ha_image_has(history->image, &change)
                      == is_same(applied, history->image),
                  "seed %" APR_UINT64_T_FMT, from);
    ck_assert(ha_image_has(applied, &change));
}

START_TEST(an_image_has_the_changes_that_would_not_alter_it_and_no_other)
{
    each_history(check_has);
}
END_TEST

static ha_attr_t attr_of(apr_uint64_t time, const char *name,
                         const char *value)
{
    ha_attr_t attr;

    attr.stamp.time = time;
    attr.stamp.writer = 1;
    attr.op.name = span_of_text(name);
    attr.op.gone = value == NULL;
    attr.op.value = span_of_text(value != NULL ? value : "");
    return attr;
}

typedef struct row_t {
    apr_uint64_t time_a;
    const char *name_a;
    const char *value_a; /* NULL for gone */
    apr_uint64_t time_b;
    const char *name_b;
    const char *value_b;
    const char *shown; /* of the two, as name=value; "" for none */
} row_t;

static const row_t rows[] = {
    { 1, "user", "ada", 2, "user", "eve", "user=eve" },
    { 1, "user", "ada", 2, "USER", "ada", "USER=ada" },
    { 1, "user", "ada", 2, "user", NULL, "" },
    { 2, "user", "ada", 1, "user", NULL, "user=ada" },
    { 2, "user", "", 1, "user", "ada", "user=" },
    /* Stamps that tie: gone first, then bytes, then spelling. */
    { 1, "user", "ada", 1, "user", NULL, "" },
    { 1, "user", "zzz", 1, "user", NULL, "" },
    { 1, "user", "ada", 1, "user", "eve", "user=eve" },
    { 1, "user", "ada", 1, "user", "ad", "user=ada" },
    { 1, "user", "\xff", 1, "user", "a", "user=\xff" },
    { 1, "user", "ada", 1, "USER", "ada", "user=ada" },
    { 1, "user", "ada", 1, "USER", "bob", "USER=bob" },
};

START_TEST(the_winner_of_two_writes_does_not_depend_on_their_order)
{
    const row_t *row = &rows[_i];
    ha_attr_t a = attr_of(row->time_a, row->name_a, row->value_a);
    ha_attr_t b = attr_of(row->time_b, row->name_b, row->value_b);
    int order;

    for (order = 0; order < 2; order++) {
        ha_image_t *image = ha_image_make(pool);
        const apr_array_header_t *array;
        const char *shown = "";

        ha_image_put(image, order == 0 ? &a : &b);
        ha_image_put(image, order == 0 ? &b : &a);
        array = apr_table_elts(ha_image_table(image, pool));
        if (array->nelts > 0) {
            const void *elts = array->elts;
            const apr_table_entry_t *entry = elts;

            shown = apr_pstrcat(pool, entry->key, "=", entry->val, NULL);
        }
        ck_assert_str_eq(shown, row->shown);
        ck_assert_int_le(array->nelts, 1);
        ck_assert(ha_image_has_attr(image, &a)
                  && ha_image_has_attr(image, &b));
    }
}
END_TEST

START_TEST(a_stamp_is_ordered_by_time_and_then_by_writer)
{
    static const ha_stamp_t stamps[] = {
        { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 },
        { 1, 0xffffffffffffffff }, { 2, 0 }, { 0xffffffffffffffff, 0 }
    };
    int i;
    int j;

    for (i = 0; i < LENGTH_OF(stamps); i++) {
        for (j = 0; j < LENGTH_OF(stamps); j++) {
            int diff = ha_stamp_compare(stamps[i], stamps[j]);

            ck_assert_int_eq(diff < 0, i < j);
            ck_assert_int_eq(diff > 0, i > j);
        }
    }
}
END_TEST

START_TEST(nothing_revives_an_image_that_ended)
{
    ha_image_t *image = ha_image_make(pool);
    ha_image_t *alive = ha_image_make(pool);
    ha_attr_t late = attr_of(0xffffffffffffffff, "user", "ada");
    ha_op_t op = { { "user", 4 }, { "ada", 3 }, 0 };
    ha_change_t change = { { 0xffffffffffffffff, 9 }, 99, &op, 1 };
    ha_image_t *tomb;

    ha_image_put(image, &late);
    ha_image_put(alive, &late);
    ha_image_end(image);
    tomb = ha_image_make(pool);
    ha_image_end(tomb);
    ck_assert(!ha_image_covers(alive, image));
    ck_assert(ha_image_covers(image, alive));
    ha_image_put(image, &late);
    ha_image_use(image, late.stamp, 1234);
    ha_delta_apply(image, &change);
    ha_image_merge(image, alive);
    ck_assert(image->ended && is_same(image, tomb));
    ck_assert(ha_image_has(image, &change));
    ck_assert(apr_is_empty_table(ha_image_table(image, pool)));
    ha_image_merge(alive, tomb);
    ck_assert(is_same(alive, tomb));
}
END_TEST

/* A merge copies: the image lives on when the pool of the other is gone. */
START_TEST(a_merged_image_borrows_nothing)
{
    ha_image_t *image = ha_image_make(pool);
    ha_attr_t attr = attr_of(1, "user", "ada");
    apr_pool_t *other_pool;
    ha_image_t *other;

    apr_pool_create(&other_pool, NULL);
    other = ha_image_make(other_pool);
    ha_image_put(other, &attr);
    ha_image_keep(other, other->fields, span_of_text("field"));
    ha_image_keep(other, other->records, span_of_text("record"));
    ha_image_merge(image, other);
    memset(apr_palloc(other_pool, 64), '?', 64);
    apr_pool_destroy(other_pool);
    ck_assert_str_eq(apr_table_get(ha_image_table(image, pool), "user"),
                     "ada");
    ck_assert_ptr_nonnull(apr_hash_get(image->fields, "field", 5));
    ck_assert_ptr_nonnull(apr_hash_get(image->records, "record", 6));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ha_image");
    TCase *tests = tcase_create("ha_image");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, order_and_repetition_of_records_make_no_difference);
    tcase_add_test(tests,
                   any_split_over_nodes_and_any_snapshot_make_no_difference);
    tcase_add_test(tests,
                   an_image_covers_what_would_not_alter_it_and_nothing_else);
    tcase_add_test(
        tests, an_image_has_the_changes_that_would_not_alter_it_and_no_other);
    tcase_add_loop_test(tests,
                        the_winner_of_two_writes_does_not_depend_on_their_order,
                        0, LENGTH_OF(rows));
    tcase_add_test(tests, a_stamp_is_ordered_by_time_and_then_by_writer);
    tcase_add_test(tests, nothing_revives_an_image_that_ended);
    tcase_add_test(tests, a_merged_image_borrows_nothing);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
