/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_HEALTH_H
#define HA_HEALTH_H

/**
 * @file ha_health.h
 * What all children of this host know of the nodes, in shared memory.
 *
 * A node is down after HA_HEALTH_FAILURES failures in a row, for every child
 * at once. While it is down nobody asks it but one prober at a time, with a
 * back-off and jitter. One slow answer downs nobody.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"
#include "ha_place.h"

/** Failures in a row that make a node down. */
#define HA_HEALTH_FAILURES 3

/** The shared table. Plain data; outlives a graceful restart. */
typedef struct ha_health_t ha_health_t;

/** What a report changed. */
typedef enum ha_health_e {
    HA_HEALTH_SAME = 0,  /**< nothing that anybody need know */
    HA_HEALTH_WENT_DOWN, /**< this report made it down */
    HA_HEALTH_CAME_UP,   /**< it was down and is up */
    HA_HEALTH_FORGOT,    /**< it runs anew: what it held is gone */
    HA_HEALTH_FLUSHED,   /**< it was told to forget what it held */
    HA_HEALTH_DROPS      /**< it lacks room, and forgets what is not over */
} ha_health_e;

/**
 * Make the table. In the parent, before the fork.
 *
 * @param health made; NULL on failure
 * @param p owns it; the process pool, for it to outlive a restart
 * @return APR_SUCCESS, or what the system said
 */
HA_CHECK_RESULT
apr_status_t ha_health_create(ha_health_t **health, apr_pool_t *p);

/**
 * Find or take the slot of a node, in the parent, when a configuration is
 * read. A node whose name and address were known keeps what is known.
 *
 * @param health the table
 * @param name the node's name
 * @param address as configured; a new address is a new node
 * @param now the clock
 * @return slot number, or -1 when all HA_NODES_MAX * 2 slots are taken by
 *         nodes that a configuration named within the last minute
 */
HA_CHECK_RESULT
int ha_health_slot(ha_health_t *health, span_t name, span_t address,
                   apr_time_t now);

/** Whether requests may ask the node. Any thread. */
int ha_health_is_up(const ha_health_t *health, int slot);

/** See ha_store_ops_t.whole_since. Any thread. */
apr_time_t ha_health_whole_since(const ha_health_t *health, int slot);

/** Failures in a row so far. Any thread. */
int ha_health_failures(const ha_health_t *health, int slot);

/** How long the last absence was, 0 for none yet. Any thread. */
apr_time_t ha_health_away(const ha_health_t *health, int slot);

/** Report an answer that made sense. Any thread. */
ha_health_e ha_health_succeeded(ha_health_t *health, int slot,
                                apr_time_t now);

/**
 * Report a failure: refused, timed out, garbage. Any thread. A single one
 * downs nobody, but it ends what ha_health_whole_since() told: a write may
 * have been missed. A call that had no time left to be sent is no failure.
 */
ha_health_e ha_health_failed(ha_health_t *health, int slot, apr_time_t now);

/**
 * Report that a call did not get through for no fault of the node's, such as
 * a budget that was used up elsewhere: what it should hold it may lack, so
 * its being whole ends. Any thread.
 */
void ha_health_missed(ha_health_t *health, int slot);

/**
 * Ask whether to speak of nonsense that a node said: at most once a minute.
 *
 * @return 1 for the one who shall speak
 */
HA_CHECK_RESULT
int ha_health_may_tell(ha_health_t *health, int slot, apr_time_t now);

/**
 * Report that a connection was made, or broke: the server behind it may have
 * just started. Until it is identified, the node is not known to be whole.
 * Report it before an answer of a new connection is used. Any thread.
 */
void ha_health_doubt(ha_health_t *health, int slot);

/** Whether a doubt waits for a probe that began after it. Any thread. */
int ha_health_is_doubted(const ha_health_t *health, int slot);

/**
 * Claim the right to probe a node: when it is due, and nobody else has it.
 *
 * @param random any bits, for the jitter
 * @return 1 when the caller must probe it now and report
 */
HA_CHECK_RESULT
int ha_health_claim(ha_health_t *health, int slot, apr_time_t now,
                    apr_uint32_t random);

/**
 * Report who answered a probe. A node whose process id or start time changed
 * has forgotten everything. The answer brings a node back that was down, but
 * does not make up for what requests of a node that is up met with. A probe
 * that began before the node went down tells nothing.
 *
 * @param began when the probe began
 * @param pid the server's process id as it says
 * @param started when it started, by this host's clock, to about a second
 * @return what that changed
 */
ha_health_e ha_health_identified(ha_health_t *health, int slot,
                                 apr_time_t began, apr_uint32_t pid,
                                 apr_time_t started, apr_time_t now);

/**
 * Report what a node that was just identified says it has counted: either
 * growing means that it may lack what it should hold, so it is whole since
 * now. What it counted before it was first heard of is nobody's matter.
 *
 * @param flushes times that it was told to forget everything
 * @param evictions items that it dropped before their time
 * @return FLUSHED, DROPS at most once a minute, or SAME
 */
ha_health_e ha_health_counted(ha_health_t *health, int slot,
                              apr_uint64_t flushes, apr_uint64_t evictions,
                              apr_time_t now);

/** Items that a node dropped before their time, as it last said. */
apr_uint64_t ha_health_evictions(const ha_health_t *health, int slot);

#endif
