/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_mc_guard.h"

#include <poll.h>

#include <stddef.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/*
 * libmemcached 1.1.4 trusts its peer: "VERSION" without a number makes it
 * follow a null pointer, lengths and keys are not checked, and a peer that
 * sends a byte now and then holds a thread for ever, for its time limit is
 * that of one poll. So an answer is looked at while it is still in the
 * socket: only one that makes sense is read at all, and only once it is
 * there, so that reading it does not wait.
 *
 * libmemcached does not tell its descriptor, only the local port. Sockets to
 * different peers may share one, for the system keeps only both ends together
 * unique; so the peer's whole address is compared too. What goes to one peer
 * leaves from one address, which the route decides: that names one socket of
 * this process. Unix sockets have no port: those that somebody has found are
 * marked, and when one alone is not, it is the one that was just made. The
 * mark is a receive time-out that nobody waits for, because these sockets
 * never block: so it is where the socket is, and goes with it. When there are
 * several, as when two threads connect at the same moment, there is no guard,
 * and the connection is used once.
 */

/** Bytes of a first line: longest key, and three numbers. */
#define LINE_MAX_LEN (6 + 250 + 1 + 10 + 1 + 20 + 1 + 20 + 2)

/** Bytes that any receive buffer holds; what is more is read as it comes. */
#define SURELY (32 * 1024)

/** Descriptors looked at, and unused ones in a row that end the search. */
#define FD_MAX 65536
#define FD_GAP 256

/** Seconds of the time-out that is a mark. */
#define MARK_SEC 86407

/** The peer has hung up, though there may be bytes to read. */
#ifdef POLLRDHUP
#define HANG_UP POLLRDHUP
#else
#define HANG_UP 0
#endif

static const char value_word[] = "VALUE ";
static const char end_line[] = "END\r\n";

/** An IPv4 address as IPv6 writes it. */
static void map_v4(struct in6_addr *ip, const struct in_addr *v4)
{
    memset(ip, 0, sizeof(*ip));
    memset(ip->s6_addr + 10, 0xff, 2);
    memcpy(ip->s6_addr + 12, v4, sizeof(*v4));
}

/** Take an address apart; its port, 0 when it has none. */
static apr_port_t port_of(const struct sockaddr_storage *address,
                          struct in6_addr *ip)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->ss_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        map_v4(ip, &v4.sin_addr);
        return ntohs(v4.sin_port);
    }
    if (address->ss_family == AF_INET6) {
        memcpy(&v6, address, sizeof(v6));
        *ip = v6.sin6_addr;
        return ntohs(v6.sin6_port);
    }
    return 0;
}

int ha_mc_guard_is_at(const struct sockaddr_storage *peer, const char *host,
                      apr_port_t port)
{
    struct in_addr v4;
    struct in6_addr want;
    struct in6_addr ip;

    if (inet_pton(AF_INET, host, &v4) == 1) {
        map_v4(&want, &v4);
    }
    else if (inet_pton(AF_INET6, host, &want) != 1) {
        return 0;
    }
    return port != 0 && port_of(peer, &ip) == port
           && memcmp(&ip, &want, sizeof(ip)) == 0;
}

int ha_mc_guard_find(apr_port_t from, const char *host, apr_port_t port)
{
    struct in6_addr ip;
    int gap = 0;
    int fd;

    /* a new descriptor is the lowest there is, so this ends soon */
    for (fd = 0; fd < FD_MAX && gap < FD_GAP; fd++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);

        memset(&address, 0, sizeof(address));
        if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
            gap = errno == EBADF ? gap + 1 : 0;
            continue;
        }
        gap = 0;
        if (port_of(&address, &ip) != from) {
            continue;
        }
        len = sizeof(address);
        if (getpeername(fd, (struct sockaddr *)&address, &len) == 0
            && ha_mc_guard_is_at(&address, host, port)) {
            return fd;
        }
    }
    return -1;
}

void ha_mc_guard_mark(int fd)
{
    struct timeval mark = { MARK_SEC, 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &mark, sizeof(mark));
}

static int is_marked(int fd)
{
    struct timeval mark = { 0, 0 };
    socklen_t len = sizeof(mark);

    return getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &mark, &len) == 0
           && mark.tv_sec == MARK_SEC;
}

/** Whether a descriptor is a socket whose peer is a path. */
static int leads_to(int fd, const char *path)
{
    struct sockaddr_un address;
    socklen_t len = sizeof(address);

    memset(&address, 0, sizeof(address));
    return getpeername(fd, (struct sockaddr *)&address, &len) == 0
           && address.sun_family == AF_UNIX
           && len > offsetof(struct sockaddr_un, sun_path)
           && strncmp(address.sun_path, path, sizeof(address.sun_path)) == 0;
}

int ha_mc_guard_find_unix(const char *path)
{
    int found = -1;
    int gap = 0;
    int fd;

    for (fd = 0; fd < FD_MAX && gap < FD_GAP; fd++) {
        if (leads_to(fd, path)) {
            gap = 0;
            if (is_marked(fd)) {
                continue;
            }
            if (found >= 0) {
                return -1;
            }
            found = fd;
        }
        else {
            gap = errno == EBADF ? gap + 1 : 0;
        }
    }
    if (found >= 0) {
        ha_mc_guard_mark(found);
    }
    return found;
}

int ha_mc_guard_is_quiet(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0
           && APR_STATUS_IS_EAGAIN(errno);
}

/* ---- the first line ------------------------------------------------------ */

/** Whether one is the beginning of the other. */
static int begins_alike(span_t a, const char *b, apr_size_t b_len)
{
    apr_size_t len = a.len < b_len ? a.len : b_len;

    return memcmp(a.data, b, len) == 0;
}

/**
 * Take a decimal number and the byte behind it.
 *
 * @return 1 when there was one, up to max
 */
static int take_number(span_t *line, char behind, apr_uint64_t max,
                       apr_uint64_t *number)
{
    apr_size_t i;

    *number = 0;
    for (i = 0; i < line->len && line->data[i] >= '0' && line->data[i] <= '9';
         i++) {
        unsigned int digit = (unsigned int)(line->data[i] - '0');

        if (*number > (max - digit) / 10) {
            return 0;
        }
        *number = *number * 10 + digit;
    }
    if (i == 0 || i == line->len || line->data[i] != behind) {
        return 0;
    }
    *line = span_of(line->data + i + 1, line->len - i - 1);
    return 1;
}

/** Judge a first line; it ends with a line feed. */
static apr_status_t judge_line(apr_size_t *total, span_t line, span_t key)
{
    apr_size_t skip = sizeof(value_word) - 1 + key.len + 1;
    span_t rest = span_of(line.data + skip, line.len - skip);
    apr_uint64_t flags;
    apr_uint64_t len;
    apr_uint64_t version;

    if (!take_number(&rest, ' ', 0xffffffffu, &flags)
        || !take_number(&rest, ' ', HA_MC_ITEM_MAX, &len)
        || !take_number(&rest, '\r', APR_UINT64_MAX, &version)
        || version == 0 || rest.len != 1) {
        return HA_MC_GARBAGE;
    }
    *total = line.len + (apr_size_t)len + 2 + sizeof(end_line) - 1;
    return APR_SUCCESS;
}

apr_status_t ha_mc_guard_judge(apr_size_t *total, span_t seen, span_t key)
{
    apr_size_t skip = sizeof(value_word) - 1;
    const char *end;
    span_t rest;

    *total = 0;
    if (seen.len == 0) {
        return APR_INCOMPLETE;
    }
    if (begins_alike(seen, end_line, sizeof(end_line) - 1)) {
        *total = sizeof(end_line) - 1;
        return APR_SUCCESS;
    }
    if (!begins_alike(seen, value_word, skip)) {
        return HA_MC_GARBAGE;
    }
    rest = seen.len > skip ? span_of(seen.data + skip, seen.len - skip)
                           : span_of(seen.data, 0);
    if (!begins_alike(rest, key.data, key.len)
        || (rest.len > key.len && rest.data[key.len] != ' ')) {
        return HA_MC_GARBAGE;
    }
    end = memchr(seen.data, '\n', seen.len);
    if (end == NULL) {
        return seen.len < LINE_MAX_LEN ? APR_INCOMPLETE : HA_MC_GARBAGE;
    }
    return judge_line(total,
                      span_of(seen.data, (apr_size_t)(end - seen.data) + 1),
                      key);
}

/* ---- waiting ------------------------------------------------------------- */

/** Look once. APR_INCOMPLETE when more must come; has tells if any came. */
static apr_status_t look(int fd, span_t key, int *has)
{
    char bytes[LINE_MAX_LEN];
    ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    apr_size_t total;
    apr_status_t rv;
    int there = 0;

    *has = got > 0;
    if (got == 0) {
        return ECONNRESET;
    }
    if (got < 0) {
        return APR_STATUS_IS_EAGAIN(errno) || APR_STATUS_IS_EINTR(errno)
                   ? APR_INCOMPLETE
                   : errno;
    }
    rv = ha_mc_guard_judge(&total, span_of(bytes, (apr_size_t)got), key);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (ioctl(fd, FIONREAD, &there) != 0) {
        return errno;
    }
    if ((apr_size_t)there > total) {
        return HA_MC_GARBAGE;
    }
    return (apr_size_t)there == total || there >= SURELY ? APR_SUCCESS
                                                         : APR_INCOMPLETE;
}

apr_status_t ha_mc_guard_wait(int fd, span_t key, apr_time_t deadline)
{
    int is_over = 0;

    for (;;) {
        struct pollfd ready;
        apr_time_t rest;
        int has = 0;
        apr_status_t rv = look(fd, key, &has);

        if (rv != APR_INCOMPLETE) {
            return rv;
        }
        rest = (deadline - apr_time_now() + 999) / 1000;
        if (rest <= 0) {
            return APR_TIMEUP;
        }
        if (has && is_over) {
            return ECONNRESET;
        }
        /* with a part of it there, the socket would be ready at once */
        ready.fd = fd;
        ready.events = has ? HANG_UP : POLLIN;
        ready.revents = 0;
        (void)poll(&ready, 1, has ? 1 : rest > 60000 ? 60000 : (int)rest);
        is_over = (ready.revents & (HANG_UP | POLLHUP | POLLERR)) != 0;
    }
}
