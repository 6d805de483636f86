/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CONFIG_LIMIT_H
#define CLONE_CONFIG_LIMIT_H

/**
 * @file clone_config_limit.h
 * PostSizeLimit. httpd's own LimitRequestBody does not look at requests that
 * are passed on.
 */

#include <httpd.h>

/** Before the configuration is read. */
void clone_config_limit_register(void);

/**
 * fixups: refuse a body that says it is larger, and count one that does not
 * say how large it is.
 *
 * @param limit bytes
 * @return OK, or HTTP_REQUEST_ENTITY_TOO_LARGE
 */
int clone_config_limit(request_rec *r, apr_int64_t limit);

#endif
