/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebLogic server has a new number after each restart, a Liberty server may
 * have a new UUID, and partition ids stand for whoever owns the partition. The
 * member that issues such an id is where it leads; clone_own.h says when that
 * can be believed. A member is remembered by its URL: when that leaves the
 * balancer, what it issued is unknown again.
 */
#include "clone_learn_hooks.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>
#include <mod_status.h>

#include "clone_learn.h"
#include "clone_own.h"
#include "clone_server.h"
#include "clone_shared.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

/* Of this host; made in the parent, inherited by all children. */
static clone_learn_t *table;

static proxy_worker *worker_at(const proxy_balancer *balancer, unsigned int i)
{
    void *first = balancer->workers->elts;

    return ((proxy_worker **)first)[i];
}

static apr_uint32_t number_of(const proxy_worker *worker)
{
    return clone_learn_member(table, span_of_text(worker->s->name_ex));
}

int clone_learn_hooks_open(apr_pool_t *pconf, apr_pool_t *plog,
                           apr_pool_t *ptemp, server_rec *s)
{
    const clone_server_t *server = ap_get_module_config(
        s->module_config, &proxy_balancer_clone_module);
    unsigned int max = clone_server_conf_learn_max(server->conf);
    unsigned char key[CLONE_LEARN_KEY];
    void *memory;
    apr_status_t rv;

    table = NULL;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    rv = clone_shared_get(&memory, "learn", clone_learn_size(max), s);
    if (rv == APR_SUCCESS && clone_learn_is_blank(memory)) {
        rv = apr_generate_random_bytes(key, sizeof(key));
        if (rv == APR_SUCCESS) {
            clone_learn_init(memory, max, key);
        }
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, CRLOG(0120)
                     "there is no memory, or no random bytes, for the clone "
                     "ids that ProxyCloneLearn is to learn");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    table = memory;
    return OK;
}

/* ---- what requests say --------------------------------------------------- */

static int names_member(const clone_member_t *members, unsigned int count,
                        span_t id)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (span_is_equal(members[i].route, id)) {
            return 1;
        }
    }
    return 0;
}

/* The only member of that number; count when there is none, or two. */
static unsigned int find_member(const proxy_balancer *balancer,
                                apr_uint32_t number)
{
    unsigned int count = (unsigned int)balancer->workers->nelts;
    unsigned int found = count;
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (number_of(worker_at(balancer, i)) == number) {
            if (found < count) {
                return count;
            }
            found = i;
        }
    }
    return found;
}

/* Put the member's id in the place of one that was learned as its. */
static int replace_one(span_t *id, clone_member_t *members,
                       const proxy_balancer *balancer, int is_counted)
{
    unsigned int count = (unsigned int)balancer->workers->nelts;
    apr_uint32_t number = clone_learn_find(table,
                                           span_of_text(balancer->s->name),
                                           *id, apr_time_now());
    unsigned int i = number != 0 ? find_member(balancer, number) : count;

    if (i == count) {
        if (is_counted) {
            clone_learn_add(table, CLONE_LEARN_UNKNOWN);
        }
        return 0;
    }
    if (members[i].route.len == 0) {
        members[i].route = members[i].name;
    }
    *id = members[i].route;
    return 1;
}

const clone_ids_t *clone_learn_hooks_view(const clone_request_t *req,
                                          clone_member_t *members,
                                          const proxy_balancer *balancer,
                                          request_rec *r)
{
    unsigned int count = (unsigned int)balancer->workers->nelts;
    clone_ids_t *copy = NULL;
    unsigned int s;
    unsigned int i;

    for (s = 0; s < req->session_count && table != NULL; s++) {
        for (i = 0; i < req->sessions[s].count; i++) {
            span_t id = req->sessions[s].clone[i];

            if (names_member(members, count, id)) {
                continue;
            }
            if (copy == NULL) {
                if (!clone_conf_learn(&req->conf)) {
                    return req->sessions;
                }
                copy = apr_pmemdup(r->pool, req->sessions,
                                   req->session_count * sizeof(*copy));
            }
            if (replace_one(&copy[s].clone[i], members, balancer,
                            req->tried->nelts == 0)) {
                copy[s].learned |= (apr_uint32_t)1 << i;
            }
        }
    }
    return copy != NULL ? copy : req->sessions;
}

/* ---- what answers teach -------------------------------------------------- */

/* The routes of all members. */
static const span_t *list_routes(const proxy_balancer *balancer, apr_pool_t *p)
{
    unsigned int count = (unsigned int)balancer->workers->nelts;
    span_t *routes = apr_palloc(p, (count + 1) * sizeof(*routes));
    unsigned int i;

    for (i = 0; i < count; i++) {
        routes[i] = span_of_text(worker_at(balancer, i)->s->route);
    }
    return routes;
}

static span_t span_or_none(const char *text)
{
    return text != NULL ? span_of_text(text) : span_of(NULL, 0);
}

/* Texts of the client that a clone id could come from. */
#define SENT 4

static void describe(clone_own_t *own, span_t sent[SENT],
                     const clone_answer_t *answer)
{
    const clone_request_t *req = answer->req;
    request_rec *r = answer->r;

    sent[0] = span_or_none(apr_table_get(r->headers_in, "Cookie"));
    sent[1] = span_or_none(r->unparsed_uri);
    sent[2] = span_or_none(req->url);
    sent[3] = span_or_none(r->args);
    own->route = span_of_text(answer->worker->s->route);
    own->routes = list_routes(req->shown, r->pool);
    own->route_count = (unsigned int)req->shown->workers->nelts;
    own->sessions = req->sessions;
    own->session_count = req->session_count;
    own->sent = sent;
    own->sent_count = SENT;
}

static void learn_one(const clone_answer_t *answer, const clone_own_t *own)
{
    const char *balancer = answer->req->shown->s->name;
    span_t id;
    clone_own_e found = clone_own_find(&id, own, answer->r->pool);

    if (found == CLONE_OWN_UNSURE) {
        clone_learn_add(table, CLONE_LEARN_REFUSED);
    }
    if (found == CLONE_OWN_FOUND
        && clone_learn_put(table, span_of_text(balancer), id,
                           number_of(answer->worker), answer->now)
           == CLONE_LEARN_NEW) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, answer->r, CRLOG(0211)
                      "%s: %s has issued a clone id that no member is "
                      "configured with; it leads there from now on",
                      balancer, answer->worker->s->name_ex);
    }
}

void clone_learn_hooks_answer(const clone_answer_t *answer)
{
    span_t sent[SENT];
    clone_format_t format;
    clone_own_t own;
    unsigned int i;

    if (table == NULL) {
        return;
    }
    if (answer->req->choice.reason == CLONE_REASON_LEARNED) {
        clone_learn_add(table, CLONE_LEARN_USED);
    }
    if (answer->count == 0 || !clone_conf_learn(&answer->req->conf)) {
        return;
    }
    clone_conf_format(&format, &answer->req->conf);
    describe(&own, sent, answer);
    own.is_owner_first = format.is_owner_first;
    for (i = 0; i < answer->count; i++) {
        own.issued = &answer->issued[i].ids;
        learn_one(answer, &own);
    }
}

/* ---- mod_status ---------------------------------------------------------- */

static int write_status(request_rec *r, int flags)
{
    static const struct {
        const char *name;  /* for machines */
        const char *label; /* for people */
    } words[CLONE_LEARN_COUNTS] = {
        { "Learned", "learned from answers" },
        { "Used", "requests answered where one of them led" },
        { "Unknown", "of requests, not known" },
        { "Refused", "of answers, maybe not the member's own" },
        { "Evicted", "forgotten for others" }
    };
    int is_short = flags & AP_STATUS_SHORT;
    int i;

    if (table == NULL) {
        return DECLINED;
    }
    ap_rprintf(r, is_short ? "ProxyCloneLearnHeld: %u\n"
                             "ProxyCloneLearnRoom: %u\n"
                           : "<hr />\n<h2>Clone ids learned "
                             "(mod_proxy_balancer_clone)</h2>\n<dl>\n"
                             "<dt>%u held, room for %u</dt>\n",
               clone_learn_held(table), clone_learn_room(table));
    for (i = 0; i < CLONE_LEARN_COUNTS; i++) {
        apr_uint64_t count = clone_learn_count(table,
                                               (clone_learn_count_e)i);

        if (is_short) {
            ap_rprintf(r, "ProxyCloneLearn%s: %" APR_UINT64_T_FMT "\n",
                       words[i].name, count);
        }
        else {
            ap_rprintf(r, "<dt>%" APR_UINT64_T_FMT " %s</dt>\n", count,
                       words[i].label);
        }
    }
    if (!is_short) {
        ap_rputs("</dl>\n", r);
    }
    return OK;
}

void clone_learn_hooks_register(apr_pool_t *p)
{
    APR_OPTIONAL_HOOK(ap, status_hook, write_status, NULL, NULL,
                      APR_HOOK_MIDDLE);
}
