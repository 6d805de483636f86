/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ha_limits.h"
#include "ha_mc_conn.h"
#include "io_server.h"

/* For answers that come, for those that never do, and how late is late. */
#define LONG_MSEC 3000
#define SHORT_MSEC 60
#define SLACK_MSEC 3000

/* Bytes and their number, for they may hold a 0. */
#define BYTES(text) { text, sizeof(text) - 1 }
#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

static apr_pool_t *pool;
static int budget_msec;

static const ha_verb_e verbs[] = { HA_GET, HA_ADD, HA_APPEND, HA_CAS,
                                   HA_REMOVE };

static void set_up(void)
{
    budget_msec = LONG_MSEC;
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

/* Send a verb for "key" to a port, or a socket, and read the answer. */
static apr_status_t exchange_with(const char *host, apr_port_t port,
                                  ha_verb_e verb, ha_call_t *call)
{
    apr_time_t deadline = apr_time_now() + budget_msec * 1000;
    ha_mc_conn_t *conn = ha_mc_conn_open(host, port);
    apr_status_t rv;

    ck_assert_ptr_nonnull(conn);
    memset(call, 0, sizeof(*call));
    call->verb = verb;
    call->data = span_of_text("data");
    call->version = 7;
    rv = ha_mc_conn_send(conn, "key", call, 100, budget_msec);
    if (rv == APR_SUCCESS) {
        ck_assert(port == 0 || ha_mc_conn_is_guarded(conn));
        rv = ha_mc_conn_fetch(conn, "key", call, deadline, pool);
    }
    ha_mc_conn_close(conn);
    ck_assert(apr_time_now() < deadline + SLACK_MSEC * 1000);
    return rv;
}

static apr_status_t exchange(apr_port_t port, ha_verb_e verb,
                             ha_call_t *call)
{
    return exchange_with("127.0.0.1", port, verb, call);
}

/* ---- nonsense ------------------------------------------------------------ */

static const span_t nonsense[] = {
    /* replies that are for other verbs */
    BYTES("OK\r\n"),
    BYTES("STORED\r\n"),
    BYTES("NOT_STORED\r\n"),
    BYTES("EXISTS\r\n"),
    BYTES("DELETED\r\n"),
    BYTES("TOUCHED\r\n"),
    BYTES("RESET\r\n"),
    BYTES("MN\r\n"),
    BYTES("HD\r\n"),
    BYTES("VA 5\r\nhello\r\n"),
    BYTES("5\r\n"),
    BYTES("99999999999999999999999999\r\n"),
    BYTES("STAT pid 5\r\n"),
    BYTES("ITEM key [5 b; 0 s]\r\n"),
    BYTES("VERSION 1.6.18\r\n"),
    /* errors */
    BYTES("ERROR\r\n"),
    BYTES("ERROR Too many open connections\r\n"),
    BYTES("CLIENT_ERROR bad command line format\r\n"),
    BYTES("CLIENT_ERROR\r\n"),
    BYTES("SERVER_ERROR out of memory writing get response\r\n"),
    BYTES("SERVER_ERROR object too large for cache\r\n"),
    BYTES("SERVER_ERROR\r\n"),
    BYTES("SERVER_ERROR x\r\n"),
    /* other protocols */
    BYTES("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    BYTES("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    BYTES("220 mail.example.org ESMTP\r\n"),
    BYTES("-ERR unknown command\r\n"),
    BYTES("\x81\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\r\n"),
    BYTES("\x15\x03\x01\x00\x02\x02\x46\n"),
    BYTES("\0\0\0\0\r\n"),
    BYTES("\r\n"),
    BYTES("\n"),
    BYTES(" \r\n"),
    BYTES("end\r\n"),
    /* values that are wrong */
    BYTES("VALUE key 0 -1 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 18446744073709551615 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 18446744073709551614 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 18446744073709551613 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 99999999999999999999999 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 9223372036854775807 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 4294967295 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE other 0 5 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE ke 0 5 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key2 0 5 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE  0 5 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 5\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 5 0\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 5 1\r\nhello\r\nSTORED\r\n"),
    BYTES("VALUE key 0 5 1\r\nhello\r\nERROR\r\n"),
    BYTES("VALUE key 0 4 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 5 1\r\nhello\r\nVALUE key 0 2 1\r\nhi\r\nEND\r\n"),
    BYTES("END\r\nSTORED\r\n"),
};

/* libmemcached itself does not survive these, or believes them. */
static const span_t guarded[] = {
    BYTES("VERSION 1\r\n"),
    BYTES("VERSION\r\n"),
    BYTES("VERSION \r\n"),
    BYTES("VERSION x\r\n"),
    BYTES("VALUE\r\n"),
    BYTES("VALUE \r\n"),
    BYTES("VALUE key\r\n"),
    BYTES("VALUE key \r\n"),
    BYTES("VALUE key 0\r\n"),
    BYTES("VALUE key 0 \r\n"),
    BYTES("NOT_FOUND\r\n"),
    BYTES("END\r\nEND\r\n"),
    BYTES("ENDED\r\n"),
    BYTES("VALUE key x 5 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 5 1 \r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 5 1\nhello\r\nEND\r\n"),
    BYTES("VALUE key 4294967296 5 1\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 5 18446744073709551616\r\nhello\r\nEND\r\n"),
    BYTES("VALUE key 0 5 1\r\nhello\r\nEND\r\nEND\r\n"),
};

/* With a decoy the socket is not found, and libmemcached reads for itself. */
static void assert_is_nonsense(span_t reply, int has_decoy)
{
    io_fake_t *fake = io_fake_start(IO_FAKE_REPLY, reply.data, reply.len);
    unsigned int i;

    if (has_decoy) {
        io_fake_decoy(fake);
    }
    budget_msec = SHORT_MSEC;
    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        ha_call_t call;

        ck_assert_int_ne(exchange(io_fake_port(fake), verbs[i], &call),
                         APR_SUCCESS);
        ck_assert_int_eq(call.answer, HA_UNKNOWN);
        ck_assert_uint_eq(call.held.len, 0);
        ck_assert_int_ne(exchange_with(io_fake_path(fake), 0, verbs[i],
                                       &call), APR_SUCCESS);
        ck_assert_int_eq(call.answer, HA_UNKNOWN);
        ck_assert_uint_eq(call.held.len, 0);
    }
    io_fake_stop(fake);
}

START_TEST(nonsense_is_neither_a_hit_nor_a_miss_and_harms_nobody)
{
    assert_is_nonsense(nonsense[_i], 0);
    assert_is_nonsense(nonsense[_i], 1);
}
END_TEST

START_TEST(nonsense_that_libmemcached_believes_does_not_reach_it)
{
    assert_is_nonsense(guarded[_i], 0);
}
END_TEST

static const int key_lengths[] = { 249, 250, 251, 252, 256, 300, 330, 340,
                                   345, 349, 350, 351, 1000, 8192, 100000 };

/* libmemcached copies a key without a look at its length. */
START_TEST(a_key_of_any_length_in_the_answer_harms_nobody)
{
    static const char *const ends[] = { " 0 5 1\r\nhello\r\nEND\r\n",
                                        " 0 500 1\r\nhello", " 0", "" };
    unsigned int i;

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char *key = apr_pcalloc(pool, (apr_size_t)key_lengths[_i] + 1);
        const char *reply;
        io_fake_t *fake;
        ha_call_t call;

        /* each byte value sets and clears other flags behind the key */
        memset(key, (int)("abc@"[i]), (apr_size_t)key_lengths[_i]);
        reply = apr_pstrcat(pool, "VALUE ", key, ends[i], NULL);
        fake = io_fake_start(IO_FAKE_CLOSE, reply, strlen(reply));
        io_fake_decoy(fake);
        ck_assert_int_ne(exchange(io_fake_port(fake), HA_GET, &call),
                         APR_SUCCESS);
        ck_assert_int_eq(call.answer, HA_UNKNOWN);
        ck_assert_int_ne(exchange_with(io_fake_path(fake), 0, HA_GET, &call),
                         APR_SUCCESS);
        ck_assert_int_eq(call.answer, HA_UNKNOWN);
        io_fake_stop(fake);
    }
}
END_TEST

static const char whole[] = "VALUE key 0 11 5\r\nhello\r\nworl\r\nEND\r\n";

START_TEST(an_answer_that_is_cut_off_anywhere_is_unknown)
{
    ha_call_t call;
    io_fake_t *fake = io_fake_start(IO_FAKE_CLOSE, whole, (apr_size_t)_i);
    apr_status_t rv = exchange(io_fake_port(fake), HA_APPEND, &call);

    ck_assert_int_ne(rv, APR_SUCCESS);
    ck_assert_int_ne(rv, APR_TIMEUP);
    ck_assert_int_eq(call.answer, HA_UNKNOWN);
    io_fake_stop(fake);
}
END_TEST

START_TEST(an_answer_that_stops_anywhere_is_a_time_out)
{
    ha_call_t call;
    io_fake_t *fake = io_fake_start(IO_FAKE_REPLY, whole, (apr_size_t)_i);

    budget_msec = SHORT_MSEC;
    ck_assert_int_eq(exchange(io_fake_port(fake), HA_GET, &call),
                     APR_TIMEUP);
    ck_assert_int_eq(call.answer, HA_UNKNOWN);
    io_fake_stop(fake);
}
END_TEST

/* Every byte of a good answer replaced by others: only what still makes sense
 * may be believed, and then it is about our key. */
START_TEST(an_answer_with_a_wrong_byte_harms_nobody)
{
    static const char bytes[] = "\0\n\r 0:V\x7f\xff";
    char reply[sizeof(whole)];
    unsigned int i;

    for (i = 0; i < sizeof(bytes) - 1; i++) {
        io_fake_t *fake;
        ha_call_t call;

        memcpy(reply, whole, sizeof(whole));
        reply[_i] = bytes[i];
        fake = io_fake_start(IO_FAKE_CLOSE, reply, sizeof(whole) - 1);
        if (exchange(io_fake_port(fake), HA_GET, &call) == APR_SUCCESS) {
            ck_assert_int_eq(call.answer, HA_HIT);
            ck_assert_uint_ne(call.version, 0);
            ck_assert_uint_le(call.held.len, sizeof(whole));
        }
        else {
            ck_assert_int_eq(call.answer, HA_UNKNOWN);
        }
        io_fake_stop(fake);
    }
}
END_TEST

/* ---- sense --------------------------------------------------------------- */

START_TEST(a_whole_answer_is_a_hit)
{
    io_fake_t *fake = io_fake_start(IO_FAKE_REPLY, whole, sizeof(whole) - 1);
    int i;

    for (i = 0; i < 2; i++) {
        ha_call_t call;
        apr_status_t rv = i ? exchange_with(io_fake_path(fake), 0, HA_APPEND,
                                            &call)
                            : exchange(io_fake_port(fake), HA_APPEND, &call);

        ck_assert_int_eq(rv, APR_SUCCESS);
        ck_assert_int_eq(call.answer, HA_HIT);
        ck_assert_uint_eq(call.version, 5);
        ck_assert(span_is_equal(call.held, span_of_text("hello\r\nworl")));
    }
    io_fake_stop(fake);
}
END_TEST

/* One byte every 20 ms: whole after 0.8 s, and an END after 0.1 s. */
START_TEST(a_trickle_is_believed_within_the_time_and_not_waited_for_after)
{
    ha_call_t call;
    apr_time_t begin = apr_time_now();
    io_fake_t *fake = io_fake_start(IO_FAKE_TRICKLE, whole,
                                    sizeof(whole) - 1);

    budget_msec = 300;
    ck_assert_int_eq(exchange(io_fake_port(fake), HA_GET, &call),
                     APR_TIMEUP);
    ck_assert_int_eq(call.answer, HA_UNKNOWN);
    ck_assert(apr_time_now() - begin >= 300 * 1000);
    io_fake_stop(fake);
    budget_msec = LONG_MSEC;
    fake = io_fake_start(IO_FAKE_TRICKLE, "END\r\n", 5);
    ck_assert_int_eq(exchange(io_fake_port(fake), HA_GET, &call),
                     APR_SUCCESS);
    ck_assert_int_eq(call.answer, HA_MISS);
    io_fake_stop(fake);
}
END_TEST

START_TEST(a_server_that_talks_without_being_asked_is_not_believed)
{
    ha_call_t call;
    io_fake_t *fake = io_fake_start(IO_FAKE_CHATTER, "", 0);

    ck_assert_int_eq(exchange(io_fake_port(fake), HA_GET, &call),
                     HA_MC_GARBAGE);
    ck_assert_int_eq(call.answer, HA_UNKNOWN);
    io_fake_stop(fake);
}
END_TEST

START_TEST(an_empty_answer_is_a_miss)
{
    ha_call_t call;
    io_fake_t *fake = io_fake_start(IO_FAKE_REPLY, "END\r\n", 5);

    ck_assert_int_eq(exchange(io_fake_port(fake), HA_CAS, &call),
                     APR_SUCCESS);
    ck_assert_int_eq(call.answer, HA_MISS);
    ck_assert_uint_eq(call.held.len, 0);
    io_fake_stop(fake);
}
END_TEST

static const struct {
    const char *key;
    const char *why;
} bad_keys[] = {
    { "", "empty" },
    { "a b", "a space" },
    { "a\r\nflush_all\r\n", "a line end" },
    { "a\tb", "a tab" },
    { "caf\xc3\xa9", "not ASCII" },
};

START_TEST(a_key_that_would_be_a_command_is_not_sent)
{
    io_fake_t *fake = io_fake_start(IO_FAKE_REPLY, "END\r\n", 5);
    unsigned int i;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        ha_mc_conn_t *conn = ha_mc_conn_open("127.0.0.1",
                                             io_fake_port(fake));
        ha_call_t call;

        memset(&call, 0, sizeof(call));
        call.verb = verbs[i];
        call.version = 1;
        ck_assert_msg(ha_mc_conn_send(conn, bad_keys[_i].key, &call, 100,
                                      LONG_MSEC) == APR_EINVAL,
                      "a key with %s is sent", bad_keys[_i].why);
        ha_mc_conn_close(conn);
    }
    ck_assert_uint_eq(io_fake_accepted(fake), 0);
    io_fake_stop(fake);
}
END_TEST

START_TEST(nobody_there_is_told_from_no_answer)
{
    ha_call_t call;

    ck_assert_int_eq(exchange(io_closed_port(), HA_GET, &call),
                     ECONNREFUSED);
    budget_msec = SHORT_MSEC;
    ck_assert_int_eq(exchange(io_black_hole(), HA_GET, &call), APR_TIMEUP);
}
END_TEST

START_TEST(a_server_that_hangs_up_at_once_is_broken_not_slow)
{
    unsigned int i;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        io_fake_t *fake = io_fake_start(IO_FAKE_CLOSE, "", 0);
        ha_call_t call;
        apr_status_t rv = exchange(io_fake_port(fake), verbs[i], &call);

        ck_assert_int_ne(rv, APR_SUCCESS);
        ck_assert_int_ne(rv, APR_TIMEUP);
        ck_assert_int_ne(rv, HA_MC_GARBAGE);
        io_fake_stop(fake);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ha_mc_conn");
    TCase *tcase = tcase_create("connection");
    int whole_len = (int)sizeof(whole) - 1;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(
        tcase, nonsense_is_neither_a_hit_nor_a_miss_and_harms_nobody, 0,
        ROWS(nonsense));
    tcase_add_loop_test(
        tcase, nonsense_that_libmemcached_believes_does_not_reach_it, 0,
        ROWS(guarded));
    tcase_add_loop_test(tcase,
                        a_key_of_any_length_in_the_answer_harms_nobody, 0,
                        ROWS(key_lengths));
    tcase_add_loop_test(tcase, an_answer_that_is_cut_off_anywhere_is_unknown,
                        0, whole_len);
    tcase_add_loop_test(tcase, an_answer_that_stops_anywhere_is_a_time_out,
                        0, whole_len);
    tcase_add_loop_test(tcase, an_answer_with_a_wrong_byte_harms_nobody, 0,
                        whole_len);
    tcase_add_test(tcase, a_whole_answer_is_a_hit);
    tcase_add_test(
        tcase,
        a_trickle_is_believed_within_the_time_and_not_waited_for_after);
    tcase_add_test(tcase,
                   a_server_that_talks_without_being_asked_is_not_believed);
    tcase_add_test(tcase, an_empty_answer_is_a_miss);
    tcase_add_loop_test(tcase, a_key_that_would_be_a_command_is_not_sent, 0,
                        ROWS(bad_keys));
    tcase_add_test(tcase, nobody_there_is_told_from_no_answer);
    tcase_add_test(tcase, a_server_that_hangs_up_at_once_is_broken_not_slow);
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
