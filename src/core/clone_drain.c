/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_drain.h"

unsigned int clone_drain_judge(const clone_drain_facts_t *facts)
{
    unsigned int why = 0;

    if (facts->closed < facts->copies) {
        why |= CLONE_UNSAFE_OPEN;
    }
    if (facts->sessions > 0) {
        why |= CLONE_UNSAFE_SESSIONS;
    }
    if (facts->in_flight > 0) {
        why |= CLONE_UNSAFE_IN_FLIGHT;
    }
    if (facts->quiet >= 0 && facts->quiet < facts->quiet_wanted) {
        why |= CLONE_UNSAFE_RECENT;
    }
    if (!facts->is_exact) {
        why |= CLONE_UNSAFE_UNCOUNTED;
    }
    return why;
}

const char *clone_unsafe_name(unsigned int bit)
{
    switch (bit) {
    case CLONE_UNSAFE_OPEN:
        return "takes-new-sessions";
    case CLONE_UNSAFE_SESSIONS:
        return "sessions";
    case CLONE_UNSAFE_IN_FLIGHT:
        return "in-flight";
    case CLONE_UNSAFE_RECENT:
        return "recent-request";
    case CLONE_UNSAFE_UNCOUNTED:
        return "uncounted-sessions";
    default:
        return "?";
    }
}

int clone_drain_leaves(const clone_leave_t *leave)
{
    apr_interval_time_t over = leave->drained - leave->deadline;
    double wanted;

    if (leave->deadline < 0 || over < 0) {
        return 0;
    }
    if (leave->idle < 0 || over >= leave->within) {
        return 1;
    }
    wanted = (double)leave->idle_max
             * (1 - (double)over / (double)leave->within);
    return (double)leave->idle >= wanted;
}
