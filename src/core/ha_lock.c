/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An item is a token ("L1 " and 32 hexadecimal digits), or free: FREE, what
 * is no token, or nothing at all. FREE is what a release leaves, because the
 * seam can swap what it compared and not remove it; it is gone in a second.
 *
 *     take     add the token; over what is free, cas it
 *     renew    cas the token over the token; add it where a node forgot it
 *     release  cas FREE over the token
 *
 * Answers are contents, so a token that arrived although its answer was lost
 * is known for ours by the next answer that holds it.
 */
#include "ha_lock.h"

#define PREFIX "L1 "
#define FREE "L1 free"
#define FREE_TTL_SEC 1

/* A store's seconds may end up to one early, and clocks do not run alike. */
#define MARGIN (apr_time_from_sec(2))

#define BIT(node) ((apr_uint64_t)1 << (node))

const char *ha_lock_name(ha_lock_e result)
{
    switch (result) {
    case HA_LOCK_BUSY:
        return "busy";
    case HA_LOCK_HELD:
        return "held";
    case HA_LOCK_UNKNOWN:
    default:
        return "unknown";
    }
}

void ha_lock_init(ha_lock_t *lock, ha_store_t *store, unsigned int replicas,
                  const ha_sid_t *sid,
                  const unsigned char owner[HA_LOCK_OWNER_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char *at = lock->token + sizeof(PREFIX) - 1;
    unsigned int i;

    memset(lock, 0, sizeof(*lock));
    lock->store = store;
    lock->wanted = replicas < store->count ? replicas : store->count;
    /* Beside the session's item, which is "ha1:" and the same. */
    memcpy(lock->key, sid->key, sizeof(lock->key));
    memcpy(lock->key, "hl", 2);
    memcpy(lock->token, PREFIX, sizeof(PREFIX) - 1);
    for (i = 0; i < HA_LOCK_OWNER_BYTES; i++) {
        *at++ = digits[owner[i] >> 4];
        *at++ = digits[owner[i] & 15];
    }
    *at = '\0';
    ha_place_order(lock->order, store->nodes, store->count, lock->wanted,
                   span_of((const char *)sid->digest, sizeof(sid->digest)));
}

static span_t token_of(const ha_lock_t *lock)
{
    return span_of_text(lock->token);
}

/* ---- answers ------------------------------------------------------------ */

typedef int (*judge_fn)(const ha_lock_t *lock, const ha_call_t *call);

static int is_told(const ha_lock_t *lock, const ha_call_t *call)
{
    (void)lock;
    return call->answer != HA_UNKNOWN;
}

static int is_mine(const ha_lock_t *lock, const ha_call_t *call)
{
    return call->answer == HA_HIT
        && span_is_equal(call->held, token_of(lock));
}

/* Whether nobody owns what a node holds. */
static int is_free(const ha_lock_t *lock, const ha_call_t *call)
{
    return call->answer == HA_HIT
        && (call->held.len != token_of(lock).len
            || memcmp(call->held.data, PREFIX, sizeof(PREFIX) - 1) != 0);
}

static int is_foreign(const ha_lock_t *lock, const ha_call_t *call)
{
    return call->answer == HA_HIT && !is_free(lock, call)
        && !is_mine(lock, call);
}

/* ---- batches ------------------------------------------------------------ */

/* Calls to be made at the same time, one a node, and their answers. */
typedef struct batch_t {
    ha_call_t calls[HA_NODES_MAX];
    unsigned int count;
} batch_t;

/* When an operation must be done, and what it may allocate from. */
typedef struct means_t {
    apr_time_t deadline;
    apr_pool_t *pool;
} means_t;

static void plan(batch_t *batch, unsigned int node, ha_verb_e verb,
                 span_t data, apr_uint64_t version)
{
    ha_call_t *call = &batch->calls[batch->count++];

    memset(call, 0, sizeof(*call));
    call->node = node;
    call->verb = verb;
    call->data = data;
    call->version = version;
    /* A node that there was no time for has missed nothing of a session. */
    call->is_repair = 1;
}

/* Run a batch, and note for each node whether the lock is ours there. */
static void run(ha_lock_t *lock, batch_t *batch, apr_uint32_t ttl_sec,
                const means_t *means)
{
    unsigned int i;

    if (batch->count > 0) {
        lock->store->ops->run(lock->store, lock->key, batch->calls,
                              batch->count, ttl_sec, means->deadline,
                              means->pool);
    }
    for (i = 0; i < batch->count; i++) {
        const ha_call_t *call = &batch->calls[i];
        apr_uint64_t bit = BIT(call->node);

        lock->held &= ~bit;
        lock->doubtful &= ~bit;
        if (call->answer == HA_UNKNOWN) {
            lock->doubtful |= bit;
            lock->silent |= bit;
        }
        else if (is_mine(lock, call)) {
            lock->held |= bit;
            lock->version[call->node] = call->version;
        }
    }
}

/* Where an answer is such a one, go on with another verb; the later answer
 * takes its place. */
static void go_on(ha_lock_t *lock, batch_t *batch, judge_fn is_such,
                  ha_verb_e verb, const char *data, apr_uint32_t ttl_sec,
                  const means_t *means)
{
    unsigned int from[HA_NODES_MAX] = { 0 };
    batch_t next;
    unsigned int i;

    next.count = 0;
    for (i = 0; i < batch->count; i++) {
        const ha_call_t *call = &batch->calls[i];

        if (is_such(lock, call)) {
            from[next.count] = i;
            plan(&next, call->node, verb, span_of_text(data), call->version);
        }
    }
    run(lock, &next, ttl_sec, means);
    for (i = 0; i < next.count; i++) {
        batch->calls[from[i]] = next.calls[i];
    }
}

static int has_any(const ha_lock_t *lock, const batch_t *batch,
                   judge_fn is_such)
{
    unsigned int i;

    for (i = 0; i < batch->count; i++) {
        if (is_such(lock, &batch->calls[i])) {
            return 1;
        }
    }
    return 0;
}

/* ---- take --------------------------------------------------------------- */

static unsigned int count_bits(apr_uint64_t bits)
{
    unsigned int count = 0;

    for (; bits != 0; bits &= bits - 1) {
        count++;
    }
    return count;
}

/*
 * Plan the next nodes of the order that are up: the first one alone, so that
 * of many who come at once one gets it and goes on, and the others have taken
 * nothing from him; then as many as are still wanted.
 */
static void plan_next(batch_t *batch, const ha_lock_t *lock,
                      unsigned int *next)
{
    unsigned int have = count_bits(lock->held);
    unsigned int most = have == 0 ? 1 : lock->wanted - have;

    batch->count = 0;
    for (; *next < lock->store->count && batch->count < most; *next += 1) {
        unsigned int node = lock->order[*next];

        if (!(lock->silent & BIT(node))
            && lock->store->ops->is_up(lock->store, node)) {
            plan(batch, node, HA_ADD, token_of(lock), 0);
        }
    }
}

/*
 * How long a round may take: as long as nobody has it, and another node can be
 * asked after these, half of the time that is left, or one node that hangs
 * would leave none for the others.
 */
static apr_time_t round_end(const ha_lock_t *lock, unsigned int next,
                            apr_interval_time_t *left, apr_time_t deadline)
{
    if (lock->held != 0 || next == lock->store->count) {
        return deadline;
    }
    *left /= 2;
    return deadline - *left;
}

static void set_until(ha_lock_t *lock, apr_time_t now)
{
    lock->until = now + apr_time_from_sec(HA_LOCK_TTL_SEC) - MARGIN;
}

ha_lock_e ha_lock_try(ha_lock_t *lock, apr_time_t now, apr_time_t deadline,
                      apr_pool_t *p)
{
    means_t means = { deadline, p };
    apr_interval_time_t left = deadline - now;
    unsigned int next = 0;
    int is_busy = 0;
    batch_t batch;

    do {
        plan_next(&batch, lock, &next);
        means.deadline = round_end(lock, next, &left, deadline);
        run(lock, &batch, HA_LOCK_TTL_SEC, &means);
        go_on(lock, &batch, is_free, HA_CAS, lock->token, HA_LOCK_TTL_SEC,
              &means);
        is_busy = has_any(lock, &batch, is_foreign);
    } while (batch.count > 0 && !is_busy
             && count_bits(lock->held) < lock->wanted);
    if (is_busy || lock->held == 0) {
        ha_lock_release(lock, deadline, p);
        return is_busy ? HA_LOCK_BUSY : HA_LOCK_UNKNOWN;
    }
    set_until(lock, now);
    return HA_LOCK_HELD;
}

/* ---- keep, give back ---------------------------------------------------- */

/* Plan one call for each node that has the lock, or may have it. */
static void plan_known(batch_t *batch, const ha_lock_t *lock, ha_verb_e verb,
                       const char *data)
{
    unsigned int i;

    batch->count = 0;
    for (i = 0; i < lock->store->count; i++) {
        if (!lock->store->ops->is_up(lock->store, i)) {
            continue;
        }
        if (lock->held & BIT(i)) {
            plan(batch, i, verb, span_of_text(data), lock->version[i]);
        }
        else if (lock->doubtful & BIT(i)) {
            plan(batch, i, HA_GET, span_of(NULL, 0), 0);
        }
    }
}

/* Plan to have it on as many nodes as are wanted: one that should hold it may
 * have been away, or have forgotten it. */
static void plan_absent(batch_t *batch, const ha_lock_t *lock)
{
    unsigned int seen = 0;
    unsigned int i;

    batch->count = 0;
    for (i = 0; i < lock->store->count && seen < lock->wanted; i++) {
        unsigned int node = lock->order[i];

        if (!lock->store->ops->is_up(lock->store, node)) {
            continue;
        }
        seen++;
        if (!((lock->held | lock->doubtful) & BIT(node))) {
            plan(batch, node, HA_ADD, token_of(lock), 0);
        }
    }
}

ha_lock_e ha_lock_renew(ha_lock_t *lock, apr_time_t now, apr_time_t deadline,
                        apr_pool_t *p)
{
    means_t means = { deadline, p };
    batch_t batch;

    if (now >= lock->until) {
        /* Somebody may have had it, and given it back, meanwhile. */
        lock->until = 0;
        return HA_LOCK_BUSY;
    }
    plan_known(&batch, lock, HA_CAS, lock->token);
    run(lock, &batch, HA_LOCK_TTL_SEC, &means);
    go_on(lock, &batch, is_mine, HA_CAS, lock->token, HA_LOCK_TTL_SEC,
          &means);
    if (has_any(lock, &batch, is_mine)) {
        /*
         * Somebody else's token on another node is that of one who has not
         * come to ours yet, and will not get past it.
         */
        plan_absent(&batch, lock);
        run(lock, &batch, HA_LOCK_TTL_SEC, &means);
        go_on(lock, &batch, is_free, HA_CAS, lock->token, HA_LOCK_TTL_SEC,
              &means);
        set_until(lock, now);
        return HA_LOCK_HELD;
    }
    if (has_any(lock, &batch, is_told)) {
        lock->until = 0;
        return HA_LOCK_BUSY;
    }
    return HA_LOCK_UNKNOWN;
}

void ha_lock_release(ha_lock_t *lock, apr_time_t deadline, apr_pool_t *p)
{
    means_t means = { deadline, p };
    batch_t batch;

    lock->until = 0;
    plan_known(&batch, lock, HA_CAS, FREE);
    run(lock, &batch, FREE_TTL_SEC, &means);
    go_on(lock, &batch, is_mine, HA_CAS, FREE, FREE_TTL_SEC, &means);
}
