/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_ADMIT_H
#define CLONE_ADMIT_H

/**
 * @file clone_admit.h
 * ProxyCloneMaxInFlight: who may go to a member that has a limit, who waits,
 * who goes elsewhere, and who is told to come again.
 */

#include <httpd.h>
#include <mod_proxy.h>

#include "clone_request.h"

/** What becomes of a request at the member that was chosen for it. */
typedef enum clone_admit_e {
    CLONE_ADMIT_IN = 0,    /**< it may go there, and is counted */
    CLONE_ADMIT_ELSEWHERE, /**< choose again: another one has room, or this one
                                is not usable any more */
    CLONE_ADMIT_FULL       /**< no room in time: the client is told */
} clone_admit_e;

/** Turn the status that stands for "full" to what the client gets, and show
 * counters on mod_status' page. */
void clone_admit_register(void);

/**
 * Have a place at a member, and wait for it if need be. Holds no lock. The
 * place is kept until clone_admit_leave(), or the end of the process.
 *
 * @param worker just chosen
 */
clone_admit_e clone_admit(clone_request_t *req, request_rec *r,
                          const proxy_worker *worker);

/** No further attempt: give the place back, if there is one. */
void clone_admit_leave(const clone_request_t *req);

/**
 * The client is told that there is no room.
 *
 * @return for mod_proxy. It marks the member of a handler that says 503, for
 *         as long as the request takes to end; others would leave it
 *         meanwhile. So it is another status, until request_status.
 */
int clone_admit_refuse(clone_request_t *req, request_rec *r);

/**
 * Whether a member has no place for one more, or others wait for it.
 *
 * @return 0 when there is no limit
 */
int clone_admit_is_full(clone_request_t *req, const request_rec *r,
                        const proxy_worker *worker);

/** A request without a session passes a member that is full. */
void clone_admit_pass(clone_request_t *req, const request_rec *r,
                      const proxy_worker *worker);

/**
 * How many requests a member may have at a time: what plugin-cfg.xml says of
 * it, else what the directive says of all.
 *
 * @param conf of its balancer
 * @param s the request's server
 * @param balancer its name
 * @return 0: any number
 */
unsigned int clone_admit_most(const clone_conf_t *conf, server_rec *s,
                              const char *balancer,
                              const proxy_worker *worker);

#endif
