/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <apr_general.h>
#include <apr_time.h>

#include "ha_mc_guard.h"

/* ---- judging ------------------------------------------------------------- */

static const struct {
    const char *seen;
    apr_size_t total;
} good[] = {
    { "E", 5 },
    { "END\r\n", 5 },
    { "VALUE key 0 0 1\r\n", 17 + 0 + 2 + 5 },
    { "VALUE key 0 11 5\r\nhello", 18 + 11 + 2 + 5 },
    { "VALUE key 4294967295 2097152 18446744073709551615\r\n",
      51 + 2097152 + 2 + 5 },
};

START_TEST(a_good_first_line_tells_the_length_of_all)
{
    apr_size_t total;

    ck_assert_int_eq(ha_mc_guard_judge(&total, span_of_text(good[_i].seen),
                                       span_of_text("key")), APR_SUCCESS);
    ck_assert_uint_eq(total, good[_i].total);
}
END_TEST

START_TEST(every_beginning_of_a_good_line_waits_for_more)
{
    const char *line = good[_i].seen;
    apr_size_t end = strcspn(line, "\n");
    apr_size_t total;
    apr_size_t len;

    for (len = line[0] == 'E' ? end : 0; len < end; len++) {
        ck_assert_int_eq(ha_mc_guard_judge(&total, span_of(line, len),
                                           span_of_text("key")),
                         APR_INCOMPLETE);
        ck_assert_uint_eq(total, 0);
    }
}
END_TEST

static const char *const bad[] = {
    "x", "e", "END\n", "ENDX", "EN\r\n", "VALUE\r\n", "VALUE ke ", "VALUE kex",
    "VALUE key\r\n", "VALUE key2", "VALUE key \r\n", "VALUE key 0\r\n",
    "VALUE key 0 5\r\n", "VALUE key 0 5 \r\n", "VALUE key 0 5 0\r\n",
    "VALUE key 0 5 1\n", "VALUE key 0 5 1 \r\n", "VALUE key 0 5 1\r\r\n",
    "VALUE key -1 5 1\r\n", "VALUE key 0 -5 1\r\n", "VALUE key 0 5 -1\r\n",
    "VALUE key +0 5 1\r\n", "VALUE key  0 5 1\r\n", "VALUE key 0x0 5 1\r\n",
    "VALUE key 4294967296 5 1\r\n", "VALUE key 0 2097153 1\r\n",
    "VALUE key 0 18446744073709551617 1\r\n",
    "VALUE key 0 5 18446744073709551616\r\n",
};

START_TEST(a_bad_first_line_is_garbage)
{
    apr_size_t total;

    ck_assert_msg(ha_mc_guard_judge(&total, span_of_text(bad[_i]),
                                    span_of_text("key")) == HA_MC_GARBAGE,
                  "'%s' is not refused", bad[_i]);
    ck_assert_uint_eq(total, 0);
}
END_TEST

START_TEST(a_line_without_an_end_is_garbage_at_last)
{
    char line[1000];
    apr_size_t total;

    memset(line, '1', sizeof(line));
    memcpy(line, "VALUE key ", 10);
    ck_assert_int_eq(ha_mc_guard_judge(&total, span_of(line, 100),
                                       span_of_text("key")), APR_INCOMPLETE);
    ck_assert_int_eq(ha_mc_guard_judge(&total, span_of(line, sizeof(line)),
                                       span_of_text("key")), HA_MC_GARBAGE);
}
END_TEST

/* ---- waiting ------------------------------------------------------------- */

static int pair[2];

static void open_pair(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static void close_pair(void)
{
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void say(const char *text)
{
    ck_assert_int_eq(send(pair[1], text, strlen(text), 0),
                     (int)strlen(text));
}

static apr_status_t wait_for(int msec)
{
    return ha_mc_guard_wait(pair[0], span_of_text("key"),
                            apr_time_now() + msec * 1000);
}

START_TEST(an_answer_is_taken_when_it_is_there_whole_and_stays_there)
{
    char bytes[64];

    ck_assert_int_eq(wait_for(20), APR_TIMEUP);
    say("VALUE key 0 5 1\r\nhello");
    ck_assert_int_eq(wait_for(20), APR_TIMEUP);
    say("\r\nEND\r\n");
    ck_assert_int_eq(wait_for(5000), APR_SUCCESS);
    ck_assert_int_eq(recv(pair[0], bytes, sizeof(bytes), 0), 29);
    ck_assert_int_eq(ha_mc_guard_is_quiet(pair[0]), 1);
}
END_TEST

START_TEST(more_than_an_answer_is_garbage)
{
    say("END\r\nEND\r\n");
    ck_assert_int_eq(wait_for(5000), HA_MC_GARBAGE);
}
END_TEST

START_TEST(a_peer_that_hangs_up_before_the_end_is_not_waited_for)
{
    say("VALUE key 0 5 1\r\nhel");
    ck_assert_int_eq(shutdown(pair[1], SHUT_WR), 0);
    ck_assert_int_eq(wait_for(60000), ECONNRESET);
}
END_TEST

START_TEST(what_came_unasked_or_ended_is_not_quiet)
{
    ck_assert_int_eq(ha_mc_guard_is_quiet(pair[0]), 1);
    say("x");
    ck_assert_int_eq(ha_mc_guard_is_quiet(pair[0]), 0);
    ck_assert_int_eq(shutdown(pair[0], SHUT_WR), 0);
    ck_assert_int_eq(ha_mc_guard_is_quiet(pair[1]), 0);
}
END_TEST

/* ---- finding ------------------------------------------------------------- */

static int find(apr_port_t from, apr_port_t to)
{
    return ha_mc_guard_find(from, "127.0.0.1", to);
}

START_TEST(a_socket_is_found_by_its_two_ports)
{
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    apr_port_t to;
    int fd[3];
    int i;

    memset(&at, 0, sizeof(at));
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    to = ntohs(at.sin_port);
    for (i = 0; i < 3; i++) {
        struct sockaddr_in from;

        fd[i] = socket(AF_INET, SOCK_STREAM, 0);
        ck_assert_int_eq(connect(fd[i], (struct sockaddr *)&at, len), 0);
        ck_assert_int_eq(getsockname(fd[i], (struct sockaddr *)&from, &len),
                         0);
        ck_assert_int_eq(find(ntohs(from.sin_port), to), fd[i]);
        ck_assert_int_eq(find(ntohs(from.sin_port), 1), -1);
        (void)dup2(fd[i], 100 + i);
        (void)close(fd[i]);
        ck_assert_int_eq(find(ntohs(from.sin_port), to), 100 + i);
    }
}
END_TEST

static struct sockaddr_in at_v4(const char *ip, apr_port_t port)
{
    struct sockaddr_in at;

    memset(&at, 0, sizeof(at));
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    ck_assert_int_eq(inet_pton(AF_INET, ip, &at.sin_addr), 1);
    return at;
}

/* Bind a socket where others may be bound too; -1 when that is refused. */
static int bind_to(const char *ip, apr_port_t *port)
{
    struct sockaddr_in at = at_v4(ip, *port);
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
                                sizeof(on)), 0);
    if (bind(fd, (struct sockaddr *)&at, len) != 0) {
        (void)close(fd);
        return -1;
    }
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static const char *const twins[] = { "127.0.0.2", "127.0.0.3" };

/* Listen on both addresses at one port. */
static apr_port_t listen_on_twins(void)
{
    int tries;

    for (tries = 0; tries < 100; tries++) {
        apr_port_t port = 0;
        int first = bind_to(twins[0], &port);
        int second = bind_to(twins[1], &port);

        ck_assert_int_ge(first, 0);
        if (second >= 0) {
            ck_assert_int_eq(listen(first, 8), 0);
            ck_assert_int_eq(listen(second, 8), 0);
            return port;
        }
        (void)close(first);
    }
    ck_abort_msg("no port is free on both addresses");
    return 0;
}

START_TEST(two_sockets_with_the_same_two_ports_are_told_apart)
{
    apr_port_t port = listen_on_twins();
    apr_port_t from = 0;
    int fd[2];
    int i;

    for (i = 0; i < 2; i++) {
        struct sockaddr_in at = at_v4(twins[i], port);

        fd[i] = bind_to("127.0.0.1", &from);
        ck_assert_int_ge(fd[i], 0);
        ck_assert_int_eq(connect(fd[i], (struct sockaddr *)&at, sizeof(at)),
                         0);
    }
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(ha_mc_guard_find(from, twins[i], port), fd[i]);
    }
    (void)close(fd[0]);
    ck_assert_int_eq(ha_mc_guard_find(from, twins[0], port), -1);
    ck_assert_int_eq(ha_mc_guard_find(from, twins[1], port), fd[1]);
}
END_TEST

static const struct {
    const char *peer;
    const char *host;
    int is_same;
} hosts[] = {
    { "127.0.0.1", "127.0.0.1", 1 },
    { "127.0.0.1", "127.0.0.2", 0 },
    { "127.0.0.1", "::ffff:127.0.0.1", 1 },
    { "::ffff:127.0.0.1", "127.0.0.1", 1 },
    { "::ffff:127.0.0.1", "::ffff:7f00:1", 1 },
    { "::ffff:127.0.0.1", "127.0.0.2", 0 },
    { "::127.0.0.1", "127.0.0.1", 0 },
    { "2001:db8::1", "2001:db8:0:0::1", 1 },
    { "2001:db8::1", "2001:db8::2", 0 },
    { "2001:db8::1", "2001:db9::1", 0 },
    { "127.0.0.1", "localhost", 0 },
    { "127.0.0.1", "", 0 },
};

START_TEST(a_peer_is_known_by_its_whole_address)
{
    struct sockaddr_storage peer;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    memset(&peer, 0, sizeof(peer));
    memset(&v6, 0, sizeof(v6));
    if (inet_pton(AF_INET6, hosts[_i].peer, &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(11211);
        memcpy(&peer, &v6, sizeof(v6));
    }
    else {
        v4 = at_v4(hosts[_i].peer, 11211);
        memcpy(&peer, &v4, sizeof(v4));
    }
    ck_assert_int_eq(ha_mc_guard_is_at(&peer, hosts[_i].host, 11211),
                     hosts[_i].is_same);
    ck_assert_int_eq(ha_mc_guard_is_at(&peer, hosts[_i].host, 11212), 0);
}
END_TEST

static int connect_to(const char *path)
{
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memset(&at, 0, sizeof(at));
    at.sun_family = AF_UNIX;
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

START_TEST(the_only_unix_socket_nobody_knows_is_found_once)
{
    struct sockaddr_un at;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int fd;
    int other;

    memset(&at, 0, sizeof(at));
    at.sun_family = AF_UNIX;
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/guard.%ld",
                   P_tmpdir, (long)getpid());
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(ha_mc_guard_find_unix(at.sun_path), -1);

    fd = connect_to(at.sun_path);
    ck_assert_int_eq(ha_mc_guard_find_unix("/another/path"), -1);
    ck_assert_int_eq(ha_mc_guard_find_unix(at.sun_path), fd);
    ck_assert_int_eq(ha_mc_guard_find_unix(at.sun_path), -1);

    /* two at once: which is whose cannot be told */
    fd = connect_to(at.sun_path);
    other = connect_to(at.sun_path);
    ck_assert_int_eq(ha_mc_guard_find_unix(at.sun_path), -1);
    ha_mc_guard_mark(fd);
    ck_assert_int_eq(ha_mc_guard_find_unix(at.sun_path), other);
    ck_assert_int_eq(unlink(at.sun_path), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_mc_guard");
    TCase *judge = tcase_create("judge");
    TCase *wait = tcase_create("wait");
    TCase *finding = tcase_create("find");
    int goods = (int)(sizeof(good) / sizeof(good[0]));

    tcase_add_loop_test(judge, a_good_first_line_tells_the_length_of_all, 0,
                        goods);
    tcase_add_loop_test(judge, every_beginning_of_a_good_line_waits_for_more,
                        0, goods);
    tcase_add_loop_test(judge, a_bad_first_line_is_garbage, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(judge, a_line_without_an_end_is_garbage_at_last);
    tcase_add_checked_fixture(wait, open_pair, close_pair);
    tcase_set_timeout(wait, 30);
    tcase_add_test(
        wait, an_answer_is_taken_when_it_is_there_whole_and_stays_there);
    tcase_add_test(wait, more_than_an_answer_is_garbage);
    tcase_add_test(wait,
                   a_peer_that_hangs_up_before_the_end_is_not_waited_for);
    tcase_add_test(wait, what_came_unasked_or_ended_is_not_quiet);
    tcase_add_test(finding, a_socket_is_found_by_its_two_ports);
    tcase_add_test(finding,
                   two_sockets_with_the_same_two_ports_are_told_apart);
    tcase_add_loop_test(finding, a_peer_is_known_by_its_whole_address, 0,
                        (int)(sizeof(hosts) / sizeof(hosts[0])));
    tcase_add_test(finding, the_only_unix_socket_nobody_knows_is_found_once);
    suite_add_tcase(suite, judge);
    suite_add_tcase(suite, wait);
    suite_add_tcase(suite, finding);
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
