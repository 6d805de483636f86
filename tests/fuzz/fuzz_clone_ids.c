/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a client's cookies and URL go through. The first byte picks
 * the profile, the rest is a Cookie header and a URL at once. What is found
 * must lie within the input, and the choice within the balancer.
 */
#include <stdint.h>
#include <stdlib.h>

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
    clone_member_t members[3];
    clone_choice_t choice;
    unsigned int i;

    memset(members, 0, sizeof(members));
    for (i = 0; i < 3; i++) {
        members[i].route = span_of(&"ABC"[i], 1);
        members[i].redirect = span_of(&"BCA"[i], 1);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clone_ids_t sessions[CLONE_VALUES_MAX];
    clone_values_t values;
    unsigned int count = 0;
    unsigned int i;
    unsigned int j;
    span_t text;

    if (size == 0) {
        return 0;
    }
    text = span_of((const char *)data + 1, size - 1);
    clone_values_init(&values);
    clone_values_add_cookies(&values, text, span_of_text("J"));
    clone_values_add_url(&values, text, span_of_text("J"));
    clone_values_add_query(&values, text, span_of_text("J"));
    for (i = 0; i < values.count; i++) {
        clone_ids_t *ids = &sessions[count];
        clone_parse_e parse = clone_ids_parse(
            ids, values.value[i], (clone_profile_e)(data[0] % CLONE_PROFILES));

        demand_within(values.value[i], text);
        demand_within(ids->session, values.value[i]);
        demand((parse == CLONE_PARSE_OK) == (ids->session.len > 0));
        for (j = 0; j < ids->count; j++) {
            demand(ids->clone[j].len > 0);
            demand_within(ids->clone[j], values.value[i]);
        }
        count += parse == CLONE_PARSE_OK;
    }
    choose(sessions, count);
    return 0;
}
