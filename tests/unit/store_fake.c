/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fake.h"

#include <check.h>

#include <apr_hash.h>
#include <apr_strings.h>

/* memcached's limit, so that a test meets it where production does. */
#define ITEM_MAX (1024 * 1024)

#define HOUR_SEC 3600

typedef enum fault_e {
    FAULT_OK,
    FAULT_DOWN,
    FAULT_LOST,
    FAULT_TIMEOUT,
    FAULT_FULL,
    FAULT_RACED,
    FAULT_FORGOT,
    FAULT_GARBAGE,
    FAULT_COUNT
} fault_e;

static const char *const fault_names[FAULT_COUNT] = {
    "ok", "down", "lost", "timeout", "full", "raced", "forgot", "garbage"
};

/* In the order of ha_verb_e. */
static const char *const verb_names[] = {
    "get", "add", "append", "cas", "touch", "remove"
};

typedef struct item_t {
    span_t bytes;
    apr_uint64_t version;
    apr_time_t expiry;
} item_t;

typedef struct node_t {
    apr_hash_t *items; /* key to item_t */
    char *plan;        /* what is still to be played */
    int up;
    apr_time_t since;
} node_t;

struct store_fake_t {
    ha_store_t store; /* first, so that the seam leads back here */
    apr_pool_t *pool;
    ha_place_node_t places[HA_NODES_MAX];
    node_t nodes[HA_NODES_MAX];
    apr_time_t now;
    apr_uint64_t versions; /* the last one given out */
    store_fake_fn rival;
    void *rival_ctx;
    char *log;
};

/* ---- items ---- */

static item_t *find_item(store_fake_t *fake, unsigned int node,
                         const char *key)
{
    item_t *item = apr_hash_get(fake->nodes[node].items, key,
                                APR_HASH_KEY_STRING);

    return item != NULL && item->expiry > fake->now ? item : NULL;
}

static span_t copied(const store_fake_t *fake, span_t bytes)
{
    return span_of(apr_pmemdup(fake->pool, bytes.data, bytes.len), bytes.len);
}

static void set_item(store_fake_t *fake, unsigned int node, const char *key,
                     span_t bytes, apr_time_t expiry)
{
    item_t *item = apr_palloc(fake->pool, sizeof(*item));

    item->bytes = copied(fake, bytes);
    item->version = ++fake->versions;
    item->expiry = expiry;
    apr_hash_set(fake->nodes[node].items, apr_pstrdup(fake->pool, key),
                 APR_HASH_KEY_STRING, item);
}

span_t store_fake_item(store_fake_t *fake, unsigned int node, const char *key)
{
    item_t *item = find_item(fake, node, key);

    return item != NULL ? item->bytes : span_of(NULL, 0);
}

apr_time_t store_fake_expiry(store_fake_t *fake, unsigned int node,
                             const char *key)
{
    item_t *item = find_item(fake, node, key);

    return item != NULL ? item->expiry : 0;
}

void store_fake_put(store_fake_t *fake, unsigned int node, const char *key,
                    span_t bytes)
{
    set_item(fake, node, key, bytes,
             fake->now + apr_time_from_sec(HOUR_SEC));
}

void store_fake_append(store_fake_t *fake, unsigned int node,
                       const char *key, span_t bytes)
{
    item_t *item = find_item(fake, node, key);
    char *both;

    if (item == NULL || item->bytes.len + bytes.len > ITEM_MAX) {
        return;
    }
    both = apr_palloc(fake->pool, item->bytes.len + bytes.len);
    memcpy(both, item->bytes.data, item->bytes.len);
    memcpy(both + item->bytes.len, bytes.data, bytes.len);
    item->bytes = span_of(both, item->bytes.len + bytes.len);
    item->version = ++fake->versions;
}

void store_fake_remove(store_fake_t *fake, unsigned int node,
                       const char *key)
{
    apr_hash_set(fake->nodes[node].items, key, APR_HASH_KEY_STRING, NULL);
}

/* ---- plans ---- */

static fault_e fault_of(const char *name)
{
    int i;

    for (i = 0; i < FAULT_COUNT; i++) {
        if (strcmp(name, fault_names[i]) == 0) {
            return (fault_e)i;
        }
    }
    ck_abort_msg("a plan knows no fault '%s'", name);
    return FAULT_OK;
}

/* Take the next entry off a node's plan; it must be one for this verb. */
static fault_e next_fault(store_fake_t *fake, unsigned int node,
                          const char *verb)
{
    char *entry = fake->nodes[node].plan;
    char *fault;
    char *end;

    while (*entry == ' ') {
        entry++;
    }
    if (*entry == '\0') {
        return FAULT_OK;
    }
    entry = apr_pstrdup(fake->pool, entry);
    end = entry + strcspn(entry, " ");
    fake->nodes[node].plan = *end != '\0' ? end + 1 : end;
    *end = '\0';
    fault = strchr(entry, ':');
    ck_assert_msg(fault != NULL, "a plan has no fault in '%s'", entry);
    *fault++ = '\0';
    ck_assert_msg(strcmp(entry, verb) == 0,
                  "node %u was to see %s, and sees %s", node, entry, verb);
    return fault_of(fault);
}

void store_fake_plan(store_fake_t *fake, unsigned int node, const char *plan)
{
    fake->nodes[node].plan = apr_pstrcat(fake->pool, fake->nodes[node].plan,
                                         " ", plan, NULL);
}

void store_fake_expect_played(const store_fake_t *fake)
{
    unsigned int i;

    for (i = 0; i < fake->store.count; i++) {
        const char *rest = fake->nodes[i].plan;

        ck_assert_msg(rest[strspn(rest, " ")] == '\0',
                      "node %u never saw '%s'", i, rest);
    }
}

/* ---- the seam ---- */

static void check_call(const ha_store_t *store, const ha_call_t *calls,
                       unsigned int at, apr_uint32_t ttl_sec)
{
    ha_verb_e verb = calls[at].verb;
    unsigned int i;

    ck_assert_uint_lt(calls[at].node, store->count);
    for (i = 0; i < at; i++) {
        ck_assert_msg(calls[i].node != calls[at].node,
                      "two calls for node %u in one batch", calls[at].node);
    }
    if (verb == HA_ADD || verb == HA_APPEND || verb == HA_CAS) {
        ck_assert_uint_gt(calls[at].data.len, 0);
    }
    if (verb == HA_ADD || verb == HA_CAS || verb == HA_TOUCH) {
        ck_assert_uint_ge(ttl_sec, 1);
    }
}

static void check_key(const char *key)
{
    apr_size_t i;

    ck_assert_uint_gt(strlen(key), 0);
    ck_assert_uint_le(strlen(key), 250);
    for (i = 0; key[i] != '\0'; i++) {
        ck_assert_msg(key[i] > ' ' && key[i] <= '~', "a byte in the key");
    }
}

static void note_call(store_fake_t *fake, const ha_call_t *call, int is_first)
{
    const char *before = *fake->log == '\0' ? "" : is_first ? " | " : " ";

    fake->log = apr_psprintf(fake->pool, "%s%s%s@%u", fake->log, before,
                             verb_names[call->verb], call->node);
}

/* Carry out a verb on a node that is well. */
static void apply(store_fake_t *fake, const char *key, const ha_call_t *call,
                  apr_uint32_t ttl_sec)
{
    item_t *item = find_item(fake, call->node, key);
    apr_time_t expiry = fake->now + apr_time_from_sec(ttl_sec);

    switch (call->verb) {
    case HA_GET:
        break;
    case HA_ADD:
        if (item == NULL && call->data.len <= ITEM_MAX) {
            set_item(fake, call->node, key, call->data, expiry);
        }
        break;
    case HA_APPEND:
        store_fake_append(fake, call->node, key, call->data);
        break;
    case HA_CAS:
        if (item != NULL && item->version == call->version
            && call->data.len <= ITEM_MAX) {
            set_item(fake, call->node, key, call->data, expiry);
        }
        break;
    case HA_TOUCH:
        if (item != NULL) {
            item->expiry = expiry;
        }
        break;
    case HA_REMOVE:
        store_fake_remove(fake, call->node, key);
        break;
    default:
        ck_abort_msg("no such verb: %d", (int)call->verb);
    }
}

/* What happens to the node just before the verb reaches it. */
static void strike(store_fake_t *fake, fault_e fault, const ha_call_t *call,
                   const char *key)
{
    if (fault == FAULT_FORGOT) {
        apr_hash_clear(fake->nodes[call->node].items);
    }
    if (fault == FAULT_GARBAGE) {
        store_fake_put(fake, call->node, key,
                       span_of_text(STORE_FAKE_GARBAGE));
    }
    if (fault == FAULT_RACED && fake->rival != NULL) {
        fake->rival(fake->rival_ctx, fake, call->node, key);
    }
    else if (fault == FAULT_RACED) {
        store_fake_append(fake, call->node, key, span_of("?", 1));
    }
}

static void answer(store_fake_t *fake, const char *key, ha_call_t *call)
{
    item_t *item = find_item(fake, call->node, key);

    call->rv = APR_SUCCESS;
    call->held = span_of(NULL, 0);
    call->answer = item != NULL ? HA_HIT : HA_MISS;
    if (item != NULL) {
        call->version = item->version;
        if (call->verb != HA_TOUCH) {
            call->held = copied(fake, item->bytes);
        }
    }
}

static void run_one(store_fake_t *fake, const char *key, ha_call_t *call,
                    apr_uint32_t ttl_sec)
{
    fault_e fault = next_fault(fake, call->node, verb_names[call->verb]);

    if (!fake->nodes[call->node].up) {
        fault = FAULT_DOWN;
    }
    strike(fake, fault, call, key);
    if (fault != FAULT_DOWN && fault != FAULT_LOST && fault != FAULT_FULL) {
        apply(fake, key, call, ttl_sec);
    }
    answer(fake, key, call);
    if (fault == FAULT_DOWN || fault == FAULT_LOST
        || fault == FAULT_TIMEOUT) {
        call->answer = HA_UNKNOWN;
        call->held = span_of(NULL, 0);
        call->version = 0;
        call->rv = fault == FAULT_DOWN ? APR_ECONNREFUSED : APR_TIMEUP;
    }
}

static void run(ha_store_t *store, const char *key, ha_call_t *calls,
                unsigned int count, apr_uint32_t ttl_sec, apr_time_t deadline,
                apr_pool_t *p)
{
    store_fake_t *fake = (store_fake_t *)(void *)store;
    unsigned int node;
    unsigned int i;

    (void)deadline;
    (void)p;
    check_key(key);
    for (i = 0; i < count; i++) {
        check_call(store, calls, i, ttl_sec);
    }
    /* By node, so that a log reads the same whatever order was asked for. */
    for (node = 0, i = 0; node < store->count; node++) {
        unsigned int at;

        for (at = 0; at < count; at++) {
            if (calls[at].node == node) {
                note_call(fake, &calls[at], i++ == 0);
                run_one(fake, key, &calls[at], ttl_sec);
            }
        }
    }
}

static int is_up(ha_store_t *store, unsigned int node)
{
    return ((store_fake_t *)(void *)store)->nodes[node].up;
}

static apr_time_t whole_since(ha_store_t *store, unsigned int node)
{
    const node_t *known = &((store_fake_t *)(void *)store)->nodes[node];

    return known->up ? known->since : 0;
}

static const ha_store_ops_t fake_ops = { run, is_up, whole_since };

/* ---- the test's side ---- */

store_fake_t *store_fake_make(unsigned int count, apr_pool_t *p)
{
    store_fake_t *fake = apr_pcalloc(p, sizeof(*fake));
    unsigned int i;

    fake->pool = p;
    fake->store.ops = &fake_ops;
    fake->store.name = "fake";
    fake->store.nodes = fake->places;
    fake->store.count = count;
    fake->log = apr_pstrdup(p, "");
    for (i = 0; i < count; i++) {
        fake->places[i].name = span_of_text(apr_psprintf(p, "node%u", i));
        fake->places[i].zone = span_of_text(apr_psprintf(p, "zone%u", i));
        fake->places[i].weight = 1;
        fake->nodes[i].items = apr_hash_make(p);
        fake->nodes[i].plan = apr_pstrdup(p, "");
        fake->nodes[i].up = 1;
        fake->nodes[i].since = 1;
    }
    return fake;
}

ha_store_t *store_fake_store(store_fake_t *fake)
{
    return &fake->store;
}

void store_fake_sid(ha_sid_t *sid, const store_fake_t *fake,
                    unsigned int replicas, unsigned int seed)
{
    unsigned char bytes[HA_SID_BYTES] = { 0 };
    unsigned int order[HA_NODES_MAX];
    unsigned int i;
    apr_uint32_t tries;

    bytes[0] = (unsigned char)seed;
    for (tries = 0; tries < 1000000; tries++) {
        memcpy(bytes + 4, &tries, sizeof(tries));
        ha_sid_init(sid, bytes);
        ha_place_order(order, fake->places, fake->store.count, replicas,
                       span_of((const char *)sid->digest, HA_SID_DIGEST));
        for (i = 0; i < fake->store.count && order[i] == i; i++) {
            continue;
        }
        if (i == fake->store.count) {
            return;
        }
    }
    ck_abort_msg("no id is placed in the order of the nodes");
}

void store_fake_rival(store_fake_t *fake, store_fake_fn rival, void *ctx)
{
    fake->rival = rival;
    fake->rival_ctx = ctx;
}

void store_fake_set_time(store_fake_t *fake, apr_time_t now)
{
    fake->now = now;
}

void store_fake_set_up(store_fake_t *fake, unsigned int node, int up)
{
    fake->nodes[node].up = up;
}

void store_fake_set_whole(store_fake_t *fake, unsigned int node,
                          apr_time_t since)
{
    fake->nodes[node].since = since;
}

void store_fake_set_zone(store_fake_t *fake, unsigned int node,
                         const char *zone)
{
    fake->places[node].zone = span_of_text(zone);
}

void store_fake_restart(store_fake_t *fake, unsigned int node)
{
    apr_hash_clear(fake->nodes[node].items);
    fake->nodes[node].up = 1;
    fake->nodes[node].since = fake->now;
}

const char *store_fake_log(store_fake_t *fake)
{
    const char *log = fake->log;

    fake->log = apr_pstrdup(fake->pool, "");
    return log;
}
