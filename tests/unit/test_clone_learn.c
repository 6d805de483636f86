/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_learn.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include <apr_general.h>

#define ROOM 64
#define T(sec) apr_time_from_sec(1700000000 + (sec))

static const unsigned char key[CLONE_LEARN_KEY] = "0123456789abcdef";
static clone_learn_t *learn;

static clone_learn_t *make(unsigned int ids)
{
    clone_learn_t *made = mmap(NULL, clone_learn_size(ids),
                               PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(made, MAP_FAILED);
    ck_assert(clone_learn_is_blank(made));
    clone_learn_init(made, ids, key);
    ck_assert(!clone_learn_is_blank(made));
    return made;
}

static void set_up(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    learn = make(ROOM);
}

static void tear_down(void)
{
    (void)munmap(learn, clone_learn_size(ROOM));
    apr_terminate();
}

static apr_uint32_t member(const char *name)
{
    return clone_learn_member(learn, span_of_text(name));
}

static clone_learn_put_e put(const char *id, apr_uint32_t number, int sec)
{
    return clone_learn_put(learn, span_of_text("balancer://x"),
                           span_of_text(id), number, T(sec));
}

static apr_uint32_t find(const char *id, int sec)
{
    return clone_learn_find(learn, span_of_text("balancer://x"),
                            span_of_text(id), T(sec));
}

static unsigned int count(clone_learn_count_e which)
{
    return (unsigned int)clone_learn_count(learn, which);
}

START_TEST(an_id_that_nobody_put_is_not_known)
{
    ck_assert_uint_eq(find("7", 0), 0);
    ck_assert_uint_eq(find("", 0), 0);
    ck_assert_uint_eq(clone_learn_held(learn), 0);
}
END_TEST

START_TEST(an_id_leads_to_the_member_that_it_was_put_with)
{
    ck_assert_int_eq(put("7", member("a"), 0), CLONE_LEARN_NEW);
    ck_assert_int_eq(put("8", member("b"), 0), CLONE_LEARN_NEW);
    ck_assert_int_eq(put("7", member("a"), 1), CLONE_LEARN_KEPT);
    ck_assert_uint_eq(find("7", 2), member("a"));
    ck_assert_uint_eq(find("8", 2), member("b"));
    ck_assert_uint_eq(find("77", 2), 0);
    ck_assert_uint_eq(clone_learn_held(learn), 2);
    ck_assert_uint_eq(count(CLONE_LEARN_LEARNED), 2);
    ck_assert_uint_eq(count(CLONE_LEARN_EVICTED), 0);
}
END_TEST

START_TEST(an_id_that_moves_leads_to_its_new_member_alone)
{
    ck_assert_int_eq(put("7", member("a"), 0), CLONE_LEARN_NEW);
    ck_assert_int_eq(put("7", member("b"), 1), CLONE_LEARN_NEW);
    ck_assert_uint_eq(find("7", 2), member("b"));
    ck_assert_uint_eq(clone_learn_held(learn), 1);
    ck_assert_uint_eq(count(CLONE_LEARN_LEARNED), 2);
    ck_assert_uint_eq(count(CLONE_LEARN_EVICTED), 0);
}
END_TEST

START_TEST(the_same_id_of_another_balancer_is_another_id)
{
    ck_assert_int_eq(put("7", member("a"), 0), CLONE_LEARN_NEW);
    ck_assert_uint_eq(clone_learn_find(learn, span_of_text("balancer://x7"),
                                       span_of_text(""), T(1)), 0);
    ck_assert_uint_eq(clone_learn_find(learn, span_of_text("balancer://"),
                                       span_of_text("x7"), T(1)), 0);
    ck_assert_uint_eq(clone_learn_find(learn, span_of_text("balancer://y"),
                                       span_of_text("7"), T(1)), 0);
}
END_TEST

START_TEST(members_have_numbers_that_depend_on_the_key)
{
    static const unsigned char other[CLONE_LEARN_KEY] = "0123456789abcdeF";
    clone_learn_t *second = calloc(1, clone_learn_size(ROOM));
    int i;

    clone_learn_init(second, ROOM, other);
    for (i = 0; i < 1000; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "m%d", i);
        ck_assert_uint_ne(member(name), 0);
        ck_assert_uint_ne(member(name), clone_learn_member(
            second, span_of_text(name)));
    }
    free(second);
}
END_TEST

START_TEST(however_many_are_put_the_table_keeps_its_size)
{
    char id[16];
    int i;

    for (i = 0; i < 100 * ROOM; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        ck_assert_int_eq(put(id, member("a"), i), CLONE_LEARN_NEW);
        ck_assert_uint_eq(find(id, i), member("a"));
    }
    ck_assert_uint_eq(clone_learn_room(learn), ROOM);
    ck_assert_uint_eq(clone_learn_held(learn), ROOM);
    ck_assert_uint_eq(count(CLONE_LEARN_LEARNED), 100 * ROOM);
    ck_assert_uint_eq(count(CLONE_LEARN_EVICTED), 99 * ROOM);
}
END_TEST

START_TEST(what_is_in_use_is_not_forgotten)
{
    char id[16];
    int i;

    ck_assert_int_eq(put("used", member("a"), 0), CLONE_LEARN_NEW);
    ck_assert_int_eq(put("idle", member("a"), 0), CLONE_LEARN_NEW);
    for (i = 1; i < 100 * ROOM; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        ck_assert_uint_eq(find("used", i), member("a"));
        ck_assert_int_eq(put(id, member("b"), i), CLONE_LEARN_NEW);
    }
    ck_assert_uint_eq(find("used", i), member("a"));
    ck_assert_uint_eq(find("idle", i), 0);
}
END_TEST

START_TEST(a_table_has_room_for_what_was_asked)
{
    static const unsigned int asked[] = { 1, 8, 9, 64, 65, 4096, 100000 };
    clone_learn_t *made = make(asked[_i]);

    ck_assert_uint_ge(clone_learn_room(made), asked[_i]);
    ck_assert_uint_lt(clone_learn_room(made), 2 * asked[_i] + 8);
    (void)munmap(made, clone_learn_size(asked[_i]));
}
END_TEST

/* Run the work in children at once, and see all of them succeed. */
static void run_children(int children, void (*work)(int child))
{
    pid_t pid[8];
    int status;
    int i;

    for (i = 0; i < children; i++) {
        pid[i] = fork();
        ck_assert_int_ge(pid[i], 0);
        if (pid[i] == 0) {
            work(i);
            _exit(0);
        }
    }
    for (i = 0; i < children; i++) {
        ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Each child puts many ids, and looks for those of all. Whatever is found was
 * put so: id n belongs to member n % 7. */
static void put_many(int child)
{
    char id[16];
    char name[16];
    int i;

    for (i = 0; i < 20000; i++) {
        int n = (i * 31 + child * 17) % 500;
        apr_uint32_t wanted;
        apr_uint32_t found;

        (void)snprintf(id, sizeof(id), "%d", n);
        (void)snprintf(name, sizeof(name), "m%d", n % 7);
        wanted = member(name);
        if (i % 3 == 0) {
            (void)put(id, wanted, i / 100);
        }
        found = find(id, i / 100);
        if (found != 0 && found != wanted) {
            _exit(1);
        }
    }
}

START_TEST(many_processes_never_read_what_nobody_put)
{
    run_children(6, put_many);
    ck_assert_uint_le(clone_learn_held(learn), ROOM);
    ck_assert_uint_ge(count(CLONE_LEARN_LEARNED),
                      count(CLONE_LEARN_EVICTED));
}
END_TEST

static void fight(int child)
{
    int i;

    for (i = 0; i < 20000; i++) {
        (void)put("7", member(child % 2 ? "a" : "b"), i);
    }
}

START_TEST(an_id_that_many_put_at_once_is_in_one_place_in_the_end)
{
    run_children(6, fight);
    ck_assert(put("7", member("c"), 30000) != CLONE_LEARN_BUSY);
    ck_assert_uint_eq(find("7", 30000), member("c"));
    ck_assert_uint_eq(clone_learn_held(learn), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clone_learn");
    TCase *tests = tcase_create("clone_learn");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, an_id_that_nobody_put_is_not_known);
    tcase_add_test(tests, an_id_leads_to_the_member_that_it_was_put_with);
    tcase_add_test(tests, an_id_that_moves_leads_to_its_new_member_alone);
    tcase_add_test(tests, the_same_id_of_another_balancer_is_another_id);
    tcase_add_test(tests, members_have_numbers_that_depend_on_the_key);
    tcase_add_test(tests, however_many_are_put_the_table_keeps_its_size);
    tcase_add_test(tests, what_is_in_use_is_not_forgotten);
    tcase_add_loop_test(tests, a_table_has_room_for_what_was_asked, 0, 7);
    tcase_add_test(tests, many_processes_never_read_what_nobody_put);
    tcase_add_test(tests,
                   an_id_that_many_put_at_once_is_in_one_place_in_the_end);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
