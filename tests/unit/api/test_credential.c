#include "api/credential.h"

#include <string.h>

#include "base/error.h"
#include "tests/support/unit.h"

static struct credential_header header(const char *value)
{
	return (struct credential_header){bytes_of(value ? value : ""), value ? 1 : 0};
}

static int read(const char *authorization, const char *email, const char *key, struct credential *c,
		struct credential_fault *fault)
{
	struct credential_headers h = {header(authorization), header(email), header(key)};

	return credential_read(&h, c, fault);
}

static void a_token_is_hashed(void **state)
{
	struct credential c;
	struct credential_fault fault;
	struct digest d = digest_sha256(bytes_of("tok-en._~+/=="));

	(void)state;
	assert_int_equal(read("Bearer tok-en._~+/==", NULL, NULL, &c, &fault), 0);
	assert_int_equal(c.kind, CREDENTIAL_TOKEN);
	assert_memory_equal(&c.secret, &d, sizeof(d));
	assert_int_equal(read("bEARER  tok-en._~+/==", NULL, NULL, &c, &fault), 0);
	assert_memory_equal(&c.secret, &d, sizeof(d));
}

static void a_key_is_hashed(void **state)
{
	struct credential c;
	struct credential_fault fault;
	struct digest d = digest_sha256(bytes_of("k!y"));

	(void)state;
	assert_int_equal(read(NULL, "a@example.net", "k!y", &c, &fault), 0);
	assert_int_equal(c.kind, CREDENTIAL_KEY);
	assert_string_equal(c.email, "a@example.net");
	assert_memory_equal(&c.secret, &d, sizeof(d));
}

static void the_token_wins(void **state)
{
	struct credential c;
	struct credential_fault fault;

	(void)state;
	assert_int_equal(read("Bearer t", "not an address", "", &c, &fault), 0);
	assert_int_equal(c.kind, CREDENTIAL_TOKEN);
	assert_int_equal(read("Basic t", "a@b", "k", &c, &fault), EC_EAUTH);
	assert_int_equal(fault.row, API_MALFORMED);
}

static void faults_have_their_row(void **state)
{
	static const char long_text[] = "0123456789012345678901234567890123456789012345678901234567"
					"8901234567890123456789012345678901234567890123456789012345"
					"6789012345678901234567890123456789012345678901234567890123"
					"4567890123456789012345678901234567890123456789012345678901"
					"23456789012345678901234567890123456789";
	static const struct {
		const char *authorization, *email, *key;
		enum api_error row;
	} rows[] = {
		{NULL, NULL, NULL, API_NO_CREDENTIALS},
		{NULL, "a@b", NULL, API_NO_CREDENTIALS},
		{NULL, NULL, "k", API_NO_CREDENTIALS},
		{"", NULL, NULL, API_MALFORMED},
		{"Bearer", NULL, NULL, API_MALFORMED},
		{"Bearer ", NULL, NULL, API_MALFORMED},
		{"Bearer a b", NULL, NULL, API_MALFORMED},
		{"Bearer a,b", NULL, NULL, API_MALFORMED},
		{"Bearer =", NULL, NULL, API_MALFORMED},
		{"Bearer a=b", NULL, NULL, API_MALFORMED},
		{"Bearer \xc3\xa4", NULL, NULL, API_MALFORMED},
		{"Basic dXNlcjpwdw==", NULL, NULL, API_MALFORMED},
		{"token", NULL, NULL, API_MALFORMED},
		{NULL, "", "k", API_MALFORMED},
		{NULL, "a", "k", API_MALFORMED},
		{NULL, "@b", "k", API_MALFORMED},
		{NULL, "a@", "k", API_MALFORMED},
		{NULL, "a@b@c", "k", API_MALFORMED},
		{NULL, "a b@c", "k", API_MALFORMED},
		{NULL, "a@b", "", API_MALFORMED},
		{NULL, "a@b", "k k", API_MALFORMED},
		{NULL, "a@b", "k\xff", API_MALFORMED},
		{NULL, "a@b", long_text, API_MALFORMED},
	};
	struct credential c;
	struct credential_fault fault;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fault.text = "";
		assert_int_equal(
			read(rows[i].authorization, rows[i].email, rows[i].key, &c, &fault),
			EC_EAUTH);
		if (fault.row != rows[i].row)
			fail_msg("row %zu: %s", i, fault.text);
	}
}

static void a_repeated_header_is_malformed(void **state)
{
	struct credential_headers h = {{bytes_of("Bearer t"), 2}, {{NULL, 0}, 0}, {{NULL, 0}, 0}};
	struct credential c;
	struct credential_fault fault;

	(void)state;
	assert_int_equal(credential_read(&h, &c, &fault), EC_EAUTH);
	assert_int_equal(fault.row, API_MALFORMED);
	h = (struct credential_headers){{{NULL, 0}, 0}, {bytes_of("a@b"), 2}, {bytes_of("k"), 1}};
	assert_int_equal(credential_read(&h, &c, &fault), EC_EAUTH);
	assert_int_equal(fault.row, API_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_hashed),
		cmocka_unit_test(a_key_is_hashed),
		cmocka_unit_test(the_token_wins),
		cmocka_unit_test(faults_have_their_row),
		cmocka_unit_test(a_repeated_header_is_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
