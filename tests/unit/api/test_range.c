#include "api/range.h"

#include <inttypes.h>
#include <string.h>

#include "tests/support/unit.h"

#define TAG "\"abc\""

static enum range_answer decide(const char *if_none_match, const char *range, const char *if_range,
				struct range_span *span)
{
	struct range_request q = {bytes_of(if_none_match), bytes_of(range), bytes_of(if_range)};

	return range_decide(&q, TAG, 1000, span);
}

static void one_range_is_honoured(void **state)
{
	static const struct {
		const char *range;
		enum range_answer answer;
		uint64_t offset, length;
	} rows[] = {
		{"", RANGE_WHOLE, 0, 1000},
		{"bytes=0-0", RANGE_PART, 0, 1},
		{"bytes=0-999", RANGE_PART, 0, 1000},
		{"bytes=0-", RANGE_PART, 0, 1000},
		{"bytes=1-2", RANGE_PART, 1, 2},
		{"BYTES=1-2", RANGE_PART, 1, 2},
		{"bytes= 1-2", RANGE_PART, 1, 2},
		{"bytes=999-", RANGE_PART, 999, 1},
		{"bytes=999-5000", RANGE_PART, 999, 1},
		{"bytes=0-99999999999999999999999", RANGE_PART, 0, 1000},
		{"bytes=-1", RANGE_PART, 999, 1},
		{"bytes=-1000", RANGE_PART, 0, 1000},
		{"bytes=-5000", RANGE_PART, 0, 1000},
		{"bytes=007-08", RANGE_PART, 7, 2},
		{"bytes=1000-", RANGE_UNSATISFIABLE, 0, 0},
		{"bytes=1000-1001", RANGE_UNSATISFIABLE, 0, 0},
		{"bytes=99999999999999999999999-", RANGE_UNSATISFIABLE, 0, 0},
		{"bytes=-0", RANGE_UNSATISFIABLE, 0, 0},
		/* no range at all: the whole file */
		{"bytes=2-1", RANGE_WHOLE, 0, 1000},
		{"bytes=", RANGE_WHOLE, 0, 1000},
		{"bytes=-", RANGE_WHOLE, 0, 1000},
		{"bytes=a-b", RANGE_WHOLE, 0, 1000},
		{"bytes=1-b", RANGE_WHOLE, 0, 1000},
		{"bytes=1", RANGE_WHOLE, 0, 1000},
		{"bytes 0-1", RANGE_WHOLE, 0, 1000},
		{"lines=0-1", RANGE_WHOLE, 0, 1000},
		{"bytes=0-1,3-4", RANGE_WHOLE, 0, 1000},
		{"bytes=+1-2", RANGE_WHOLE, 0, 1000},
		{"bytes=1-2 ", RANGE_WHOLE, 0, 1000},
		{"0-1", RANGE_WHOLE, 0, 1000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct range_span span = {0, 0};
		enum range_answer a = decide("", rows[i].range, "", &span);
		if (a != rows[i].answer || span.offset != rows[i].offset ||
		    span.length != rows[i].length)
			fail_msg("%s: %d %" PRIu64 "+%" PRIu64, rows[i].range, a, span.offset,
				 span.length);
	}
}

static void tags_are_compared(void **state)
{
	struct range_span span;

	(void)state;
	assert_int_equal(decide(TAG, "", "", &span), RANGE_NOT_MODIFIED);
	assert_int_equal(decide("W/" TAG, "", "", &span), RANGE_NOT_MODIFIED);
	assert_int_equal(decide("*", "", "", &span), RANGE_NOT_MODIFIED);
	assert_int_equal(decide("\"x\", " TAG, "", "", &span), RANGE_NOT_MODIFIED);
	assert_int_equal(decide("\"x\",," TAG, "", "", &span), RANGE_NOT_MODIFIED);
	assert_int_equal(decide("\"x\"", "", "", &span), RANGE_WHOLE);
	assert_int_equal(decide("abc", "", "", &span), RANGE_WHOLE);
	assert_int_equal(decide("\"abc", "", "", &span), RANGE_WHOLE);
	assert_int_equal(decide("\"x\" " TAG, "", "", &span), RANGE_WHOLE);
	assert_int_equal(decide(TAG, "bytes=0-1", "", &span), RANGE_NOT_MODIFIED);
}

static void if_range_needs_the_same_file(void **state)
{
	struct range_span span;

	(void)state;
	assert_int_equal(decide("", "bytes=0-1", TAG, &span), RANGE_PART);
	assert_int_equal(decide("", "bytes=0-1", "\"x\"", &span), RANGE_WHOLE);
	assert_int_equal(decide("", "bytes=0-1", "W/" TAG, &span), RANGE_WHOLE);
	assert_int_equal(decide("", "bytes=0-1", "Sat, 21 Nov 2026 10:00:00 GMT", &span),
			 RANGE_WHOLE);
	assert_int_equal(decide("", "bytes=1000-", "\"x\"", &span), RANGE_WHOLE);
	assert_int_equal(span.length, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_range_is_honoured),
		cmocka_unit_test(tags_are_compared),
		cmocka_unit_test(if_range_needs_the_same_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
