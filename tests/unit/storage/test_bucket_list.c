/* The operator's list: what it allows, and how a start names what is wrong with it. */
#include "storage/bucket_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/temp_dir.h"
#include "tests/support/unit.h"

#define A32 "0123456789abcdef0123456789abcdef"
#define KEYS ", \"access_key_id\": \"AKID\", \"secret_access_key_file\": \"%s\""

static char secret_path[TEMP_DIR_BYTES + 16];

/* Parse a text whose %s are the secret's path. */
static int load(const char *text, struct bucket_list **ret, struct error *err)
{
	struct buf b;

	buf_init(&b, 65536);
	for (const char *p = text; *p; p++) {
		if (p[0] == '%' && p[1] == 's') {
			buf_puts(&b, secret_path);
			p++;
		} else {
			buf_put(&b, p, 1);
		}
	}
	*err = (struct error){.code = 0};
	int r = bucket_list_parse(buf_bytes(&b), ret, err);
	buf_fini(&b);
	return r;
}

static const char list_text[] =
	"[{\"scheme\": \"s3\", \"endpoint\": \"https://s3.{region}.amazonaws.com\", \"style\": "
	"\"virtual\"" KEYS "},"
	"{\"scheme\": \"s3\", \"endpoint\": \"HTTPS://Ceph.Example:8443/\", \"region\": \"lab\", "
	"\"private\": true" KEYS "},"
	"{\"scheme\": \"s3\", \"endpoint\": \"http://10.0.0.1:7480\", \"plaintext\": true" KEYS "},"
	"{\"scheme\": \"gs\", \"endpoint\": \"https://storage.googleapis.com\"" KEYS "},"
	"{\"scheme\": \"r2\", \"endpoint\": \"https://{account-id}.r2.cloudflarestorage.com\"}]";

static const struct {
	const char *text, *host, *region; /* host NULL: refused */
	bool private_address;
} looked_up[] = {
	{"s3://bucket/d?region=eu-west-1", "bucket.s3.eu-west-1.amazonaws.com", "eu-west-1", false},
	{"s3://my.bucket/d?region=eu-west-1", "s3.eu-west-1.amazonaws.com", "eu-west-1", false},
	{"s3://bucket/d?region=lab&endpoint=https://ceph.example:8443", "ceph.example:8443", "lab",
	 true},
	{"s3://bucket/d?region=any&endpoint=http://10.0.0.1:7480", "10.0.0.1:7480", "any", false},
	{"gs://bucket", "storage.googleapis.com", "auto", false},
	{"r2://bucket?account-id=" A32, A32 ".r2.cloudflarestorage.com", "auto", false},
	{"s3://bucket/d?region=cn-north-1", NULL, NULL, false},
	{"s3://bucket/d?region=other&endpoint=https://ceph.example:8443", NULL, NULL, false},
	{"s3://bucket/d?region=lab&endpoint=https://ceph.example", NULL, NULL, false},
	{"s3://bucket/d?region=lab&endpoint=http://ceph.example:8443", NULL, NULL, false},
	{"s3://bucket/d?region=lab&endpoint=https://ceph.example:8443.evil", NULL, NULL, false},
	{"s3://bucket/d?region=lab&endpoint=https://x.ceph.example:8443", NULL, NULL, false},
	{"s3://bucket/d?region=lab&endpoint=https://storage.googleapis.com", NULL, NULL, false},
	{"s3://bucket/d?region=lab&endpoint=https://" A32 ".r2.cloudflarestorage.com", NULL, NULL,
	 false},
	{"s3://bucket/d?region=a&endpoint=https://s3.b.amazonaws.com", NULL, NULL, false},
	{"s3://bucket/d?region=any&endpoint=http://[::ffff:10.0.0.1]:7480", NULL, NULL, false},
};

static void lookups(void **state)
{
	struct bucket_list *list = NULL;
	struct bucket_access access;
	struct destination d;
	struct error err;

	(void)state;
	if (load(list_text, &list, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < ARRAY_LEN(looked_up); i++) {
		if (destination_parse(bytes_of(looked_up[i].text), &d, &err) < 0) {
			assert_null(looked_up[i].host);
			continue;
		}
		memset(&access, 'x', sizeof(access));
		int r = bucket_list_find(list, &d, &access, &err);
		if (r != (looked_up[i].host ? 0 : EC_EPERM))
			fail_msg("%s: %d", looked_up[i].text, r);
		if (r < 0)
			continue;
		assert_string_equal(access.place.host, looked_up[i].host);
		assert_string_equal(access.place.region, looked_up[i].region);
		assert_int_equal(access.private_address, looked_up[i].private_address);
		assert_null(access.upload_key_id);
		assert_null(access.upload_secret_key);
		if (d.scheme != BUCKET_R2)
			assert_string_equal(access.secret_key, "s3cr3t");
	}
	bucket_list_free(list);
	bucket_list_free(NULL);
}

static const struct {
	const char *text, *named;
} bad[] = {
	{"{}", "must be a list"},
	{"[", "not JSON"},
	{"[{\"scheme\": \"s3\", \"scheme\": \"s3\"}]", "not JSON, or not strictly"},
	{"[1]", "entry 1: it must be an object"},
	{"[{}]", "entry 1: scheme must be"},
	{"[{\"scheme\": \"ftp\"}]", "entry 1: scheme must be"},
	{"[{\"scheme\": \"s3\", \"privat\": true}]", "entry 1: there is no member \"privat\""},
	{"[{\"scheme\": \"s3\", \"private\": 1}]", "entry 1: private must be true or false"},
	{"[{\"scheme\": \"s3\", \"plaintext\": \"yes\"}]",
	 "entry 1: plaintext must be true or false"},
	{"[{\"scheme\": \"s3\"}]", "entry 1: endpoint must be"},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"h\"}]", "entry 1: endpoint: it begins with"},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"https://u@h\"}]", "entry 1: endpoint: it is"},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"https://{account-id}.h\"}]", "entry 1: endpoint: "},
	{"[{\"scheme\": \"gs\", \"endpoint\": \"https://{region}.h\"}]", "entry 1: endpoint: "},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"http://h.example\"}]",
	 "entry 1: endpoint: http://"},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"https://h\", \"style\": \"dns\"}]",
	 "entry 1: style must be"},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"https://{region}.h\", \"region\": \"r\"}]",
	 "entry 1: region: "},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"https://h\"}]", "entry 1: access_key_id must be"},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"https://h\", \"access_key_id\": \"A\"}]",
	 "entry 1: secret_access_key_file must be"},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"https://h\", \"access_key_id\": \"A\","
	 " \"secret_access_key_file\": \"/does/not/exist\"}]",
	 "entry 1: secret_access_key_file: cannot open"},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"https://h\", \"ca_file\": \"%s\"" KEYS "}]",
	 "entry 1: ca_file: there is no certificate"},
	{"[{\"scheme\": \"r2\", \"endpoint\": \"https://{account-id}.h\"" KEYS "}]",
	 "entry 1: access_key_id: with r2"},
	{"[{\"scheme\": \"s3\", \"endpoint\": \"https://h\"" KEYS "}, 2]", "entry 2: it must be"},
};

static void wrong_files(void **state)
{
	struct bucket_list *list = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (load(bad[i].text, &list, &err) != EC_EINVAL)
			fail_msg("%s is taken: %s", bad[i].text, err.text);
		if (!strstr(err.text, bad[i].named) || strstr(err.text, "s3cr3t"))
			fail_msg("%s: \"%s\"", bad[i].text, err.text);
	}
	assert_int_equal(bucket_list_load("/does/not/exist", &list, &err), EC_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups),
		cmocka_unit_test(wrong_files),
	};
	char dir[TEMP_DIR_BYTES];

	temp_dir_make(dir);
	(void)snprintf(secret_path, sizeof(secret_path), "%s/secret", dir);
	FILE *f = fopen(secret_path, "w");
	EC_ASSERT(f && fputs("s3cr3t\n", f) >= 0 && fclose(f) == 0);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	temp_dir_remove(dir);
	return r;
}
