/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_SHARED_H
#define CLONE_SHARED_H

/**
 * @file clone_shared.h
 * Memory that all children of this host share, and that outlives a graceful
 * restart: what the router learned, counted and was told.
 */

#include <httpd.h>

/**
 * Find a block by its name, or make it. It begins at a multiple of 64, so
 * that what is in it can have cache lines of its own.
 *
 * Call it in post_config, in the second of the two passes; children inherit
 * the mapping. What is in it is the caller's to guard: with atomics, or a
 * lock of its own. A block of another size than before is made anew, zeroed;
 * children of before go on with the old one until they end.
 *
 * @param memory the block, zeroed when it is new; NULL on failure
 * @param name one for each user, up to 40 characters
 * @param size bytes, more than 0
 * @param s any server; its process owns the block
 * @return what the system said; APR_SUCCESS
 */
apr_status_t clone_shared_get(void **memory, const char *name,
                              apr_size_t size, server_rec *s);

#endif
