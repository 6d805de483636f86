/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_SERVER_H
#define IO_SERVER_H

/**
 * @file io_server.h
 * Servers for tests: a real memcached, one that lies, and one that is not
 * there. All on free loopback ports; all die with the test.
 */

#include <apr_network_io.h>

#include <pthread.h>
#include <sys/types.h>

/** A memcached of Debian's, in a process of its own. */
typedef struct io_memcached_t {
    apr_port_t port;        /**< 0 with a path */
    char path[100];         /**< of a unix socket, or empty */
    const char *option;     /**< one more option, or NULL */
    const char *value;      /**< and its value, or NULL */
    pid_t pid;              /**< 0 when it does not run */
} io_memcached_t;

/** Start one on a free port, with one more option if there is one. */
void io_memcached_start(io_memcached_t *server, const char *option,
                        const char *value);

/** Start one on a unix socket. */
void io_memcached_start_unix(io_memcached_t *server, const char *path);

/** Start it again, empty, where it was. */
void io_memcached_restart(io_memcached_t *server);

/** One of its statistics, by name. */
long io_memcached_stat(const io_memcached_t *server, const char *name);

/** Kill it with SIGKILL, and wait until it is gone. */
void io_memcached_kill(io_memcached_t *server);

/** Stop it, so that it hangs; it has stopped when this returns. */
void io_memcached_freeze(io_memcached_t *server);

/** Let it go on. */
void io_memcached_thaw(io_memcached_t *server);

/** How a server that lies does it. */
typedef enum io_fake_e {
    IO_FAKE_REPLY = 0, /**< the same bytes to every "gets" */
    IO_FAKE_CLOSE,     /**< the same bytes, and then it hangs up */
    IO_FAKE_TRICKLE,   /**< the same bytes, one every 20 ms */
    IO_FAKE_ONCE,      /**< the same bytes, but hangs up when asked again */
    IO_FAKE_CHATTER    /**< a byte every 20 ms for ever, without being asked */
} io_fake_e;

/** A server that lies. It answers "stats" as a memcached does. */
typedef struct io_fake_t io_fake_t;

/**
 * Start one.
 *
 * @param reply its answer to every "gets"; not copied
 * @param len bytes of reply
 */
io_fake_t *io_fake_start(io_fake_e how, const char *reply, apr_size_t len);

/** Its port. */
apr_port_t io_fake_port(const io_fake_t *fake);

/** Its unix socket, where it answers the same. */
const char *io_fake_path(const io_fake_t *fake);

/**
 * Connect to its unix socket, and do nothing. Lasts as long as the process.
 */
void io_fake_decoy(const io_fake_t *fake);

/** Number of connections it accepted. */
unsigned int io_fake_accepted(io_fake_t *fake);

/** End it and free it. */
void io_fake_stop(io_fake_t *fake);

/**
 * Make a port where nobody ever answers a connect: its queue is full.
 *
 * @return the port; it lasts as long as the process
 */
apr_port_t io_black_hole(void);

/** A port where nobody listens. */
apr_port_t io_closed_port(void);

#endif
