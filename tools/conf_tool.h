/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_TOOL_H
#define CONF_TOOL_H

/**
 * @file conf_tool.h
 * What the verbs of clonectl-conf share: a file read as the router reads it,
 * and findings and texts printed.
 */

#include "clone_match.h"

#define EXIT_CLEAN 0
#define EXIT_WARNINGS 1 /* of where: no route */
#define EXIT_ERRORS 2
#define EXIT_USAGE 3

/** What the command line says. */
typedef struct tool_t {
    const char *file;
    int is_json;
    const char *down[CLONE_IDS_MAX]; /* servers that are away */
    unsigned int down_count;
    apr_pool_t *p;
} tool_t;

/** Write a text, which is UTF-8, as a string of JSON. */
void conf_tool_put_string(const char *text);

/** Write a member of an object of JSON; NULL is null. */
void conf_tool_put_text(const char *name, const char *text);

/**
 * Read the file's bytes, or say on the standard error why not.
 *
 * @return 1 when they were read
 */
HA_CHECK_RESULT
int conf_tool_read(span_t *text, const tool_t *tool);

/**
 * Make of the bytes what the router would.
 *
 * @return 1 when it would use the file; else findings say why not
 */
HA_CHECK_RESULT
int conf_tool_load(const clone_plugin_t **plugin, const clone_match_t **match,
                   clone_findings_t *findings, const tool_t *tool,
                   span_t text);

/** Print findings. */
void conf_tool_show(const tool_t *tool, const clone_findings_t *findings);

#endif
