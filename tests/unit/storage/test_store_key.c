/* Which texts are keys: nothing that could leave the directory, nothing hidden. */
#include "tests/support/unit.h"

#include <string.h>

#include "storage/store.h"

static const struct {
	const char *key;
	bool valid;
} rows[] = {
	{"a", true},
	{"chunks/0123/4567/89ab/00-00000000.pcapng", true},
	{"A-Z_a-z.09/x..y/z.", true},
	{"", false},
	{"/", false},
	{"/a", false},
	{"a/", false},
	{"a//b", false},
	{".", false},
	{"..", false},
	{"../a", false},
	{"a/..", false},
	{"a/../b", false},
	{"a/./b", false},
	{".tmp/x", false},
	{"a/.hidden", false},
	{"...", false},
	{"a b", false},
	{"a\\b", false},
	{"a%2e", false},
	{"a\nb", false},
	{"a\x80", false},
	{"a?b", false},
	{"a:b", false},
	{"~a", false},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (store_key_valid(bytes_of(rows[i].key)) != rows[i].valid)
			fail_msg("\"%s\" should be %s", rows[i].key,
				 rows[i].valid ? "valid" : "invalid");
	}
	assert_false(store_key_valid((struct bytes){(const uint8_t *)"a\0b", 3}));
}

static void test_lengths(void **state)
{
	char key[STORE_KEY_MAX + 2];

	(void)state;
	memset(key, 'x', sizeof(key));
	for (size_t i = 255; i < sizeof(key); i += 256)
		key[i] = '/';
	assert_true(store_key_valid((struct bytes){(uint8_t *)key, 255}));
	assert_false(store_key_valid((struct bytes){(uint8_t *)key, 256}));
	assert_true(store_key_valid((struct bytes){(uint8_t *)key, 511}));
	key[255] = 'x';
	assert_false(store_key_valid((struct bytes){(uint8_t *)key, 256})); /* one segment */
	memset(key, 'x', sizeof(key));
	for (size_t i = 100; i < STORE_KEY_MAX; i += 100)
		key[i] = '/';
	assert_true(store_key_valid((struct bytes){(uint8_t *)key, STORE_KEY_MAX}));
	assert_false(store_key_valid((struct bytes){(uint8_t *)key, STORE_KEY_MAX + 1}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
