/* SPDX-License-Identifier: Apache-2.0 */
/* A Set-Cookie line of any bytes; what is found lies within it. */
#include <stdint.h>
#include <stdlib.h>

#include "clone_set_cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    span_t line = span_of((const char *)data, size);
    clone_set_cookie_t cookie;

    if (clone_set_cookie_read(&cookie, line, span_of_text("J"),
                              apr_time_from_sec(1795608000))) {
        demand(cookie.value.data >= line.data
               && cookie.value.data + cookie.value.len
                  <= line.data + line.len);
        demand(cookie.value.len > 0 || cookie.is_ended);
    }
    else {
        demand(cookie.value.len == 0 && !cookie.is_ended);
    }
    return 0;
}
