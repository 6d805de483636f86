/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CONFIG_H
#define CLONE_CONFIG_H

/**
 * @file clone_config.h
 * ProxyCloneConfig: plugin-cfg.xml as a part of the configuration, from the
 * directive to the edition that a request sees.
 *
 *   clone_edition         one state of the file, parsed and checked
 *   clone_config          start, and handing editions to requests
 *   clone_config_members  clusters and servers as balancers and members
 *   clone_config_watch    the file has changed
 *   clone_config_match    a request's host and path decide
 *   clone_config_method   requests without a session
 *   clone_config_socket   time-outs of WebSockets
 */

#include <apr_global_mutex.h>
#include <apr_thread_mutex.h>
#include <httpd.h>
#include <http_config.h>

#include "clone_bulletin.h"
#include "clone_conf.h"
#include "clone_edition.h"

/** Members and clusters that may come while the server runs, unless told. */
#define CLONE_CONFIG_MEMBER_ROOM 8
#define CLONE_CONFIG_CLUSTER_ROOM 2

/** What may be asked for. */
#define CLONE_CONFIG_MEMBER_ROOM_MAX 1000
#define CLONE_CONFIG_CLUSTER_ROOM_MAX 100

/** The watcher of one child. */
typedef struct clone_watch_t clone_watch_t;

/** The file and all that belongs to it; one for the whole server. */
typedef struct clone_config_t {
    const char *path;    /**< absolute; NULL without the directive */
    server_rec *server;  /**< the main server, whose balancers they are */
    int member_room;     /**< HA_UNSET unless told */
    int cluster_room;    /**< the same */
    int has_tls;         /**< SSLProxyEngine is On somewhere */
    int is_verified;     /**< SSLProxyVerify says require or optional */
    span_t text;         /**< what was read, until post_config is over */
    clone_look_t look;   /**< of the file then */
    clone_findings_t *findings; /**< the same */
    const char *complaint; /**< the file is bad, and this is why; what was
                                accepted last is used. NULL when it is good */
    clone_bulletin_t *board;  /**< shared */
    apr_global_mutex_t *lock; /**< guards the board */
    apr_thread_mutex_t *guard; /**< of this child: guards now and users */
    clone_edition_t *now;  /**< what requests see */
    clone_watch_t *watch;  /**< of this child */
} clone_config_t;

/** @return an empty record in p */
clone_config_t *clone_config_make(apr_pool_t *p);

/**
 * The directive: read, parse and check the file.
 *
 * After a restart a bad file is not the end: what was accepted last goes on.
 *
 * @param config filled
 * @return NULL, or what is wrong with it
 */
const char *clone_config_read(clone_config_t *config, cmd_parms *cmd,
                              const char *path);

/** @return the file's record, or NULL when there is none */
clone_config_t *clone_config_of(server_rec *s);

/** pre_config: name the lock. */
int clone_config_prepare(apr_pool_t *pconf, apr_pool_t *plog,
                         apr_pool_t *ptemp);

/**
 * post_config, before clone_server_install: make the balancers, say what was
 * found in the file, pin it up for the children.
 */
int clone_config_start(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s);

/** child_init, after mod_proxy_balancer. */
void clone_config_child(apr_pool_t *pchild, server_rec *s);

/**
 * Borrow the edition in effect. Wait-free but for a moment's lock; call
 * clone_config_leave() soon.
 *
 * @return never NULL in a child
 */
clone_edition_t *clone_config_enter(clone_config_t *config);

/** Give it back. The last one to leave an old edition frees it. */
void clone_config_leave(clone_config_t *config, clone_edition_t *edition);

/**
 * Put another edition in effect; the old one goes when nobody reads it. For
 * the watcher alone.
 *
 * @return 0 when the child is ending, and so nothing was done
 */
int clone_config_swap(clone_config_t *config, clone_edition_t *edition);

/**
 * What the file says of a balancer.
 */
typedef struct clone_config_cluster_t {
    int is_random;       /**< LoadBalance Random */
    int ignores_affinity; /**< requests with a session do not count */
    int is_plus;         /**< CloneSeparatorChange */
    int has_limits;      /**< a server has MaxConnections */
    int timeout_retries; /**< ServerIOTimeoutRetry; -1: no limit of its own */
    apr_int64_t body;    /**< PostBufferSize: bytes of a body held */
    const char *address; /**< URL of its ClusterAddress, in p; or NULL */
} clone_config_cluster_t;

/**
 * Ask for that.
 *
 * @param cluster filled when 1 is returned
 * @param s any server
 * @param name the balancer's
 * @param p for the address; NULL leaves it out
 * @return 1 when the balancer is from the file
 */
int clone_config_cluster(clone_config_cluster_t *cluster, server_rec *s,
                         const char *name, apr_pool_t *p);

/**
 * Whether the file lets a member have no new sessions (weight 0).
 *
 * @param is_drained filled when 1 is returned
 * @param url the member's
 * @return 1 when the member is from the file
 */
int clone_config_drained(int *is_drained, server_rec *s, const char *name,
                         const char *url);

/**
 * How many requests the file lets a member have at a time (MaxConnections).
 *
 * @param url the member's
 * @return 0 when it says nothing
 */
unsigned int clone_config_most(server_rec *s, const char *name,
                               const char *url);

/**
 * In the parent, which has no watcher: take up what children accepted.
 *
 * @param p scratch
 */
void clone_config_catch_up(server_rec *s, apr_pool_t *p);

/**
 * The same as settings of a balancer.
 *
 * @param conf members of which the file says something are set; none when the
 *        balancer is not from it
 */
void clone_config_settings(clone_conf_t *conf, server_rec *s,
                           const char *name);

/**
 * Say what was found in the file.
 */
void clone_config_report(const clone_config_t *config,
                         const clone_findings_t *findings);

#endif
