/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_bulletin.h"

#include <apr_atomic.h>
#include <apr_shm.h>
#include <apr_strings.h>

/* FNV-1a: finds a text that was not written to its end. */
static apr_uint32_t sum_of(const char *data, apr_size_t len)
{
    apr_uint32_t sum = 0x811c9dc5u;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        sum = (sum ^ (unsigned char)data[i]) * 0x01000193u;
    }
    return sum;
}

apr_status_t clone_bulletin_make(clone_bulletin_t **board, apr_pool_t *p)
{
    apr_shm_t *shm;
    /* without a name it is fresh memory, which the system has zeroed */
    apr_status_t rv = apr_shm_create(&shm, sizeof(**board), NULL, p);

    *board = rv == APR_SUCCESS ? apr_shm_baseaddr_get(shm) : NULL;
    return rv;
}

apr_uint32_t clone_bulletin_number(clone_bulletin_t *board)
{
    return apr_atomic_read32(&board->number);
}

void clone_bulletin_put(clone_bulletin_t *board, span_t text)
{
    board->sum = ~sum_of(text.data, text.len);
    memcpy(board->text, text.data, text.len);
    board->len = text.len;
    board->sum = ~board->sum;
    apr_atomic_inc32(&board->number);
}

apr_uint32_t clone_bulletin_get(span_t *text, clone_bulletin_t *board,
                             apr_pool_t *p)
{
    apr_uint32_t number = apr_atomic_read32(&board->number);

    *text = span_of("", 0);
    if (number == 0 || board->len > sizeof(board->text)
        || sum_of(board->text, board->len) != board->sum) {
        return 0;
    }
    *text = span_of(apr_pmemdup(p, board->text, board->len), board->len);
    return number;
}
