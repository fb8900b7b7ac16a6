#include "base/utf8.h"

/* Is b[i] there and within lo..hi? */
static bool byte_in(struct bytes b, size_t i, uint8_t lo, uint8_t hi)
{
	return i < b.n && b.p[i] >= lo && b.p[i] <= hi;
}

static bool tail_at(struct bytes b, size_t i)
{
	return byte_in(b, i, 0x80, 0xbf);
}

/* The table of well-formed byte sequences, RFC 3629 section 4. */
size_t utf8_char_bytes(struct bytes b)
{
	if (b.n == 0)
		return 0;
	uint8_t c = b.p[0];
	if (c <= 0x7f)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return tail_at(b, 1) ? 2 : 0;
	if (c >= 0xe0 && c <= 0xef) {
		uint8_t lo = c == 0xe0 ? 0xa0 : 0x80; /* overlong below */
		uint8_t hi = c == 0xed ? 0x9f : 0xbf; /* surrogates above */
		return byte_in(b, 1, lo, hi) && tail_at(b, 2) ? 3 : 0;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		uint8_t lo = c == 0xf0 ? 0x90 : 0x80; /* overlong below */
		uint8_t hi = c == 0xf4 ? 0x8f : 0xbf; /* past U+10FFFF above */
		return byte_in(b, 1, lo, hi) && tail_at(b, 2) && tail_at(b, 3) ? 4 : 0;
	}
	return 0;
}

bool utf8_valid(struct bytes b)
{
	while (b.n > 0) {
		size_t n = utf8_char_bytes(b);
		if (n == 0)
			return false;
		b = (struct bytes){b.p + n, b.n - n};
	}
	return true;
}

void utf8_put_repaired(struct buf *out, struct bytes b)
{
	size_t good = 0; /* bytes of b that are well-formed and not yet put */

	while (good < b.n) {
		size_t n = utf8_char_bytes((struct bytes){b.p + good, b.n - good});
		good += n;
		if (n > 0)
			continue;
		buf_put(out, b.p, good);
		buf_puts(out, "\xef\xbf\xbd");
		b = (struct bytes){b.p + good + 1, b.n - good - 1};
		good = 0;
	}
	buf_put(out, b.p, good);
}
