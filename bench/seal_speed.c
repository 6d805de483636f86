/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sealing costs: microseconds to write and to read back one record that
 * sets one attribute, in clear and sealed, and to verify one cookie. The
 * median of many short runs, so that a busy machine shows less.
 */
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_time.h>

#include "ha_cookie.h"
#include "ha_delta.h"

#define RUNS 41
#define CALLS 200

static apr_pool_t *pool;
static ha_sid_t sid;
static ha_ring_t ring;
static const ha_seal_t on = { &ring, HA_ENCRYPTION_ON };

/* What one call does; the pool is cleared behind each run. */
typedef void (*work_fn)(void *ctx, apr_pool_t *p);

typedef struct job_t {
    const ha_seal_t *seal;
    ha_op_t op;
    span_t record;
} job_t;

static void write_one(void *ctx, apr_pool_t *p)
{
    job_t *job = ctx;
    ha_change_t change = { { 1, 2 }, 3, NULL, 1 };

    change.ops = &job->op;
    job->record = ha_delta_encode(&sid, &change, job->seal, p);
}

static void read_one(void *ctx, apr_pool_t *p)
{
    const job_t *job = ctx;
    ha_image_t *image = ha_image_make(p);
    ha_fold_t fold;

    if (ha_delta_fold(image, &fold, &sid, job->seal, job->record)
        != HA_FOLD_OK) {
        abort();
    }
}

static void verify_one(void *ctx, apr_pool_t *p)
{
    const char *value = ctx;
    ha_cookie_t cookie;

    (void)p;
    if (ha_cookie_verify(&cookie, &ring, span_of_text("HASESSION"),
                         span_of_text(value), 0) != HA_COOKIE_OK) {
        abort();
    }
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median_usec(work_fn work, void *ctx)
{
    double runs[RUNS];
    int run;
    int i;

    for (run = 0; run < RUNS; run++) {
        apr_pool_t *p;
        apr_time_t began;

        apr_pool_create(&p, pool);
        began = apr_time_now();
        for (i = 0; i < CALLS; i++) {
            work(ctx, p);
        }
        runs[run] = (double)(apr_time_now() - began) / CALLS;
        apr_pool_destroy(p);
    }
    qsort(runs, RUNS, sizeof(runs[0]), compare);
    return runs[RUNS / 2];
}

static void time_records(apr_size_t bytes)
{
    char *value = calloc(1, bytes);
    const ha_seal_t *seals[2] = { NULL, &on };
    double usec[2][2];
    int i;

    for (i = 0; i < 2; i++) {
        job_t job = { NULL, { { "name", 4 }, { NULL, 0 }, 0 }, { NULL, 0 } };
        ha_change_t change = { { 1, 2 }, 3, NULL, 1 };

        job.seal = seals[i];
        job.op.value = span_of(value, bytes);
        usec[i][0] = median_usec(write_one, &job);
        change.ops = &job.op;
        job.record = ha_delta_encode(&sid, &change, job.seal, pool);
        usec[i][1] = median_usec(read_one, &job);
    }
    printf("%8lu %12.1f %12.1f %12.1f %12.1f\n", (unsigned long)bytes,
           usec[0][0], usec[1][0], usec[0][1], usec[1][1]);
    free(value);
}

int main(void)
{
    static const unsigned char secret[HA_KEY_BYTES] = "a secret of the bench";
    ha_cookie_t cookie = { { 1 }, 1, 0, 0 };
    apr_size_t sizes[] = { 100, 1024, 4096, 16384 };
    char *value;
    int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    ha_sid_init(&sid, secret);
    ha_ring_init(&ring, secret);
    value = ha_cookie_sign(&cookie, &ring, span_of_text("HASESSION"), pool);
    printf("microseconds a record, by bytes of its value\n"
           "%8s %12s %12s %12s %12s\n", "bytes", "write clear",
           "write sealed", "read clear", "read sealed");
    for (i = 0; i < 4; i++) {
        time_records(sizes[i]);
    }
    printf("microseconds to verify a cookie: %.1f\n",
           median_usec(verify_one, value));
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
