/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_STATUS_H
#define SESSION_STATUS_H

/**
 * @file session_status.h
 * A section on mod_status's page.
 */

#include <httpd.h>

/** Register with mod_status, should it be there. */
void session_status_register(apr_pool_t *p);

#endif
