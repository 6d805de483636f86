/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_signals.h"

#include <pthread.h>

void ha_signals_block(sigset_t *before)
{
    sigset_t block;

    (void)sigfillset(&block);
    (void)sigdelset(&block, SIGSEGV);
    (void)sigdelset(&block, SIGBUS);
    (void)sigdelset(&block, SIGFPE);
    (void)sigdelset(&block, SIGILL);
    (void)sigdelset(&block, SIGABRT);
    (void)pthread_sigmask(SIG_BLOCK, &block, before);
}

void ha_signals_restore(const sigset_t *before)
{
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}
