/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOG_TAGS_H
#define LOG_TAGS_H

/**
 * @file log_tags.h
 * Tags of our log messages, one line each. A number belongs to one place in
 * the code for ever: a message that goes takes its number along.
 */

/** Tag of a message of mod_session_ha, 0100 to 0999. */
#define HALOG(n) "HA" #n ": "

/** Tag of a message of mod_proxy_balancer_clone, 0100 to 0999. */
#define CRLOG(n) "CR" #n ": "

/*
 * mod_proxy_balancer_clone
 *
 * 0101 crit    routing is on for a balancer without stickysession
 * 0102 crit    routing is off for a balancer whose lbmethod is clone
 * 0103 crit    no lbmethod to fall back on: mod_lbmethod_byrequests is missing
 * 0104 info    start: a balancer is routed by clone, over which lbmethod
 * 0105 warning BalancerPersist brought back a state without clone routing
 * 0201 debug   the decision for one request
 * 0202 debug   nobody may serve a request
 * 0203 trace1  a cookie or parameter is no session of the profile
 * 0204 debug   a member has refused a request that may go on elsewhere
 */

#endif
