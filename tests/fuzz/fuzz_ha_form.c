/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer's header of any bytes is read whole or refused whole, and what
 * is read can be said again: encoded anew it gives the same operations.
 */
#include <stdint.h>
#include <stdlib.h>

#include <apr_general.h>

#include "ha_form.h"
#include "ha_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

static void demand_text(span_t text, size_t most)
{
    demand(text.len <= most);
    demand(memchr(text.data, '\0', text.len) == NULL);
    demand(text.data[text.len] == '\0');
}

/* Every byte escaped, so that nothing depends on what may stay bare. */
static char *escape(char *at, span_t text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t i;

    for (i = 0; i < text.len; i++) {
        unsigned int byte = (unsigned char)text.data[i];

        *at++ = '%';
        *at++ = digits[byte / 16];
        *at++ = digits[byte % 16];
    }
    return at;
}

static span_t encode(const ha_op_t *ops, unsigned int count, apr_pool_t *p)
{
    size_t most = 0;
    unsigned int i;
    char *text;
    char *at;

    for (i = 0; i < count; i++) {
        most += 3 * (ops[i].name.len + ops[i].value.len) + 2;
    }
    text = at = apr_palloc(p, most + 1);
    for (i = 0; i < count; i++) {
        if (ops[i].gone) {
            *at++ = '-';
        }
        at = escape(at, ops[i].name);
        if (!ops[i].gone) {
            *at++ = '=';
            at = escape(at, ops[i].value);
        }
        *at++ = '&';
    }
    return span_of(text, (size_t)(at - text));
}

static void demand_same(const ha_op_t *ops, unsigned int count, apr_pool_t *p)
{
    span_t text = encode(ops, count, p);
    ha_op_t *again;
    unsigned int found;
    unsigned int i;

    if (text.len > HA_FORM_MAX) {
        return;
    }
    demand(ha_form_parse(&again, &found, text, p) == HA_FORM_OK);
    demand(found == count);
    for (i = 0; i < count; i++) {
        demand(again[i].gone == ops[i].gone);
        demand(span_is_equal(again[i].name, ops[i].name));
        demand(span_is_equal(again[i].value, ops[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int is_ready;
    apr_pool_t *p;
    ha_op_t *ops;
    unsigned int count;
    unsigned int i;
    ha_form_e result;

    if (!is_ready) {
        demand(apr_initialize() == APR_SUCCESS);
        is_ready = 1;
    }
    demand(apr_pool_create(&p, NULL) == APR_SUCCESS);
    result = ha_form_parse(&ops, &count, span_of((const char *)data, size), p);
    demand((ops == NULL) == (count == 0));
    demand(result == HA_FORM_OK || count == 0);
    demand(count <= HA_ATTRS_MAX);
    for (i = 0; i < count; i++) {
        demand(ops[i].name.len > 0);
        demand_text(ops[i].name, HA_ATTR_NAME_MAX);
        if (!ops[i].gone) {
            demand_text(ops[i].value, size);
        }
    }
    demand_same(ops, count, p);
    apr_pool_destroy(p);
    return 0;
}
