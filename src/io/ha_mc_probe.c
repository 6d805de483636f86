/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_mc_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>

#include <apr_strings.h>

/*
 * A probe is a connection of its own, a "stats" and its answer, which names
 * process id and uptime, and counts what was forgotten. Plain sockets, for
 * libmemcached reads the answer to "stats" in a way that aborts on nonsense,
 * and its time limits are for one server after the other, while all due nodes
 * are probed at once.
 *
 * Children share the work: who claims a due node in the shared table probes
 * it and reports there for everybody.
 */

/** Microseconds a probe may take; less than the shortest back-off. */
#define PROBE_USEC (200 * 1000)

/** Milliseconds between two looks at what is due, and with a doubt about. */
#define TICK_MSEC 250
#define TICK_DOUBT_MSEC 20

/** Microseconds after which an idle connection is closed. */
#define IDLE_USEC (60 * APR_USEC_PER_SEC)

/** Microseconds between two lookups of the names of nodes that are lost. */
#define LOOKUP_USEC (2 * APR_USEC_PER_SEC)

/** Bytes read at a time, above any line's, and of a whole answer. */
#define PART 2048
#define ANSWER (64 * 1024)

static const char question[] = "stats\r\n";

/** What an answer is read for; a bit each in seen. */
enum { PID, UPTIME, FLUSHES, EVICTIONS, FACTS };

typedef struct probe_t {
    ha_mc_peer_t *peer;
    apr_time_t began;
    size_t len;   /* bytes of a line that is not whole */
    size_t total; /* bytes so far */
    int fd;
    int is_sent;
    unsigned int seen;
    apr_uint64_t fact[FACTS];
    char ip[HA_MC_IP_SIZE * 2];
    char part[PART];
} probe_t;

struct ha_mc_probe_t {
    ha_mc_peer_t *peers;
    unsigned int count;
    apr_pool_t *pool;        /* the thread's own */
    pthread_t thread;
    int wake[2];             /* a byte in it wakes the thread */
    int stop;                /* atomic */
    apr_uint32_t random;
    apr_time_t looked_up;
    unsigned int running;
    probe_t probe[HA_NODES_MAX];
    struct pollfd poll[HA_NODES_MAX + 1];
};

static int must_stop(const ha_mc_probe_t *prober)
{
    return __atomic_load_n(&prober->stop, __ATOMIC_ACQUIRE);
}

/** Bits for jitter, after Marsaglia's xorshift. */
static apr_uint32_t next_random(ha_mc_probe_t *prober)
{
    apr_uint32_t x = prober->random;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return prober->random = x;
}

/* ---- one probe ----------------------------------------------------------- */

/** Fill an address; 0 when the text is none. */
static socklen_t fill_address(struct sockaddr_storage *to, const char *ip,
                              apr_port_t port)
{
    struct sockaddr_un un;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    memset(to, 0, sizeof(*to));
    if (ip[0] == '/') {
        memset(&un, 0, sizeof(un));
        un.sun_family = AF_UNIX;
        if (strlen(ip) >= sizeof(un.sun_path)) {
            return 0;
        }
        memcpy(un.sun_path, ip, strlen(ip));
        memcpy(to, &un, sizeof(un));
        return sizeof(un);
    }
    memset(&v4, 0, sizeof(v4));
    memset(&v6, 0, sizeof(v6));
    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        memcpy(to, &v4, sizeof(v4));
        return sizeof(v4);
    }
    if (inet_pton(AF_INET6, ip, &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        memcpy(to, &v6, sizeof(v6));
        return sizeof(v6);
    }
    return 0;
}

static apr_status_t begin(probe_t *probe)
{
    struct sockaddr_storage to;
    socklen_t len;

    if (ha_mc_peer_where(probe->peer, probe->ip) == 0) {
        return EHOSTUNREACH;
    }
    len = fill_address(&to, probe->ip, probe->peer->node->port);
    if (len == 0) {
        return EINVAL;
    }
    probe->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                       0);
    if (probe->fd < 0) {
        return errno;
    }
    ha_mc_guard_mark(probe->fd);
    if (connect(probe->fd, (struct sockaddr *)&to, len) != 0
        && errno != EINPROGRESS) {
        return errno;
    }
    return APR_SUCCESS;
}

/** Tell what was read. */
static apr_status_t report(probe_t *probe)
{
    const unsigned int who = 1u << PID | 1u << UPTIME;
    const unsigned int counts = 1u << FLUSHES | 1u << EVICTIONS;
    const apr_uint64_t *fact = probe->fact;
    apr_time_t now = apr_time_now();

    if ((probe->seen & who) != who || fact[UPTIME] > APR_UINT32_MAX) {
        return HA_MC_GARBAGE;
    }
    ha_mc_peer_identified(probe->peer, (apr_uint32_t)fact[PID],
                          now - apr_time_from_sec((apr_time_t)fact[UPTIME]),
                          now, now - probe->began);
    if ((probe->seen & counts) == counts) {
        ha_mc_peer_counted(probe->peer, fact[FLUSHES], fact[EVICTIONS], now);
    }
    return APR_SUCCESS;
}

/** Whether a line begins with a text, which is taken off it. */
static int take_text(span_t *line, const char *text)
{
    size_t len = strlen(text);

    if (line->len < len || memcmp(line->data, text, len) != 0) {
        return 0;
    }
    *line = span_of(line->data + len, line->len - len);
    return 1;
}

/** Look at a line, without its end; APR_INCOMPLETE for more to come. */
static apr_status_t take_line(probe_t *probe, span_t line)
{
    static const char *const names[FACTS] = {
        "pid ", "uptime ", "cmd_flush ", "evictions "
    };
    unsigned int i;

    if (line.len == 3 && take_text(&line, "END")) {
        return report(probe);
    }
    if (!take_text(&line, "STAT ")) {
        return HA_MC_GARBAGE;
    }
    for (i = 0; i < FACTS; i++) {
        if (take_text(&line, names[i])) {
            if (line.len == 0 || line.len > 18
                || strspn(line.data, "0123456789") < line.len) {
                return HA_MC_GARBAGE;
            }
            probe->fact[i] = (apr_uint64_t)apr_atoi64(line.data);
            probe->seen |= 1u << i;
        }
    }
    return APR_INCOMPLETE;
}

/** Look at the lines that came; what is left of the last one is kept. */
static apr_status_t judge(probe_t *probe)
{
    apr_status_t rv = APR_INCOMPLETE;
    char *at = probe->part;
    char *end = at + probe->len;
    char *eol;

    while (rv == APR_INCOMPLETE
           && (eol = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        /* the end of a line ends its number, too */
        rv = eol > at && eol[-1] == '\r'
                 ? take_line(probe, span_of(at, (size_t)(eol - at) - 1))
                 : HA_MC_GARBAGE;
        at = eol + 1;
    }
    probe->len = (size_t)(end - at);
    memmove(probe->part, at, probe->len);
    if (rv == APR_INCOMPLETE
        && (probe->len == PART || probe->total > ANSWER)) {
        return HA_MC_GARBAGE;
    }
    return rv;
}

/** Go on with a probe whose socket is ready. */
static apr_status_t go_on(probe_t *probe)
{
    ssize_t got;

    if (!probe->is_sent) {
        /* a connect that failed says so here */
        got = send(probe->fd, question, sizeof(question) - 1, MSG_NOSIGNAL);
        probe->is_sent = 1;
        if (got < 0) {
            return errno;
        }
        return got == sizeof(question) - 1 ? APR_INCOMPLETE : APR_TIMEUP;
    }
    got = recv(probe->fd, probe->part + probe->len, PART - probe->len, 0);
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR ? APR_INCOMPLETE : errno;
    }
    if (got == 0) {
        return ECONNRESET;
    }
    probe->len += (size_t)got;
    probe->total += (size_t)got;
    return judge(probe);
}

/** End a probe that has run out of something, or succeeded. */
static void end(ha_mc_probe_t *prober, probe_t *probe, apr_status_t rv)
{
    apr_time_t now = apr_time_now();

    if (rv != APR_SUCCESS) {
        ha_mc_peer_turn(probe->peer, probe->ip);
        ha_mc_peer_failed(probe->peer, rv, now, now - probe->began);
    }
    if (probe->fd >= 0) {
        (void)close(probe->fd);
    }
    probe->fd = -1;
    probe->peer = NULL;
    prober->running--;
}

/* ---- the thread ---------------------------------------------------------- */

static void begin_due(ha_mc_probe_t *prober)
{
    unsigned int i;

    for (i = 0; i < prober->count; i++) {
        ha_mc_peer_t *peer = &prober->peers[i];
        probe_t *probe = &prober->probe[i];
        apr_status_t rv;

        if (probe->peer
            || !ha_health_claim(peer->health, peer->slot, apr_time_now(),
                                next_random(prober))) {
            continue;
        }
        prober->running++;
        probe->peer = peer;
        probe->fd = -1;
        probe->len = 0;
        probe->total = 0;
        probe->seen = 0;
        probe->is_sent = 0;
        probe->began = apr_time_now();
        rv = begin(probe);
        if (rv != APR_SUCCESS) {
            end(prober, probe, rv);
        }
    }
}

static int doubts_wait(const ha_mc_probe_t *prober)
{
    unsigned int i;

    for (i = 0; i < prober->count; i++) {
        if (ha_health_is_doubted(prober->peers[i].health,
                                 prober->peers[i].slot)) {
            return 1;
        }
    }
    return 0;
}

/** Wait for a byte in the pipe, a socket, or a tick. */
static void wait_for_news(ha_mc_probe_t *prober)
{
    int msec = prober->running || doubts_wait(prober) ? TICK_DOUBT_MSEC
                                                      : TICK_MSEC;
    char bytes[64];
    unsigned int i;

    prober->poll[0].fd = prober->wake[0];
    prober->poll[0].events = POLLIN;
    for (i = 0; i < prober->count; i++) {
        const probe_t *probe = &prober->probe[i];

        prober->poll[i + 1].fd = probe->peer ? probe->fd : -1;
        prober->poll[i + 1].events = probe->is_sent ? POLLIN : POLLOUT;
        prober->poll[i + 1].revents = 0;
    }
    if (poll(prober->poll, prober->count + 1, msec) > 0
        && prober->poll[0].revents) {
        while (read(prober->wake[0], bytes, sizeof(bytes)) > 0) {
        }
    }
}

static void go_on_all(ha_mc_probe_t *prober)
{
    unsigned int i;

    for (i = 0; i < prober->count; i++) {
        probe_t *probe = &prober->probe[i];
        apr_status_t rv = APR_INCOMPLETE;

        if (probe->peer == NULL) {
            continue;
        }
        if (prober->poll[i + 1].revents) {
            rv = go_on(probe);
        }
        if (rv == APR_INCOMPLETE
            && apr_time_now() - probe->began > PROBE_USEC) {
            rv = APR_TIMEUP;
        }
        if (rv != APR_INCOMPLETE) {
            end(prober, probe, rv);
        }
    }
}

/** Look up names of nodes that are lost. */
static void look_up(ha_mc_probe_t *prober)
{
    apr_time_t now = apr_time_now();
    unsigned int i;

    if (now - prober->looked_up < LOOKUP_USEC) {
        return;
    }
    prober->looked_up = now;
    for (i = 0; i < prober->count && !must_stop(prober); i++) {
        ha_mc_peer_t *peer = &prober->peers[i];

        if (ha_mc_peer_is_lost(peer)) {
            /* a failed lookup leaves what was known, and is tried again */
            apr_status_t rv = ha_mc_peer_resolve(peer, prober->pool);

            (void)rv;
            apr_pool_clear(prober->pool);
        }
    }
}

static void *run(void *arg)
{
    ha_mc_probe_t *prober = arg;
    unsigned int i;

    while (!must_stop(prober)) {
        look_up(prober);
        begin_due(prober);
        wait_for_news(prober);
        go_on_all(prober);
        for (i = 0; i < prober->count; i++) {
            ha_mc_peer_trim(&prober->peers[i], apr_time_now() - IDLE_USEC);
        }
    }
    for (i = 0; i < prober->count; i++) {
        if (prober->probe[i].peer) {
            (void)close(prober->probe[i].fd);
        }
    }
    return NULL;
}

void ha_mc_probe_wake(ha_mc_probe_t *prober)
{
    /* a full pipe will wake it as well */
    ssize_t written = write(prober->wake[1], "", 1);

    (void)written;
}

static apr_status_t stop(void *data)
{
    ha_mc_probe_t *prober = data;

    __atomic_store_n(&prober->stop, 1, __ATOMIC_RELEASE);
    ha_mc_probe_wake(prober);
    (void)pthread_join(prober->thread, NULL);
    return APR_SUCCESS;
}

/** Late, for their numbers are given to others at once. */
static apr_status_t close_pipe(void *data)
{
    ha_mc_probe_t *prober = data;

    (void)close(prober->wake[0]);
    (void)close(prober->wake[1]);
    return APR_SUCCESS;
}

/** Start the thread with all signals blocked: they are for others. */
static int start_thread(ha_mc_probe_t *prober)
{
    sigset_t all;
    sigset_t before;
    int rv;

    (void)sigfillset(&all);
    rv = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rv == 0) {
        rv = pthread_create(&prober->thread, NULL, run, prober);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return rv;
}

apr_status_t ha_mc_probe_start(ha_mc_probe_t **probe, ha_mc_peer_t *peers,
                               unsigned int count, apr_pool_t *pchild)
{
    ha_mc_probe_t *prober = apr_pcalloc(pchild, sizeof(*prober));
    apr_allocator_t *allocator = NULL;
    apr_status_t rv;

    *probe = NULL;
    prober->peers = peers;
    prober->count = count;
    prober->random = (apr_uint32_t)apr_time_now() ^ (apr_uint32_t)getpid();
    prober->random |= 1;
    /* an allocator of its own: the pool's parent belongs to other threads */
    rv = apr_allocator_create(&allocator);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_pool_create_ex(&prober->pool, pchild, NULL, allocator);
    if (rv != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return rv;
    }
    apr_allocator_owner_set(allocator, prober->pool);
    if (pipe2(prober->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        return errno;
    }
    apr_pool_cleanup_register(pchild, prober, close_pipe,
                              apr_pool_cleanup_null);
    rv = start_thread(prober);
    if (rv != 0) {
        return rv;
    }
    apr_pool_pre_cleanup_register(pchild, prober, stop);
    *probe = prober;
    return APR_SUCCESS;
}
