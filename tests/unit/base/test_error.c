#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_code_has_its_own_name(void **state)
{
	(void)state;
	for (int a = 0; a >= EC_EINTERNAL; a--) {
		assert_string_not_equal(error_name(a), "unknown");
		for (int b = 0; b > a; b--)
			assert_string_not_equal(error_name(a), error_name(b));
	}
	assert_string_equal(error_name(EC_ENOTFOUND), "not-found");
	assert_string_equal(error_name(EC_EINTERNAL - 1), "unknown");
	assert_string_equal(error_name(1), "unknown");
}

static void set_returns_the_code(void **state)
{
	(void)state;
	struct error err = {0};

	assert_int_equal(error_set(&err, EC_ELIMIT, "%s is %d", "x", 5), EC_ELIMIT);
	assert_int_equal(err.code, EC_ELIMIT);
	assert_string_equal(err.text, "x is 5");
	assert_int_equal(error_set(NULL, EC_EIO, "nobody reads this"), EC_EIO);
}

static void set_errno_appends_the_reason(void **state)
{
	(void)state;
	struct error err = {0};

	assert_int_equal(error_set_errno(&err, EC_EIO, ENOENT, "open %s", "f"), EC_EIO);
	assert_string_equal(err.text, "open f: No such file or directory");
	assert_int_equal(error_set_errno(NULL, EC_EIO, ENOENT, "x"), EC_EIO);
}

static void prefix_goes_in_front(void **state)
{
	(void)state;
	struct error err = {0};

	(void)error_set(&err, EC_EFORMAT, "bad");
	assert_int_equal(error_prefix(&err, "file %d", 3), EC_EFORMAT);
	assert_string_equal(err.text, "file 3: bad");
	assert_int_equal(error_prefix(NULL, "x"), EC_EINTERNAL);
}

static void texts_are_cut_to_fit(void **state)
{
	(void)state;
	struct error err = {0};
	char longer[2 * EC_ERROR_TEXT_BYTES];

	memset(longer, 'y', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	(void)error_set(&err, EC_EIO, "%s", longer);
	assert_int_equal(strlen(err.text), EC_ERROR_TEXT_BYTES - 1);
	(void)error_prefix(&err, "%s", longer);
	assert_int_equal(strlen(err.text), EC_ERROR_TEXT_BYTES - 1);
	(void)error_set_errno(&err, EC_EIO, ENOENT, "%s", longer);
	assert_int_equal(strlen(err.text), EC_ERROR_TEXT_BYTES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_its_own_name),
		cmocka_unit_test(set_returns_the_code),
		cmocka_unit_test(set_errno_appends_the_reason),
		cmocka_unit_test(prefix_goes_in_front),
		cmocka_unit_test(texts_are_cut_to_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
