/* A tenant's bucket as a store, on a real S3 server: what is written, who is refused, what is left and what is given up. */
#include "tests/integration/storage/s3_kit.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/bucket_store.h"

enum {
	PIECES = 20, /* three parts */
	MANY = 520,  /* uploads of each of two keys: more than a page */
	ABORTS = 20,
};

#define KEY "pcap_a.pcap"

/* How a tenant's destination in the server's bucket is reached: the directory "dir" below the fixture's prefix. */
static struct bucket_access access_of(const struct fixture *f, const char *bucket)
{
	struct bucket_access access = {.access_key_id = s3_variable("ACCESS_KEY"),
				       .secret_key = s3_variable("SECRET_KEY"),
				       .private_address = true};
	const char *rest = f->url + strlen("s3://");

	assert_int_equal(s3_place_parse(rest, &access.place, NULL), 0);
	if (bucket)
		(void)snprintf(access.place.bucket, sizeof(access.place.bucket), "%s", bucket);
	size_t n = strlen(access.place.prefix);
	(void)snprintf(access.place.prefix + n, sizeof(access.place.prefix) - n, "dir/");
	return access;
}

static struct store *open_access(struct fixture *f, const struct bucket_access *access)
{
	struct store *store = NULL;
	struct error err = {0};

	if (bucket_store_open(&f->loop, access, &store, &err) < 0)
		fail_msg("%s", err.text);
	return store;
}

static struct store *open_bucket(struct fixture *f, const char *bucket)
{
	struct bucket_access access = access_of(f, bucket);

	return open_access(f, &access);
}

/* A tenant sees this. */
static void check_text(const struct error *err, int code, const char *text)
{
	if (err->code != code || !strstr(err->text, text))
		fail_msg("%d: %s", err->code, err->text);
	assert_null(strstr(err->text, "storage"));
	assert_null(strstr(err->text, KEY));
	assert_null(strstr(err->text, s3_variable("BUCKET")));
	assert_null(strstr(err->text, s3_variable("SECRET_KEY")));
	assert_null(strstr(err->text, s3_variable("ACCESS_KEY")));
	assert_null(strstr(err->text, s3_variable("ENDPOINT") + strlen("http://")));
	assert_null(strstr(err->text, "127.0.0.1"));
}

/* The server's own word: entries of the bucket whose names have both texts. An unfinished upload has one that ends in ".meta". */
static unsigned entries_with(const char *text, const char *end)
{
	char command[1024];
	char line[32];

	(void)snprintf(command, sizeof(command),
		       "%s list | jq '[.[].name | select(contains(\"%s\") and endswith(\"%s\"))] | "
		       "length'",
		       s3_variable("CTL"), text, end);
	shell_line(command, line, sizeof(line));
	assert_true(line[0]);
	return (unsigned)strtoul(line, NULL, 10);
}

/* Unfinished uploads of a key in the fixture's directory. */
static unsigned uploads_of(const struct fixture *f, const char *key)
{
	char text[512];
	struct bucket_access access = access_of(f, NULL);

	(void)snprintf(text, sizeof(text), "%s%s.2~", access.place.prefix, key);
	return entries_with(text, ".meta");
}

/* --- requests that a store does not make --- */

struct raw {
	struct s3_request request;
	bool done;
};

static void on_raw(struct s3_request *q)
{
	((struct raw *)q->arg)->done = true;
}

/* A request to the store's bucket or key, signed and carried out; it must succeed. */
static void raw(struct store *store, const char *method, const char *key, const char *query,
		const char *body)
{
	struct raw r = {.done = false};
	struct digest sha256 = digest_sha256(bytes_of(body));

	s3_request_init(&r.request, store->state, "raw", method, key);
	if (query)
		s3_request_query(&r.request, query, "");
	if (body[0]) {
		r.request.body = bytes_of(body);
		r.request.body_sha256 = &sha256;
	}
	r.request.done = on_raw;
	r.request.arg = &r;
	s3_request_start(&r.request);
	while (!r.done)
		(void)uv_run(store->loop, UV_RUN_ONCE);
	if (r.request.err.code)
		fail_msg("%s %s: %s", method, key ? key : "", r.request.err.text);
}

/* --- what is written --- */

static void write_object(struct store *store, const char *key, unsigned pieces)
{
	struct store_writer *writer = NULL;
	struct store_info info;
	struct error err = {0};

	assert_int_equal(store_wait_writer_open(store, key, &writer, NULL), 0);
	if (kit_write(writer, 0, pieces, &err) < 0 || store_wait_commit(writer, &info, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(info.bytes, (uint64_t)pieces * KIT_PIECE_BYTES);
}

/* Small and large, below the directory and nowhere else; a proxy is not asked, whatever the environment says. */
static void test_the_whole_way(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};

	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	struct store *store = open_bucket(f, NULL);
	write_object(store, "empty", 0);
	write_object(store, "small", 1);
	write_object(store, KEY, PIECES);
	store_put(store, "put", bytes_of("challenge"), on_info, &o);
	run_until(f, &o, 1);
	assert_int_equal(o.err.code, 0);
	store_head(store, KEY, on_info, &o);
	run_until(f, &o, 2);
	assert_int_equal(o.err.code, 0);
	assert_int_equal(o.info.bytes, (uint64_t)PIECES * KIT_PIECE_BYTES);
	store_head(store, "none", on_info, &o);
	run_until(f, &o, 3);
	assert_int_equal(o.err.code, EC_ENOTFOUND);
	store_wait_close(store);
	(void)unsetenv("http_proxy");
	kit_check(f->store, "dir/small", 1);
	kit_check(f->store, "dir/" KEY, PIECES);
	char text[16];
	assert_int_equal(get(f, "dir/put", text, sizeof(text)), 0);
	assert_string_equal(text, "challenge");
	struct bucket_access access = access_of(f, NULL);
	assert_int_equal(entries_with(access.place.prefix, ""), 4);
}

/* --- who is refused --- */

/* All that the assembler does ends with code and text. */
static void check_all(struct fixture *f, const struct bucket_access *access, int code,
		      const char *text)
{
	struct store *store = open_access(f, access);
	struct store_writer *writer = NULL;
	struct store_info info;
	struct error err = {0};
	struct outcome o = {0};

	store_put(store, KEY, bytes_of("x"), on_info, &o);
	run_until(f, &o, 1);
	check_text(&o.err, code, text);
	store_head(store, KEY, on_info, &o);
	run_until(f, &o, 2);
	check_text(&o.err, code, text);
	for (unsigned pieces = 1; pieces < 40; pieces += 30) {
		assert_int_equal(store_wait_writer_open(store, KEY, &writer, NULL), 0);
		(void)!kit_write(writer, 0, pieces, NULL);
		assert_int_equal(store_wait_commit(writer, &info, &err), code);
		check_text(&err, code, text);
	}
	assert_int_equal(store_wait_give_up(store, KEY, &err), code);
	check_text(&err, code, text);
	store_wait_close(store);
}

static void test_wrong_keys(void **state)
{
	struct fixture *f = *state;
	struct bucket_access access = access_of(f, NULL);

	access.secret_key = "not+the/secret";
	check_all(f, &access, EC_EPERM, "wrong secret (403 SignatureDoesNotMatch)");
	access.access_key_id = "NOBODY";
	check_all(f, &access, EC_EPERM, "(403 InvalidAccessKeyId)");
}

static void test_a_missing_bucket(void **state)
{
	struct fixture *f = *state;
	struct bucket_access access = access_of(f, "no-such-bucket");

	check_all(f, &access, EC_ENOTFOUND, "the bucket does not exist (404 NoSuchBucket)");
}

/* The entry does not say private: nothing is connected to. The listener is where a connection would be seen. */
static void test_a_private_address(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"};
	struct fixture *f = *state;
	struct sockaddr_in6 at = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(at);
	int zero = 0;

	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(listener >= 0);
	assert_int_equal(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct bucket_access access = access_of(f, NULL);
		access.private_address = false;
		check_all(f, &access, EC_EPERM, "the store's address is not a public one");
		(void)snprintf(access.place.host, sizeof(access.place.host), "%s:%u", hosts[i],
			       ntohs(at.sin6_port));
		check_all(f, &access, EC_EPERM, "the store's address is not a public one");
		assert_int_equal(accept(listener, NULL, NULL), -1);
	}
	(void)close(listener);
}

/* A file's content. dst: cap bytes. */
static struct bytes read_text(const char *path, uint8_t *dst, size_t cap)
{
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	size_t n = fread(dst, 1, cap, file);
	assert_true(n > 0 && n < cap);
	assert_int_equal(fclose(file), 0);
	return (struct bytes){dst, n};
}

/* The entry's certificates are those that are trusted, and no others; they are copied. */
static void test_certificates(void **state)
{
	struct fixture *f = *state;
	struct bucket_access access = access_of(f, NULL);
	uint8_t pem[16384];

	access.place.tls = true;
	(void)snprintf(access.place.host, sizeof(access.place.host), "%s",
		       s3_variable("TLS_ENDPOINT") + strlen("https://"));
	access.ca_pem = read_text(s3_variable("CA"), pem, sizeof(pem));
	struct store *store = open_access(f, &access);
	memset(pem, 'x', sizeof(pem));
	write_object(store, KEY, PIECES);
	store_wait_close(store);
	kit_check(f->store, "dir/" KEY, PIECES);
	check_all(f, &access, EC_EPERM, "the trusted certificates cannot be read");
	access.ca_pem = read_text(s3_variable("OTHER_CA"), pem, sizeof(pem));
	check_all(f, &access, EC_EPERM, "the store's certificate is not trusted");
	access.ca_pem = (struct bytes){NULL, 0};
	check_all(f, &access, EC_EPERM, "the store's certificate is not trusted");
}

/* --- what changes in the middle --- */

/* Write half of an object. */
static struct store_writer *write_half(struct store *store)
{
	struct store_writer *writer = NULL;
	struct error err = {0};

	assert_int_equal(store_wait_writer_open(store, KEY, &writer, NULL), 0);
	if (kit_write(writer, 0, PIECES, &err) < 0)
		fail_msg("%s", err.text);
	return writer;
}

/* The other half: it must end with code and text. */
static void fail_other_half(struct store_writer *writer, int code, const char *text)
{
	struct store_info info;
	struct error err = {0};

	(void)!kit_write(writer, PIECES, PIECES, NULL);
	assert_int_equal(store_wait_commit(writer, &info, &err), code);
	check_text(&err, code, text);
}

static void test_a_bucket_removed_in_the_middle(void **state)
{
	static const char text[] = "the bucket does not exist (404 NoSuchBucket)";
	struct fixture *f = *state;
	struct store_info info;
	struct error err = {0};
	char url[512];

	(void)snprintf(url, sizeof(url), "s3://tenants-own?endpoint=%s&plaintext=yes",
		       s3_variable("ENDPOINT"));
	struct store *operators = open_store(f, url, NULL, NULL);
	struct store *store = open_bucket(f, "tenants-own");
	raw(operators, "PUT", NULL, NULL, "");
	struct store_writer *writer = write_half(store);
	run_for(f, 500); /* what was sent is stored */
	raw(operators, "DELETE", NULL, NULL, "");
	fail_other_half(writer, EC_ENOTFOUND, text);
	/* with parts under way it can look like an upload that was given up; then the next try tells */
	raw(operators, "PUT", NULL, NULL, "");
	writer = write_half(store);
	raw(operators, "DELETE", NULL, NULL, "");
	int r = store_wait_commit(writer, &info, &err);
	if (r == EC_EIO)
		check_text(&err, EC_EIO, "the upload is gone (404 NoSuchUpload)");
	else
		check_text(&err, EC_ENOTFOUND, "the bucket does not exist (404");
	assert_int_equal(store_wait_writer_open(store, KEY, &writer, NULL), 0);
	fail_other_half(writer, EC_ENOTFOUND, text);
	store_wait_close(store);
	store_wait_close(operators);
}

static void test_an_owner_suspended_in_the_middle(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_bucket(f, NULL);

	struct store_writer *writer = write_half(store);
	control("user suspend");
	fail_other_half(writer, EC_EPERM, "(403 UserSuspended)");
	control("user enable");
	/* Nobody could give the upload up: it is there until somebody who may does. */
	assert_int_equal(uploads_of(f, KEY), 1);
	assert_int_equal(store_wait_give_up(store, KEY, NULL), 0);
	assert_int_equal(uploads_of(f, KEY), 0);
	store_wait_close(store);
}

static void deny_writes(struct store *operators)
{
	char policy[512];

	(void)snprintf(policy, sizeof(policy),
		       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\","
		       "\"Principal\":\"*\","
		       "\"Action\":[\"s3:PutObject\"],\"Resource\":\"arn:aws:s3:::%s/*\"}]}",
		       s3_variable("BUCKET"));
	raw(operators, "PUT", NULL, "policy", policy);
}

static void test_a_permission_withdrawn_in_the_middle(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_bucket(f, NULL);

	struct store_writer *writer = write_half(store);
	deny_writes(f->store);
	fail_other_half(writer, EC_EPERM, "the store does not allow it (403 AccessDenied)");
	raw(f->store, "DELETE", NULL, "policy", "");
	write_object(store, KEY, PIECES);
	assert_int_equal(uploads_of(f, KEY), 0);
	store_wait_close(store);
}

/* --- what is left, and given up --- */

/* Write most of an object into the tenant's bucket, then die without a word. */
static int die_while_writing(void)
{
	struct store_writer *writer = NULL;
	struct store *store = NULL;
	uv_loop_t loop;
	struct fixture f = {.s3 = true};

	(void)snprintf(f.url, sizeof(f.url), "%s", s3_variable("URL"));
	struct bucket_access access = access_of(&f, NULL);
	if (uv_loop_init(&loop) != 0 || bucket_store_open(&loop, &access, &store, NULL) < 0 ||
	    store_wait_writer_open(store, KEY, &writer, NULL) < 0 ||
	    kit_write(writer, 0, PIECES, NULL) < 0)
		return 1;
	(void)raise(SIGKILL);
	return 2;
}

/* Two writers died at it; the third one gives up what they left, of this key and no other. */
static void test_a_killed_writer_is_given_up(void **state)
{
	static const char *const others[] = {KEY "2", "pcap_a.pca", "x/" KEY, KEY ".meta"};
	struct fixture *f = *state;
	struct store *store = open_bucket(f, NULL);
	struct store_writer *theirs[ARRAY_LEN(others) + 1];
	struct store_info info;
	struct error err = {0};

	for (size_t i = 0; i <= ARRAY_LEN(others); i++) {
		bool last = i == ARRAY_LEN(others); /* the same key outside of the directory */
		assert_int_equal(store_wait_writer_open(last ? f->store : store,
							last ? KEY : others[i], &theirs[i], NULL),
				 0);
		assert_int_equal(kit_write(theirs[i], 0, PIECES, NULL), 0);
	}
	write_object(store, KEY, 1); /* an object that is there stays */
	for (int i = 0; i < 2; i++) {
		int status = kit_child(f, "die");
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	assert_int_equal(uploads_of(f, KEY), 2);
	if (store_wait_give_up(store, KEY, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(uploads_of(f, KEY), 0);
	assert_int_equal(uploads(f), ARRAY_LEN(theirs));
	for (size_t i = 0; i <= ARRAY_LEN(others); i++) {
		if (store_wait_commit(theirs[i], &info, &err) < 0)
			fail_msg("%s", err.text);
	}
	kit_check(f->store, "dir/" KEY, 1);
	kit_check(f->store, "dir/x/" KEY, PIECES);
	kit_check(f->store, KEY, PIECES);
	assert_int_equal(uploads(f), 0);
	store_wait_close(store);
}

/* A part that was sent when its upload was given up could be stored afterwards, where nobody sees it and nobody can remove it. */
static void test_an_abort_leaves_no_part(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < ABORTS; i++) {
		struct store *store = open_bucket(f, NULL);
		struct store_writer *writer = write_half(store);
		run_for(f, i);
		store_writer_abort(writer);
		store_wait_close(store);
	}
	struct bucket_access access = access_of(f, NULL);
	assert_int_equal(entries_with(access.place.prefix, ""), 0);
}

/* More uploads than a page of the server's has, in whatever order it lists the two keys. */
static void test_pages_of_uploads(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_bucket(f, NULL);
	struct error err = {0};

	for (int i = 0; i < MANY; i++) {
		raw(store, "POST", KEY, "uploads", "");
		raw(store, "POST", KEY "-", "uploads", "");
		raw(store, "POST", i % 2 ? KEY "2" : "aaa", "uploads", "");
	}
	assert_int_equal(uploads_of(f, KEY), MANY);
	if (store_wait_give_up(store, KEY, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(uploads_of(f, KEY), 0);
	assert_int_equal(uploads_of(f, KEY "-"), MANY);
	assert_int_equal(uploads_of(f, KEY "2"), MANY / 2);
	assert_int_equal(uploads_of(f, "aaa"), MANY / 2);
	if (store_wait_give_up(store, KEY "-", &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(uploads_of(f, KEY "-"), 0);
	assert_int_equal(uploads_of(f, KEY "2"), MANY / 2);
	store_wait_close(store);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return die_while_writing();
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_the_whole_way),
		WITH_STORE(test_wrong_keys),
		WITH_STORE(test_a_missing_bucket),
		WITH_STORE(test_a_private_address),
		WITH_STORE(test_certificates),
		WITH_STORE(test_a_bucket_removed_in_the_middle),
		WITH_STORE(test_an_owner_suspended_in_the_middle),
		WITH_STORE(test_a_permission_withdrawn_in_the_middle),
		WITH_STORE(test_a_killed_writer_is_given_up),
		WITH_STORE(test_an_abort_leaves_no_part),
		WITH_STORE(test_pages_of_uploads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
