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
#include "clone_text.h"
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

/* Usage, and last, where it is seen, what is wrong with which word. */
static int refuse_usage(const tool_t *tool, const char *wrong,
                        const char *word)
{
    fprintf(stderr, "%s\nclonectl-conf: %s", usage, wrong);
    if (word != NULL) {
        fprintf(stderr, ", not '%s'",
                clone_text_printable(span_of_text(word), CLONE_QUOTE_MAX,
                                     tool->p));
    }
    fputs("\n", stderr);
    return EXIT_USAGE;
}

static int parse_port(unsigned int *port, const char *text)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);

    *port = number <= 65535 ? (unsigned int)number : 0;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && *port > 0;
}

/* [scheme://]host[:port] */
static int parse_host(ask_t *ask, const char *text)
{
    const char *bracket;
    const char *colon;

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
    return parse_port(&ask->port, colon + 1) && ask->host.len > 0;
}

/* The path alone, with a query cut off. */
static const char *path_of(const char *url, apr_pool_t *p)
{
    return apr_pstrmemdup(p, url, strcspn(url, "?#"));
}

/* Options stand behind the verb; returns the first argument that is none, or
 * 0 when wrong says what is amiss, and word with which one, if any. */
static int parse_options(tool_t *tool, const char **wrong, const char **word,
                         int argc, char **argv)
{
    int i;

    for (i = 2; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            tool->is_json = 1;
        }
        else if (strcmp(argv[i], "--down") != 0) {
            *wrong = "an option is --json or --down SERVER";
            *word = argv[i];
            return 0;
        }
        else if (i + 1 == argc || tool->down_count == CLONE_IDS_MAX) {
            *wrong = i + 1 == argc ? "--down wants a server"
                                   : "--down is given too often";
            return 0;
        }
        else {
            tool->down[tool->down_count++] = argv[++i];
        }
    }
    return i;
}

static int where(const tool_t *tool, int count, char **words)
{
    ask_t ask;

    if (count < 2 || count > 3) {
        return refuse_usage(tool, "where wants FILE, HOST and URI, and at "
                            "most a COOKIE", NULL);
    }
    if (!parse_host(&ask, words[0])) {
        return refuse_usage(tool, "HOST is a name, and a port, where there is "
                            "one, from 1 to 65535", words[0]);
    }
    if (words[1][0] != '/') {
        return refuse_usage(tool, "URI begins with '/'", words[1]);
    }
    ask.url = words[1];
    ask.path = path_of(ask.url, tool->p);
    ask.cookie = count == 3 ? words[2] : NULL;
    return conf_where(tool, &ask);
}

static int run(tool_t *tool, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    int is_where = strcmp(verb, "where") == 0;
    const char *wrong = NULL;
    const char *word = NULL;
    int at;

    if (!is_where && strcmp(verb, "lint") != 0) {
        return refuse_usage(tool, "what to do is lint or where", verb);
    }
    at = parse_options(tool, &wrong, &word, argc, argv);
    if (at == 0) {
        return refuse_usage(tool, wrong, word);
    }
    if (at == argc) {
        return refuse_usage(tool, "FILE is missing", NULL);
    }
    tool->file = argv[at];
    if (is_where) {
        return where(tool, argc - at - 1, argv + at + 1);
    }
    if (argc - at > 1 || tool->down_count > 0) {
        return refuse_usage(tool, "lint wants FILE alone", NULL);
    }
    return lint(tool);
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
