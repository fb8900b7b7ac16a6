/* What stands in front of the HTTP library (first byte: what the rest is): heads and chunked bodies come out the same however they
 * are cut into pieces; query, range and credentials do not crash and keep their promises. */
#include <string.h>

#include "api/client_cert.h"
#include "api/credential.h"
#include "api/forwarded.h"
#include "api/http_chunked.h"
#include "api/http_head.h"
#include "api/pcap_list_query.h"
#include "api/range.h"
#include "base/error.h"

enum { BODY_LIMIT = 4096, SIZE = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void fuzz_head(struct bytes in)
{
	struct http_head whole = {.bytes = 0}, cut = {.bytes = 0};
	enum http_progress a = http_head_feed(&whole, in, BODY_LIMIT), b = HTTP_MORE;

	for (size_t i = 1; i <= in.n && b == HTTP_MORE; i++)
		b = http_head_feed(&cut, (struct bytes){in.p, i}, BODY_LIMIT);
	/* a line that is too long may be noticed later when it comes at once, never differently */
	if (a != HTTP_BAD || b != HTTP_BAD)
		EC_ASSERT(a == b);
	if (a != HTTP_DONE)
		return;
	EC_ASSERT(memcmp(&whole.method, &cut.method, sizeof(cut.method)) == 0);
	EC_ASSERT(whole.bytes == cut.bytes && whole.bytes <= in.n);
	EC_ASSERT(whole.method.at + whole.method.n < whole.target.at);
	EC_ASSERT(whole.target.at + whole.target.n < whole.bytes);
	EC_ASSERT(memcmp(in.p + whole.bytes - 4, "\r\n\r\n", 4) == 0);
	EC_ASSERT(whole.content_length <= BODY_LIMIT);
	EC_ASSERT(!(whole.chunked && whole.has_length));
}

static void fuzz_chunked(struct bytes in)
{
	struct http_chunked whole = {.left = 0}, cut = {.left = 0};
	size_t used = 0, one = 0, total = 0;
	enum http_progress a = http_chunked_feed(&whole, in, BODY_LIMIT, &used), b = HTTP_MORE;

	for (size_t i = 0; i < in.n && b == HTTP_MORE; i++) {
		b = http_chunked_feed(&cut, (struct bytes){in.p + i, 1}, BODY_LIMIT, &one);
		total += one;
	}
	EC_ASSERT(a == b && used == total && whole.body_bytes == cut.body_bytes);
	EC_ASSERT(a == HTTP_BAD || whole.body_bytes <= BODY_LIMIT);
}

static void fuzz_range(struct bytes in)
{
	struct range_request q = {.range = in};
	struct range_span span = {0, 0};
	enum range_answer a = range_decide(&q, "\"x\"", SIZE, &span);

	EC_ASSERT(a != RANGE_NOT_MODIFIED);
	if (a == RANGE_PART || a == RANGE_WHOLE)
		EC_ASSERT(span.length > 0 && span.offset < SIZE &&
			  span.length <= SIZE - span.offset);
	q = (struct range_request){.if_none_match = in, .if_range = in};
	(void)range_decide(&q, "\"x\"", SIZE, &span);
}

static void fuzz_query(struct bytes in)
{
	struct jq_list_query q;
	struct field_errors errors = {.count = 0};
	int r = pcap_list_query_parse(in, &q, &errors);

	EC_ASSERT((r == 0) == (errors.count == 0));
	if (r == 0)
		EC_ASSERT(q.page >= 1 && q.per_page >= 1 && q.per_page <= 100);
}

static void fuzz_credential(struct bytes in)
{
	struct credential_headers h = {{in, 1}, {in, 1}, {in, 1}};
	struct credential c;
	struct credential_fault fault = {API_INTERNAL, NULL};

	if (credential_read(&h, &c, &fault) < 0)
		EC_ASSERT(fault.row == API_MALFORMED && fault.text);
	h.authorization.count = 0;
	if (credential_read(&h, &c, &fault) < 0)
		EC_ASSERT(fault.row == API_MALFORMED && fault.text);
}

static void fuzz_certificate(struct bytes in)
{
	char name[16], address[64];

	if (client_cert_common_name(in, name, sizeof(name)) == 0)
		EC_ASSERT(strlen(name) > 0 && in.n >= 3 + strlen(name));
	if (forwarded_address(in, address, sizeof(address)) == 0)
		EC_ASSERT(strspn(address, "0123456789abcdef.:") == strlen(address));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 1)
		return 0;
	struct bytes in = {p + 1, n - 1};
	switch (p[0]) {
	case 'h':
		fuzz_head(in);
		break;
	case 'c':
		fuzz_chunked(in);
		break;
	case 'r':
		fuzz_range(in);
		break;
	case 'q':
		fuzz_query(in);
		break;
	case 'a':
		fuzz_credential(in);
		break;
	case 's':
		fuzz_certificate(in);
		break;
	default:
		break;
	}
	return 0;
}
