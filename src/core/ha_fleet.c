/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of web servers, merged as everything here is: an entry has one
 * writer, and of two versions the newer counts, so that copies of the item
 * may differ from node to node, get lost, and be written by many at once.
 *
 * The item is text. Each web server has an entry; times are in seconds:
 *
 *     member <id> <written> <fingerprint of keys> <label>
 *     list <last used> <replicas>
 *     node <weight> <name> =<zone> <address>
 *     ...                                     (more nodes, earlier lists)
 *     mac <64 hex digits>
 *
 * mac = HMAC-SHA-256( HMAC-SHA-256( key, "... fleet 1" ), lines above it ),
 * where key is what signs cookies. A fingerprint is, for all keys, the sum
 * without carry of the first 8 bytes of HMAC-SHA-256( key, "... print 1" ):
 * nobody who has not the key learns anything from it.
 */
#include "ha_fleet.h"

#include <stdlib.h>

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define LABEL_MAC "mod_session_ha fleet 1"
#define LABEL_PRINT "mod_session_ha print 1"

#define MAC_BYTES 32
#define MAC_TEXT (2 * MAC_BYTES)
#define PRINT_BYTES (HA_FLEET_ID / 2)

/* ---- entries and lists -------------------------------------------------- */

const char *ha_fleet_differ_name(unsigned int differ)
{
    static const char *const names[] = {
        "nothing", "nodes", "replicas", "nodes and replicas", "secrets",
        "nodes and secrets", "replicas and secrets",
        "nodes, replicas and secrets"
    };

    return names[differ & 7];
}

static ha_fleet_member_t *find_member(ha_fleet_t *fleet, span_t id)
{
    unsigned int i;

    for (i = 0; i < fleet->count; i++) {
        if (span_is_equal(fleet->members[i].id, id)) {
            return &fleet->members[i];
        }
    }
    return NULL;
}

/* Whether an entry is worth more than another. */
static int is_better(const ha_fleet_member_t *a, const ha_fleet_member_t *b)
{
    if (a->is_genuine != b->is_genuine) {
        return a->is_genuine;
    }
    return a->seen > b->seen;
}

void ha_fleet_put(ha_fleet_t *fleet, const ha_fleet_member_t *member)
{
    ha_fleet_member_t *place = find_member(fleet, member->id);
    unsigned int i;

    if (place != NULL) {
        if (is_better(member, place)) {
            *place = *member;
        }
        return;
    }
    if (fleet->count < HA_FLEET_MAX) {
        fleet->members[fleet->count++] = *member;
        return;
    }
    place = &fleet->members[0];
    for (i = 1; i < fleet->count; i++) {
        if (is_better(place, &fleet->members[i])) {
            place = &fleet->members[i];
        }
    }
    if (is_better(member, place)) {
        *place = *member;
    }
}

void ha_fleet_forget(ha_fleet_t *fleet, apr_time_t now,
                     apr_interval_time_t age)
{
    unsigned int kept = 0;
    unsigned int i;

    for (i = 0; i < fleet->count; i++) {
        const ha_fleet_member_t *member = &fleet->members[i];

        if (member->seen >= now - age && member->seen <= now + age) {
            fleet->members[kept++] = *member;
        }
    }
    fleet->count = kept;
}

static const ha_place_node_t *find_node(const ha_fleet_list_t *list,
                                        span_t name)
{
    unsigned int i;

    for (i = 0; i < list->count; i++) {
        if (span_is_equal(list->nodes[i].place.name, name)) {
            return &list->nodes[i].place;
        }
    }
    return NULL;
}

/* Names are unique in a list, so one direction will do. */
static int has_same_nodes(const ha_fleet_list_t *a, const ha_fleet_list_t *b)
{
    unsigned int i;

    if (a->count != b->count) {
        return 0;
    }
    for (i = 0; i < a->count; i++) {
        const ha_place_node_t *node = &a->nodes[i].place;
        const ha_place_node_t *other = find_node(b, node->name);

        if (other == NULL || other->weight != node->weight
            || !span_is_equal(other->zone, node->zone)) {
            return 0;
        }
    }
    return 1;
}

int ha_fleet_list_is_same(const ha_fleet_list_t *a, const ha_fleet_list_t *b)
{
    return a->replicas == b->replicas && has_same_nodes(a, b);
}

unsigned int ha_fleet_compare(const ha_fleet_member_t *self,
                              const ha_fleet_member_t *other)
{
    unsigned int differ = HA_FLEET_SAME;

    if (!other->is_genuine) {
        return HA_FLEET_SECRETS;
    }
    if (!span_is_equal(self->keys, other->keys)) {
        differ |= HA_FLEET_SECRETS;
    }
    if (self->lists[0].replicas != other->lists[0].replicas) {
        differ |= HA_FLEET_REPLICAS;
    }
    if (!has_same_nodes(&self->lists[0], &other->lists[0])) {
        differ |= HA_FLEET_NODES;
    }
    return differ;
}

apr_time_t ha_fleet_used(const ha_fleet_t *fleet, const ha_fleet_list_t *list)
{
    apr_time_t used = 0;
    unsigned int i, k;

    for (i = 0; i < fleet->count; i++) {
        const ha_fleet_member_t *member = &fleet->members[i];

        for (k = 0; member->is_genuine && k < member->count; k++) {
            if (member->lists[k].used > used
                && ha_fleet_list_is_same(&member->lists[k], list)) {
                used = member->lists[k].used;
            }
        }
    }
    return used;
}

void ha_fleet_past_add(ha_fleet_list_t lists[HA_PAST_MAX],
                       unsigned int *count, const ha_fleet_list_t *list)
{
    ha_fleet_list_t added = *list;
    unsigned int at;
    unsigned int i;

    for (i = 0; i < *count; i++) {
        if (ha_fleet_list_is_same(&lists[i], list)) {
            if (lists[i].used > added.used) {
                return;
            }
            /* taken out here, to be put in where it belongs */
            memmove(&lists[i], &lists[i + 1],
                    (*count - i - 1) * sizeof(*lists));
            *count -= 1;
            break;
        }
    }
    for (at = *count; at > 0 && lists[at - 1].used < added.used; at--) {
    }
    if (at == HA_PAST_MAX) {
        return;
    }
    if (*count < HA_PAST_MAX) {
        *count += 1;
    }
    memmove(&lists[at + 1], &lists[at], (*count - at - 1) * sizeof(*lists));
    lists[at] = added;
}

void ha_fleet_past(ha_fleet_list_t lists[HA_PAST_MAX], unsigned int *count,
                   const ha_fleet_t *fleet, const ha_fleet_list_t *now)
{
    unsigned int i, k;

    for (i = 0; i < fleet->count; i++) {
        const ha_fleet_member_t *member = &fleet->members[i];

        for (k = 0; member->is_genuine && k < member->count; k++) {
            if (!ha_fleet_list_is_same(&member->lists[k], now)) {
                ha_fleet_past_add(lists, count, &member->lists[k]);
            }
        }
    }
}

/* The place of a web server in a watch; a new one has the oldest place. */
static ha_fleet_watch_t *find_watch(ha_fleet_watch_t *watch, span_t id,
                                    apr_time_t now)
{
    char padded[HA_FLEET_ID] = { 0 };
    unsigned int oldest = 0;
    unsigned int i;

    memcpy(padded, id.data, id.len < sizeof(padded) ? id.len
                                                    : sizeof(padded));
    for (i = 0; i < HA_FLEET_MAX; i++) {
        if (memcmp(watch[i].id, padded, sizeof(padded)) == 0) {
            return &watch[i];
        }
        if (watch[i].since < watch[oldest].since) {
            oldest = i;
        }
    }
    memset(&watch[oldest], 0, sizeof(*watch));
    memcpy(watch[oldest].id, padded, sizeof(padded));
    watch[oldest].since = now;
    return &watch[oldest];
}

ha_fleet_news_e ha_fleet_judge(ha_fleet_watch_t *watch, unsigned int *differ,
                               const ha_fleet_member_t *self,
                               const ha_fleet_member_t *other, apr_time_t now)
{
    ha_fleet_watch_t *at;

    *differ = HA_FLEET_SAME;
    if (other->seen < now - apr_time_from_sec(HA_FLEET_STALE_SEC)
        || span_is_equal(self->id, other->id)) {
        return HA_FLEET_NO_NEWS;
    }
    *differ = ha_fleet_compare(self, other);
    at = find_watch(watch, other->id, now);
    if (at->differ != *differ) {
        at->differ = *differ;
        at->since = now;
        at->is_long = 0;
        return *differ != HA_FLEET_SAME ? HA_FLEET_DIFFERS : HA_FLEET_AGREES;
    }
    if (*differ != HA_FLEET_SAME && !at->is_long
        && now - at->since >= apr_time_from_sec(HA_FLEET_LONG_SEC)) {
        at->is_long = 1;
        return HA_FLEET_LASTS;
    }
    return HA_FLEET_NO_NEWS;
}

/* ---- keys --------------------------------------------------------------- */

static void sign(unsigned char mac[MAC_BYTES], const unsigned char *key,
                 span_t text)
{
    if (HMAC(EVP_sha256(), key, HA_KEY_BYTES,
             (const unsigned char *)text.data, text.len, mac, NULL) == NULL) {
        /* To go on would sign with bytes that are anybody's guess. */
        abort();
    }
}

static void put_hex(char *to, const unsigned char *from, apr_size_t len)
{
    static const char digits[] = "0123456789abcdef";
    apr_size_t i;

    for (i = 0; i < len; i++) {
        to[2 * i] = digits[from[i] >> 4];
        to[2 * i + 1] = digits[from[i] & 15];
    }
}

/* The signature of an entry's lines by one key, as text. */
static void sign_lines(char text[MAC_TEXT], const ha_key_t *key, span_t lines)
{
    unsigned char derived[MAC_BYTES];
    unsigned char mac[MAC_BYTES];

    sign(derived, key->mac, span_of_text(LABEL_MAC));
    sign(mac, derived, lines);
    put_hex(text, mac, sizeof(mac));
    OPENSSL_cleanse(derived, sizeof(derived));
}

void ha_fleet_keys(char text[HA_FLEET_ID + 1], const ha_ring_t *ring)
{
    unsigned char print[MAC_BYTES];
    unsigned char sum[PRINT_BYTES] = { 0 };
    unsigned int i, k;

    for (i = 0; i < ring->count; i++) {
        sign(print, ring->keys[i].mac, span_of_text(LABEL_PRINT));
        for (k = 0; k < PRINT_BYTES; k++) {
            sum[k] ^= print[k];
        }
    }
    put_hex(text, sum, sizeof(sum));
    text[HA_FLEET_ID] = '\0';
}

/* ---- write -------------------------------------------------------------- */

static span_t joined(span_t head, const char *line, apr_pool_t *p)
{
    apr_size_t len = strlen(line);
    char *text = apr_palloc(p, head.len + len);

    if (head.len > 0) {
        memcpy(text, head.data, head.len);
    }
    memcpy(text + head.len, line, len);
    return span_of(text, head.len + len);
}

static const char *text_of(span_t span, apr_pool_t *p)
{
    return apr_pstrmemdup(p, span.data != NULL ? span.data : "", span.len);
}

static span_t write_list(span_t text, const ha_fleet_list_t *list,
                         apr_pool_t *p)
{
    unsigned int i;

    text = joined(text, apr_psprintf(p, "list %" APR_TIME_T_FMT " %u\n",
                                     apr_time_sec(list->used),
                                     list->replicas), p);
    for (i = 0; i < list->count; i++) {
        const ha_fleet_node_t *node = &list->nodes[i];

        text = joined(text, apr_psprintf(p, "node %u %s =%s %s\n",
                                         node->place.weight,
                                         text_of(node->place.name, p),
                                         text_of(node->place.zone, p),
                                         text_of(node->address, p)), p);
    }
    return text;
}

void ha_fleet_sign(ha_fleet_member_t *member, const ha_ring_t *ring,
                   apr_pool_t *p)
{
    char mac[MAC_TEXT + 1];
    unsigned int i;
    span_t text;

    text = joined(span_of(NULL, 0), apr_psprintf(p, "member %s %" APR_TIME_T_FMT
                                     " %s %s\n", text_of(member->id, p),
                                     apr_time_sec(member->seen),
                                     text_of(member->keys, p),
                                     text_of(member->label, p)), p);
    for (i = 0; i < member->count; i++) {
        text = write_list(text, &member->lists[i], p);
    }
    sign_lines(mac, &ring->keys[0], text);
    mac[MAC_TEXT] = '\0';
    member->text = joined(text, apr_psprintf(p, "mac %s\n", mac), p);
    member->is_genuine = 1;
}

span_t ha_fleet_write(const ha_fleet_t *fleet, apr_pool_t *p)
{
    apr_size_t len = 0;
    unsigned int i;
    char *text;

    for (i = 0; i < fleet->count; i++) {
        len += fleet->members[i].text.len;
    }
    text = apr_palloc(p, len + 1);
    len = 0;
    for (i = 0; i < fleet->count; i++) {
        span_t entry = fleet->members[i].text;

        memcpy(text + len, entry.data, entry.len);
        len += entry.len;
    }
    return span_of(text, len);
}

/* ---- read --------------------------------------------------------------- */

/* Take what stands before the next end mark; 0 when there is none. */
static int take(span_t *taken, span_t *text, char end)
{
    const char *at = text->len > 0 ? memchr(text->data, end, text->len)
                                   : NULL;

    if (at == NULL) {
        return 0;
    }
    *taken = span_of(text->data, (apr_size_t)(at - text->data));
    *text = span_of(at + 1, text->len - taken->len - 1);
    return 1;
}

/* Take a word of printable characters, the last of a line or not. */
static int take_word(span_t *word, span_t *line, apr_size_t max)
{
    apr_size_t i;

    if (!take(word, line, ' ')) {
        *word = *line;
        *line = span_of(NULL, 0);
    }
    for (i = 0; i < word->len; i++) {
        if (word->data[i] <= ' ' || word->data[i] > '~') {
            return 0;
        }
    }
    return word->len > 0 && word->len <= max;
}

static int take_number(apr_int64_t *number, span_t *line, apr_int64_t max)
{
    span_t word;
    apr_size_t i;

    *number = 0;
    if (!take_word(&word, line, 12)) {
        return 0;
    }
    for (i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9') {
            return 0;
        }
        *number = *number * 10 + (word.data[i] - '0');
    }
    return *number <= max;
}

static int take_keyword(span_t *line, const char *keyword)
{
    span_t word;

    return take_word(&word, line, 8)
           && span_is_equal(word, span_of_text(keyword));
}

/* "node" is off the line already. */
static int read_node(ha_fleet_node_t *node, span_t line)
{
    apr_int64_t weight;
    span_t zone;

    if (!take_number(&weight, &line, HA_WEIGHT_MAX) || weight < HA_WEIGHT_MIN
        || !take_word(&node->place.name, &line, HA_NAME_MAX)
        || !take_word(&zone, &line, HA_NAME_MAX + 1) || zone.data[0] != '='
        || line.len == 0) {
        return 0;
    }
    node->place.weight = (unsigned int)weight;
    node->place.zone = span_of(zone.data + 1, zone.len - 1);
    node->address = line;
    return 1;
}

/* Read a list's nodes, as long as lines say "node". */
static int read_list(ha_fleet_list_t *list, span_t head, span_t *text,
                     apr_pool_t *p)
{
    ha_fleet_node_t nodes[HA_NODES_MAX];
    apr_int64_t number;
    span_t rest;
    span_t line;

    memset(list, 0, sizeof(*list));
    if (!take_number(&number, &head, APR_INT64_MAX / APR_USEC_PER_SEC)) {
        return 0;
    }
    list->used = apr_time_from_sec(number);
    if (!take_number(&number, &head, HA_REPLICAS_MAX) || number < 1) {
        return 0;
    }
    list->replicas = (unsigned int)number;
    for (rest = *text; take(&line, &rest, '\n')
                       && take_keyword(&line, "node"); *text = rest) {
        if (list->count == HA_NODES_MAX
            || !read_node(&nodes[list->count++], line)) {
            return 0;
        }
    }
    list->nodes = apr_pmemdup(p, nodes, list->count * sizeof(*nodes));
    return list->count > 0;
}

static int read_head(ha_fleet_member_t *member, span_t line)
{
    apr_int64_t seen;

    memset(member, 0, sizeof(*member));
    if (!take_word(&member->id, &line, HA_FLEET_ID)
        || !take_number(&seen, &line, APR_INT64_MAX / APR_USEC_PER_SEC)
        || !take_word(&member->keys, &line, HA_FLEET_ID)
        || !take_word(&member->label, &line, HA_FLEET_LABEL_MAX)) {
        return 0;
    }
    member->seen = apr_time_from_sec(seen);
    return 1;
}

static int is_signed(span_t lines, span_t mac, const ha_ring_t *ring)
{
    char wanted[MAC_TEXT];
    unsigned int i;

    for (i = 0; mac.len == MAC_TEXT && i < ring->count; i++) {
        sign_lines(wanted, &ring->keys[i], lines);
        if (CRYPTO_memcmp(wanted, mac.data, MAC_TEXT) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Read the rest of an entry that begins at a place of the item. */
static int read_lists(ha_fleet_member_t *member, const char *begin,
                      span_t *text, const ha_ring_t *ring, apr_pool_t *p)
{
    span_t line;
    span_t word;

    for (;;) {
        const char *at = text->data;

        if (!take(&line, text, '\n') || !take_word(&word, &line, 8)) {
            return 0;
        }
        if (span_is_equal(word, span_of_text("mac"))) {
            member->is_genuine = is_signed(
                span_of(begin, (apr_size_t)(at - begin)), line, ring);
            member->text = span_of(begin, (apr_size_t)(text->data - begin));
            return member->count > 0 && line.len == MAC_TEXT;
        }
        if (!span_is_equal(word, span_of_text("list"))
            || member->count == 1 + HA_PAST_MAX
            || !read_list(&member->lists[member->count++], line, text, p)) {
            return 0;
        }
    }
}

void ha_fleet_read(ha_fleet_t *fleet, span_t item, const ha_ring_t *ring,
                   apr_pool_t *p)
{
    ha_fleet_member_t member;
    span_t text = item;
    span_t line;

    for (;;) {
        const char *begin = text.data;
        span_t rest;

        if (!take(&line, &text, '\n')) {
            return;
        }
        rest = text;
        if (take_keyword(&line, "member") && read_head(&member, line)
            && read_lists(&member, begin, &rest, ring, p)) {
            ha_fleet_put(fleet, &member);
            text = rest;
        }
    }
}
