/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_GROUP_H
#define CLONE_GROUP_H

/**
 * @file clone_group.h
 * The groups of plugin-cfg.xml, out of their elements: for clone_plugin.c.
 */

#include <apr_xml.h>

#include "clone_plugin.h"

/**
 * Read the hosts of a VirtualHostGroup.
 *
 * @param group its vhost and count are filled
 * @param parent the group's element, of clone_xml_parse()
 * @param findings grows
 * @param p for the record
 * @param ptemp for what is needed meanwhile
 */
void clone_group_read_vhosts(clone_plugin_vhosts_t *group,
                             const apr_xml_elem *parent,
                             clone_findings_t *findings, apr_pool_t *p,
                             apr_pool_t *ptemp);

/**
 * Read the patterns of a UriGroup. See clone_group_read_vhosts().
 */
void clone_group_read_uris(clone_plugin_uris_t *group,
                           const apr_xml_elem *parent,
                           clone_findings_t *findings, apr_pool_t *p,
                           apr_pool_t *ptemp);

#endif
