/* Answers of a hostile S3 server against the XML reader: no crash, and every limit holds. */
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "storage/s3_failure.h"
#include "storage/s3_ops.h"
#include "storage/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_step(const struct s3_xml *x, enum s3_xml_event event)
{
	EC_ASSERT(x->depth <= S3_XML_DEPTH_MAX && x->text_bytes <= S3_XML_TEXT_MAX);
	EC_ASSERT((x->depth == 0) == (event == S3_XML_END));
	for (unsigned i = 0; i < x->depth; i++)
		EC_ASSERT(x->names[i].n > 0 && x->names[i].n <= S3_XML_NAME_MAX);
	if (event != S3_XML_CLOSE)
		return;
	/* a text is UTF-8 without a NUL, whatever references gave it */
	EC_ASSERT(strlen(x->text) == x->text_bytes);
	EC_ASSERT(utf8_valid((struct bytes){(const uint8_t *)x->text, x->text_bytes}));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes document = {p, n};
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;
	char code[S3_ERROR_CODE_BYTES];
	char id[S3_UPLOAD_ID_BYTES];
	size_t opened = 0;
	size_t closed = 0;
	int r = 0;

	s3_xml_init(&x, document);
	while (r == 0) {
		r = s3_xml_next(&x, &event);
		if (r < 0)
			break;
		check_step(&x, event);
		if (event == S3_XML_END)
			break;
		opened += event == S3_XML_OPEN;
		closed += event == S3_XML_CLOSE;
		EC_ASSERT(opened + closed <= 2 * n);
	}
	EC_ASSERT(r < 0 || (opened == closed && opened > 0));
	(void)s3_failure_code(document, code);
	EC_ASSERT(strlen(code) < sizeof(code));
	if (s3_upload_id(document, id) == 0)
		EC_ASSERT(r == 0 && id[0]);
	return 0;
}
