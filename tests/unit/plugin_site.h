/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUGIN_SITE_H
#define PLUGIN_SITE_H

/**
 * @file plugin_site.h
 * Texts of plugin-cfg.xml read for a test, and what was found in them.
 */

#include "clone_plugin.h"

/** A file that uses all there is, without a fault. */
extern const char plugin_site_sample[];

/** What became of a text. */
typedef struct plugin_site_t {
    apr_pool_t *p;
    clone_findings_t *findings;
    const clone_plugin_t *plugin; /**< NULL when it was refused */
    clone_finding_e result;
} plugin_site_t;

/** Begin a test. */
void plugin_site_open(plugin_site_t *site);

/** End it. */
void plugin_site_close(plugin_site_t *site);

/** Read a text as a whole file; findings begin anew. */
void plugin_site_read(plugin_site_t *site, const char *text);

/** The same for bytes. The result is checked against what must always be. */
void plugin_site_read_span(plugin_site_t *site, span_t text);

/**
 * @return the text of the first finding of that line and kind, however
 *         severe; NULL when there is none
 */
const char *plugin_site_find(const clone_findings_t *findings,
                             unsigned int line, clone_finding_e kind);

/** Fail the test unless there is such a finding, and it says this. */
void plugin_site_expect(const clone_findings_t *findings, unsigned int line,
                        clone_severity_e severity, clone_finding_e kind,
                        const char *says);

/** Write a text with one part of it replaced; the part must be there. */
const char *plugin_site_edit(const char *text, const char *part,
                             const char *by, apr_pool_t *p);

#endif
