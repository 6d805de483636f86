/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_DIFF_H
#define HA_DIFF_H

/**
 * @file ha_diff.h
 * Two tables in, the list of set and unset operations out.
 */

#include <apr_pools.h>
#include <apr_tables.h>

#include "ha_base.h"
#include "ha_delta.h"

/** Whether a table may become a session. */
typedef enum ha_diff_e {
    HA_DIFF_OK = 0,
    HA_DIFF_TOO_MANY,  /**< more than HA_ATTRS_MAX attributes */
    HA_DIFF_LONG_NAME, /**< a name above HA_ATTR_NAME_MAX bytes */
    HA_DIFF_TOO_LARGE  /**< names and values above HA_SESSION_MAX bytes */
} ha_diff_e;

/**
 * Name a result for a log line.
 *
 * @return a static phrase that names the limit, such as "more than 1024
 *         attributes"
 */
const char *ha_diff_name(ha_diff_e result);

/**
 * Find what turns one table into another. Names compare as apr_table does,
 * without case; of a repeated name the first entry counts; an empty name is
 * nobody's attribute and is passed over.
 *
 * @param ops filled with the operations, pointing into the tables; NULL when
 *            there are none, and on failure
 * @param count their number
 * @param before what was loaded
 * @param after what is to be saved
 * @param p owns ops
 * @return HA_DIFF_OK, or which limit after breaks
 */
HA_CHECK_RESULT
ha_diff_e ha_diff_tables(ha_op_t **ops, unsigned int *count,
                         const apr_table_t *before, const apr_table_t *after,
                         apr_pool_t *p);

/** @return bytes of a table's names and values */
apr_size_t ha_diff_size(const apr_table_t *table);

/**
 * How large a session is: 0 up to HA_SESSION_LARGE, 1 up to twice that, 2 up
 * to four times that, and so on.
 *
 * @return the class, at most 31
 */
unsigned int ha_diff_size_class(apr_size_t bytes);

/**
 * Whether a table holds no attribute.
 *
 * @return 1 when nothing but empty names is in it
 */
int ha_diff_is_empty(const apr_table_t *table);

#endif
