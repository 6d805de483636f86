/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLONE_XML_H
#define CLONE_XML_H

/**
 * @file clone_xml.h
 * An XML text from outside as a tree whose elements know their lines.
 */

#include <apr_cstr.h>
#include <apr_xml.h>

#include "clone_finding.h"

/**
 * Parse a text under the CLONE_XML_ limits.
 *
 * A document type is refused, so that no entity is ever declared, let alone
 * expanded. Bytes that are no UTF-8 are read as ISO-8859-1.
 *
 * @param root the tree, in ptemp; NULL unless OK is returned
 * @param findings gets one error on failure, with line and reason
 * @param text the bytes; not needed afterwards
 * @param ptemp for the tree and what is needed meanwhile
 * @return CLONE_FINDING_OK, or the kind of the error
 */
HA_CHECK_RESULT
clone_finding_e clone_xml_parse(const apr_xml_elem **root,
                                clone_findings_t *findings, span_t text,
                                apr_pool_t *ptemp);

/** @return the line, from 1, where an element of such a tree begins */
unsigned int clone_xml_line(const apr_xml_elem *elem);

/** @return 1 when an element has this name, in any case */
static inline int clone_xml_is_named(const apr_xml_elem *elem,
                                     const char *name)
{
    return apr_cstr_casecmp(elem->name, name) == 0;
}

/** @return how many children of this name an element has */
unsigned int clone_xml_count(const apr_xml_elem *parent, const char *name);

/** Note an element that is not known where it stands. */
void clone_xml_note_unknown(clone_findings_t *findings,
                            const apr_xml_elem *elem);

#endif
