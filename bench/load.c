/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load [-f] [-c COOKIE,...] PORT PATH CONNECTIONS SESSIONS SIZE WRITES SECONDS
 *      [BUCKET_MSEC]
 *
 * Visitors of the bench's application. Each of CONNECTIONS keeps its
 * connection and SESSIONS sessions of SIZE bytes, used in turn, each with the
 * cookies that it is given, up to four, by their names; WRITES percent of the
 * requests change the session. It knows what each session must say, because it
 * wrote it, and an answer that says something else is bad, not fast.
 *
 * The sessions are made first, then a tenth of SECONDS warms up. Then it
 * prints "ready", and all counts. At the end it prints one JSON object: good
 * and bad answers, how long the sessions took to make, and for reads, writes
 * and both: how many, and 50th and 99th percentile and maximum of the time from
 * request to answer in microseconds, of every single one. With BUCKET_MSEC also
 * how many answers, and the slowest, in each such span, from "begun"
 * (CLOCK_MONOTONIC, seconds). SECONDS of 0 only makes the sessions.
 *
 * Where an application names itself in X-Clone, "moved" says how many answers
 * came from another one than the answer before in the same session. "slow" is
 * how many took more than a second. With -f a connection that is closed without
 * an answer, or after half of one, is a bad answer as well, and the visitor
 * goes on; without, it ends all, and so do a thousand bad answers. With -c the
 * requests that begin sessions carry these cookies in turn, so that it is known
 * where sessions begin.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/** Bytes of an answer's head and body; cookies may hold a session. */
#define ANSWER_MAX 65536

/** Bytes of a cookie. */
#define COOKIE_MAX 32768

/** Cookies of a session: the application's, and one of whoever routes. */
#define COOKIES_MAX 4

#define PATH_LEN_MAX 256
#define EVENTS 64

/** Seconds without any answer after which a server hangs. */
#define PATIENCE_SEC 30

/** Microseconds above which an answer is slow. */
#define SLOW_USEC 1e6f

/** Bytes of the name that an application has. */
#define NAME_MAX_LEN 24

typedef struct session_t {
    char *cookies[COOKIES_MAX]; /* name=value each; NULL after the last */
    unsigned int n;
    char clone[NAME_MAX_LEN]; /* who answered last, or empty */
} session_t;

typedef struct visitor_t {
    int fd;
    session_t *sessions;
    unsigned int turn;     /* requests begun */
    unsigned int made;     /* sessions */
    char op;               /* of the request under way; 0 is none */
    unsigned int asked_n;
    long long sent_nsec;
    size_t have;
    char answer[ANSWER_MAX];
} visitor_t;

/** Times of one kind of request, microseconds. */
typedef struct times_t {
    float *usec;
    size_t count;
    size_t room;
} times_t;

typedef struct bucket_t {
    unsigned int count;
    float slowest;
} bucket_t;

static int port;
static const char *path;
static unsigned int visitors;
static unsigned int sessions;
static unsigned int size;
static unsigned int writes;
static double seconds;
static long long bucket_nsec;
static int goes_on;       /* -f */
static char **first;      /* -c */
static unsigned int first_count;
static unsigned int first_turn;

static int events_fd;
static unsigned long good;
static unsigned long bad;
static unsigned long moved;
static unsigned long slow;
static char first_bad[256];
static times_t reads_taken;
static times_t writes_taken;
static bucket_t *buckets;
static size_t bucket_count;
static long long count_from;
static long long count_until;
static unsigned int idle;      /* visitors that have made their sessions */

static long long now_nsec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/** Where errno says why. */
static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/** Where it does not. */
static void give_up(const char *why)
{
    fprintf(stderr, "load: %s\n", why);
    exit(1);
}

static void *must(void *memory)
{
    if (memory == NULL) {
        die("memory");
    }
    return memory;
}

static void note_time(times_t *times, float usec)
{
    if (times->count == times->room) {
        times->room = times->room ? 2 * times->room : 65536;
        times->usec = must(realloc(times->usec,
                                   times->room * sizeof(*times->usec)));
    }
    times->usec[times->count++] = usec;
}

/** Count a bad answer; why is the answer itself, or what became of it. */
static void note_bad(const visitor_t *v, const char *why)
{
    if (bad++ == 0) {
        snprintf(first_bad, sizeof(first_bad), "op %c n %u: %.160s", v->op,
                 v->asked_n, why);
        for (char *c = first_bad; *c; c++) {
            if (*c < ' ' || *c == '"' || *c == '\\') {
                *c = ' ';
            }
        }
    }
}

/** Count an answer that came in the time that counts; a good one has no fault,
 *  a bad one counts at all times. */
static void note_answer(const visitor_t *v, long long now, const char *fault)
{
    float usec = (float)(now - v->sent_nsec) / 1000.0f;

    if (count_from == 0 || now < count_from || now >= count_until) {
        if (fault) {
            note_bad(v, fault);
        }
        return;
    }
    slow += usec > SLOW_USEC;
    if (bucket_nsec) {
        bucket_t *bucket = &buckets[(now - count_from) / bucket_nsec];

        bucket->count += fault == NULL;
        bucket->slowest = usec > bucket->slowest ? usec : bucket->slowest;
    }
    if (fault) {
        note_bad(v, fault);
        return;
    }
    good++;
    note_time(v->op == 'w' ? &writes_taken : &reads_taken, usec);
}

static session_t *session_of(visitor_t *v)
{
    return &v->sessions[v->turn % sessions];
}

static void visitor_connect(visitor_t *v)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = v};
    int on = 1;

    v->fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_port = htons((unsigned short)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (v->fd < 0 || connect(v->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        die("connect");
    }
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(events_fd, EPOLL_CTL_ADD, v->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void send_request(visitor_t *v)
{
    static char text[COOKIES_MAX * COOKIE_MAX + 1024];
    static const char *const names[] = {['n'] = "new", ['r'] = "read",
                                        ['w'] = "write"};
    char *const *cookies = session_of(v)->cookies;
    int len = snprintf(text, sizeof(text),
                       "GET %s?op=%s&n=%u&size=%u HTTP/1.1\r\nHost: b\r\n",
                       path, names[(int)v->op], v->asked_n, size);
    unsigned int i;

    for (i = 0; i < COOKIES_MAX && cookies[i]; i++) {
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%s",
                        i ? "; " : "Cookie: ", cookies[i]);
    }
    len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\r\n",
                    i ? "\r\n" : "");
    v->have = 0;
    v->sent_nsec = now_nsec();
    if (send(v->fd, text, (size_t)len, MSG_NOSIGNAL) != len && !goes_on) {
        die("send"); /* with -f: the end of the connection can be read, too */
    }
}

/** Keep a cookie, in place of the one that has its name. */
static void keep_cookie(session_t *session, const char *pair, size_t len)
{
    size_t name_len = strcspn(pair, "=;\r");
    unsigned int i;

    if (len >= COOKIE_MAX || name_len >= len) {
        give_up("a cookie that is too long or has no value");
    }
    name_len++; /* with its '=' */
    for (i = 0; i < COOKIES_MAX && session->cookies[i]; i++) {
        if (strncmp(session->cookies[i], pair, name_len) == 0) {
            break;
        }
    }
    if (i == COOKIES_MAX) {
        give_up("more cookies in a session than it keeps");
    }
    free(session->cookies[i]);
    session->cookies[i] = must(strndup(pair, len));
}

/** Begin the next request, if there is one to make. */
static void go_on(visitor_t *v)
{
    if (v->made < sessions) {
        v->turn = v->made;
        v->op = 'n';
        v->asked_n = 0;
        session_of(v)->n = 0;
        if (first_count && session_of(v)->cookies[0] == NULL) {
            const char *pair = first[first_turn++ % first_count];

            keep_cookie(session_of(v), pair, strlen(pair));
        }
    }
    else if (count_from == 0) {
        v->op = 0;
        idle++;
        return;
    }
    else {
        /* evenly spread, the same in every run */
        v->turn++;
        v->op = v->turn * 37 % 100 < writes ? 'w' : 'r';
        v->asked_n = session_of(v)->n + (v->op == 'w');
    }
    send_request(v);
}

/** Keep the cookies that the head sets. */
static void take_cookies(visitor_t *v, const char *head)
{
    const char *at = head;

    while ((at = strcasestr(at, "\r\nset-cookie:")) != NULL) {
        at += 13;
        at += strspn(at, " ");
        keep_cookie(session_of(v), at, strcspn(at, ";\r"));
    }
}

/** Keep who answered, and count whether it is another than before. */
static void take_clone(visitor_t *v, const char *head)
{
    session_t *session = session_of(v);
    const char *at = strcasestr(head, "\r\nx-clone:");
    size_t len;

    if (at == NULL) {
        return;
    }
    at += 10;
    at += strspn(at, " ");
    len = strcspn(at, "\r");
    if (len >= NAME_MAX_LEN) {
        return;
    }
    if (session->clone[0] && (strlen(session->clone) != len
                              || memcmp(session->clone, at, len) != 0)) {
        moved++;
    }
    memcpy(session->clone, at, len);
    session->clone[len] = '\0';
}

/** Judge an answer that is whole. */
static void judge(visitor_t *v, const char *body)
{
    int is_ok = strncmp(v->answer, "HTTP/1.1 200", 12) == 0;
    int is_good = is_ok && strncmp(body, "n=", 2) == 0
                  && strtoul(body + 2, NULL, 10) == v->asked_n;

    note_answer(v, now_nsec(), is_good ? NULL : is_ok ? body : v->answer);
    if (is_good) {
        take_clone(v, v->answer);
    }
    if (is_good && v->op != 'r') {
        session_of(v)->n = v->asked_n;
    }
    if (v->op == 'n') {
        v->made++;
    }
    if (bad > 1000 && !goes_on) {
        fprintf(stderr, "load: over 1000 bad answers: %s\n", first_bad);
        exit(1);
    }
    if (strcasestr(v->answer, "\r\nconnection: close")) {
        close(v->fd);
        visitor_connect(v);
    }
    go_on(v);
}

/** The connection is gone, and with it the answer; error is errno, or 0 where
 *  the server closed it in good order. */
static void lose_answer(visitor_t *v, int error)
{
    char why[128];

    snprintf(why, sizeof(why), "the server closed the connection %s%s%s",
             !v->op ? "between requests" : v->have ? "in half an answer"
             : "without an answer", error ? ": " : "",
             error ? strerror(error) : "");
    if (!goes_on) {
        give_up(why);
    }
    if (v->op) {
        note_answer(v, now_nsec(), why);
    }
    close(v->fd);
    visitor_connect(v);
    if (v->op) {
        go_on(v);
    }
}

static void receive(visitor_t *v)
{
    ssize_t n = recv(v->fd, v->answer + v->have, ANSWER_MAX - 1 - v->have, 0);
    const char *length;
    char *end;

    if (n <= 0) {
        lose_answer(v, n < 0 ? errno : 0);
        return;
    }
    v->have += (size_t)n;
    v->answer[v->have] = '\0';
    end = strstr(v->answer, "\r\n\r\n");
    if (end == NULL) {
        return;
    }
    *end = '\0';
    length = strcasestr(v->answer, "\r\ncontent-length:");
    if (length == NULL && goes_on) {
        *end = '\r'; /* it ends with the connection, and is none of ours */
        return;
    }
    if (length == NULL) {
        errno = EPROTO;
        fprintf(stderr, "%s\n", v->answer);
        die("an answer without a length");
    }
    if ((size_t)(end + 4 - v->answer) + strtoul(length + 17, NULL, 10)
        > v->have) {
        *end = '\r';
        return;
    }
    take_cookies(v, v->answer);
    judge(v, end + 4);
}

/** Let all visitors go on until the time comes; 0 is until all are idle. */
static void run_until(long long until)
{
    struct epoll_event events[EVENTS];

    while (until ? now_nsec() < until : idle < visitors) {
        int n = epoll_wait(events_fd, events, EVENTS, PATIENCE_SEC * 1000);

        if (n == 0) {
            errno = ETIMEDOUT;
            die("no answer");
        }
        for (int i = 0; i < n; i++) {
            receive(events[i].data.ptr);
        }
    }
}

/** Requests that have waited for more than a second are slow by now. */
static void count_waiting(const visitor_t *all)
{
    long long now = now_nsec();
    unsigned int i;

    for (i = 0; i < visitors; i++) {
        if ((float)(now - all[i].sent_nsec) / 1000.0f > SLOW_USEC) {
            slow++;
        }
    }
}

static int compare(const void *one, const void *other)
{
    float a = *(const float *)one;
    float b = *(const float *)other;

    return (a > b) - (a < b);
}

static void print_times(const char *name, times_t *t)
{
    double p50 = 0;
    double p99 = 0;
    double most = 0;

    if (t->count) {
        qsort(t->usec, t->count, sizeof(*t->usec), compare);
        p50 = (double)t->usec[t->count / 2];
        p99 = (double)t->usec[t->count * 99 / 100];
        most = (double)t->usec[t->count - 1];
    }
    printf(",\"%s\":{\"count\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}",
           name, t->count, p50, p99, most);
}

static void print_all(double making)
{
    times_t all = {NULL, 0, 0};
    size_t i;

    printf("{\"good\":%lu,\"bad\":%lu,\"making\":%.6f,\"seconds\":%.6f,"
           "\"begun\":%.6f,\"moved\":%lu,\"slow\":%lu,\"first_bad\":\"%s\"",
           good, bad, making, seconds, (double)count_from / 1e9, moved, slow,
           first_bad);
    for (i = 0; i < reads_taken.count; i++) {
        note_time(&all, reads_taken.usec[i]);
    }
    for (i = 0; i < writes_taken.count; i++) {
        note_time(&all, writes_taken.usec[i]);
    }
    print_times("reads", &reads_taken);
    print_times("writes", &writes_taken);
    print_times("all", &all);
    if (bucket_nsec) {
        printf(",\"buckets\":[");
        for (i = 0; i < bucket_count; i++) {
            printf("%s[%u,%.1f]", i ? "," : "", buckets[i].count,
                   (double)buckets[i].slowest);
        }
        printf("]");
    }
    printf("}\n");
}

static void read_cookies(char *list)
{
    char *word;

    for (word = strtok(list, ","); word; word = strtok(NULL, ",")) {
        first = must(realloc(first, (first_count + 1) * sizeof(*first)));
        first[first_count++] = word;
    }
}

static void read_arguments(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "fc:")) != -1) {
        if (option == 'f') {
            goes_on = 1;
        }
        else if (option == 'c') {
            read_cookies(optarg);
        }
        else {
            exit(2);
        }
    }
    argc -= optind - 1;
    argv += optind - 1;
    if (argc < 8 || strlen(argv[2]) > PATH_LEN_MAX) {
        fprintf(stderr, "usage: load [-f] [-c COOKIE,...] PORT PATH "
                        "CONNECTIONS SESSIONS SIZE WRITES SECONDS "
                        "[BUCKET_MSEC]\n");
        exit(2);
    }
    port = atoi(argv[1]);
    path = argv[2];
    visitors = (unsigned int)atoi(argv[3]);
    sessions = (unsigned int)atoi(argv[4]);
    size = (unsigned int)atoi(argv[5]);
    writes = (unsigned int)atoi(argv[6]);
    seconds = atof(argv[7]);
    bucket_nsec = argc > 8 ? atoll(argv[8]) * 1000000 : 0;
    if (bucket_nsec) {
        bucket_count = (size_t)(seconds * 1e9 / (double)bucket_nsec) + 1;
        buckets = must(calloc(bucket_count, sizeof(*buckets)));
    }
}

int main(int argc, char **argv)
{
    visitor_t *all;
    long long begun;
    double making;
    unsigned int i;

    read_arguments(argc, argv);
    events_fd = epoll_create1(0);
    all = must(calloc(visitors, sizeof(*all)));
    begun = now_nsec();
    for (i = 0; i < visitors; i++) {
        all[i].sessions = must(calloc(sessions, sizeof(session_t)));
        visitor_connect(&all[i]);
        go_on(&all[i]);
    }
    run_until(0);
    making = (double)(now_nsec() - begun) / 1e9;
    if (seconds > 0) {
        count_from = now_nsec() + (long long)(seconds * 1e8);
        count_until = count_from + (long long)(seconds * 1e9);
        for (i = 0; i < visitors; i++) {
            go_on(&all[i]);
        }
        run_until(count_from);
        printf("ready\n");
        fflush(stdout);
        run_until(count_until);
        count_waiting(all);
    }
    print_all(making);
    return 0;
}
