/* A sync message from the other side (first byte: which side): no crash, and its encoding is a fixed point. */
#include "base/arena.h"
#include "packet/sync_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Decode and encode again. Returns what the decoder said. */
static int recode(bool up, struct bytes text, struct buf *out)
{
	struct arena a;
	struct sync_up m_up;
	struct sync_down m_down;
	struct error err = {0};
	arena_init(&a, 64 * LIMIT_MIB);
	int r = up ? sync_up_decode(text, &a, &m_up, &err)
		   : sync_down_decode(text, &a, &m_down, &err);
	EC_ASSERT(r == err.code);
	if (r == 0) {
		int e = up ? sync_up_encode(&m_up, out) : sync_down_encode(&m_down, out);
		EC_ASSERT(e == 0 || e == EC_ELIMIT);
	}
	arena_fini(&a);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf first, second;
	if (n < 1)
		return 0;
	buf_init(&first, LIMIT_SYNC_BYTES);
	buf_init(&second, LIMIT_SYNC_BYTES);
	if (recode(p[0] == 'u', (struct bytes){p + 1, n - 1}, &first) == 0 && !first.failed) {
		EC_ASSERT(recode(p[0] == 'u', buf_bytes(&first), &second) == 0);
		EC_ASSERT(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	}
	buf_fini(&first);
	buf_fini(&second);
	return 0;
}
