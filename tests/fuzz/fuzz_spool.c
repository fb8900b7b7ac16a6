/* What a restarted sampler finds in its spool: a part's meta file, or (first byte 'c') a chunk. What was read as a meta
 * file can be written and read again; a chunk is taken or refused, never followed past its end. */
#include <stddef.h>
#include <string.h>

#include "sampler/spool_meta.h"
#include "sampler/spool_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void fuzz_meta(struct bytes text)
{
	struct spool_meta m, again;
	struct error err = {0};
	struct buf out;

	if (spool_meta_decode(text, &m, &err) < 0) {
		EC_ASSERT(err.code < 0 && err.text[0]);
		return;
	}
	EC_ASSERT(m.stream_count <= LIMIT_STREAMS);
	EC_ASSERT(memchr(m.error, '\0', sizeof(m.error)));
	buf_init(&out, SPOOL_META_BYTES);
	EC_ASSERT(spool_meta_encode(&m, &out) == 0);
	EC_ASSERT(spool_meta_decode(buf_bytes(&out), &again, &err) == 0);
	EC_ASSERT(id_equal(&m.account, &again.account) && id_equal(&m.pcap, &again.pcap));
	EC_ASSERT(m.ended == again.ended && m.reason == again.reason);
	EC_ASSERT(memcmp(&m.ledger, &again.ledger, sizeof(m.ledger)) == 0);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct error err = {0};
	uint32_t packets = 0;

	if (n > 0 && p[0] == 'c') {
		int r = spool_chunk_check((struct bytes){p + 1, n - 1}, &packets, &err);
		EC_ASSERT(r == 0 || err.text[0]);
	} else {
		fuzz_meta((struct bytes){p, n});
	}
	return 0;
}
