/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_LINT_H
#define CLONE_LINT_H

/**
 * @file clone_lint.h
 * What a plugin-cfg.xml that can be read may still be wrong about.
 */

#include "clone_plugin.h"

/**
 * Look for what nothing refers to, for clone ids that cannot be told apart,
 * and for settings that are safe until the day a server fails.
 *
 * Adds notes and warnings, never errors, and sorts findings by line.
 *
 * @param plugin of clone_plugin_parse()
 * @param findings grows
 * @param ptemp for what is needed meanwhile
 */
void clone_lint(const clone_plugin_t *plugin, clone_findings_t *findings,
                apr_pool_t *ptemp);

#endif
