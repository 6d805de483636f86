/* SPDX-License-Identifier: Apache-2.0 */
#include "conf_tool.h"

#include <stdio.h>

#include <apr_file_io.h>
#include <apr_strings.h>

/* ---- JSON ---------------------------------------------------------------- */

void conf_tool_put_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        }
        else if (c < ' ' || c == 0x7f) {
            printf("\\u%04x", c);
        }
        else {
            putchar(c);
        }
    }
    putchar('"');
}

void conf_tool_put_text(const char *name, const char *text)
{
    printf("\"%s\": ", name);
    if (text != NULL) {
        conf_tool_put_string(text);
    }
    else {
        printf("null");
    }
}

/* ---- file ---------------------------------------------------------------- */

/* One byte more than allowed is enough to be refused for it. */
int conf_tool_read(span_t *text, const tool_t *tool)
{
    char *data = apr_palloc(tool->p, CLONE_XML_MAX + 1);
    apr_size_t len = 0;
    apr_file_t *file = NULL;
    apr_status_t rv = strcmp(tool->file, "-") == 0
        ? apr_file_open_stdin(&file, tool->p)
        : apr_file_open(&file, tool->file, APR_FOPEN_READ, APR_OS_DEFAULT,
                        tool->p);

    if (rv == APR_SUCCESS) {
        rv = apr_file_read_full(file, data, CLONE_XML_MAX + 1, &len);
    }
    if (rv != APR_SUCCESS && rv != APR_EOF) {
        char reason[200];

        fprintf(stderr, "clonectl-conf: %s: %s\n", tool->file,
                apr_strerror(rv, reason, sizeof(reason)));
        return 0;
    }
    *text = span_of(data, len);
    return 1;
}

/* ---- findings ------------------------------------------------------------ */

static void print_findings(const tool_t *tool,
                           const clone_findings_t *findings)
{
    int i;

    for (i = 0; i < findings->list->nelts; i++) {
        const clone_finding_t *finding =
            &APR_ARRAY_IDX(findings->list, i, clone_finding_t);

        printf("%s:", tool->file);
        if (finding->line > 0) {
            printf("%u:", finding->line);
        }
        printf(" %s: %s [%s]\n", clone_severity_name(finding->severity),
               finding->text, clone_finding_name(finding->kind));
    }
    printf("%s: %u errors, %u warnings, %u notes\n", tool->file,
           findings->count[CLONE_ERROR], findings->count[CLONE_WARNING],
           findings->count[CLONE_NOTE]);
}

static void put_findings(const tool_t *tool, const clone_findings_t *findings)
{
    int i;

    printf("{");
    conf_tool_put_text("file", tool->file);
    printf(", \"errors\": %u, \"warnings\": %u, \"notes\": %u, "
           "\"findings\": [", findings->count[CLONE_ERROR],
           findings->count[CLONE_WARNING], findings->count[CLONE_NOTE]);
    for (i = 0; i < findings->list->nelts; i++) {
        const clone_finding_t *finding =
            &APR_ARRAY_IDX(findings->list, i, clone_finding_t);

        printf("%s\n  {\"line\": %u, ", i > 0 ? "," : "", finding->line);
        conf_tool_put_text("severity", clone_severity_name(finding->severity));
        printf(", ");
        conf_tool_put_text("kind", clone_finding_name(finding->kind));
        printf(", ");
        conf_tool_put_text("text", finding->text);
        printf("}");
    }
    printf("]}\n");
}

void conf_tool_show(const tool_t *tool, const clone_findings_t *findings)
{
    if (tool->is_json) {
        put_findings(tool, findings);
    }
    else {
        print_findings(tool, findings);
    }
}

int conf_tool_load(const clone_plugin_t **plugin, const clone_match_t **match,
                   clone_findings_t *findings, const tool_t *tool,
                   span_t text)
{
    *match = NULL;
    if (clone_plugin_parse(plugin, findings, text, tool->p, tool->p)
        == CLONE_FINDING_OK) {
        *match = clone_match_make(*plugin, findings, tool->p);
    }
    return *match != NULL;
}
