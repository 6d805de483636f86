/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_mc_round.h"

/*
 * A round: to every node, a verb without a reply and "gets" of the key, which
 * only send; then the answers, one after the other, while all nodes work at
 * the same time. One network round trip for any number of nodes.
 *
 * An idle connection may be dead: its server was restarted, or closed it. If
 * one breaks, all idle ones of the node go, and the call is made once more
 * over a new one, with what is left of the time. The verb may then have been
 * carried out twice, which the protocol above takes in its stride: a record
 * that is there twice counts once, and add and cas cannot win twice.
 *
 * Touch has no form without a reply, and its reply can abort the process (see
 * ha_mc_conn.c; an answer cut off by a reset is enough). So it is a read, and
 * a cas of the same bytes: two rounds, and a version that changes. It is made
 * once a minute and session at most.
 */

/** Microseconds that a node must have had, to be blamed for not answering. */
#define FAIR_USEC (10 * 1000)

/** Microseconds after the deadline when an answer counts as a failure too. */
#define LATE_USEC (100 * 1000)

/** Times that a touch is tried while others write. */
#define TOUCHES 3

/** What a node that is down is answered for. */
#define IS_DOWN EHOSTUNREACH

/* ---- one leg ------------------------------------------------------------ */

/**
 * Take note that there was no time for a leg, which is not the node's fault.
 * A write, or a touch, that it missed ends its being whole; a read or a repair
 * does not, or one node that hangs would take the others' word from them.
 */
static void miss(const ha_mc_leg_t *leg)
{
    if ((leg->call->verb != HA_GET || leg->is_touch)
        && !leg->call->is_repair) {
        ha_health_missed(leg->peer->health, leg->peer->slot);
    }
}

/** Take note of a failure; a leg that may try again stays open. */
static void fail(ha_mc_round_t *round, ha_mc_leg_t *leg, apr_status_t rv)
{
    apr_time_t now = apr_time_now();
    apr_time_t waited = now - leg->began;
    ha_mc_peer_t *peer = leg->peer;
    int is_broken = rv != APR_TIMEUP && rv != HA_MC_GARBAGE
                    && rv != APR_ENOMEM && rv != APR_EINVAL;

    if (leg->conn) {
        ha_mc_conn_close(leg->conn);
        leg->conn = NULL;
    }
    leg->call->rv = rv;
    leg->is_open = is_broken && leg->tries > 0 && now < round->deadline;
    if (is_broken && leg->is_idle) {
        ha_mc_peer_trim(peer, now + 1);
    }
    else if (is_broken) {
        ha_mc_peer_turn(peer, leg->ip);
    }
    if (leg->is_open) {
        return;
    }
    if (rv == APR_EINVAL || rv == APR_ENOMEM
        || (rv == APR_TIMEUP && waited < FAIR_USEC)) {
        miss(leg);
        return;
    }
    ha_mc_peer_failed(peer, rv, now, waited);
}

static void send_one(ha_mc_round_t *round, ha_mc_leg_t *leg, unsigned int left)
{
    int msec = ha_mc_rest_msec(round->deadline) / (left > 1 ? (int)left : 1);
    apr_status_t rv;

    leg->is_open = 0;
    leg->began = apr_time_now();
    rv = ha_mc_conn_send(leg->conn, round->key, leg->call, round->expires,
                         msec > 0 ? msec : 1);
    if (rv != APR_SUCCESS) {
        fail(round, leg, rv);
    }
}

/** Get a leg a new connection; it connects when it sends. */
static void renew(ha_mc_round_t *round, ha_mc_leg_t *leg)
{
    ha_mc_peer_t *peer = leg->peer;
    unsigned int ips = ha_mc_peer_where(peer, leg->ip);

    leg->began = apr_time_now();
    leg->is_idle = 0;
    leg->tries = leg->tries > ips ? ips : leg->tries;
    if (ips == 0) {
        fail(round, leg, IS_DOWN);
        return;
    }
    leg->tries--;
    leg->conn = ha_mc_conn_open(leg->ip, peer->node->port);
    if (leg->conn == NULL) {
        fail(round, leg, APR_ENOMEM);
        return;
    }
    ha_health_doubt(peer->health, peer->slot);
    if (round->probe != NULL) {
        ha_mc_probe_wake(round->probe);
    }
}

static void collect_one(ha_mc_round_t *round, ha_mc_leg_t *leg)
{
    apr_status_t rv = ha_mc_conn_fetch(leg->conn, round->key, leg->call,
                                       round->deadline, round->p);
    apr_time_t now = apr_time_now();

    if (rv != APR_SUCCESS) {
        fail(round, leg, rv);
        return;
    }
    leg->call->rv = APR_SUCCESS;
    if (now > round->deadline + LATE_USEC) {
        ha_mc_conn_close(leg->conn);
        ha_mc_peer_failed(leg->peer, APR_TIMEUP, now, now - leg->began);
    }
    else {
        ha_mc_peer_answered(leg->peer, now, now - leg->began);
        if (ha_mc_conn_is_guarded(leg->conn)) {
            ha_mc_peer_give(leg->peer, leg->conn, now);
        }
        else { /* better luck next time */
            ha_mc_conn_close(leg->conn);
        }
    }
    leg->conn = NULL;
}

/* ---- a round ------------------------------------------------------------ */

static unsigned int count_open(const ha_mc_round_t *round)
{
    unsigned int open = 0;
    unsigned int i;

    for (i = 0; i < round->count; i++) {
        open += round->legs[i].is_open != 0;
    }
    return open;
}

/**
 * Send all open legs and collect the answers. Connections in use go first,
 * and each leg that may have to wait to be sent gets a share of what is left:
 * one node that does not answer must not use up the time of the others.
 */
static void send_and_collect(ha_mc_round_t *round)
{
    unsigned int left = count_open(round);
    unsigned int i;

    for (i = 0; i < round->count; i++) {
        if (round->legs[i].is_open && round->legs[i].conn) {
            send_one(round, &round->legs[i], left--);
        }
    }
    for (i = 0; i < round->count; i++) {
        ha_mc_leg_t *leg = &round->legs[i];

        if (leg->is_open && !leg->is_idle) {
            renew(round, leg);
            if (leg->conn) {
                send_one(round, leg, left);
            }
            left--;
        }
    }
    for (i = 0; i < round->count; i++) {
        ha_mc_leg_t *leg = &round->legs[i];

        if (leg->conn) {
            collect_one(round, leg);
        }
        leg->is_idle = 0;
    }
}

/** Prepare a leg; it is open when its node may be asked. */
static void open_leg(ha_mc_leg_t *leg)
{
    leg->is_open = ha_health_is_up(leg->peer->health, leg->peer->slot);
    leg->call->rv = leg->is_open ? APR_TIMEUP : IS_DOWN;
    leg->call->answer = HA_UNKNOWN;
    leg->call->held = span_of(NULL, 0);
    leg->tries = HA_MC_IPS_MAX;
    leg->conn = NULL;
    leg->is_idle = 0;
}

/** Carry out calls; none of them is a touch. */
static void carry_out(ha_mc_round_t *round)
{
    unsigned int i;

    for (i = 0; i < round->count; i++) {
        open_leg(&round->legs[i]);
    }
    for (i = 0; i < round->count && apr_time_now() < round->deadline; i++) {
        ha_mc_leg_t *leg = &round->legs[i];

        leg->conn = leg->is_open ? ha_mc_peer_take(leg->peer) : NULL;
        leg->is_idle = leg->conn != NULL;
    }
    while (count_open(round) && apr_time_now() < round->deadline) {
        send_and_collect(round);
    }
    for (i = 0; i < round->count; i++) {
        ha_mc_leg_t *leg = &round->legs[i];

        if (leg->is_open) { /* and no time is left */
            miss(leg);
            if (leg->conn) {
                ha_mc_conn_close(leg->conn);
            }
        }
    }
}

/** Legs of touches that must be written, in front; their number. */
static unsigned int gather_touches(ha_mc_round_t *round)
{
    unsigned int n = 0;
    unsigned int i;

    for (i = 0; i < round->count; i++) {
        ha_mc_leg_t leg = round->legs[i];
        ha_call_t *call = leg.call;

        if (!leg.is_touch || call->answer != HA_HIT
            || (call->verb == HA_CAS
                && span_is_equal(call->held, call->data))) {
            continue;
        }
        /* what was read is written, and looked at again */
        call->verb = HA_CAS;
        call->data = call->held;
        round->legs[n++] = leg;
    }
    return n;
}

/** Carry out calls; a touch is a read, and a cas unless others write. */
void ha_mc_round_run(ha_mc_round_t *round)
{
    int i;

    carry_out(round);
    for (i = 0; i < TOUCHES; i++) {
        round->count = gather_touches(round);
        if (round->count == 0) {
            break;
        }
        carry_out(round);
    }
}
