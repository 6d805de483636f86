/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_CHECK_H
#define SESSION_CHECK_H

/**
 * @file session_check.h
 * What no single directive can know: what two of them contradict. Runs for
 * `httpd -t` as well as for a start.
 */

#include <httpd.h>

#include "session_module.h"

/** Hook check_config. */
int session_check_config(apr_pool_t *pconf, apr_pool_t *plog,
                         apr_pool_t *ptemp, server_rec *s);

/** Whether SessionHA On stands anywhere. */
int session_check_is_used(const server_rec *s);

/** What SessionHAEncryption asks for; off is the default. */
ha_encryption_e session_check_encryption(const session_server_t *top);

/**
 * The longest idle limit that anybody set: what one location stores, another
 * may have to believe gone.
 *
 * @return seconds, at least HA_IDLE_DEFAULT_SEC
 */
apr_uint32_t session_check_longest_sec(apr_pool_t *ptemp);

/**
 * Every value that a directive has anywhere in the configuration, but None.
 *
 * @param name the directive
 * @param p owns the array
 * @return const char *, each once, as written
 */
apr_array_header_t *session_check_values(const char *name, apr_pool_t *p);

#endif
