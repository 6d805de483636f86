/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_forward.h"

#include <stdlib.h>

#include <openssl/sha.h>

#define TAG_FORWARD 6
#define TAG_LOGOUT 7
#define FIELD_BYTES 5

/* Offsets behind tag and length. */
#define AT_TIME 0
#define AT_WRITER 8
#define AT_UNTIL 16
#define AT_FLAGS 24 /* 0; newer code may mean something by it */
#define AT_ISSUED 25
#define AT_EXPIRES 29
#define AT_ID 33
#define PAYLOAD_BYTES (AT_ID + HA_SID_BYTES)

#if FIELD_BYTES + AT_ID + 16 != HA_FORWARD_BYTES
#error "HA_FORWARD_BYTES says something else"
#endif

#define LABEL "mod_session_ha forward 1"
#define LABEL_LEN (sizeof(LABEL) - 1)
#define STAMP_BYTES 16

span_t ha_forward_logout(void)
{
    static const char field[FIELD_BYTES] = { TAG_LOGOUT, 0, 0, 0, 0 };

    return span_of(field, sizeof(field));
}

int ha_forward_is_logout(const ha_image_t *image)
{
    span_t field = ha_forward_logout();

    return image->ended
           && (apr_hash_count(image->forwards) == 0
               || apr_hash_get(image->fields, field.data,
                               (apr_ssize_t)field.len) != NULL);
}

int ha_forward_is_moved(const ha_image_t *image)
{
    return apr_hash_count(image->forwards) > 0
           && !ha_forward_is_logout(image);
}

static apr_uint64_t get_number(const char *at, unsigned int bytes)
{
    apr_uint64_t number = 0;

    while (bytes-- > 0) {
        number = number << 8 | (unsigned char)*at++;
    }
    return number;
}

static void put_number(char *at, apr_uint64_t number, unsigned int bytes)
{
    while (bytes-- > 0) {
        at[bytes] = (char)(unsigned char)number;
        number >>= 8;
    }
}

/* Seal or open an id: the same thing. Stamp is as it stands in the field. */
static void cross(char *to, const char *from, const ha_sid_t *old,
                  const char *stamp)
{
    unsigned char text[LABEL_LEN + HA_SID_BYTES + STAMP_BYTES];
    unsigned char pad[SHA256_DIGEST_LENGTH];
    unsigned int i;

    memcpy(text, LABEL, LABEL_LEN);
    memcpy(text + LABEL_LEN, old->bytes, HA_SID_BYTES);
    memcpy(text + LABEL_LEN + HA_SID_BYTES, stamp, STAMP_BYTES);
    if (SHA256(text, sizeof(text), pad) == NULL) {
        /* To go on would store an id in clear. */
        abort();
    }
    for (i = 0; i < HA_SID_BYTES; i++) {
        to[i] = (char)((unsigned char)from[i] ^ pad[i]);
    }
}

span_t ha_forward_encode(char *field, const ha_sid_t *old,
                         const ha_forward_t *forward)
{
    char *at = field + FIELD_BYTES;

    field[0] = TAG_FORWARD;
    put_number(field + 1, PAYLOAD_BYTES, 4);
    put_number(at + AT_TIME, forward->stamp.time, 8);
    put_number(at + AT_WRITER, forward->stamp.writer, 8);
    put_number(at + AT_UNTIL, (apr_uint64_t)forward->until, 8);
    at[AT_FLAGS] = 0;
    put_number(at + AT_ISSUED, forward->issued_sec, 4);
    put_number(at + AT_EXPIRES, forward->expires_sec, 4);
    cross(at + AT_ID, (const char *)forward->id, old, at + AT_TIME);
    return span_of(field, HA_FORWARD_BYTES);
}

/* Read one field; returns 0 when it is too short to be a forward of ours. */
static int read_forward(ha_forward_t *forward, const ha_sid_t *old,
                        span_t field)
{
    const char *at = field.data + FIELD_BYTES;
    apr_uint64_t until;

    if (field.len < HA_FORWARD_BYTES || field.data[0] != TAG_FORWARD) {
        return 0;
    }
    until = get_number(at + AT_UNTIL, 8);
    forward->stamp.time = get_number(at + AT_TIME, 8);
    forward->stamp.writer = get_number(at + AT_WRITER, 8);
    forward->until = until > APR_INT64_MAX ? 0 : (apr_time_t)until;
    forward->issued_sec = (apr_uint32_t)get_number(at + AT_ISSUED, 4);
    forward->expires_sec = (apr_uint32_t)get_number(at + AT_EXPIRES, 4);
    cross((char *)forward->id, at + AT_ID, old, at + AT_TIME);
    return 1;
}

/* The keys of the hash begin with the stamp, big-endian: sorted is by age. */
unsigned int ha_forward_list(ha_forward_t list[HA_FORWARDS_MAX],
                             const ha_image_t *image, const ha_sid_t *old,
                             apr_pool_t *p)
{
    unsigned int total;
    const void **fields = ha_image_sorted(&total, image->forwards, p);
    unsigned int count = 0;
    unsigned int i;

    for (i = 0; i < total && count < HA_FORWARDS_MAX; i++) {
        count += (unsigned int)read_forward(&list[count], old,
                                            *(const span_t *)fields[i]);
    }
    return count;
}
