/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_FILTER_H
#define CLONE_FILTER_H

/**
 * @file clone_filter.h
 * What a member answers, seen before the client sees it.
 */

#include <httpd.h>

#include "clone_request.h"

/** Register the filter. */
void clone_filter_register(void);

/** Stand between the handler and all other filters of this request. */
void clone_filter_add(clone_request_t *req, request_rec *r);

/** Get out of the way, if that has not happened yet. */
void clone_filter_remove(clone_request_t *req);

#endif
