/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes are taken for every routed request: a few bytes for each member and
 * each attempt. Words are made of them twice, when an answer's headers are
 * complete and when mod_proxy is done, for the first can be shown by
 * mod_headers and only the second knows how it all ended; what both begin
 * with is made once.
 */
#include "clone_decision.h"

#include <ap_expr.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>

#include "clone_admit.h"
#include "clone_explain.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

const char clone_decision_never[] = "Off";
const char clone_decision_always[] = "On";

struct clone_decision_t {
    clone_explain_member_t members[CLONE_EXPLAIN_MEMBERS];
    unsigned int member_count;
    unsigned int member_more;
    clone_explain_attempt_t attempts[CLONE_EXPLAIN_ATTEMPTS];
    apr_time_t begun; /* the last attempt */
    unsigned int attempt_count;
    unsigned int attempt_more;
    span_t head; /* words for all but the attempts; empty: not made yet */
};

/* Random, made once for the life of the parent process; children inherit it,
 * graceful restarts keep it. */
static const unsigned char *tag_key;

static const proxy_worker *worker_at(const proxy_balancer *balancer,
                                     unsigned int i)
{
    void *first = balancer->workers->elts;

    return ((proxy_worker **)first)[i];
}

static unsigned int state_of(clone_request_t *req, const request_rec *r,
                             const proxy_worker *worker)
{
    static const struct { unsigned int bit; clone_state_e state; } bits[] = {
        { PROXY_WORKER_IN_ERROR, CLONE_STATE_ERROR },
        { PROXY_WORKER_DRAIN, CLONE_STATE_DRAINING },
        { PROXY_WORKER_DISABLED, CLONE_STATE_DISABLED },
        { PROXY_WORKER_STOPPED, CLONE_STATE_STOPPED },
        { PROXY_WORKER_HC_FAIL, CLONE_STATE_UNHEALTHY },
        { PROXY_WORKER_HOT_STANDBY, CLONE_STATE_STANDBY },
        { PROXY_WORKER_HOT_SPARE, CLONE_STATE_SPARE }
    };
    unsigned int state = 0;
    apr_size_t i;

    for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        if (worker->s->status & bits[i].bit) {
            state |= (unsigned int)bits[i].state;
        }
    }
    if (clone_request_is_tried(req, worker)) {
        state |= CLONE_STATE_TRIED;
    }
    if (clone_admit_is_full(req, r, worker)) {
        state |= CLONE_STATE_FULL;
    }
    return state;
}

static struct clone_decision_t *notes_of(clone_request_t *req, apr_pool_t *p)
{
    if (req->decision == NULL) {
        req->decision = apr_pcalloc(p, sizeof(*req->decision));
    }
    return req->decision;
}

void clone_decision_look(clone_request_t *req, const proxy_balancer *balancer,
                         const request_rec *r)
{
    struct clone_decision_t *notes = notes_of(req, r->pool);
    unsigned int count = (unsigned int)balancer->workers->nelts;
    unsigned int i;

    notes->member_count = count < CLONE_EXPLAIN_MEMBERS
                              ? count : CLONE_EXPLAIN_MEMBERS;
    notes->member_more = count - notes->member_count;
    notes->head.len = 0;
    for (i = 0; i < notes->member_count; i++) {
        const proxy_worker *worker = worker_at(balancer, i);

        notes->members[i].name = span_of_text(worker->s->route);
        notes->members[i].index = i;
        notes->members[i].state = state_of(req, r, worker);
    }
}

static unsigned int index_of(const clone_request_t *req,
                             const proxy_worker *worker)
{
    const proxy_balancer *balancer = req->shown;
    unsigned int i = req->choice.member;

    if (i < (unsigned int)balancer->workers->nelts
        && worker_at(balancer, i) == worker) {
        return i;
    }
    i = 0;
    while (i < (unsigned int)balancer->workers->nelts
           && worker_at(balancer, i) != worker) {
        i++;
    }
    return i;
}

/* When there is no room, the last one takes the place of the one before. */
void clone_decision_begin(clone_request_t *req, const request_rec *r,
                          const proxy_worker *worker)
{
    struct clone_decision_t *notes = notes_of(req, r->pool);
    clone_explain_attempt_t *attempt;

    if (notes->attempt_count == CLONE_EXPLAIN_ATTEMPTS) {
        notes->attempt_count--;
        notes->attempt_more++;
    }
    attempt = &notes->attempts[notes->attempt_count++];
    attempt->member.name = span_of_text(worker->s->route);
    attempt->member.index = index_of(req, worker);
    attempt->end = NULL;
    notes->begun = apr_time_now();
}

static unsigned int msec_since(apr_time_t begun)
{
    apr_time_t now = apr_time_now();

    return now > begun ? (unsigned int)apr_time_as_msec(now - begun) : 0;
}

static const char *end_of(const clone_request_t *req, const request_rec *r,
                          int rc)
{
    if (rc == OK || rc == DONE) {
        return apr_itoa(r->pool, r->status);
    }
    if (rc == HTTP_SERVICE_UNAVAILABLE && !req->is_sent) {
        return "unreached";
    }
    return apr_psprintf(r->pool, "failed-%d", rc);
}

void clone_decision_end(clone_request_t *req, const request_rec *r, int rc)
{
    struct clone_decision_t *notes = req->decision;
    clone_explain_attempt_t *attempt;

    attempt = &notes->attempts[notes->attempt_count - 1];
    attempt->end = end_of(req, r, rc);
    attempt->msec = msec_since(notes->begun);
}

void clone_decision_full(clone_request_t *req, const request_rec *r,
                         const proxy_worker *worker, unsigned int msec)
{
    clone_explain_attempt_t *attempt;

    clone_decision_begin(req, r, worker);
    attempt = &req->decision->attempts[req->decision->attempt_count - 1];
    attempt->end = "full";
    attempt->msec = msec;
}

void clone_decision_name(clone_request_t *req, const char *word)
{
    struct clone_decision_t *notes = req->decision;

    notes->attempts[notes->attempt_count - 1].end = word;
}

static void fill_tokens(clone_explain_token_t *tokens, const clone_ids_t *ids,
                        const clone_request_t *req)
{
    unsigned int i;

    for (i = 0; i < ids->count; i++) {
        unsigned int index;
        int is_known = (i == 0 && req->choice.reason == CLONE_REASON_FIRST)
                       || clone_request_find_member(&index, req->shown,
                                                    ids->clone[i]);

        tokens[i].name = is_known ? ids->clone[i] : span_of(NULL, 0);
        tokens[i].tag = is_known ? 0 : clone_explain_tag(ids->clone[i],
                                                         tag_key);
    }
}

/* What is noted of the choice, ready for words. */
static void fill(clone_explain_t *explain, clone_explain_token_t *tokens,
                 const clone_request_t *req)
{
    const struct clone_decision_t *notes = req->decision;

    explain->reason = clone_reason_name(req->choice.reason);
    if (req->session_count > 0) {
        const clone_ids_t *ids = &req->sessions[req->choice.session];

        fill_tokens(tokens, ids, req);
        explain->has_session = 1;
        explain->session_tag = clone_explain_tag(ids->session, tag_key);
        explain->is_from_url = req->choice.session >= req->cookies;
        explain->tokens = tokens;
        explain->token_count = ids->count;
    }
    explain->members = notes->members;
    explain->member_count = notes->member_count;
    explain->member_more = notes->member_more;
}

/* And of the attempts. */
static void fill_attempts(clone_explain_t *explain,
                          struct clone_decision_t *notes)
{
    unsigned int count = notes->attempt_count;

    if (count > 0 && notes->attempts[count - 1].end == NULL) {
        notes->attempts[count - 1].msec = msec_since(notes->begun);
    }
    explain->attempts = notes->attempts;
    explain->attempt_count = count;
    explain->attempt_more = notes->attempt_more;
}

/* Whether ProxyCloneExplain wants this request. */
static int is_wanted(request_rec *r, const clone_request_t *req)
{
    const void *wanted = req->conf.explain;
    const char *error = NULL;

    if (wanted == NULL || wanted == clone_decision_never) {
        return 0;
    }
    return wanted == clone_decision_always
           || ap_expr_exec(r, wanted, &error) > 0;
}

/* Set the variables; returns the JSON form, or NULL when nobody wants it. */
static const char *tell(request_rec *r, const clone_request_t *req)
{
    struct clone_decision_t *notes = req->decision;
    clone_explain_token_t tokens[CLONE_IDS_MAX];
    char text[CLONE_EXPLAIN_TEXT_MAX];
    char json[CLONE_EXPLAIN_JSON_MAX];
    const char *told = NULL;
    clone_explain_t explain;
    apr_size_t len;

    memset(&explain, 0, sizeof(explain));
    if (notes->head.len == 0) {
        fill(&explain, tokens, req);
        len = clone_explain_head(text, &explain);
        notes->head = span_of(apr_pstrmemdup(r->pool, text, len), len);
    }
    else {
        memcpy(text, notes->head.data, notes->head.len);
    }
    fill_attempts(&explain, notes);
    len = clone_explain_tail(text, notes->head.len, &explain);
    apr_table_setn(r->subprocess_env, "CLONE_DECISION",
                   apr_pstrmemdup(r->pool, text, len));
    if (is_wanted(r, req)) {
        fill(&explain, tokens, req);
        told = apr_pstrmemdup(r->pool, json,
                              clone_explain_json(json, &explain));
        apr_table_setn(r->subprocess_env, "CLONE_DECISION_JSON", told);
    }
    return told;
}

void clone_decision_answered(const clone_answer_t *answer)
{
    (void)tell(answer->r, answer->req);
}

static int tell_all(int *status, request_rec *r)
{
    const clone_request_t *req = clone_request_get(r);
    int before = r->status;
    const char *json;

    if (req == NULL || req->decision == NULL) {
        return DECLINED;
    }
    /* An error becomes the request's status only when mod_proxy has returned
     * it; expressions ask for it now. */
    if (ap_is_HTTP_ERROR(*status)) {
        r->status = *status;
    }
    json = tell(r, req);
    r->status = before;
    if (json != NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, CRLOG(0240) "%s: %s",
                      req->shown->s->name, json);
    }
    return DECLINED;
}

static int make_key(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                    server_rec *s)
{
    static const char name[] = "proxy_balancer_clone/tag_key";
    unsigned char *key = ap_retained_data_get(name);

    if (key == NULL) {
        unsigned char bytes[CLONE_TAG_KEY];
        apr_status_t rv = apr_generate_random_bytes(bytes, sizeof(bytes));

        if (rv != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, CRLOG(0241)
                         "no random bytes for the tags of sessions");
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        key = ap_retained_data_create(name, sizeof(bytes));
        memcpy(key, bytes, sizeof(bytes));
    }
    tag_key = key;
    return OK;
}

void clone_decision_register(void)
{
    ap_hook_post_config(make_key, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(proxy, request_status, tell_all, NULL, NULL,
                      APR_HOOK_REALLY_FIRST);
}
