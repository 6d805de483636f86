/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_REQUEST_H
#define CLONE_REQUEST_H

/**
 * @file clone_request.h
 * What the router knows of one request. Lives in r->request_config, because
 * an internal redirect shares r->pool, and belongs to the request's thread.
 */

#include <httpd.h>
#include <mod_proxy.h>

#include "clone_body.h"
#include "clone_budget.h"
#include "clone_conf.h"
#include "clone_health.h"
#include "clone_ids.h"
#include "clone_route.h"

/**
 * Room behind a copied record of mod_proxy, zero: a later httpd 2.4 may have
 * added members behind those we were compiled with, and would read them.
 */
#define CLONE_COPY_ROOM 512

/** A request on its way through a balancer. */
typedef struct clone_request_t {
    proxy_balancer *shown;  /**< the copy that mod_proxy_balancer works on */
    const struct clone_known_t *known; /**< of the balancer, or NULL */
    const char *url;        /**< where to, before a member is chosen */
    clone_conf_t conf;      /**< the settings in force when it began */
    const char *cookie;     /**< the session cookie's name */
    const char *parameter;  /**< the session's parameter in URLs */
    clone_ids_t *sessions;  /**< what cookies and URL say, best first */
    unsigned int session_count;
    unsigned int cookies;   /**< so many of sessions[] are from cookies */
    const clone_cookie_conf_t *route_cookie; /**< ours, or NULL for none */
    apr_array_header_t *tried; /**< of proxy_worker *, failed already */
    clone_choice_t choice;  /**< the last decision */
    proxy_worker *last;     /**< who was asked last, or NULL */
    proxy_worker *spared;   /**< mod_proxy is about to mark it for what last
                                 did, or we did already; NULL when it is not */
    unsigned int spared_status;    /**< of spared, before */
    apr_time_t spared_error_time;  /**< the same */
    clone_body_t *body;         /**< as far as it is held, or NULL */
    ap_filter_t *filter;        /**< looks at the answer; NULL when it is out
                                     of the way */
    apr_table_t *headers_out;   /**< of r, before the first attempt */
    clone_bucket_t *bucket;     /**< pays for sending it again, or NULL */
    clone_health_member_t *trial_of; /**< who is on trial, or NULL */
    apr_time_t trial;           /**< what ends it */
    apr_time_t began;           /**< the last attempt */
    clone_end_e seen;           /**< what the filter found out */
    unsigned int sends;         /**< attempts after which a member may have
                                     executed the request */
    unsigned int timeouts;      /**< those of them that ended in a time-out */
    int failure;                /**< status for the last of these, or 0 */
    struct clone_decision_t *decision; /**< notes of clone_decision, or NULL */
    struct clone_track_t *track; /**< notes of clone_track, or NULL */
    apr_time_t wait_end;        /**< it waits for a place until then; 0: it has
                                     not begun to */
    unsigned int detours;       /**< times it did not wait for whom it had */
    int socket_sec;             /**< time-out of a WebSocket; 0: httpd's */
    request_rec *socket_of;     /**< whose WebSocket it may become */
    conn_rec *socket_to;        /**< the member's end of it */
    ap_filter_t *socket_filter; /**< waits for it, or NULL */
    unsigned int is_over : 1;   /**< no further attempt */
    unsigned int is_full : 1;   /**< because its member had no place */
    unsigned int is_inside : 1; /**< within our scheme_handler */
    unsigned int has_route : 1; /**< the last of sessions[] is what our
                                     cookie says */
    unsigned int is_session_ha : 1; /**< our cookie is mod_session_ha's */
    unsigned int is_sent : 1;   /**< the member has all of the request */
    unsigned int is_reused : 1; /**< by a connection that had served before */
    unsigned int is_fresh : 1;  /**< by a new connection, on purpose */
    unsigned int is_given : 1;  /**< the client has part of an answer */
    unsigned int is_repeated : 1; /**< a member was asked twice, once */
    unsigned int is_excused : 1;  /**< and took the connection */
    unsigned int tells_own_port : 1; /**< the member is told the port of the
                                          connection, not of the Host header */
} clone_request_t;

/**
 * Begin: make the copy of the balancer.
 *
 * The copy has no stickysession, so that mod_proxy_balancer, which knows one
 * clone id a cookie and logs cookies at debug, looks for none and asks our
 * lbmethod each time. All else in it is the balancer's own: members, locks,
 * counters.
 *
 * @param r the request
 * @param balancer up to date, its thread lock held by the caller
 * @param known what start-up found out about it, or NULL
 * @return the record, in r->request_config too
 */
clone_request_t *clone_request_make(request_rec *r, proxy_balancer *balancer,
                                    const struct clone_known_t *known);

/**
 * Read what cookies and URL say. Needs no lock.
 *
 * @param req as made
 * @param r its request
 * @param url where the request goes, with path parameters
 */
void clone_request_read(clone_request_t *req, request_rec *r,
                        const char *url);

/** @return the record of this request, or NULL when it is not routed */
clone_request_t *clone_request_get(const request_rec *r);

/** Forget: the request is not routed. */
void clone_request_drop(request_rec *r);

/** Remember that a member failed this request. */
void clone_request_add_tried(clone_request_t *req, proxy_worker *worker);

/** @return 1 when the member failed this request before */
int clone_request_is_tried(const clone_request_t *req,
                           const proxy_worker *worker);

/**
 * Find the member of a clone id.
 *
 * @param index filled when there is one: its place in the balancer
 * @return 1 when there is one
 */
int clone_request_find_member(unsigned int *index,
                              const proxy_balancer *balancer, span_t route);

/**
 * Say in the 503 that is to come when it is worth to try again: when the
 * first member that is down is due for its next trial.
 */
void clone_request_retry_after(const clone_request_t *req, request_rec *r);

/**
 * Set BALANCER_SESSION_*, BALANCER_ROUTE_CHANGED, CLONE_REASON and WAS as the
 * last decision has them; what an earlier one set is taken back.
 *
 * @param worker the member chosen, or NULL
 */
void clone_request_export(const clone_request_t *req, request_rec *r,
                          const proxy_worker *worker);

#endif
