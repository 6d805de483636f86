/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_CONF_H
#define HA_CONF_H

/**
 * @file ha_conf.h
 * What the directives of the session module said, and what follows from it.
 *
 * Records keep what was said: HA_UNSET, or NULL for a text, is not the
 * default, so that a virtual host can say Off under On. Readers apply the
 * default. A lifetime of 0 says "no limit" where an outer scope set one.
 */

#include <apr_time.h>

#include "ha_base.h"
#include "ha_limits.h"

/** Where a session cookie goes when another site leads here. */
typedef enum ha_same_site_e {
    HA_SAME_SITE_LAX = 0, /**< with links, not with forms and images */
    HA_SAME_SITE_STRICT,  /**< nowhere */
    HA_SAME_SITE_NONE     /**< everywhere; browsers then want Secure */
} ha_same_site_e;

/** Whether browsers may send the cookie over plain HTTP. */
typedef enum ha_secure_e {
    HA_SECURE_OFF = 0, /**< they may */
    HA_SECURE_ON,      /**< never */
    HA_SECURE_AUTO     /**< never, when it was set over TLS */
} ha_secure_e;

/** What becomes of a request whose session could not be asked for. */
typedef enum ha_policy_e {
    HA_POLICY_FAIL = 0, /**< 503 with Retry-After, the cookie is kept */
    HA_POLICY_ANONYMOUS /**< served without a session, nothing is saved */
} ha_policy_e;

/** Copies that a save needs, besides a number of them. */
enum {
    HA_ACKS_ALL = 0,       /**< all that nodes which answer can hold */
    HA_ACKS_MAJORITY = 100 /**< more than half of the replicas */
};

/** What becomes of a request whose session could not be saved. */
typedef enum ha_save_policy_e {
    HA_SAVE_SERVE = 0, /**< it is answered as if it could */
    HA_SAVE_FAIL       /**< 503 with Retry-After */
} ha_save_policy_e;

/** Whether a save waits for copies in far zones. */
typedef enum ha_far_e {
    HA_FAR_SYNC = 0, /**< it does */
    HA_FAR_ASYNC     /**< they are brought there behind the request */
} ha_far_e;

/** Settings of a directory. */
typedef struct ha_conf_t {
    int enabled;                   /**< 1 on, 0 off */
    const char *cookie_name;       /**< a token */
    const char *cookie_path;       /**< begins with a slash */
    const char *cookie_domain;     /**< "" says none under one */
    int cookie_same_site;          /**< a ha_same_site_e */
    int cookie_secure;             /**< a ha_secure_e */
    int cookie_http_only;          /**< 1 on, 0 off */
    const char *request_header;    /**< a token; "" says none under one */
    const char *delta_header;      /**< a token; "" says none under one */
    int unknown_policy;            /**< a ha_policy_e */
    int save_policy;               /**< a ha_save_policy_e */
    const char *copies_header;     /**< a token; "" says none under one */
    int exclusive;                 /**< 1 on, 0 off */
    int per_user;                  /**< 1 on, 0 off */
    apr_interval_time_t exclusive_wait; /**< for the request before */
    const char *control_header;    /**< a token; "" says none under one */
    const char *rotate_on;         /**< names, a blank between two; "" says
                                        none under some */
    apr_interval_time_t rotate_grace; /**< how long an old id is followed */
    apr_interval_time_t idle;      /**< how long a session may idle */
    apr_interval_time_t lifetime;  /**< how old it may become, 0 for ever */
} ha_conf_t;

/** Settings of a virtual host. */
typedef struct ha_server_conf_t {
    int replicas;               /**< copies kept of each session */
    int acks;                   /**< copies a save needs, or HA_ACKS_... */
    apr_interval_time_t budget; /**< time for all store work of a request */
    int far_writes;             /**< a ha_far_e */
} ha_server_conf_t;

/** Set every member to HA_UNSET or NULL. */
void ha_conf_init(ha_conf_t *conf);

/**
 * Take each member from over where it is set, else from base.
 *
 * @param conf filled; may be base or over
 */
void ha_conf_merge(ha_conf_t *conf, const ha_conf_t *base,
                   const ha_conf_t *over);

/** Set every member to HA_UNSET. */
void ha_server_conf_init(ha_server_conf_t *conf);

/**
 * Take each member from over where it is set, else from base.
 *
 * @param conf filled; may be base or over
 */
void ha_server_conf_merge(ha_server_conf_t *conf,
                          const ha_server_conf_t *base,
                          const ha_server_conf_t *over);

/** @return 1 when sessions are kept here; off is the default */
int ha_conf_enabled(const ha_conf_t *conf);

/** @return the cookie's name, HASESSION unless set */
const char *ha_conf_cookie_name(const ha_conf_t *conf);

/** @return the cookie's path, the whole site unless set */
const char *ha_conf_cookie_path(const ha_conf_t *conf);

/** @return the cookie's domain; NULL for this host alone, the default */
const char *ha_conf_cookie_domain(const ha_conf_t *conf);

/** @return Lax, unless set */
ha_same_site_e ha_conf_cookie_same_site(const ha_conf_t *conf);

/** @return Auto, unless set */
ha_secure_e ha_conf_cookie_secure(const ha_conf_t *conf);

/** @return 1 unless it was set to Off */
int ha_conf_cookie_http_only(const ha_conf_t *conf);

/** @return the header that tells the application; NULL for none */
const char *ha_conf_request_header(const ha_conf_t *conf);

/** @return the header with the application's changes; NULL for none */
const char *ha_conf_delta_header(const ha_conf_t *conf);

/** @return the header in which the application asks; NULL for none */
const char *ha_conf_control_header(const ha_conf_t *conf);

/**
 * @return names of attributes that say who is logged in, a blank between
 *         two, a star for any text; NULL for none
 */
const char *ha_conf_rotate_on(const ha_conf_t *conf);

/** @return time for which an id that was rotated is followed; 0 for none */
apr_interval_time_t ha_conf_rotate_grace(const ha_conf_t *conf);

/** @return fail, unless set */
ha_policy_e ha_conf_unknown_policy(const ha_conf_t *conf);

/** @return serve, unless set */
ha_save_policy_e ha_conf_save_policy(const ha_conf_t *conf);

/** @return the response header that tells of copies; NULL for none */
const char *ha_conf_copies_header(const ha_conf_t *conf);
/** @return 1 when a session has one request at a time here */
int ha_conf_exclusive(const ha_conf_t *conf);

/** @return 1 when sessions belong to users here, not to browsers */
int ha_conf_per_user(const ha_conf_t *conf);

/** @return how long a request waits for the one before it */
apr_interval_time_t ha_conf_exclusive_wait(const ha_conf_t *conf);

/** @return seconds a session may idle when nothing else says so */
apr_uint32_t ha_conf_idle_sec(const ha_conf_t *conf);

/** @return seconds a session may live, 0 for no limit */
apr_uint32_t ha_conf_lifetime_sec(const ha_conf_t *conf);

/** @return copies wanted, never more than there are nodes */
unsigned int ha_server_conf_replicas(const ha_server_conf_t *conf,
                                     unsigned int nodes);

/**
 * @param replicas what ha_server_conf_replicas() says
 * @return copies that a save needs, at most the replicas; 0 for all that can
 *         be had
 */
unsigned int ha_server_conf_acks(const ha_server_conf_t *conf,
                                 unsigned int replicas);

/** @return time for all store work of one request */
apr_interval_time_t ha_server_conf_budget(const ha_server_conf_t *conf);

/** @return sync, unless set */
ha_far_e ha_server_conf_far_writes(const ha_server_conf_t *conf);

/**
 * Whether browsers would refuse the cookie: SameSite=None without Secure.
 *
 * @return 1 when the settings contradict each other
 */
int ha_conf_is_contradictory(const ha_conf_t *conf);

/**
 * Seconds between two touches of a session in use: a tenth of what it may
 * idle, at most HA_TOUCH_MAX_SEC.
 *
 * @return at least 1
 */
apr_uint32_t ha_conf_touch_sec(apr_uint32_t idle_sec);

/**
 * Seconds that an item lives in a store: what the session may idle, the
 * touch that may be left out, and an allowance for clocks.
 *
 * @return more than idle_sec
 */
apr_uint32_t ha_conf_ttl_sec(apr_uint32_t idle_sec);

#endif
