/* SPDX-License-Identifier: Apache-2.0 */
#include "io_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <apr_time.h>

#define PATIENCE (20 * APR_USEC_PER_SEC)
#define TRICKLE_MSEC 20
#define CONNS 64

static void must(int is_so, const char *what)
{
    if (!is_so) {
        perror(what);
        abort();
    }
}

static struct sockaddr_in loopback(apr_port_t port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

/* A socket on a free port, not listening yet. */
static int bind_free(apr_port_t *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0, "socket");
    must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)&address, &len) == 0,
         "getsockname");
    *port = ntohs(address.sin_port);
    return fd;
}

apr_port_t io_closed_port(void)
{
    apr_port_t port;

    must(close(bind_free(&port)) == 0, "close");
    return port;
}

/* ---- memcached ---------------------------------------------------------- */

/* A connection; -1 when nobody listens. */
static int connect_to(const io_memcached_t *server)
{
    struct sockaddr_in in = loopback(server->port);
    struct sockaddr_un un;
    int fd;
    int failed;

    memset(&un, 0, sizeof(un));
    un.sun_family = AF_UNIX;
    memcpy(un.sun_path, server->path, sizeof(server->path));
    fd = socket(server->port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC,
                0);
    must(fd >= 0, "socket");
    failed = server->port
                 ? connect(fd, (struct sockaddr *)&in, sizeof(in))
                 : connect(fd, (struct sockaddr *)&un, sizeof(un));
    if (failed) {
        must(close(fd) == 0, "close");
        return -1;
    }
    return fd;
}

static int can_connect(const io_memcached_t *server)
{
    int fd = connect_to(server);

    return fd >= 0 && close(fd) == 0;
}

long io_memcached_stat(const io_memcached_t *server, const char *name)
{
    char answer[16384];
    char line[100];
    apr_size_t len = 0;
    const char *at;
    int fd = connect_to(server);

    must(fd >= 0, "connect");
    must(send(fd, "stats\r\n", 7, MSG_NOSIGNAL) == 7, "send");
    do {
        ssize_t got = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);

        must(got > 0, "recv");
        len += (apr_size_t)got;
        answer[len] = '\0';
    } while (strstr(answer, "END\r\n") == NULL);
    must(close(fd) == 0, "close");
    (void)snprintf(line, sizeof(line), "STAT %s ", name);
    at = strstr(answer, line);
    must(at != NULL, name);
    return strtol(at + strlen(line), NULL, 10);
}

static void become_memcached(const io_memcached_t *server, pid_t parent)
{
    const struct passwd *user = getpwuid(geteuid());
    const char *argv[16];
    char port[16];
    int argc = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || user == NULL) {
        _exit(1);
    }
    argv[argc++] = "memcached";
    argv[argc++] = "-u";
    argv[argc++] = user->pw_name;
    argv[argc++] = "-t";
    argv[argc++] = "2";
    if (server->port) {
        (void)snprintf(port, sizeof(port), "%u", (unsigned int)server->port);
        argv[argc++] = "-l";
        argv[argc++] = "127.0.0.1";
        argv[argc++] = "-U";
        argv[argc++] = "0";
        argv[argc++] = "-p";
        argv[argc++] = port;
    }
    else {
        argv[argc++] = "-s";
        argv[argc++] = server->path;
    }
    if (server->option) {
        argv[argc++] = server->option;
        argv[argc++] = server->value;
    }
    argv[argc] = NULL;
    (void)execvp(argv[0], (char *const *)(void *)argv);
    perror("memcached");
    _exit(127);
}

void io_memcached_restart(io_memcached_t *server)
{
    apr_time_t deadline = apr_time_now() + PATIENCE;
    pid_t parent = getpid();
    int status;

    server->pid = fork();
    must(server->pid >= 0, "fork");
    if (server->pid == 0) {
        become_memcached(server, parent);
    }
    while (!can_connect(server)) {
        must(waitpid(server->pid, &status, WNOHANG) == 0, "memcached ended");
        must(apr_time_now() < deadline, "memcached does not answer");
        (void)poll(NULL, 0, 2);
    }
}

void io_memcached_start(io_memcached_t *server, const char *option,
                        const char *value)
{
    memset(server, 0, sizeof(*server));
    server->option = option;
    server->value = value;
    server->port = io_closed_port();
    io_memcached_restart(server);
}

void io_memcached_start_unix(io_memcached_t *server, const char *path)
{
    memset(server, 0, sizeof(*server));
    must(strlen(path) < sizeof(server->path), path);
    memcpy(server->path, path, strlen(path));
    io_memcached_restart(server);
}

void io_memcached_kill(io_memcached_t *server)
{
    int status;

    if (server->pid) {
        must(kill(server->pid, SIGKILL) == 0, "kill");
        must(waitpid(server->pid, &status, 0) == server->pid, "waitpid");
        server->pid = 0;
        if (server->path[0]) {
            (void)unlink(server->path);
        }
    }
}

void io_memcached_freeze(io_memcached_t *server)
{
    int status;

    must(kill(server->pid, SIGSTOP) == 0, "kill");
    must(waitpid(server->pid, &status, WUNTRACED) == server->pid
             && WIFSTOPPED(status), "waitpid");
}

void io_memcached_thaw(io_memcached_t *server)
{
    must(kill(server->pid, SIGCONT) == 0, "kill");
}

/* ---- a server that lies ------------------------------------------------- */

/* The end of what a client sent is all that matters. */
typedef struct conn_t {
    int fd;
    char tail[512];
    apr_size_t len;
    apr_size_t trickled; /* bytes of the reply sent so far, of a trickle */
    int is_trickling;
    int times;           /* asked so far */
} conn_t;

struct io_fake_t {
    io_fake_e how;
    const char *reply;
    apr_size_t len;
    apr_port_t port;
    unsigned int accepted; /* atomic */
    int listener;
    int unix_listener;
    char path[100];
    int stop[2];
    pthread_t thread;
    conn_t conn[CONNS];
    unsigned int count;
};

static const char stats[] = "STAT pid 4711\r\nSTAT uptime 100000\r\n"
                            "STAT version 1.6.18\r\nEND\r\n";

static void hang_up(io_fake_t *fake, unsigned int i)
{
    (void)close(fake->conn[i].fd);
    fake->conn[i] = fake->conn[--fake->count];
}

static int ends_with(const conn_t *conn, const char *end)
{
    apr_size_t len = strlen(end);

    return conn->len >= len
           && memcmp(conn->tail + conn->len - len, end, len) == 0;
}

/* Whether the last line is a whole "gets". */
static int is_asked(const conn_t *conn)
{
    apr_size_t at = conn->len;

    if (!ends_with(conn, "\r\n")) {
        return 0;
    }
    for (at -= 2; at > 0 && conn->tail[at - 1] != '\n'; at--) {
    }
    return conn->len - at > 5 && memcmp(conn->tail + at, "gets ", 5) == 0;
}

/* Read; 0 when the client has gone. */
static int hear(conn_t *conn)
{
    char bytes[16384];
    ssize_t got = recv(conn->fd, bytes, sizeof(bytes), 0);
    apr_size_t keep;
    apr_size_t part;

    if (got <= 0) {
        return 0;
    }
    part = (apr_size_t)got < 256 ? (apr_size_t)got : 256;
    keep = conn->len < 256 ? conn->len : 256;
    memmove(conn->tail, conn->tail + conn->len - keep, keep);
    memcpy(conn->tail + keep, bytes + got - part, part);
    conn->len = keep + part;
    return 1;
}

/* Answer what was asked; 0 to hang up. */
static int answer(const io_fake_t *fake, conn_t *conn)
{
    if (ends_with(conn, "stats\r\n")) {
        conn->len = 0;
        return send(conn->fd, stats, sizeof(stats) - 1, MSG_NOSIGNAL) > 0;
    }
    if (!is_asked(conn)) {
        return 1;
    }
    conn->len = 0;
    if (fake->how == IO_FAKE_ONCE && conn->times++) {
        return 0;
    }
    if (fake->how == IO_FAKE_TRICKLE) {
        conn->is_trickling = 1;
        conn->trickled = 0;
        return 1;
    }
    if (fake->how == IO_FAKE_CHATTER) {
        return 1;
    }
    if (fake->len
        && send(conn->fd, fake->reply, fake->len, MSG_NOSIGNAL) < 0) {
        return 0;
    }
    return fake->how != IO_FAKE_CLOSE;
}

static int trickle(const io_fake_t *fake, conn_t *conn)
{
    if (fake->how == IO_FAKE_CHATTER) {
        return send(conn->fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0
               || errno == EAGAIN;
    }
    if (!conn->is_trickling) {
        return 1;
    }
    if (send(conn->fd, fake->reply + conn->trickled, 1, MSG_NOSIGNAL) < 0) {
        return 0;
    }
    conn->trickled++;
    conn->is_trickling = conn->trickled < fake->len;
    return 1;
}

static void accept_one(io_fake_t *fake, int listener)
{
    int fd = accept(listener, NULL, NULL);

    if (fd >= 0 && fake->count == CONNS) {
        (void)close(fd);
    }
    else if (fd >= 0) {
        memset(&fake->conn[fake->count], 0, sizeof(fake->conn[0]));
        fake->conn[fake->count++].fd = fd;
        __atomic_add_fetch(&fake->accepted, 1, __ATOMIC_RELAXED);
    }
}

static void *serve(void *arg)
{
    io_fake_t *fake = arg;
    int is_slow = fake->how == IO_FAKE_TRICKLE
                  || fake->how == IO_FAKE_CHATTER;
    struct pollfd fds[CONNS + 3];
    unsigned int i;

    for (;;) {
        unsigned int count = fake->count;

        fds[0].fd = fake->stop[0];
        fds[1].fd = fake->listener;
        fds[2].fd = fake->unix_listener;
        for (i = 0; i < count; i++) {
            fds[i + 3].fd = fake->conn[i].fd;
        }
        for (i = 0; i < count + 3; i++) {
            fds[i].events = POLLIN;
            fds[i].revents = 0;
        }
        (void)poll(fds, count + 3, is_slow ? TRICKLE_MSEC : -1);
        if (fds[0].revents) {
            return NULL;
        }
        /* from behind: to hang up moves the last one */
        for (i = count; i-- > 0;) {
            conn_t *conn = &fake->conn[i];

            if ((fds[i + 3].revents
                 && (!hear(conn) || !answer(fake, conn)))
                || !trickle(fake, conn)) {
                hang_up(fake, i);
            }
        }
        if (fds[1].revents) {
            accept_one(fake, fake->listener);
        }
        if (fds[2].revents) {
            accept_one(fake, fake->unix_listener);
        }
    }
}

static void listen_unix(io_fake_t *fake)
{
    struct sockaddr_un un;

    (void)snprintf(fake->path, sizeof(fake->path), "%s/io_fake.%ld.%u",
                   P_tmpdir, (long)getpid(), (unsigned int)fake->port);
    memset(&un, 0, sizeof(un));
    un.sun_family = AF_UNIX;
    memcpy(un.sun_path, fake->path, sizeof(fake->path));
    (void)unlink(fake->path);
    fake->unix_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fake->unix_listener >= 0, "socket");
    must(bind(fake->unix_listener, (struct sockaddr *)&un, sizeof(un)) == 0,
         fake->path);
    must(listen(fake->unix_listener, 64) == 0, "listen");
}

io_fake_t *io_fake_start(io_fake_e how, const char *reply, apr_size_t len)
{
    io_fake_t *fake = calloc(1, sizeof(*fake));

    must(fake != NULL, "calloc");
    fake->how = how;
    fake->reply = reply;
    fake->len = len;
    fake->listener = bind_free(&fake->port);
    must(listen(fake->listener, 64) == 0, "listen");
    listen_unix(fake);
    must(pipe2(fake->stop, O_CLOEXEC) == 0, "pipe");
    must(pthread_create(&fake->thread, NULL, serve, fake) == 0, "thread");
    return fake;
}

apr_port_t io_fake_port(const io_fake_t *fake)
{
    return fake->port;
}

const char *io_fake_path(const io_fake_t *fake)
{
    return fake->path;
}

void io_fake_decoy(const io_fake_t *fake)
{
    struct sockaddr_un un;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(&un, 0, sizeof(un));
    un.sun_family = AF_UNIX;
    memcpy(un.sun_path, fake->path, sizeof(fake->path));
    must(fd >= 0, "socket");
    must(connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0, "connect");
}

unsigned int io_fake_accepted(io_fake_t *fake)
{
    return __atomic_load_n(&fake->accepted, __ATOMIC_RELAXED);
}

void io_fake_stop(io_fake_t *fake)
{
    must(write(fake->stop[1], "", 1) == 1, "write");
    must(pthread_join(fake->thread, NULL) == 0, "join");
    while (fake->count) {
        hang_up(fake, 0);
    }
    (void)close(fake->listener);
    (void)close(fake->unix_listener);
    (void)unlink(fake->path);
    (void)close(fake->stop[0]);
    (void)close(fake->stop[1]);
    free(fake);
}

/* ---- nobody there ------------------------------------------------------- */

apr_port_t io_black_hole(void)
{
    apr_port_t port;
    struct sockaddr_in to;
    int is_full = 0;
    int tries;

    must(listen(bind_free(&port), 0) == 0, "listen");
    to = loopback(port);
    for (tries = 0; tries < 64 && !is_full; tries++) {
        struct pollfd fd;

        fd.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       0);
        fd.events = POLLOUT;
        must(fd.fd >= 0, "socket");
        (void)connect(fd.fd, (struct sockaddr *)&to, sizeof(to));
        is_full = poll(&fd, 1, 200) == 0;
    }
    must(is_full, "a full queue");
    return port;
}
