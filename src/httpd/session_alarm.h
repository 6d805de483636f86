/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_ALARM_H
#define SESSION_ALARM_H

/**
 * @file session_alarm.h
 * Something that is wrong, said once for all children when it begins and once
 * when it is over, not once a request, nor once a change of luck.
 *
 * Alarms live in shared memory; what was never raised is all zero. Any
 * thread may call.
 */

#include <apr.h>
#include <apr_time.h>

/** Seconds without a case after which an alarm is over. */
#define SESSION_CALM_SEC 10

/** One alarm. */
typedef struct session_alarm_t {
    volatile apr_uint32_t is_raised; /**< 1: said so, and not yet over */
    volatile apr_uint32_t last_sec;  /**< when there last was a case */
} session_alarm_t;

/**
 * Note a case.
 *
 * @return 1 for the first one, of which is to be spoken
 */
int session_alarm_raise(session_alarm_t *alarm, apr_time_t now);

/**
 * Note that all was well this time.
 *
 * @return 1 once, when it has been for SESSION_CALM_SEC
 */
int session_alarm_end(session_alarm_t *alarm, apr_time_t now);

#endif
