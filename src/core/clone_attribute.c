/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_attribute.h"

#include <errno.h>

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "clone_text.h"
#include "clone_xml.h"

/* What one attribute is read with. */
typedef struct read_t {
    const apr_xml_elem *elem;
    const clone_attribute_t *attribute;
    const char *value;
    void *member;
    clone_findings_t *findings;
    apr_pool_t *p;
} read_t;

static const char *quote(const clone_findings_t *findings, const char *text)
{
    return clone_findings_quote(findings, span_of_text(text));
}

static void refuse(const read_t *read, const char *what)
{
    clone_findings_add(read->findings, clone_xml_line(read->elem),
                       CLONE_ERROR, CLONE_FINDING_INVALID,
                       "%s must be %s, not '%s'", read->attribute->name, what,
                       quote(read->findings, read->value));
}

static void read_flag(const read_t *read)
{
    static const char *const words[] = {
        "false", "true", "no", "yes", "off", "on", "0", "1"
    };
    unsigned int i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (apr_cstr_casecmp(read->value, words[i]) == 0) {
            *(int *)read->member = (int)(i % 2);
            return;
        }
    }
    refuse(read, "true or false");
}

/* The whole word or nothing. */
static int parse_number(apr_int64_t *number, const read_t *read)
{
    const char *text = read->value;
    char *end;

    /* apr_strtoi64() would step over white space. */
    if (!apr_isdigit(text[text[0] == '-'])) {
        return 0;
    }
    errno = 0;
    *number = apr_strtoi64(text, &end, 10);
    return errno == 0 && *end == '\0' && *number >= read->attribute->min
           && *number <= read->attribute->max;
}

static void read_number(const read_t *read)
{
    apr_int64_t number;

    if (!parse_number(&number, read)) {
        refuse(read, apr_psprintf(read->findings->p, "a number from %"
                                  APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                                  read->attribute->min,
                                  read->attribute->max));
        return;
    }
    switch (read->attribute->kind) {
    case CLONE_ATTRIBUTE_INT:
        *(int *)read->member = (int)number;
        break;
    case CLONE_ATTRIBUTE_LIMIT:
        *(unsigned int *)read->member = number > 0 ? (unsigned int)number : 0;
        break;
    case CLONE_ATTRIBUTE_KBYTES:
        number = number > 0 ? number * 1024 : number;
        *(apr_int64_t *)read->member = number < 0 ? -1 : number;
        break;
    default:
        *(apr_int64_t *)read->member = number < 0 ? -1 : number;
        break;
    }
}

static void read_value(const read_t *read)
{
    const clone_attribute_t *attribute = read->attribute;

    if (attribute->kind == CLONE_ATTRIBUTE_TEXT) {
        *(const char **)read->member = read->value[0] != '\0'
            ? apr_pstrdup(read->p, read->value) : NULL;
    }
    else if (attribute->kind == CLONE_ATTRIBUTE_IGNORED) {
        if (attribute->usual[0] != '\0'
            && apr_cstr_casecmp(read->value, attribute->usual) != 0) {
            clone_findings_add(read->findings, clone_xml_line(read->elem),
                               CLONE_NOTE, CLONE_FINDING_IGNORED,
                               "%s=\"%s\" has no effect", attribute->name,
                               quote(read->findings, read->value));
        }
    }
    else if (read->value[0] == '\0') {
        clone_findings_add(read->findings, clone_xml_line(read->elem),
                           CLONE_WARNING, CLONE_FINDING_LENIENT,
                           "%s is empty: as if it were not there",
                           attribute->name);
    }
    else if (attribute->kind == CLONE_ATTRIBUTE_FLAG) {
        read_flag(read);
    }
    else {
        read_number(read);
    }
}

/* apr_xml keeps attributes last one first: the last found is the first. */
static const apr_xml_attr *find(const apr_xml_elem *elem, const char *name,
                                unsigned int *count)
{
    const apr_xml_attr *found = NULL;
    const apr_xml_attr *attr;

    *count = 0;
    for (attr = elem->attr; attr != NULL; attr = attr->next) {
        if (apr_cstr_casecmp(attr->name, name) == 0) {
            found = attr;
            ++*count;
        }
    }
    return found;
}

static void read_one(read_t *read)
{
    const char *name = read->attribute->name;
    unsigned int line = clone_xml_line(read->elem);
    const apr_xml_attr *attr;
    unsigned int count;

    attr = find(read->elem, name, &count);
    if (attr == NULL) {
        return;
    }
    if (strcmp(attr->name, name) != 0) {
        clone_findings_add(read->findings, line, CLONE_NOTE,
                           CLONE_FINDING_LENIENT, "%s is written '%s'", name,
                           quote(read->findings, attr->name));
    }
    if (count > 1) {
        clone_findings_add(read->findings, line, CLONE_WARNING,
                           CLONE_FINDING_DUPLICATE, "%s is there %u times; "
                           "the first one counts", name, count);
    }
    read->value = attr->value;
    read_value(read);
}

static int is_known(const clone_attribute_t *table, const char *name)
{
    for (; table->name != NULL; table++) {
        if (apr_cstr_casecmp(table->name, name) == 0) {
            return 1;
        }
    }
    return 0;
}

void clone_attributes_read(void *record, const apr_xml_elem *elem,
                           const clone_attribute_t *table,
                           clone_findings_t *findings, apr_pool_t *p)
{
    const apr_xml_attr *attr;
    read_t read;

    memset(&read, 0, sizeof(read));
    read.elem = elem;
    read.findings = findings;
    read.p = p;
    for (read.attribute = table; read.attribute->name != NULL;
         read.attribute++) {
        read.member = (char *)record + read.attribute->offset;
        read_one(&read);
    }
    for (attr = elem->attr; attr != NULL; attr = attr->next) {
        if (!is_known(table, attr->name)) {
            clone_findings_add(findings, clone_xml_line(elem), CLONE_NOTE,
                               CLONE_FINDING_UNKNOWN,
                               "attribute %s of %s is not known",
                               quote(findings, attr->name),
                               quote(findings, elem->name));
        }
    }
}
