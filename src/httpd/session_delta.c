/* SPDX-License-Identifier: Apache-2.0 */
#include "session_delta.h"

#include <http_config.h>
#include <http_log.h>

#include <apr_strings.h>

#include "ha_form.h"
#include "log_tags.h"
#include "session_hooks.h"
#include "session_protocol.h"
#include "session_state.h"

APLOG_USE_MODULE(session_ha);

static const char *name_of(const request_rec *r)
{
    return ha_conf_delta_header(session_conf_of(r->per_dir_config));
}

int session_delta_is_wanted(const request_rec *r)
{
    return name_of(r) != NULL;
}

typedef struct lines_t {
    const char *text; /* NULL: no such header */
    apr_pool_t *pool;
} lines_t;

static int add_line(void *ctx, const char *name, const char *value)
{
    lines_t *lines = ctx;

    lines->text = lines->text == NULL
                ? value : apr_pstrcat(lines->pool, lines->text, ", ", value,
                                      NULL);
    return 1;
}

/* All lines of a header, and none of them left. */
static const char *take_lines(request_rec *r, const char *name)
{
    lines_t lines = { NULL, r->pool };

    apr_table_do(add_line, &lines, r->headers_out, name, NULL);
    apr_table_do(add_line, &lines, r->err_headers_out, name, NULL);
    if (lines.text != NULL) {
        apr_table_unset(r->headers_out, name);
        apr_table_unset(r->err_headers_out, name);
    }
    return lines.text;
}

/* mod_session keeps the expiry among the attributes, under this name. */
static int is_reserved(const ha_op_t *ops, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (strcasecmp(ops[i].name.data, "expiry") == 0) {
            return 1;
        }
    }
    return 0;
}

/* Why a session can take no change; NULL when it can. */
static const char *fault_of(const session_state_t *state, request_rec *r)
{
    if (state == NULL) {
        return "there are no sessions at this place";
    }
    if (state->found == SESSION_NOBODY) {
        return "sessions belong to users here, and no user is known";
    }
    if (session_state_is_closed(state)) {
        return "nobody could say what the session holds";
    }
    return state->session == NULL && session_root_of(r, 1)->is_answered
         ? "the answer has begun, and no cookie can be set any more" : NULL;
}

static void apply(session_state_t *state, const ha_op_t *ops,
                  unsigned int count)
{
    unsigned int i;

    session_protocol_reopen(state);
    for (i = 0; i < count; i++) {
        if (ops[i].gone) {
            apr_table_unset(state->z->entries, ops[i].name.data);
        }
        else {
            apr_table_set(state->z->entries, ops[i].name.data,
                          ops[i].value.data);
        }
    }
    state->z->dirty = 1;
}

static void take_one(request_rec *r)
{
    const char *name = name_of(r);
    const char *text = name != NULL ? take_lines(r, name) : NULL;
    session_state_t *state;
    const char *fault;
    ha_op_t *ops;
    unsigned int count;
    ha_form_e result;

    if (text == NULL) {
        return;
    }
    result = ha_form_parse(&ops, &count, span_of_text(text), r->pool);
    if (result != HA_FORM_OK || is_reserved(ops, count)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0430)
                      "%s of the application is malformed, none of its "
                      "changes is taken: %s", name, result != HA_FORM_OK
                      ? ha_form_name(result)
                      : "the name expiry belongs to mod_session");
        return;
    }
    state = session_hooks_session(r);
    fault = fault_of(state, r);
    if (fault != NULL && count > 0) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0431)
                      "%u changes in %s of the application are lost: %s",
                      count, name, fault);
        return;
    }
    if (count > 0) {
        apply(state, ops, count);
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, HALOG(0432)
                      "%u changes in %s of the application taken", count,
                      name);
    }
}

void session_delta_take(request_rec *r)
{
    /* What the earlier one said was said first. */
    if (r->prev != NULL) {
        session_delta_take(r->prev);
    }
    take_one(r);
}
