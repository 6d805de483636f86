/* SPDX-License-Identifier: Apache-2.0 */
/* A ring file of any bytes is read or refused, and a refusal leaves no key. */
#include <stdint.h>
#include <stdlib.h>

#include "ha_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ha_ring_t none;
    unsigned int newlines = 0;
    unsigned int line;
    ha_ring_t ring;
    ha_ring_e result;
    size_t i;

    for (i = 0; i < size; i++) {
        newlines += data[i] == '\n';
    }
    result = ha_ring_parse(&ring, &line, span_of((const char *)data, size));
    demand((result == HA_RING_OK) == (ring.count > 0));
    demand(ring.count <= HA_SECRETS_MAX);
    demand(line <= newlines + 1);
    demand((line > 0) == (result != HA_RING_OK && result != HA_RING_EMPTY));
    demand(result == HA_RING_OK || memcmp(&ring, &none, sizeof(none)) == 0);
    ha_ring_wipe(&ring);
    return 0;
}
