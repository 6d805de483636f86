/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_retry_status.h"

#include <http_protocol.h>
#include <mod_status.h>

#include <apr_optional_hooks.h>

#include "clone_attempt.h"

static int write_status(request_rec *r, int flags)
{
    static const struct {
        const char *name;  /* for machines */
        const char *label; /* for people */
    } words[CLONE_BUDGET_COUNTS] = {
        { "Moved", "went to another member unsent" },
        { "Repeated", "sent again to the same member, by a new connection" },
        { "Replayed", "sent again to another member" },
        { "BudgetRefused", "not sent again: too many others were" },
        { "Told", "answered 502, 503 or 504" }
    };
    const clone_budget_t *budget = clone_attempt_budget();
    int is_short = flags & AP_STATUS_SHORT;
    int i;

    if (budget == NULL) {
        return DECLINED;
    }
    if (!is_short) {
        ap_rputs("<hr />\n<h2>Requests that failed "
                 "(mod_proxy_balancer_clone)</h2>\n<dl>\n", r);
    }
    for (i = 0; i < CLONE_BUDGET_COUNTS; i++) {
        apr_uint64_t count = clone_budget_count(budget, (clone_budget_e)i);

        if (is_short) {
            ap_rprintf(r, "ProxyCloneRetry%s: %" APR_UINT64_T_FMT "\n",
                       words[i].name, count);
        }
        else {
            ap_rprintf(r, "<dt>%" APR_UINT64_T_FMT " %s</dt>\n", count,
                       words[i].label);
        }
    }
    if (!is_short) {
        ap_rputs("</dl>\n", r);
    }
    return OK;
}

void clone_retry_status_register(void)
{
    APR_OPTIONAL_HOOK(ap, status_hook, write_status, NULL, NULL,
                      APR_HOOK_MIDDLE);
}
