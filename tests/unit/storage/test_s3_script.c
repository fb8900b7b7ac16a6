/* The S3 driver against a server that plays a script: what a real one does rarely, and what a hostile one does. */
#include "tests/unit/storage/s3_script.h"

#include "base/clock.h"

static void test_what_passes_is_tried_again(void **state)
{
	static const struct step steps[] = {
		{"HEAD /bucket/p/k HTTP", NOT_FOUND},
		{"PUT /bucket/p/k HTTP", ERROR("503 Slow", "SlowDown")},
		{"PUT", NULL},
		{"PUT", "HTTP/1.1 429 Busy\r\nConnection: close\r\n" EMPTY},
		{"PUT", OK "Date: Fri, 24 May 2013 00:00:00 GMT\r\n" EMPTY},
	};
	struct fixture f;
	struct outcome o;

	(void)state;
	begin(&f, steps, ARRAY_LEN(steps));
	assert_int_equal(put(&f, "hello", &o), 0);
	assert_int_equal(o.info.modified_us, INT64_C(1369353600) * 1000000);
	end(&f);
	assert_non_null(strcasestr(f.script.head, "\r\nif-none-match: *\r\n"));
	assert_non_null(strstr(f.script.head, "\r\nContent-Length: 5\r\n"));
	assert_non_null(
		strstr(f.script.head, "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKID/"));
	assert_null(strstr(f.script.head, "topsecret"));
}

static void test_connections_are_used_again(void **state)
{
	static const struct step steps[] = {
		{"HEAD", "HTTP/1.1 404 x\r\n" EMPTY},
		{"PUT", "HTTP/1.1 200 x\r\n" EMPTY},
		{"HEAD", "HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n"},
		{"GET", "HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\nhello"},
	};
	struct fixture f;
	struct outcome o;

	(void)state;
	begin(&f, steps, ARRAY_LEN(steps));
	assert_int_equal(put(&f, "hello", &o), 0);
	assert_int_equal(put(&f, "hello", &o), 0);
	assert_int_equal(atomic_load(&f.script.connections), 1);
	end(&f);
}

static void test_the_tries_have_an_end(void **state)
{
	static const struct step steps[] = {
		{"HEAD", NOT_FOUND},
		{"PUT", ERROR("500 x", "InternalError")},
	};
	struct fixture f;
	struct outcome o;
	uint64_t begun_ms = clock_mono_now_ms();

	(void)state;
	begin(&f, steps, ARRAY_LEN(steps));
	atomic_store(&f.script.again, true);
	assert_int_equal(put(&f, "hello", &o), EC_EUNAVAILABLE);
	assert_true(clock_mono_now_ms() - begun_ms >= S3_TRY_UNTIL_MS);
	assert_string_equal(o.err.text, "storage: put k: the store failed (500 InternalError)");
	end(&f);
}

/* A redirect would take the signature, and what is stored, to another host. */
static void test_redirects_are_not_followed(void **state)
{
	static const struct step steps[] = {
		{"HEAD", NOT_FOUND},
		{"PUT", "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nConnection: "
			"close\r\n" EMPTY},
	};
	struct fixture f;
	struct outcome o;

	(void)state;
	begin(&f, steps, ARRAY_LEN(steps));
	assert_int_equal(put(&f, "hello", &o), EC_EIO);
	assert_non_null(strstr(o.err.text, "another region"));
	end(&f);
}

/* A server that ignores If-None-Match is no reason to overwrite what is there. */
static void test_an_object_that_is_there_is_compared(void **state)
{
	static const struct step other[] = {
		{"HEAD", OK "Content-Length: 5\r\n\r\n"},
		{"GET", OK "Content-Length: 5\r\n\r\nother"},
	};
	static const struct step same[] = {
		{"HEAD", OK "Content-Length: 5\r\n\r\n"},
		{"GET", OK "Content-Length: 5\r\n\r\nhello"},
	};
	static const struct step raced[] = {
		{"HEAD", NOT_FOUND},
		{"PUT", ERROR("412 x", "PreconditionFailed")},
		{"HEAD", OK "Content-Length: 6\r\n\r\n"},
	};
	struct fixture f;
	struct outcome o;

	(void)state;
	begin(&f, other, ARRAY_LEN(other));
	assert_int_equal(put(&f, "hello", &o), EC_ECONFLICT);
	end(&f);
	begin(&f, same, ARRAY_LEN(same));
	assert_int_equal(put(&f, "hello", &o), 0);
	end(&f);
	begin(&f, raced, ARRAY_LEN(raced));
	assert_int_equal(put(&f, "hello", &o), EC_ECONFLICT);
	end(&f);
}

#define CREATED                                                                                    \
	OK "\r\n<InitiateMultipartUploadResult><UploadId>u1</UploadId></"                          \
	   "InitiateMultipartUploadResult>"
#define PART OK "ETag: \"e\"\r\n" EMPTY
#define LENGTH_9MIB "Content-Length: 9437184\r\n"

/* One part of 8 MiB, then a second one of 1 MiB with the commit. */
static int write_large(struct fixture *f, struct error *err)
{
	struct store_writer *writer = NULL;
	struct store_info info;
	size_t n = S3_PART_BYTES;
	uint8_t *data = calloc(1, n);

	assert_non_null(data);
	*err = (struct error){.code = 0};
	assert_int_equal(store_wait_writer_open(f->store, "k", &writer, err), 0);
	assert_int_equal(store_wait_write(writer, (struct bytes){data, n}, err), 0);
	/* the script knows one order: let the first part be stored */
	while (atomic_load(&f->script.seen) < 2)
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	int r = store_wait_write(writer, (struct bytes){data, n / 8}, err);
	int commit = store_wait_commit(writer, &info, err);
	free(data);
	return r < 0 ? r : commit;
}

static void test_a_200_that_is_an_error(void **state)
{
	static const struct step steps[] = {
		{"POST /bucket/p/k?uploads= HTTP", CREATED},
		{"PUT /bucket/p/k?partNumber=1&uploadId=u1 HTTP", PART},
		{"PUT /bucket/p/k?partNumber=2&uploadId=u1 HTTP", PART},
		{"POST /bucket/p/k?uploadId=u1 HTTP",
		 OK "\r\n<?xml version=\"1.0\"?>\n  <Error><Code>InternalError</Code></Error>"},
		{"POST /bucket/p/k?uploadId=u1 HTTP", OK "\r\n<CompleteMultipartUploadResult/>"},
	};
	struct fixture f;
	struct error err;

	(void)state;
	begin(&f, steps, ARRAY_LEN(steps));
	if (write_large(&f, &err) < 0)
		fail_msg("%s", err.text);
	end(&f);
}

/* The answer to the end of an upload was lost: the object that is there has our mark, or has not. */
static void test_the_mark_of_an_upload(void **state)
{
	static const struct step ours[] = {
		{"POST /bucket/p/k?uploads= HTTP", CREATED},
		{"PUT", PART},
		{"PUT", PART},
		{"POST", NULL},
		{"POST", ERROR("404 x", "NoSuchUpload")},
		{"HEAD", OK LENGTH_9MIB "x-amz-meta-edgecap-upload: %M\r\n\r\n"},
	};
	static const struct step other[] = {
		{"POST /bucket/p/k?uploads= HTTP", CREATED},
		{"PUT", PART},
		{"PUT", PART},
		{"POST", NULL},
		{"POST", ERROR("404 x", "NoSuchUpload")},
		{"HEAD", OK LENGTH_9MIB "x-amz-meta-edgecap-upload: 00%M\r\n\r\n"},
		{"DELETE /bucket/p/k?uploadId=u1 HTTP", ERROR("404 x", "NoSuchUpload")},
	};
	struct fixture f;
	struct error err;

	(void)state;
	begin(&f, ours, ARRAY_LEN(ours));
	if (write_large(&f, &err) < 0)
		fail_msg("%s", err.text);
	end(&f);
	begin(&f, other, ARRAY_LEN(other));
	assert_int_equal(write_large(&f, &err), EC_EIO);
	assert_string_equal(err.text, "storage: write k: the upload is gone (404 NoSuchUpload)");
	end(&f);
}

static void test_a_failed_part_ends_the_upload(void **state)
{
	static const struct step steps[] = {
		{"POST /bucket/p/k?uploads= HTTP", CREATED},
		{"PUT", ERROR("403 x", "AccessDenied")},
		{"DELETE /bucket/p/k?uploadId=u1 HTTP",
		 "HTTP/1.1 204 x\r\nConnection: close\r\n\r\n"},
	};
	struct fixture f;
	struct error err;

	(void)state;
	begin(&f, steps, ARRAY_LEN(steps));
	assert_int_equal(write_large(&f, &err), EC_EPERM);
	end(&f);
}

static const char *const bad_ranges[] = {
	OK "Content-Length: 10\r\n\r\n0123456789", /* all of it: the range is ignored */
	"HTTP/1.1 206 x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n2345",
	"HTTP/1.1 206 x\r\nConnection: close\r\nContent-Length: 4\r\nContent-Range: bytes "
	"3-6/10\r\n\r\n3456",
	"HTTP/1.1 206 x\r\nConnection: close\r\nContent-Length: 5\r\nContent-Range: bytes "
	"2-6/10\r\n\r\n23456",
};

static void test_ranges_that_are_others(void **state)
{
	struct fixture f;
	struct error err = {.code = 0};
	char text[16];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_ranges); i++) {
		const struct step step = {"GET", bad_ranges[i]};
		struct store_range range = {2, text, 4};
		begin(&f, &step, 1);
		assert_true(store_wait_get(f.store, "k", range, &n, &err) < 0);
		end(&f);
		struct store_reader *reader = NULL;
		begin(&f, &step, 1);
		assert_true(store_wait_reader_open(f.store, "k", 2, 4, &reader, &err) < 0);
		end(&f);
	}
}

/* An answer that breaks off is no shorter object. */
static void test_an_answer_that_breaks_off(void **state)
{
	static const struct step steps[] = {
		{"GET",
		 "HTTP/1.1 206 x\r\nContent-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n23"},
		{"GET",
		 "HTTP/1.1 206 x\r\nConnection: close\r\nContent-Length: 4\r\nContent-Range: bytes "
		 "2-5/10\r\n\r\n2345"},
	};
	struct fixture f;
	struct error err = {.code = 0};
	char text[16] = "";
	struct store_range range = {2, text, 4};
	size_t n = 0;

	(void)state;
	begin(&f, steps, ARRAY_LEN(steps));
	assert_int_equal(store_wait_get(f.store, "k", range, &n, &err), 0);
	assert_int_equal(n, 4);
	assert_string_equal(text, "2345");
	end(&f);
}

static int count_entry(void *arg, const struct store_entry *entry)
{
	(void)entry;
	++*(size_t *)arg;
	return 0;
}

#define LIST(inside) OK "\r\n<ListBucketResult>" inside "</ListBucketResult>"
#define KEY(key)                                                                                   \
	"<Contents><Key>" key "</Key><Size>1</Size><LastModified>2026-11-26T11:39:44.123Z"         \
	"</LastModified></Contents>"

static const struct {
	const char *answer;
	int code;
	size_t count;
} lists[] = {
	{LIST("<IsTruncated>false</IsTruncated>" KEY("p/a/1")), 0, 1},
	/* not of our prefix, no keys of ours, or not in a directory either */
	{LIST(KEY("a/1") KEY("p/a/../b") KEY("p/a/%00") KEY("p/a/x%20y") KEY("p//") KEY("p/a/2")),
	 0, 1},
	{LIST("<IsTruncated>true</IsTruncated>"), EC_EIO, 0}, /* no token: for ever */
	{LIST("<Contents><Key>p/a/1</Key><Size>-1</Size></Contents>"), EC_EIO, 0},
	{LIST("<Contents><Key>p/a/1</Key><LastModified>now</LastModified></Contents>"), EC_EIO, 0},
	{LIST("<Contents>"), EC_EIO, 0},
	{OK "\r\n<Other/>", EC_EIO, 0},
	{OK "\r\n", EC_EIO, 0},
	{OK "\r\n<!DOCTYPE a [<!ENTITY b \"c\">]><ListBucketResult>&b;</ListBucketResult>", EC_EIO,
	 0},
};

static void test_lists_of_a_hostile_server(void **state)
{
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct step step = {"GET /bucket?encoding-type=url&list-type=2&",
					  lists[i].answer};
		struct error err = {.code = 0};
		size_t n = 0;
		begin(&f, &step, 1);
		int r = store_wait_list(f.store, "a/", count_entry, &n, &err);
		if (r != lists[i].code || n != lists[i].count)
			fail_msg("list %zu: %d %s, %zu", i, r, err.text, n);
		end(&f);
	}
}

static void test_deletes_without_batches(void **state)
{
	static const struct step none[] = {
		{"POST /bucket?delete= HTTP", ERROR("501 x", "NotImplemented")},
		{"DELETE /bucket/p/a HTTP", "HTTP/1.1 204 x\r\nConnection: close\r\n\r\n"},
		{"DELETE /bucket/p/b HTTP", ERROR("404 x", "NoSuchKey")},
	};
	static const struct step refused[] = {
		{"POST /bucket?delete= HTTP",
		 OK "\r\n<DeleteResult><Error><Key>p/b</Key><Code>AccessDenied</Code></Error></"
		    "DeleteResult>"},
	};
	const char *keys[] = {"a", "b"};
	struct fixture f;
	struct error err = {.code = 0};

	(void)state;
	begin(&f, none, ARRAY_LEN(none));
	assert_int_equal(store_wait_delete(f.store, keys, 2, &err), 0);
	end(&f);
	begin(&f, refused, ARRAY_LEN(refused));
	assert_int_equal(store_wait_delete(f.store, keys, 2, &err), EC_EPERM);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_passes_is_tried_again),
		cmocka_unit_test(test_connections_are_used_again),
		cmocka_unit_test(test_the_tries_have_an_end),
		cmocka_unit_test(test_redirects_are_not_followed),
		cmocka_unit_test(test_an_object_that_is_there_is_compared),
		cmocka_unit_test(test_a_200_that_is_an_error),
		cmocka_unit_test(test_the_mark_of_an_upload),
		cmocka_unit_test(test_a_failed_part_ends_the_upload),
		cmocka_unit_test(test_ranges_that_are_others),
		cmocka_unit_test(test_an_answer_that_breaks_off),
		cmocka_unit_test(test_lists_of_a_hostile_server),
		cmocka_unit_test(test_deletes_without_batches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
