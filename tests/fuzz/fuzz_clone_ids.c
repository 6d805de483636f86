/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a client's cookies and URL go through. The first byte picks
 * the profile or a free form, the rest is a Cookie header and a URL at once.
 * What is found must lie within the input, unless it was unwrapped, and hold
 * no control character then; the choice must lie within the balancer.
 */
#include <stdint.h>
#include <stdlib.h>

#include <apr_general.h>

#include "clone_ids.h"
#include "clone_route.h"
#include "clone_values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
    if (!holds) {
        abort();
    }
}

static void demand_within(span_t part, span_t whole)
{
    demand(part.len == 0
           || (part.data >= whole.data
               && part.data + part.len <= whole.data + whole.len));
}

static void choose(const clone_ids_t *sessions, unsigned int count)
{
    static const char *const redirects[] = { "B", "C", "A" };
    clone_member_t members[3];
    clone_choice_t choice;
    unsigned int i;

    memset(members, 0, sizeof(members));
    for (i = 0; i < 3; i++) {
        members[i].route = span_of(&"ABC"[i], 1);
        members[i].redirect = redirects[i];
        members[i].name = members[i].route;
        members[i].weight = 100;
        members[i].is_usable = i != 0;
        members[i].is_draining = i == 1;
    }
    clone_route_choose(&choice, members, 3, sessions, count, 0);
    demand(choice.member < 3 && choice.session < CLONE_VALUES_MAX);
    demand((choice.reason == CLONE_REASON_NEW) == (count == 0));
    demand(choice.reason != CLONE_REASON_NONE);
}

/* A form of ours, or one of ours with its fields mixed. */
static void pick_format(clone_format_t *format, uint8_t byte)
{
    clone_format_of(format, (clone_profile_e)(byte % CLONE_PROFILES));
    if (byte / CLONE_PROFILES % 2) {
        memcpy(format->separators, ":+.", 4);
        format->decoding = (clone_decoding_e)(byte % 3);
        format->is_last = byte / 32 % 2;
        format->is_list = !format->is_last && byte / 64 % 2;
    }
}

static void check_part(span_t part, span_t value,
                       const clone_format_t *format)
{
    apr_size_t i;

    if (format->decoding == CLONE_DECODING_NONE) {
        demand_within(part, value);
        return;
    }
    demand(part.len <= value.len);
    for (i = 0; i < part.len; i++) {
        demand((unsigned char)part.data[i] >= ' ' && part.data[i] != 0x7f);
    }
}

static void fuzz(clone_values_t *values, const clone_format_t *format,
                 span_t text, apr_pool_t *p)
{
    clone_ids_t sessions[CLONE_VALUES_MAX];
    unsigned int count = 0;
    unsigned int i;
    unsigned int j;

    for (i = 0; i < values->count; i++) {
        clone_ids_t *ids = &sessions[count];
        clone_parse_e parse = clone_ids_parse(ids, values->value[i], format,
                                              p);

        demand_within(values->value[i], text);
        check_part(ids->session, values->value[i], format);
        demand((parse == CLONE_PARSE_OK) == (ids->session.len > 0));
        for (j = 0; j < ids->count; j++) {
            demand(ids->clone[j].len > 0);
            check_part(ids->clone[j], values->value[i], format);
        }
        count += parse == CLONE_PARSE_OK;
    }
    choose(sessions, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *p;
    clone_values_t values;
    clone_format_t format;
    span_t text;

    if (size == 0) {
        return 0;
    }
    if (p == NULL) {
        demand(apr_initialize() == APR_SUCCESS);
        demand(apr_pool_create(&p, NULL) == APR_SUCCESS);
    }
    apr_pool_clear(p);
    text = span_of((const char *)data + 1, size - 1);
    clone_values_init(&values);
    clone_values_add_cookies(&values, text, span_of_text("J"));
    clone_values_add_url(&values, text, span_of_text("J"));
    clone_values_add_query(&values, text, span_of_text("J"));
    pick_format(&format, data[0]);
    fuzz(&values, &format, text, p);
    return 0;
}
