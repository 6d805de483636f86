/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_FILE_H
#define CLONE_FILE_H

/**
 * @file clone_file.h
 * A file that somebody else writes, read in one piece or not at all.
 */

#include <apr_file_info.h>
#include <apr_pools.h>
#include <apr_time.h>

#include "ha_base.h"

/** What tells one state of a file from another. */
typedef struct clone_look_t {
    apr_status_t rv; /**< APR_SUCCESS, or why there is no file */
    apr_time_t mtime;
    apr_time_t ctime;
    apr_off_t size;
    apr_ino_t inode;
    apr_dev_t device;
} clone_look_t;

/**
 * Look at a file.
 *
 * @param look filled always; rv is part of it
 * @param p scratch
 */
void clone_file_look(clone_look_t *look, const char *path, apr_pool_t *p);

/** @return 1 when the file is as it was */
int clone_look_is_same(const clone_look_t *a, const clone_look_t *b);

/**
 * Read a file.
 *
 * Of a file above the limit one byte more than that is read, so that who
 * parses it sees that it is too large.
 *
 * @param text its bytes, in p; empty on failure
 * @param look the state that was read
 * @param limit bytes
 * @return APR_SUCCESS; APR_EAGAIN when it was written or replaced meanwhile;
 *         or what the system said
 */
HA_CHECK_RESULT
apr_status_t clone_file_read(span_t *text, clone_look_t *look,
                             const char *path, apr_size_t limit,
                             apr_pool_t *p);

#endif
