/* The token's file: replaced, broken, gone. */
#include "sampler/token_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/temp_dir.h"
#include "tests/support/unit.h"

static void put(const char *dir, const char *text, size_t n)
{
	char path[TEMP_DIR_BYTES + 16], new[TEMP_DIR_BYTES + 16];

	(void)snprintf(path, sizeof(path), "%s/token", dir);
	(void)snprintf(new, sizeof(new), "%s/new", dir);
	FILE *file = fopen(new, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(new, path), 0);
}

static void test_token_is_read_again(void **state)
{
	char dir[TEMP_DIR_BYTES], path[TEMP_DIR_BYTES + 16], token[TOKEN_TEXT_BYTES] = "old";
	char most[LIMIT_CREDENTIAL_BYTES + 2];
	struct token_file *t = NULL;
	struct error err = {0};
	(void)state;

	temp_dir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/token", dir);
	assert_int_equal(token_file_new(path, &t, &err), 0);
	assert_string_equal(token_file_directory(t), dir);
	assert_int_equal(token_file_read(t, token, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "cannot open"));
	static const char *const good[] = {"abc", "abc\n", "abc\r\n"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		(void)strcpy(token, "old");
		put(dir, good[i], strlen(good[i]));
		assert_int_equal(token_file_read(t, token, &err), 0);
		assert_string_equal(token, "abc");
	}
	static const struct {
		const char *text;
		size_t n;
	} bad[] = {{"", 0}, {"\n", 1}, {"a b", 3}, {"a\nb\n", 4}, {"a\0b", 3}, {"a\xff", 2}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put(dir, bad[i].text, bad[i].n);
		assert_int_equal(token_file_read(t, token, &err), EC_EINVAL);
		assert_string_equal(token, "abc");
		assert_null(strstr(err.text, "a b"));
	}
	memset(most, 'm', sizeof(most));
	put(dir, most, LIMIT_CREDENTIAL_BYTES + 1);
	assert_int_equal(token_file_read(t, token, &err), EC_EINVAL);
	most[LIMIT_CREDENTIAL_BYTES] = '\n';
	put(dir, most, LIMIT_CREDENTIAL_BYTES + 1);
	assert_int_equal(token_file_read(t, token, &err), 0);
	assert_int_equal(strlen(token), LIMIT_CREDENTIAL_BYTES);
	token_file_free(t);
	assert_int_equal(token_file_new("/nonexistent/token", &t, &err), EC_EINVAL);
	temp_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_token_is_read_again)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
