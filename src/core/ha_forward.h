/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_FORWARD_H
#define HA_FORWARD_H

/**
 * @file ha_forward.h
 * Where a session went when its id was rotated: a field of its log.
 *
 *     field  = tag:u8=6 len:u32 stamp:16 until:u64 flags:u8
 *              issued:u32 expires:u32 sealed-id:16
 *     sealed = new id XOR first 16 bytes of SHA-256( label old-id stamp )
 *
 * Whoever holds the old id can follow; whoever holds the store knows its
 * digest alone, and finds no id here. Numbers are big-endian. The stamp is
 * unique to the rotation, so no two ids are sealed alike.
 */

#include <apr_pools.h>
#include <apr_time.h>

#include "ha_image.h"
#include "ha_sid.h"

/** Bytes of a forward as it stands in a log. */
#define HA_FORWARD_BYTES 54

/** A session was logged out, whatever else became of it: tag 7, empty. */
span_t ha_forward_logout(void);

/**
 * Whether a session has ended for good. An end that says neither that nor
 * where the session went is a logout, too.
 */
int ha_forward_is_logout(const ha_image_t *image);

/** Whether a session goes on under another id, and only there. */
int ha_forward_is_moved(const ha_image_t *image);

/** One rotation. */
typedef struct ha_forward_t {
    ha_stamp_t stamp;               /**< of the rotation: what is older was
                                         there before it */
    apr_time_t until;               /**< the old id leads here until then */
    apr_uint32_t issued_sec;        /**< says the new cookie */
    apr_uint32_t expires_sec;       /**< likewise; 0 for no absolute end */
    unsigned char id[HA_SID_BYTES]; /**< new id, secret */
} ha_forward_t;

/**
 * Write a forward as a field.
 *
 * @param field room for HA_FORWARD_BYTES
 * @param old the session that was rotated
 * @param forward where it went
 * @return the bytes written, in field
 */
span_t ha_forward_encode(char *field, const ha_sid_t *old,
                         const ha_forward_t *forward);

/**
 * Read the forwards of an image, oldest rotation first. What is too short is
 * passed over, and so is what newer code has put behind a known forward.
 *
 * @param list filled; HA_FORWARDS_MAX entries at most
 * @param image of the session that was rotated
 * @param old that session
 * @param p for scratch
 * @return entries of list in use
 */
unsigned int ha_forward_list(ha_forward_t list[HA_FORWARDS_MAX],
                             const ha_image_t *image, const ha_sid_t *old,
                             apr_pool_t *p);

#endif
