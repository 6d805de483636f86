/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_RETRY_STATUS_H
#define CLONE_RETRY_STATUS_H

/**
 * @file clone_retry_status.h
 * What became of failed attempts, on mod_status' page.
 */

/** register_hooks: add our lines to the page. */
void clone_retry_status_register(void);

#endif
