/* SPDX-License-Identifier: Apache-2.0 */
#include "session_secret.h"

#include <http_config.h>
#include <http_log.h>

#include <apr_strings.h>

#include "ha_secret.h"
#include "log_tags.h"

APLOG_USE_MODULE(session_ha);

int session_secret_read(ha_ring_t *ring, const char *path, int is_up,
                        server_rec *s, apr_pool_t *ptemp)
{
    ha_secret_fault_t fault;
    ha_secret_e result = ha_secret_read(ring, &fault, path, ptemp);
    const char *at = "";

    switch (result) {
    case HA_SECRET_OK:
        return 1;
    case HA_SECRET_UNREADABLE:
    case HA_SECRET_IRREGULAR:
    case HA_SECRET_LARGE:
        ap_log_error(APLOG_MARK, is_up ? APLOG_ERR : APLOG_CRIT, fault.rv, s,
                     HALOG(0107)
                     "SessionHASecretFile %s %s", path,
                     ha_secret_name(result));
        return 0;
    case HA_SECRET_EXPOSED:
        ap_log_error(APLOG_MARK, is_up ? APLOG_ERR : APLOG_CRIT, 0, s,
                     HALOG(0108)
                     "SessionHASecretFile %s may be read or written by every "
                     "user of this host, who could then forge sessions: "
                     "chmod 600", path);
        return 0;
    case HA_SECRET_BAD:
    default:
        if (fault.line > 0) {
            at = apr_psprintf(ptemp, ", line %u", fault.line);
        }
        ap_log_error(APLOG_MARK, is_up ? APLOG_ERR : APLOG_CRIT, 0, s,
                     HALOG(0109)
                     "SessionHASecretFile %s%s: %s; it takes one secret a "
                     "line, as `openssl rand -base64 32` prints them", path,
                     at, ha_ring_name(fault.ring));
        return 0;
    }
}
