/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_INTERVAL_H
#define HA_INTERVAL_H

/**
 * @file ha_interval.h
 * "200ms" to an interval, the whole word or nothing.
 *
 * httpd's own parser takes "5sx" for five seconds; a directive must not.
 */

#include <apr_time.h>

#include "ha_base.h"

/** What became of a word. */
typedef enum ha_interval_e {
    HA_INTERVAL_OK = 0,
    HA_INTERVAL_NO_NUMBER, /**< does not begin with a digit */
    HA_INTERVAL_BAD_UNIT,  /**< not one of ms, s, m, h, d */
    HA_INTERVAL_TOO_LARGE  /**< more than a hundred years */
} ha_interval_e;

/**
 * Read a decimal number and its unit: ms, s, m, h or d. No unit: seconds.
 *
 * @param interval the value in microseconds; 0 on failure
 * @param word terminated, nothing before or after the interval
 * @return HA_INTERVAL_OK, or what is wrong
 */
HA_CHECK_RESULT
ha_interval_e ha_interval_parse(apr_interval_time_t *interval,
                                const char *word);

#endif
