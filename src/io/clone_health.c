/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of slots, open addressing. A slot is taken by putting the member's
 * key in it, for ever: a configuration has few members, and what is known of
 * one is still true when it comes back with a reload.
 */
#include "clone_health.h"

/* A member that finds no place in so many steps has none. */
#define STEPS_MAX 64

/* One for each cache line: members that are busy do not meet. */
struct clone_health_member_t {
    apr_uint64_t member;
    apr_int64_t trial; /* when others may, 0 when nobody tries */
    apr_uint32_t failures;
    apr_uint32_t fault;
} __attribute__((aligned(64)));

struct clone_health_t {
    clone_health_member_t slots[CLONE_MEMBERS_MAX];
};

apr_size_t clone_health_size(void)
{
    return sizeof(clone_health_t);
}

clone_health_member_t *clone_health_find(clone_health_t *health,
                                         apr_uint64_t member)
{
    unsigned int step;

    for (step = 0; step < STEPS_MAX; step++) {
        clone_health_member_t *slot = &health->slots[(member + step)
                                           % CLONE_MEMBERS_MAX];
        apr_uint64_t there = __atomic_load_n(&slot->member,
                                             __ATOMIC_RELAXED);

        if (there == 0) {
            /* On failure there is who was faster; maybe it is ours. */
            if (__atomic_compare_exchange_n(&slot->member, &there, member, 0,
                                            __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED)) {
                return slot;
            }
        }
        if (there == member) {
            return slot;
        }
    }
    return NULL;
}

unsigned int clone_health_fail(clone_health_member_t *slot, apr_uint32_t fault)
{
    if (fault != 0
        && __atomic_exchange_n(&slot->fault, fault, __ATOMIC_RELAXED)
           == fault) {
        return clone_health_failures(slot);
    }
    return __atomic_add_fetch(&slot->failures, 1, __ATOMIC_RELAXED);
}

void clone_health_succeed(clone_health_member_t *slot)
{
    /* Almost always there is nothing to forget, and the line stays shared. */
    if (__atomic_load_n(&slot->failures, __ATOMIC_RELAXED) != 0) {
        __atomic_store_n(&slot->failures, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->fault, 0, __ATOMIC_RELAXED);
    }
}

unsigned int clone_health_failures(const clone_health_member_t *slot)
{
    return __atomic_load_n(&slot->failures, __ATOMIC_RELAXED);
}

apr_time_t clone_health_begin_trial(clone_health_member_t *slot,
                                    apr_time_t now, apr_time_t until)
{
    apr_int64_t there = __atomic_load_n(&slot->trial, __ATOMIC_RELAXED);

    if (there > now) {
        return 0;
    }
    return __atomic_compare_exchange_n(&slot->trial, &there, until, 0,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED)
               ? until : 0;
}

void clone_health_end_trial(clone_health_member_t *slot, apr_time_t trial)
{
    apr_int64_t there = trial;

    (void)__atomic_compare_exchange_n(&slot->trial, &there, 0, 0,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

int clone_health_is_on_trial(const clone_health_member_t *slot,
                             apr_time_t now)
{
    return __atomic_load_n(&slot->trial, __ATOMIC_RELAXED) > now;
}
