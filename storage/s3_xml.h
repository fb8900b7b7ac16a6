/* Reader of the XML that S3 servers answer with. Pure, strict and bounded: the server may be hostile.
 *
 * Our own and not expat: all that is needed is elements and their text. Whatever else a document can have (a document
 * type, entities of its own, CDATA, comments, processing instructions) no S3 server sends, and is refused; so there is no
 * expansion, no recursion and no allocation. Attributes are checked for their form and skipped; names are compared as
 * they stand, with their prefix. XML 1.0 (fifth edition), of which this takes a part.
 *
 * The document is walked: each step gives the opening or closing of an element. At a closing, `text` has the text of an element
 * without children. The document is borrowed for the walk.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum {
	S3_XML_DEPTH_MAX = 8, /* elements in each other */
	S3_XML_NAME_MAX = 64, /* bytes of a name */
	S3_XML_TEXT_MAX =
		4096, /* bytes of an element's text, decoded: a key of 1,024, percent-encoded, fits */
	S3_XML_ATTRIBUTES_MAX = 8, /* of an element */
};

enum s3_xml_event { S3_XML_OPEN, S3_XML_CLOSE, S3_XML_END };

/* A walk. names[0..depth) are the open elements, the root first; at a closing the one that closes is still there. */
struct s3_xml {
	struct cursor in;
	unsigned depth;
	struct bytes names[S3_XML_DEPTH_MAX];
	char text[S3_XML_TEXT_MAX + 1];
	size_t text_bytes;
	bool leaf;   /* the innermost element has no children so far */
	bool empty;  /* it was opened as <name/> */
	bool closed; /* the last event was a closing: the name goes away with the next step */
	bool begun;  /* the root was seen */
	int failed;
};

/* Begin a walk. */
void s3_xml_init(struct s3_xml *x, struct bytes document);

/* One step. Returns 0 and what was found, or EC_EFORMAT (not such a document) or EC_ELIMIT, which stay. */
int s3_xml_next(struct s3_xml *x, enum s3_xml_event *ret) EC_MUST_CHECK;

/* Is the innermost element at this path of names ("ListBucketResult/Contents/Key")? */
bool s3_xml_at(const struct s3_xml *x, const char *path);

/* Is the text of the element that was just closed "true"? */
bool s3_xml_true(const struct s3_xml *x);
