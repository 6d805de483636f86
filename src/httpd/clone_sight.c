/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_sight.h"

#include <apr_strings.h>
#include <mod_proxy.h>

#include "clone_admit.h"
#include "clone_json.h"
#include "clone_keep.h"
#include "clone_server.h"
#include "clone_track.h"

/* ---- look ---------------------------------------------------------------- */

static void look_at_limit(clone_sight_t *sight, const clone_conf_t *conf,
                          const clone_copy_t *copy)
{
    unsigned int most = clone_admit_most(conf, copy->server,
                                         sight->person->balancer,
                                         copy->worker);

    if (most > 0 && (sight->most == 0 || most < sight->most)) {
        sight->most = most;
    }
    if (conf->limit.slow_start > sight->slow_start) {
        sight->slow_start = conf->limit.slow_start;
    }
}

static void look_at_copies(clone_sight_t *sight, apr_uint32_t *idle_sec)
{
    const clone_person_t *person = sight->person;
    int i;

    *idle_sec = 0;
    sight->all = ~0u;
    for (i = 0; i < person->copies->nelts; i++) {
        const clone_copy_t *copy = clone_census_copy(person, i);
        unsigned int flags = clone_census_flags(copy->worker);
        clone_conf_t conf;

        sight->any |= flags;
        sight->all &= flags;
        sight->facts.copies++;
        sight->facts.closed += flags != 0;
        sight->usable += PROXY_WORKER_IS_USABLE(copy->worker) != 0;
        sight->is_routed |= clone_server_is_routed(
            clone_server_known(copy->server, copy->balancer->s->name),
            copy->balancer);
        clone_server_settings(&conf, copy->server, person->balancer);
        look_at_limit(sight, &conf, copy);
        if (clone_conf_session_idle(&conf) > *idle_sec) {
            *idle_sec = clone_conf_session_idle(&conf);
        }
    }
}

static unsigned int share_of(const clone_sight_t *sight, apr_time_t back,
                             apr_time_t now)
{
    clone_limit_conf_t limit;

    memset(&limit, 0, sizeof(limit));
    limit.slow_start = sight->slow_start;
    return clone_limit_share(&limit, back, now);
}

/*
 * Counted are sessions that were used since there is a table: for as long as
 * one may idle, there may be others. So there may after one found no room.
 */
static void look_at_counts(clone_sight_t *sight, clone_slot_no slot,
                           const clone_tally_t *tally, apr_uint32_t idle_sec,
                           apr_time_t now)
{
    clone_board_t *board = clone_track_board();
    apr_time_t whole = clone_sessions_since(clone_track_sessions())
                       + apr_time_from_sec(idle_sec);
    clone_slot_no queue = sight->most > 0 ? clone_board_queue(board, slot) : 0;
    int i;

    sight->facts.sessions = tally[slot].sessions;
    sight->over_in = tally[slot].longest;
    sight->facts.is_exact = sight->is_routed && now >= whole
                            && now >= clone_board_missed(board, slot);
    sight->facts.in_flight = clone_board_flights(board, slot);
    sight->share = share_of(sight, clone_board_back(board, slot), now);
    sight->waiting = queue != 0 ? clone_board_flights(board, queue) : 0;
    for (i = 0; i < CLONE_BOARD_COUNTS; i++) {
        sight->counts[i] = clone_board_counted(board, slot,
                                               (clone_board_count_e)i);
    }
    sight->last = clone_board_last(board, slot);
    sight->drained = clone_board_drain(
        board, slot, (sight->any & CLONE_FLAG_DRAIN) != 0, now);
    sight->facts.quiet = sight->last == 0 ? -1
                         : now > sight->last ? now - sight->last : 0;
}

static void look_at(clone_sight_t *sight, const clone_person_t *person,
                    const apr_array_header_t *intents,
                    const clone_tally_t *tally, apr_time_t now)
{
    const proxy_worker *worker = clone_census_copy(person, 0)->worker;
    clone_slot_no slot = clone_track_slot(person->balancer, worker);
    apr_uint32_t idle_sec;

    sight->person = person;
    sight->intent = clone_intent_find(intents, person->balancer, person->id);
    sight->facts.quiet = -1;
    sight->share = CLONE_SHARE_WHOLE;
    look_at_copies(sight, &idle_sec);
    if (slot != 0) {
        look_at_counts(sight, slot, tally, idle_sec, now);
    }
    sight->why = clone_drain_judge(&sight->facts);
}

clone_view_t *clone_sight_look(const char *balancer, const char *member,
                               apr_interval_time_t quiet_wanted,
                               apr_pool_t *p)
{
    clone_view_t *view = apr_palloc(p, sizeof(*view));
    clone_tally_t *tally = apr_palloc(p, CLONE_SLOTS * sizeof(*tally));
    apr_array_header_t *intents = clone_keep_intents(p);
    int i;

    view->now = apr_time_now();
    view->census = clone_census_take(1, p);
    view->sights = apr_array_make(p, 8, sizeof(clone_sight_t));
    clone_sessions_tally(clone_track_sessions(), tally, view->now);
    for (i = 0; i < view->census->nelts; i++) {
        const clone_person_t *person = &APR_ARRAY_IDX(view->census, i,
                                                      clone_person_t);

        if ((balancer == NULL || strcmp(person->balancer, balancer) == 0)
            && (member == NULL || strcmp(person->id, member) == 0)) {
            clone_sight_t *sight = apr_array_push(view->sights);

            memset(sight, 0, sizeof(*sight));
            sight->facts.quiet_wanted = quiet_wanted;
            look_at(sight, person, intents, tally, view->now);
        }
    }
    return view;
}

/* ---- JSON ---------------------------------------------------------------- */

/* "2026-01-31T23:59:59Z" in quotes, or null. */
static const char *write_time(apr_time_t time, apr_pool_t *p)
{
    apr_time_exp_t parts;

    if (time == 0 || apr_time_exp_gmt(&parts, time) != APR_SUCCESS) {
        return "null";
    }
    return apr_psprintf(p, "\"%04d-%02d-%02dT%02d:%02d:%02dZ\"",
                        parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                        parts.tm_hour, parts.tm_min, parts.tm_sec);
}

static const char *state_of(const clone_sight_t *sight)
{
    if (sight->any != sight->all) {
        return "mixed";
    }
    if (sight->any & CLONE_FLAG_STOP) {
        return "stopped";
    }
    if (sight->any & CLONE_FLAG_DISABLE) {
        return "disabled";
    }
    if (sight->any & CLONE_FLAG_DRAIN) {
        return "draining";
    }
    return sight->usable == 0 ? "down" : "up";
}

static const char *write_reasons(unsigned int why, apr_pool_t *p)
{
    const char *text = "";
    unsigned int i;

    for (i = 0; i < CLONE_UNSAFE_BITS; i++) {
        if (why & 1u << i) {
            text = apr_pstrcat(p, text, *text != '\0' ? "," : "", "\"",
                               clone_unsafe_name(1u << i), "\"", NULL);
        }
    }
    return text;
}

static const char *name_of(const clone_person_t *person)
{
    return strncmp(person->balancer, BALANCER_PREFIX,
                   sizeof(BALANCER_PREFIX) - 1) == 0
               ? person->balancer + sizeof(BALANCER_PREFIX) - 1
               : person->balancer;
}

static const char *word_of(int is_true)
{
    return is_true ? "true" : "false";
}

static const char *write_limit(const clone_sight_t *sight, apr_pool_t *p)
{
    return apr_psprintf(
        p, "\"max_in_flight\":%s,\"waiting\":%u,\"waited\":%"
        APR_UINT64_T_FMT ",\"refused\":%" APR_UINT64_T_FMT ",\"expired\":%"
        APR_UINT64_T_FMT ",\"passed\":%" APR_UINT64_T_FMT
        ",\"slow_start_share\":%.3f",
        sight->most > 0 ? apr_psprintf(p, "%u", sight->most) : "null",
        sight->waiting, sight->counts[CLONE_BOARD_WAITED],
        sight->counts[CLONE_BOARD_REFUSED],
        sight->counts[CLONE_BOARD_EXPIRED],
        sight->counts[CLONE_BOARD_PASSED],
        (double)sight->share / CLONE_SHARE_WHOLE);
}

static const char *write_counts(const clone_sight_t *sight, apr_pool_t *p)
{
    if (!sight->is_routed) {
        return "\"sessions\":null,\"sessions_exact\":false,"
               "\"sessions_over_in_sec\":null,\"in_flight\":null";
    }
    return apr_psprintf(
        p, "\"sessions\":%" APR_UINT64_T_FMT ",\"sessions_exact\":%s,"
        "\"sessions_over_in_sec\":%u,\"in_flight\":%u",
        sight->facts.sessions, word_of(sight->facts.is_exact), sight->over_in,
        sight->facts.in_flight);
}

const char *clone_sight_member_json(const clone_sight_t *sight,
                                    apr_time_t now, apr_pool_t *p)
{
    const clone_person_t *person = sight->person;
    const proxy_worker *worker = clone_census_copy(person, 0)->worker;
    const clone_intent_t *intent = sight->intent;
    const char *quiet = sight->facts.quiet < 0 ? "null" : apr_psprintf(
        p, "%.3f", (double)sight->facts.quiet / APR_USEC_PER_SEC);

    return apr_psprintf(
        p, "{\"balancer\":%s,\"member\":%s,\"url\":%s,\"routed\":%s,"
        "\"state\":\"%s\",\"flags\":\"%s%s%s\",\"copies\":%u,"
        "\"copies_closed\":%u,%s,%s,\"last_request_sec\":%s,"
        "\"drain_since\":%s,\"changed\":%s,\"changed_by\":%s,"
        "\"safe_to_stop\":%s,\"reasons\":[%s]",
        clone_json_quote(name_of(person), p), clone_json_quote(person->id, p),
        clone_json_quote(worker->s->name_ex, p), word_of(sight->is_routed),
        state_of(sight), sight->any & CLONE_FLAG_DRAIN ? "N" : "",
        sight->any & CLONE_FLAG_STOP ? "S" : "",
        sight->any & CLONE_FLAG_DISABLE ? "D" : "", sight->facts.copies,
        sight->facts.closed, write_counts(sight, p), write_limit(sight, p),
        quiet,
        write_time(sight->drained, p),
        write_time(intent != NULL ? intent->since : 0, p),
        intent != NULL ? clone_json_quote(intent->by, p) : "null",
        word_of(sight->why == 0), write_reasons(sight->why, p));
}

const char *clone_sight_json(const clone_view_t *view, apr_pool_t *p)
{
    apr_array_header_t *parts = apr_array_make(p, 16, sizeof(char *));
    int i;

    APR_ARRAY_PUSH(parts, const char *) = apr_psprintf(
        p, "{\"time\":%s,\"counting_since\":%s,\"members\":[",
        write_time(view->now, p),
        write_time(clone_sessions_since(clone_track_sessions()), p));
    for (i = 0; i < view->sights->nelts; i++) {
        APR_ARRAY_PUSH(parts, const char *) = i > 0 ? ",\n" : "\n";
        APR_ARRAY_PUSH(parts, const char *) = clone_sight_member_json(
            &APR_ARRAY_IDX(view->sights, i, clone_sight_t), view->now, p);
        APR_ARRAY_PUSH(parts, const char *) = "}";
    }
    APR_ARRAY_PUSH(parts, const char *) = "]}\n";
    return apr_array_pstrcat(p, parts, '\0');
}

/* ---- Prometheus ---------------------------------------------------------- */

/* A label's value: backslash, quote and newline are escaped. */
static const char *label(const char *text, apr_pool_t *p)
{
    char *value = apr_palloc(p, 2 * strlen(text) + 1);
    char *out = value;

    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"' || *text == '\n') {
            *out++ = '\\';
        }
        *out++ = *text == '\n' ? 'n' : *text;
    }
    *out = '\0';
    return value;
}

typedef double (*measure_f)(const clone_sight_t *sight);

static double sessions_of(const clone_sight_t *sight)
{
    return (double)sight->facts.sessions;
}

static double exact_of(const clone_sight_t *sight)
{
    return sight->facts.is_exact;
}

static double in_flight_of(const clone_sight_t *sight)
{
    return sight->facts.in_flight;
}

static double most_of(const clone_sight_t *sight)
{
    return sight->most;
}

static double waiting_of(const clone_sight_t *sight)
{
    return sight->waiting;
}

static double share_part_of(const clone_sight_t *sight)
{
    return (double)sight->share / CLONE_SHARE_WHOLE;
}

static double waited_of(const clone_sight_t *sight)
{
    return (double)sight->counts[CLONE_BOARD_WAITED];
}

static double refused_of(const clone_sight_t *sight)
{
    return (double)sight->counts[CLONE_BOARD_REFUSED];
}

static double expired_of(const clone_sight_t *sight)
{
    return (double)sight->counts[CLONE_BOARD_EXPIRED];
}

static double passed_of(const clone_sight_t *sight)
{
    return (double)sight->counts[CLONE_BOARD_PASSED];
}

static double last_of(const clone_sight_t *sight)
{
    return (double)sight->last / APR_USEC_PER_SEC;
}

static double usable_of(const clone_sight_t *sight)
{
    return sight->usable == sight->facts.copies;
}

static double draining_of(const clone_sight_t *sight)
{
    return (sight->all & CLONE_FLAG_DRAIN) != 0;
}

static double safe_of(const clone_sight_t *sight)
{
    return sight->why == 0;
}

static const struct {
    const char *name;
    const char *help;
    measure_f measure;
    int is_counter;
} metrics[] = {
    { "proxy_clone_sessions", "live sessions that were counted",
      sessions_of },
    { "proxy_clone_sessions_exact", "1 when there are no others", exact_of },
    { "proxy_clone_in_flight", "requests under way", in_flight_of },
    { "proxy_clone_max_in_flight", "that there may be, 0 for any number",
      most_of },
    { "proxy_clone_slow_start_share",
      "part of its share of new sessions that it gets", share_part_of },
    { "proxy_clone_waiting", "requests that wait for a place", waiting_of },
    { "proxy_clone_waited_total", "requests that did", waited_of, 1 },
    { "proxy_clone_refused_total",
      "answered 503 because as many waited as may", refused_of, 1 },
    { "proxy_clone_expired_total", "answered 503 after waiting in vain",
      expired_of, 1 },
    { "proxy_clone_passed_total",
      "without a session, passed it because it was full", passed_of, 1 },
    { "proxy_clone_last_request_timestamp_seconds",
      "end of the last request, 0 for none", last_of },
    { "proxy_clone_usable", "1 when it may serve requests", usable_of },
    { "proxy_clone_draining", "1 when it takes no new sessions",
      draining_of },
    { "proxy_clone_safe_to_stop", "1 when nobody would miss it", safe_of }
};

const char *clone_sight_metrics(const clone_view_t *view, apr_pool_t *p)
{
    apr_array_header_t *lines = apr_array_make(p, 32, sizeof(char *));
    unsigned int m;
    int i;

    for (m = 0; m < sizeof(metrics) / sizeof(metrics[0]); m++) {
        APR_ARRAY_PUSH(lines, const char *) = apr_psprintf(
            p, "# HELP %s %s\n# TYPE %s %s\n", metrics[m].name,
            metrics[m].help, metrics[m].name,
            metrics[m].is_counter ? "counter" : "gauge");
        for (i = 0; i < view->sights->nelts; i++) {
            const clone_sight_t *sight = &APR_ARRAY_IDX(view->sights, i,
                                                        clone_sight_t);

            APR_ARRAY_PUSH(lines, const char *) = apr_psprintf(
                p, "%s{balancer=\"%s\",member=\"%s\"} %.3f\n",
                metrics[m].name, label(name_of(sight->person), p),
                label(sight->person->id, p), metrics[m].measure(sight));
        }
    }
    return apr_array_pstrcat(p, lines, '\0');
}
