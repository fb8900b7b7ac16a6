#include "api/config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"

enum { ARGS_MAX = 16 };

#define BASE "--listen=127.0.0.1:0", "--database-url=host=/tmp", "--storage=file:///tmp/x"

/* Read the flags; NULL ends them. */
static int read_flags(const char *const *flags, struct settings **settings,
		      struct api_config *config, struct error *err)
{
	char *argv[ARGS_MAX + 1] = {strdup("edgecap-api")};
	enum settings_outcome outcome = SETTINGS_RUN;
	int argc = 1, r = 0;

	for (; flags[argc - 1]; argc++)
		argv[argc] = strdup(flags[argc - 1]);
	*settings = NULL;
	r = settings_read(&api_settings, argc, argv, settings, &outcome, err);
	if (r == 0)
		r = api_config_read(*settings, config, err);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return r;
}

static void defaults(void **state)
{
	static const char *const flags[] = {BASE, NULL};
	struct settings *settings;
	struct api_config c;
	struct error err = {.code = 0};

	(void)state;
	if (read_flags(flags, &settings, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_false(c.has_edge || c.has_ops || c.reuseport);
	assert_int_equal(c.database_connections, 4);
	assert_int_equal(c.selection.method, SELECT_NONE);
	assert_int_equal(c.drain_ms, 20000);
	assert_int_equal(c.request_rate_per_s, 20);
	assert_int_equal(c.request_burst, 100);
	assert_int_equal(c.log_level, LOG_INFO);
	assert_int_equal(c.forwarded, FORWARDED_NONE);
	assert_int_equal(c.client_cert, CLIENT_CERT_NONE);
	assert_int_equal(c.store.signing_secret.n, 0);
	assert_string_equal(c.store.url, settings_str(settings, "EDGECAP_STORAGE"));
	settings_free(settings);
}

/* Samplers upload to S3 itself: no URL of ours, no secret of ours. */
static void s3_needs_no_upload_url(void **state)
{
	static const char *const flags[] = {"--listen=127.0.0.1:0",    "--database-url=host=/tmp",
					    "--storage=s3://bucket",   "--edge-listen=127.0.0.1:0",
					    "--s3-access-key-id=AKID", NULL};
	struct settings *settings;
	struct api_config c;
	struct error err = {.code = 0};

	(void)state;
	if (read_flags(flags, &settings, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(c.store.s3_access_key_id, "AKID");
	assert_null(c.store.s3_secret_access_key); /* store_open says so */
	settings_free(settings);
}

static void behind_a_proxy(void **state)
{
	static const char *const flags[] = {BASE,
					    "--edge-listen=unix:/x",
					    "--upload-url=https://x",
					    "--signing-secret=0123456789abcdef0123456789abcdef",
					    "--listen-mode=620",
					    "--forwarded=unix",
					    "--edge-client-cert=required",
					    NULL};
	struct settings *settings;
	struct api_config c;
	struct error err = {.code = 0};

	(void)state;
	if (read_flags(flags, &settings, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(c.edge.mode, 0620);
	assert_int_equal(c.forwarded, FORWARDED_UNIX);
	assert_int_equal(c.client_cert, CLIENT_CERT_REQUIRED);
	settings_free(settings);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *flags[ARGS_MAX];
		const char *text;
	} rows[] = {
		{{"--database-url=host=/tmp", "--storage=file:///x"}, "EDGECAP_LISTEN"},
		{{"--listen=127.0.0.1:0", "--storage=file:///x"}, "EDGECAP_DATABASE_URL"},
		{{"--listen=127.0.0.1:0", "--database-url=host=/tmp"}, "EDGECAP_STORAGE"},
		{{BASE, "--listen=localhost:80"}, "EDGECAP_LISTEN: "},
		{{BASE, "--ops-listen=x"}, "EDGECAP_OPS_LISTEN: "},
		{{BASE, "--edge-listen=127.0.0.1:0"}, "EDGECAP_UPLOAD_URL is required"},
		{{BASE, "--edge-listen=127.0.0.1:0", "--upload-url=http://x"},
		 "EDGECAP_SIGNING_SECRET is required"},
		{{BASE, "--signing-secret=short"}, "EDGECAP_SIGNING_SECRET"},
		{{BASE, "--selection=some"}, "EDGECAP_SELECTION"},
		{{BASE, "--log-level=loud"}, "EDGECAP_LOG_LEVEL"},
		{{BASE, "--drain=2h"}, "EDGECAP_DRAIN"},
		{{BASE, "--request-rate=0"}, "EDGECAP_REQUEST_RATE"},
		{{BASE, "--database-connections=65"}, "EDGECAP_DATABASE_CONNECTIONS"},
		{{BASE, "--listen-mode=rw"}, "EDGECAP_LISTEN_MODE: "},
		{{BASE, "--listen-mode=1777"}, "EDGECAP_LISTEN_MODE: "},
		{{BASE, "--listen-mode=0880"}, "EDGECAP_LISTEN_MODE: "},
		{{BASE, "--forwarded=all"}, "EDGECAP_FORWARDED: must be"},
		{{BASE, "--forwarded=unix"}, "EDGECAP_FORWARDED=unix: neither"},
		{{BASE, "--edge-client-cert=yes"}, "EDGECAP_EDGE_CLIENT_CERT: must be"},
		{{BASE, "--edge-client-cert=required"}, "EDGECAP_EDGE_CLIENT_CERT: needs"},
		{{BASE, "--listen=unix:/x", "--forwarded=unix", "--edge-client-cert=optional"},
		 "EDGECAP_EDGE_CLIENT_CERT: needs"},
		{{BASE, "--listen=unix:/x", "--forwarded=unix", "--edge-listen=127.0.0.1:0",
		  "--edge-client-cert=required"},
		 "EDGECAP_EDGE_CLIENT_CERT: needs"},
		{{BASE, "--edge-listen=unix:/x", "--edge-client-cert=required"},
		 "EDGECAP_EDGE_CLIENT_CERT: needs"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct settings *settings;
		struct api_config c;
		struct error err = {.code = 0};
		assert_int_equal(read_flags(rows[i].flags, &settings, &c, &err), EC_EINVAL);
		if (!strstr(err.text, rows[i].text))
			fail_msg("row %zu: %s", i, err.text);
		assert_null(strstr(err.text, "short")); /* a secret is not shown */
		settings_free(settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(s3_needs_no_upload_url),
		cmocka_unit_test(behind_a_proxy),
		cmocka_unit_test(what_is_wrong_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
