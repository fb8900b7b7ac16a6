#include "jobqueue/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "jobqueue/jq_auth.h"
#include "jobqueue/registry_conn.h"

static void test_permissions(void **state)
{
	static const char *const bad[] = {"",     "write", "read,", ",read", "read,,collect",
					  "Read", "read "};
	struct error err = {0};
	char text[REGISTRY_PERMISSIONS_BYTES];
	unsigned bits = 0;

	(void)state;
	assert_int_equal(registry_permissions_parse("collect,read,read", &bits, &err), 0);
	assert_int_equal(bits, PERM_READ | PERM_COLLECT);
	registry_permissions_format(bits, text);
	assert_string_equal(text, "read,collect");
	registry_permissions_format(15, text);
	assert_string_equal(text, "read,download,collect,admin");
	registry_permissions_format(0, text);
	assert_string_equal(text, "");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(registry_permissions_parse(bad[i], &bits, &err), EC_EINVAL);
}

static void test_names(void **state)
{
	char name[LIMIT_NAME_BYTES + 2];
	struct error err = {0};

	(void)state;
	memset(name, 'x', sizeof(name));
	name[LIMIT_NAME_BYTES] = '\0';
	assert_int_equal(registry_name_check("account name", name, &err), 0);
	name[LIMIT_NAME_BYTES] = 'x';
	name[LIMIT_NAME_BYTES + 1] = '\0';
	assert_int_equal(registry_name_check("account name", name, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "account name: must have 1..128 bytes, not 129"));
	assert_int_equal(registry_name_check("n", "", &err), EC_EINVAL);
	assert_int_equal(registry_name_check("n", "a\nb", &err), EC_EINVAL);
	assert_int_equal(registry_name_check("n", "a\x7f", &err), EC_EINVAL);
	assert_int_equal(registry_name_check("n", "\xff", &err), EC_EINVAL);
	assert_int_equal(registry_name_check("n", "caf\xc3\xa9 \"x\"", &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
