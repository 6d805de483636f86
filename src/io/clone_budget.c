/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket holds debts, not tokens: memory that begins as zeros begins full.
 * What is spent is counted in hundredths of a token, paid back by each
 * request with its share and by time with the floor. Time pays when somebody
 * wants to spend, so that a request that nothing happened to reads one word.
 */
#include "clone_budget.h"

#define TOKEN 100

struct clone_bucket_t {
    apr_uint64_t balancer;
    apr_int64_t debt; /* hundredths of a token, 0 to ROOM */
    apr_int64_t paid; /* when time paid last */
} __attribute__((aligned(64)));

#define ROOM ((apr_int64_t)CLONE_BUDGET_TOKENS * TOKEN)

struct clone_budget_t {
    clone_bucket_t buckets[CLONE_BUDGET_BALANCERS_MAX];
    apr_uint64_t counts[CLONE_BUDGET_COUNTS];
};

apr_size_t clone_budget_size(void)
{
    return sizeof(clone_budget_t);
}

clone_bucket_t *clone_budget_find(clone_budget_t *budget,
                                  apr_uint64_t balancer)
{
    unsigned int step;

    for (step = 0; step < CLONE_BUDGET_BALANCERS_MAX; step++) {
        clone_bucket_t *bucket = &budget->buckets[
            (balancer + step) % CLONE_BUDGET_BALANCERS_MAX];
        apr_uint64_t there = __atomic_load_n(&bucket->balancer,
                                             __ATOMIC_RELAXED);

        if (there == balancer
            || (there == 0
                && __atomic_compare_exchange_n(&bucket->balancer, &there,
                                               balancer, 0, __ATOMIC_RELAXED,
                                               __ATOMIC_RELAXED))
            || there == balancer) {
            return bucket;
        }
    }
    return NULL;
}

/* Lower the debt, not below nothing. */
static void pay(clone_bucket_t *bucket, apr_int64_t amount)
{
    apr_int64_t debt = __atomic_load_n(&bucket->debt, __ATOMIC_RELAXED);

    while (debt > 0
           && !__atomic_compare_exchange_n(&bucket->debt, &debt,
                                           debt > amount ? debt - amount : 0,
                                           0, __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED)) {
    }
}

void clone_bucket_earn(clone_bucket_t *bucket, unsigned int percent)
{
    pay(bucket, percent);
}

/* What time has brought since it was asked last. Who is faster pays. */
static void pay_for_time(clone_bucket_t *bucket, unsigned int floor,
                         apr_time_t now)
{
    apr_int64_t paid = __atomic_load_n(&bucket->paid, __ATOMIC_RELAXED);
    apr_int64_t usec = now - paid;
    apr_int64_t rate = (apr_int64_t)floor * TOKEN;

    if (usec > CLONE_BUDGET_WINDOW_USEC) {
        usec = CLONE_BUDGET_WINDOW_USEC;
    }
    /* What makes no whole hundredth is left to grow. */
    if (rate > 0 && usec * rate >= APR_USEC_PER_SEC
        && __atomic_compare_exchange_n(
            &bucket->paid, &paid, now - usec * rate % APR_USEC_PER_SEC / rate,
            0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        pay(bucket, usec * rate / APR_USEC_PER_SEC);
    }
}

int clone_bucket_take(clone_bucket_t *bucket, unsigned int floor,
                      apr_time_t now)
{
    apr_int64_t debt;

    pay_for_time(bucket, floor, now);
    debt = __atomic_load_n(&bucket->debt, __ATOMIC_RELAXED);
    while (debt + TOKEN <= ROOM) {
        if (__atomic_compare_exchange_n(&bucket->debt, &debt, debt + TOKEN, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            return 1;
        }
    }
    return 0;
}

void clone_budget_note(clone_budget_t *budget, clone_budget_e what)
{
    __atomic_add_fetch(&budget->counts[what], 1, __ATOMIC_RELAXED);
}

apr_uint64_t clone_budget_count(const clone_budget_t *budget,
                                clone_budget_e what)
{
    return __atomic_load_n(&budget->counts[what], __ATOMIC_RELAXED);
}
