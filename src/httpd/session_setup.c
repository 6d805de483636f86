/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lives. What is kept in the process pool (sessions in shared memory,
 * what is known of nodes, touches, counts, secrets) outlives every restart
 * but a full one, and is plain data: the module is unloaded and loaded again
 * meanwhile, so no pointer to a function may be in it. The site and its
 * store are made anew, from pconf, for each configuration.
 */
#include "session_setup.h"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>

#include <apr_atomic.h>
#include <apr_shm.h>
#include <apr_strings.h>
#include <openssl/crypto.h>

#include "log_tags.h"
#include "session_check.h"
#include "session_far.h"
#include "session_fleet.h"
#include "session_module.h"
#include "session_refill.h"
#include "session_secret.h"

APLOG_USE_MODULE(session_ha);

/* Raise the number when the layout of anything kept changes. */
#define KEPT_KEY "mod_session_ha kept 10"

typedef struct kept_t {
    ha_shm_t *shm;            /* NULL until the shm store is first used */
    ha_health_t *health;      /* NULL until memcached is first used */
    ha_recent_t *recent;
    ha_refill_t *refill;      /* as health */
    session_fleet_t *fleet;   /* NULL until memcached is first used */
    session_counts_t *counts;
    session_ring_t ring;
    ha_courier_board_t *board; /* as health */
} kept_t;

static session_site_t *the_site;

session_site_t *session_site(void)
{
    return the_site;
}

int session_is_shut(void)
{
    return the_site->is_broken || session_keys()->is_shut;
}

/* ---- events of the store ------------------------------------------------ */

/* What becomes of the sessions of a node: whether there is another one to
 * keep them, and whether that has copies. */
static const char *fate_of(const server_rec *s, ha_event_e kind)
{
    static const struct {
        const char *down;
        const char *empty;
        const char *garbage;
    } words[] = {
        { "its sessions are read and kept elsewhere",
          "its sessions are read elsewhere and copied back, at the latest "
          "when used", "the other copies are used" },
        { "its sessions have no other copy and cannot be read until it "
          "answers", "its sessions had no other copy and are lost",
          "there are no other copies" },
        { "it is the only node: sessions can be neither read nor kept until "
          "it answers", "it is the only node, and all sessions are lost",
          "it is the only node" }
    };
    const apr_array_header_t *nodes = session_server_of(s)->nodes;
    unsigned int count = nodes != NULL ? (unsigned int)nodes->nelts : 1;
    int i = count == 1 ? 2 : session_fleet_replicas(s, count) == 1;

    return kind == HA_EVENT_DOWN ? words[i].down
         : kind == HA_EVENT_GARBAGE ? words[i].garbage : words[i].empty;
}

static void tell(void *ctx, const ha_event_t *event)
{
    server_rec *s = ctx;
    int len = (int)event->node.len;
    const char *node = event->node.data;
    const char *fate = fate_of(s, event->kind);

    switch (event->kind) {
    case HA_EVENT_DOWN:
        ap_log_error(APLOG_MARK, APLOG_WARNING, event->rv, s, HALOG(0212)
                     "node %.*s: no answer %d times, the last in %d ms; "
                     "marked down, %s", len, node, event->failures,
                     event->waited_msec, fate);
        break;
    case HA_EVENT_UP:
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HALOG(0211)
                     "node %.*s: answers again after %d s, used again",
                     len, node, event->away_sec);
        break;
    case HA_EVENT_RESTARTED:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HALOG(0213)
                     "node %.*s: was restarted and is empty, %d s after it "
                     "was last heard of; %s", len, node, event->away_sec,
                     fate);
        break;
    case HA_EVENT_FLUSHED:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HALOG(0215)
                     "node %.*s: somebody had it forget everything "
                     "(flush_all); %s", len, node, fate);
        break;
    case HA_EVENT_FULL:
        ap_log_error(APLOG_MARK, APLOG_ERR, event->rv, s, HALOG(0210)
                     "node %.*s: full, drops sessions that are not over; "
                     "give it more memory (memcached: -m, shm: "
                     "SessionHAMemory)", len, node);
        break;
    case HA_EVENT_GARBAGE:
    default:
        ap_log_error(APLOG_MARK, APLOG_WARNING, event->rv, s, HALOG(0214)
                     "node %.*s: an answer makes no sense, connection "
                     "closed; %s", len, node, fate);
        break;
    }
}

/* ---- what is kept -------------------------------------------------------- */

static kept_t *find_kept(void)
{
    kept_t *kept = ap_retained_data_get(KEPT_KEY);

    return kept != NULL ? kept
                        : ap_retained_data_create(KEPT_KEY, sizeof(*kept));
}

static apr_status_t make_counts(kept_t *kept, apr_pool_t *pprocess)
{
    apr_shm_t *shm;
    apr_status_t rv;

    if (kept->counts != NULL) {
        return APR_SUCCESS;
    }
    rv = apr_shm_create(&shm, sizeof(*kept->counts), NULL, pprocess);
    if (rv == APR_SUCCESS) {
        kept->counts = apr_shm_baseaddr_get(shm);
        memset(kept->counts, 0, sizeof(*kept->counts));
    }
    return rv;
}

/* Make what this configuration needs and no earlier one has made. */
static int make_memory(kept_t *kept, server_rec *s,
                       const session_server_t *top)
{
    apr_pool_t *pprocess = s->process->pool;
    apr_size_t size = top->memory != HA_UNSET ? (apr_size_t)top->memory
                                               : HA_SHM_DEFAULT;
    apr_status_t rv = make_counts(kept, pprocess);

    if (rv == APR_SUCCESS && kept->recent == NULL) {
        rv = ha_recent_create(&kept->recent, pprocess);
    }
    if (rv == APR_SUCCESS && top->nodes != NULL && kept->health == NULL) {
        rv = ha_health_create(&kept->health, pprocess);
    }
    if (rv == APR_SUCCESS && top->nodes != NULL && kept->board == NULL) {
        rv = ha_courier_board_create(&kept->board, pprocess);
    }
    if (rv == APR_SUCCESS && top->nodes != NULL && kept->refill == NULL) {
        rv = ha_refill_create(&kept->refill, pprocess);
    }
    if (rv == APR_SUCCESS && top->nodes != NULL && kept->fleet == NULL) {
        rv = session_fleet_create(&kept->fleet, pprocess);
    }
    if (rv == APR_SUCCESS && top->nodes == NULL) {
        if (kept->shm == NULL) {
            rv = ha_shm_create(&kept->shm, size, pprocess);
        }
        else if (ha_shm_size(kept->shm) != size) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HALOG(0111)
                         "SessionHAMemory %" APR_SIZE_T_FMT " takes a stop "
                         "and a start, which end all sessions; %"
                         APR_SIZE_T_FMT " bytes stay in use", size,
                         ha_shm_size(kept->shm));
        }
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, HALOG(0112)
                     "shared memory for sessions cannot be made%s",
                     top->nodes != NULL ? ""
                     : apr_psprintf(pprocess, ": SessionHAMemory asks for %"
                                    APR_SIZE_T_FMT " bytes", size));
    }
    return rv == APR_SUCCESS;
}

/* Sessions are to be sealed anew when what seals them has changed. */
static void keep_ring(session_ring_t *kept, const ha_ring_t *ring,
                      ha_encryption_e encryption)
{
    if (memcmp(&kept->ring, ring, sizeof(*ring)) != 0
        || kept->encryption != encryption) {
        kept->ring = *ring;
        kept->encryption = encryption;
        kept->since = apr_time_now();
    }
}

/* Random secrets live as long as the shared memory that they belong to. */
static int make_random_ring(ha_ring_t *ring, server_rec *s)
{
    unsigned char bytes[HA_KEY_BYTES];
    apr_status_t rv = apr_generate_random_bytes(bytes, sizeof(bytes));

    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, HALOG(0116)
                     "the system gives no random bytes for a secret");
        return 0;
    }
    ha_ring_init(ring, bytes);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return 1;
}

/* Whether a restart brings this configuration, to a server that serves. */
static int is_up(void)
{
    return ap_state_query(AP_SQ_CONFIG_GEN) > 1;
}

/*
 * A file that a server in service cannot read. What was read before, or the
 * random secret that sessions in shared memory were made with, stays. Nothing
 * else may sign: other web servers would not believe it, and a secret that
 * nobody chose would look like the file's. It stands in, and all is shut.
 */
static int stand_in(ha_ring_t *ring, kept_t *kept, server_rec *s,
                    const session_server_t *top)
{
    session_ring_t *before = &kept->ring;
    int is_fine = 1;

    before->is_shut = !before->is_read && (top->nodes != NULL
                      || before->is_shut || before->ring.count == 0);
    if (before->ring.count == 0) {
        is_fine = make_random_ring(ring, s);
    }
    else {
        *ring = before->ring;
    }
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HALOG(0110)
                 "SessionHASecretFile %s: not taken, %s", top->secret_file,
                 session_keys_left(before));
    return is_fine;
}

/* The file's secrets, or those of before when it is bad now; without a file
 * random ones. */
static int make_ring(kept_t *kept, server_rec *s,
                     const session_server_t *top, apr_pool_t *ptemp)
{
    ha_ring_t ring = kept->ring.ring;
    int is_fine = 1;

    if (top->secret_file == NULL) {
        is_fine = ring.count > 0 || make_random_ring(&ring, s);
        kept->ring.is_read = 0;     /* none that the next file may stand for */
        kept->ring.is_shut = 0;
    }
    else if (session_secret_read(&ring, top->secret_file, is_up(), s,
                                 ptemp)) {
        kept->ring.is_read = 1;
        kept->ring.is_shut = 0;
    }
    else {
        is_fine = is_up() && stand_in(&ring, kept, s, top);
    }
    if (is_fine) {
        keep_ring(&kept->ring, &ring, session_check_encryption(top));
    }
    ha_ring_wipe(&ring);
    return is_fine;
}

/* ---- the site ------------------------------------------------------------ */

static int make_store(session_site_t *site, kept_t *kept,
                      const session_server_t *top, apr_pool_t *pconf,
                      apr_pool_t *ptemp)
{
    apr_status_t rv;

    if (top->nodes == NULL) {
        site->shm = kept->shm;
        site->store = ha_store_shm_make(kept->shm, tell, site->server, pconf);
        return 1;
    }
    rv = ha_store_mc_make(&site->store,
                          (const ha_mc_node_t *)top->nodes->elts,
                          (unsigned int)top->nodes->nelts, kept->health,
                          tell, site->server, pconf);
    if (rv == APR_SUCCESS) {
        rv = session_fleet_prepare(site, kept->fleet, &kept->ring.ring,
                                   pconf, ptemp);
    }
    if (rv == APR_SUCCESS) {
        site->refill = kept->refill;
        session_refill_prepare(site);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, site->server, HALOG(0113)
                     "the memcached store for %d nodes cannot be made",
                     top->nodes->nelts);
    }
    return rv == APR_SUCCESS;
}

/* Whoever can listen on the way to a node, or reach it, reads sessions. */
static void warn_of_clear(const session_site_t *site,
                          const session_server_t *top)
{
    unsigned int i;

    for (i = 0; site->shm == NULL && i < site->store->count; i++) {
        if (session_check_encryption(top) == HA_ENCRYPTION_OFF
            && !ha_store_mc_is_local(site->store, i)) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, site->server,
                         HALOG(0170)
                         "node %s at %s is not on this host, and sessions go "
                         "there in clear: SessionHAEncryption On keeps them "
                         "from whoever can reach it or listen on the way",
                         site->store->nodes[i].name.data,
                         APR_ARRAY_IDX(top->nodes, i, ha_mc_node_t).address);
            return;
        }
    }
}

static unsigned int count_zones(const ha_store_t *store)
{
    unsigned int zones = 0;
    unsigned int i;
    unsigned int k;

    for (i = 0; i < store->count; i++) {
        for (k = 0; k < i; k++) {
            if (span_is_equal(store->nodes[k].zone, store->nodes[i].zone)) {
                break;
            }
        }
        zones += k == i;
    }
    return zones;
}

static void say_start(const session_site_t *site,
                      const session_server_t *top)
{
    static const char *const words[] = {
        "in clear", "encrypted", "encrypted, and still read in clear"
    };
    const char *how = words[session_check_encryption(top)];
    unsigned int zones;
    unsigned int copies;

    if (site->shm != NULL) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, site->server, HALOG(0114)
                     "sessions are kept in %" APR_SIZE_T_FMT " bytes of "
                     "shared memory, %s: they outlive restarts, and end when "
                     "httpd is stopped",
                     ha_shm_size(site->shm), how);
        return;
    }
    zones = count_zones(site->store);
    copies = ha_server_conf_replicas(&top->conf, site->store->count);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, site->server, HALOG(0115)
                 "sessions are kept on %u memcached node%s in %u zone%s, each "
                 "in %u cop%s, %s", site->store->count,
                 site->store->count == 1 ? "" : "s", zones,
                 zones == 1 ? "" : "s", copies, copies == 1 ? "y" : "ies",
                 how);
}

static int has_exclusive(apr_pool_t *ptemp)
{
    const apr_array_header_t *words = session_check_values(
        "SessionHAExclusive", ptemp);
    int i;

    for (i = 0; i < words->nelts; i++) {
        if (strcasecmp(APR_ARRAY_IDX(words, i, const char *), "On") == 0) {
            return 1;
        }
    }
    return 0;
}

static session_site_t *make_site(kept_t *kept, const session_server_t *top,
                                 server_rec *s, apr_pool_t *pconf,
                                 apr_pool_t *ptemp)
{
    session_site_t *site = apr_pcalloc(pconf, sizeof(*site));
    ha_conf_t unset;
    apr_status_t rv;

    site->server = s;
    site->recent = kept->recent;
    site->counts = kept->counts;
    site->board = kept->board;
    site->zone = span_of_text(top->zone != NULL ? top->zone : "");
    site->longest_sec = session_check_longest_sec(ptemp);
    site->session = ap_find_linked_module("mod_session.c");
    site->headers = session_check_values("SessionHARequestHeader", pconf);
    apr_array_cat(site->headers,
                  session_check_values("SessionHACopiesHeader", pconf));
    site->cookies = session_check_values("SessionHACookieName", pconf);
    ha_conf_init(&unset);
    APR_ARRAY_PUSH(site->cookies, const char *) = ha_conf_cookie_name(&unset);
    site->has_exclusive = has_exclusive(ptemp);
    site->is_clear = ap_find_linked_module("mod_session_crypto.c") != NULL
        && session_check_encryption(top) == HA_ENCRYPTION_OFF;
    rv = session_keys_make(&site->vault, &kept->ring, top->secret_file,
                           pconf);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, HALOG(0174)
                     "shared memory for secrets cannot be made");
        return NULL;
    }
    return make_store(site, kept, top, pconf, ptemp) ? site : NULL;
}

int session_setup_post_config(apr_pool_t *pconf, apr_pool_t *plog,
                              apr_pool_t *ptemp, server_rec *s)
{
    const session_server_t *top = session_server_of(s);
    kept_t *kept;
    ha_ring_t ring;

    the_site = NULL;
    if (!session_check_is_used(s)) {
        return OK;
    }
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        /* This configuration is thrown away; a bad file ends the start on
         * the terminal, not in a log. */
        int is_fine = top->secret_file == NULL
            || session_secret_read(&ring, top->secret_file, 0, s, ptemp);

        ha_ring_wipe(&ring);
        return is_fine ? OK : HTTP_INTERNAL_SERVER_ERROR;
    }
    kept = find_kept();
    if (!make_ring(kept, s, top, ptemp) || !make_memory(kept, s, top)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    the_site = make_site(kept, top, s, pconf, ptemp);
    if (the_site == NULL) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    say_start(the_site, top);
    warn_of_clear(the_site, top);
    return OK;
}

static void start_keeper(apr_pool_t *pchild, server_rec *s)
{
    apr_interval_time_t budget =
        ha_server_conf_budget(&session_server_of(s)->conf);
    apr_status_t rv = APR_SUCCESS;

    if (the_site->has_exclusive) {
        rv = ha_keeper_start(&the_site->keeper, HA_LOCK_RENEW_USEC, budget,
                             pchild);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, HALOG(0160)
                     "this child cannot keep locks; requests to places with "
                     "SessionHAExclusive are answered as if no node answered");
    }
}

void session_setup_child_init(apr_pool_t *pchild, server_rec *s)
{
    apr_status_t rv = APR_SUCCESS;

    if (the_site == NULL) {
        return;
    }
    if (the_site->shm == NULL) {
        rv = ha_store_mc_child_init(the_site->store, pchild);
    }
    start_keeper(pchild, s);
    if (the_site->shm != NULL) {
        return;
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, HALOG(0117)
                     "this child cannot open the memcached store; its "
                     "requests are answered as if no node answered");
        the_site->is_broken = 1;
        return;
    }
    session_far_child_init(the_site, pchild);
    rv = session_fleet_start(the_site);
    if (rv == APR_SUCCESS) {
        rv = session_refill_start(the_site);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, HALOG(0144)
                     "this child cannot work behind its requests: other "
                     "web servers hear nothing of it, and it copies nothing "
                     "back to nodes");
    }
}
