/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_WHERE_H
#define CONF_WHERE_H

/**
 * @file conf_where.h
 * Where a request would go, and why.
 */

#include "conf_tool.h"

/** A request as the command line gives it. */
typedef struct ask_t {
    span_t host;
    unsigned int port;
    int is_https;
    const char *url;  /* with parameters and query */
    const char *path; /* without the query */
    const char *cookie; /* NULL: none */
} ask_t;

/**
 * Print where it goes.
 *
 * @return the exit status
 */
HA_CHECK_RESULT
int conf_where(const tool_t *tool, const ask_t *ask);

#endif
