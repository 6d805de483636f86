/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_FINDING_H
#define CLONE_FINDING_H

/**
 * @file clone_finding.h
 * What a reader of a file has to say about it, line by line.
 */

#include <apr_pools.h>
#include <apr_tables.h>

#include "ha_base.h"
#include "ha_limits.h"

/** How bad it is. */
typedef enum clone_severity_e {
    CLONE_NOTE = 0, /**< good to know: read in a certain way, or not used */
    CLONE_WARNING,  /**< probably not what was meant; the file is used */
    CLONE_ERROR     /**< the file cannot be used */
} clone_severity_e;

/** What is the matter. As a result, OK or the kind of the first error. */
typedef enum clone_finding_e {
    CLONE_FINDING_OK = 0,
    CLONE_FINDING_EMPTY,     /**< no document in it */
    CLONE_FINDING_LIMIT,     /**< larger, deeper, longer or more than allowed */
    CLONE_FINDING_BINARY,    /**< bytes that no text has; UTF-16 is such */
    CLONE_FINDING_DTD,       /**< a document type: entities may hide there */
    CLONE_FINDING_XML,       /**< not well-formed */
    CLONE_FINDING_ROOT,      /**< a document of another kind */
    CLONE_FINDING_MISSING,   /**< a name, host or port that must be there */
    CLONE_FINDING_INVALID,   /**< a value that cannot be read */
    CLONE_FINDING_ENCODING,  /**< not in the encoding it claims */
    CLONE_FINDING_LENIENT,   /**< understood, but not written as it should be */
    CLONE_FINDING_UNKNOWN,   /**< an element or attribute nobody knows */
    CLONE_FINDING_IGNORED,   /**< known, and of no effect here */
    CLONE_FINDING_UNUSED,    /**< defined, and nothing refers to it */
    CLONE_FINDING_DANGLING,  /**< refers to what is not defined */
    CLONE_FINDING_DUPLICATE, /**< there already; the first one counts */
    CLONE_FINDING_DANGEROUS  /**< works, until it does not */
} clone_finding_e;

/** One thing found. */
typedef struct clone_finding_t {
    unsigned int line; /**< from 1; 0 when it is about the whole file */
    clone_severity_e severity;
    clone_finding_e kind;
    const char *text; /**< a sentence without full stop, safe to print: valid
                           UTF-8, no control bytes, quotes cut to length */
} clone_finding_t;

/** All things found. */
typedef struct clone_findings_t {
    apr_array_header_t *list;   /**< of clone_finding_t, not more than
                                     CLONE_FINDINGS_MAX */
    unsigned int count[3];      /**< how many of each clone_severity_e there
                                     were, listed or not */
    clone_finding_e first;      /**< kind of the first error; OK when none */
    clone_finding_t first_error; /**< that error, though not listed */
    apr_pool_t *p;              /**< texts are made in it */
} clone_findings_t;

/** @return an empty list in p */
clone_findings_t *clone_findings_make(apr_pool_t *p);

/**
 * Add one.
 *
 * @param findings grows
 * @param line from 1, or 0
 * @param format as of printf; quote what is from the file with
 *        clone_findings_quote()
 */
void clone_findings_add(clone_findings_t *findings, unsigned int line,
                        clone_severity_e severity, clone_finding_e kind,
                        const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/**
 * Make bytes from a file fit for a message: cut to CLONE_QUOTE_MAX bytes,
 * control bytes and what is no UTF-8 replaced by '?'.
 *
 * @return text in the pool of findings, without quotes around it
 */
const char *clone_findings_quote(const clone_findings_t *findings,
                                 span_t text);

/**
 * Put them in the order of their lines; those of one line keep theirs.
 */
void clone_findings_sort(clone_findings_t *findings);

/**
 * The word for a severity: "note", "warning" or "error".
 *
 * @return a constant; "?" for a value outside the enum
 */
const char *clone_severity_name(clone_severity_e severity);

/**
 * The word for a kind, such as "dangling".
 *
 * @return a constant; "?" for a value outside the enum
 */
const char *clone_finding_name(clone_finding_e kind);

#endif
