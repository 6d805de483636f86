/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_board.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#define THREADS 4
#define ROUNDS 20000
#define MANY 3000

static clone_board_t *board;
static const unsigned char key[CLONE_BOARD_KEY] = "0123456789abcde";

static void set_up(void)
{
    board = mmap(NULL, clone_board_size(), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(board, MAP_FAILED);
    ck_assert_int_eq(clone_board_is_made(board), 0);
    clone_board_init(board, key);
    ck_assert_int_eq(clone_board_is_made(board), 1);
    clone_board_begin(board);
}

static void tear_down(void)
{
    ck_assert_int_eq(munmap(board, clone_board_size()), 0);
}

static clone_slot_no slot_of(const char *balancer, const char *member)
{
    clone_board_key_t own;

    clone_board_key(&own, board, span_of_text(balancer));
    return clone_board_slot(board, &own, span_of_text(member));
}

START_TEST(a_member_has_one_number)
{
    clone_slot_no a = slot_of("balancer://x", "A");

    ck_assert_uint_gt(a, CLONE_SLOT_WAITERS);
    ck_assert_uint_lt(a, CLONE_SLOTS);
    ck_assert_uint_eq(slot_of("balancer://x", "A"), a);
    ck_assert_uint_ne(slot_of("balancer://x", "B"), a);
    ck_assert_uint_ne(slot_of("balancer://y", "A"), a);
    ck_assert_uint_ne(slot_of("balancer://", "xA"), slot_of("balancer://x",
                                                           "A"));
}
END_TEST

START_TEST(too_many_members_are_none)
{
    char name[16];
    int none = 0;
    int i;

    for (i = 0; i < 2 * CLONE_SLOTS; i++) {
        (void)snprintf(name, sizeof(name), "m%d", i);
        none += slot_of("b", name) == 0;
    }
    ck_assert_int_ge(none, CLONE_SLOTS);
    ck_assert_int_lt(none, CLONE_SLOTS + 512);
    ck_assert_uint_ne(slot_of("b", "m0"), 0);
}
END_TEST

static apr_uint64_t session_hash(const char *balancer, const char *session)
{
    clone_board_key_t own;

    clone_board_key(&own, board, span_of_text(balancer));
    return clone_board_hash(&own, span_of_text(session));
}

START_TEST(a_session_belongs_to_its_balancer)
{
    ck_assert_uint_eq(session_hash("x", "s"), session_hash("x", "s"));
    ck_assert_uint_ne(session_hash("x", "s"), session_hash("x", "t"));
    ck_assert_uint_ne(session_hash("x", "s"), session_hash("y", "s"));
}
END_TEST

START_TEST(times_are_kept)
{
    clone_slot_no a = slot_of("x", "A");

    ck_assert_int_eq(clone_board_last(board, a), 0);
    clone_board_note(board, a, 50);
    clone_board_note(board, a, 40);
    ck_assert_int_eq(clone_board_last(board, a), 50);
    ck_assert_int_eq(clone_board_missed(board, a), 0);
    clone_board_miss(board, a, 70);
    clone_board_miss(board, a, 60);
    ck_assert_int_eq(clone_board_missed(board, a), 70);
    ck_assert_int_eq(clone_board_drain(board, a, 0, 10), 0);
    ck_assert_int_eq(clone_board_drain(board, a, 1, 11), 11);
    ck_assert_int_eq(clone_board_drain(board, a, 1, 12), 11);
    ck_assert_int_eq(clone_board_drain(board, a, 0, 13), 0);
    ck_assert_int_eq(clone_board_drain(board, a, 1, 14), 14);
}
END_TEST

START_TEST(who_was_away_is_back_since_he_was_seen)
{
    clone_slot_no a = slot_of("x", "A");

    ck_assert_int_eq(clone_board_back(board, a), 0);
    clone_board_watch(board, a, 1, 10, 15);
    clone_board_watch(board, a, 1, 7, 20);
    ck_assert_int_eq(clone_board_back(board, a), 10);
    clone_board_watch(board, a, 0, 7, 30);
    ck_assert_int_eq(clone_board_back(board, a), 0);
    clone_board_watch(board, a, 0, 7, 40);
    clone_board_watch(board, a, 1, 7, 50);
    clone_board_watch(board, a, 1, 7, 60);
    ck_assert_int_eq(clone_board_back(board, a), 50);
    ck_assert_int_eq(clone_board_back(board, slot_of("x", "B")), 0);
}
END_TEST

/* ---- requests under way -------------------------------------------------- */

static void *fly(void *unused)
{
    clone_slot_no slot[3];
    int i;

    (void)unused;
    slot[0] = slot_of("x", "A");
    slot[1] = slot_of("x", "B");
    slot[2] = slot_of("y", "A");
    for (i = 0; i < ROUNDS; i++) {
        clone_flight_t flight = clone_board_enter(board, slot[i % 3]);

        clone_board_leave(board, flight);
    }
    return NULL;
}

START_TEST(threads_leave_no_request_behind)
{
    pthread_t thread[THREADS];
    clone_flight_t one = clone_board_enter(board, slot_of("x", "B"));
    int i;

    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, fly, NULL), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    }
    ck_assert_uint_eq(clone_board_flights(board, slot_of("x", "A")), 0);
    ck_assert_uint_eq(clone_board_flights(board, slot_of("x", "B")), 1);
    ck_assert_uint_eq(clone_board_flights(board, slot_of("y", "A")), 0);
    clone_board_leave(board, one);
    ck_assert_uint_eq(clone_board_flights(board, slot_of("x", "B")), 0);
}
END_TEST

/* A process that does something and then waits to be killed. */
static pid_t start_child(void (*work)(void))
{
    pid_t child;
    int ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        clone_board_begin(board);
        work();
        (void)!write(ready[1], "", 1);
        for (;;) {
            (void)pause();
        }
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(close(ready[0]), 0);
    ck_assert_int_eq(close(ready[1]), 0);
    return child;
}

static void end_child(pid_t child)
{
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

static void two_requests(void)
{
    (void)clone_board_enter(board, slot_of("x", "A"));
    (void)clone_board_enter(board, slot_of("x", "A"));
}

START_TEST(what_a_process_counted_ends_with_it)
{
    clone_slot_no a = slot_of("x", "A");
    pid_t child = start_child(two_requests);
    pid_t other = start_child(two_requests);

    (void)clone_board_enter(board, a);
    ck_assert_uint_eq(clone_board_flights(board, a), 5);
    end_child(child);
    ck_assert_uint_eq(clone_board_flights(board, a), 3);
    end_child(other);
    ck_assert_uint_eq(clone_board_flights(board, a), 1);
    clone_board_begin(board);
    ck_assert_uint_eq(clone_board_flights(board, a), 0);
}
END_TEST

/* ---- with a limit -------------------------------------------------------- */

#define MOST 3

static int seen_at_once[MOST * THREADS + 1];

static void *crowd(void *unused)
{
    clone_slot_no a = slot_of("x", "A");
    int i;

    (void)unused;
    for (i = 0; i < ROUNDS; i++) {
        clone_flight_t flight;

        if (clone_board_try(&flight, board, a, MOST, i)) {
            unsigned int now = clone_board_flights(board, a);

            __atomic_fetch_add(&seen_at_once[now], 1, __ATOMIC_RELAXED);
            clone_board_leave(board, flight);
        }
    }
    return NULL;
}

START_TEST(there_are_never_more_than_the_limit)
{
    pthread_t thread[THREADS];
    clone_slot_no a = slot_of("x", "A");
    clone_flight_t one = clone_board_enter(board, a);
    clone_flight_t flight;
    int i;

    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, crowd, NULL), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    }
    for (i = MOST + 1; i <= MOST * THREADS; i++) {
        ck_assert_int_eq(seen_at_once[i], 0);
    }
    ck_assert_int_eq(clone_board_is_full(board, a, 1, 1), 1);
    ck_assert_int_eq(clone_board_is_full(board, a, 2, 1), 0);
    clone_board_leave(board, one);
    ck_assert_int_eq(clone_board_is_full(board, a, 1, 1), 0);
    ck_assert_int_eq(clone_board_try(&flight, board, a, 0, 1), 0);
    ck_assert_uint_eq(flight.slot, 0);
}
END_TEST

/* Ask at times half a second apart; how often the member was full. */
static int full_looks(clone_slot_no slot, unsigned int most)
{
    static apr_time_t now;
    int looks = 0;

    while (looks < 10) {
        now += APR_USEC_PER_SEC / 2;
        if (!clone_board_is_full(board, slot, most, now)) {
            break;
        }
        looks++;
    }
    return looks;
}

START_TEST(a_killed_process_takes_its_places_along)
{
    clone_slot_no a = slot_of("x", "A");
    pid_t child = start_child(two_requests);
    clone_flight_t flight;

    ck_assert_int_eq(full_looks(a, 2), 10);
    end_child(child);
    ck_assert_int_eq(full_looks(a, 2), 1);
    ck_assert_int_eq(full_looks(a, 1), 0);
    ck_assert_int_eq(clone_board_try(&flight, board, a, 2, 1), 1);
    clone_board_leave(board, flight);
}
END_TEST

/* What is left by one that is killed between sum and cell. */
START_TEST(a_sum_that_is_wrong_is_put_right)
{
    clone_slot_no a = slot_of("x", "A");
    clone_slot_no b = slot_of("x", "B");
    clone_flight_t at_a = clone_board_enter(board, a);
    clone_flight_t at_b = clone_board_enter(board, b);
    clone_flight_t mixed = at_a;

    mixed.cell = at_b.cell;
    clone_board_leave(board, mixed);
    /* one at A that the sum has not, none at B that it has */
    ck_assert_int_eq(full_looks(a, 1), 0);
    ck_assert_int_eq(full_looks(b, 1), 2);
    ck_assert_int_eq(full_looks(a, 0), 10);
    ck_assert_int_eq(full_looks(a, 1), 10);
    ck_assert_uint_eq(clone_board_flights(board, a), 1);
    clone_board_leave(board, at_a);
    ck_assert_int_eq(full_looks(a, 1), 0);
}
END_TEST

START_TEST(who_waits_is_counted_apart)
{
    clone_slot_no a = slot_of("x", "A");
    clone_slot_no queue = clone_board_queue(board, a);
    clone_flight_t place;

    ck_assert_uint_gt(queue, CLONE_SLOT_WAITERS);
    ck_assert_uint_ne(queue, a);
    ck_assert_uint_eq(clone_board_queue(board, a), queue);
    ck_assert_uint_ne(clone_board_queue(board, slot_of("x", "B")), queue);
    ck_assert_int_eq(clone_board_try(&place, board, queue, 1, 1), 1);
    ck_assert_int_eq(clone_board_is_full(board, queue, 1, 1), 1);
    ck_assert_uint_eq(clone_board_flights(board, a), 0);
    clone_board_leave(board, place);
}
END_TEST

START_TEST(what_became_of_them_is_counted_and_told_now_and_then)
{
    clone_slot_no a = slot_of("x", "A");
    int i;

    for (i = 0; i < CLONE_BOARD_COUNTS; i++) {
        int times;

        for (times = 0; times <= i; times++) {
            clone_board_count(board, a, (clone_board_count_e)i);
        }
        clone_board_count(board, slot_of("x", "B"), (clone_board_count_e)i);
        ck_assert_uint_eq(clone_board_counted(board, a,
                                              (clone_board_count_e)i),
                          (unsigned int)i + 1);
        ck_assert_uint_eq(clone_board_counted_all(board,
                                                  (clone_board_count_e)i),
                          (unsigned int)i + 2);
    }
    ck_assert_int_eq(clone_board_may_tell(board, a, 100, 5000), 1);
    ck_assert_int_eq(clone_board_may_tell(board, a, 100, 5099), 0);
    ck_assert_int_eq(clone_board_may_tell(board, a, 100, 5100), 1);
    /* a clock that was set back */
    ck_assert_int_eq(clone_board_may_tell(board, a, 100, 10), 1);
}
END_TEST

static clone_slot_no many_slot(int i)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "m%d", i);
    return slot_of("b", name);
}

/* Requests to many members, all at once, then none. */
static void many_requests(void)
{
    clone_flight_t flight[MANY];
    int i;

    for (i = 0; i < MANY; i++) {
        flight[i] = clone_board_enter(board, many_slot(i));
    }
    for (i = 0; i < MANY; i++) {
        clone_board_leave(board, flight[i]);
    }
}

START_TEST(more_requests_than_there_are_cells_are_counted_too)
{
    clone_flight_t flight[MANY];
    pid_t child[6];
    int uncelled = 0;
    int i;

    for (i = 0; i < 6; i++) {
        child[i] = start_child(many_requests);
    }
    for (i = 0; i < MANY; i++) {
        flight[i] = clone_board_enter(board, many_slot(i));
        uncelled += flight[i].cell < 0;
    }
    ck_assert_int_gt(uncelled, 0);
    for (i = 0; i < MANY; i += 100) {
        ck_assert_uint_eq(clone_board_flights(board, many_slot(i)), 1);
    }
    for (i = 0; i < 6; i++) {
        end_child(child[i]);
    }
    for (i = 0; i < MANY; i++) {
        clone_board_leave(board, flight[i]);
    }
    /* and the cells of who is gone serve others */
    uncelled = 0;
    for (i = 0; i < MANY; i++) {
        uncelled += clone_board_enter(board, many_slot(i)).cell < 0;
    }
    ck_assert_int_eq(uncelled, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_board");
    TCase *tests = tcase_create("clone_board");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_member_has_one_number);
    tcase_add_test(tests, too_many_members_are_none);
    tcase_add_test(tests, a_session_belongs_to_its_balancer);
    tcase_add_test(tests, times_are_kept);
    tcase_add_test(tests, who_was_away_is_back_since_he_was_seen);
    tcase_add_test(tests, threads_leave_no_request_behind);
    tcase_add_test(tests, what_a_process_counted_ends_with_it);
    tcase_add_test(tests, there_are_never_more_than_the_limit);
    tcase_add_test(tests, a_killed_process_takes_its_places_along);
    tcase_add_test(tests, a_sum_that_is_wrong_is_put_right);
    tcase_add_test(tests, who_waits_is_counted_apart);
    tcase_add_test(tests,
                   what_became_of_them_is_counted_and_told_now_and_then);
    tcase_add_test(tests,
                   more_requests_than_there_are_cells_are_counted_too);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
