/* destination_conf: what it means, what is refused and how it is named, and that no answer shows what was sent. */
#include "storage/destination.h"

#include <stdio.h>
#include <string.h>

#include "storage/bucket_keys.h"
#include "tests/support/unit.h"

#define A32 "0123456789abcdef0123456789abcdef"
#define KEYS "&access-key-id=AKID&secret-access-key=s3cr3t%2Fwith%2Bsigns"
#define L64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text, *canonical, *endpoint, *dir;
} good[] = {
	{"s3://bucket/dir?region=us-east-1", "s3://bucket/dir?region=us-east-1",
	 "https://s3.us-east-1.amazonaws.com", "dir"},
	{"s3://bucket?region=cn-north-1", "s3://bucket?region=cn-north-1",
	 "https://s3.cn-north-1.amazonaws.com.cn", ""},
	{"s3://bucket/?region=us-east-1", "s3://bucket?region=us-east-1",
	 "https://s3.us-east-1.amazonaws.com", ""},
	{"s3://my.bucket-1/a/b/?region=r", "s3://my.bucket-1/a/b?region=r",
	 "https://s3.r.amazonaws.com", "a/b"},
	{"s3://bucket/d?endpoint=https://S3.us-east-1.AMAZONAWS.com:443/&region=us-east-1",
	 "s3://bucket/d?region=us-east-1", "https://s3.us-east-1.amazonaws.com", "d"},
	{"s3://bucket/d?endpoint=HTTPS%3A%2F%2Fceph.example%3A8443&region=x",
	 "s3://bucket/d?region=x&endpoint=https://ceph.example:8443", "https://ceph.example:8443",
	 "d"},
	{"s3://bucket/d?region=x&endpoint=http://[0:0::1]:80",
	 "s3://bucket/d?region=x&endpoint=http://[::1]", "http://[::1]", "d"},
	{"s3://bucket/d?region=x&endpoint=http://127.0.0.1:7480",
	 "s3://bucket/d?region=x&endpoint=http://127.0.0.1:7480", "http://127.0.0.1:7480", "d"},
	{"gs://bucket_1/dir/sub", "gs://bucket_1/dir/sub", "https://storage.googleapis.com",
	 "dir/sub"},
	{"r2://bucket?account-id=" A32 KEYS, "r2://bucket?account-id=" A32,
	 "https://" A32 ".r2.cloudflarestorage.com", ""},
	{"r2://bucket/d?account-id=" A32, "r2://bucket/d?account-id=" A32,
	 "https://" A32 ".r2.cloudflarestorage.com", "d"},
};

static int parse(const char *text, struct destination *d, struct error *err)
{
	*err = (struct error){.code = 0};
	return destination_parse(bytes_of(text), d, err);
}

static void good_ones(void **state)
{
	struct destination d, again;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (parse(good[i].text, &d, &err) < 0)
			fail_msg("%s: %s", good[i].text, err.text);
		assert_string_equal(d.canonical, good[i].canonical);
		assert_string_equal(d.endpoint, good[i].endpoint);
		assert_string_equal(d.dir, good[i].dir);
		assert_null(strstr(d.canonical, "s3cr3t"));
		assert_int_equal(parse(d.canonical, &again, &err), 0);
		assert_string_equal(again.canonical, d.canonical);
	}
	assert_int_equal(parse("r2://bucket?account-id=" A32 KEYS, &d, &err), 0);
	assert_string_equal(d.access_key_id, "AKID");
	assert_string_equal(d.secret_access_key, "s3cr3t/with+signs");
	destination_wipe(&d);
	assert_string_equal(d.secret_access_key, "");
}

static const struct {
	const char *text, *named;
} bad[] = {
	{"", "empty"},
	{"s3", "begins with"},
	{"S3://bucket/d?region=r", "begins with"},
	{"file:///etc/passwd", "begins with"},
	{"http://bucket/d", "begins with"},
	{"gopher://bucket", "begins with"},
	{"s3:/bucket", "begins with"},
	{"s3://", "bucket's name"},
	{"s3://ab/d?region=r", "bucket's name"},
	{"s3://Bucket/d?region=r", "bucket's name"},
	{"s3://" L64 "/d?region=r", "bucket's name"},
	{"s3://-bucket/d?region=r", "bucket's name"},
	{"s3://bucket-/d?region=r", "bucket's name"},
	{"s3://bu..cket/d?region=r", "bucket's name"},
	{"s3://127.0.0.1/d?region=r", "bucket's name"},
	{"s3://user@bucket/d?region=r", "bucket's name"},
	{"s3://user:pass@bucket/d?region=r", "bucket's name"},
	{"s3://bucket:80/d?region=r", "bucket's name"},
	{"s3://buck%00et/d?region=r", "bucket's name"},
	{"s3://bucket_1/d?region=r", "bucket's name"},
	{"r2://my.bucket?account-id=" A32, "bucket's name"},
	{"s3://bucket//d?region=r", "directory"},
	{"s3://bucket/d//?region=r", "directory"},
	{"s3://bucket/../d?region=r", "directory"},
	{"s3://bucket/d/.hidden?region=r", "directory"},
	{"s3://bucket/d%2Fe?region=r", "directory"},
	{"s3://bucket/d%00?region=r", "directory"},
	{"s3://bucket/d;x?region=r", "directory"},
	{"s3://bucket/" L64 L64 L64 L64 "?region=r", "directory"},
	{"s3://bucket/d", "region is missing"},
	{"s3://bucket/d?", "unknown parameter"},
	{"s3://bucket/d?region=", "region has no value"},
	{"s3://bucket/d?region", "region has no value"},
	{"s3://bucket/d?region=r&region=r", "region is there twice"},
	{"s3://bucket/d?region=r&", "unknown parameter"},
	{"s3://bucket/d?region=r&style=path", "unknown parameter"},
	{"s3://bucket/d?region=r&secret-access-key=s3cr3t", "unknown parameter"},
	{"s3://bucket/d?region=R", "region has 1"},
	{"s3://bucket/d?region=r%00", "wrongly percent-encoded"},
	{"s3://bucket/d?region=r%0a", "region has 1"},
	{"s3://bucket/d?region=a.evil.example%2F", "region has 1"},
	{"s3://bucket/d?region=" L64, "region has 1"},
	{"s3://bucket/d?region=r#f", "'#'"},
	{"s3://bucket\\d?region=r", "'\\'"},
	{"s3://bucket/d?region=r\n", "control"},
	{"s3://bucket/d\xe3\x80\x82?region=r", "ASCII"},
	{"gs://bucket?region=r", "unknown parameter"},
	{"r2://bucket", "account-id has"},
	{"r2://bucket?account-id=" A32 "0", "account-id has"},
	{"r2://bucket?account-id=0123456789ABCDEF0123456789abcdef", "account-id has"},
	{"r2://bucket?account-id=" A32 "&access-key-id=AKID", "together"},
	{"r2://bucket?account-id=" A32 "&secret-access-key=s3cr3t", "together"},
	{"r2://bucket?account-id=" A32 "&access-key-id=A%20&secret-access-key=s3cr3t",
	 "access-key-id has"},
	{"r2://bucket?account-id=" A32 "&access-key-id=A&secret-access-key=s3cr3t%0a",
	 "secret-access-key has"},
	{"r2://bucket?account-id=" A32 "&access-key-id=A&secret-access-key=" L64 L64 L64 L64
	 "s3cr3t",
	 "secret-access-key has"},
};

static const struct {
	const char *endpoint, *named;
} bad_endpoints[] = {
	{"ftp://h", "begins with https"},
	{"//h", "begins with https"},
	{"h.example", "begins with https"},
	{"https://", "missing"},
	{"https:///", "missing"},
	{"https://user@h.example", "without user"},
	{"https://h.example%40evil.example", "without user"},
	{"https://allowed.example%2Fx", "without user"},
	{"https://h.example%3Fx", "without user"},
	{"https://h.example%23x", "without user"},
	{"https://h.example%5Cx", "without user"},
	{"https://h.example/path", "without user"},
	{"https://h.example//", "without user"},
	{"https://h.example.", "labels"},
	{"https://.example", "labels"},
	{"https://h..example", "labels"},
	{"https://-h.example", "labels"},
	{"https://h_x.example", "labels"},
	{"https://h%E3%80%82example", "labels"},
	{"https://h%20.example", "labels"},
	{"https://h%00.example", "wrongly percent-encoded"},
	{"https://2130706433", "four decimal"},
	{"https://0x7f000001", "four decimal"},
	{"https://0x7F.0.0.0x1", "four decimal"},
	{"https://0177.0.0.1", "four decimal"},
	{"https://127.1", "four decimal"},
	{"https://017700000001", "four decimal"},
	{"https://127.0.0.256", "four decimal"},
	{"https://[::1", "not closed"},
	{"https://[::g]", "no IPv6"},
	{"https://[fe80::1%25eth0]", "no IPv6"},
	{"https://[127.0.0.1]", "no IPv6"},
	{"https://[::1]x", "port"},
	{"https://h.example:", "port"},
	{"https://h.example:0", "port"},
	{"https://h.example:65536", "port"},
	{"https://h.example:443:80", "port"},
	{"https://h.example:+443", "port"},
	{"https://h.example:0443", "port"},
	{"https://::1", "port"},
	{"https://" L64 ".example", "labels"},
};

static void expect_bad(const char *text, const char *named)
{
	struct destination d;
	struct error err;

	if (parse(text, &d, &err) == 0)
		fail_msg("%s is %s", text, d.canonical);
	assert_int_equal(err.code, EC_EINVAL);
	if (!strstr(err.text, named))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, named);
	assert_null(strstr(err.text, "s3cr3t"));
}

static void bad_ones(void **state)
{
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_bad(bad[i].text, bad[i].named);
	for (size_t i = 0; i < ARRAY_LEN(bad_endpoints); i++) {
		(void)snprintf(text, sizeof(text), "s3://bucket/d?region=r&endpoint=%s",
			       bad_endpoints[i].endpoint);
		expect_bad(text, bad_endpoints[i].named);
	}
}

static void lengths(void **state)
{
	char text[DESTINATION_BYTES_MAX + 2];
	struct destination d;
	struct error err = {.code = 0};

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "gs://bucket/", 12);
	assert_int_equal(parse(text, &d, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "longer than 2048"));
	struct bytes nul = {(const uint8_t *)"gs://buck\0et", 12};
	assert_int_equal(destination_parse(nul, &d, &err), EC_EINVAL);
}

/* Sealed for one account and one destination: for no other. */
static void kept_keys(void **state)
{
	const struct bytes secret = bytes_of("0123456789abcdef0123456789abcdef");
	struct id account = id_new_v4(), other = id_new_v4();
	struct destination d, sibling;
	struct error err;
	struct buf sealed;

	(void)state;
	assert_int_equal(parse("r2://bucket?account-id=" A32 KEYS, &d, &err), 0);
	buf_init(&sealed, BUCKET_KEYS_SEALED_MAX);
	assert_int_equal(bucket_keys_seal(secret, &account, &d, &sealed), 0);
	assert_null(memmem(sealed.p, sealed.n, "s3cr3t", 6));
	assert_int_equal(parse(d.canonical, &sibling, &err), 0);
	assert_int_equal(bucket_keys_open(secret, &account, buf_bytes(&sealed), &sibling), 0);
	assert_string_equal(sibling.access_key_id, "AKID");
	assert_string_equal(sibling.secret_access_key, "s3cr3t/with+signs");
	assert_int_equal(bucket_keys_open(secret, &other, buf_bytes(&sealed), &sibling),
			 EC_EFORMAT);
	assert_int_equal(parse("r2://bucket/d?account-id=" A32, &sibling, &err), 0);
	assert_int_equal(bucket_keys_open(secret, &account, buf_bytes(&sealed), &sibling),
			 EC_EFORMAT);
	assert_string_equal(sibling.secret_access_key, "");
	assert_int_equal(bucket_keys_open(bytes_of("another"), &account, buf_bytes(&sealed), &d),
			 EC_EFORMAT);
	buf_fini(&sealed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones),
		cmocka_unit_test(bad_ones),
		cmocka_unit_test(lengths),
		cmocka_unit_test(kept_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
