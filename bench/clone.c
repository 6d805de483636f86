/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone ID:PORT...
 *
 * Application servers of the router bench, as fast as can be: one process, one
 * thread, a port for each clone, kept-alive connections. It answers
 *
 *     GET /was?op=new&n=0    "n=00000000", a new session as WebSphere names it,
 *                            JSESSIONID=0000<id>:<clone>
 *     GET /app?op=new&n=0    the same as Tomcat names it, <id>.<clone>
 *     ... op=read&n=17       "n=00000017"
 *
 * with the id of the clone in X-Clone, and a page of a kilobyte. Every session
 * is welcome at every clone. It prints "ready" when all ports are open.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/** Bytes of a request. */
#define REQUEST_MAX 32768

/** Bytes of a page. */
#define PAGE_LEN 1024

#define EVENTS 64
#define BACKLOG 1024

/** A port that listens (request is NULL), or a connection to it. */
typedef struct peer_t {
    int fd;
    const char *id;
    char *request;
    size_t have;
} peer_t;

static int events_fd;
static unsigned long long serial; /* of sessions; begins at random */

static void die(const char *what)
{
    fprintf(stderr, "clone: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *must(void *memory)
{
    if (memory == NULL) {
        die("memory");
    }
    return memory;
}

static void watch(peer_t *peer)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};

    if (epoll_ctl(events_fd, EPOLL_CTL_ADD, peer->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void listen_as(char *word)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    peer_t *peer = must(calloc(1, sizeof(*peer)));
    char *colon = strchr(word, ':');
    int on = 1;

    if (colon == NULL) {
        fprintf(stderr, "usage: clone ID:PORT...\n");
        exit(2);
    }
    *colon = '\0';
    peer->id = word;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    at.sin_port = htons((unsigned short)atoi(colon + 1));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(peer->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(peer->fd, (struct sockaddr *)&at, sizeof(at)) != 0
        || listen(peer->fd, BACKLOG) != 0) {
        die("listen");
    }
    watch(peer);
}

static void welcome(const peer_t *door)
{
    peer_t *peer;
    int fd;
    int on = 1;

    while ((fd = accept4(door->fd, NULL, NULL, 0)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        peer = must(calloc(1, sizeof(*peer)));
        peer->fd = fd;
        peer->id = door->id;
        peer->request = must(malloc(REQUEST_MAX));
        watch(peer);
    }
}

static void part_with(peer_t *peer)
{
    close(peer->fd);
    free(peer->request);
    free(peer);
}

/* The line that begins a session, or none. */
static void name_session(char *line, size_t room, const peer_t *peer)
{
    int is_was = strncmp(peer->request, "GET /was", 8) == 0;

    line[0] = '\0';
    if (strstr(peer->request, "op=new") != NULL) {
        snprintf(line, room, "Set-Cookie: JSESSIONID=%s%016llx%c%s; Path=/\r\n",
                 is_was ? "0000" : "", serial++, is_was ? ':' : '.',
                 peer->id);
    }
}

/* Whether the connection goes on. */
static int answer(peer_t *peer)
{
    static char text[PAGE_LEN + 1024];
    char session[256];
    const char *n = strstr(peer->request, "&n=");
    int head;

    name_session(session, sizeof(session), peer);
    head = snprintf(text, sizeof(text),
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                    "Content-Length: %d\r\nX-Clone: %s\r\n%s\r\nn=%08lu\n",
                    PAGE_LEN, peer->id, session,
                    n != NULL ? strtoul(n + 3, NULL, 10) : 0);
    memset(text + head, '.', PAGE_LEN - 11);
    head += PAGE_LEN - 11;
    return send(peer->fd, text, (size_t)head, MSG_NOSIGNAL) == head;
}

static void receive(peer_t *peer)
{
    ssize_t n = recv(peer->fd, peer->request + peer->have,
                     REQUEST_MAX - 1 - peer->have, 0);

    if (n <= 0) {
        part_with(peer);
        return;
    }
    peer->have += (size_t)n;
    peer->request[peer->have] = '\0';
    if (strstr(peer->request, "\r\n\r\n") != NULL) {
        peer->have = 0;
        if (!answer(peer)) {
            part_with(peer);
        }
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int i;
    int n;

    events_fd = epoll_create1(0);
    if (getrandom(&serial, sizeof(serial), 0) != sizeof(serial)) {
        die("getrandom");
    }
    for (i = 1; i < argc; i++) {
        listen_as(argv[i]);
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        n = epoll_wait(events_fd, events, EVENTS, -1);
        for (i = 0; i < n; i++) {
            peer_t *peer = events[i].data.ptr;

            if (peer->request == NULL) {
                welcome(peer);
            }
            else {
                receive(peer);
            }
        }
    }
}
