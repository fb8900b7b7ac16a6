#include "base/id.h"

#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/parse.h"

struct id id_of_bits(const uint8_t *b)
{
	struct id id;

	format_hex(b, ID_BYTES, id.hex);
	return id;
}

/* Set version and variant (RFC 9562 section 4) and convert. */
static struct id id_from_bytes(uint8_t b[ID_BYTES], uint8_t version)
{
	b[6] = (uint8_t)((b[6] & 0x0f) | version << 4);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	return id_of_bits(b);
}

struct id id_new_v7(int64_t now_us)
{
	uint8_t b[ID_BYTES];

	EC_ASSERT(now_us >= 0);
	random_bytes(b, sizeof(b));
	uint64_t ms = (uint64_t)now_us / 1000;
	for (int i = 0; i < 6; i++)
		b[i] = (uint8_t)(ms >> (40 - 8 * i));
	/* rand_a is the fraction of the millisecond (section 6.2, method 3), so that ids that one
	 * host makes in one millisecond sort by time as well. */
	unsigned fraction = (unsigned)((uint64_t)now_us % 1000 * 4096 / 1000);
	b[6] = (uint8_t)(fraction >> 8);
	b[7] = (uint8_t)fraction;
	return id_from_bytes(b, 7);
}

struct id id_new_v4(void)
{
	uint8_t b[ID_BYTES];

	random_bytes(b, sizeof(b));
	return id_from_bytes(b, 4);
}

int id_parse(struct bytes text, struct id *ret)
{
	if (text.n != ID_HEX_LEN)
		return EC_EFORMAT;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return EC_EFORMAT;
	}
	memcpy(ret->hex, text.p, ID_HEX_LEN);
	ret->hex[ID_HEX_LEN] = '\0';
	return 0;
}

bool id_equal(const struct id *a, const struct id *b)
{
	return strcmp(a->hex, b->hex) == 0;
}
