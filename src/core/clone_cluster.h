/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CLUSTER_H
#define CLONE_CLUSTER_H

/**
 * @file clone_cluster.h
 * A ServerCluster of plugin-cfg.xml, out of its element: for clone_plugin.c.
 */

#include <apr_xml.h>

#include "clone_plugin.h"

/**
 * Read a cluster with its servers, transports and lists.
 *
 * @param cluster filled; name is NULL when there is none, which the caller
 *        reports
 * @param elem the ServerCluster, of clone_xml_parse()
 * @param marks_busy_down what holds where neither cluster nor server say
 * @param findings grows
 * @param p for the record
 */
void clone_cluster_read(clone_plugin_cluster_t *cluster,
                        const apr_xml_elem *elem, int marks_busy_down,
                        clone_findings_t *findings, apr_pool_t *p);

#endif
