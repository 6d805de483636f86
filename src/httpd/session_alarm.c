/* SPDX-License-Identifier: Apache-2.0 */
#include "session_alarm.h"

#include <apr_atomic.h>

int session_alarm_raise(session_alarm_t *alarm, apr_time_t now)
{
    apr_atomic_set32(&alarm->last_sec, (apr_uint32_t)apr_time_sec(now));
    return apr_atomic_read32(&alarm->is_raised) == 0
        && apr_atomic_xchg32(&alarm->is_raised, 1) == 0;
}

int session_alarm_end(session_alarm_t *alarm, apr_time_t now)
{
    return apr_atomic_read32(&alarm->is_raised)
        && (apr_uint32_t)apr_time_sec(now)
               - apr_atomic_read32(&alarm->last_sec) > SESSION_CALM_SEC
        && apr_atomic_xchg32(&alarm->is_raised, 0);
}
