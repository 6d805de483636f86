/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_config_method.h"

#include <ap_provider.h>

#include "clone_config.h"
#include "clone_method.h"

/* Weighted round robin is what byrequests does. */
static proxy_balancer_method *by_requests(void)
{
    return ap_lookup_provider(PROXY_LBMETHOD, "byrequests", "0");
}

/* One of n, each as likely. */
static int is_drawn(proxy_worker *current, proxy_worker *best, void *baton)
{
    unsigned int *seen = baton;

    (*seen)++;
    return best == NULL || ap_random_pick(0, *seen - 1) == 0;
}

static proxy_worker *find_address(proxy_balancer *balancer, const char *url,
                                  apr_pool_t *p)
{
    proxy_worker *const *worker = (void *)balancer->workers->elts;
    int i;

    for (i = 0; i < balancer->workers->nelts; i++) {
        if (strcmp(worker[i]->s->name_ex, url) == 0) {
            return PROXY_WORKER_IS_USABLE(worker[i]) ? worker[i] : NULL;
        }
    }
    return NULL;
}

static proxy_worker *find(proxy_balancer *balancer, request_rec *r)
{
    proxy_balancer_method *base = by_requests();
    clone_config_cluster_t cluster;
    unsigned int seen = 0;

    if (clone_config_cluster(&cluster, r->server, balancer->s->name,
                             r->pool)) {
        proxy_worker *worker = cluster.address == NULL ? NULL
            : find_address(balancer, cluster.address, r->pool);

        if (worker != NULL) {
            return worker;
        }
        if (cluster.is_random) {
            return ap_proxy_balancer_get_best_worker(balancer, r, is_drawn,
                                                     &seen);
        }
    }
    return base != NULL ? base->finder(balancer, r) : NULL;
}

static apr_status_t reset(proxy_balancer *balancer, server_rec *s)
{
    proxy_balancer_method *base = by_requests();

    return base != NULL && base->reset != NULL ? base->reset(balancer, s)
                                               : APR_SUCCESS;
}

static apr_status_t age(proxy_balancer *balancer, server_rec *s)
{
    return APR_SUCCESS;
}

/* A request that follows its session. */
static apr_status_t update(proxy_balancer *balancer, proxy_worker *elected,
                           server_rec *s)
{
    clone_config_cluster_t cluster;

    if (!clone_config_cluster(&cluster, s, balancer->s->name, NULL)
        || !cluster.ignores_affinity) {
        clone_method_count(balancer, elected);
    }
    return APR_SUCCESS;
}

proxy_balancer_method clone_config_method = {
    CLONE_CONFIG_METHOD_NAME, find, NULL, reset, age, update
};
