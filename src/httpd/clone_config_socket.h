/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CONFIG_SOCKET_H
#define CLONE_CONFIG_SOCKET_H

/**
 * @file clone_config_socket.h
 * wsServerIdleTimeout and wsServerIOTimeout: a WebSocket has a time-out of
 * its own, which begins when the member has agreed to be one.
 */

#include <httpd.h>

/** register_hooks: when a member is about to be asked. */
void clone_config_socket_register(void);

#endif
