/* SPDX-License-Identifier: Apache-2.0 */
#include "conf_where.h"

#include <stdio.h>

#include <apr_strings.h>

#include "clone_ids.h"
#include "clone_route.h"
#include "clone_seats.h"
#include "clone_text.h"
#include "clone_values.h"

/* A ClusterAddress that is a member has no other name. */
#define ADDRESS_NAME "ClusterAddress"

/* All that is known about where a request goes. */
typedef struct answer_t {
    clone_match_hit_t hit;
    const clone_plugin_server_t **server; /* those that may get requests */
    clone_member_t *member;               /* the same, as the router sees */
    unsigned int count;
    clone_plugin_server_t address; /* the ClusterAddress, as if it were one */
    clone_ids_t session[CLONE_VALUES_MAX];
    unsigned int session_count;
} answer_t;

static int is_called(const clone_plugin_server_t *server, const char *word)
{
    return strcmp(word, server->name) == 0
           || (server->clone_id != NULL
               && strcmp(word, server->clone_id) == 0);
}

static int is_down(const tool_t *tool, const clone_plugin_server_t *server)
{
    unsigned int i;

    for (i = 0; i < tool->down_count; i++) {
        if (is_called(server, tool->down[i])) {
            return 1;
        }
    }
    return 0;
}

static int is_in(const clone_plugin_cluster_t *cluster, const char *word)
{
    unsigned int i;

    for (i = 0; i < cluster->server_count; i++) {
        if (is_called(&cluster->server[i], word)) {
            return 1;
        }
    }
    return cluster->address_count > 0 && strcmp(word, ADDRESS_NAME) == 0;
}

/* Whether all that is said to be away is in the file; a word that nobody has
 * would answer another question than the one asked. */
static int are_known(const tool_t *tool, const clone_plugin_t *plugin)
{
    unsigned int found;
    unsigned int i;
    unsigned int j;

    for (i = 0; i < tool->down_count; i++) {
        found = 0;
        for (j = 0; j < plugin->cluster_count && !found; j++) {
            found = is_in(&plugin->cluster[j], tool->down[i]);
        }
        if (!found) {
            fprintf(stderr, "clonectl-conf: --down: no server of %s, and no "
                    "clone id, is '%s'\n", tool->file,
                    clone_text_printable(span_of_text(tool->down[i]),
                                         CLONE_QUOTE_MAX, tool->p));
            return 0;
        }
    }
    return 1;
}

static int is_address(const clone_plugin_server_t *server)
{
    return server->rank == CLONE_SEATS_ADDRESS_SET;
}

static const char *address_of(const clone_plugin_server_t *server,
                              const ask_t *ask, apr_pool_t *p)
{
    const clone_plugin_transport_t *transport =
        clone_plugin_transport(server, ask->is_https);
    int is_v6 = strchr(transport->host, ':') != NULL;

    return apr_psprintf(p, "%s://%s%s%s:%u",
                        transport->is_https ? "https" : "http",
                        is_v6 ? "[" : "", transport->host, is_v6 ? "]" : "",
                        transport->port);
}

static void add_member(answer_t *answer, const tool_t *tool, const ask_t *ask,
                       const clone_plugin_server_t *server)
{
    clone_member_t *member = &answer->member[answer->count];
    const char *id = server->clone_id != NULL ? server->clone_id : "";

    memset(member, 0, sizeof(*member));
    member->route = span_of_text(id);
    member->name = id[0] != '\0'
        ? member->route
        : span_of_text(address_of(server, ask, tool->p));
    member->weight = server->weight > 0 ? server->weight : 1;
    member->lbset = is_address(server) ? CLONE_SEATS_ADDRESS_SET
                    : server->role == CLONE_PLUGIN_BACKUP
                    ? (int)server->rank + 1 : 0;
    member->is_usable = !is_down(tool, server);
    member->is_draining = server->weight == 0;
    answer->server[answer->count++] = server;
}

/* A ClusterAddress, unless a server stands at it and so is the member. */
static void see_address(answer_t *answer, const tool_t *tool,
                        const ask_t *ask)
{
    const clone_plugin_cluster_t *cluster = answer->hit.route->cluster;
    const apr_array_header_t *seats = clone_seats_make(cluster, ask->is_https,
                                                       tool->p);
    const clone_seat_t *last = seats->nelts > 0
        ? (const clone_seat_t *)(const void *)seats->elts + seats->nelts - 1
        : NULL;

    if (last == NULL || last->server != NULL) {
        return;
    }
    answer->address.name = ADDRESS_NAME;
    answer->address.rank = CLONE_SEATS_ADDRESS_SET;
    answer->address.weight = 1;
    answer->address.transport = last->transport;
    answer->address.transport_count = 1;
    answer->address.line = last->transport->line;
    add_member(answer, tool, ask, &answer->address);
}

static void see_members(answer_t *answer, const tool_t *tool,
                        const ask_t *ask)
{
    const clone_plugin_cluster_t *cluster = answer->hit.route->cluster;
    unsigned int room = cluster->primary_count + cluster->backup_count + 1;
    unsigned int i;

    answer->server = apr_palloc(tool->p, room * sizeof(*answer->server));
    answer->member = apr_palloc(tool->p, room * sizeof(*answer->member));
    for (i = 0; i < cluster->primary_count; i++) {
        add_member(answer, tool, ask, cluster->primary[i]);
    }
    for (i = 0; i < cluster->backup_count; i++) {
        add_member(answer, tool, ask, cluster->backup[i]);
    }
    see_address(answer, tool, ask);
}

static void add_session(answer_t *answer, span_t value, apr_pool_t *p)
{
    clone_format_t format;

    clone_format_of(&format, answer->hit.route->cluster->is_plus_separated
                             ? CLONE_PROFILE_WEBSPHERE_PLUS
                             : CLONE_PROFILE_WEBSPHERE);
    if (clone_ids_parse(&answer->session[answer->session_count], value,
                        &format, p) == CLONE_PARSE_OK) {
        answer->session_count++;
    }
}

static void see_sessions(answer_t *answer, const ask_t *ask,
                         apr_pool_t *p)
{
    clone_values_t values;
    unsigned int i;

    clone_values_init(&values);
    if (ask->cookie != NULL && answer->hit.cookie != NULL) {
        clone_values_add_cookies(&values, span_of_text(ask->cookie),
                                 span_of_text(answer->hit.cookie));
        if (values.count == 0 && strpbrk(ask->cookie, "=;") == NULL) {
            add_session(answer, span_of_text(ask->cookie), p);
        }
    }
    if (answer->hit.url_id != NULL) {
        clone_values_add_url(&values, span_of_text(ask->url),
                             span_of_text(answer->hit.url_id));
    }
    for (i = 0; i < values.count
                && answer->session_count < CLONE_VALUES_MAX; i++) {
        add_session(answer, values.value[i], p);
    }
}

/* Without a session any member of the best set may be next: the method of the
 * balancer says which. */
static int choose(clone_choice_t *choice, const answer_t *answer)
{
    clone_route_choose(choice, answer->member, answer->count,
                       answer->session, answer->session_count, 0);
    return choice->reason != CLONE_REASON_NONE
           && choice->reason != CLONE_REASON_NEW;
}

static int is_better(const clone_member_t *a, const clone_member_t *b)
{
    return a->is_usable && !a->is_draining && !a->is_tried
           && (b == NULL || a->lbset < b->lbset);
}

/* Members of the lowest set that takes new sessions; or the ClusterAddress,
 * which takes them all. */
static unsigned int mark_balanced(char *is_marked, const answer_t *answer)
{
    const clone_member_t *best = NULL;
    unsigned int count = 0;
    unsigned int i;

    if (answer->count > 0 && is_address(answer->server[answer->count - 1])
        && is_better(&answer->member[answer->count - 1], NULL)) {
        is_marked[answer->count - 1] = 1;
        return 1;
    }
    for (i = 0; i < answer->count; i++) {
        if (is_better(&answer->member[i], best)) {
            best = &answer->member[i];
        }
    }
    for (i = 0; i < answer->count; i++) {
        is_marked[i] = best != NULL
                       && answer->member[i].lbset == best->lbset
                       && is_better(&answer->member[i], NULL);
        count += is_marked[i] != 0;
    }
    return count;
}

static void print_server(const char *label, const clone_plugin_server_t *it,
                         const ask_t *ask, const char *why, apr_pool_t *p)
{
    printf("%-10s %s (%s%s%s, line %u): %s\n", label, it->name,
           it->clone_id != NULL ? it->clone_id : "",
           it->clone_id != NULL ? ", " : "", address_of(it, ask, p),
           it->line, why);
}

static void print_match(const answer_t *answer)
{
    const clone_match_hit_t *hit = &answer->hit;

    if (hit->vhost != NULL) {
        printf("%-10s %s (line %u)\n", "host", hit->vhost->name,
               hit->vhost->line);
    }
    else {
        printf("%-10s any\n", "host");
    }
    if (hit->uri != NULL) {
        printf("%-10s %s (line %u)\n", "uri", hit->uri->name,
               hit->uri->line);
    }
    else {
        printf("%-10s any\n", "uri");
    }
    printf("%-10s line %u\n", "route", hit->route->line);
    printf("%-10s %s (line %u), %s\n", "cluster", hit->route->cluster->name,
           hit->route->cluster->line,
           hit->route->cluster->balance == CLONE_PLUGIN_RANDOM
           ? "random" : "round robin");
    printf("%-10s cookie %s, URL parameter %s\n", "session",
           hit->cookie != NULL ? hit->cookie : "none",
           hit->url_id != NULL ? hit->url_id : "none");
}

static void print_ids(const answer_t *answer, apr_pool_t *p)
{
    unsigned int count = 0;
    unsigned int i;
    unsigned int j;

    printf("%-10s", "clone ids");
    for (i = 0; i < answer->session_count; i++) {
        for (j = 0; j < answer->session[i].count; j++) {
            printf(" %s", clone_text_printable(answer->session[i].clone[j],
                                               CLONE_QUOTE_MAX, p));
            count++;
        }
    }
    printf("%s\n", count > 0 ? ""
           : answer->session_count > 0 ? " none in the session"
           : " no session");
}

static void print_balanced(const answer_t *answer, const ask_t *ask,
                           const tool_t *tool)
{
    char *is_marked = apr_pcalloc(tool->p, answer->count + 1);
    unsigned int i;

    if (mark_balanced(is_marked, answer) == 0) {
        printf("%-10s nobody: no server takes new sessions\n", "goes to");
        return;
    }
    for (i = 0; i < answer->count; i++) {
        if (is_marked[i]) {
            print_server("goes to", answer->server[i], ask,
                         is_address(answer->server[i])
                         ? "takes what has no session"
                         : apr_psprintf(tool->p, "by balance, weight %u",
                                        answer->server[i]->weight), tool->p);
        }
    }
}

static void print_answer(answer_t *answer, const ask_t *ask,
                         const tool_t *tool)
{
    const char *label = "goes to";
    clone_choice_t choice;

    print_match(answer);
    print_ids(answer, tool->p);
    while (choose(&choice, answer)) {
        print_server(label, answer->server[choice.member], ask,
                     clone_reason_name(choice.reason), tool->p);
        answer->member[choice.member].is_tried = 1;
        label = "then to";
    }
    if (choice.reason == CLONE_REASON_NEW) {
        print_balanced(answer, ask, tool);
    }
    else if (label[0] == 'g') {
        printf("%-10s nobody: no server may serve it\n", label);
    }
}

static void put_server(const clone_plugin_server_t *server, const ask_t *ask,
                       const char *reason, int is_first, apr_pool_t *p)
{
    printf("%s\n  {", is_first ? "" : ",");
    conf_tool_put_text("server", server->name);
    printf(", ");
    conf_tool_put_text("clone_id", server->clone_id);
    printf(", ");
    conf_tool_put_text("address", address_of(server, ask, p));
    printf(", \"weight\": %u, \"line\": %u, ", server->weight, server->line);
    conf_tool_put_text("role", is_address(server) ? "address"
                               : clone_plugin_role_name(server->role));
    printf(", ");
    conf_tool_put_text("reason", reason);
    printf("}");
}

static void put_match(const answer_t *answer)
{
    const clone_match_hit_t *hit = &answer->hit;

    conf_tool_put_text("vhost", hit->vhost != NULL ? hit->vhost->name : NULL);
    printf(", \"vhost_line\": %u, ",
           hit->vhost != NULL ? hit->vhost->line : 0);
    conf_tool_put_text("uri", hit->uri != NULL ? hit->uri->name : NULL);
    printf(", \"uri_line\": %u, \"route_line\": %u, ",
           hit->uri != NULL ? hit->uri->line : 0, hit->route->line);
    conf_tool_put_text("cluster", hit->route->cluster->name);
    printf(", \"cluster_line\": %u, ", hit->route->cluster->line);
    conf_tool_put_text("cookie", hit->cookie);
    printf(", ");
    conf_tool_put_text("url_parameter", hit->url_id);
}

static void put_answer(answer_t *answer, const ask_t *ask,
                       const tool_t *tool)
{
    char *is_marked = apr_pcalloc(tool->p, answer->count + 1);
    clone_choice_t choice;
    int is_first = 1;
    unsigned int i;
    unsigned int j;

    printf("{\"is_routed\": true, ");
    put_match(answer);
    printf(", \"sessions\": %u, \"clone_ids\": [", answer->session_count);
    for (i = 0; i < answer->session_count; i++) {
        for (j = 0; j < answer->session[i].count; j++) {
            printf(is_first ? "" : ", ");
            conf_tool_put_string(
                clone_text_printable(answer->session[i].clone[j],
                                     CLONE_QUOTE_MAX, tool->p));
            is_first = 0;
        }
    }
    printf("], \"order\": [");
    is_first = 1;
    while (choose(&choice, answer)) {
        put_server(answer->server[choice.member], ask,
                   clone_reason_name(choice.reason), is_first, tool->p);
        answer->member[choice.member].is_tried = 1;
        is_first = 0;
    }
    printf("], \"balanced\": [");
    is_first = 1;
    if (choice.reason == CLONE_REASON_NEW) {
        (void)mark_balanced(is_marked, answer);
    }
    for (i = 0; i < answer->count; i++) {
        if (is_marked[i]) {
            put_server(answer->server[i], ask, "new", is_first, tool->p);
            is_first = 0;
        }
    }
    printf("]}\n");
}

int conf_where(const tool_t *tool, const ask_t *ask)
{
    clone_findings_t *findings = clone_findings_make(tool->p);
    const clone_plugin_t *plugin;
    const clone_match_t *match;
    answer_t answer;
    span_t text;

    memset(&answer, 0, sizeof(answer));
    if (!conf_tool_read(&text, tool)) {
        return EXIT_USAGE;
    }
    if (!conf_tool_load(&plugin, &match, findings, tool, text)) {
        conf_tool_show(tool, findings);
        return EXIT_ERRORS;
    }
    if (!are_known(tool, plugin)) {
        return EXIT_USAGE;
    }
    if (!clone_match_find(&answer.hit, match, ask->host, ask->port,
                          span_of_text(ask->path))) {
        printf(tool->is_json ? "{\"is_routed\": false}\n"
               : "no route: httpd serves it as if the file were not there\n");
        return EXIT_WARNINGS;
    }
    see_members(&answer, tool, ask);
    see_sessions(&answer, ask, tool->p);
    if (tool->is_json) {
        put_answer(&answer, ask, tool);
    }
    else {
        print_answer(&answer, ask, tool);
    }
    return EXIT_CLEAN;
}
