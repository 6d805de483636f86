/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_HEADERS_H
#define CLONE_HEADERS_H

/**
 * @file clone_headers.h
 * Private headers of a request on its way: the client's are taken out, ours
 * are put in, and those of the answer are dropped.
 *
 * An attempt is prepared within what clone_hooks makes of it: the second one
 * has other headers than the first.
 */

/** register_hooks: from a request's arrival to its line in the log. */
void clone_headers_register(void);

#endif
