/* SPDX-License-Identifier: Apache-2.0 */
#include "session_status.h"

#include <http_protocol.h>
#include <mod_status.h>

#include <apr_atomic.h>
#include <apr_optional_hooks.h>

#include "session_module.h"

typedef struct count_t {
    const char *name;  /* for machines */
    const char *label; /* for people */
    volatile apr_uint64_t *value;
} count_t;

#define COUNTS 18

static void list_counts(count_t list[COUNTS], session_counts_t *counts)
{
    const count_t all[COUNTS] = {
        { "LoadHit", "sessions found", &counts->load_hit },
        { "LoadMiss", "lost, or idle too long", &counts->load_miss },
        { "LoadEnded", "logged out before, or with an id that was rotated",
          &counts->load_ended },
        { "LoadUnknown", "nobody could say", &counts->load_unknown },
        { "LoadRefused", "cookies forged or expired",
          &counts->load_refused },
        { "SaveFull", "changes stored in full", &counts->save_full },
        { "SaveAsync", "changes stored in this zone, the rest behind",
          &counts->save_async },
        { "SaveDegraded", "changes stored on some nodes",
          &counts->save_degraded },
        { "SaveFailed", "changes lost", &counts->save_failed },
        { "Ended", "logged out", &counts->ended },
        { "Ahead", "sessions ahead of this host's clock", &counts->ahead },
        { "AheadSeconds", "seconds at most ahead of this host's clock",
          &counts->ahead_sec },
        { "Rotated", "given another id", &counts->rotated },
        { "Locked", "copies that could not be opened", &counts->locked },
        { "ExclusiveTaken", "requests that had a session alone",
          &counts->lock_taken },
        { "ExclusiveWaited", "of these, waited for another request",
          &counts->lock_waited },
        { "ExclusiveBusy", "waited in vain", &counts->lock_busy },
        { "ExclusiveLost", "changes lost with the lock", &counts->lock_lost }
    };

    memcpy(list, all, sizeof(all));
}

static const char *time_text(apr_time_t when, apr_pool_t *p)
{
    return when != 0 ? ap_ht_time(p, when, "%Y-%m-%d %H:%M:%S", 0)
                     : "not known";
}

/* Seconds that the oldest change has waited for a far node. */
static apr_int64_t oldest_sec(const ha_courier_usage_t *usage, apr_time_t now)
{
    return usage->oldest != 0 && usage->oldest < now
         ? apr_time_sec(now - usage->oldest) : 0;
}

static void write_far_auto(request_rec *r, const session_site_t *site)
{
    apr_time_t now = apr_time_now();
    ha_courier_usage_t usage;

    ha_courier_usage(&usage, site->board, now);
    ap_rprintf(r, "SessionHAFarWaiting: %" APR_UINT64_T_FMT "\n"
               "SessionHAFarBytes: %" APR_UINT64_T_FMT "\n"
               "SessionHAFarOldest: %" APR_INT64_T_FMT "\n"
               "SessionHAFarSent: %" APR_UINT64_T_FMT "\n"
               "SessionHAFarDropped: %" APR_UINT64_T_FMT "\n",
               usage.waiting, usage.bytes, oldest_sec(&usage, now),
               usage.sent, usage.dropped);
}

static void write_refill_auto(request_rec *r, const session_site_t *site)
{
    ha_refill_usage_t usage;

    ha_refill_usage(&usage, site->refill);
    ap_rprintf(r, "SessionHARefillPending: %" APR_UINT64_T_FMT "\n"
               "SessionHARefilled: %" APR_UINT64_T_FMT "\n"
               "SessionHARefillDropped: %" APR_UINT64_T_FMT "\n",
               usage.pending, usage.done, usage.dropped);
}

static void write_refill(request_rec *r, const session_site_t *site)
{
    ha_refill_usage_t usage;

    ha_refill_usage(&usage, site->refill);
    ap_rprintf(r, "<dl><dt>%" APR_UINT64_T_FMT " sessions wait to be copied "
               "to nodes that were away, %" APR_UINT64_T_FMT " were, %"
               APR_UINT64_T_FMT " are left to their next use</dt></dl>\n",
               usage.pending, usage.done, usage.dropped);
}

static void write_far(request_rec *r, const session_site_t *site)
{
    apr_time_t now = apr_time_now();
    ha_courier_usage_t usage;

    ha_courier_usage(&usage, site->board, now);
    ap_rprintf(r, "<p>Far copies: %" APR_UINT64_T_FMT " changes wait (%"
               APR_UINT64_T_FMT " bytes, the oldest for %" APR_INT64_T_FMT
               " s), %" APR_UINT64_T_FMT " brought, %" APR_UINT64_T_FMT
               " dropped</p>\n", usage.waiting, usage.bytes,
               oldest_sec(&usage, now), usage.sent, usage.dropped);
}

static void write_auto(request_rec *r, const session_site_t *site)
{
    ha_store_t *store = site->store;
    count_t list[COUNTS];
    ha_shm_usage_t usage;
    unsigned int i;

    list_counts(list, site->counts);
    ap_rprintf(r, "SessionHAStore: %s\n", store->name);
    for (i = 0; i < COUNTS; i++) {
        ap_rprintf(r, "SessionHA%s: %" APR_UINT64_T_FMT "\n", list[i].name,
                   apr_atomic_read64(list[i].value));
    }
    if (site->shm != NULL) {
        ha_shm_usage(&usage, site->shm);
        ap_rprintf(r, "SessionHAShmItems: %" APR_UINT64_T_FMT "\n"
                   "SessionHAShmUsed: %" APR_UINT64_T_FMT "\n"
                   "SessionHAShmSize: %" APR_UINT64_T_FMT "\n"
                   "SessionHAShmDropped: %" APR_UINT64_T_FMT "\n",
                   usage.items, usage.used, usage.size, usage.dropped);
        return;
    }
    for (i = 0; i < store->count; i++) {
        ap_rprintf(r, "SessionHANode%u: %s %s %" APR_TIME_T_FMT "\n", i,
                   store->nodes[i].name.data,
                   store->ops->is_up(store, i) ? "up" : "down",
                   apr_time_sec(store->ops->whole_since(store, i)));
        ap_rprintf(r, "SessionHAEvictions%u: %" APR_UINT64_T_FMT "\n", i,
                   ha_store_mc_evictions(store, i));
    }
    write_far_auto(r, site);
    write_refill_auto(r, site);
}

static void write_nodes(request_rec *r, ha_store_t *store)
{
    unsigned int i;

    ap_rputs("<table><tr><th>Node</th><th>Zone</th><th>State</th>"
             "<th>Whole since</th><th>Evictions</th></tr>\n", r);
    for (i = 0; i < store->count; i++) {
        const ha_place_node_t *node = &store->nodes[i];

        ap_rprintf(r, "<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td>"
                   "<td>%" APR_UINT64_T_FMT "</td></tr>\n",
                   ap_escape_html(r->pool, node->name.data),
                   ap_escape_html(r->pool, node->zone.data),
                   store->ops->is_up(store, i) ? "up" : "down",
                   time_text(store->ops->whole_since(store, i), r->pool),
                   ha_store_mc_evictions(store, i));
    }
    ap_rputs("</table>\n", r);
}

static void write_page(request_rec *r, const session_site_t *site)
{
    count_t list[COUNTS];
    ha_shm_usage_t usage;
    unsigned int i;

    list_counts(list, site->counts);
    ap_rprintf(r, "<hr />\n<h2>Sessions (mod_session_ha, %s)</h2>\n<dl>\n",
               site->store->name);
    for (i = 0; i < COUNTS; i++) {
        ap_rprintf(r, "<dt>%" APR_UINT64_T_FMT " %s</dt>\n",
                   apr_atomic_read64(list[i].value), list[i].label);
    }
    if (site->shm != NULL) {
        ha_shm_usage(&usage, site->shm);
        ap_rprintf(r, "<dt>%" APR_UINT64_T_FMT " items in %" APR_UINT64_T_FMT
                   " of %" APR_UINT64_T_FMT " bytes of shared memory, %"
                   APR_UINT64_T_FMT " dropped before their time</dt>\n",
                   usage.items, usage.used, usage.size, usage.dropped);
    }
    ap_rputs("</dl>\n", r);
    if (site->shm == NULL) {
        write_nodes(r, site->store);
        write_far(r, site);
        write_refill(r, site);
    }
}

static int write_status(request_rec *r, int flags)
{
    const session_site_t *site = session_site();

    if (site == NULL) {
        return DECLINED;
    }
    if (flags & AP_STATUS_SHORT) {
        write_auto(r, site);
    }
    else {
        write_page(r, site);
    }
    return OK;
}

void session_status_register(apr_pool_t *p)
{
    APR_OPTIONAL_HOOK(ap, status_hook, write_status, NULL, NULL,
                      APR_HOOK_MIDDLE);
}
