/* Text from a query string or a setting against the small parsers: what they accept reads back the same. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/parse.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_time(struct bytes text)
{
	char formatted[CLOCK_RFC3339_BYTES];
	int64_t us = 0;
	int64_t back = 0;

	if (clock_parse_rfc3339(text, &us) < 0)
		return;
	clock_format_rfc3339(us, formatted);
	EC_ASSERT(clock_parse_rfc3339(bytes_of(formatted), &back) == 0);
	/* An offset can lead a day out of the years that can be written. */
	EC_ASSERT(back == us || us < INT64_C(-62167219200000000) ||
		  us > INT64_C(253402300799999999));
}

static void check_percent(struct bytes text)
{
	char plain[64];

	for (int plus = 0; plus < 2; plus++) {
		int r = parse_percent(text, plus != 0, plain, sizeof(plain));
		EC_ASSERT(strlen(plain) < sizeof(plain) && strlen(plain) <= text.n);
		EC_ASSERT(r == 0 || plain[0] == '\0');
	}
}

static void check_hex(struct bytes text)
{
	uint8_t raw[32];
	char again[2 * sizeof(raw) + 1];
	struct id id;

	if (text.n <= 2 * sizeof(raw) && parse_hex(text, raw, text.n / 2) == 0) {
		format_hex(raw, text.n / 2, again);
		EC_ASSERT(strlen(again) == text.n);
		EC_ASSERT(text.n == 0 || strncasecmp(again, (const char *)text.p, text.n) == 0);
	}
	if (id_parse(text, &id) == 0)
		EC_ASSERT(bytes_equal(bytes_of(id.hex), text));
}

static void check_utf8(struct bytes text)
{
	struct buf out;

	buf_init(&out, SIZE_MAX);
	utf8_put_repaired(&out, text);
	EC_ASSERT(!out.failed && utf8_valid(buf_bytes(&out)));
	EC_ASSERT(utf8_valid(text) == bytes_equal(buf_bytes(&out), text));
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct bytes text = {p, n};
	uint64_t v = 0;
	bool yes = false;

	EC_ASSERT(parse_u64(text, 5, 1000, &v) < 0 || (v >= 5 && v <= 1000));
	EC_ASSERT(parse_size(text, 5, 1 << 20, &v) < 0 || (v >= 5 && v <= 1 << 20));
	EC_ASSERT(parse_duration_ms(text, 5, 86400000, &v) < 0 || (v >= 5 && v <= 86400000));
	(void)!parse_bool(text, &yes);
	check_time(text);
	check_percent(text);
	check_hex(text);
	check_utf8(text);
	return 0;
}
