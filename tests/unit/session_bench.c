/* SPDX-License-Identifier: Apache-2.0 */
#include "session_bench.h"

#include <check.h>

#include <apr_strings.h>

#define OPS_MAX 64
#define START_SEC 1700000000

/* Parse "user=ada -pw" into ops; returns their number. */
static unsigned int parse_ops(ha_op_t ops[OPS_MAX], const char *text,
                              apr_pool_t *p)
{
    unsigned int count = 0;
    char *state;
    char *word;

    for (word = apr_strtok(apr_pstrdup(p, text), " ", &state); word != NULL;
         word = apr_strtok(NULL, " ", &state)) {
        char *value = strchr(word, '=');
        ha_op_t *op = &ops[count++];

        ck_assert_uint_le(count, OPS_MAX);
        op->gone = value == NULL;
        if (op->gone) {
            ck_assert_int_eq(*word, '-');
            op->name = span_of_text(word + 1);
            op->value = span_of(NULL, 0);
        }
        else {
            *value = '\0';
            op->name = span_of_text(word);
            op->value = span_of_text(value + 1);
        }
    }
    return count;
}

static const char *table_text(const apr_table_t *table, apr_pool_t *p)
{
    const apr_array_header_t *array = apr_table_elts(table);
    const void *elts = array->elts;
    const apr_table_entry_t *entries = elts;
    char *text = apr_pstrdup(p, "");
    int i;

    for (i = 0; i < array->nelts; i++) {
        text = apr_pstrcat(p, text, i > 0 ? " " : "", entries[i].key, "=",
                           entries[i].val, NULL);
    }
    return text;
}

static const char *saved_text(const ha_saved_t *saved, apr_pool_t *p)
{
    char *text = apr_psprintf(p, "%u/%u", saved->copies, saved->wanted);

    ck_assert_uint_le(saved->owners, saved->copies);
    ck_assert_uint_le(saved->copies, saved->wanted);
    if (saved->owners < saved->copies) {
        text = apr_psprintf(p, "%s, %u stand-in", text,
                            saved->copies - saved->owners);
    }
    if (saved->copies > 0 && saved->copies < saved->acks) {
        text = apr_pstrcat(p, text, ", failed", NULL);
    }
    return saved->refused ? apr_pstrcat(p, text, ", refused", NULL) : text;
}

bench_t *bench_make(unsigned int nodes, unsigned int replicas, apr_pool_t *p)
{
    bench_t *bench = apr_pcalloc(p, sizeof(*bench));

    bench->pool = p;
    bench->fake = store_fake_make(nodes, p);
    store_fake_sid(&bench->sid, bench->fake, replicas, 0);
    bench->env.store = store_fake_store(bench->fake);
    bench->env.replicas = replicas;
    bench->env.ttl_sec = BENCH_TTL_SEC;
    bench->env.now = apr_time_from_sec(START_SEC);
    bench->env.issued = bench->env.now;
    bench->env.writer = 1;
    bench_pass(bench, 0);
    return bench;
}

void bench_pass(bench_t *bench, int seconds)
{
    bench->env.now += apr_time_from_sec(seconds);
    bench->env.deadline = bench->env.now + apr_time_from_msec(250);
    store_fake_set_time(bench->fake, bench->env.now);
}

/* A moment passes, and whoever writes next draws another number. */
static const ha_session_env_t *next_env(bench_t *bench)
{
    bench->env.now += 1000;
    bench->env.deadline = bench->env.now + apr_time_from_msec(250);
    bench->env.writer += 1;
    return &bench->env;
}

ha_session_t *bench_create(bench_t *bench, const char *ops)
{
    ha_session_t *session = ha_session_make(&bench->sid, bench->pool);
    const char *text = bench_save(bench, session, ops);

    ck_assert_str_eq(text, apr_psprintf(bench->pool, "%u/%u",
                                        bench->env.replicas,
                                        bench->env.replicas));
    store_fake_log(bench->fake);
    return session;
}

const char *bench_save(bench_t *bench, ha_session_t *session, const char *ops)
{
    ha_op_t *list = apr_palloc(bench->pool, OPS_MAX * sizeof(*list));
    unsigned int count = parse_ops(list, ops, bench->pool);
    ha_saved_t saved;

    memset(&saved, 0xee, sizeof(saved));
    ha_session_save(session, &saved, next_env(bench), list, count);
    bench->saved = saved;
    return saved_text(&saved, bench->pool);
}

const char *bench_end(bench_t *bench, ha_session_t *session)
{
    ha_saved_t saved;

    memset(&saved, 0xee, sizeof(saved));
    ha_session_end(session, &saved, next_env(bench));
    bench->saved = saved;
    return saved_text(&saved, bench->pool);
}

const char *bench_touch(bench_t *bench, ha_session_t *session)
{
    ha_saved_t saved;

    memset(&saved, 0xee, sizeof(saved));
    ha_session_touch(session, &saved, next_env(bench));
    bench->saved = saved;
    return saved_text(&saved, bench->pool);
}

const char *bench_load(bench_t *bench, ha_session_t **session)
{
    ha_session_t *unused;
    ha_session_t **into = session != NULL ? session : &unused;
    ha_load_e result;

    result = ha_session_load(into, next_env(bench), &bench->sid, bench->pool);
    ck_assert_int_eq(*into != NULL, result == HA_LOAD_HIT
                                        || result == HA_LOAD_MOVED);
    if (result != HA_LOAD_HIT) {
        return ha_load_name(result);
    }
    ck_assert(ha_session_is_stored(*into));
    return apr_pstrcat(bench->pool, "hit ", bench_table(bench, *into), NULL);
}

const char *bench_table(const bench_t *bench, const ha_session_t *session)
{
    return table_text(ha_session_table(session, bench->pool), bench->pool);
}

/* Fold what a node holds; returns NULL when it holds nothing. */
static ha_image_t *fold_node(const bench_t *bench, unsigned int node,
                             ha_fold_t *fold)
{
    span_t item = store_fake_item(bench->fake, node, bench->sid.key);
    ha_image_t *image = ha_image_make(bench->pool);

    if (item.data == NULL) {
        return NULL;
    }
    ck_assert_int_eq(ha_delta_fold(image, fold, &bench->sid, bench->env.seal,
                                   item),
                     fold->result);
    return image;
}

const char *bench_node(const bench_t *bench, unsigned int node)
{
    ha_fold_t fold;
    ha_image_t *image = fold_node(bench, node, &fold);

    if (image == NULL) {
        return "nothing";
    }
    if (fold.result != HA_FOLD_OK) {
        return ha_fold_name(fold.result);
    }
    return image->ended ? "ended"
                        : table_text(ha_image_table(image, bench->pool),
                                     bench->pool);
}

unsigned int bench_records(const bench_t *bench, unsigned int node)
{
    ha_fold_t fold;

    return fold_node(bench, node, &fold) != NULL ? fold.records : 0;
}

span_t bench_record(bench_t *bench, const char *ops)
{
    ha_op_t *list = apr_palloc(bench->pool, OPS_MAX * sizeof(*list));
    const ha_session_env_t *env = next_env(bench);
    ha_change_t change;

    change.stamp.time = (apr_uint64_t)env->now;
    change.stamp.writer = env->writer;
    change.access = env->now;
    change.ops = list;
    change.count = parse_ops(list, ops, bench->pool);
    return ha_delta_encode(&bench->sid, &change, env->seal, bench->pool);
}
