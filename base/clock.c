#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

#include "base/error.h"

enum { US_PER_S = 1000000, NS_PER_US = 1000, NS_PER_MS = 1000000, S_PER_DAY = 86400 };

/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z in seconds since 1970. */
static const int64_t year_0000_s = -62167219200;
static const int64_t year_9999_s = 253402300799;

int64_t clock_wall_now_ns(void)
{
	struct timespec ts;

	EC_ASSERT(clock_gettime(CLOCK_REALTIME, &ts) == 0);
	return (int64_t)ts.tv_sec * US_PER_S * NS_PER_US + ts.tv_nsec;
}

int64_t clock_wall_now_us(void)
{
	return clock_wall_now_ns() / NS_PER_US;
}

uint64_t clock_mono_now_ms(void)
{
	struct timespec ts;

	EC_ASSERT(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / NS_PER_MS;
}

/* Write v in exactly width digits and the separator; return where the next text goes. */
static char *put_digits(char *dst, int v, int width, char separator)
{
	for (int i = width - 1; i >= 0; i--) {
		dst[i] = (char)('0' + v % 10);
		v /= 10;
	}
	dst[width] = separator;
	return dst + width + 1;
}

void clock_format_rfc3339(int64_t us, char *dst)
{
	int64_t s = us / US_PER_S;
	int fraction = (int)(us % US_PER_S);
	struct tm tm;

	if (fraction < 0) {
		s--;
		fraction += US_PER_S;
	}
	if (s < year_0000_s || s > year_9999_s) {
		s = s < 0 ? year_0000_s : year_9999_s;
		fraction = s < 0 ? 0 : US_PER_S - 1;
	}
	time_t t = (time_t)s;
	EC_ASSERT(gmtime_r(&t, &tm));
	dst = put_digits(dst, tm.tm_year + 1900, 4, '-');
	dst = put_digits(dst, tm.tm_mon + 1, 2, '-');
	dst = put_digits(dst, tm.tm_mday, 2, 'T');
	dst = put_digits(dst, tm.tm_hour, 2, ':');
	dst = put_digits(dst, tm.tm_min, 2, ':');
	dst = put_digits(dst, tm.tm_sec, 2, '.');
	dst = put_digits(dst, fraction, 6, 'Z');
	*dst = '\0';
}

/* Exactly width digits, value in min..max; otherwise the cursor turns bad and the value is min. */
static int take_digits(struct cursor *c, size_t width, int min, int max)
{
	struct bytes digits = cursor_take(c, width);
	int v = 0;

	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			c->bad = true;
		v = v * 10 + (digits.p[i] - '0');
	}
	if (v < min || v > max) {
		c->bad = true;
		return min;
	}
	return v;
}

/* The next byte is a or b. */
static void take_char(struct cursor *c, char a, char b)
{
	uint8_t got = cursor_u8(c);

	if (got != (uint8_t)a && got != (uint8_t)b)
		c->bad = true;
}

static int days_in_month(int year, int month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

/* ".digits" when it is there: microseconds, the rest cut off. */
static int take_fraction_us(struct cursor *c)
{
	int us = 0;
	int scale = US_PER_S / 10;
	size_t n = 0;

	if (c->n == 0 || c->p[0] != '.')
		return 0;
	cursor_skip(c, 1);
	for (; c->n > 0 && c->p[0] >= '0' && c->p[0] <= '9'; n++) {
		us += (cursor_u8(c) - '0') * scale;
		scale /= 10;
	}
	if (n < 1 || n > 9)
		c->bad = true;
	return us;
}

/* "Z" or "+hh:mm": seconds east of UTC. */
static int take_offset_s(struct cursor *c)
{
	uint8_t sign = cursor_u8(c);

	if (sign == 'Z' || sign == 'z')
		return 0;
	if (sign != '+' && sign != '-')
		c->bad = true;
	int s = take_digits(c, 2, 0, 23) * 3600;
	take_char(c, ':', ':');
	s += take_digits(c, 2, 0, 59) * 60;
	return sign == '-' ? -s : s;
}

int clock_parse_rfc3339(struct bytes text, int64_t *ret_us)
{
	struct cursor c = cursor_over(text);
	struct tm tm = {0};

	tm.tm_year = take_digits(&c, 4, 0, 9999);
	take_char(&c, '-', '-');
	tm.tm_mon = take_digits(&c, 2, 1, 12);
	take_char(&c, '-', '-');
	tm.tm_mday = take_digits(&c, 2, 1, 31);
	take_char(&c, 'T', 't');
	tm.tm_hour = take_digits(&c, 2, 0, 23);
	take_char(&c, ':', ':');
	tm.tm_min = take_digits(&c, 2, 0, 59);
	take_char(&c, ':', ':');
	tm.tm_sec = take_digits(&c, 2, 0, 60);
	int fraction_us = take_fraction_us(&c);
	int offset_s = take_offset_s(&c);
	if (!cursor_ok(&c) || c.n > 0 || tm.tm_mday > days_in_month(tm.tm_year, tm.tm_mon))
		return EC_EFORMAT;
	bool leap_second = tm.tm_sec == 60;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	int64_t s = (int64_t)timegm(&tm) - offset_s;
	/* Leap seconds are only ever the last second of a UTC day (section 5.7). */
	if (leap_second && s % S_PER_DAY != 0)
		return EC_EFORMAT;
	*ret_us = s * US_PER_S + fraction_us;
	return 0;
}
