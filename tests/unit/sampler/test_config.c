#include "sampler/config.h"

#include <stdlib.h>
#include <string.h>

#include "packet/pcapng.h"
#include "sampler/fair_share.h"
#include "tests/support/unit.h"

enum { ARGS_MAX = 32 };

/* The flags that a start needs, then those of the test (NULL at the end), which win. Returns as sampler_config_read. */
static int read_config(const char *const *more, struct sampler_config *ret, struct error *err)
{
	static const char *const base[] = {"edgecap-sampler", "--edge-url=https://192.0.2.1:9000",
					   "--sampler-token=secret", "--interfaces=eth0",
					   "--spool-dir=/var/spool/edgecap"};
	char *argv[ARGS_MAX] = {0};
	int argc = 0;
	struct settings *s = NULL;
	enum settings_outcome outcome = SETTINGS_RUN;

	for (size_t i = 0; i < ARRAY_LEN(base); i++)
		argv[argc++] = strdup(base[i]);
	for (size_t i = 0; more[i]; i++)
		argv[argc++] = strdup(more[i]);
	int r = settings_read(&sampler_settings, argc, argv, &s, &outcome, err);
	if (r == 0)
		r = sampler_config_read(s, ret, err);
	/* What is looked at below does not point into the settings. */
	settings_free(s);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return r;
}

static void test_defaults(void **state)
{
	struct sampler_config c;
	struct error err = {0};
	const char *const none[] = {NULL};

	(void)state;
	assert_int_equal(read_config(none, &c, &err), 0);
	assert_string_equal(c.api_url, "https://192.0.2.1:9000");
	assert_string_equal(c.unix_path, "");
	assert_int_equal(c.interface_count, 1);
	assert_string_equal(c.interface_names[0], "eth0");
	assert_int_equal(c.direction, DIRECTION_IN);
	assert_int_equal(c.spool_bytes, UINT64_C(2048) * LIMIT_MIB);
	assert_int_equal(c.ring_bytes, 32 * LIMIT_MIB);
	assert_int_equal(c.buffer_bytes, 64 * LIMIT_MIB);
	assert_int_equal(c.workers, 1);
	assert_int_equal(c.block_ms, 10);
	assert_int_equal(c.jobs_max, 1024);
	assert_int_equal(c.log_level, LOG_INFO);
	assert_true(c.host[0] != '\0');
	assert_null(c.read_path);
}

static void test_what_is_given(void **state)
{
	struct sampler_config c;
	struct error err = {0};
	const char *const given[] = {"--interfaces=eth0,eth1.100,abcdefghijklmno",
				     "--direction=inout",
				     "--edge-url=https://api.example.net/edge///",
				     "--host=edge-7",
				     "--spool-bytes=2MiB",
				     "--log-level=debug",
				     NULL};

	(void)state;
	assert_int_equal(read_config(given, &c, &err), 0);
	assert_int_equal(c.interface_count, 3);
	assert_string_equal(c.interface_names[1], "eth1.100");
	assert_string_equal(c.interface_names[2], "abcdefghijklmno");
	assert_int_equal(c.direction, DIRECTION_INOUT);
	assert_string_equal(c.api_url, "https://api.example.net/edge");
	assert_string_equal(c.host, "edge-7");
	assert_int_equal(c.spool_bytes, 2 * LIMIT_MIB);
	assert_int_equal(c.log_level, LOG_DEBUG);

	const char *const unix_socket[] = {"--edge-url=unix:/run/edgecap/edge.sock", NULL};
	assert_int_equal(read_config(unix_socket, &c, &err), 0);
	assert_string_equal(c.unix_path, "/run/edgecap/edge.sock");
	assert_string_equal(c.api_url, "http://localhost");
}

/* A host that sees no store all the time keeps the largest full capture, whatever its packets are, when it is the only one. */
static void test_the_spool_holds_a_full_capture(void **state)
{
	const char *const given[] = {NULL};
	struct sampler_config c;
	struct error err = {0};
	uint64_t smallest = 60; /* of Ethernet: its blocks are the longest beside their packets */
	uint64_t need = LIMIT_FULL_BYTES_MAX / smallest * pcapng_packet_bytes(smallest);

	(void)state;
	need += need / 64; /* heads, statistics, whole blocks of the disk */
	assert_int_equal(read_config(given, &c, &err), 0);
	assert_true(fair_share_allows(c.spool_bytes, need, need, LIMIT_FULL_CHUNK_BYTES));
}

static void test_a_wrong_setting_is_named(void **state)
{
	static const struct {
		const char *flag, *named;
	} cases[] = {
		{"--edge-url=ftp://x", "EDGECAP_EDGE_URL"},
		{"--edge-url=http://", "EDGECAP_EDGE_URL"},
		{"--edge-url=http:///path", "EDGECAP_EDGE_URL"},
		{"--edge-url=http://u:p@host", "EDGECAP_EDGE_URL"},
		{"--edge-url=http://host/?a=b", "EDGECAP_EDGE_URL"},
		{"--edge-url=host:80", "EDGECAP_EDGE_URL"},
		{"--edge-url=http://192.0.2.1:9000", "say EDGECAP_PLAINTEXT"},
		{"--edge-url=http://[2001:db8::1]:9000", "say EDGECAP_PLAINTEXT"},
		{"--edge-url=http://localhost.example:9000", "say EDGECAP_PLAINTEXT"},
		{"--edge-url=http://edge.example", "say EDGECAP_PLAINTEXT"},
		{"--edge-url=unix:/"
		 "0123456789012345678901234567890123456789012345678901234567890123456789"
		 "01234567890123456789012345678901234567",
		 "EDGECAP_EDGE_URL"},
		{"--sampler-token=a b", "EDGECAP_SAMPLER_TOKEN"},
		{"--sampler-token=a\r\nX: y", "EDGECAP_SAMPLER_TOKEN"},
		{"--interfaces=eth0,", "EDGECAP_INTERFACES"},
		{"--interfaces=,eth0", "EDGECAP_INTERFACES"},
		{"--interfaces=eth0,eth0", "EDGECAP_INTERFACES"},
		{"--interfaces=abcdefghijklmnop", "EDGECAP_INTERFACES"},
		{"--interfaces=../eth0", "EDGECAP_INTERFACES"},
		{"--interfaces=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "EDGECAP_INTERFACES"},
		{"--direction=both", "EDGECAP_DIRECTION"},
		{"--log-level=loud", "EDGECAP_LOG_LEVEL"},
		{"--spool-bytes=1", "EDGECAP_SPOOL_BYTES"},
		{"--ring-bytes=2GiB", "EDGECAP_RING_BYTES"},
		{"--block-ms=0", "EDGECAP_BLOCK_MS"},
		{"--jobs-max=0", "EDGECAP_JOBS_MAX"},
		{"--buffer-bytes=1MiB", "EDGECAP_BUFFER_BYTES"},
		{"--workers=0", "EDGECAP_WORKERS"},
		{"--workers=17", "EDGECAP_WORKERS"},
		{"--read=x.pcap", "EDGECAP_JOBS"},
		{"--client-cert=/x.pem", "EDGECAP_CLIENT_KEY is required"},
		{"--client-key=/x.key", "EDGECAP_CLIENT_CERT is required"},
		{"--no-such-flag=1", "--no-such-flag"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const flags[] = {cases[i].flag, NULL};
		struct sampler_config c;
		struct error err = {0};
		assert_int_equal(read_config(flags, &c, &err), EC_EINVAL);
		if (!strstr(err.text, cases[i].named))
			fail_msg("%s: %s", cases[i].flag, err.text);
	}
}

/* The limit is on all threads together, and a file has one. */
static void test_workers(void **state)
{
	struct sampler_config c;
	struct error err = {0};
	const char *const most[] = {"--interfaces=a,b,c,d", "--workers=4", NULL};
	const char *const more[] = {"--interfaces=a,b,c,d", "--workers=5", NULL};
	const char *const file[] = {"--read=x.pcap", "--jobs=j", "--out=o", "--workers=2", NULL};

	(void)state;
	assert_int_equal(read_config(most, &c, &err), 0);
	assert_int_equal(c.workers, 4);
	assert_int_equal(read_config(more, &c, &err), EC_EINVAL);
	assert_string_equal(err.text,
			    "EDGECAP_WORKERS: 5 for each of 4 interfaces are more than 16");
	assert_int_equal(read_config(file, &c, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_WORKERS must be 1 with EDGECAP_READ"));
}

static void test_a_missing_setting_is_named(void **state)
{
	static const char *const required[] = {"EDGECAP_EDGE_URL", "EDGECAP_SAMPLER_TOKEN",
					       "EDGECAP_INTERFACES", "EDGECAP_SPOOL_DIR"};

	(void)state;
	for (size_t missing = 0; missing < ARRAY_LEN(required); missing++) {
		char name[] = "edgecap-sampler";
		char *argv[] = {name, NULL};
		struct settings *s = NULL;
		enum settings_outcome outcome = SETTINGS_RUN;
		struct sampler_config c;
		struct error err = {0};
		for (size_t i = 0; i < ARRAY_LEN(required); i++)
			(void)setenv(required[i], i == 0 ? "https://x" : "x", 1);
		(void)unsetenv(required[missing]);
		assert_int_equal(settings_read(&sampler_settings, 1, argv, &s, &outcome, &err), 0);
		assert_int_equal(sampler_config_read(s, &c, &err), EC_EINVAL);
		assert_non_null(strstr(err.text, required[missing]));
		settings_free(s);
	}
	for (size_t i = 0; i < ARRAY_LEN(required); i++)
		(void)unsetenv(required[i]);
}

/* http:// where it is certain to stay, or with the operator's word. */
static void test_where_plaintext_is_allowed(void **state)
{
	static const char *const cases[][3] = {
		{"--edge-url=http://127.0.0.1:9000"},
		{"--edge-url=http://[::1]:9000/path"},
		{"--edge-url=http://localhost"},
		{"--edge-url=http://localhost:9000"},
		{"--edge-url=http://192.0.2.1:9000", "--plaintext"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sampler_config c;
		struct error err = {0};
		assert_int_equal(read_config(cases[i], &c, &err), 0);
		assert_true(c.plaintext == (cases[i][1] != NULL));
	}
}

/* --read needs neither a service nor a spool. */
static void test_reading_a_file(void **state)
{
	char argv0[] = "edgecap-sampler", read[] = "--read=a.pcap", jobs[] = "--jobs=j.json",
	     out[] = "--out=dir";
	char *argv[] = {argv0, read, jobs, out, NULL};
	struct settings *s = NULL;
	enum settings_outcome outcome = SETTINGS_RUN;
	struct sampler_config c;
	struct error err = {0};

	(void)state;
	assert_int_equal(settings_read(&sampler_settings, 4, argv, &s, &outcome, &err), 0);
	assert_int_equal(sampler_config_read(s, &c, &err), 0);
	assert_string_equal(c.read_path, "a.pcap");
	assert_string_equal(c.jobs_path, "j.json");
	assert_string_equal(c.out_dir, "dir");
	settings_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_what_is_given),
		cmocka_unit_test(test_the_spool_holds_a_full_capture),
		cmocka_unit_test(test_a_wrong_setting_is_named),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_a_missing_setting_is_named),
		cmocka_unit_test(test_where_plaintext_is_allowed),
		cmocka_unit_test(test_reading_a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
