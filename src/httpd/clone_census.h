/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_CENSUS_H
#define CLONE_CENSUS_H

/**
 * @file clone_census.h
 * Every member of every balancer, once, with all its copies.
 *
 * Virtual hosts have balancers of the same name, and mod_proxy a record for
 * each. To administrators these are one: a member is told by the name of its
 * balancer and its clone id, or its URL where it has none.
 */

#include <apr_tables.h>
#include <httpd.h>
#include <mod_proxy.h>

/** One record of mod_proxy's. */
typedef struct clone_copy_t {
    proxy_worker *worker;
    proxy_balancer *balancer; /**< of the server below */
    server_rec *server;       /**< the first that uses it */
} clone_copy_t;

/** A member. */
typedef struct clone_person_t {
    const char *balancer;       /**< "balancer://shop" */
    const char *id;             /**< clone id, or URL */
    apr_array_header_t *copies; /**< of clone_copy_t, at least one */
} clone_person_t;

/**
 * Take a census.
 *
 * @param in_child 1 to look for members that other children have added
 * @param p holds all of it; it points into what lives as long as the child
 * @return of clone_person_t, in the order of the configuration
 */
apr_array_header_t *clone_census_take(int in_child, apr_pool_t *p);

/** @return the member, or NULL */
const clone_person_t *clone_census_find(const apr_array_header_t *census,
                                        const char *balancer,
                                        const char *id);

/** @return 1 when there is a balancer of that name */
int clone_census_has(const apr_array_header_t *census, const char *balancer);

/** @return one of its copies */
const clone_copy_t *clone_census_copy(const clone_person_t *person, int i);

/** @return how a copy stands, bits of clone_flag_e */
unsigned int clone_census_flags(const proxy_worker *worker);

/** @return a status word of mod_proxy's with some flags set otherwise */
unsigned int clone_census_status(unsigned int status, unsigned int mask,
                                 unsigned int value);

/**
 * Make a copy stand so, as balancer-manager does it.
 *
 * @param mask bits of clone_flag_e to be changed
 * @param value to what
 */
void clone_census_set(const clone_copy_t *copy, unsigned int mask,
                      unsigned int value);

#endif
