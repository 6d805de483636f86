/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay DELAY_USEC LISTEN:TARGET...
 *
 * Carries TCP between ports of 127.0.0.1 and gives every byte that much more
 * time on its way, in each direction: a network, for machines whose kernel has
 * no netem. Counts the bytes. A line on stdin is answered by one line on
 * stdout, "UP DOWN": payload bytes so far towards the targets and back. Ends
 * with stdin.
 *
 * One thread. All bytes wait equally long, so they leave in the order in which
 * they came: one queue, and a timer for its head.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/** Bytes that one read takes. */
#define CHUNK 65536

/** Bytes that may wait for one peer; a frozen one costs no more. */
#define WAIT_MAX (64L * 1024 * 1024)

#define EVENTS 64

typedef struct end_t end_t;

/** Bytes on their way; none say that the sender closed. */
typedef struct chunk_t {
    struct chunk_t *next;
    end_t *to;
    long long due_nsec;
    size_t len;
    size_t sent;
    char data[];
} chunk_t;

/** One socket. */
struct end_t {
    int fd;
    int is_up;         /* what comes from it goes towards a target */
    int is_listener;
    int target;        /* of a listener: the port to carry to */
    int is_blocked;    /* waits for EPOLLOUT */
    int is_closed;
    int held;          /* chunks that name it */
    long waiting;      /* bytes of them */
    end_t *peer;
    chunk_t *first;    /* due, but it did not take them yet */
    chunk_t *last;
};

static int events_fd;
static int timer_fd;
static long long delay_nsec;
static unsigned long long moved[2];
static chunk_t *head;
static chunk_t *tail;
static end_t *graveyard; /* closed in this turn; peer is the link */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static long long now_nsec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void watch(end_t *end, int op, unsigned int events)
{
    struct epoll_event event = {.events = events, .data.ptr = end};

    if (epoll_ctl(events_fd, op, end->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void arm_timer(void)
{
    struct itimerspec when = {{0, 0}, {0, 0}};

    if (head) {
        when.it_value.tv_sec = head->due_nsec / 1000000000;
        when.it_value.tv_nsec = head->due_nsec % 1000000000;
    }
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static end_t *end_make(int fd, int is_up)
{
    end_t *end = calloc(1, sizeof(*end));
    int on = 1;

    if (end == NULL) {
        die("calloc");
    }
    end->fd = fd;
    end->is_up = is_up;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return end;
}

static void end_close(end_t *end)
{
    if (!end->is_closed) {
        end->is_closed = 1;
        close(end->fd);
    }
}

static void close_both(end_t *end)
{
    end_close(end);
    end_close(end->peer);
}

/* Free a pair once both are closed and no chunk names them; not at once, for
 * this turn's events may name them, too. */
static void bury(end_t *end)
{
    end_t *peer = end->peer;

    if (end->is_closed && peer && peer->is_closed && end->held == 0
        && peer->held == 0) {
        while (end->first) {
            chunk_t *next = end->first->next;

            free(end->first);
            end->first = next;
        }
        while (peer->first) {
            chunk_t *next = peer->first->next;

            free(peer->first);
            peer->first = next;
        }
        peer->peer = graveyard;
        end->peer = peer;
        graveyard = end;
        end->held = peer->held = -1;
    }
}

static void empty_graveyard(void)
{
    while (graveyard) {
        end_t *next = graveyard->peer;

        free(graveyard);
        graveyard = next;
    }
}

/** Give a socket what is due for it. */
static void flush(end_t *end)
{
    while (end->first && !end->is_closed) {
        chunk_t *chunk = end->first;
        ssize_t n;

        if (chunk->len == 0) {
            close_both(end);
            break;
        }
        n = send(end->fd, chunk->data + chunk->sent, chunk->len - chunk->sent,
                 MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            if (!end->is_blocked) {
                end->is_blocked = 1;
                watch(end, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            }
            return;
        }
        if (n < 0) {
            close_both(end);
            break;
        }
        chunk->sent += (size_t)n;
        end->waiting -= n;
        if (chunk->sent == chunk->len) {
            end->first = chunk->next;
            free(chunk);
        }
    }
    if (end->is_blocked && !end->is_closed) {
        end->is_blocked = 0;
        watch(end, EPOLL_CTL_MOD, EPOLLIN);
    }
}

/** Deliver what is due. */
static void deliver(void)
{
    long long now = now_nsec();

    while (head && head->due_nsec <= now) {
        chunk_t *chunk = head;
        end_t *to = chunk->to;

        head = chunk->next;
        tail = head ? tail : NULL;
        chunk->next = NULL;
        to->held--;
        if (to->is_closed) {
            free(chunk);
        }
        else {
            if (to->first) {
                to->last->next = chunk;
            }
            else {
                to->first = chunk;
            }
            to->last = chunk;
            if (!to->is_blocked) {
                flush(to);
            }
        }
        bury(to);
    }
    arm_timer();
}

static void enqueue(end_t *to, const char *data, size_t len)
{
    chunk_t *chunk = malloc(sizeof(*chunk) + len);

    if (chunk == NULL) {
        die("malloc");
    }
    memcpy(chunk->data, data, len);
    chunk->next = NULL;
    chunk->to = to;
    chunk->due_nsec = now_nsec() + delay_nsec;
    chunk->len = len;
    chunk->sent = 0;
    to->held++;
    to->waiting += (long)len;
    if (tail) {
        tail->next = chunk;
        tail = chunk;
    }
    else {
        head = tail = chunk;
        arm_timer();
    }
}

static void receive(end_t *end)
{
    static char data[CHUNK];
    ssize_t n = recv(end->fd, data, sizeof(data), 0);

    if (n > 0 && end->peer->waiting + n <= WAIT_MAX) {
        moved[end->is_up ? 0 : 1] += (unsigned long long)n;
        enqueue(end->peer, data, (size_t)n);
    }
    else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    else {
        /* What was sent before it closed arrives before the close does. */
        epoll_ctl(events_fd, EPOLL_CTL_DEL, end->fd, NULL);
        enqueue(end->peer, "", 0);
    }
}

static int connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_port = htons((unsigned short)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void welcome(const end_t *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK);
    int out = fd < 0 ? -1 : connect_to(listener->target);
    end_t *near;
    end_t *far;

    if (out < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    fcntl(out, F_SETFL, O_NONBLOCK);
    near = end_make(fd, 1);
    far = end_make(out, 0);
    near->peer = far;
    far->peer = near;
    watch(near, EPOLL_CTL_ADD, EPOLLIN);
    watch(far, EPOLL_CTL_ADD, EPOLLIN);
}

static void listen_on(const char *pair)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int on = 1;
    int from;
    int target;
    end_t *end;

    if (sscanf(pair, "%d:%d", &from, &target) != 2) {
        fprintf(stderr, "relay: not LISTEN:TARGET: %s\n", pair);
        exit(2);
    }
    end = end_make(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), 1);
    end->is_listener = 1;
    end->target = target;
    at.sin_port = htons((unsigned short)from);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(end->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(end->fd, (struct sockaddr *)&at, sizeof(at)) != 0
        || listen(end->fd, 512) != 0) {
        die(pair);
    }
    watch(end, EPOLL_CTL_ADD, EPOLLIN);
}

/** Say the counts for each line; 0 when stdin ended. */
static int talk(void)
{
    char line[64];
    ssize_t n = read(STDIN_FILENO, line, sizeof(line));

    if (n <= 0) {
        return 0;
    }
    printf("%llu %llu\n", moved[0], moved[1]);
    fflush(stdout);
    return 1;
}

/** One event; 0 when it was the end of stdin. */
static int handle(const struct epoll_event *event)
{
    end_t *end = event->data.ptr;
    unsigned long long fired;

    if (end == NULL) {
        return talk();
    }
    if (end->fd == timer_fd) {
        if (read(timer_fd, &fired, sizeof(fired)) > 0) {
            deliver();
        }
        return 1;
    }
    if (end->is_listener) {
        welcome(end);
        return 1;
    }
    if (!end->is_closed && (event->events & EPOLLOUT)) {
        flush(end);
        bury(end);
    }
    if (!end->is_closed && (event->events & ~(unsigned int)EPOLLOUT)) {
        receive(end);
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct epoll_event in = {.events = EPOLLIN, .data.ptr = NULL};
    struct epoll_event events[EVENTS];
    end_t timer = {.fd = -1};
    int i;

    if (argc < 3) {
        fprintf(stderr, "usage: relay DELAY_USEC LISTEN:TARGET...\n");
        return 2;
    }
    delay_nsec = atoll(argv[1]) * 1000;
    prctl(PR_SET_TIMERSLACK, 1);
    events_fd = epoll_create1(0);
    timer_fd = timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(&timer, EPOLL_CTL_ADD, EPOLLIN);
    epoll_ctl(events_fd, EPOLL_CTL_ADD, STDIN_FILENO, &in);
    for (i = 2; i < argc; i++) {
        listen_on(argv[i]);
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(events_fd, events, EVENTS, -1);

        for (i = 0; i < n; i++) {
            if (!handle(&events[i])) {
                return 0;
            }
        }
        empty_graveyard();
    }
}
