/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_shm_seg.h"

#include "ha_limits.h"

/*
 * Somebody died with the lock held. Only heads that were committed count, and
 * of two of one key the newer; everything else is made anew from them. If we
 * die here, whoever comes next begins anew, for no step changes a live head
 * but to free the older of two.
 */

static span_t key_of(const ha_item_t *item)
{
    return span_of(item->text, item->key_len);
}

/**
 * Whether a head and all its blocks hang together.
 *
 * @param last filled with its last block
 */
static int is_sound(const ha_seg_t *seg, ha_block_no head, ha_block_no *last)
{
    const ha_item_t *item = ha_seg_item(seg, head);
    apr_uint32_t count;
    apr_uint32_t i;
    ha_block_no no = head;

    if (item->key_len > HA_SEG_KEY_MAX || item->len > HA_VALUE_MAX
        || item->hash != (apr_uint32_t)ha_seg_hash(key_of(item))) {
        return 0;
    }
    count = ha_seg_blocks_of(item->key_len, item->len);
    for (i = 0; i < count; i++) {
        if (no == 0 || no >= seg->fresh || seg->block[no].owner != head
            || seg->block[no].index != i) {
            return 0;
        }
        *last = no;
        no = seg->block[no].next;
    }
    return 1;
}

/** Say of an item's further blocks what they are. */
static void mark(ha_seg_t *seg, ha_block_no head, apr_uint32_t kind)
{
    const ha_item_t *item = ha_seg_item(seg, head);
    ha_block_no no = head;

    while (no != item->last) {
        no = seg->block[no].next;
        seg->block[no].kind = kind;
    }
}

static void forget(ha_seg_t *seg, ha_block_no head)
{
    mark(seg, head, HA_BLOCK_FREE);
    seg->block[head].kind = HA_BLOCK_FREE;
}

/** Keep an item, unless a newer one of its key is kept. */
static void keep(ha_seg_t *seg, ha_block_no head)
{
    ha_item_t *item = ha_seg_item(seg, head);
    ha_block_no other;

    if (!is_sound(seg, head, &item->last)) {
        seg->block[head].kind = HA_BLOCK_FREE;
        return;
    }
    seg->block[item->last].next = 0;
    other = ha_seg_lookup(seg, key_of(item), item->hash);
    if (other && ha_seg_item(seg, other)->version > item->version) {
        seg->block[head].kind = HA_BLOCK_FREE;
        return;
    }
    if (other) {
        ha_seg_unlink(seg, other);
        forget(seg, other);
    }
    mark(seg, head, HA_BLOCK_BODY);
    ha_seg_link(seg, head);
}

/** Merge two lists over older, each with the last used first. */
static ha_block_no merge(ha_seg_t *seg, ha_block_no a, ha_block_no b)
{
    ha_block_no first = 0;
    ha_block_no *at = &first;

    while (a && b) {
        ha_block_no *pick = ha_seg_item(seg, a)->used
                            > ha_seg_item(seg, b)->used ? &a : &b;

        *at = *pick;
        at = &ha_seg_item(seg, *pick)->older;
        *pick = *at;
    }
    *at = a ? a : b;
    return first;
}

/** Sort the items by use, in the memory they have. */
static void order(ha_seg_t *seg)
{
    ha_block_no run[33] = { 0 }; /* run[k]: 0 or 2^k items in order */
    ha_block_no newer = 0;
    ha_block_no no;
    unsigned int k;

    for (no = 1; no < seg->fresh; no++) {
        ha_block_no carry = no;

        if (seg->block[no].kind != HA_BLOCK_LIVE) {
            continue;
        }
        ha_seg_item(seg, no)->older = 0;
        for (k = 0; run[k]; k++) {
            carry = merge(seg, run[k], carry);
            run[k] = 0;
        }
        run[k] = carry;
    }
    for (no = 0, k = 0; k < 33; k++) {
        no = merge(seg, no, run[k]);
    }
    seg->newest = no;
    for (; no; newer = no, no = ha_seg_item(seg, no)->older) {
        ha_seg_item(seg, no)->newer = newer;
    }
    seg->oldest = newer;
}

void ha_seg_rebuild(ha_seg_t *seg)
{
    ha_block_no no;

    memset(seg->bucket, 0, ((apr_size_t)seg->mask + 1) * sizeof(*seg->bucket));
    seg->items = 0;
    seg->soonest = 0;
    for (no = 1; no < seg->fresh; no++) {
        if (seg->block[no].kind != HA_BLOCK_LIVE) {
            seg->block[no].kind = HA_BLOCK_FREE;
        }
    }
    for (no = 1; no < seg->fresh; no++) {
        if (seg->block[no].kind == HA_BLOCK_LIVE) {
            keep(seg, no);
        }
    }
    order(seg);
    seg->unused = 0;
    seg->free = seg->blocks - (seg->fresh - 1);
    for (no = seg->fresh; --no > 0;) {
        if (seg->block[no].kind == HA_BLOCK_FREE) {
            seg->block[no].next = seg->unused;
            seg->unused = no;
            seg->free++;
        }
    }
}
