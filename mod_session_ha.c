/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_session_ha: sessions that outlive what serves them.
 *
 * A provider for mod_session. What it promises stands in README; what it
 * does to a request, in src/httpd/session_hooks.c.
 *
 *   src/core/ha_*.c           the session, its cookie, its stored form
 *   src/io/ha_*.c             shared memory, memcached
 *   src/httpd/session_cmds.c      directives
 *   src/httpd/session_words.c     words of directives
 *   src/httpd/session_check.c     what directives contradict
 *   src/httpd/session_secret.c    the file of secrets
 *   src/httpd/session_keys.c      the secrets in use
 *   src/httpd/session_setup.c     start, restart, children
 *   src/httpd/session_hooks.c     the life of a request
 *   src/httpd/session_state.c     the session of a request, and its load
 *   src/httpd/session_protocol.c  save, end, touch, and the time budget
 *   src/httpd/session_rotate.c    another id for it, and what the old one sees
 *   src/httpd/session_control.c   logout and rotation, as they are asked for
 *   src/httpd/session_far.c       copies in far zones, behind the request
 *   src/httpd/session_lock.c      one request of a session at a time
 *   src/httpd/session_cookie.c    the cookie in headers
 *   src/httpd/session_clones.c    clone ids that a router keeps in the cookie
 *   src/httpd/session_header.c    the header for the application
 *   src/httpd/session_delta.c     the header with the application's changes
 *   src/httpd/session_fail.c      an error in an answer's place
 *   src/httpd/session_alarm.c     what is wrong is said once
 *   src/httpd/session_unknown.c   sessions that nobody could say anything of
 *   src/httpd/session_status.c    the section on mod_status's page
 */
#include <httpd.h>
#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>

#include "session_check.h"
#include "session_clones.h"
#include "session_cmds.h"
#include "session_hooks.h"
#include "session_keys.h"
#include "session_module.h"
#include "session_setup.h"
#include "session_status.h"

static void register_hooks(apr_pool_t *p)
{
    session_hooks_register(p);
    session_status_register(p);
    session_clones_register();

    ap_hook_check_config(session_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(session_setup_post_config, NULL, NULL,
                        APR_HOOK_MIDDLE);
    ap_hook_monitor(session_keys_monitor, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(session_setup_child_init, NULL, NULL,
                       APR_HOOK_MIDDLE);

    ap_hook_header_parser(session_hooks_header_parser, NULL, NULL,
                          APR_HOOK_FIRST);
    ap_hook_fixups(session_hooks_user, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_fixups(session_hooks_fixups, NULL, NULL, APR_HOOK_LAST);
    ap_hook_insert_filter(session_hooks_insert_filter, NULL, NULL,
                          APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(session_hooks_insert_error_filter, NULL,
                                NULL, APR_HOOK_MIDDLE);
    ap_hook_log_transaction(session_hooks_log, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(session_ha) = {
    STANDARD20_MODULE_STUFF,
    session_dir_make,
    session_dir_merge,
    session_server_make,
    session_server_merge,
    session_cmds,
    register_hooks
};
