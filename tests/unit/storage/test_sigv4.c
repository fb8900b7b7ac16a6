/* Signatures against what AWS publishes: the examples of S3's documentation and cases of the aws4 test suite. */
#include "tests/support/unit.h"

#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "storage/sigv4.h"

enum { HEADERS_MAX = 8, QUERY_MAX = 4 };

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_key s3_key = {
	"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", "s3"};
static const struct sigv4_key suite_key = {
	"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service"};

struct vector {
	const char *name, *method, *path;
	struct sigv4_pair query[QUERY_MAX];
	struct sigv4_pair headers[HEADERS_MAX];
	const char *payload_hash, *signed_headers, *signature;
};

static struct sigv4_request request_of(const struct vector *v)
{
	struct sigv4_request q = {.method = v->method,
				  .path = v->path,
				  .query = v->query,
				  .headers = v->headers,
				  .payload_hash = v->payload_hash};

	while (q.query_count < QUERY_MAX && v->query[q.query_count].name)
		q.query_count++;
	while (q.header_count < HEADERS_MAX && v->headers[q.header_count].name)
		q.header_count++;
	return q;
}

#define S3_HOST                                                                                    \
	{                                                                                          \
		"Host", "examplebucket.s3.amazonaws.com"                                           \
	}
#define S3_DATE                                                                                    \
	{                                                                                          \
		"x-amz-date", "20130524T000000Z"                                                   \
	}
#define S3_EMPTY                                                                                   \
	{                                                                                          \
		"x-amz-content-sha256", EMPTY_SHA256                                               \
	}

/* "Authenticating Requests: Using the Authorization Header" */
static const struct vector s3_vectors[] = {
	{.name = "GET object",
	 .method = "GET",
	 .path = "/test.txt",
	 .headers = {S3_HOST, {"Range", "bytes=0-9"}, S3_EMPTY, S3_DATE},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;range;x-amz-content-sha256;x-amz-date",
	 .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{.name = "PUT object",
	 .method = "PUT",
	 .path = "/test$file.text",
	 .headers = {S3_HOST,
		     {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
		     S3_DATE,
		     {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
		     {"x-amz-content-sha256",
		      "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}},
	 .payload_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	 .signed_headers = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	 .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{.name = "GET bucket lifecycle",
	 .method = "GET",
	 .path = "/",
	 .query = {{"lifecycle", ""}},
	 .headers = {S3_HOST, S3_DATE, S3_EMPTY},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;x-amz-content-sha256;x-amz-date",
	 .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{.name = "list objects",
	 .method = "GET",
	 .path = "/",
	 .query = {{"prefix", "J"}, {"max-keys", "2"}},
	 .headers = {S3_HOST, S3_DATE, S3_EMPTY},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;x-amz-content-sha256;x-amz-date",
	 .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

#define HOST                                                                                       \
	{                                                                                          \
		"Host", "example.amazonaws.com"                                                    \
	}
#define DATE                                                                                       \
	{                                                                                          \
		"X-Amz-Date", "20150830T123600Z"                                                   \
	}

/* The aws4 test suite */
static const struct vector suite_vectors[] = {
	{.name = "get-vanilla",
	 .method = "GET",
	 .path = "/",
	 .headers = {HOST, DATE},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;x-amz-date",
	 .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{.name = "post-vanilla",
	 .method = "POST",
	 .path = "/",
	 .headers = {HOST, DATE},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;x-amz-date",
	 .signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{.name = "get-vanilla-query-order-key-case",
	 .method = "GET",
	 .path = "/",
	 .query = {{"Param2", "value2"}, {"Param1", "value1"}},
	 .headers = {HOST, DATE},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;x-amz-date",
	 .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{.name = "get-header-key-duplicate",
	 .method = "GET",
	 .path = "/",
	 .headers = {HOST,
		     {"My-Header1", "value2"},
		     {"My-Header1", "value2"},
		     {"My-Header1", "value1"},
		     DATE},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;my-header1;x-amz-date",
	 .signature = "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
	{.name = "get-header-value-trim",
	 .method = "GET",
	 .path = "/",
	 .headers = {HOST, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}, DATE},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;my-header1;my-header2;x-amz-date",
	 .signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{.name = "get-unreserved",
	 .method = "GET",
	 .path = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
	 .headers = {HOST, DATE},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;x-amz-date",
	 .signature = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
	{.name = "get-utf8",
	 .method = "GET",
	 .path = "/\xe1\x88\xb4",
	 .headers = {HOST, DATE},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;x-amz-date",
	 .signature = "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
	{.name = "get-vanilla-utf8-query",
	 .method = "GET",
	 .path = "/",
	 .query = {{"\xe1\x88\xb4", "bar"}},
	 .headers = {HOST, DATE},
	 .payload_hash = EMPTY_SHA256,
	 .signed_headers = "host;x-amz-date",
	 .signature = "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
};

static void check_vector(const struct sigv4_key *key, const char *date, const struct vector *v)
{
	struct sigv4_request q = request_of(v);
	struct buf got;
	struct buf expected;

	buf_init(&got, 4096);
	buf_init(&expected, 4096);
	assert_int_equal(sigv4_authorize(key, &q, date, &got), 0);
	buf_printf(&expected,
		   "AWS4-HMAC-SHA256 Credential=%s/%.8s/us-east-1/%s/aws4_request,"
		   "SignedHeaders=%s,Signature=%s",
		   key->access_key_id, date, key->service, v->signed_headers, v->signature);
	if (strcmp(buf_cstr(&got), buf_cstr(&expected)) != 0)
		fail_msg("%s:\n%s\n%s", v->name, buf_cstr(&got), buf_cstr(&expected));
	buf_fini(&got);
	buf_fini(&expected);
}

static void test_examples_of_the_s3_documentation(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(s3_vectors); i++)
		check_vector(&s3_key, "20130524T000000Z", &s3_vectors[i]);
}

static void test_the_aws4_test_suite(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(suite_vectors); i++)
		check_vector(&suite_key, "20150830T123600Z", &suite_vectors[i]);
}

/* "Authenticating Requests: Using Query Parameters" */
static void test_a_presigned_get(void **state)
{
	static const struct sigv4_pair host = S3_HOST;
	struct sigv4_request q = {.method = "GET",
				  .path = "/test.txt",
				  .headers = &host,
				  .header_count = 1,
				  .payload_hash = SIGV4_UNSIGNED};
	struct buf got;

	(void)state;
	buf_init(&got, 4096);
	assert_int_equal(sigv4_presign(&s3_key, &q, "20130524T000000Z", 86400, &got), 0);
	assert_string_equal(
		buf_cstr(&got),
		"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
		"&X-Amz-Signature="
		"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
	buf_fini(&got);
}

static const struct {
	const char *path;
	struct sigv4_pair query[QUERY_MAX];
	const char *target;
} targets[] = {
	{"/", {{0}}, "/"},
	{"/a/b.c-d_e~f", {{0}}, "/a/b.c-d_e~f"},
	{"/a b+c", {{0}}, "/a%20b%2Bc"},
	{"/%41", {{0}}, "/%2541"},
	{"/a//b/../c", {{0}}, "/a//b/../c"}, /* S3 does not normalise */
	{"/\xc3\xa4\xe2\x82\xac", {{0}}, "/%C3%A4%E2%82%AC"},
	{"/?#&=", {{0}}, "/%3F%23%26%3D"},
	{"/", {{"uploads", ""}}, "/?uploads="},
	{"/k",
	 {{"uploadId", "a/b+c="}, {"partNumber", "1"}},
	 "/k?partNumber=1&uploadId=a%2Fb%2Bc%3D"},
	{"/", {{"b", "2"}, {"b", "1"}, {"a", "z"}, {"B", "0"}}, "/?B=0&a=z&b=1&b=2"},
	/* '=' is behind '-' and digits, but the shorter name comes first */
	{"/", {{"a-b", "1"}, {"a1", "2"}, {"a", "3"}}, "/?a=3&a-b=1&a1=2"},
	{"/", {{"prefix", "a b/~+\xc3\xa4"}}, "/?prefix=a%20b%2F~%2B%C3%A4"},
};

static void test_targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct sigv4_request q = {.path = targets[i].path, .query = targets[i].query};
		struct buf got;
		while (q.query_count < QUERY_MAX && targets[i].query[q.query_count].name)
			q.query_count++;
		buf_init(&got, 4096);
		assert_int_equal(sigv4_target(&q, &got), 0);
		assert_string_equal(buf_cstr(&got), targets[i].target);
		buf_fini(&got);
	}
}

/* ':' is behind '-': whoever sorts whole lines puts "x-amz-meta-a-b" before "x-amz-meta-a". */
static void test_header_names_that_begin_like_others(void **state)
{
	static const struct vector v = {
		.method = "GET",
		.path = "/",
		.headers = {{"x-amz-meta-a-b", "1"}, HOST, {"X-Amz-Meta-A", "2"}, DATE},
		.payload_hash = EMPTY_SHA256};
	struct sigv4_request q = request_of(&v);
	struct buf got;

	(void)state;
	buf_init(&got, 4096);
	assert_int_equal(sigv4_authorize(&suite_key, &q, "20150830T123600Z", &got), 0);
	assert_non_null(strstr(buf_cstr(&got),
			       "SignedHeaders=host;x-amz-date;x-amz-meta-a;x-amz-meta-a-b,"));
	buf_fini(&got);
}

static void test_dates(void **state)
{
	char date[SIGV4_DATE_BYTES];

	(void)state;
	sigv4_date(0, date);
	assert_string_equal(date, "19700101T000000Z");
	sigv4_date(1369353600, date);
	assert_string_equal(date, "20130524T000000Z");
}

static void test_limits(void **state)
{
	struct sigv4_pair many[SIGV4_PAIRS_MAX + 1];
	struct sigv4_request q = {.method = "GET", .path = "/", .payload_hash = EMPTY_SHA256};
	struct buf got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct sigv4_pair){"a", "b"};
	buf_init(&got, 1024);
	q.query = many;
	q.query_count = SIGV4_PAIRS_MAX;
	assert_int_equal(sigv4_target(&q, &got), 0);
	assert_int_equal(sigv4_presign(&s3_key, &q, "20130524T000000Z", 1, &got), EC_ELIMIT);
	q.query_count++;
	assert_int_equal(sigv4_target(&q, &got), EC_ELIMIT);
	q.query_count = 0;
	q.headers = many;
	q.header_count = SIGV4_PAIRS_MAX + 1;
	assert_int_equal(sigv4_authorize(&s3_key, &q, "20130524T000000Z", &got), EC_ELIMIT);
	buf_fini(&got);
	buf_init(&got, 10);
	q.header_count = 1;
	assert_int_equal(sigv4_authorize(&s3_key, &q, "20130524T000000Z", &got), EC_ELIMIT);
	buf_fini(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_of_the_s3_documentation),
		cmocka_unit_test(test_the_aws4_test_suite),
		cmocka_unit_test(test_a_presigned_get),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_header_names_that_begin_like_others),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
