/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_COOKIE_H
#define CLONE_COOKIE_H

/**
 * @file clone_cookie.h
 * The router's own cookie, for applications whose session names no clone.
 *
 *     value = id [ "." mac ] list
 *     list  = ( ":" clone )*        whoever served last first
 *     mac   = base64url( key-id:4 tag:16 )
 *     tag   = HMAC-SHA-256( key, label 0x00 name 0x00 id list ), 16 bytes
 *
 * The id is random and places the client when its clones are away. A clone is
 * a member's route, percent-encoded where a cookie could not hold it. The list
 * alone may stand behind the signature of mod_session_ha's cookie.
 */

#include <apr_pools.h>

#include "clone_ids.h"
#include "ha_base.h"
#include "ha_ring.h"

/** Random bytes of an id, and its characters. */
#define CLONE_COOKIE_ID_BYTES 12
#define CLONE_COOKIE_ID_LEN 16

/** What a browser does with the cookie across sites. */
typedef enum clone_same_site_e {
    CLONE_SAME_SITE_LAX = 0,
    CLONE_SAME_SITE_STRICT,
    CLONE_SAME_SITE_NONE
} clone_same_site_e;

/** A cookie as a directive describes it. Constant once the server runs. */
typedef struct clone_cookie_conf_t {
    const char *name;   /**< NULL for no cookie */
    const char *path;   /**< "/" unless said */
    const char *domain; /**< NULL for the host alone */
    clone_same_site_e same_site;
    int is_secure;      /**< 1: always Secure, 0: over TLS */
} clone_cookie_conf_t;

/** What became of a value. */
typedef enum clone_cookie_e {
    CLONE_COOKIE_OK = 0,
    CLONE_COOKIE_TOO_LONG,  /**< above CLONE_COOKIE_MAX bytes */
    CLONE_COOKIE_MALFORMED, /**< not of the form above, or not signed where it
                                 has to be, or signed where it must not */
    CLONE_COOKIE_NO_KEY,    /**< signed by a secret that is not in the ring */
    CLONE_COOKIE_FORGED     /**< the signature is wrong */
} clone_cookie_e;

/** @return a constant word; "?" for a value outside the enum */
const char *clone_cookie_name(clone_cookie_e result);

/**
 * Read a value.
 *
 * @param ids on success session is the id, clone[] the clones, which point
 *            into value or p; all empty otherwise
 * @param value of the cookie
 * @param name the cookie's name: what is signed for one is no other's
 * @param ring the secrets; NULL for values that are not signed
 * @param p owns what was percent-encoded
 */
HA_CHECK_RESULT
clone_cookie_e clone_cookie_read(clone_ids_t *ids, span_t value, span_t name,
                                 const ha_ring_t *ring, apr_pool_t *p);

/**
 * Read a list alone. Clones that no cookie of ours holds are left out.
 *
 * @param ids clone[] and count are filled; session stays as it is
 * @param list "" or ":" and more
 */
void clone_cookie_read_list(clone_ids_t *ids, span_t list, apr_pool_t *p);

/** Make an id of random bytes. */
void clone_cookie_make_id(char id[CLONE_COOKIE_ID_LEN + 1],
                          const unsigned char bytes[CLONE_COOKIE_ID_BYTES]);

/**
 * Put who serves in front of the clones that did before.
 *
 * @param list filled with 1 to CLONE_COOKIE_CLONES; points into serving,
 *             before and routes
 * @param before what the client's cookie listed; clones that are no member's
 *               route any more are left out
 * @param serving route of the member that answers, not empty
 * @param routes of all members
 * @param route_count entries of routes[]
 * @return entries of list[]
 */
unsigned int clone_cookie_renew(span_t *list, const clone_ids_t *before,
                                span_t serving, const span_t *routes,
                                unsigned int route_count);

/** @return a list as text, in p */
char *clone_cookie_write_list(const span_t *list, unsigned int count,
                              apr_pool_t *p);

/**
 * Write a value.
 *
 * @param id CLONE_COOKIE_ID_LEN characters of an id
 * @param list as text, from clone_cookie_write_list()
 * @param name the cookie's name
 * @param ring its first secret signs; NULL for none
 * @return terminated, in p
 */
char *clone_cookie_write(span_t id, const char *list, span_t name,
                         const ha_ring_t *ring, apr_pool_t *p);

/**
 * Write a Set-Cookie line.
 *
 * @param conf its name and attributes
 * @param value from clone_cookie_write()
 * @param is_tls whether the request came over TLS
 * @return terminated, in p
 */
char *clone_cookie_set(const clone_cookie_conf_t *conf, const char *value,
                       int is_tls, apr_pool_t *p);

#endif
