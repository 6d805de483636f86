/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An administrator's request. What is read must be text, and must read the
 * same when it is written and read again.
 */
#include <stdint.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "clone_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

static const char *write_object(const clone_json_t *json, apr_pool_t *p)
{
    const char *text = "{";
    unsigned int i;

    for (i = 0; i < json->count; i++) {
        const clone_json_pair_t *pair = &json->pair[i];

        text = apr_pstrcat(p, text, i == 0 ? "" : ",",
                           clone_json_quote(pair->name, p), ":",
                           pair->type == CLONE_JSON_TEXT
                               ? clone_json_quote(pair->text, p) : pair->text,
                           NULL);
    }
    return apr_pstrcat(p, text, "}", NULL);
}

static void compare(const clone_json_t *a, const clone_json_t *b)
{
    unsigned int i;

    demand(a->count == b->count);
    for (i = 0; i < a->count; i++) {
        demand(strcmp(a->pair[i].name, b->pair[i].name) == 0);
        demand(strcmp(a->pair[i].text, b->pair[i].text) == 0);
        demand(a->pair[i].type == b->pair[i].type);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    clone_json_t json;
    clone_json_t again;
    span_t text;
    char *copy;

    if (pool == NULL) {
        demand(apr_initialize() == APR_SUCCESS);
        demand(apr_pool_create(&pool, NULL) == APR_SUCCESS);
    }
    /* A block of its own, so that a byte read behind it is noticed. */
    copy = malloc(size + (size == 0));
    demand(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    if (clone_json_parse(&json, span_of(copy, size), pool) == CLONE_JSON_OK) {
        text = span_of_text(write_object(&json, pool));
        if (text.len <= CLONE_JSON_MAX) {
            demand(clone_json_parse(&again, text, pool) == CLONE_JSON_OK);
            compare(&json, &again);
        }
    }
    else {
        demand(json.count == 0);
    }
    free(copy);
    apr_pool_clear(pool);
    return 0;
}
