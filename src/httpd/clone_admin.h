/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_ADMIN_H
#define CLONE_ADMIN_H

/**
 * @file clone_admin.h
 * SetHandler clone-admin: members seen and changed, for scripts.
 *
 *   GET   [?balancer=b[&member=m[&wait=sec]]][&quiet=sec][&format=prometheus]
 *   POST  {"balancer": "b", "member": "m", "action": "drain", "force": false}
 *
 * 200 and JSON; 202 when a member that was waited for is not yet safe to stop;
 * 400, 403, 404, 405, 409, 413, 415, 422, 503 and {"error": "..."}.
 */

#include <httpd.h>

/** Bytes of a command. */
#define CLONE_ADMIN_BODY_MAX 4096

/** Seconds that one request may wait. */
#define CLONE_ADMIN_WAIT_MAX 60

/** Requests that may wait at once, each of which occupies a thread. */
#define CLONE_ADMIN_WAITERS_MAX 4

/** handler: DECLINED for requests of other handlers. */
int clone_admin_handler(request_rec *r);

#endif
