/* TLS to a real S3 server, buckets as host names, and large objects in bounded memory. */
#include "tests/integration/storage/s3_kit.h"

#include <sys/resource.h>

enum {
	LARGE_PIECES = 200,
	/* A writer's four parts of 8 MiB, a reader's two windows of 1 MiB, and the process with its libraries. */
	PEAK_KIB_MAX = (S3_PARTS_AT_ONCE * 8 + 2 + 26) * 1024,
};

static struct store *open_tls(struct fixture *f, const char *ca_file)
{
	char url[1024];

	(void)snprintf(url, sizeof(url), "s3://%s/tls?endpoint=%s", s3_variable("BUCKET"),
		       s3_variable("TLS_ENDPOINT"));
	return open_store(f, url, NULL, ca_file);
}

static void try_put(struct fixture *f, struct store *store, struct outcome *o)
{
	*o = (struct outcome){0};
	store_put(store, "k", bytes_of("over TLS"), on_info, o);
	run_until(f, o, 1);
}

static void test_tls(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	const char *untrusted[] = {s3_variable("OTHER_CA"), NULL}; /* NULL: the system's */
	struct store *store = open_tls(f, s3_variable("CA"));

	try_put(f, store, &o);
	if (o.err.code)
		fail_msg("%s", o.err.text);
	store_wait_close(store);
	for (size_t i = 0; i < ARRAY_LEN(untrusted); i++) {
		store = open_tls(f, untrusted[i]);
		try_put(f, store, &o);
		assert_int_equal(o.err.code, EC_EPERM);
		assert_string_equal(o.err.text,
				    "storage: put k: the store's certificate is not trusted");
		store_wait_close(store);
	}
}

/* The certificate is for 127.0.0.1, not for this name. */
static void test_tls_of_another_host(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	char url[1024];

	(void)snprintf(url, sizeof(url), "s3://%s/tls?endpoint=https://localhost:%s",
		       s3_variable("BUCKET"), strrchr(s3_variable("TLS_ENDPOINT"), ':') + 1);
	struct store *store = open_store(f, url, NULL, s3_variable("CA"));
	try_put(f, store, &o);
	assert_int_equal(o.err.code, EC_EPERM);
	store_wait_close(store);
}

static void test_a_bucket_in_the_host_name(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	char url[1024];
	char text[16];

	(void)snprintf(url, sizeof(url),
		       "s3://%s/virtual?endpoint=http://localhost:%s&style=virtual&plaintext=yes",
		       s3_variable("BUCKET"), strrchr(s3_variable("ENDPOINT"), ':') + 1);
	store_wait_close(f->store);
	f->store = open_store(f, url, NULL, NULL);
	try_put(f, f->store, &o);
	if (o.err.code)
		fail_msg("%s", o.err.text);
	assert_int_equal(get(f, "k", text, sizeof(text)), 0);
	assert_string_equal(text, "over TLS");
	assert_int_equal(delete_one(f, "k"), 0);
	assert_int_equal(get(f, "k", text, sizeof(text)), EC_ENOTFOUND);
}

#if defined(__has_feature)
#define SANITIZED (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* In a process of its own, so that its peak is its own: write, read, and tell how. */
static int large_child(void)
{
	struct store_writer *writer = NULL;
	struct store_info info;
	struct rusage usage;
	uv_loop_t loop;
	struct store *store = kit_child_open(&loop);

	if (!store || store_wait_writer_open(store, "large", &writer, NULL) < 0 ||
	    kit_write(writer, 0, LARGE_PIECES, NULL) < 0 ||
	    store_wait_commit(writer, &info, NULL) < 0)
		return 1;
	kit_check(store, "large", LARGE_PIECES);
	store_wait_close(store);
	if (uv_loop_close(&loop) != 0)
		return 3;
	(void)getrusage(RUSAGE_SELF, &usage);
	(void)printf("peak %ld KiB\n", usage.ru_maxrss);
	/* sanitizers keep what was freed */
	return SANITIZED || usage.ru_maxrss <= PEAK_KIB_MAX ? 0 : 2;
}

static void test_200_mb_in_bounded_memory(void **state)
{
	struct fixture *f = *state;
	int status = kit_child(f, "large");

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Lengths around the size of a part, and reads at odd places of what several parts became. */
static void test_lengths_around_a_part(void **state)
{
	struct fixture *f = *state;
	static const size_t lengths[] = {S3_PART_BYTES - 1, S3_PART_BYTES, S3_PART_BYTES + 1,
					 2 * S3_PART_BYTES, 2 * S3_PART_BYTES + 1};
	size_t cap = 2 * S3_PART_BYTES + 1;
	uint8_t *data = malloc(cap);

	assert_non_null(data);
	kit_fill(data, cap, 0);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct store_writer *writer = NULL;
		struct store_info info;
		uint8_t got[100];
		size_t n = 0;
		struct bytes all = {data, lengths[i]};
		struct digest expected = digest_sha256(all);
		assert_int_equal(store_wait_writer_open(f->store, "len", &writer, NULL), 0);
		assert_int_equal(store_wait_write(writer, all, NULL), 0);
		assert_int_equal(store_wait_commit(writer, &info, NULL), 0);
		assert_int_equal(info.bytes, lengths[i]);
		assert_memory_equal(info.sha256.b, expected.b, DIGEST_BYTES);
		for (size_t at = lengths[i] - 150; at <= lengths[i]; at += 50) {
			struct store_range range = {at, got, sizeof(got)};
			size_t due = lengths[i] - at < sizeof(got) ? lengths[i] - at : sizeof(got);
			assert_int_equal(store_wait_get(f->store, "len", range, &n, NULL), 0);
			assert_int_equal(n, due);
			assert_memory_equal(got, data + at, due);
		}
	}
	assert_int_equal(uploads(f), 0);
	free(data);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return large_child();
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_tls),
		WITH_STORE(test_tls_of_another_host),
		WITH_STORE(test_a_bucket_in_the_host_name),
		WITH_STORE(test_200_mb_in_bounded_memory),
		WITH_STORE(test_lengths_around_a_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
