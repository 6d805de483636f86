/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_MODULE_H
#define SESSION_MODULE_H

/**
 * @file session_module.h
 * What the files of mod_session_ha share: the records of the configuration,
 * and the site, which is one generation of the module at work.
 */

#include <httpd.h>
#include <http_config.h>

#include <mod_session.h>

#include "ha_conf.h"
#include "ha_courier.h"
#include "ha_health.h"
#include "ha_keeper.h"
#include "ha_recent.h"
#include "ha_refill.h"
#include "ha_store_mc.h"
#include "ha_store_shm.h"
#include "session_alarm.h"
#include "session_keys.h"

/** Settings of a server; nodes, secrets and memory in the main one alone. */
typedef struct session_server_t {
    ha_server_conf_t conf;     /**< what a virtual host may set */
    apr_array_header_t *nodes; /**< of ha_mc_node_t; NULL for none */
    const char *secret_file;   /**< absolute; NULL for none */
    const char *zone;          /**< where it is; NULL for nowhere */
    int refill_rate;           /**< sessions a second, HA_UNSET unless set */
    apr_int64_t memory;        /**< bytes, HA_UNSET unless set */
    int encryption;            /**< a ha_encryption_e, HA_UNSET unless set */
    int is_used;               /**< 1: SessionHA On stands somewhere */
} session_server_t;

/**
 * What happened since the start, and what was said about it; in shared
 * memory, each member changed atomically.
 */
typedef struct session_counts_t {
    volatile apr_uint64_t load_hit;      /**< sessions found */
    volatile apr_uint64_t load_miss;     /**< lost, or idle too long */
    volatile apr_uint64_t load_ended;    /**< logged out, or rotated before */
    volatile apr_uint64_t load_unknown;  /**< nobody could say */
    volatile apr_uint64_t load_refused;  /**< cookies forged or expired */
    volatile apr_uint64_t save_full;     /**< all copies proved */
    volatile apr_uint64_t save_async;    /**< this zone's, the rest behind */
    volatile apr_uint64_t save_degraded; /**< not all, and enough */
    volatile apr_uint64_t save_failed;   /**< none, or too few */
    volatile apr_uint64_t ended;         /**< logged out */
    volatile apr_uint64_t rotated;       /**< given another id */
    volatile apr_uint64_t locked;        /**< copies that no secret opened */
    volatile apr_uint32_t is_locked;     /**< 1: said so, and not yet over */
    volatile apr_uint32_t locked_sec;    /**< when a copy was locked last */
    volatile apr_uint64_t lock_taken;    /**< requests that had it alone */
    volatile apr_uint64_t lock_waited;   /**< of these, waited for another */
    volatile apr_uint64_t lock_busy;     /**< that waited in vain */
    volatile apr_uint64_t lock_lost;     /**< changes of who lost the lock */
    session_alarm_t unknown;             /**< sessions nobody could say of */
    session_alarm_t few;                 /**< copies fewer than needed */
    volatile apr_uint64_t ahead;         /**< loads ahead of this clock */
    volatile apr_uint64_t ahead_sec;     /**< the farthest of them */
    session_alarm_t clock;               /**< a clock is wrong */
    volatile apr_uint32_t sizes;         /**< size classes warned of, a bit
                                              each */
    volatile apr_uint32_t is_control_odd; /**< 1: an unknown word was said */
} session_counts_t;

/** One generation of the module. Made in post_config, then read only. */
typedef struct session_site_t {
    server_rec *server;         /**< main server, for log lines */
    ha_store_t *store;          /**< where sessions live */
    ha_shm_t *shm;              /**< its memory; NULL for memcached */
    ha_recent_t *recent;        /**< touches of this host */
    ha_refill_t *refill;        /**< what nodes missed; NULL for shm */
    apr_uint64_t nodes_print;   /**< stands for the list of nodes there */
    session_counts_t *counts;   /**< shared by all children */
    session_vault_t *vault;     /**< the secrets: session_keys() */
    ha_courier_board_t *board;  /**< likewise; NULL for shm */
    ha_courier_t *courier;      /**< of this child; NULL for none */
    span_t zone;                /**< where this web server is; empty: nowhere */
    apr_uint32_t longest_sec;   /**< longest idle limit anybody set */
    module *session;            /**< mod_session's record */
    apr_array_header_t *headers; /**< every header that no client may send */
    apr_array_header_t *cookies; /**< every name our cookies may have */
    int is_clear;               /**< mod_session_crypto is loaded, and what is
                                     stored is not encrypted by us */
    int has_exclusive;          /**< SessionHAExclusive On stands somewhere */
    ha_keeper_t *keeper;        /**< of this child; NULL where not needed */
    int is_broken;              /**< this child could not open the store */
} session_site_t;

/** @return the site; NULL when no SessionHA On stands anywhere */
session_site_t *session_site(void);

/** Whether nothing may be loaded or saved: this child could not open the
 * store, or there are no secrets to believe cookies by. */
int session_is_shut(void);

/** @return the record of a server, never NULL */
session_server_t *session_server_of(const server_rec *s);

/** @return the record of a directory; NULL in a section without one */
ha_conf_t *session_conf_of(const ap_conf_vector_t *vector);

#endif
