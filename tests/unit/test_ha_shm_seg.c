/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include <apr_general.h>

#include "ha_limits.h"
#include "ha_shm_seg.h"

#define SIZE (1024 * 1024)
#define NOW ((apr_time_t)1000)
#define LATER (NOW + 1000)
#define KEYS 40
#define RECORD 100

/* What processes share. */
typedef struct shared_t {
    ha_seg_t seg;
    apr_uint32_t progress;
} shared_t;

static apr_pool_t *pool;
static shared_t *shared;
static ha_seg_t *seg;

static void set_up(void)
{
    char *memory = mmap(NULL, SIZE + HA_BLOCK * 4, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_uint_le(sizeof(*shared), HA_BLOCK * 4);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    shared = (void *)memory;
    seg = &shared->seg;
    ck_assert_int_eq(ha_seg_init(seg, memory + HA_BLOCK * 4, SIZE),
                     APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    ck_assert_int_eq(munmap(shared, SIZE + HA_BLOCK * 4), 0);
}

/* ---- helpers ------------------------------------------------------------ */

static span_t key_of(char *buffer, apr_size_t size, unsigned int number)
{
    return span_of(buffer, (apr_size_t)snprintf(buffer, size, "key-%u",
                                                number));
}

static apr_uint32_t hash_of(span_t key)
{
    return (apr_uint32_t)ha_seg_hash(key);
}

/* Records of key number: each tells its key and its place. */
static span_t records_of(char *buffer, unsigned int number, apr_size_t first,
                         apr_size_t count)
{
    apr_size_t i;

    for (i = 0; i < count * RECORD; i++) {
        apr_size_t at = first * RECORD + i;

        buffer[i] = (char)(number * 31 + at * 7 + at / RECORD);
    }
    return span_of(buffer, count * RECORD);
}

static ha_block_no find(unsigned int number)
{
    char buffer[32];
    span_t key = key_of(buffer, sizeof(buffer), number);

    return ha_seg_find(seg, key, hash_of(key), NOW);
}

/* Give key number so many records. */
static ha_block_no put(unsigned int number, apr_size_t count)
{
    static char data[HA_VALUE_MAX];
    char buffer[32];
    span_t key = key_of(buffer, sizeof(buffer), number);
    ha_block_no old = ha_seg_find(seg, key, hash_of(key), NOW);

    return ha_seg_put(seg, key, hash_of(key), old,
                      records_of(data, number, 0, count), LATER, NOW);
}

static int append(unsigned int number, apr_size_t count)
{
    static char data[HA_VALUE_MAX];
    ha_block_no head = find(number);

    return head
           && ha_seg_append(seg, head,
                            records_of(data, number,
                                       ha_seg_item(seg, head)->len / RECORD,
                                       count),
                            NOW);
}

/* The value is whole records, and nothing else. */
static void assert_is_whole(unsigned int number, ha_block_no head)
{
    static char data[HA_VALUE_MAX];
    span_t held = ha_seg_copy(seg, head, pool);

    ck_assert_uint_eq(held.len % RECORD, 0);
    ck_assert_mem_eq(held.data,
                     records_of(data, number, 0, held.len / RECORD).data,
                     held.len);
    apr_pool_clear(pool);
}

/* Every list agrees with every other, and no block is lost. */
static void assert_is_in_order(void)
{
    apr_uint32_t items = 0;
    apr_uint32_t held = 0;
    apr_uint32_t unused = 0;
    ha_block_no newer = 0;
    ha_block_no no;
    apr_uint64_t used = APR_UINT64_MAX;

    for (no = seg->newest; no; no = ha_seg_item(seg, no)->older) {
        const ha_item_t *item = ha_seg_item(seg, no);
        span_t key = span_of(item->text, item->key_len);

        ck_assert_uint_eq(seg->block[no].kind, HA_BLOCK_LIVE);
        ck_assert_uint_eq(item->newer, newer);
        ck_assert(item->used <= used);
        ck_assert_uint_eq(ha_seg_lookup(seg, key, item->hash), no);
        held += ha_seg_blocks_of(item->key_len, item->len);
        newer = no;
        used = item->used;
        items++;
    }
    ck_assert_uint_eq(seg->oldest, newer);
    ck_assert_uint_eq(seg->items, items);
    for (no = seg->unused; no; no = seg->block[no].next) {
        unused++;
        ck_assert_uint_le(unused, seg->blocks);
    }
    ck_assert_uint_eq(seg->free, unused + seg->blocks - (seg->fresh - 1));
    ck_assert_uint_eq(held + seg->free, seg->blocks);
}

/* ---- values ------------------------------------------------------------- */

START_TEST(an_empty_segment_is_in_order)
{
    assert_is_in_order();
    ck_assert_uint_eq(find(1), 0);
    ck_assert_uint_gt(seg->blocks * HA_BLOCK, SIZE * 98 / 100);
}
END_TEST

START_TEST(all_blocks_can_be_used_and_come_back)
{
    unsigned int i;

    for (i = 0; seg->free; i++) {
        ck_assert_uint_ne(put(i, 1), 0);
    }
    ck_assert_uint_eq(seg->items, seg->blocks);
    ck_assert_uint_eq(seg->dropped, 0);
    assert_is_in_order();
    while (i-- > 0) {
        assert_is_whole(i, find(i));
        ha_seg_remove(seg, find(i));
    }
    ck_assert_uint_eq(seg->free, seg->blocks);
    assert_is_in_order();
}
END_TEST

START_TEST(keys_of_one_bucket_are_told_apart)
{
    apr_uint32_t mask = seg->mask;
    unsigned int i;

    seg->mask = 0;
    for (i = 0; i < KEYS; i++) {
        ck_assert_uint_ne(put(i, 1 + i), 0);
    }
    for (i = 0; i < KEYS; i++) {
        assert_is_whole(i, find(i));
    }
    for (i = 1; i < KEYS; i += 2) {
        ha_seg_remove(seg, find(i));
    }
    for (i = 0; i < KEYS; i++) {
        ck_assert_int_eq(find(i) != 0, i % 2 == 0);
    }
    assert_is_in_order();
    seg->mask = mask;
}
END_TEST

/* ---- rebuilding --------------------------------------------------------- */

static void fill_some(void)
{
    unsigned int i;

    for (i = 0; i < KEYS; i++) {
        ck_assert_uint_ne(put(i, i % 23), 0);
        ck_assert_int_eq(append(i, i % 7), 1);
    }
    for (i = 0; i < KEYS; i += 3) {
        ha_seg_remove(seg, find(i));
    }
    for (i = 1; i < KEYS; i += 3) {
        ck_assert_uint_ne(find(KEYS - 1 - i), 0);
    }
}

START_TEST(a_rebuilt_segment_holds_what_it_held_in_the_same_order)
{
    ha_block_no order[KEYS];
    unsigned int count = 0;
    unsigned int i;
    ha_block_no no;
    apr_uint32_t held;

    fill_some();
    held = seg->free;
    for (no = seg->newest; no; no = ha_seg_item(seg, no)->older) {
        order[count++] = no;
    }
    memset(seg->bucket, 0xff, ((apr_size_t)seg->mask + 1) * 4);
    seg->unused = 0xffffffff;
    seg->free = 1;
    seg->items = 12345;
    seg->newest = 7;
    seg->oldest = 0xffffffff;
    ha_seg_rebuild(seg);
    assert_is_in_order();
    ck_assert_uint_eq(seg->items, count);
    ck_assert_uint_eq(seg->free, held);
    for (i = 0, no = seg->newest; no; no = ha_seg_item(seg, no)->older) {
        ck_assert_uint_eq(no, order[i++]);
    }
    for (i = 0; i < KEYS; i++) {
        ck_assert_int_eq(find(i) != 0, i % 3 != 0);
        if (find(i)) {
            assert_is_whole(i, find(i));
        }
    }
}
END_TEST

START_TEST(an_item_that_was_being_written_is_forgotten)
{
    apr_uint32_t before = seg->free;
    ha_block_no head = put(1, 20);

    seg->block[head].kind = HA_BLOCK_NEW;
    ha_seg_rebuild(seg);
    ck_assert_uint_eq(find(1), 0);
    ck_assert_uint_eq(seg->free, before);
    assert_is_in_order();
}
END_TEST

START_TEST(an_append_that_was_not_committed_did_not_happen)
{
    ha_block_no head = put(1, 20);
    apr_uint32_t before = seg->free;

    ck_assert_int_eq(append(1, 30), 1);
    ha_seg_item(seg, head)->len = 20 * RECORD;
    ha_seg_rebuild(seg);
    ck_assert_uint_eq(ha_seg_item(seg, find(1))->len, 20 * RECORD);
    assert_is_whole(1, head);
    ck_assert_uint_eq(seg->free, before);
    assert_is_in_order();
    ck_assert_int_eq(append(1, 30), 1);
    assert_is_whole(1, head);
}
END_TEST

START_TEST(of_two_items_of_one_key_the_newer_counts)
{
    ha_block_no old = put(1, 2);
    ha_block_no new = put(1, 3);

    /* what a death leaves behind that came before the old one was freed */
    seg->block[old].kind = HA_BLOCK_LIVE;
    ha_seg_rebuild(seg);
    ck_assert_uint_eq(find(1), new);
    assert_is_whole(1, new);
    assert_is_in_order();
}
END_TEST

static const struct {
    const char *what;
    apr_uint32_t len;
    apr_uint32_t key_len;
    apr_uint32_t index;
    ha_block_no next;
} wrong[] = {
    { "length", 0x7fffffff, 5, 1, 0 },
    { "key", 20 * RECORD, 0xffffffff, 1, 0 },
    { "place", 20 * RECORD, 5, 9, 0 },
    { "chain too short", 100 * RECORD, 5, 1, 0 },
    { "chain to nowhere", 20 * RECORD, 5, 1, 0x7fffffff },
    { "chain into a circle", 20 * RECORD, 5, 1, 1 },
};

START_TEST(a_head_that_makes_no_sense_is_forgotten)
{
    ha_block_no head = put(1, 20);
    ha_block_no body = seg->block[head].next;

    ck_assert_uint_eq(head, 1);
    ck_assert_uint_ne(put(2, 20), 0);
    ha_seg_item(seg, head)->len = wrong[_i].len;
    ha_seg_item(seg, head)->key_len = wrong[_i].key_len;
    seg->block[body].index = wrong[_i].index;
    if (wrong[_i].next) {
        seg->block[body].next = wrong[_i].next;
    }
    ha_seg_rebuild(seg);
    ck_assert_msg(find(1) == 0, "kept in spite of its %s", wrong[_i].what);
    assert_is_whole(2, find(2));
    assert_is_in_order();
}
END_TEST

/* ---- dying -------------------------------------------------------------- */

/* Work on random keys, for ever. */
static void work(unsigned int seed)
{
    for (;;) {
        seed = seed * 1103515245u + 12345u;
        if (pthread_mutex_lock(&seg->lock) != 0) {
            _exit(1);
        }
        switch (seed >> 16 & 7) {
        case 0:
            if (find(seed >> 20 & 31)) {
                ha_seg_remove(seg, find(seed >> 20 & 31));
            }
            break;
        case 1:
            ha_seg_rebuild(seg);
            break;
        case 2:
        case 3:
        case 4:
            (void)put(seed >> 20 & 31, seed >> 25 & 127);
            break;
        default:
            (void)append(seed >> 20 & 31, seed >> 25 & 31);
            break;
        }
        __atomic_add_fetch(&shared->progress, 1, __ATOMIC_RELAXED);
        (void)pthread_mutex_unlock(&seg->lock);
    }
}

/* Let it work for a while that differs from call to call, and kill it. */
static void kill_a_worker(unsigned int round)
{
    apr_time_t deadline = apr_time_now() + 20 * APR_USEC_PER_SEC;
    int status = 0;
    pid_t pid;

    shared->progress = 0;
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        work(round);
    }
    while (__atomic_load_n(&shared->progress, __ATOMIC_RELAXED)
           < 1 + round * 37 % 300) {
        ck_assert(apr_time_now() < deadline);
    }
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
}

START_TEST(whoever_is_killed_leaves_only_whole_items)
{
    unsigned int deaths = 0;
    unsigned int round;

    for (round = 0; round < 100; round++) {
        unsigned int i;
        int rv;

        kill_a_worker(round);
        rv = pthread_mutex_lock(&seg->lock);
        if (rv == EOWNERDEAD) {
            ha_seg_rebuild(seg);
            rv = pthread_mutex_consistent(&seg->lock);
            deaths++;
        }
        ck_assert_int_eq(rv, 0);
        assert_is_in_order();
        for (i = 0; i < 32; i++) {
            ha_block_no head = find(i);

            if (head) {
                assert_is_whole(i, head);
            }
        }
        ck_assert_int_eq(pthread_mutex_unlock(&seg->lock), 0);
    }
    /* or this test has proved nothing */
    ck_assert_uint_gt(deaths, 10);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_shm_seg");
    TCase *tcase = tcase_create("segment");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, an_empty_segment_is_in_order);
    tcase_add_test(tcase, all_blocks_can_be_used_and_come_back);
    tcase_add_test(tcase, keys_of_one_bucket_are_told_apart);
    tcase_add_test(tcase,
                   a_rebuilt_segment_holds_what_it_held_in_the_same_order);
    tcase_add_test(tcase, an_item_that_was_being_written_is_forgotten);
    tcase_add_test(tcase, an_append_that_was_not_committed_did_not_happen);
    tcase_add_test(tcase, of_two_items_of_one_key_the_newer_counts);
    tcase_add_loop_test(tcase, a_head_that_makes_no_sense_is_forgotten, 0,
                        (int)(sizeof(wrong) / sizeof(wrong[0])));
    tcase_add_test(tcase, whoever_is_killed_leaves_only_whole_items);
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
