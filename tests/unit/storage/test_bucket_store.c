/* A tenant's bucket as a store, against a server that plays a script. */
#include "tests/unit/storage/s3_script.h"

#define KEPT "HTTP/1.1 200 x\r\n" EMPTY

/* What is asked for is below the directory, and everything of access was copied. */
static void test_access_is_copied(void **state)
{
	static const struct step steps[] = {
		{"HEAD /bucket/p/k HTTP", "HTTP/1.1 404 x\r\n" EMPTY},
		{"PUT /bucket/p/k HTTP", KEPT},
	};
	char id[] = "AKID";
	char secret[] = "topsecret";
	struct fixture f;
	struct outcome o;

	(void)state;
	script_begin(&f, steps, ARRAY_LEN(steps));
	struct bucket_access access = script_access(&f);
	access.access_key_id = id;
	access.secret_key = secret;
	assert_int_equal(bucket_store_open(&f.loop, &access, &f.store, NULL), 0);
	memset(id, 'x', sizeof(id) - 1);
	memset(secret, 'x', sizeof(secret) - 1);
	memset(&access, 'x', sizeof(access));
	assert_int_equal(put(&f, "hello", &o), 0);
	end(&f);
	assert_non_null(strstr(f.script.head, "Credential=AKID/"));
	assert_null(strstr(f.script.head, "topsecret"));
}

static void test_connections_are_used_again(void **state)
{
	static const struct step steps[] = {
		{"HEAD", "HTTP/1.1 404 x\r\n" EMPTY},
		{"PUT", KEPT},
		{"HEAD", "HTTP/1.1 404 x\r\n" EMPTY},
		{"PUT", KEPT},
	};
	struct fixture f;
	struct outcome o;

	(void)state;
	begin_bucket(&f, steps, ARRAY_LEN(steps));
	assert_int_equal(put(&f, "hello", &o), 0);
	assert_int_equal(put(&f, "hello", &o), 0);
	assert_int_equal(atomic_load(&f.script.connections), 1);
	end(&f);
}

/* Nothing is sent where the address is not public, whatever the operation. */
static void test_a_private_address(void **state)
{
	struct fixture f;
	struct outcome o;
	struct error err = {.code = 0};
	struct store_writer *writer = NULL;
	struct store_info info;

	(void)state;
	script_begin(&f, NULL, 0);
	struct bucket_access access = script_access(&f);
	access.private_address = false;
	assert_int_equal(bucket_store_open(&f.loop, &access, &f.store, NULL), 0);
	assert_int_equal(put(&f, "hello", &o), EC_EPERM);
	assert_string_equal(o.err.text, "the store's address is not a public one");
	assert_int_equal(store_wait_writer_open(f.store, "k", &writer, NULL), 0);
	assert_int_equal(store_wait_commit(writer, &info, &err), EC_EPERM);
	assert_string_equal(err.text, "the store's address is not a public one");
	assert_int_equal(store_wait_give_up(f.store, "k", &err), EC_EPERM);
	assert_int_equal(atomic_load(&f.script.connections), 0);
	end(&f);
}

static void test_a_redirect_leads_nowhere(void **state)
{
	static const struct step steps[] = {
		{"HEAD", NOT_FOUND},
		{"PUT",
		 "HTTP/1.1 307 x\r\nConnection: close\r\nLocation: http://127.0.0.1:1/\r\n" EMPTY},
	};
	struct fixture f;
	struct outcome o;

	(void)state;
	begin_bucket(&f, steps, ARRAY_LEN(steps));
	assert_int_equal(put(&f, "hello", &o), EC_EIO);
	assert_string_equal(o.err.text,
			    "the bucket is in another region or at another endpoint (307)");
	end(&f);
}

/* Errors are for the tenant: S3's word for it, and neither our key of the object nor a word of the server's own. */
static const struct {
	const char *answer;
	int code;
	const char *text;
} refusals[] = {
	{"HTTP/1.1 403 x\r\nConnection: close\r\n\r\n<Error><Code>AccessDenied</Code>"
	 "<Message>127.0.0.1 AKID</Message></Error>",
	 EC_EPERM, "the store does not allow it (403 AccessDenied)"},
	{ERROR("403 x", "UserSuspended"), EC_EPERM,
	 "the store does not allow it (403 UserSuspended)"},
	{ERROR("403 x", "AKID at 127.0.0.1"), EC_EPERM, "the store does not allow it (403)"},
	{ERROR("404 x", "NoSuchBucket"), EC_ENOTFOUND,
	 "the bucket does not exist (404 NoSuchBucket)"},
	{NOT_FOUND, EC_ENOTFOUND, "the bucket does not exist (404)"},
	{ERROR("403 x", "QuotaExceeded"), EC_ELIMIT, "quota exceeded (403 QuotaExceeded)"},
};

static void test_errors_for_the_tenant(void **state)
{
	struct fixture f;
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct step steps[] = {{"HEAD", NOT_FOUND}, {"PUT", refusals[i].answer}};
		begin_bucket(&f, steps, ARRAY_LEN(steps));
		assert_int_equal(put(&f, "hello", &o), refusals[i].code);
		assert_string_equal(o.err.text, refusals[i].text);
		end(&f);
	}
}

/* In the operator's store a bucket that is gone is a broken deployment, and the operator is told what was being done. */
static void test_errors_for_the_operator(void **state)
{
	static const char *const answers[] = {ERROR("404 x", "NoSuchBucket"), NOT_FOUND};
	struct fixture f;
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		const struct step steps[] = {{"HEAD", NOT_FOUND}, {"PUT", answers[i]}};
		begin(&f, steps, ARRAY_LEN(steps));
		assert_int_equal(put(&f, "hello", &o), EC_EIO);
		assert_memory_equal(o.err.text, "storage: put k: the bucket does not exist (404",
				    46);
		end(&f);
	}
}

static void test_no_keys(void **state)
{
	struct fixture f;
	struct error err = {.code = 0};
	struct store *store = NULL;

	(void)state;
	script_begin(&f, NULL, 0);
	for (int i = 0; i < 2; i++) {
		struct bucket_access access = script_access(&f);
		if (i == 0)
			access.access_key_id = "";
		else
			access.secret_key = "";
		assert_int_equal(bucket_store_open(&f.loop, &access, &store, &err), EC_EPERM);
		assert_string_equal(err.text, "the bucket's access keys are not known");
		assert_null(store);
	}
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access_is_copied),
		cmocka_unit_test(test_connections_are_used_again),
		cmocka_unit_test(test_a_private_address),
		cmocka_unit_test(test_a_redirect_leads_nowhere),
		cmocka_unit_test(test_errors_for_the_tenant),
		cmocka_unit_test(test_errors_for_the_operator),
		cmocka_unit_test(test_no_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
