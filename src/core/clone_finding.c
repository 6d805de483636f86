/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_finding.h"

#include <stdarg.h>
#include <stdlib.h>

#include <apr_strings.h>

#include "clone_text.h"

clone_findings_t *clone_findings_make(apr_pool_t *p)
{
    clone_findings_t *findings = apr_pcalloc(p, sizeof(*findings));

    findings->list = apr_array_make(p, 8, sizeof(clone_finding_t));
    findings->p = p;
    return findings;
}

void clone_findings_add(clone_findings_t *findings, unsigned int line,
                        clone_severity_e severity, clone_finding_e kind,
                        const char *format, ...)
{
    int is_first = severity == CLONE_ERROR
                   && findings->first == CLONE_FINDING_OK;
    clone_finding_t finding;
    va_list args;

    findings->count[severity]++;
    if (findings->list->nelts >= CLONE_FINDINGS_MAX && !is_first) {
        return;
    }
    finding.line = line;
    finding.severity = severity;
    finding.kind = kind;
    va_start(args, format);
    finding.text = apr_pvsprintf(findings->p, format, args);
    va_end(args);
    if (is_first) {
        findings->first = kind;
        findings->first_error = finding;
    }
    if (findings->list->nelts < CLONE_FINDINGS_MAX) {
        APR_ARRAY_PUSH(findings->list, clone_finding_t) = finding;
    }
}

const char *clone_findings_quote(const clone_findings_t *findings,
                                 span_t text)
{
    return clone_text_printable(text, CLONE_QUOTE_MAX, findings->p);
}

static void merge(clone_finding_t *to, const clone_finding_t *a,
                  const clone_finding_t *a_end, const clone_finding_t *b,
                  const clone_finding_t *b_end)
{
    while (a < a_end || b < b_end) {
        if (b == b_end || (a < a_end && a->line <= b->line)) {
            *to++ = *a++;
        }
        else {
            *to++ = *b++;
        }
    }
}

/* A merge sort: qsort() may change the order within a line. */
void clone_findings_sort(clone_findings_t *findings)
{
    int count = findings->list->nelts;
    clone_finding_t *from = (void *)findings->list->elts;
    clone_finding_t *to = apr_palloc(findings->p,
                                     (apr_size_t)count * sizeof(*to));
    int run;

    for (run = 1; run < count; run *= 2) {
        clone_finding_t *swap;
        int i;

        for (i = 0; i < count; i += 2 * run) {
            int middle = i + run < count ? i + run : count;
            int end = i + 2 * run < count ? i + 2 * run : count;

            merge(to + i, from + i, from + middle, from + middle, from + end);
        }
        swap = from;
        from = to;
        to = swap;
    }
    if ((char *)from != findings->list->elts) {
        memcpy(findings->list->elts, from, (apr_size_t)count * sizeof(*from));
    }
}

const char *clone_severity_name(clone_severity_e severity)
{
    switch (severity) {
    case CLONE_NOTE:
        return "note";
    case CLONE_WARNING:
        return "warning";
    case CLONE_ERROR:
        return "error";
    default:
        return "?";
    }
}

const char *clone_finding_name(clone_finding_e kind)
{
    static const char *const names[] = {
        "ok", "empty", "limit", "binary", "dtd", "xml", "root", "missing",
        "invalid", "encoding", "lenient", "unknown", "ignored", "unused",
        "dangling", "duplicate", "dangerous"
    };

    return (unsigned int)kind < sizeof(names) / sizeof(names[0])
           ? names[kind] : "?";
}
