/* Challenges: whose they are, and how a wrong one is named. */
#include "api/ownership_token.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define HERE "s3://bucket/dir?region=r"

enum { NOW_S = 1700000000, EXPIRES_S = NOW_S + 100 };

static struct ownership mine;
static char token[OWNERSHIP_TOKEN_BYTES];

static int verify_at(struct bytes text, const struct ownership *o, int64_t now_s, struct error *err)
{
	struct bytes got;

	*err = (struct error){.code = 0};
	int r = ownership_token_verify(bytes_of(SECRET), o, text, now_s, &got, err);
	if (r == 0)
		assert_true(bytes_equal(got, bytes_of(token)));
	return r;
}

static void expect_refused(const char *text, const struct ownership *o, int64_t now_s,
			   const char *reason)
{
	struct error err;

	if (verify_at(bytes_of(text), o, now_s, &err) != EC_EINVAL)
		fail_msg("\"%s\" is taken", text);
	if (!strstr(err.text, reason))
		fail_msg("\"%s\": \"%s\" does not say \"%s\"", text, err.text, reason);
}

static int set_up(void **state)
{
	(void)state;
	mine = (struct ownership){id_new_v4(), id_new_v7(1), HERE};
	ownership_token_make(bytes_of(SECRET), &mine, EXPIRES_S, token);
	return 0;
}

static void good_one(void **state)
{
	char padded[OWNERSHIP_TOKEN_BYTES + 8];
	struct error err;

	(void)state;
	assert_int_equal(verify_at(bytes_of(token), &mine, NOW_S, &err), 0);
	assert_int_equal(verify_at(bytes_of(token), &mine, EXPIRES_S - 1, &err), 0);
	(void)snprintf(padded, sizeof(padded), "%s \r\n\n", token);
	assert_int_equal(verify_at(bytes_of(padded), &mine, NOW_S, &err), 0);
	assert_null(strstr(token, "bucket"));
}

static void wrong_ones(void **state)
{
	struct ownership other = {id_new_v4(), mine.bucket, HERE};
	struct ownership sibling = {mine.account, mine.bucket, "s3://bucket2/dir?region=r"};
	struct ownership directory = {mine.account, mine.bucket, "s3://bucket/dir2?region=r"};
	char name[OWNERSHIP_FILENAME_BYTES];

	(void)state;
	ownership_filename(&mine.bucket, name);
	expect_refused(name, &mine, NOW_S, "name of the challenge's file");
	expect_refused("", &mine, NOW_S, "not the content");
	expect_refused("hello", &mine, NOW_S, "not the content");
	expect_refused("edgecap-ownership-v1.", &mine, NOW_S, "not the content");
	expect_refused("edgecap-ownership-v1.a.b.c.d.e", &mine, NOW_S, "not the content");
	expect_refused(token, &other, NOW_S, "another account's");
	expect_refused(token, &sibling, NOW_S, "another destination");
	expect_refused(token, &directory, NOW_S, "another destination");
	expect_refused(token, &mine, EXPIRES_S, "expired");
}

/* No bit of it can be changed, and nothing can be added or left out. */
static void changed_ones(void **state)
{
	char changed[OWNERSHIP_TOKEN_BYTES + 1];
	struct error err;
	struct bytes got;

	(void)state;
	for (size_t i = 0; token[i]; i++) {
		memcpy(changed, token, sizeof(token));
		changed[i] = changed[i] == '1' ? '2' : '1';
		assert_int_equal(verify_at(bytes_of(changed), &mine, NOW_S, &err), EC_EINVAL);
		changed[i] = '\0';
		assert_int_equal(verify_at(bytes_of(changed), &mine, NOW_S, &err), EC_EINVAL);
	}
	(void)snprintf(changed, sizeof(changed), "%sa", token);
	assert_int_equal(verify_at(bytes_of(changed), &mine, NOW_S, &err), EC_EINVAL);
	assert_int_equal(ownership_token_verify(bytes_of("another secret"), &mine, bytes_of(token),
						NOW_S, &got, &err),
			 EC_EINVAL);
	assert_non_null(strstr(err.text, "signature"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_one),
		cmocka_unit_test(wrong_ones),
		cmocka_unit_test(changed_ones),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
