/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter, because it is the one place that every proxy scheme comes by:
 * mod_proxy_http leaves a member's cookies in headers_out, those that read
 * CGI headers (fcgi, scgi, uwsgi) in err_headers_out. It is of a later type
 * than filters that hold an answer back, so what those throw away is not seen
 * here; and of an earlier one than mod_session's and mod_headers', which add
 * cookies that no member gave.
 */
#include "clone_answer.h"

#include <apr_cstr.h>
#include <http_log.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "clone_cookie_hooks.h"
#include "clone_decision.h"
#include "clone_learn_hooks.h"
#include "clone_set_cookie.h"
#include "clone_track.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define FILTER_NAME "PROXY_CLONE_ANSWER"
#define FILTER_TYPE ((ap_filter_type)(AP_FTYPE_RESOURCE + 2))

typedef struct watch_t {
    clone_request_t *req;
    apr_array_header_t *before; /* const char *: lines that were there, NULL
                                   when none was */
} watch_t;

/* What is collected while headers are walked. */
typedef struct reading_t {
    const watch_t *watch;
    clone_answer_t *answer;
    clone_issued_t *issued; /* the same as answer's, to be filled */
    clone_format_t format;
} reading_t;

typedef void (*listener_f)(const clone_answer_t *answer);

static ap_filter_rec_t *filter;

static void tell(const clone_answer_t *answer)
{
    unsigned int ended = 0;
    unsigned int i;

    for (i = 0; i < answer->count; i++) {
        ended += answer->issued[i].is_ended != 0;
    }
    if (answer->count > 0) {
        ap_log_rerror(APLOG_MARK, APLOG_TRACE1, 0, answer->r, CRLOG(0210)
                      "%s: %s sets %u cookies %s, %u of them to end it",
                      answer->req->shown->s->name, answer->worker->s->name_ex,
                      answer->count, answer->req->cookie, ended);
    }
}

/* All who want to know, in this order. */
static const listener_f listeners[] = {
    tell,
    clone_learn_hooks_answer,
    clone_track_answer,
    clone_cookie_hooks_answer,
    clone_decision_answered
};

static int is_before(const watch_t *watch, const char *line)
{
    int i;

    for (i = 0; watch->before != NULL && i < watch->before->nelts; i++) {
        if (APR_ARRAY_IDX(watch->before, i, const char *) == line) {
            return 1;
        }
    }
    return 0;
}

static int read_line(void *ctx, const char *header, const char *line)
{
    reading_t *reading = ctx;
    clone_answer_t *answer = reading->answer;
    clone_set_cookie_t cookie;
    clone_issued_t *issued;

    if (is_before(reading->watch, line)
        || !clone_set_cookie_read(&cookie, span_of_text(line),
                                  span_of_text(answer->req->cookie),
                                  answer->now)) {
        return 1;
    }
    issued = &reading->issued[answer->count++];
    issued->value = cookie.value;
    issued->is_ended = cookie.is_ended;
    if (cookie.is_ended
        || clone_ids_parse(&issued->ids, cookie.value, &reading->format,
                           answer->r->pool) != CLONE_PARSE_OK) {
        memset(&issued->ids, 0, sizeof(issued->ids));
    }
    return answer->count < CLONE_VALUES_MAX;
}

static void read_answer(const watch_t *watch, request_rec *r)
{
    clone_issued_t issued[CLONE_VALUES_MAX];
    clone_answer_t answer;
    reading_t reading;
    apr_size_t i;

    clone_conf_format(&reading.format, &watch->req->conf);
    reading.watch = watch;
    reading.answer = &answer;
    reading.issued = issued;
    answer.r = r;
    answer.req = watch->req;
    answer.worker = watch->req->last;
    answer.now = apr_time_now();
    answer.issued = issued;
    answer.count = 0;
    if (apr_table_do(read_line, &reading, r->headers_out, "Set-Cookie",
                     NULL)) {
        (void)apr_table_do(read_line, &reading, r->err_headers_out,
                           "Set-Cookie", NULL);
    }
    for (i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++) {
        listeners[i](&answer);
    }
}

/* Whether mod_proxy says, in place of an answer, that there is none. */
static int is_failure(const apr_bucket_brigade *bb)
{
    apr_bucket *at;

    for (at = APR_BRIGADE_FIRST(bb); at != APR_BRIGADE_SENTINEL(bb);
         at = APR_BUCKET_NEXT(at)) {
        if (AP_BUCKET_IS_ERROR(at) || AP_BUCKET_IS_EOC(at)) {
            return 1;
        }
    }
    return 0;
}

static apr_status_t see_answer(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const watch_t *watch = f->ctx;

    if (APR_BRIGADE_EMPTY(bb)) {
        return ap_pass_brigade(f->next, bb);
    }
    ap_remove_output_filter(f);
    if (watch->req == clone_request_get(f->r) && watch->req->last != NULL
        && !is_failure(bb)) {
        read_answer(watch, f->r);
    }
    return ap_pass_brigade(f->next, bb);
}

void clone_answer_register(void)
{
    filter = ap_register_output_filter(FILTER_NAME, see_answer, NULL,
                                       FILTER_TYPE);
}

static int remember_line(void *ctx, const char *header, const char *line)
{
    watch_t *watch = ctx;

    if (watch->before == NULL) {
        watch->before = apr_array_make(watch->req->tried->pool, 2,
                                       sizeof(const char *));
    }
    APR_ARRAY_PUSH(watch->before, const char *) = line;
    return 1;
}

void clone_answer_watch(clone_request_t *req, request_rec *r)
{
    watch_t *watch = apr_pcalloc(r->pool, sizeof(*watch));

    watch->req = req;
    (void)apr_table_do(remember_line, watch, r->headers_out, "Set-Cookie",
                       NULL);
    (void)apr_table_do(remember_line, watch, r->err_headers_out,
                       "Set-Cookie", NULL);
    (void)ap_add_output_filter_handle(filter, watch, r, r->connection);
}
