#include "base/error.h"
#include "packet/sync_message.h"
#include "tests/support/unit.h"

static void test_texts_and_their_reverse(void **state)
{
	(void)state;
#define X(name, text)                                                                              \
	{                                                                                          \
		enum sync_part_state s;                                                            \
		assert_string_equal(sync_part_state_text(name), text);                             \
		assert_int_equal(sync_part_state_parse(text, &s), 0);                              \
		assert_int_equal(s, name);                                                         \
	}
	SYNC_PART_STATES(X)
#undef X
#define X(name, text)                                                                              \
	{                                                                                          \
		enum part_reason r;                                                                \
		assert_string_equal(part_reason_text(name), text);                                 \
		assert_int_equal(part_reason_parse(text, &r), 0);                                  \
		assert_int_equal(r, name);                                                         \
	}
	PART_REASONS(X)
#undef X
#define X(name, text)                                                                              \
	{                                                                                          \
		enum sync_desired d;                                                               \
		assert_string_equal(sync_desired_text(name), text);                                \
		assert_int_equal(sync_desired_parse(text, &d), 0);                                 \
		assert_int_equal(d, name);                                                         \
	}
	SYNC_DESIRED(X)
#undef X
}

static void test_other_texts_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"Running", "run ", "x", "stopp", " "};
	enum sync_part_state s;
	enum part_reason r;
	enum sync_desired d;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(sync_part_state_parse(bad[i], &s), EC_EFORMAT);
		assert_int_equal(part_reason_parse(bad[i], &r), EC_EFORMAT);
		assert_int_equal(sync_desired_parse(bad[i], &d), EC_EFORMAT);
	}
	assert_int_equal(sync_part_state_parse("", &s), EC_EFORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_and_their_reverse),
		cmocka_unit_test(test_other_texts_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
