#include "packet/chunk_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"

enum { STREAM_DIGITS = 2, SEQ_DIGITS = 8 };

_Static_assert(LIMIT_STREAMS <= 100 && LIMIT_CHUNKS_PER_STREAM <= 100000000, "digits suffice");

void chunk_name_format(const struct chunk_name *c, char *dst)
{
	EC_ASSERT(c->stream < LIMIT_STREAMS && c->seq < LIMIT_CHUNKS_PER_STREAM);
	(void)snprintf(dst, OBJECT_KEY_BYTES, "chunks/%s/%s/%s/%02" PRIu32 "-%08" PRIu32 ".pcapng",
		       c->account.hex, c->pcap.hex, c->sampler.hex, c->stream, c->seq);
}

static bool literal_take(struct cursor *c, const char *text)
{
	return bytes_equal(cursor_take(c, strlen(text)), bytes_of(text));
}

static bool id_take(struct cursor *c, struct id *ret)
{
	return id_parse(cursor_take(c, ID_HEX_LEN), ret) == 0;
}

/* Exactly n digits below limit. */
static bool number_take(struct cursor *c, size_t n, uint32_t limit, uint32_t *ret)
{
	struct bytes digits = cursor_take(c, n);
	uint32_t v = 0;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(digits.p[i] - '0');
	}
	*ret = v;
	return digits.n == n && v < limit;
}

int chunk_name_parse(struct bytes key, struct chunk_name *ret)
{
	struct cursor c = cursor_over(key);
	struct chunk_name name;
	bool ok = literal_take(&c, "chunks/") && id_take(&c, &name.account) &&
		  literal_take(&c, "/") && id_take(&c, &name.pcap) && literal_take(&c, "/") &&
		  id_take(&c, &name.sampler) && literal_take(&c, "/") &&
		  number_take(&c, STREAM_DIGITS, LIMIT_STREAMS, &name.stream) &&
		  literal_take(&c, "-") &&
		  number_take(&c, SEQ_DIGITS, LIMIT_CHUNKS_PER_STREAM, &name.seq) &&
		  literal_take(&c, ".pcapng") && c.n == 0;
	if (!ok)
		return EC_EFORMAT;
	*ret = name;
	return 0;
}

void chunk_prefix_of_job(const struct id *account, const struct id *pcap, char *dst)
{
	(void)snprintf(dst, OBJECT_KEY_BYTES, "chunks/%s/%s/", account->hex, pcap->hex);
}

void capture_prefix_of_job(const struct id *account, const struct id *pcap, char *dst)
{
	(void)snprintf(dst, OBJECT_KEY_BYTES, "pcaps/%s/%s/", account->hex, pcap->hex);
}

void capture_key_format(const struct id *account, const struct id *pcap, const char *extension,
			char *dst)
{
	(void)snprintf(dst, OBJECT_KEY_BYTES, "pcaps/%s/%s/capture.%s", account->hex, pcap->hex,
		       extension);
}
