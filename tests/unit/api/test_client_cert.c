#include "api/client_cert.h"

#include <string.h>

#include "tests/support/unit.h"

static void common_names_are_found(void **state)
{
	static const char *const rows[][2] = {
		{"CN=edge-1", "edge-1"},
		{"CN=edge-1,O=example", "edge-1"},
		{"O=example,CN=edge-1", "edge-1"},
		{"O=example+CN=edge-1", "edge-1"},
		{"cn=edge-1", "edge-1"},
		{"O=a\\,CN=no,CN=edge-1", "edge-1"},
		{"CN=a\\,b\\+c\\\\d\\=e", "a,b+c\\d=e"},
		{"CN=caf\\C3\\A9", "caf\xc3\xa9"},
		{"CN=a=b", "a=b"},
		{"O=,CN=edge-1", "edge-1"},
		{"emailAddress=a@b,CN=edge-1", "edge-1"},
	};
	char name[LIMIT_NAME_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = client_cert_common_name(bytes_of(rows[i][0]), name, sizeof(name));
		if (r != 0)
			fail_msg("%s: %s", rows[i][0], error_name(r));
		assert_string_equal(name, rows[i][1]);
	}
}

/* What looks like a common name but is another's value, and what has none or two. */
static void no_name_is_made_up(void **state)
{
	static const struct {
		const char *subject;
		int code;
	} rows[] = {
		{"", EC_ENOTFOUND},
		{"O=example", EC_ENOTFOUND},
		{"O=example\\,CN=edge-1", EC_ENOTFOUND},
		{"O=example\\+CN=edge-1", EC_ENOTFOUND},
		{"O=CN=edge-1", EC_ENOTFOUND},
		{"XCN=edge-1", EC_ENOTFOUND},
		{" CN=edge-1", EC_ENOTFOUND},
		{"CN=", EC_ENOTFOUND},
		{"CN=edge-1,CN=edge-2", EC_ENOTFOUND},
		{"CN=edge-1,CN=edge-1", EC_ENOTFOUND},
		{"CN=edge-1+CN=edge-2", EC_ENOTFOUND},
		{"CN=edge-1,", EC_EFORMAT},
		{"CN", EC_EFORMAT},
		{"=edge-1", EC_EFORMAT},
		{"CN=edge-1\\", EC_EFORMAT},
		{"CN=edge-1\\q", EC_EFORMAT},
		{"CN=edge-1\\4", EC_EFORMAT},
		{"CN=edge-1,x", EC_EFORMAT},
		{"CN=edge-1\\00", EC_ELIMIT},
		{"CN=edge-1\\00x", EC_ELIMIT},
	};
	char name[LIMIT_NAME_BYTES + 1] = "before";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = client_cert_common_name(bytes_of(rows[i].subject), name, sizeof(name));
		if (r != rows[i].code)
			fail_msg("%s: %s", rows[i].subject, error_name(r));
	}
	assert_string_equal(name, "before");
}

static void long_names(void **state)
{
	char subject[3 + LIMIT_NAME_BYTES + 2] = "CN=", name[LIMIT_NAME_BYTES + 1];

	(void)state;
	memset(subject + 3, 'x', LIMIT_NAME_BYTES);
	assert_int_equal(client_cert_common_name(bytes_of(subject), name, sizeof(name)), 0);
	assert_int_equal(strlen(name), LIMIT_NAME_BYTES);
	assert_int_equal(client_cert_common_name(bytes_of(subject), name, LIMIT_NAME_BYTES),
			 EC_ELIMIT);
	subject[3 + LIMIT_NAME_BYTES] = 'x';
	assert_int_equal(client_cert_common_name(bytes_of(subject), name, sizeof(name)), EC_ELIMIT);
}

/* -1: allowed; else the row that it is refused with */
static int judge(enum client_cert_rule rule, const char *verify, const char *subject,
		 const char *name)
{
	struct client_cert_claim claim = {.verify_count = verify != NULL,
					  .subject_count = subject != NULL,
					  .verify = bytes_of(verify ? verify : ""),
					  .subject = bytes_of(subject ? subject : "")};
	struct client_cert_fault fault;

	if (client_cert_check(rule, &claim, name, &fault) == 0)
		return -1;
	assert_non_null(fault.text);
	return (int)fault.row;
}

static void rules(void **state)
{
	(void)state;
	static const enum client_cert_rule checking[] = {CLIENT_CERT_OPTIONAL,
							 CLIENT_CERT_REQUIRED};

	for (size_t i = 0; i < ARRAY_LEN(checking); i++) {
		enum client_cert_rule rule = checking[i];
		assert_int_equal(judge(rule, "SUCCESS", "CN=edge-1", "edge-1"), -1);
		assert_int_equal(judge(rule, "SUCCESS", "CN=edge-1", NULL), -1);
		assert_int_equal(judge(rule, "SUCCESS", "CN=edge-2", "edge-1"), API_FORBIDDEN);
		assert_int_equal(judge(rule, "SUCCESS", "CN=edge-1", "edge-11"), API_FORBIDDEN);
		assert_int_equal(judge(rule, "SUCCESS", "CN=Edge-1", "edge-1"), API_FORBIDDEN);
		assert_int_equal(judge(rule, "SUCCESS", "O=x\\,CN=edge-1", "edge-1"),
				 API_FORBIDDEN);
		assert_int_equal(judge(rule, "SUCCESS", NULL, "edge-1"), API_FORBIDDEN);
		assert_int_equal(
			judge(rule, "FAILED:certificate has expired", "CN=edge-1", "edge-1"),
			API_UNAUTHENTICATED);
		assert_int_equal(judge(rule, "FAILED", "CN=edge-1", NULL), API_UNAUTHENTICATED);
		assert_int_equal(judge(rule, "success", "CN=edge-1", "edge-1"),
				 API_UNAUTHENTICATED);
		assert_int_equal(judge(rule, "", "CN=edge-1", "edge-1"), API_UNAUTHENTICATED);
		assert_int_equal(judge(rule, NULL, "CN=edge-1", "edge-1"), API_MALFORMED);
	}
	assert_int_equal(judge(CLIENT_CERT_NONE, NULL, NULL, "edge-1"), -1);
	assert_int_equal(judge(CLIENT_CERT_NONE, "SUCCESS", "CN=edge-2", "edge-1"), -1);
	assert_int_equal(judge(CLIENT_CERT_OPTIONAL, "NONE", NULL, "edge-1"), -1);
	assert_int_equal(judge(CLIENT_CERT_REQUIRED, "NONE", NULL, "edge-1"), API_UNAUTHENTICATED);
	assert_int_equal(judge(CLIENT_CERT_REQUIRED, "NONE", "CN=edge-1", NULL),
			 API_UNAUTHENTICATED);
}

static void doubled_headers_are_refused(void **state)
{
	struct client_cert_claim claim = {.verify_count = 2,
					  .subject_count = 1,
					  .verify = bytes_of("SUCCESS"),
					  .subject = bytes_of("CN=edge-1")};
	struct client_cert_fault fault;

	(void)state;
	assert_int_equal(client_cert_check(CLIENT_CERT_REQUIRED, &claim, "edge-1", &fault),
			 EC_EPERM);
	assert_int_equal(fault.row, API_MALFORMED);
	claim.verify_count = 1;
	claim.subject_count = 2;
	assert_int_equal(client_cert_check(CLIENT_CERT_REQUIRED, &claim, "edge-1", &fault),
			 EC_EPERM);
	assert_int_equal(fault.row, API_MALFORMED);
}

/* Logs and refusals show whose certificate it was. */
static void a_fault_names_the_certificate(void **state)
{
	struct client_cert_claim claim = {.verify_count = 1,
					  .subject_count = 1,
					  .verify = bytes_of("SUCCESS"),
					  .subject = bytes_of("CN=edge-2")};
	struct client_cert_fault fault;

	(void)state;
	assert_int_equal(client_cert_check(CLIENT_CERT_OPTIONAL, &claim, "edge-1", &fault),
			 EC_EPERM);
	assert_string_equal(fault.name, "edge-2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(common_names_are_found),
		cmocka_unit_test(no_name_is_made_up),
		cmocka_unit_test(long_names),
		cmocka_unit_test(rules),
		cmocka_unit_test(doubled_headers_are_refused),
		cmocka_unit_test(a_fault_names_the_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
