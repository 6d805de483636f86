/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every few seconds one child of each web server reads the item of all
 * entries (ha_fleet.h) from every node, puts its own in and writes it back by
 * cas. Nobody leads, and a race is lost until the next time.
 *
 * A new list of nodes comes with a reload. What the list was before is in
 * shared memory, and on the nodes for whoever starts anew; what others still
 * place by is on the nodes. All of these are looked for while they can
 * matter, which is a lifetime after they were last used by anybody alone.
 */
#include "session_fleet.h"

#include <ap_listen.h>
#include <http_config.h>
#include <http_log.h>
#include <http_main.h>

#include <apr_network_io.h>
#include <apr_shm.h>
#include <apr_strings.h>

#include "ha_fleet.h"
#include "log_tags.h"
#include "session_keys.h"

APLOG_USE_MODULE(session_ha);

/* Between two looks of a host at the item, and how long each may take. */
#define LOOK_USEC (5 * APR_USEC_PER_SEC)
#define PEEK_USEC (APR_USEC_PER_SEC / 2)

/* Bytes of this web server's own entry. */
#define OWN_MAX (HA_NODES_MAX * (1 + HA_PAST_MAX) * 512)

struct session_fleet_t {
    apr_uint32_t generation; /* the one that speaks; odd and even take turns */
    apr_uint32_t own_len;
    apr_time_t due;          /* the next look */
    apr_time_t used[2][HA_PAST_MAX]; /* of earlier lists, for a generation
                                        and for the children of the last */
    ha_fleet_watch_t watch[HA_FLEET_MAX];
    char own[OWN_MAX];       /* this web server's last entry */
};

/* What a generation knows. Made in the parent, then read only. */
typedef struct duty_t {
    session_site_t *site;
    session_fleet_t *fleet;
    apr_uint32_t generation;
    apr_time_t *used;        /* of this generation, shared */
    apr_uint32_t past_sec;   /* how long a list matters after its use */
    ha_fleet_member_t self;  /* times are filled in when it is told */
    char id[HA_FLEET_ID + 1];
} duty_t;

static duty_t *the_duty;

apr_status_t session_fleet_create(session_fleet_t **fleet, apr_pool_t *p)
{
    apr_shm_t *memory = NULL;
    apr_status_t rv = apr_shm_create(&memory, sizeof(**fleet), NULL, p);

    *fleet = NULL;
    if (rv == APR_SUCCESS) {
        *fleet = apr_shm_baseaddr_get(memory);
        memset(*fleet, 0, sizeof(**fleet));
    }
    return rv;
}

/* ---- who we are --------------------------------------------------------- */

static unsigned int port_of(const server_rec *s)
{
    return ap_listeners != NULL ? ap_listeners->bind_addr->port : s->port;
}

/* The same after a restart, another for each web server of a host. */
static void name_self(duty_t *duty, const server_rec *s, apr_pool_t *pconf)
{
    char host[256] = "unknown";
    const char *place;
    apr_status_t rv = apr_gethostname(host, sizeof(host), pconf);
    ha_sid_t sid;
    unsigned char bytes[HA_SID_BYTES] = { 0 };
    apr_size_t i;

    if (rv != APR_SUCCESS || !*host) {
        apr_cpystrn(host, "unknown", sizeof(host));
    }
    duty->self.label = span_of_text(apr_psprintf(pconf, "%s:%u", host,
                                                 port_of(s)));
    place = apr_pstrcat(pconf, duty->self.label.data, " ", ap_server_root,
                        NULL);
    /* folded into what a session id has, whose digest is as good as any */
    for (i = 0; place[i] != '\0'; i++) {
        bytes[i % sizeof(bytes)] =
            (unsigned char)(bytes[i % sizeof(bytes)] * 31
                            + (unsigned char)place[i]);
    }
    ha_sid_init(&sid, bytes);
    for (i = 0; i < HA_FLEET_ID; i += 2) {
        apr_snprintf(duty->id + i, 3, "%02x", sid.digest[i / 2]);
    }
    duty->self.id = span_of_text(duty->id);
}

unsigned int session_fleet_replicas(const server_rec *s, unsigned int nodes)
{
    unsigned int most = 1;

    for (; s != NULL; s = s->next) {
        unsigned int replicas =
            ha_server_conf_replicas(&session_server_of(s)->conf, nodes);

        most = replicas > most ? replicas : most;
    }
    return most;
}

static void fill_list(ha_fleet_list_t *list, const server_rec *s,
                      apr_pool_t *pconf)
{
    const apr_array_header_t *from = session_server_of(s)->nodes;
    ha_fleet_node_t *nodes;
    int i;

    nodes = apr_pcalloc(pconf, (apr_size_t)from->nelts * sizeof(*nodes));
    for (i = 0; i < from->nelts; i++) {
        const ha_mc_node_t *node = &APR_ARRAY_IDX(from, i, ha_mc_node_t);

        nodes[i].place = node->place;
        nodes[i].address = span_of_text(node->address);
    }
    list->nodes = nodes;
    list->count = (unsigned int)from->nelts;
    list->replicas = session_fleet_replicas(s, list->count);
}

/* ---- earlier lists, in the parent --------------------------------------- */

/* Our own last entry, with times of today; it need not be genuine: secrets
 * may have changed, and nobody else writes here. */
static void recall_own(ha_fleet_member_t *own, const duty_t *duty,
                       const ha_ring_t *ring, const apr_time_t *used,
                       apr_pool_t *pconf)
{
    ha_fleet_t *fleet = apr_pcalloc(pconf, sizeof(*fleet));
    char *text = apr_pstrmemdup(pconf, duty->fleet->own,
                                duty->fleet->own_len);
    unsigned int i;

    memset(own, 0, sizeof(*own));
    ha_fleet_read(fleet, span_of(text, duty->fleet->own_len), ring, pconf);
    if (fleet->count > 0) {
        *own = fleet->members[0];
        own->is_genuine = 1;
        own->lists[0].used = apr_time_now();
        for (i = 1; i < own->count; i++) {
            if (used[i - 1] > own->lists[i].used) {
                own->lists[i].used = used[i - 1];
            }
        }
    }
}

static void ask_nodes(ha_fleet_t *fleet, const duty_t *duty,
                      const ha_ring_t *ring, apr_pool_t *pconf,
                      apr_pool_t *ptemp)
{
    ha_call_t calls[HA_NODES_MAX];
    ha_store_t *store = duty->site->store;
    unsigned int i;

    ha_store_mc_peek(store, calls, HA_FLEET_KEY,
                     apr_time_now() + PEEK_USEC, ptemp);
    for (i = 0; i < store->count; i++) {
        if (calls[i].answer == HA_HIT) {
            ha_fleet_read(fleet, span_of(apr_pmemdup(pconf,
                                                     calls[i].held.data,
                                                     calls[i].held.len),
                                         calls[i].held.len), ring, pconf);
        }
    }
}

static const ha_fleet_node_t *find_node(const ha_fleet_list_t *list,
                                        span_t name)
{
    unsigned int i;

    for (i = 0; i < list->count; i++) {
        if (span_is_equal(list->nodes[i].place.name, name)) {
            return &list->nodes[i];
        }
    }
    return NULL;
}

/* Where a node is: as this web server knew it, or else as others do. */
static span_t address_of(const ha_fleet_node_t *node,
                         const ha_fleet_member_t *own)
{
    unsigned int i;

    for (i = 0; i < own->count; i++) {
        const ha_fleet_node_t *known = find_node(&own->lists[i],
                                                 node->place.name);

        if (known != NULL) {
            return known->address;
        }
    }
    return node->address;
}

static span_t kept_span(span_t span, apr_pool_t *pconf)
{
    return span_of_text(apr_pstrmemdup(pconf, span.data, span.len));
}

/* A list as the store wants it; a node whose address makes no sense here
 * is left out. */
static ha_mc_list_t to_store(const ha_fleet_list_t *list,
                             const ha_fleet_member_t *own,
                             const apr_time_t *used, apr_pool_t *pconf)
{
    ha_mc_node_t *nodes = apr_pcalloc(pconf, list->count * sizeof(*nodes));
    ha_mc_list_t made = { nodes, 0, list->replicas, used };
    unsigned int i;

    for (i = 0; i < list->count; i++) {
        const ha_place_node_t *place = &list->nodes[i].place;
        ha_mc_node_t *node = &nodes[made.count];
        span_t address = kept_span(address_of(&list->nodes[i], own), pconf);

        node->place.name = kept_span(place->name, pconf);
        node->place.zone = kept_span(place->zone, pconf);
        node->place.weight = place->weight;
        if (ha_mc_address_parse(node, address.data, pconf)
            == HA_MC_ADDRESS_OK) {
            made.count++;
        }
    }
    return made;
}

/* Nodes that this host did not write to until now, however well it knows
 * them from an earlier time, lack what was written meanwhile. */
static void note_new_nodes(const duty_t *duty, const ha_fleet_member_t *own)
{
    ha_store_t *store = duty->site->store;
    apr_time_t oldest = apr_time_now() - apr_time_from_sec(duty->past_sec);
    unsigned int i;
    unsigned int k;

    for (i = 0; i < store->count; i++) {
        for (k = 0; k < own->count; k++) {
            if (own->lists[k].used > oldest
                && find_node(&own->lists[k], store->nodes[i].name) != NULL) {
                break;
            }
        }
        if (k == own->count) {
            ha_store_mc_missed(store, i);
        }
    }
}

static void say_lists(const duty_t *duty, const apr_time_t *used)
{
    const ha_store_t *store = duty->site->store;
    apr_time_t left = apr_time_from_sec(duty->past_sec)
                      - (apr_time_now() - used[0]);
    const char *gone = "";
    unsigned int i;

    for (i = store->count; i < store->count + store->gone; i++) {
        gone = apr_pstrcat(duty->site->server->process->pconf, gone,
                           *gone ? ", " : "", store->nodes[i].name.data, NULL);
    }
    if (store->past_count > 0) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, duty->site->server,
                     HALOG(0143) "the list of nodes was another one: for the "
                     "next %" APR_TIME_T_FMT " s sessions are looked for and "
                     "kept by %u earlier list(s), too; nodes off the list "
                     "that are still asked: %s", apr_time_sec(left),
                     store->past_count, *gone ? gone : "none");
    }
}

/* Choose what still matters, and tell the store. */
static apr_status_t remember(duty_t *duty, const ha_fleet_t *fleet,
                             const ha_fleet_member_t *own, apr_pool_t *pconf)
{
    apr_time_t oldest = apr_time_now() - apr_time_from_sec(duty->past_sec);
    ha_fleet_list_t past[HA_PAST_MAX];
    ha_mc_list_t *lists = apr_pcalloc(pconf, HA_PAST_MAX * sizeof(*lists));
    unsigned int count = 0;
    unsigned int i;

    ha_fleet_past(past, &count, fleet, &duty->self.lists[0]);
    for (i = 0; i < own->count; i++) {
        if (!ha_fleet_list_is_same(&own->lists[i], &duty->self.lists[0])) {
            ha_fleet_past_add(past, &count, &own->lists[i]);
        }
    }
    while (count > 0 && past[count - 1].used <= oldest) {
        count--;
    }
    for (i = 0; i < count; i++) {
        duty->used[i] = past[i].used;
        duty->self.lists[1 + i] = past[i];
        lists[i] = to_store(&past[i], own, &duty->used[i], pconf);
    }
    duty->self.count = 1 + count;
    return ha_store_mc_remember(duty->site->store, lists, count, pconf);
}

/* Bring our entry up to date: who is told, and what a restart will recall. */
static void speak(ha_fleet_member_t *self, const duty_t *duty,
                  const ha_ring_t *ring, apr_time_t now, apr_pool_t *p)
{
    char *keys = apr_palloc(p, HA_FLEET_ID + 1);
    session_fleet_t *fleet = duty->fleet;
    unsigned int i;

    self->seen = self->lists[0].used = now;
    for (i = 1; i < self->count; i++) {
        self->lists[i].used = __atomic_load_n(&duty->used[i - 1],
                                              __ATOMIC_ACQUIRE);
    }
    ha_fleet_keys(keys, ring);
    self->keys = span_of_text(keys);
    ha_fleet_sign(self, ring, p);
    if (self->text.len <= OWN_MAX) {
        memcpy(fleet->own, self->text.data, self->text.len);
        __atomic_store_n(&fleet->own_len, (apr_uint32_t)self->text.len,
                         __ATOMIC_RELEASE);
    }
}

apr_status_t session_fleet_prepare(session_site_t *site,
                                   session_fleet_t *fleet,
                                   const ha_ring_t *ring, apr_pool_t *pconf,
                                   apr_pool_t *ptemp)
{
    duty_t *duty = apr_pcalloc(pconf, sizeof(*duty));
    ha_fleet_t *heard = apr_pcalloc(pconf, sizeof(*heard));
    ha_fleet_member_t own;
    apr_status_t rv;

    duty->site = site;
    duty->fleet = fleet;
    duty->past_sec = ha_conf_ttl_sec(ha_conf_ttl_sec(site->longest_sec));
    name_self(duty, site->server, pconf);
    fill_list(&duty->self.lists[0], site->server, pconf);
    recall_own(&own, duty, ring, fleet->used[fleet->generation % 2], pconf);
    duty->generation = fleet->generation + 1;
    duty->used = fleet->used[duty->generation % 2];
    ask_nodes(heard, duty, ring, pconf, ptemp);
    rv = remember(duty, heard, &own, pconf);
    if (rv == APR_SUCCESS) {
        note_new_nodes(duty, &own);
        say_lists(duty, duty->used);
        speak(&duty->self, duty, ring, apr_time_now(), pconf);
        /* from here on the children of the last generation are silent */
        __atomic_store_n(&fleet->generation, duty->generation,
                         __ATOMIC_RELEASE);
        __atomic_store_n(&fleet->due, 0, __ATOMIC_RELEASE);
        the_duty = duty;
    }
    return rv;
}

/* ---- telling and listening, in a child ---------------------------------- */

/* Whether this child has the next look; microseconds until somebody has. */
static int is_our_turn(const duty_t *duty, apr_time_t now,
                       apr_interval_time_t *wait)
{
    session_fleet_t *fleet = duty->fleet;
    apr_time_t due = __atomic_load_n(&fleet->due, __ATOMIC_ACQUIRE);
    apr_time_t next = now + LOOK_USEC - now % (LOOK_USEC / 8);

    *wait = LOOK_USEC;
    if (__atomic_load_n(&fleet->generation, __ATOMIC_ACQUIRE)
        != duty->generation) {
        return 0;
    }
    if (now < due) {
        *wait = due - now;
        return 0;
    }
    *wait = next - now;
    return __atomic_compare_exchange_n(&fleet->due, &due, next, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Somebody may have placed by an earlier list until just now. */
static void note_uses(const duty_t *duty, const ha_fleet_t *fleet,
                      apr_time_t now)
{
    unsigned int i;

    for (i = 1; i < duty->self.count; i++) {
        apr_time_t used = ha_fleet_used(fleet, &duty->self.lists[i]);

        /* a clock that is ahead must not keep it for ever */
        used = used < now ? used : now;
        if (used > __atomic_load_n(&duty->used[i - 1], __ATOMIC_ACQUIRE)) {
            __atomic_store_n(&duty->used[i - 1], used, __ATOMIC_RELEASE);
        }
    }
}

static void judge(const duty_t *duty, const ha_fleet_member_t *self,
                  const ha_fleet_member_t *other, apr_time_t now)
{
    unsigned int differ;
    const char *what;
    ha_fleet_news_e news = ha_fleet_judge(duty->fleet->watch, &differ, self,
                                          other, now);
    server_rec *s = duty->site->server;
    int len = (int)other->label.len;

    what = ha_fleet_differ_name(differ);
    switch (news) {
    case HA_FLEET_DIFFERS:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HALOG(0140)
                     "web server %.*s is set up with other %s than this "
                     "one; that is normal for the minutes in which web "
                     "servers are reloaded one after the other", len,
                     other->label.data, what);
        break;
    case HA_FLEET_LASTS:
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HALOG(0142)
                     "web server %.*s has been set up with other %s than "
                     "this one for %d s: %s; make SessionHAServer, "
                     "SessionHAReplicas and the file of secrets the same and "
                     "reload both", len, other->label.data, what,
                     HA_FLEET_LONG_SEC, differ & HA_FLEET_SECRETS
                     ? "users who change between them are logged out"
                     : "sessions are kept on more nodes than they need, and "
                       "may be missed by one of the two");
        break;
    case HA_FLEET_AGREES:
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HALOG(0141)
                     "web server %.*s is set up like this one again", len,
                     other->label.data);
        break;
    case HA_FLEET_NO_NEWS:
    default:
        break;
    }
}

/* Write the item where it was read. */
static void write_back(const duty_t *duty, ha_call_t *calls,
                       unsigned int count, span_t item, apr_time_t deadline,
                       apr_pool_t *p)
{
    ha_store_t *store = duty->site->store;
    unsigned int writes = 0;
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (calls[i].answer == HA_UNKNOWN) {
            continue;
        }
        calls[writes].node = calls[i].node;
        calls[writes].version = calls[i].version;
        calls[writes].verb = calls[i].answer == HA_HIT ? HA_CAS : HA_ADD;
        calls[writes++].data = item;
    }
    if (writes > 0 && item.len <= HA_VALUE_MAX) {
        store->ops->run(store, HA_FLEET_KEY, calls, writes, duty->past_sec,
                        deadline, p);
    }
}

static unsigned int read_all(const duty_t *duty, ha_call_t *calls,
                             apr_time_t deadline, apr_pool_t *p)
{
    ha_store_t *store = duty->site->store;
    unsigned int count = 0;
    unsigned int i;

    memset(calls, 0, HA_NODES_MAX * sizeof(*calls));
    for (i = 0; i < store->count + store->gone; i++) {
        if (store->ops->is_up(store, i)) {
            calls[count].node = i;
            calls[count++].verb = HA_GET;
        }
    }
    if (count > 0) {
        store->ops->run(store, HA_FLEET_KEY, calls, count, duty->past_sec,
                        deadline, p);
    }
    return count;
}

static apr_interval_time_t look(void *ctx, apr_time_t deadline,
                                apr_pool_t *p)
{
    const duty_t *duty = ctx;
    apr_time_t now = apr_time_now();
    ha_call_t *calls = apr_palloc(p, HA_NODES_MAX * sizeof(*calls));
    ha_fleet_t *fleet = apr_pcalloc(p, sizeof(*fleet));
    const ha_ring_t *ring = &session_keys()->ring;
    apr_interval_time_t wait;
    ha_fleet_member_t self;
    unsigned int count;
    unsigned int i;

    if (!is_our_turn(duty, now, &wait) || session_is_shut()) {
        return wait;
    }
    count = read_all(duty, calls, now + (deadline - now) / 2, p);
    for (i = 0; i < count; i++) {
        if (calls[i].answer == HA_HIT) {
            ha_fleet_read(fleet, calls[i].held, ring, p);
        }
    }
    ha_fleet_forget(fleet, now, apr_time_from_sec(duty->past_sec));
    note_uses(duty, fleet, now);
    self = duty->self;
    speak(&self, duty, ring, now, p);
    ha_fleet_put(fleet, &self);
    for (i = 0; i < fleet->count; i++) {
        judge(duty, &self, &fleet->members[i], now);
    }
    write_back(duty, calls, count, ha_fleet_write(fleet, p), deadline, p);
    return wait;
}

apr_status_t session_fleet_start(session_site_t *site)
{
    return the_duty != NULL && site->courier != NULL
           ? ha_courier_task(site->courier, look, the_duty)
           : APR_SUCCESS;
}
