/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_shared.h"

#include <string.h>

#include <apr_shm.h>
#include <apr_strings.h>
#include <http_config.h>

/* What httpd retains while the module itself is unloaded and loaded again. */
typedef struct kept_t {
    apr_shm_t *shm;
    apr_size_t size;
} kept_t;

/* Who puts something on a cache line of its own counts on the first byte
 * being at the begin of one; APR keeps a length before it. */
#define ALIGNMENT 64

/* The first byte of a block that begins a cache line. */
static void *first_of(apr_shm_t *shm)
{
    char *base = apr_shm_baseaddr_get(shm);
    apr_size_t over = (apr_size_t)((apr_uintptr_t)base % ALIGNMENT);

    return over == 0 ? base : base + (ALIGNMENT - over);
}

static kept_t *find_kept(const char *name)
{
    char key[64]; /* httpd copies it */
    kept_t *kept;

    apr_snprintf(key, sizeof(key), "proxy_balancer_clone/%s", name);
    kept = ap_retained_data_get(key);
    return kept != NULL ? kept : ap_retained_data_create(key, sizeof(*kept));
}

apr_status_t clone_shared_get(void **memory, const char *name,
                              apr_size_t size, server_rec *s)
{
    kept_t *kept = find_kept(name);
    apr_shm_t *shm = kept->shm;

    *memory = NULL;
    if (shm == NULL || kept->size != size) {
        apr_status_t rv = apr_shm_create(&shm, size + ALIGNMENT, NULL,
                                         s->process->pool);

        if (rv != APR_SUCCESS) {
            return rv;
        }
        memset(first_of(shm), 0, size);
        if (kept->shm != NULL) {
            (void)apr_shm_destroy(kept->shm);
        }
        kept->shm = shm;
        kept->size = size;
    }
    *memory = first_of(shm);
    return APR_SUCCESS;
}
