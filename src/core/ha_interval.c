/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_interval.h"

#include <apr_lib.h>

#define INTERVAL_MAX (apr_time_from_sec(100LL * 366 * 24 * 3600))

/* Microseconds of a unit, 0 when there is no such unit. */
static apr_interval_time_t unit_usec(const char *unit)
{
    static const struct {
        const char *name;
        apr_interval_time_t usec;
    } units[] = {
        { "", APR_USEC_PER_SEC },
        { "ms", 1000 },
        { "s", APR_USEC_PER_SEC },
        { "m", 60 * (apr_interval_time_t)APR_USEC_PER_SEC },
        { "h", 3600 * (apr_interval_time_t)APR_USEC_PER_SEC },
        { "d", 24 * 3600 * (apr_interval_time_t)APR_USEC_PER_SEC },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) == 0) {
            return units[i].usec;
        }
    }
    return 0;
}

ha_interval_e ha_interval_parse(apr_interval_time_t *interval,
                                const char *word)
{
    apr_interval_time_t number = 0;
    apr_interval_time_t unit;
    const char *at;

    *interval = 0;
    if (!apr_isdigit(*word)) {
        return HA_INTERVAL_NO_NUMBER;
    }
    for (at = word; apr_isdigit(*at); at++) {
        number = number * 10 + (*at - '0');
        if (number > INTERVAL_MAX) {
            return HA_INTERVAL_TOO_LARGE;
        }
    }
    unit = unit_usec(at);
    if (unit == 0) {
        return HA_INTERVAL_BAD_UNIT;
    }
    if (number > INTERVAL_MAX / unit) {
        return HA_INTERVAL_TOO_LARGE;
    }
    *interval = number * unit;
    return HA_INTERVAL_OK;
}
