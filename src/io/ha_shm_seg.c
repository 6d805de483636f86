/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_shm_seg.h"

#include <errno.h>

#include "ha_limits.h"

/*
 * head: next owner index LIVE | version expires len ... | key | value...
 * body: next owner index BODY | ...value
 *
 * A process can be killed between any two of its instructions, with the lock
 * held. What it wrote so far is seen by the next one, in program order. So an
 * item is committed by one store, after everything it needs and before
 * everything it frees: a new item by its kind, an append by its length. What
 * is reached from a committed head, over as many blocks as its length takes,
 * is the truth; buckets, order of use and free blocks follow from it.
 */

#define BODY (HA_BLOCK - 16)

/** Keep the compiler from moving stores across a commit. */
static void settle(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static apr_size_t smaller(apr_size_t a, apr_size_t b)
{
    return a < b ? a : b;
}

static apr_status_t make_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    int rv = pthread_mutexattr_init(&attr);

    if (rv) {
        return rv;
    }
    rv = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (rv == 0) {
        rv = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    }
    if (rv == 0) {
        rv = pthread_mutex_init(lock, &attr);
    }
    (void)pthread_mutexattr_destroy(&attr);
    return rv;
}

apr_status_t ha_seg_init(ha_seg_t *seg, char *memory, apr_size_t size)
{
    apr_size_t all = size / HA_BLOCK;
    apr_size_t buckets = 16;

    while (buckets * 2 <= all) {
        buckets *= 2;
    }
    seg->bucket = (void *)memory;
    seg->mask = (apr_uint32_t)(buckets - 1);
    all -= (buckets * sizeof(*seg->bucket) + HA_BLOCK - 1) / HA_BLOCK;
    /* block[0] would be the block before the first: 0 means none */
    seg->block = (void *)(memory + size - (all + 1) * HA_BLOCK);
    seg->blocks = (apr_uint32_t)all;
    seg->fresh = 1;
    seg->free = seg->blocks;
    return make_lock(&seg->lock);
}

apr_uint64_t ha_seg_hash(span_t key)
{
    apr_uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, then murmur's end */
    apr_size_t i;

    for (i = 0; i < key.len; i++) {
        hash = (hash ^ (unsigned char)key.data[i]) * 0x100000001b3u;
    }
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdu;
    hash ^= hash >> 33;
    return hash;
}

ha_item_t *ha_seg_item(const ha_seg_t *seg, ha_block_no head)
{
    return &seg->block[head].u.item;
}

/* ---- blocks -------------------------------------------------------------- */

/** Bytes of the value that a head holds. */
static apr_size_t in_head(apr_uint32_t key_len)
{
    return sizeof(((ha_item_t *)NULL)->text) - key_len;
}

apr_uint32_t ha_seg_blocks_of(apr_uint32_t key_len, apr_size_t len)
{
    apr_size_t head = in_head(key_len);

    if (len <= head) {
        return 1;
    }
    return 1 + (apr_uint32_t)((len - head + BODY - 1) / BODY);
}

static apr_uint32_t blocks_held(const ha_seg_t *seg, ha_block_no head)
{
    const ha_item_t *item = ha_seg_item(seg, head);

    return head ? ha_seg_blocks_of(item->key_len, item->len) : 0;
}

/** Take a block. There is one: reserve() was asked before. */
static ha_block_no take(ha_seg_t *seg, apr_uint32_t kind)
{
    ha_block_no no = seg->unused;

    if (no) {
        seg->unused = seg->block[no].next;
    }
    else {
        no = seg->fresh++;
    }
    seg->free--;
    seg->block[no].next = 0;
    seg->block[no].kind = kind;
    return no;
}

static void give_back(ha_seg_t *seg, ha_block_no head, apr_uint32_t count)
{
    ha_block_no last = ha_seg_item(seg, head)->last;

    seg->block[last].next = seg->unused;
    seg->unused = head;
    seg->free += count;
}

/* ---- buckets and order of use -------------------------------------------- */

static ha_block_no *bucket_of(const ha_seg_t *seg, apr_uint32_t hash)
{
    return &seg->bucket[hash & seg->mask];
}

void ha_seg_link(ha_seg_t *seg, ha_block_no head)
{
    ha_item_t *item = ha_seg_item(seg, head);
    ha_block_no *bucket = bucket_of(seg, item->hash);

    item->chain = *bucket;
    *bucket = head;
    seg->items++;
}

void ha_seg_unlink(ha_seg_t *seg, ha_block_no head)
{
    ha_item_t *item = ha_seg_item(seg, head);
    ha_block_no *at = bucket_of(seg, item->hash);

    while (*at != head) {
        at = &ha_seg_item(seg, *at)->chain;
    }
    *at = item->chain;
    seg->items--;
}

static void leave_order(ha_seg_t *seg, const ha_item_t *item)
{
    *(item->newer ? &ha_seg_item(seg, item->newer)->older : &seg->newest)
        = item->older;
    *(item->older ? &ha_seg_item(seg, item->older)->newer : &seg->oldest)
        = item->newer;
}

static void enter_order(ha_seg_t *seg, ha_block_no head)
{
    ha_item_t *item = ha_seg_item(seg, head);

    item->used = ++seg->tick;
    item->newer = 0;
    item->older = seg->newest;
    *(item->older ? &ha_seg_item(seg, item->older)->newer : &seg->oldest)
        = head;
    seg->newest = head;
}

ha_block_no ha_seg_lookup(const ha_seg_t *seg, span_t key, apr_uint32_t hash)
{
    ha_block_no head = *bucket_of(seg, hash);

    for (; head; head = ha_seg_item(seg, head)->chain) {
        const ha_item_t *item = ha_seg_item(seg, head);

        if (item->hash == hash
            && span_is_equal(span_of(item->text, item->key_len), key)) {
            break;
        }
    }
    return head;
}

ha_block_no ha_seg_find(ha_seg_t *seg, span_t key, apr_uint32_t hash,
                        apr_time_t now)
{
    ha_block_no head = ha_seg_lookup(seg, key, hash);

    if (head && ha_seg_item(seg, head)->expires <= now) {
        ha_seg_remove(seg, head);
        head = 0;
    }
    if (head) {
        leave_order(seg, ha_seg_item(seg, head));
        enter_order(seg, head);
    }
    return head;
}

void ha_seg_remove(ha_seg_t *seg, ha_block_no head)
{
    apr_uint32_t count = blocks_held(seg, head);

    seg->block[head].kind = HA_BLOCK_FREE;
    settle();
    ha_seg_unlink(seg, head);
    leave_order(seg, ha_seg_item(seg, head));
    give_back(seg, head, count);
}

/* ---- room ---------------------------------------------------------------- */

void ha_seg_sweep(ha_seg_t *seg, ha_block_no but, apr_time_t now)
{
    ha_block_no head;
    ha_block_no newer;
    apr_time_t soonest = APR_INT64_MAX;

    if (now < seg->soonest) {
        return;
    }
    for (head = seg->oldest; head; head = newer) {
        const ha_item_t *item = ha_seg_item(seg, head);

        newer = item->newer;
        if (item->expires <= now && head != but) {
            ha_seg_remove(seg, head);
        }
        else if (item->expires < soonest) {
            soonest = item->expires;
        }
    }
    seg->soonest = soonest;
}

/**
 * Have count blocks free: of what is over, then of what was not used for
 * longest. Drops nothing when it would not help.
 */
static int reserve(ha_seg_t *seg, apr_uint32_t count, ha_block_no but,
                   apr_time_t now)
{
    if (count <= seg->free) {
        return 1;
    }
    if (count > seg->blocks - blocks_held(seg, but)) {
        return 0;
    }
    ha_seg_sweep(seg, but, now);
    while (count > seg->free) {
        ha_block_no head = seg->oldest;

        if (head == but) {
            head = ha_seg_item(seg, head)->newer;
        }
        if (head == 0) {
            return 0;
        }
        ha_seg_remove(seg, head);
        seg->dropped++;
    }
    return 1;
}

/* ---- values -------------------------------------------------------------- */

/** Add one block to an item. */
static void lengthen(ha_seg_t *seg, ha_block_no head)
{
    ha_item_t *item = ha_seg_item(seg, head);
    ha_block_no no = take(seg, HA_BLOCK_BODY);

    seg->block[no].owner = head;
    seg->block[no].index = seg->block[item->last].index + 1;
    seg->block[item->last].next = no;
    item->last = no;
}

/** Write data behind the value; the caller commits the new length. */
static void write_behind(ha_seg_t *seg, ha_block_no head, span_t data)
{
    ha_item_t *item = ha_seg_item(seg, head);
    apr_size_t room = in_head(item->key_len);
    apr_size_t at = item->len;

    if (at < room && data.len) {
        apr_size_t part = smaller(data.len, room - at);

        memcpy(item->text + item->key_len + at, data.data, part);
        data = span_of(data.data + part, data.len - part);
        at += part;
    }
    while (data.len) {
        apr_size_t offset = (at - room) % BODY;
        apr_size_t part = smaller(data.len, BODY - offset);

        if (offset == 0) {
            lengthen(seg, head);
        }
        memcpy(seg->block[item->last].u.body + offset, data.data, part);
        data = span_of(data.data + part, data.len - part);
        at += part;
    }
}

/** Write an item that nobody sees yet. */
static ha_block_no write_new(ha_seg_t *seg, span_t key, apr_uint32_t hash,
                             span_t data, apr_time_t expires)
{
    ha_block_no head = take(seg, HA_BLOCK_NEW);
    ha_item_t *item = ha_seg_item(seg, head);

    seg->block[head].owner = head;
    seg->block[head].index = 0;
    item->last = head;
    item->hash = hash;
    item->key_len = (apr_uint32_t)key.len;
    item->expires = expires;
    item->len = 0;
    item->used = seg->tick;
    item->version = ++seg->version;
    memcpy(item->text, key.data, key.len);
    write_behind(seg, head, data);
    item->len = (apr_uint32_t)data.len;
    return head;
}

ha_block_no ha_seg_put(ha_seg_t *seg, span_t key, apr_uint32_t hash,
                       ha_block_no old, span_t data, apr_time_t expires,
                       apr_time_t now)
{
    ha_block_no head;

    if (data.len > HA_VALUE_MAX
        || !reserve(seg, ha_seg_blocks_of((apr_uint32_t)key.len, data.len),
                    old, now)) {
        return 0;
    }
    head = write_new(seg, key, hash, data, expires);
    settle();
    seg->block[head].kind = HA_BLOCK_LIVE;
    settle();
    /* two live items of one key: until the next line the newer one counts */
    if (old) {
        ha_seg_remove(seg, old);
    }
    ha_seg_link(seg, head);
    enter_order(seg, head);
    seg->soonest = expires < seg->soonest ? expires : seg->soonest;
    return head;
}

int ha_seg_append(ha_seg_t *seg, ha_block_no head, span_t data,
                  apr_time_t now)
{
    ha_item_t *item = ha_seg_item(seg, head);
    apr_size_t len = item->len + data.len;

    if (data.len > HA_VALUE_MAX || len > HA_VALUE_MAX
        || !reserve(seg, ha_seg_blocks_of(item->key_len, len)
                         - blocks_held(seg, head), head, now)) {
        return 0;
    }
    write_behind(seg, head, data);
    /* the version first: a version that changed alone harms nobody */
    item->version = ++seg->version;
    settle();
    item->len = (apr_uint32_t)len;
    settle();
    return 1;
}

void ha_seg_touch(ha_seg_t *seg, ha_block_no head, apr_time_t expires)
{
    ha_seg_item(seg, head)->expires = expires;
    seg->soonest = expires < seg->soonest ? expires : seg->soonest;
}

span_t ha_seg_copy(const ha_seg_t *seg, ha_block_no head, apr_pool_t *p)
{
    const ha_item_t *item = ha_seg_item(seg, head);
    apr_size_t len = item->len;
    apr_size_t at = smaller(len, in_head(item->key_len));
    char *copy = apr_palloc(p, len + 1);

    memcpy(copy, item->text + item->key_len, at);
    copy[len] = '\0';
    while (at < len) {
        apr_size_t part = smaller(len - at, BODY);

        head = seg->block[head].next;
        memcpy(copy + at, seg->block[head].u.body, part);
        at += part;
    }
    return span_of(copy, len);
}
