/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_RECORD_H
#define RAW_RECORD_H

/**
 * @file raw_record.h
 * Records of the stored log as other code would write them: any version,
 * kind, flags and body, with a check that is right.
 */

#include <apr_pools.h>

#include "ha_delta.h"

/** Bytes before a record's body. */
#define RAW_RECORD_FRAME 32

/**
 * Write a record.
 *
 * @param sid the session it belongs to
 * @param head version, kind and flags
 * @param stamp the record's stamp
 * @param body anything, less than 16 MiB
 * @param p owns the bytes
 * @return the record
 */
span_t raw_record(const ha_sid_t *sid, const unsigned char head[3],
                  ha_stamp_t stamp, span_t body, apr_pool_t *p);

#endif
