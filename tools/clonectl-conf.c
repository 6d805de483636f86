/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clonectl-conf: what the router makes of a plugin-cfg.xml, without httpd.
 *
 * It is the router's own code that reads, matches and chooses here; this only
 * prints. A session id that is given on the command line is not printed.
 */
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "clone_lint.h"
#include "conf_where.h"

static const char usage[] =
    "usage: clonectl-conf lint [--json] FILE\n"
    "       clonectl-conf where [--json] [--down SERVER]... FILE "
    "HOST[:PORT] URI [COOKIE]\n"
    "\n"
    "lint   says what is wrong with a plugin-cfg.xml, line by line.\n"
    "       Exit status: 0 nothing but notes, 1 warnings, 2 errors: httpd\n"
    "       would not use the file, 3 wrong usage or no such file.\n"
    "where  says where a request would go, and where it would go next if that\n"
    "       server were away. HOST may begin with https:// and a port is 80\n"
    "       or 443 where none is given. COOKIE is a Cookie header, or the\n"
    "       value of the session cookie alone. --down names a server, or its\n"
    "       clone id, that is away.\n"
    "       Exit status: 0 a cluster serves it, 1 none does, else as above.\n"
    "FILE   - is the standard input.\n";

static int lint(const tool_t *tool)
{
    clone_findings_t *findings = clone_findings_make(tool->p);
    const clone_plugin_t *plugin;
    const clone_match_t *match;
    span_t text;

    if (!conf_tool_read(&text, tool)) {
        return EXIT_USAGE;
    }
    if (conf_tool_load(&plugin, &match, findings, tool, text)) {
        clone_lint(plugin, findings, tool->p);
    }
    conf_tool_show(tool, findings);
    return findings->count[CLONE_ERROR] > 0 ? EXIT_ERRORS
           : findings->count[CLONE_WARNING] > 0 ? EXIT_WARNINGS
           : EXIT_CLEAN;
}

/* ---- command line -------------------------------------------------------- */

static int refuse_usage(void)
{
    fputs(usage, stderr);
    return EXIT_USAGE;
}

/* [scheme://]host[:port] */
static int parse_host(ask_t *ask, const char *text)
{
    const char *bracket;
    const char *colon;
    char *end = NULL;

    ask->is_https = strncmp(text, "https://", 8) == 0;
    text += ask->is_https ? 8 : strncmp(text, "http://", 7) == 0 ? 7 : 0;
    bracket = strrchr(text, ']');
    colon = strrchr(text, ':');
    if (colon == NULL || (bracket != NULL && bracket > colon)) {
        ask->host = span_of_text(text);
        ask->port = ask->is_https ? 443 : 80;
        return ask->host.len > 0;
    }
    ask->host = span_of(text, (apr_size_t)(colon - text));
    ask->port = (unsigned int)strtoul(colon + 1, &end, 10);
    return ask->host.len > 0 && end > colon + 1 && *end == '\0'
           && ask->port >= 1 && ask->port <= 65535;
}

/* The path alone, with a query cut off. */
static const char *path_of(const char *url, apr_pool_t *p)
{
    return apr_pstrmemdup(p, url, strcspn(url, "?#"));
}

/* Options stand behind the verb; returns the first argument that is none, or
 * 0 for one that is not known. */
static int parse_options(tool_t *tool, int argc, char **argv)
{
    int i;

    for (i = 2; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            tool->is_json = 1;
        }
        else if (strcmp(argv[i], "--down") == 0 && i + 1 < argc
                 && tool->down_count < CLONE_IDS_MAX) {
            tool->down[tool->down_count++] = argv[++i];
        }
        else {
            return 0;
        }
    }
    return i;
}

static int run(tool_t *tool, int argc, char **argv)
{
    int at = argc > 1 ? parse_options(tool, argc, argv) : 0;
    int left = argc - at;
    ask_t ask;

    if (at == 0 || left < 1) {
        return refuse_usage();
    }
    tool->file = argv[at];
    if (strcmp(argv[1], "lint") == 0 && left == 1
        && tool->down_count == 0) {
        return lint(tool);
    }
    if (strcmp(argv[1], "where") != 0 || left < 3 || left > 4
        || !parse_host(&ask, argv[at + 1]) || argv[at + 2][0] != '/') {
        return refuse_usage();
    }
    ask.url = argv[at + 2];
    ask.path = path_of(ask.url, tool->p);
    ask.cookie = left == 4 ? argv[at + 3] : NULL;
    return conf_where(tool, &ask);
}

int main(int argc, char **argv)
{
    tool_t tool;
    int status;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_CLEAN;
    }
    memset(&tool, 0, sizeof(tool));
    if (apr_initialize() != APR_SUCCESS
        || apr_pool_create(&tool.p, NULL) != APR_SUCCESS) {
        fputs("clonectl-conf: no memory\n", stderr);
        return EXIT_USAGE;
    }
    status = run(&tool, argc, argv);
    apr_terminate();
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("clonectl-conf");
        return EXIT_USAGE;
    }
    return status;
}
