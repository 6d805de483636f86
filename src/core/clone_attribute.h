/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_ATTRIBUTE_H
#define CLONE_ATTRIBUTE_H

/**
 * @file clone_attribute.h
 * Attributes of an XML element into members of a record, by a table.
 */

#include <apr_xml.h>

#include "clone_finding.h"

/** How a value is written, and the type of the member it goes to. */
typedef enum clone_attribute_e {
    CLONE_ATTRIBUTE_TEXT = 0, /**< const char *; empty is NULL */
    CLONE_ATTRIBUTE_FLAG,     /**< int: true, yes, on, 1 or their opposites */
    CLONE_ATTRIBUTE_INT,      /**< int */
    CLONE_ATTRIBUTE_LIMIT,    /**< unsigned int; a negative number is 0 */
    CLONE_ATTRIBUTE_BYTES,    /**< apr_int64_t; a negative number is -1 */
    CLONE_ATTRIBUTE_KBYTES,   /**< the same, given in units of 1024 bytes */
    CLONE_ATTRIBUTE_IGNORED   /**< no member: known, has no effect */
} clone_attribute_e;

/** One attribute that an element may have. */
typedef struct clone_attribute_t {
    const char *name;   /**< found without regard to case */
    clone_attribute_e kind;
    apr_size_t offset;  /**< of the member */
    apr_int64_t min;    /**< of a number, as written */
    apr_int64_t max;
    const char *usual;  /**< IGNORED: the value that is not worth a note; ""
                             when none is worth one */
} clone_attribute_t;

/**
 * Fill the members whose attributes are there; the others are left alone.
 *
 * A value that cannot be read is an error, an empty one a warning and as if
 * not there, an attribute that the table does not name a note.
 *
 * @param record what the offsets count from
 * @param elem made by clone_xml_parse()
 * @param table ends with a NULL name
 * @param findings grows
 * @param p texts are copied into it
 */
void clone_attributes_read(void *record, const apr_xml_elem *elem,
                           const clone_attribute_t *table,
                           clone_findings_t *findings, apr_pool_t *p);

#endif
