#include "base/parse.h"

#include <string.h>

#include "base/error.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Value of a hexadecimal digit, -1 when c is none. */
static int hex_value(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int parse_u64(struct bytes text, uint64_t min, uint64_t max, uint64_t *ret)
{
	bool overflow = false;
	uint64_t v = 0;

	if (text.n == 0 || (text.n > 1 && text.p[0] == '0'))
		return EC_EFORMAT;
	for (size_t i = 0; i < text.n; i++) {
		if (!is_digit(text.p[i]))
			return EC_EFORMAT;
		overflow = overflow || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
			   __builtin_add_overflow(v, (uint64_t)(text.p[i] - '0'), &v);
	}
	if (overflow || v < min || v > max)
		return EC_ELIMIT;
	*ret = v;
	return 0;
}

/* A number and one of the units (the first is the one without a name), scaled by its factor. */
static int parse_scaled(struct bytes text, const struct unit *units, size_t count, uint64_t max,
			uint64_t *ret)
{
	struct bytes number = {text.p, 0};
	uint64_t v = 0;

	while (number.n < text.n && is_digit(text.p[number.n]))
		number.n++;
	int r = parse_u64(number, 0, UINT64_MAX, &v);
	if (r < 0)
		return r;
	struct bytes name = {text.p + number.n, text.n - number.n};
	for (size_t i = 0; i < count; i++) {
		if (!bytes_equal(name, bytes_of(units[i].name)))
			continue;
		if (__builtin_mul_overflow(v, units[i].factor, &v) || v > max)
			return EC_ELIMIT;
		*ret = v;
		return 0;
	}
	return EC_EFORMAT;
}

int parse_size(struct bytes text, uint64_t min, uint64_t max, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{"", 1},
		{"KiB", UINT64_C(1) << 10},
		{"MiB", UINT64_C(1) << 20},
		{"GiB", UINT64_C(1) << 30},
		{"kB", 1000},
		{"MB", 1000000},
		{"GB", 1000000000},
	};
	uint64_t v = 0;
	int r = parse_scaled(text, units, ARRAY_LEN(units), max, &v);

	if (r < 0)
		return r;
	if (v < min)
		return EC_ELIMIT;
	*ret_bytes = v;
	return 0;
}

int parse_duration_ms(struct bytes text, uint64_t min, uint64_t max, uint64_t *ret_ms)
{
	static const struct unit units[] = {
		{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
	};
	uint64_t v = 0;
	int r = parse_scaled(text, units, ARRAY_LEN(units), max, &v);

	if (r < 0)
		return r;
	if (v < min)
		return EC_ELIMIT;
	*ret_ms = v;
	return 0;
}

int parse_bool(struct bytes text, bool *ret)
{
	static const char *const words[][2] = {
		{"false", "true"}, {"0", "1"}, {"no", "yes"}, {"off", "on"}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		for (size_t value = 0; value < 2; value++) {
			if (bytes_equal(text, bytes_of(words[i][value]))) {
				*ret = value == 1;
				return 0;
			}
		}
	}
	return EC_EFORMAT;
}

int parse_hex(struct bytes text, uint8_t *dst, size_t n)
{
	if (n > SIZE_MAX / 2 || text.n != 2 * n)
		return EC_EFORMAT;
	for (size_t i = 0; i < text.n; i++) {
		if (hex_value(text.p[i]) < 0)
			return EC_EFORMAT;
	}
	for (size_t i = 0; i < n; i++)
		dst[i] = (uint8_t)(hex_value(text.p[2 * i]) << 4 | hex_value(text.p[2 * i + 1]));
	return 0;
}

void format_hex(const uint8_t *p, size_t n, char *dst)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		dst[2 * i] = digits[p[i] >> 4];
		dst[2 * i + 1] = digits[p[i] & 15];
	}
	dst[2 * n] = '\0';
}

/* One character of an escaped text; *used is how many bytes it took. Negative when the escape is bad. */
static int unescape(struct bytes text, bool plus_is_space, size_t *used)
{
	uint8_t c = 0;

	*used = 1;
	if (text.p[0] == '+' && plus_is_space)
		return ' ';
	if (text.p[0] != '%')
		return text.p[0];
	if (text.n < 3 || parse_hex((struct bytes){text.p + 1, 2}, &c, 1) < 0)
		return -1;
	*used = 3;
	return c;
}

int parse_percent(struct bytes text, bool plus_is_space, char *dst, size_t cap)
{
	size_t n = 0;

	EC_ASSERT(cap >= 1);
	dst[0] = '\0';
	for (size_t i = 0; i < text.n;) {
		size_t used = 0;
		int c = unescape((struct bytes){text.p + i, text.n - i}, plus_is_space, &used);
		int r = c <= 0 ? EC_EFORMAT : n + 1 >= cap ? EC_ELIMIT : 0;
		if (r < 0) {
			dst[0] = '\0';
			return r;
		}
		dst[n++] = (char)c;
		i += used;
	}
	dst[n] = '\0';
	return 0;
}
