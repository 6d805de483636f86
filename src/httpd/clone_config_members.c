/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_proxy lets members come while the server runs: whoever writes a record
 * to a free slot of the balancer's shared memory and moves the balancer's
 * time stamp makes every child take it up with its next request
 * (ap_proxy_sync_balancer). There is no way for a member to go, for a child
 * may be using it; so it is shut.
 *
 * Balancers cannot come at all. So there are some in reserve, which are given
 * a name when a cluster comes. The name is in shared memory, but mod_proxy
 * looks for its hash in each child's own record, where it is put by us.
 */
#include "clone_config_members.h"

#include <ap_provider.h>
#include <apr_strings.h>
#include <http_log.h>
#include <mod_proxy.h>

#include "clone_config_method.h"
#include "clone_keep.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define CONTINUE_SEC 60
#define RESERVE_PREFIX BALANCER_PREFIX "clone-reserve-"

/* What one change works with. */
typedef struct change_t {
    const clone_config_t *config;
    proxy_server_conf *proxy;
    proxy_balancer *balancer;
    const clone_side_t *side;
    int is_changed;   /* need other children look? */
    apr_pool_t *p;
} change_t;

static proxy_server_conf *proxy_of(server_rec *s)
{
    return ap_get_module_config(s->module_config, &proxy_module);
}

static const clone_seat_t *seat_at(const apr_array_header_t *seats, int i)
{
    return (const clone_seat_t *)(const void *)seats->elts + i;
}

static const clone_side_t *side_at(const clone_edition_t *edition, int i)
{
    return ((const clone_side_t *const *)(void *)edition->sides->elts)[i];
}

int clone_config_members_is_reserve(const char *name)
{
    return strncmp(name, RESERVE_PREFIX, strlen(RESERVE_PREFIX)) == 0;
}

/* ---- a member's record --------------------------------------------------- */

static void set_flag(proxy_worker_shared *s, unsigned int flag, int is_set)
{
    if (is_set) {
        s->status |= flag;
    }
    else {
        s->status &= ~flag;
    }
}

/* As for any other answer; without a time-out of its own, httpd's default. */
static void set_ping(proxy_worker_shared *s, const clone_seat_t *seat)
{
    if (seat->is_waited_for) {
        s->ping_timeout = s->timeout_set ? s->timeout
                                         : apr_time_from_sec(CONTINUE_SEC);
        s->ping_timeout_set = 1;
    }
}

static void set_times(proxy_worker_shared *s, const clone_seat_t *seat)
{
    s->conn_timeout = apr_time_from_sec(seat->connect_sec);
    s->conn_timeout_set = seat->connect_sec > 0;
    if (seat->io_sec > 0) {
        s->timeout = apr_time_from_sec(seat->io_sec);
        s->timeout_set = 1;
    }
    s->retry = apr_time_from_sec(seat->retry_sec);
    s->retry_set = 1;
    set_ping(s, seat);
}

/* What a BalancerMember line said with ping= stays. */
static void unset_ping(proxy_worker_shared *s, const clone_seat_t *old)
{
    if (old->is_waited_for) {
        s->ping_timeout_set = 0;
    }
}

/* All that the file says of a new member. */
static void set_all(proxy_worker_shared *s, const clone_seat_t *seat)
{
    apr_cpystrn(s->route, seat->route, sizeof(s->route));
    apr_cpystrn(s->upgrade, "websocket", sizeof(s->upgrade));
    s->lbset = seat->lbset;
    s->lbfactor = seat->factor;
    set_flag(s, PROXY_WORKER_DRAIN, seat->is_drained);
    set_flag(s, PROXY_WORKER_IN_SHUTDOWN, 0);
    set_times(s, seat);
}

static int is_timed_alike(const clone_seat_t *a, const clone_seat_t *b)
{
    return a->connect_sec == b->connect_sec && a->io_sec == b->io_sec
           && a->retry_sec == b->retry_sec
           && a->is_waited_for == b->is_waited_for;
}

/* What the file says otherwise than before; 0 when that is nothing. */
static int set_changed(proxy_worker_shared *s, const clone_seat_t *old,
                       const clone_seat_t *seat)
{
    int is_changed = 0;

    if (strcmp(old->route, seat->route) != 0) {
        apr_cpystrn(s->route, seat->route, sizeof(s->route));
        is_changed = 1;
    }
    if (old->lbset != seat->lbset) {
        s->lbset = seat->lbset;
        is_changed = 1;
    }
    if (old->factor != seat->factor) {
        s->lbfactor = seat->factor;
        is_changed = 1;
    }
    if (old->is_drained != seat->is_drained) {
        set_flag(s, PROXY_WORKER_DRAIN, seat->is_drained);
        is_changed = 1;
    }
    if (!is_timed_alike(old, seat)) {
        unset_ping(s, old);
        set_times(s, seat);
        is_changed = 1;
    }
    return is_changed;
}

/* ---- start --------------------------------------------------------------- */

/* A member that a BalancerMember line has made already. */
static proxy_worker *find_member(const proxy_balancer *balancer,
                                 const char *url)
{
    proxy_worker *const *worker = (void *)balancer->workers->elts;
    int i;

    for (i = 0; i < balancer->workers->nelts; i++) {
        if (strcmp(worker[i]->s->name_ex, url) == 0) {
            return worker[i];
        }
    }
    return NULL;
}

static const char *define_member(proxy_balancer *balancer,
                                 proxy_server_conf *proxy,
                                 const clone_seat_t *seat, apr_pool_t *p)
{
    proxy_worker *worker = find_member(balancer, seat->url);
    const char *error;

    if (worker == NULL) {
        error = ap_proxy_define_worker(p, &worker, balancer, proxy, seat->url,
                                       0);
        if (error != NULL) {
            return error;
        }
        PROXY_COPY_CONF_PARAMS(worker, proxy);
        worker->section_config = balancer->section_config;
    }
    set_all(worker->s, seat);
    return NULL;
}

static const char *define_balancer(proxy_balancer **balancer,
                                   clone_config_t *config, const char *name,
                                   apr_pool_t *pconf, apr_pool_t *ptemp)
{
    proxy_server_conf *proxy = proxy_of(config->server);
    proxy_balancer *made = ap_proxy_get_balancer(ptemp, proxy, name, 0);
    const char *error = made != NULL ? NULL
        : ap_proxy_define_balancer(pconf, &made, proxy, name, "/", 0);

    *balancer = made;
    if (error != NULL) {
        return error;
    }
    if (!made->growth_set) {
        made->growth = config->member_room;
        made->growth_set = 1;
    }
    if (made->lbmethod == NULL
        || strcmp(made->lbmethod->name, "byrequests") == 0) {
        made->lbmethod = &clone_config_method;
        made->lbmethod_set = 1;
        apr_cpystrn(made->s->lbpname, CLONE_CONFIG_METHOD_NAME,
                    sizeof(made->s->lbpname));
    }
    if (made->s->sticky[0] == '\0') {
        apr_cpystrn(made->s->sticky, CLONE_PLUGIN_COOKIE,
                    sizeof(made->s->sticky));
        apr_cpystrn(made->s->sticky_path, CLONE_PLUGIN_URL_ID,
                    sizeof(made->s->sticky_path));
    }
    return NULL;
}

static const char *define_side(clone_config_t *config,
                               const clone_side_t *side, apr_pool_t *pconf,
                               apr_pool_t *ptemp)
{
    proxy_balancer *balancer;
    const char *error = define_balancer(&balancer, config, side->name, pconf,
                                        ptemp);
    int i;

    for (i = 0; error == NULL && i < side->seats->nelts; i++) {
        error = define_member(balancer, proxy_of(config->server),
                              seat_at(side->seats, i), pconf);
    }
    return error;
}

int clone_config_members_define(clone_config_t *config, apr_pool_t *pconf,
                                apr_pool_t *ptemp)
{
    const clone_edition_t *edition = config->now;
    const char *error = ap_lookup_provider(PROXY_LBMETHOD, "byrequests", "0")
                        != NULL ? NULL
                        : "mod_lbmethod_byrequests is not loaded";
    const char *name = "";
    int i;

    config->member_room = config->member_room != HA_UNSET
                          ? config->member_room : CLONE_CONFIG_MEMBER_ROOM;
    config->cluster_room = config->cluster_room != HA_UNSET
                           ? config->cluster_room : CLONE_CONFIG_CLUSTER_ROOM;
    for (i = 0; error == NULL && i < edition->sides->nelts; i++) {
        name = side_at(edition, i)->name;
        error = define_side(config, side_at(edition, i), pconf, ptemp);
    }
    for (i = 0; error == NULL && i < config->cluster_room; i++) {
        proxy_balancer *spare;

        name = apr_psprintf(ptemp, RESERVE_PREFIX "%d", i + 1);
        error = define_balancer(&spare, config, name, pconf, ptemp);
    }
    if (error != NULL) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, config->server, CRLOG(0406)
                     "%s: no balancer %s can be made: %s", config->path,
                     name, error);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

/* ---- virtual hosts ------------------------------------------------------- */

static void share_one(proxy_server_conf *host, const proxy_balancer *balancer,
                      apr_pool_t *ptemp)
{
    proxy_balancer *mine = ap_proxy_get_balancer(ptemp, host,
                                                 balancer->s->name, 0);

    if (mine == NULL) {
        mine = apr_array_push(host->balancers);
    }
    /* One shared record, one list of members and one lock, twice. */
    memcpy(mine, balancer, sizeof(*mine));
}

static int is_of_file(const clone_config_t *config,
                      const proxy_balancer *balancer)
{
    return clone_edition_named(config->now, balancer->s->name) != NULL
           || clone_config_members_is_reserve(balancer->s->name);
}

void clone_config_members_share(clone_config_t *config, server_rec *s)
{
    proxy_server_conf *main_proxy = proxy_of(config->server);
    apr_pool_t *ptemp;
    int i;

    apr_pool_create(&ptemp, main_proxy->pool);
    for (; s != NULL; s = s->next) {
        proxy_server_conf *proxy = proxy_of(s);

        if (proxy == main_proxy) {
            continue;
        }
        for (i = 0; i < main_proxy->balancers->nelts; i++) {
            const proxy_balancer *balancer =
                (const proxy_balancer *)(void *)main_proxy->balancers->elts
                + i;

            if (is_of_file(config, balancer)) {
                share_one(proxy, balancer, ptemp);
            }
        }
    }
    apr_pool_destroy(ptemp);
}

/* ---- while the server runs ----------------------------------------------- */

/* A record as mod_proxy would make it for this address, in no balancer. */
static proxy_worker *sketch(change_t *change, const char *url)
{
    proxy_balancer alone;
    proxy_worker *worker;

    memset(&alone, 0, sizeof(alone));
    alone.workers = apr_array_make(change->p, 1, sizeof(proxy_worker *));
    if (ap_proxy_define_worker(change->p, &worker, &alone, change->proxy, url,
                               0) != NULL) {
        return NULL;
    }
    PROXY_COPY_CONF_PARAMS(worker, change->proxy);
    return worker;
}

/* The slot of the member at an address; NULL when it is no member. */
static proxy_worker_shared *find_slot(const change_t *change,
                                      const proxy_worker *worker)
{
    proxy_balancer *balancer = change->balancer;
    int i;

    for (i = 0; i < balancer->max_workers; i++) {
        proxy_worker_shared *s;

        if (balancer->storage->dptr(balancer->wslot, (unsigned int)i,
                                    (void *)&s) == APR_SUCCESS
            && s->hash.def == worker->s->hash.def
            && s->hash.fnv == worker->s->hash.fnv
            && s->hash.def != 0) {
            return s;
        }
    }
    return NULL;
}

static const char *route_word(const clone_seat_t *seat)
{
    return seat->route[0] != '\0' ? seat->route : "-";
}

static void say_come(change_t *change, const clone_seat_t *seat,
                     const char *what)
{
    change->is_changed = 1;
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, change->config->server,
                 CRLOG(0416) "%s: %s (%s) %s", change->side->name, seat->url,
                 route_word(seat), what);
}

static void add_member(change_t *change, proxy_worker *worker,
                       const clone_seat_t *seat)
{
    proxy_balancer *balancer = change->balancer;
    proxy_worker_shared *slot;
    unsigned int index;

    set_all(worker->s, seat);
    clone_keep_mark(worker->s, balancer->s->name, change->p);
    worker->s->updated = apr_time_now();
    if (balancer->storage->num_free_slots(balancer->wslot) == 0
        || balancer->storage->grab(balancer->wslot, &index) != APR_SUCCESS
        || balancer->storage->dptr(balancer->wslot, index, (void *)&slot)
           != APR_SUCCESS
        || ap_proxy_share_worker(worker, slot, (int)index) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, change->config->server,
                     CRLOG(0414) "%s: no room for another member, %s (%s) "
                     "begins with the next restart; "
                     "ProxyCloneConfigReserve says how many may come",
                     change->side->name, seat->url,
                     route_word(seat));
        return;
    }
    say_come(change, seat, "has come");
}

static void seat_member(change_t *change, const clone_seat_t *old,
                        const clone_seat_t *seat)
{
    proxy_worker *worker = sketch(change, seat->url);
    proxy_worker_shared *slot = worker != NULL ? find_slot(change, worker)
                                               : NULL;

    if (worker == NULL) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, change->config->server,
                     CRLOG(0413) "%s: mod_proxy does not take %s for an "
                     "address, it is left out", change->side->name,
                     seat->url);
    }
    else if (slot == NULL) {
        add_member(change, worker, seat);
    }
    else if (old == NULL) {
        set_all(slot, seat);
        clone_keep_mark(slot, change->balancer->s->name, change->p);
        say_come(change, seat, "has come back");
    }
    else if (set_changed(slot, old, seat)) {
        change->is_changed = 1;
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, change->config->server,
                     CRLOG(0418) "%s: %s (%s) is set otherwise",
                     change->side->name, seat->url, route_word(seat));
    }
}

static void stop_member(change_t *change, const clone_seat_t *seat)
{
    proxy_worker *worker = sketch(change, seat->url);
    proxy_worker_shared *slot = worker != NULL ? find_slot(change, worker)
                                               : NULL;

    if (slot != NULL) {
        /* not one of the flags that administrators set */
        set_flag(slot, PROXY_WORKER_IN_SHUTDOWN, 1);
        unset_ping(slot, seat);
        change->is_changed = 1;
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, change->config->server,
                     CRLOG(0417) "%s: %s (%s) has left",
                     change->side->name, seat->url, route_word(seat));
    }
}

/* Give a balancer of the reserve to a cluster that has come. */
static proxy_balancer *take_reserve(const change_t *change)
{
    proxy_balancer *balancer = (void *)change->proxy->balancers->elts;
    const char *name = change->side->name;
    int i;

    for (i = 0; i < change->proxy->balancers->nelts; i++, balancer++) {
        if (clone_config_members_is_reserve(balancer->s->name)) {
            apr_cpystrn(balancer->s->name, name, sizeof(balancer->s->name));
            balancer->s->hash.def = ap_proxy_hashfunc(
                name, PROXY_HASHFUNC_DEFAULT);
            balancer->s->hash.fnv = ap_proxy_hashfunc(name,
                                                      PROXY_HASHFUNC_FNV);
            return balancer;
        }
    }
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, change->config->server,
                 CRLOG(0415) "%s: no balancer in reserve, requests for it "
                 "get 503 until the next restart; ProxyCloneConfigReserve "
                 "says how many clusters may come", name);
    return NULL;
}

/* As mod_proxy sets it at start, where nobody set it otherwise. */
static void count_attempts(proxy_balancer *balancer, int before)
{
    int now = balancer->max_workers
              - (int)balancer->storage->num_free_slots(balancer->wslot);
    int usual = before > 1 ? before - 1 : 0;

    if (balancer->s->max_attempts == usual && now > 1) {
        balancer->s->max_attempts = now - 1;
        balancer->s->max_attempts_set = 1;
    }
}

/* Make every child look. */
static void touch(proxy_balancer *balancer)
{
    apr_time_t now = apr_time_now();

    balancer->s->need_reset = 1;
    balancer->s->wupdated = now > balancer->s->wupdated
                            ? now : balancer->s->wupdated + 1;
}

static void apply_side(change_t *change, const clone_side_t *old,
                       const clone_side_t *side)
{
    proxy_balancer *balancer;
    int before;
    int i;

    change->side = side != NULL ? side : old;
    change->is_changed = 0;
    balancer = ap_proxy_get_balancer(change->p, change->proxy,
                                     change->side->name, 0);
    if (balancer == NULL && side != NULL) {
        balancer = take_reserve(change);
    }
    if (balancer == NULL || PROXY_GLOBAL_LOCK(balancer) != APR_SUCCESS) {
        return;
    }
    change->balancer = balancer;
    before = balancer->max_workers
             - (int)balancer->storage->num_free_slots(balancer->wslot);
    for (i = 0; side != NULL && i < side->seats->nelts; i++) {
        const clone_seat_t *seat = seat_at(side->seats, i);

        seat_member(change, old != NULL ? clone_seats_at(old->seats,
                                                             seat->url)
                                        : NULL, seat);
    }
    for (i = 0; old != NULL && i < old->seats->nelts; i++) {
        const clone_seat_t *seat = seat_at(old->seats, i);

        if (side == NULL
            || clone_seats_at(side->seats, seat->url) == NULL) {
            stop_member(change, seat);
        }
    }
    if (change->is_changed) {
        count_attempts(balancer, before);
        touch(balancer);
    }
    (void)PROXY_GLOBAL_UNLOCK(balancer);
}

void clone_config_members_apply(clone_config_t *config,
                                const clone_edition_t *from,
                                const clone_edition_t *to, apr_pool_t *p)
{
    change_t change;
    int i;

    memset(&change, 0, sizeof(change));
    change.config = config;
    change.proxy = proxy_of(config->server);
    change.p = p;
    for (i = 0; i < to->sides->nelts; i++) {
        const clone_side_t *side = side_at(to, i);

        apply_side(&change, clone_edition_named(from, side->name), side);
    }
    for (i = 0; i < from->sides->nelts; i++) {
        const clone_side_t *side = side_at(from, i);

        if (clone_edition_named(to, side->name) == NULL) {
            apply_side(&change, side, NULL);
        }
    }
}

void clone_config_members_follow(clone_config_t *config)
{
    server_rec *s;
    int i;

    for (s = config->server; s != NULL; s = s->next) {
        proxy_server_conf *proxy = proxy_of(s);
        proxy_balancer *balancer = (void *)proxy->balancers->elts;

        for (i = 0; i < proxy->balancers->nelts; i++, balancer++) {
            /* A request that reads one half of it finds nothing; nobody
             * routes to a balancer before it has its name. */
            if (balancer->hash.def != balancer->s->hash.def
                || balancer->hash.fnv != balancer->s->hash.fnv) {
                balancer->hash = balancer->s->hash;
            }
        }
    }
}
