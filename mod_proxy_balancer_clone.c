/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_proxy_balancer_clone: each request goes to the application server that
 * its session names, and to another one when that cannot be reached.
 *
 * It works inside the stock mod_proxy_balancer, as its lbmethod and by five
 * hooks that watch; members, flags and counters stay where
 * balancer-manager shows them.
 *
 *   clone_cmds     directives
 *   clone_server   start: which balancers, over which method
 *   clone_hooks    each attempt of a request: before, around, sent
 *   clone_answer   what a member's answer says of the session
 *   clone_cookie_hooks the router's own cookie
 *   clone_learn_hooks  clone ids that no configuration has
 *   clone_admit    a place at a member that has a limit
 *   clone_attempt  how it ended, and what follows
 *   clone_retry_status  what became of failures, on mod_status' page
 *   clone_filter   what a member answers, before the client sees it
 *   clone_body     what the client sent, to be sent again
 *   clone_request  what is known of a request, and its variables
 *   clone_method   the choice: balancer in, member out
 *   clone_decision why it went where it went, for logs
 *   clone_headers  private headers: the client's out, ours in
 *   clone_config   plugin-cfg.xml: balancers at start, changes while running,
 *                  which requests it is for
 *   clone_track    sessions and requests at each member
 *   clone_keep     members that were taken out, over restarts
 *   clone_admin    members seen and changed, for scripts
 *   src/core       the rules of that choice, without httpd
 */
#include <ap_provider.h>
#include <httpd.h>
#include <http_config.h>
#include <mod_proxy.h>

#include "clone_admin.h"
#include "clone_admit.h"
#include "clone_answer.h"
#include "clone_attempt.h"
#include "clone_body.h"
#include "clone_cmds.h"
#include "clone_cookie_hooks.h"
#include "clone_decision.h"
#include "clone_headers.h"
#include "clone_config.h"
#include "clone_config_limit.h"
#include "clone_config_match.h"
#include "clone_config_method.h"
#include "clone_config_socket.h"
#include "clone_filter.h"
#include "clone_hooks.h"
#include "clone_keep.h"
#include "clone_learn_hooks.h"
#include "clone_method.h"
#include "clone_retry_status.h"
#include "clone_server.h"
#include "clone_track.h"

static void register_tracking(void)
{
    static const char *const balancer[] = { "mod_proxy_balancer.c", NULL };

    ap_hook_check_config(clone_keep_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(clone_keep_look, NULL, balancer, APR_HOOK_FIRST);
    ap_hook_post_config(clone_track_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(clone_keep_restore, balancer, NULL, APR_HOOK_LAST);
    ap_hook_child_init(clone_track_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    proxy_hook_scheme_handler(clone_track_begin, NULL, NULL,
                              APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(clone_track_end, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_log_transaction(clone_keep_watch, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(clone_admin_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

static void register_hooks(apr_pool_t *p)
{
    static const char *const balancer[] = { "mod_proxy_balancer.c", NULL };
    static const char *const mappers[] = { "mod_proxy.c", "mod_rewrite.c",
                                           NULL };

    /* Before the configuration is read: it may say lbmethod=clone. */
    ap_register_provider(p, PROXY_LBMETHOD, CLONE_METHOD_NAME, "0",
                         &clone_method);
    ap_register_provider(p, PROXY_LBMETHOD, CLONE_CONFIG_METHOD_NAME, "0",
                         &clone_config_method);
    clone_config_limit_register();
    clone_config_socket_register();
    ap_hook_pre_config(clone_config_prepare, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(clone_server_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(clone_cookie_hooks_check, NULL, NULL,
                         APR_HOOK_MIDDLE);
    ap_hook_post_config(clone_config_start, NULL, balancer,
                        APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(clone_config_child, balancer, NULL, APR_HOOK_LAST);
    ap_hook_translate_name(clone_config_translate, mappers, NULL,
                           APR_HOOK_FIRST);
    ap_hook_fixups(clone_config_fixups, NULL, NULL, APR_HOOK_LAST);
    ap_hook_post_config(clone_server_install, NULL, balancer, APR_HOOK_FIRST);
    ap_hook_post_config(clone_attempt_post_config, NULL, NULL,
                        APR_HOOK_MIDDLE);
    ap_hook_post_config(clone_server_report, balancer, NULL, APR_HOOK_LAST);
    clone_body_register();
    clone_filter_register();
    clone_retry_status_register();
    clone_admit_register();
    proxy_hook_pre_request(clone_hooks_pre_request, NULL, balancer,
                           APR_HOOK_REALLY_FIRST);
    proxy_hook_scheme_handler(clone_config_attempt, NULL, NULL,
                              APR_HOOK_REALLY_FIRST - 1);
    proxy_hook_scheme_handler(clone_hooks_scheme_handler, NULL, NULL,
                              APR_HOOK_REALLY_FIRST);
    proxy_hook_post_request(clone_hooks_post_request, NULL, balancer,
                            APR_HOOK_REALLY_FIRST);
    APR_OPTIONAL_HOOK(proxy, create_req, clone_hooks_create_req, NULL, NULL,
                      APR_HOOK_REALLY_FIRST);
    ap_hook_post_config(clone_cookie_hooks_open, NULL, NULL,
                        APR_HOOK_MIDDLE);
    ap_hook_post_config(clone_learn_hooks_open, NULL, NULL, APR_HOOK_MIDDLE);
    clone_learn_hooks_register(p);
    register_tracking();
    clone_answer_register();
    clone_headers_register();
    clone_decision_register();
}

AP_DECLARE_MODULE(proxy_balancer_clone) = {
    STANDARD20_MODULE_STUFF,
    NULL,
    NULL,
    clone_cmds_create,
    clone_cmds_merge,
    clone_cmds,
    register_hooks,
    0
};
