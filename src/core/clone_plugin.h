/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_PLUGIN_H
#define CLONE_PLUGIN_H

/**
 * @file clone_plugin.h
 * plugin-cfg.xml, the file of WebSphere's web server plug-in, as a record.
 *
 * Tools write it, people merge it by hand. So it is read leniently: the names
 * of attributes without regard to case, unknown ones noted, references to
 * nothing dropped with a warning. What cannot be read, such as a port that is
 * no number, is an error, and a file with an error gives no record: half a
 * configuration would send requests where nobody wanted them.
 *
 * Defaults are in the record already: no member says "not set". Names of
 * members say their unit. Everything lives in the pool of the parse, is
 * terminated, and is never written again, so that threads may share it.
 */

#include "clone_finding.h"

/** The session's cookie and URL parameter where the file names none. */
#define CLONE_PLUGIN_COOKIE "JSESSIONID"
#define CLONE_PLUGIN_URL_ID "jsessionid"

/** How requests without a session are spread over a cluster. */
typedef enum clone_plugin_balance_e {
    CLONE_PLUGIN_ROUND_ROBIN = 0, /**< by weight */
    CLONE_PLUGIN_RANDOM           /**< evenly, whatever the weights */
} clone_plugin_balance_e;

/** What a server is for in its cluster. */
typedef enum clone_plugin_role_e {
    CLONE_PLUGIN_PRIMARY = 0, /**< gets requests */
    CLONE_PLUGIN_BACKUP,      /**< when no primary one can be reached */
    CLONE_PLUGIN_IDLE         /**< in neither list, or without a transport:
                                   gets nothing, sessions included */
} clone_plugin_role_e;

/** A name and a value, of the file as a whole. */
typedef struct clone_plugin_property_t {
    const char *name;
    const char *value;
    unsigned int line;
} clone_plugin_property_t;

/** One host and port that requests may be for. */
typedef struct clone_plugin_vhost_t {
    const char *name; /**< as written */
    const char *host; /**< lower case, brackets of IPv6 kept; NULL: any */
    unsigned int port; /**< 0: any */
    unsigned int line;
} clone_plugin_vhost_t;

/** A VirtualHostGroup. */
typedef struct clone_plugin_vhosts_t {
    const char *name;
    const clone_plugin_vhost_t *vhost; /**< without repetitions */
    unsigned int count;                /**< entries of vhost[] */
    unsigned int line;
} clone_plugin_vhosts_t;

/** One pattern of paths. */
typedef struct clone_plugin_uri_t {
    const char *name;   /**< the pattern: one '*' or none */
    const char *cookie; /**< session's cookie; NULL: none is looked at */
    const char *url_id; /**< session's URL parameter; NULL: none */
    unsigned int line;
} clone_plugin_uri_t;

/** A UriGroup. */
typedef struct clone_plugin_uris_t {
    const char *name;
    const clone_plugin_uri_t *uri; /**< without repetitions */
    unsigned int count;            /**< entries of uri[] */
    unsigned int line;
} clone_plugin_uris_t;

/** An address of a server. */
typedef struct clone_plugin_transport_t {
    const char *host;   /**< name or address, no brackets; lower case */
    unsigned int port;  /**< 1 to 65535 */
    int is_https;       /**< TLS */
    const char *keyring;    /**< GSKit's key database; NULL when not named */
    const char *stashfile;  /**< its password; NULL when not named */
    const char *cert_label; /**< which certificate of it; NULL when not named */
    unsigned int line;
} clone_plugin_transport_t;

/** One application server of a cluster. */
typedef struct clone_plugin_server_t {
    const char *name;     /**< unique in its cluster */
    const char *clone_id; /**< NULL: has no sessions of its own */
    clone_plugin_role_e role;
    unsigned int rank;    /**< place in its list, from 0; backups are asked
                               in this order */
    unsigned int weight;  /**< 0: new sessions go elsewhere */
    int connect_timeout_sec; /**< 0: as long as the system waits */
    int io_timeout_sec;      /**< of each read and write; 0: none */
    int io_timeout_downs;    /**< 1: a server that times out is down then
                                  (a negative ServerIOTimeout) */
    int ws_io_timeout_sec;   /**< the same for WebSocket; -1: not said */
    int ws_idle_timeout_sec; /**< WebSocket without traffic; -1: not said */
    unsigned int max_connections; /**< at a time; 0: no limit */
    int marks_busy_down;   /**< 1: a 503 takes it down (MarkBusyDown) */
    int wait_for_continue; /**< 1: Expect: 100-continue on every request */
    int extended_handshake; /**< 1: asked for; has no effect */
    const clone_plugin_transport_t *transport; /**< in file order */
    unsigned int transport_count; /**< 0 makes the role IDLE */
    unsigned int line;
} clone_plugin_server_t;

/** A ServerCluster. */
typedef struct clone_plugin_cluster_t {
    const char *name;
    clone_plugin_balance_e balance;
    int retry_sec;        /**< a server stays down so long */
    int timeout_retries;  /**< after ServerIOTimeout; -1: as many as servers */
    int removes_special_headers; /**< 0: $WS headers of clients pass */
    int is_plus_separated;       /**< 1: '+' stands between clone ids */
    apr_int64_t post_limit;      /**< bytes of a request's body; -1: none */
    apr_int64_t post_buffer;     /**< bytes kept for a retry; -1: all of it */
    int ignores_affinity;        /**< 1: requests with a session do not count
                                      for the balance */
    int gets_dwlm_table;         /**< 1: partition table; has no effect */
    const clone_plugin_server_t *server; /**< in file order */
    unsigned int server_count;
    const clone_plugin_server_t **primary; /**< role PRIMARY, in rank order */
    unsigned int primary_count;
    const clone_plugin_server_t **backup;  /**< role BACKUP, in rank order */
    unsigned int backup_count;
    const clone_plugin_transport_t *address; /**< ClusterAddress: requests
                                  without a session go there; may be none */
    unsigned int address_count;
    unsigned int line;
} clone_plugin_cluster_t;

/** A Route: what is for these hosts and these paths goes to that cluster. */
typedef struct clone_plugin_route_t {
    const clone_plugin_vhosts_t *vhosts; /**< NULL: any host */
    const clone_plugin_uris_t *uris;     /**< NULL: any path */
    const clone_plugin_cluster_t *cluster; /**< never NULL */
    unsigned int line;
} clone_plugin_route_t;

/** The file. */
typedef struct clone_plugin_t {
    int refresh_sec;          /**< look for changes so often; -1: never */
    int ignores_dns_failures; /**< 1: a host without an address is just down */
    int prefers_server_port;  /**< AppServerPortPreference WebserverPort: the
                                   application builds URLs with the port of
                                   the connection, not of the Host header */
    int matches_server_port;  /**< VHostMatchingCompat: hosts are matched with
                                   the port of the connection */
    int trusts_proxies;       /**< TrustedProxyEnable */
    const char *log_name;     /**< of the plug-in's log; NULL when not named */
    const char *log_level;    /**< NULL when not said */
    const clone_plugin_property_t *property;
    unsigned int property_count;
    const clone_plugin_vhosts_t *vhosts; /**< in file order, names unique */
    unsigned int vhosts_count;
    const clone_plugin_uris_t *uris;     /**< in file order, names unique */
    unsigned int uris_count;
    const clone_plugin_cluster_t *cluster; /**< in file order, names unique */
    unsigned int cluster_count;
    const clone_plugin_route_t *route;   /**< in file order; those that led
                                              to nothing are left out */
    unsigned int route_count;
    const char **trusted_proxy;          /**< names or addresses */
    unsigned int trusted_proxy_count;
} clone_plugin_t;

/**
 * Read a file's text.
 *
 * Never expands an entity, and refuses what is over the CLONE_XML_ limits
 * before anything is built of it. Bytes that are no UTF-8 are read as
 * ISO-8859-1, whatever the file claims: that is what generators write.
 *
 * @param plugin the record, in p; NULL unless OK is returned
 * @param findings what there is to say, in the order of lines; its texts are
 *        in its own pool. On failure findings->first_error has line and reason
 * @param text the file's bytes; not needed afterwards
 * @param p for the record
 * @param ptemp for what is needed meanwhile: about twenty times the text
 * @return CLONE_FINDING_OK, or the kind of the first error
 */
HA_CHECK_RESULT
clone_finding_e clone_plugin_parse(const clone_plugin_t **plugin,
                                   clone_findings_t *findings, span_t text,
                                   apr_pool_t *p, apr_pool_t *ptemp);

/**
 * The address of a server for a request: with two, the one that is as secure
 * as the client's connection.
 *
 * @param is_https the client's connection
 * @return NULL when there is none at all
 */
const clone_plugin_transport_t *
clone_plugin_transport(const clone_plugin_server_t *server, int is_https);

/**
 * The word for a role: "primary", "backup" or "idle".
 *
 * @return a constant; "?" for a value outside the enum
 */
const char *clone_plugin_role_name(clone_plugin_role_e role);

#endif
