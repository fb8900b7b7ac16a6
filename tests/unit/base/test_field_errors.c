#include "base/field_errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void keeps_pointer_and_message_in_order(void **state)
{
	(void)state;
	struct field_errors e = {0};

	field_errors_add(&e, "/a", "is %d", 1);
	field_errors_add(&e, "", "body");
	assert_int_equal(e.count, 2);
	assert_string_equal(e.items[0].pointer, "/a");
	assert_string_equal(e.items[0].message, "is 1");
	assert_string_equal(e.items[1].pointer, "");
	assert_string_equal(e.items[1].message, "body");
}

static void counts_beyond_its_room(void **state)
{
	(void)state;
	struct field_errors e = {0};

	for (int i = 0; i < FIELD_ERRORS_MAX + 5; i++)
		field_errors_add(&e, "/x", "%d", i);
	assert_int_equal(e.count, FIELD_ERRORS_MAX + 5);
	assert_string_equal(e.items[0].message, "0");
	assert_string_equal(e.items[FIELD_ERRORS_MAX - 1].message, "15");
}

static void cuts_long_texts(void **state)
{
	(void)state;
	struct field_errors e = {0};
	char longer[1000];

	memset(longer, 'y', sizeof(longer));
	longer[999] = '\0';
	field_errors_add(&e, longer, "%s", longer);
	assert_int_equal(strlen(e.items[0].pointer), FIELD_POINTER_BYTES - 1);
	assert_int_equal(strlen(e.items[0].message), FIELD_MESSAGE_BYTES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_pointer_and_message_in_order),
		cmocka_unit_test(counts_beyond_its_room),
		cmocka_unit_test(cuts_long_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
