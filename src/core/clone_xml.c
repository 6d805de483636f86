/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two readers, one after the other. Ours goes over the tags first: it holds
 * the text against the limits, refuses a document type, matches tags by name,
 * and writes down the line of each start tag. Only then expat, through
 * apr_xml, builds the tree and judges the rest of the grammar.
 *
 * Why not expat's own calls, which know lines: libexpat would become one more
 * library to build and link with, and its limits come too late, for it has
 * expanded and allocated by the time a handler hears of an element. apr_xml
 * is there wherever httpd is, and forgets the lines; but the n-th start tag
 * of the text is the n-th element of the tree. expat gets one line at a time,
 * so that the line is known where it stops.
 *
 * expat reads UTF-8 here, always: the text is decoded before, and its own
 * claim of an encoding is blotted out.
 */
#include "clone_xml.h"

#include <apr_strings.h>

#include "clone_text.h"

/* A tag that waits for its end. */
typedef struct open_t {
    span_t name;
    unsigned int line;
} open_t;

typedef struct scan_t {
    span_t rest;
    unsigned int line; /* of the first byte of rest */
    open_t open[CLONE_XML_DEPTH_MAX];
    unsigned int depth;
    apr_array_header_t *lines; /* of unsigned int, one for each start tag */
    clone_findings_t *findings;
} scan_t;

static int is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static unsigned int newlines_in(span_t text)
{
    unsigned int count = 0;
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        count += text.data[i] == '\n';
    }
    return count;
}

static span_t first(span_t text, apr_size_t len)
{
    return span_of(text.data, len < text.len ? len : text.len);
}

static span_t without(span_t text, apr_size_t len)
{
    len = len < text.len ? len : text.len;
    return span_of(text.data + len, text.len - len);
}

/* Take len bytes off the rest. */
static span_t take(scan_t *scan, apr_size_t len)
{
    span_t taken = first(scan->rest, len);

    scan->line += newlines_in(taken);
    scan->rest = without(scan->rest, len);
    return taken;
}

static int begins(span_t text, const char *word)
{
    apr_size_t len = strlen(word);

    return text.len >= len && memcmp(text.data, word, len) == 0;
}

/* Offset of a word in text, text.len when it is not there. */
static apr_size_t find(span_t text, const char *word)
{
    apr_size_t at = 0;

    while (at < text.len) {
        const char *next = memchr(text.data + at, word[0], text.len - at);

        if (next == NULL) {
            break;
        }
        at = (apr_size_t)(next - text.data);
        if (begins(span_of(next, text.len - at), word)) {
            return at;
        }
        at++;
    }
    return text.len;
}

static const char *quote(const scan_t *scan, span_t text)
{
    return clone_findings_quote(scan->findings, text);
}

static int refuse(scan_t *scan, unsigned int line, clone_finding_e kind,
                  const char *what, span_t text)
{
    clone_findings_add(scan->findings, line, CLONE_ERROR, kind, "%s: '%s'",
                       what, quote(scan, text));
    return 0;
}

static int refuse_limit(scan_t *scan, const char *what, int limit)
{
    clone_findings_add(scan->findings, scan->line, CLONE_ERROR,
                       CLONE_FINDING_LIMIT, "%s, %d are allowed", what,
                       limit);
    return 0;
}

static void skip_white(scan_t *scan)
{
    apr_size_t len = 0;

    while (len < scan->rest.len && is_white(scan->rest.data[len])) {
        len++;
    }
    take(scan, len);
}

static apr_size_t name_len(span_t text)
{
    apr_size_t len = 0;

    while (len < text.len && !is_white(text.data[len])
           && memchr("<>/=\"'", text.data[len], 6) == NULL) {
        len++;
    }
    return len;
}

static int take_name(scan_t *scan, span_t *name)
{
    apr_size_t len = name_len(scan->rest);

    if (len == 0) {
        return refuse(scan, scan->line, CLONE_FINDING_XML,
                      "a name is missing", scan->rest);
    }
    if (len > CLONE_XML_NAME_MAX) {
        return refuse_limit(scan, "a name has too many bytes",
                            CLONE_XML_NAME_MAX);
    }
    *name = take(scan, len);
    return 1;
}

/* Step over what ends with a word: a comment, an instruction, CDATA. */
static int skip_past(scan_t *scan, const char *end, const char *what)
{
    apr_size_t at = find(scan->rest, end);

    if (at == scan->rest.len) {
        return refuse(scan, scan->line, CLONE_FINDING_XML, what, scan->rest);
    }
    take(scan, at + strlen(end));
    return 1;
}

/* name = "value" */
static int skip_attribute(scan_t *scan)
{
    char end[2] = "";
    span_t before = scan->rest;
    span_t name;
    apr_size_t at;

    if (!take_name(scan, &name)) {
        return 0;
    }
    skip_white(scan);
    if (!begins(scan->rest, "=")) {
        return refuse(scan, scan->line, CLONE_FINDING_XML,
                      "an attribute without a value", name);
    }
    take(scan, 1);
    skip_white(scan);
    if (!begins(scan->rest, "\"") && !begins(scan->rest, "'")) {
        return refuse(scan, scan->line, CLONE_FINDING_XML,
                      "an attribute's value is not in quotes", before);
    }
    end[0] = scan->rest.data[0];
    take(scan, 1);
    at = find(scan->rest, end);
    if (at == scan->rest.len || memchr(scan->rest.data, '<', at) != NULL) {
        return refuse(scan, scan->line, CLONE_FINDING_XML,
                      "an attribute's value does not end", before);
    }
    if (at > CLONE_XML_TEXT_MAX) {
        return refuse_limit(scan, "an attribute's value has too many bytes",
                            CLONE_XML_TEXT_MAX);
    }
    take(scan, at + 1);
    return 1;
}

static int open_tag(scan_t *scan)
{
    open_t *open = &scan->open[scan->depth];

    if (scan->depth == CLONE_XML_DEPTH_MAX) {
        return refuse_limit(scan, "too many elements within each other",
                            CLONE_XML_DEPTH_MAX);
    }
    if (scan->lines->nelts == CLONE_XML_ELEMENTS_MAX) {
        return refuse_limit(scan, "too many elements",
                            CLONE_XML_ELEMENTS_MAX);
    }
    open->line = scan->line;
    APR_ARRAY_PUSH(scan->lines, unsigned int) = scan->line;
    take(scan, 1);
    return take_name(scan, &open->name);
}

static int scan_start_tag(scan_t *scan)
{
    open_t *open = &scan->open[scan->depth];
    unsigned int attributes = 0;

    if (!open_tag(scan)) {
        return 0;
    }
    for (;;) {
        skip_white(scan);
        if (begins(scan->rest, "/>")) {
            take(scan, 2);
            return 1;
        }
        if (begins(scan->rest, ">")) {
            take(scan, 1);
            scan->depth++;
            return 1;
        }
        if (scan->rest.len == 0) {
            return refuse(scan, open->line, CLONE_FINDING_XML,
                          "a tag does not end", open->name);
        }
        if (attributes++ == CLONE_XML_ATTRIBUTES_MAX) {
            return refuse_limit(scan, "too many attributes of one element",
                                CLONE_XML_ATTRIBUTES_MAX);
        }
        if (!skip_attribute(scan)) {
            return 0;
        }
    }
}

static int scan_end_tag(scan_t *scan)
{
    const open_t *open;
    unsigned int line = scan->line;
    span_t name;

    take(scan, 2);
    if (!take_name(scan, &name)) {
        return 0;
    }
    skip_white(scan);
    if (!begins(scan->rest, ">")) {
        return refuse(scan, line, CLONE_FINDING_XML, "a tag does not end",
                      name);
    }
    take(scan, 1);
    if (scan->depth == 0) {
        return refuse(scan, line, CLONE_FINDING_XML,
                      "the end of an element that did not begin", name);
    }
    open = &scan->open[--scan->depth];
    if (!span_is_equal(open->name, name)) {
        clone_findings_add(scan->findings, line, CLONE_ERROR,
                           CLONE_FINDING_XML, "'</%s>' where '<%s>' of line "
                           "%u should end", quote(scan, name),
                           quote(scan, open->name), open->line);
        return 0;
    }
    return 1;
}

static int scan_text(scan_t *scan)
{
    apr_size_t len;

    skip_white(scan);
    len = find(scan->rest, "<");
    if (len > CLONE_XML_TEXT_MAX) {
        return refuse_limit(scan, "a text has too many bytes",
                            CLONE_XML_TEXT_MAX);
    }
    take(scan, len);
    return 1;
}

static int scan_cdata(scan_t *scan)
{
    take(scan, strlen("<![CDATA["));
    if (find(scan->rest, "]]>") > CLONE_XML_TEXT_MAX) {
        return refuse_limit(scan, "a text has too many bytes",
                            CLONE_XML_TEXT_MAX);
    }
    return skip_past(scan, "]]>", "a CDATA section does not end");
}

static int scan_one(scan_t *scan)
{
    if (!begins(scan->rest, "<")) {
        return scan_text(scan);
    }
    if (begins(scan->rest, "<!--")) {
        return skip_past(scan, "-->", "a comment does not end");
    }
    if (begins(scan->rest, "<?")) {
        return skip_past(scan, "?>", "an instruction does not end");
    }
    if (begins(scan->rest, "<![CDATA[")) {
        return scan_cdata(scan);
    }
    if (begins(scan->rest, "<!")) {
        return refuse(scan, scan->line, CLONE_FINDING_DTD,
                      "document types and entities are not allowed",
                      first(scan->rest, find(scan->rest, "\n")));
    }
    if (begins(scan->rest, "</")) {
        return scan_end_tag(scan);
    }
    return scan_start_tag(scan);
}

static int scan_all(scan_t *scan)
{
    while (scan->rest.len > 0) {
        if (!scan_one(scan)) {
            return 0;
        }
    }
    if (scan->depth > 0) {
        const open_t *open = &scan->open[scan->depth - 1];

        return refuse(scan, open->line, CLONE_FINDING_XML,
                      "an element does not end before the file does",
                      open->name);
    }
    if (scan->lines->nelts == 0) {
        clone_findings_add(scan->findings, 0, CLONE_ERROR,
                           CLONE_FINDING_EMPTY, "there is no element in it");
        return 0;
    }
    return 1;
}

/* Tabs and line ends are all that XML allows below ' '. */
static int check_bytes(clone_findings_t *findings, span_t text)
{
    apr_size_t i;

    if (text.len > CLONE_XML_MAX) {
        clone_findings_add(findings, 0, CLONE_ERROR, CLONE_FINDING_LIMIT,
                           "the file has more than %d bytes", CLONE_XML_MAX);
        return 0;
    }
    for (i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.data[i];

        if (byte < ' ' && !is_white(text.data[i])) {
            clone_findings_add(findings, newlines_in(first(text, i)) + 1,
                               CLONE_ERROR, CLONE_FINDING_BINARY,
                               "a byte 0x%02x: not a text, or one in UTF-16; "
                               "save it as UTF-8", byte);
            return 0;
        }
    }
    return 1;
}

static apr_size_t quote_in(span_t text)
{
    apr_size_t at = 0;

    while (at < text.len && text.data[at] != '"' && text.data[at] != '\'') {
        at++;
    }
    return at;
}

/* The encoding="" of an XML declaration; empty when there is none. */
static span_t claimed_encoding(span_t declaration)
{
    span_t rest = without(declaration, find(declaration, "encoding"));

    rest = without(rest, quote_in(rest) + 1);
    return first(rest, quote_in(rest));
}

/* Encodings in which the bytes above ASCII are one character each. */
static int is_single_byte(span_t encoding)
{
    static const char *const names[] = {
        "ISO-8859-1", "ISO8859-1", "ISO_8859-1", "ISO-8859-15", "latin1",
        "windows-1252", "Cp1252"
    };
    unsigned int i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (clone_text_is_alike(encoding, span_of_text(names[i]))) {
            return 1;
        }
    }
    return 0;
}

/* Say so where the bytes are not what the file claims. */
static span_t decode_by_force(clone_findings_t *findings, span_t text,
                              span_t encoding, apr_pool_t *ptemp)
{
    span_t good = first(text, clone_text_utf8(text));

    if (good.len == text.len) {
        return text;
    }
    clone_findings_add(findings, newlines_in(good) + 1, CLONE_NOTE,
                       CLONE_FINDING_ENCODING,
                       "bytes that are no UTF-8 in a file that claims %s: "
                       "read as ISO-8859-1", encoding.len > 0
                       ? clone_findings_quote(findings, encoding) : "UTF-8");
    return clone_text_of_latin1(text, ptemp);
}

/* The text in UTF-8, a mark of byte order and the declaration blotted out. */
static span_t decode(clone_findings_t *findings, span_t text,
                     apr_pool_t *ptemp)
{
    char *data = apr_pmemdup(ptemp, text.data, text.len);
    apr_size_t from = begins(text, "\xef\xbb\xbf") ? 3 : 0;
    span_t encoding = { NULL, 0 };
    apr_size_t end;
    span_t head;

    while (from < text.len && is_white(text.data[from])) {
        from++;
    }
    head = without(text, from);
    end = find(head, "?>");
    if (begins(head, "<?xml") && end > 5 && end < head.len
        && is_white(head.data[5])) {
        encoding = claimed_encoding(first(head, end));
        from += end + 2;
    }
    for (end = 0; end < from; end++) {
        data[end] = is_white(data[end]) ? data[end] : ' ';
    }
    text.data = data;
    return is_single_byte(encoding)
           ? clone_text_of_latin1(text, ptemp)
           : decode_by_force(findings, text, encoding, ptemp);
}

static void refuse_line(clone_findings_t *findings, apr_xml_parser *parser,
                        unsigned int number, span_t line)
{
    static const char prefix[] = "XML parser error code: ";
    char reason[200] = "";
    span_t text = line;

    (void)apr_xml_parser_geterror(parser, reason, sizeof(reason));
    while (text.len > 0 && is_white(text.data[0])) {
        text = without(text, 1);
    }
    text = first(first(text, find(text, "\n")), find(text, "\r"));
    clone_findings_add(findings, number, CLONE_ERROR, CLONE_FINDING_XML,
                       "%s: '%s'",
                       strncmp(reason, prefix, sizeof(prefix) - 1) == 0
                       ? reason + sizeof(prefix) - 1 : reason,
                       clone_findings_quote(findings, text));
}

static apr_xml_doc *build(clone_findings_t *findings, span_t text,
                          apr_pool_t *ptemp)
{
    apr_xml_parser *parser = apr_xml_parser_create(ptemp);
    apr_xml_doc *doc = NULL;
    unsigned int number = 0;
    span_t line = { "", 0 };

    while (text.len > 0) {
        line = first(text, find(text, "\n") + 1);
        text = without(text, line.len);
        number++;
        if (apr_xml_parser_feed(parser, line.data, line.len) != APR_SUCCESS) {
            refuse_line(findings, parser, number, line);
            (void)apr_xml_parser_done(parser, NULL);
            return NULL;
        }
    }
    if (apr_xml_parser_done(parser, &doc) != APR_SUCCESS) {
        refuse_line(findings, parser, number, line);
        return NULL;
    }
    return doc;
}

static apr_xml_elem *next_of(apr_xml_elem *elem)
{
    if (elem->first_child != NULL) {
        return elem->first_child;
    }
    while (elem != NULL && elem->next == NULL) {
        elem = elem->parent;
    }
    return elem != NULL ? elem->next : NULL;
}

/* Hang each line to its element. */
static int number_lines(apr_xml_elem *root, const apr_array_header_t *lines)
{
    apr_xml_elem *elem;
    int i = 0;

    for (elem = root; elem != NULL && i < lines->nelts;
         elem = next_of(elem)) {
        elem->priv = &APR_ARRAY_IDX(lines, i, unsigned int);
        i++;
    }
    return elem == NULL && i == lines->nelts;
}

clone_finding_e clone_xml_parse(const apr_xml_elem **root,
                                clone_findings_t *findings, span_t text,
                                apr_pool_t *ptemp)
{
    apr_xml_doc *doc = NULL;
    scan_t scan;

    *root = NULL;
    memset(&scan, 0, sizeof(scan));
    scan.findings = findings;
    scan.line = 1;
    scan.lines = apr_array_make(ptemp, 256, sizeof(unsigned int));
    if (check_bytes(findings, text)) {
        text = decode(findings, text, ptemp);
        scan.rest = text;
        if (scan_all(&scan)) {
            doc = build(findings, text, ptemp);
        }
    }
    if (doc == NULL) {
        return findings->first;
    }
    if (!number_lines(doc->root, scan.lines)) {
        clone_findings_add(findings, 0, CLONE_ERROR, CLONE_FINDING_XML,
                           "its elements cannot be counted");
        return findings->first;
    }
    *root = doc->root;
    return CLONE_FINDING_OK;
}

unsigned int clone_xml_line(const apr_xml_elem *elem)
{
    return *(const unsigned int *)elem->priv;
}

unsigned int clone_xml_count(const apr_xml_elem *parent, const char *name)
{
    const apr_xml_elem *elem;
    unsigned int count = 0;

    for (elem = parent->first_child; elem != NULL; elem = elem->next) {
        count += (unsigned int)clone_xml_is_named(elem, name);
    }
    return count;
}

void clone_xml_note_unknown(clone_findings_t *findings,
                            const apr_xml_elem *elem)
{
    clone_findings_add(findings, clone_xml_line(elem), CLONE_NOTE,
                       CLONE_FINDING_UNKNOWN, "element %s in %s is not known",
                       clone_findings_quote(findings,
                                            span_of_text(elem->name)),
                       elem->parent != NULL
                       ? clone_findings_quote(
                             findings, span_of_text(elem->parent->name))
                       : "the file");
}
