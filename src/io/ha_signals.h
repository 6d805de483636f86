/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_SIGNALS_H
#define HA_SIGNALS_H

/**
 * @file ha_signals.h
 * Times at which no signal may be handled by a thread.
 *
 * A child of the prefork MPM ends from within its signal handler, and waits
 * there for threads of ours: so it must not meet a mutex that is held.
 */

#include <signal.h>

/**
 * Hold back all signals but those a thread sends itself by a fault.
 *
 * @param before filled, for ha_signals_restore()
 */
void ha_signals_block(sigset_t *before);

/** Handle signals as before. */
void ha_signals_restore(const sigset_t *before);

#endif
