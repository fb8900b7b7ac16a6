#include "admin/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"

static void test_lists_of_prefixes(void **state)
{
	static const char *const bad[] = {"x", "192.0.2.0/24,", ",192.0.2.0/24", "192.0.2.1/24",
					  "192.0.2.0/24, 198.51.100.0/24"};
	struct prefix *list = NULL;
	struct error err = {0};
	size_t count = 9;

	(void)state;
	assert_int_equal(command_prefixes(NULL, &list, &count, &err), 0);
	assert_int_equal(count, 0);
	assert_null(list);
	assert_int_equal(
		command_prefixes("192.0.2.0/24,2001:db8::/32,198.51.100.7", &list, &count, &err),
		0);
	assert_int_equal(count, 3);
	assert_int_equal(list[0].len, 24);
	assert_int_equal(list[1].addr.family, ADDRESS_V6);
	assert_int_equal(list[2].len, 32);
	free(list);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(command_prefixes(bad[i], &list, &count, &err) < 0, 1);
		assert_non_null(strstr(err.text, "prefix \""));
	}
}

static void test_number_of_prefixes_is_limited(void **state)
{
	struct buf text;
	struct prefix *list = NULL;
	struct error err = {0};
	size_t count = 0;

	(void)state;
	buf_init(&text, 1 << 20);
	for (unsigned i = 0; i < LIMIT_PREFIXES_PER_ACCOUNT; i++)
		buf_printf(&text, "%s10.%u.%u.0/24", i ? "," : "", i / 256, i % 256);
	assert_int_equal(command_prefixes(buf_cstr(&text), &list, &count, &err), 0);
	assert_int_equal(count, LIMIT_PREFIXES_PER_ACCOUNT);
	free(list);
	buf_puts(&text, ",192.0.2.0/24");
	assert_int_equal(command_prefixes(buf_cstr(&text), &list, &count, &err), EC_ELIMIT);
	buf_fini(&text);
}

static void test_every_command_has_what_it_needs(void **state)
{
	static const struct command *(*const groups[])(size_t *) = {
		commands_migrate, commands_account, commands_credential, commands_sampler};

	(void)state;
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		size_t count = 0;
		const struct command *commands = groups[g](&count);
		assert_true(count > 0);
		for (size_t i = 0; i < count; i++) {
			assert_true(commands[i].words[0] && commands[i].about[0]);
			assert_non_null(commands[i].run);
			assert_string_equal(commands[i].table[0].name, "EDGECAP_DATABASE_URL");
			for (size_t n = 0; n < commands[i].count; n++)
				assert_true(commands[i].table[n].help[0] != '\0');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_of_prefixes),
		cmocka_unit_test(test_number_of_prefixes_is_limited),
		cmocka_unit_test(test_every_command_has_what_it_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
