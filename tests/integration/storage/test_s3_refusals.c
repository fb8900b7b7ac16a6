/* What a real S3 server refuses: each has its code and a text, and no text has a secret, a key of access or a host. */
#include "tests/integration/storage/s3_kit.h"

static const char *other_url(struct fixture *f, const char *bucket, char dst[512])
{
	(void)snprintf(dst, 512, "s3://%s/p?endpoint=%s&plaintext=yes&stall=20s", bucket,
		       s3_variable("ENDPOINT"));
	(void)f;
	return dst;
}

static void check_text(const struct error *err, int code, const char *text)
{
	if (err->code != code || !strstr(err->text, text))
		fail_msg("%d: %s", err->code, err->text);
	assert_memory_equal(err->text, "storage: ", 9);
	assert_null(strstr(err->text, s3_variable("SECRET_KEY")));
	assert_null(strstr(err->text, s3_variable("ACCESS_KEY")));
	assert_null(strstr(err->text, s3_variable("ENDPOINT") + strlen("http://")));
	assert_null(strstr(err->text, "127.0.0.1"));
	assert_null(strstr(err->text, "Signature="));
}

static int each(void *arg, const struct store_entry *entry)
{
	(void)arg;
	(void)entry;
	return 0;
}

/* All operations of a store that cannot work end with code and text. */
static void check_all(struct fixture *f, struct store *store, int code, const char *text)
{
	struct outcome o = {0};
	struct store_writer *writer = NULL;
	struct store_reader *reader = NULL;
	struct store_info info;
	struct error err = {0};
	const char *keys[] = {"a", "b"};
	char byte[1];
	size_t n = 0;

	store_check(store, on_done, &o);
	run_until(f, &o, 1);
	check_text(&o.err, code, text);
	store_put(store, "k", bytes_of("x"), on_info, &o);
	run_until(f, &o, 2);
	check_text(&o.err, code, text);
	assert_int_equal(store_wait_get(store, "k", (struct store_range){0, byte, 1}, &n, &err),
			 code);
	check_text(&err, code, text);
	assert_int_equal(store_wait_reader_open(store, "k", 0, 1, &reader, &err), code);
	check_text(&err, code, text);
	assert_int_equal(store_wait_list(store, "p/", each, NULL, &err), code);
	check_text(&err, code, text);
	assert_int_equal(store_wait_delete(store, keys, 1, &err), code);
	check_text(&err, code, text);
	assert_int_equal(store_wait_delete(store, keys, 2, &err), code);
	check_text(&err, code, text);
	store_sweep(store, 0, on_done, &o);
	run_until(f, &o, 3);
	check_text(&o.err, code, text);
	assert_int_equal(store_wait_writer_open(store, "k", &writer, NULL), 0);
	assert_int_equal(store_wait_write(writer, bytes_of("x"), NULL), 0);
	assert_int_equal(store_wait_commit(writer, &info, &err), code);
	check_text(&err, code, text);
	assert_int_equal(store_wait_writer_open(store, "k", &writer, NULL), 0);
	(void)!kit_write(writer, 0, 10, NULL);
	assert_int_equal(store_wait_commit(writer, &info, &err), code);
	check_text(&err, code, text);
}

static void test_a_wrong_secret(void **state)
{
	struct fixture *f = *state;
	char url[512];
	struct outcome o = {0};
	struct store *store =
		open_store(f, other_url(f, s3_variable("BUCKET"), url), "not+the/secret", NULL);

	check_all(f, store, EC_EPERM, "SignatureDoesNotMatch");
	store_head(store, "k", on_info, &o);
	run_until(f, &o, 1);
	check_text(&o.err, EC_EPERM, "wrong secret");
	store_wait_close(store);
}

static void test_an_unknown_access_key(void **state)
{
	struct fixture *f = *state;
	char url[512];

	f->config.s3_access_key_id = "NOBODY";
	struct store *store = open_store(f, other_url(f, s3_variable("BUCKET"), url), NULL, NULL);
	check_all(f, store, EC_EPERM, "InvalidAccessKeyId");
	store_wait_close(store);
}

static void test_a_missing_bucket(void **state)
{
	struct fixture *f = *state;
	char url[512];
	struct outcome o = {0};
	struct store *store = open_store(f, other_url(f, "no-such-bucket", url), NULL, NULL);

	check_all(f, store, EC_EIO, "the bucket does not exist");
	store_head(store, "k", on_info, &o);
	run_until(f, &o, 1);
	check_text(&o.err, EC_EIO, "the bucket does not exist");
	store_wait_close(store);
}

static void test_a_quota_that_is_exceeded(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;
	struct error err = {0};
	struct outcome o = {0};
	uint8_t *data = calloc(1, LIMIT_CHUNK_BYTES);

	assert_non_null(data);
	control("quota 1000000");
	store_put(f->store, "q/put", (struct bytes){data, LIMIT_CHUNK_BYTES}, on_info, &o);
	run_until(f, &o, 1);
	check_text(&o.err, EC_ELIMIT, "quota exceeded");
	assert_int_equal(store_wait_writer_open(f->store, "q/one", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 0, 2, NULL), 0);
	assert_int_equal(store_wait_commit(writer, &info, &err), EC_ELIMIT);
	check_text(&err, EC_ELIMIT, "quota exceeded");
	assert_int_equal(store_wait_writer_open(f->store, "q/many", &writer, NULL), 0);
	(void)!kit_write(writer, 0, 40, NULL);
	assert_int_equal(store_wait_commit(writer, &info, &err), EC_ELIMIT);
	check_text(&err, EC_ELIMIT, "quota exceeded");
	control("quota off");
	assert_int_equal(head(f, "q/put", &info), EC_ENOTFOUND);
	assert_int_equal(head(f, "q/one", &info), EC_ENOTFOUND);
	assert_int_equal(head(f, "q/many", &info), EC_ENOTFOUND);
	assert_int_equal(uploads(f), 0);
	assert_int_equal(put(f, "q/put", "there is room again"), 0);
	free(data);
}

/* curl's status of a PUT of text to url with one more header ("x: y"). */
static int curl_put_with(const char *url, const char *text, const char *header)
{
	char command[STORE_URL_MAX + 1024];
	char line[64];

	(void)snprintf(command, sizeof(command),
		       "curl -s -o /dev/null -w '%%{http_code}\\n' -X PUT -H 'Content-Type: "
		       "application/octet-stream' -H '%s' --data-binary '%s' '%s'",
		       header, text, url);
	shell_line(command, line, sizeof(line));
	return atoi(line); /* NOLINT(cert-err34-c): 0 is a failure */
}

static int curl_put(const char *url, const char *text)
{
	return curl_put_with(url, text, "x-nothing: 1");
}

/* What a sampler does: no key of ours, only the URL. */
static void test_presigned_uploads(void **state)
{
	struct fixture *f = *state;
	int64_t now_us = clock_wall_now_us();
	char url[STORE_URL_MAX];
	char text[32];

	assert_int_equal(store_presign_put(f->store, "c/1", 100, now_us, 60, url), 0);
	assert_null(strstr(url, s3_variable("SECRET_KEY")));
	assert_int_equal(curl_put(url, "chunk"), 200);
	assert_int_equal(get(f, "c/1", text, sizeof(text)), 0);
	assert_string_equal(text, "chunk");
	assert_int_equal(curl_put(url, "chunk"), 200); /* again: no harm */
	assert_int_equal(put(f, "c/1", "chunk"), 0);
	assert_int_equal(put(f, "c/1", "other"), EC_ECONFLICT);
	/* another key, another method, a changed time: refused */
	char *at = strstr(url, "c/1?");
	at[2] = '2';
	assert_int_equal(curl_put(url, "chunk"), 403);
	assert_int_equal(store_presign_put(f->store, "c/2", 100, now_us - 10000000, 5, url), 0);
	assert_int_equal(curl_put(url, "late"), 403);
	assert_int_equal(store_presign_put(f->store, "c/2", 100, now_us, 60, url), 0);
	assert_int_equal(curl_put(url, "fresh"), 200);
	assert_int_equal(get(f, "c/2", text, sizeof(text)), 0);
	assert_string_equal(text, "fresh");
}

/* A header that is not signed makes a copy of a PUT, where the server takes it (Ceph does): of what the signing key may read. So
 * that is nothing. */
static void test_nothing_is_copied_by_a_presigned_upload(void **state)
{
	struct fixture *f = *state;
	int64_t now_us = clock_wall_now_us();
	char url[STORE_URL_MAX], source[1024], text[64];
	struct store_info info;

	assert_int_equal(put(f, "pcaps/theirs", "another tenant's"), 0);
	struct s3_store *s3 = f->store->state;
	(void)snprintf(source, sizeof(source), "x-amz-copy-source: /%s/%spcaps/theirs",
		       s3->place.bucket, s3->place.prefix);
	f->config.s3_upload_key_id = s3_variable("UPLOAD_ACCESS_KEY");
	f->config.s3_upload_secret_key = s3_variable("UPLOAD_SECRET_KEY");
	struct store *store = open_store(f, f->url, NULL, NULL);
	assert_int_equal(store_presign_put(store, "c/copy", 100, now_us, 60, url), 0);
	assert_null(strstr(url, f->config.s3_access_key_id));
	assert_int_equal(curl_put_with(url, "", source), 403);
	assert_int_equal(head(f, "c/copy", &info), EC_ENOTFOUND);
	assert_int_equal(curl_put(url, "chunk"), 200);
	assert_int_equal(get(f, "c/copy", text, sizeof(text)), 0);
	assert_string_equal(text, "chunk");
	store_wait_close(store);
	f->config.s3_upload_secret_key = NULL;
	f->config.url = f->url;
	struct error err = {0};
	assert_int_equal(store_open(&f->loop, &f->config, &store, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_S3_UPLOAD_SECRET_ACCESS_KEY"));
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_a_wrong_secret),
		WITH_STORE(test_an_unknown_access_key),
		WITH_STORE(test_a_missing_bucket),
		WITH_STORE(test_a_quota_that_is_exceeded),
		WITH_STORE(test_presigned_uploads),
		WITH_STORE(test_nothing_is_copied_by_a_presigned_upload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
