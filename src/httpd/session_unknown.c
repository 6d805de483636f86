/* SPDX-License-Identifier: Apache-2.0 */
#include "session_unknown.h"

#include <http_config.h>
#include <http_log.h>

#include <apr_atomic.h>

#include "log_tags.h"
#include "session_keys.h"
#include "session_module.h"

APLOG_USE_MODULE(session_ha);

static const char *why(void)
{
    return session_keys()->is_shut
           ? "no secret is known that this session could be believed by"
           : "nobody who could know this session answers";
}

void session_unknown_note(request_rec *r)
{
    session_counts_t *counts = session_site()->counts;

    apr_atomic_inc64(&counts->load_unknown);
    if (session_alarm_raise(&counts->unknown, apr_time_now())) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HALOG(0304)
                      "%s; requests with such a session are %s until that "
                      "changes", why(), ha_conf_unknown_policy(session_conf_of(
                          r->per_dir_config)) == HA_POLICY_FAIL
                      ? "answered with 503, their cookies kept"
                      : "served without it");
        return;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, HALOG(0305)
                  "%s", why());
}

void session_unknown_end(request_rec *r)
{
    if (session_alarm_end(&session_site()->counts->unknown,
                          apr_time_now())) {
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, HALOG(0306)
                      "sessions are answered for again, all of them in the "
                      "last %d s", SESSION_CALM_SEC);
    }
}
