/* S3 URLs: what they mean, what is refused and how it is named; presigned URLs; what a start refuses. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "storage/s3_place.h"
#include "storage/store.h"
#include "storage/store_wait.h"
#include "tests/support/temp_dir.h"

static const struct {
	const char *rest, *host, *path, *region;
	bool tls;
	uint32_t stall_s;
} good[] = {
	{"bucket", "bucket.s3.us-east-1.amazonaws.com", "/k", "us-east-1", true, 10},
	{"bucket/?region=eu-central-1", "bucket.s3.eu-central-1.amazonaws.com", "/k",
	 "eu-central-1", true, 10},
	{"bucket/a/b?region=cn-north-1", "bucket.s3.cn-north-1.amazonaws.com.cn", "/a/b/k",
	 "cn-north-1", true, 10},
	{"my.bucket", "s3.us-east-1.amazonaws.com", "/my.bucket/k", "us-east-1", true, 10},
	{"bucket?style=path", "s3.us-east-1.amazonaws.com", "/bucket/k", "us-east-1", true, 10},
	{"bucket/p?endpoint=https://ceph.example:8443", "ceph.example:8443", "/bucket/p/k",
	 "us-east-1", true, 10},
	{"bucket/p/?endpoint=https://ceph.example:443/&style=virtual&stall=3s",
	 "bucket.ceph.example", "/p/k", "us-east-1", true, 3},
	{"bucket?endpoint=https%3A%2F%2Fx.example&region=auto", "x.example", "/bucket/k", "auto",
	 true, 10},
	{"bucket?endpoint=http://127.0.0.1:80&plaintext=yes", "127.0.0.1", "/bucket/k", "us-east-1",
	 false, 10},
	{"bucket?endpoint=http://[::1]:7480&plaintext=yes", "[::1]:7480", "/bucket/k", "us-east-1",
	 false, 10},
};

static void test_good_urls(void **state)
{
	struct s3_place p;
	struct error err = {0};
	char path[S3_PATH_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (s3_place_parse(good[i].rest, &p, &err) < 0)
			fail_msg("%s: %s", good[i].rest, err.text);
		assert_string_equal(p.host, good[i].host);
		assert_string_equal(p.region, good[i].region);
		assert_int_equal(p.tls, good[i].tls);
		assert_int_equal(p.stall_s, good[i].stall_s);
		s3_place_path(&p, "k", path);
		assert_string_equal(path, good[i].path);
	}
}

static const struct {
	const char *rest, *named;
} bad[] = {
	{"", "bucket's name"},
	{"ab", "bucket's name"},
	{"a..b", "bucket's name"},
	{"bu cket", "bucket's name"},
	{"user@bucket", "bucket's name"},
	{"bucket/../x", "prefix"},
	{"bucket/a//b", "prefix"},
	{"bucket/a b", "prefix"},
	{"bucket#x", "fragment"},
	{"bucket?region=", "region"},
	{"bucket?region=a/b", "region"},
	{"bucket?region=a&region=b", "twice"},
	{"bucket?nothing=1", "\"nothing\""},
	{"bucket?secret", "\"secret\""},
	{"bucket?endpoint=ceph.example", "endpoint"},
	{"bucket?endpoint=ftp://ceph.example", "endpoint"},
	{"bucket?endpoint=https://", "endpoint"},
	{"bucket?endpoint=https://user:word@ceph.example", "endpoint"},
	{"bucket?endpoint=https://ceph.example/path", "endpoint"},
	{"bucket?endpoint=https://ceph.example:0", "endpoint"},
	{"bucket?endpoint=https://ceph.example:99999", "endpoint"},
	{"bucket?endpoint=https://a%0d%0ab", "endpoint"},
	{"bucket?endpoint=http://ceph.example", "plaintext=yes"},
	{"bucket?endpoint=http://ceph.example&plaintext=no", "plaintext"},
	{"bucket?style=both", "style"},
	{"bucket?stall=0", "stall"},
	{"bucket?stall=1h", "stall"},
};

static void test_bad_urls(void **state)
{
	struct s3_place p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = {0};
		assert_int_equal(s3_place_parse(bad[i].rest, &p, &err), EC_EINVAL);
		if (!strstr(err.text, bad[i].named))
			fail_msg("%s: %s", bad[i].rest, err.text);
	}
}

static int try_open(struct store_config *config, struct error *err)
{
	struct store *store = NULL;
	uv_loop_t loop;

	*err = (struct error){0};
	assert_int_equal(uv_loop_init(&loop), 0);
	int r = store_open(&loop, config, &store, err);
	if (r == 0)
		store_wait_close(store);
	assert_int_equal(uv_loop_close(&loop), 0);
	return r;
}

static void test_a_start_names_what_is_missing(void **state)
{
	struct store_config c = {.url = "s3://bucket"};
	struct error err;
	char dir[TEMP_DIR_BYTES];
	char path[TEMP_DIR_BYTES + 8];

	(void)state;
	assert_int_equal(try_open(&c, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_S3_ACCESS_KEY_ID"));
	c.s3_access_key_id = "AKID";
	assert_int_equal(try_open(&c, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_S3_SECRET_ACCESS_KEY"));
	c.s3_secret_access_key = "top secret";
	assert_int_equal(try_open(&c, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_S3_SECRET_ACCESS_KEY"));
	assert_null(strstr(err.text, "top"));
	c.s3_secret_access_key = "topsecret";
	assert_int_equal(try_open(&c, &err), 0);
	temp_dir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/ca", dir);
	c.s3_ca_file = path;
	assert_int_equal(try_open(&c, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_S3_CA_FILE"));
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs("no certificate\n", file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(try_open(&c, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "no certificate (PEM)"));
	temp_dir_remove(dir);
}

static void test_presigned_urls(void **state)
{
	struct store_config c = {.url = "s3://examplebucket/p",
				 .s3_access_key_id = "AKIAIOSFODNN7EXAMPLE",
				 .s3_secret_access_key =
					 "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
	struct store *store = NULL;
	struct error err = {0};
	char url[STORE_URL_MAX];
	char key[STORE_KEY_MAX + 1];
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(store_open(&loop, &c, &store, &err), 0);
	int64_t now_us = INT64_C(1369353600) * 1000000;
	assert_int_equal(store_presign_put(store, "a/b", 100, now_us, 600, url), 0);
	static const char begin[] =
		"https://examplebucket.s3.us-east-1.amazonaws.com/p/a/"
		"b?X-Amz-Algorithm=AWS4-HMAC-SHA256&"
		"X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"
		"X-Amz-Date=20130524T000000Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-"
		"Signature=";
	assert_memory_equal(url, begin, sizeof(begin) - 1);
	assert_int_equal(strlen(url), sizeof(begin) - 1 + 64);
	assert_int_equal(store_presign_put(store, "../b", 100, now_us, 600, url), EC_EINVAL);
	memset(key, 'x', sizeof(key));
	for (size_t i = 200; i < STORE_KEY_MAX; i += 200)
		key[i] = '/';
	key[STORE_KEY_MAX] = '\0';
	assert_int_equal(store_presign_put(store, key, 100, now_us, 600, url), 0);
	store_wait_close(store);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_urls),
		cmocka_unit_test(test_bad_urls),
		cmocka_unit_test(test_a_start_names_what_is_missing),
		cmocka_unit_test(test_presigned_urls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
