/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may come here is httpd's business: Require. What a page of another site
 * might send with the administrator's credentials is ours: a change needs a
 * header of its own and a media type, and a browser sends neither across
 * sites without asking first, which nobody answers.
 */
#include "clone_admin.h"

#include <ap_mpm.h>
#include <apr_cstr.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <util_script.h>

#include "clone_intent.h"
#include "clone_json.h"
#include "clone_keep.h"
#include "clone_sight.h"
#include "clone_track.h"
#include "log_tags.h"

APLOG_USE_MODULE(proxy_balancer_clone);

#define HANDLER "clone-admin"
#define HEADER "X-Clone-Admin"
#define QUIET_DEFAULT 5
#define QUIET_MAX 3600
#define LOOK_USEC (APR_USEC_PER_SEC / 4)
#define LOOK_SHARE 20 /* a look takes at most this part of the time */

/* ---- answers ------------------------------------------------------------- */

static int answer(request_rec *r, int status, const char *type,
                  const char *text)
{
    r->status = status;
    ap_set_content_type(r, type);
    ap_set_content_length(r, (apr_off_t)strlen(text));
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->err_headers_out, "Cross-Origin-Resource-Policy",
                   "same-origin");
    if (!r->header_only) {
        ap_rputs(text, r);
    }
    return OK;
}

static int answer_json(request_rec *r, int status, const char *text)
{
    return answer(r, status, "application/json", text);
}

static int refuse(request_rec *r, int status, const char *why)
{
    return answer_json(r, status, apr_psprintf(
        r->pool, "{\"error\":%s}\n", clone_json_quote(why, r->pool)));
}

/* ---- questions ----------------------------------------------------------- */

/* What is asked for. */
typedef struct question_t {
    const char *balancer; /* "balancer://shop", or NULL */
    const char *member;   /* or NULL */
    apr_interval_time_t wait;
    apr_interval_time_t quiet;
    int is_metrics;
} question_t;

/* The balancer's name as mod_proxy has it. */
static const char *full_name(const char *name, apr_pool_t *p)
{
    char *full = apr_pstrdup(p, name);

    if (apr_cstr_casecmpn(name, BALANCER_PREFIX,
                          sizeof(BALANCER_PREFIX) - 1) != 0) {
        full = apr_pstrcat(p, BALANCER_PREFIX, name, NULL);
    }
    ap_str_tolower(full);
    return full;
}

static int read_seconds(apr_interval_time_t *time, const char *text, int most)
{
    char *end;
    apr_int64_t sec = apr_strtoi64(text, &end, 10);

    *time = 0;
    if (*text < '0' || *text > '9' || *end != '\0' || sec > most) {
        return 0;
    }
    *time = apr_time_from_sec(sec);
    return 1;
}

/* One parameter; what is wrong with it, or NULL. */
static const char *read_parameter(question_t *question, const char *name,
                                  const char *value, apr_pool_t *p)
{
    if (strcmp(name, "balancer") == 0) {
        question->balancer = full_name(value, p);
    }
    else if (strcmp(name, "member") == 0) {
        question->member = value;
    }
    else if (strcmp(name, "wait") == 0) {
        if (!read_seconds(&question->wait, value, CLONE_ADMIN_WAIT_MAX)) {
            return "wait must be 0 to 60 seconds";
        }
    }
    else if (strcmp(name, "quiet") == 0) {
        if (!read_seconds(&question->quiet, value, QUIET_MAX)) {
            return "quiet must be 0 to 3600 seconds";
        }
    }
    else if (strcmp(name, "format") == 0) {
        question->is_metrics = strcmp(value, "prometheus") == 0;
        if (!question->is_metrics && strcmp(value, "json") != 0) {
            return "format must be json or prometheus";
        }
    }
    else {
        return "parameters are balancer, member, wait, quiet and format";
    }
    return NULL;
}

static const char *read_question(question_t *question, request_rec *r)
{
    apr_table_t *args;
    const apr_array_header_t *list;
    const char *error = NULL;
    int i;

    memset(question, 0, sizeof(*question));
    question->quiet = apr_time_from_sec(QUIET_DEFAULT);
    if (r->args != NULL && strstr(r->args, "%00") != NULL) {
        return "a name has no zero byte";
    }
    ap_args_to_table(r, &args);
    list = apr_table_elts(args);
    for (i = 0; i < list->nelts && error == NULL; i++) {
        const apr_table_entry_t *one = &APR_ARRAY_IDX(list, i,
                                                      apr_table_entry_t);

        error = read_parameter(question, one->key, one->val, r->pool);
    }
    if (error == NULL && question->member != NULL
        && question->balancer == NULL) {
        error = "member needs balancer";
    }
    if (error == NULL && question->wait > 0 && question->member == NULL) {
        error = "wait needs balancer and member";
    }
    return error;
}

/* Why nobody was found, for 404. */
static const char *name_missing(const apr_array_header_t *census,
                                const char *balancer, const char *member,
                                apr_pool_t *p)
{
    return clone_census_has(census, balancer)
               ? apr_psprintf(p, "no such member in %s: '%s'", balancer,
                              member != NULL ? member : "")
               : apr_psprintf(p, "no such balancer: '%s'", balancer);
}

static const char *missing(const clone_view_t *view,
                           const question_t *question, apr_pool_t *p)
{
    if (view->sights->nelts > 0 || question->balancer == NULL) {
        return NULL;
    }
    return name_missing(view->census, question->balancer, question->member,
                        p);
}

static int answer_member(request_rec *r, int status,
                         const clone_view_t *view, const char *more)
{
    return answer_json(r, status, apr_pstrcat(
        r->pool, clone_sight_member_json(
            &APR_ARRAY_IDX(view->sights, 0, clone_sight_t), view->now,
            r->pool), more, "}\n", NULL));
}

/* Whether it is of no use to wait on: we or the client are about to go. */
static int is_ending(request_rec *r)
{
    apr_socket_t *socket = r->connection->master == NULL
                               ? ap_get_conn_socket(r->connection) : NULL;
    int state = AP_MPMQ_RUNNING;
    int is_gone = 0;

    if (ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS
        && state == AP_MPMQ_STOPPING) {
        return 1;
    }
    return socket != NULL
           && apr_socket_atreadeof(socket, &is_gone) == APR_SUCCESS
           && is_gone;
}

static clone_view_t *look(const question_t *question, apr_pool_t *p)
{
    return clone_sight_look(question->balancer, question->member,
                            question->quiet, p);
}

/*
 * Look again and again, in a pool of its own each time. A look takes longer
 * the more sessions there are; so do the pauses.
 */
static clone_view_t *watch(request_rec *r, const question_t *question)
{
    apr_time_t end = apr_time_now() + question->wait;
    apr_pool_t *p;

    apr_pool_create(&p, r->pool);
    for (;;) {
        apr_time_t begun = apr_time_now();
        clone_view_t *view = look(question, p);
        apr_time_t now = apr_time_now();
        apr_interval_time_t pause = (now - begun) * LOOK_SHARE;

        if (view->sights->nelts == 0 || now >= end || is_ending(r)
            || APR_ARRAY_IDX(view->sights, 0, clone_sight_t).why == 0) {
            return view;
        }
        if (pause < LOOK_USEC) {
            pause = LOOK_USEC;
        }
        apr_sleep(pause < end - now ? pause : end - now);
        apr_pool_clear(p);
    }
}

static int wait_for(request_rec *r, const question_t *question)
{
    clone_board_t *board = clone_track_board();
    clone_flight_t flight = clone_board_enter(board, CLONE_SLOT_WAITERS);
    clone_view_t *view = NULL;

    if (clone_board_flights(board, CLONE_SLOT_WAITERS)
        <= CLONE_ADMIN_WAITERS_MAX) {
        view = watch(r, question);
    }
    clone_board_leave(board, flight);
    if (view == NULL) {
        apr_table_setn(r->err_headers_out, "Retry-After", "5");
        return refuse(r, HTTP_SERVICE_UNAVAILABLE, "too many are waiting");
    }
    if (view->sights->nelts == 0) {
        return refuse(r, HTTP_NOT_FOUND, missing(view, question, r->pool));
    }
    return answer_member(
        r, APR_ARRAY_IDX(view->sights, 0, clone_sight_t).why == 0
               ? HTTP_OK : HTTP_ACCEPTED, view, "");
}

static int show(request_rec *r)
{
    question_t question;
    const clone_view_t *view;
    const char *error = read_question(&question, r);

    if (error != NULL) {
        return refuse(r, HTTP_BAD_REQUEST, error);
    }
    if (question.wait > 0) {
        return wait_for(r, &question);
    }
    view = look(&question, r->pool);
    error = missing(view, &question, r->pool);
    if (error != NULL) {
        return refuse(r, HTTP_NOT_FOUND, error);
    }
    if (question.is_metrics) {
        return answer(r, HTTP_OK, "text/plain; version=0.0.4",
                      clone_sight_metrics(view, r->pool));
    }
    return question.member != NULL
               ? answer_member(r, HTTP_OK, view, "")
               : answer_json(r, HTTP_OK, clone_sight_json(view, r->pool));
}

/* ---- changes ------------------------------------------------------------- */

/* What can be done to a member. */
typedef struct action_t {
    const char *name;
    unsigned int mask;
    unsigned int value;
    const char *done; /* for the log */
} action_t;

#define OUT_OF_IT (CLONE_FLAG_DRAIN | CLONE_FLAG_STOP | CLONE_FLAG_DISABLE)

static const action_t actions[] = {
    { "drain", CLONE_FLAG_DRAIN, CLONE_FLAG_DRAIN, "lets drain" },
    { "undrain", CLONE_FLAG_DRAIN, 0, "drains no more" },
    { "stop", CLONE_FLAG_STOP, CLONE_FLAG_STOP, "stops" },
    { "start", OUT_OF_IT, 0, "takes back" }
};

typedef struct command_t {
    const char *balancer;
    const char *member;
    const action_t *action;
    int is_forced;
} command_t;

static int is_json(request_rec *r)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    const char *word = type != NULL ? ap_getword(r->pool, &type, ';') : "";
    apr_size_t len = strlen(word);

    while (len > 0 && (word[len - 1] == ' ' || word[len - 1] == '\t')) {
        len--;
    }
    return len == strlen("application/json")
           && apr_cstr_casecmpn(word, "application/json", len) == 0;
}

/* All of a body that is small enough; else the status that says why not. */
static int read_body(span_t *body, request_rec *r)
{
    char *buffer = apr_palloc(r->pool, CLONE_ADMIN_BODY_MAX + 1);
    apr_size_t len = 0;
    long got;
    int rc = ap_setup_client_block(r, REQUEST_CHUNKED_DECHUNK);

    *body = span_of(buffer, 0);
    if (rc != OK) {
        return rc;
    }
    if (r->remaining > CLONE_ADMIN_BODY_MAX) {
        return HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    if (ap_should_client_block(r)) {
        do {
            got = ap_get_client_block(r, buffer + len,
                                      CLONE_ADMIN_BODY_MAX + 1 - len);
            if (got < 0) {
                return HTTP_BAD_REQUEST;
            }
            len += (apr_size_t)got;
        } while (got > 0 && len <= CLONE_ADMIN_BODY_MAX);
    }
    body->len = len;
    return len > CLONE_ADMIN_BODY_MAX ? HTTP_REQUEST_ENTITY_TOO_LARGE : OK;
}

static const action_t *find_action(const char *name)
{
    unsigned int i;

    for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, name) == 0) {
            return &actions[i];
        }
    }
    return NULL;
}

/* What a command wants; what is wrong with it, or NULL. */
static const char *read_command(command_t *command, const clone_json_t *json,
                                apr_pool_t *p)
{
    unsigned int i;

    memset(command, 0, sizeof(*command));
    for (i = 0; i < json->count; i++) {
        const clone_json_pair_t *pair = &json->pair[i];
        int is_text = pair->type == CLONE_JSON_TEXT;

        if (strcmp(pair->name, "balancer") == 0 && is_text) {
            command->balancer = full_name(pair->text, p);
        }
        else if (strcmp(pair->name, "member") == 0 && is_text) {
            command->member = pair->text;
        }
        else if (strcmp(pair->name, "action") == 0 && is_text) {
            command->action = find_action(pair->text);
            if (command->action == NULL) {
                return "action must be drain, undrain, stop or start";
            }
        }
        else if (strcmp(pair->name, "force") == 0
                 && (pair->type == CLONE_JSON_TRUE
                     || pair->type == CLONE_JSON_FALSE)) {
            command->is_forced = pair->type == CLONE_JSON_TRUE;
        }
        else {
            return "a command has the strings balancer, member and action, "
                   "and force, true or false";
        }
    }
    return command->balancer != NULL && command->member != NULL
           && command->action != NULL
               ? NULL : "balancer, member and action are needed";
}

/* Whether a balancer has somebody else for new sessions. */
static int has_another(const proxy_balancer *balancer, const char *member)
{
    int i;

    for (i = 0; i < balancer->workers->nelts; i++) {
        const proxy_worker *worker = APR_ARRAY_IDX(balancer->workers, i,
                                                   proxy_worker *);

        if (strcmp(clone_track_id(worker), member) != 0
            && PROXY_WORKER_IS_USABLE(worker)
            && !PROXY_WORKER_IS_DRAINING(worker)) {
            return 1;
        }
    }
    return 0;
}

/* Whether a change would leave a copy's balancer without anybody. */
static int is_last(const clone_person_t *person, const action_t *action)
{
    int i;

    for (i = 0; action->value != 0 && i < person->copies->nelts; i++) {
        const clone_copy_t *copy = clone_census_copy(person, i);

        if ((clone_census_flags(copy->worker) & action->mask)
                != action->value
            && !has_another(copy->balancer, person->id)) {
            return 1;
        }
    }
    return 0;
}

/*
 * Under the balancer's lock between processes, so that of two who take out
 * the last two members one is told.
 */
static int change(request_rec *r, const clone_person_t *person,
                  const command_t *command)
{
    proxy_balancer *balancer = clone_census_copy(person, 0)->balancer;
    int is_refused;
    int i;

    if (PROXY_GLOBAL_LOCK(balancer) != APR_SUCCESS) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    is_refused = !command->is_forced && is_last(person, command->action);
    for (i = 0; !is_refused && i < person->copies->nelts; i++) {
        clone_census_set(clone_census_copy(person, i), command->action->mask,
                         command->action->value);
    }
    (void)PROXY_GLOBAL_UNLOCK(balancer);
    return is_refused ? HTTP_CONFLICT : OK;
}

static int obey(request_rec *r, const command_t *command)
{
    apr_array_header_t *census = clone_census_take(1, r->pool);
    const clone_person_t *person = clone_census_find(
        census, command->balancer, command->member);
    const char *user = r->user != NULL ? r->user : "-";
    apr_status_t kept;
    int rc;

    if (person == NULL) {
        return refuse(r, HTTP_NOT_FOUND,
                      name_missing(census, command->balancer, command->member,
                                   r->pool));
    }
    rc = change(r, person, command);
    if (rc == HTTP_CONFLICT) {
        return refuse(r, rc, "it is the last member that takes new sessions; "
                             "to do it nevertheless say \"force\": true, "
                             "clonectl --force");
    }
    if (rc != OK) {
        return refuse(r, rc, "the balancer is locked");
    }
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, CRLOG(0300)
                  "%s: user %s at %s %s %s, in %d virtual hosts%s",
                  person->balancer, user, r->useragent_ip,
                  command->action->done, person->id, person->copies->nelts,
                  command->is_forced ? ", forced" : "");
    kept = clone_keep_capture(r, census, apr_pstrndup(r->pool, user, 128));
    return answer_member(
        r, HTTP_OK, clone_sight_look(command->balancer, command->member,
                                     apr_time_from_sec(QUIET_DEFAULT),
                                     r->pool),
        kept == APR_SUCCESS ? ",\"kept\":true" : ",\"kept\":false");
}

static const char *body_error(int status)
{
    return status == HTTP_REQUEST_ENTITY_TOO_LARGE
               ? "a command has at most 4096 bytes"
               : "the body could not be read";
}

static int take_command(request_rec *r)
{
    command_t command;
    clone_json_t json;
    clone_json_e fault;
    const char *error;
    span_t body;
    int rc;

    if (apr_table_get(r->headers_in, HEADER) == NULL) {
        return refuse(r, HTTP_FORBIDDEN, "a change needs a header " HEADER
                                         ", whatever it says");
    }
    if (!is_json(r)) {
        return refuse(r, HTTP_UNSUPPORTED_MEDIA_TYPE,
                      "a command is application/json");
    }
    if (r->args != NULL) {
        return refuse(r, HTTP_BAD_REQUEST, "a command has no parameters");
    }
    if (is_ending(r)) {
        /* Our members are no longer those that the next children have. */
        return refuse(r, HTTP_SERVICE_UNAVAILABLE, "httpd is restarting");
    }
    rc = read_body(&body, r);
    if (rc != OK) {
        r->connection->keepalive = AP_CONN_CLOSE;
        return refuse(r, rc, body_error(rc));
    }
    fault = clone_json_parse(&json, body, r->pool);
    if (fault != CLONE_JSON_OK) {
        return refuse(r, HTTP_BAD_REQUEST, clone_json_name(fault));
    }
    error = read_command(&command, &json, r->pool);
    return error != NULL ? refuse(r, HTTP_UNPROCESSABLE_ENTITY, error)
                         : obey(r, &command);
}

int clone_admin_handler(request_rec *r)
{
    if (r->handler == NULL || strcmp(r->handler, HANDLER) != 0) {
        return DECLINED;
    }
    if (r->path_info != NULL && r->path_info[0] != '\0'
        && strcmp(r->path_info, "/") != 0) {
        return refuse(r, HTTP_NOT_FOUND, "nothing is here");
    }
    switch (r->method_number) {
    case M_GET:
        return show(r);
    case M_POST:
        return take_command(r);
    default:
        apr_table_setn(r->err_headers_out, "Allow", "GET, HEAD, POST");
        return refuse(r, HTTP_METHOD_NOT_ALLOWED, "methods are GET, HEAD and "
                                                  "POST");
    }
}
