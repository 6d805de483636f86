/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_FORM_H
#define HA_FORM_H

/**
 * @file ha_form.h
 * What an application says of a session in a header of its answer.
 *
 *     lines   = line *( "," 1*blank line )
 *     line    = [ element ] *( "&" [ element ] )
 *     element = name "=" [ value ]   sets the attribute
 *             / "-" name             removes it; there is no "="
 *
 * Names and values are url-encoded as forms are: %XX is a byte, + a space.
 * An encoder of forms always writes a "=" and never a comma, so whatever one
 * writes sets, values that begin with "-" included, and a value that nobody
 * encoded is refused more often than misread.
 */

#include <apr_pools.h>

#include "ha_base.h"
#include "ha_image.h"

/** What became of the lines. */
typedef enum ha_form_e {
    HA_FORM_OK = 0,
    HA_FORM_TOO_LONG,   /**< above HA_FORM_MAX bytes */
    HA_FORM_TOO_MANY,   /**< more than HA_ATTRS_MAX elements */
    HA_FORM_NO_NAME,    /**< "=value", "-" */
    HA_FORM_NO_VERB,    /**< neither a "=" nor a "-" in front */
    HA_FORM_LONG_NAME,  /**< a name above HA_ATTR_NAME_MAX bytes */
    HA_FORM_BAD_ESCAPE, /**< a "%" without two hexadecimal digits */
    HA_FORM_ZERO_BYTE,  /**< %00: no attribute can hold it */
    HA_FORM_BARE_BYTE   /**< a byte that had to be encoded */
} ha_form_e;

/**
 * Name a result for a log line.
 *
 * @return a static phrase, such as "a % without two hexadecimal digits"
 */
const char *ha_form_name(ha_form_e result);

/**
 * Read what an application said. All of it counts, or nothing: what one part
 * sets may make sense only with another.
 *
 * @param ops filled with the operations in their order, decoded, each name
 *            and value followed by a zero byte and without one inside; NULL
 *            when there are none, and on failure
 * @param count their number; 0 on failure
 * @param text the lines
 * @param p owns ops and what they point to
 * @return HA_FORM_OK, or the first fault found
 */
HA_CHECK_RESULT
ha_form_e ha_form_parse(ha_op_t **ops, unsigned int *count, span_t text,
                        apr_pool_t *p);

#endif
