/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A route cookie of any bytes, read without secrets, with them, and as a list
 * behind another cookie's signature. What is read can be written, and is the
 * same when it is read again.
 */
#include <stdint.h>
#include <stdlib.h>

#include <apr_general.h>

#include "clone_cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

static void check_clones(const clone_ids_t *ids)
{
    unsigned int i;

    demand(ids->count <= CLONE_COOKIE_CLONES);
    for (i = 0; i < ids->count; i++) {
        demand(ids->clone[i].len > 0);
        demand(!clone_ids_has_control(ids->clone[i]));
    }
}

static void read_again(const clone_ids_t *ids, span_t name,
                       const ha_ring_t *ring, apr_pool_t *p)
{
    char *list = clone_cookie_write_list(ids->clone, ids->count, p);
    char *value = clone_cookie_write(ids->session, list, name, ring, p);
    clone_ids_t again;
    unsigned int i;

    demand(strpbrk(value, " ;,\"\\\r\n") == NULL);
    demand(strlen(value) > CLONE_COOKIE_MAX
           || clone_cookie_read(&again, span_of_text(value), name, ring, p)
              == CLONE_COOKIE_OK);
    for (i = 0; strlen(value) <= CLONE_COOKIE_MAX && i < ids->count; i++) {
        demand(span_is_equal(again.clone[i], ids->clone[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char secret[HA_KEY_BYTES] = "a secret of the fuzzer";
    static apr_pool_t *p;
    span_t value = span_of((const char *)data, size);
    span_t name = span_of_text("R");
    clone_ids_t ids;
    ha_ring_t ring;

    if (p == NULL) {
        demand(apr_initialize() == APR_SUCCESS);
        demand(apr_pool_create(&p, NULL) == APR_SUCCESS);
    }
    ha_ring_init(&ring, secret);
    /* Nobody guesses sixteen bytes. */
    demand(clone_cookie_read(&ids, value, name, &ring, p) != CLONE_COOKIE_OK);
    demand(ids.count == 0 && ids.session.len == 0);
    if (clone_cookie_read(&ids, value, name, NULL, p) == CLONE_COOKIE_OK) {
        check_clones(&ids);
        read_again(&ids, name, NULL, p);
        read_again(&ids, name, &ring, p);
    }
    memset(&ids, 0, sizeof(ids));
    clone_cookie_read_list(&ids, value, p);
    check_clones(&ids);
    apr_pool_clear(p);
    return 0;
}
