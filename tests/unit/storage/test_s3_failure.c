/* What refusals mean: our codes, what is tried again, and texts without anything of the server's. */
#include "tests/support/unit.h"

#include <string.h>

#include "base/error.h"
#include "storage/s3_failure.h"
#include "storage/s3_ops.h"

static const struct {
	int status;
	const char *error_code;
	int code;
	bool again;
} rows[] = {
	{403, "SignatureDoesNotMatch", EC_EPERM, false},
	{403, "InvalidAccessKeyId", EC_EPERM, false},
	{403, "RequestTimeTooSkewed", EC_EPERM, false},
	{403, "AccessDenied", EC_EPERM, false},
	{403, "", EC_EPERM, false},
	{403, "QuotaExceeded", EC_ELIMIT, false}, /* Ceph */
	{507, "", EC_ELIMIT, false},
	{404, "NoSuchBucket", EC_EIO, false},
	{404, "NoSuchKey", EC_ENOTFOUND, false},
	{404, "", EC_ENOTFOUND, false},
	{301, "PermanentRedirect", EC_EIO, false},
	{307, "", EC_EIO, false},
	{400, "AuthorizationHeaderMalformed", EC_EIO, false},
	{400, "RequestTimeout", EC_EUNAVAILABLE, true},
	{400, "", EC_EIO, false},
	{409, "OperationAborted", EC_EUNAVAILABLE, true},
	{412, "PreconditionFailed", EC_ECONFLICT, false},
	{412, "", EC_ECONFLICT, false},
	{429, "", EC_EUNAVAILABLE, true},
	{500, "InternalError", EC_EUNAVAILABLE, true},
	{501, "NotImplemented", EC_EIO, false},
	{502, "", EC_EUNAVAILABLE, true},
	{503, "SlowDown", EC_EUNAVAILABLE, true},
	{504, "", EC_EUNAVAILABLE, true},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct s3_failure f = s3_failure_of(rows[i].status, rows[i].error_code);
		if (f.code != rows[i].code || f.again != rows[i].again)
			fail_msg("%d %s: %d %d", rows[i].status, rows[i].error_code, f.code,
				 f.again);
		assert_true(strlen(f.text) > 10);
	}
}

static void test_codes_of_documents(void **state)
{
	char code[S3_ERROR_CODE_BYTES];

	(void)state;
	assert_true(s3_failure_code(bytes_of("<Error><Code>SlowDown</Code><Message>m</Message>"
					     "<RequestId>1</RequestId></Error>"),
				    code));
	assert_string_equal(code, "SlowDown");
	assert_true(s3_failure_code(bytes_of("<Error><Code>see http://x/?secret</Code></Error>"),
				    code));
	assert_string_equal(code, ""); /* not a word: not shown */
	assert_true(s3_failure_code(bytes_of("<Error><Message>m</Message></Error>"), code));
	assert_string_equal(code, "");
	assert_false(s3_failure_code(bytes_of("<Other><Code>SlowDown</Code></Other>"), code));
	assert_string_equal(code, "");
	assert_false(s3_failure_code(bytes_of("<html>503</html>"), code));
	assert_false(s3_failure_code(bytes_of(""), code));
	assert_false(s3_failure_code(bytes_of("busy"), code));
}

static void test_content_ranges(void **state)
{
	static const char *const bad[] = {"",
					  "bytes",
					  "bytes 0-1",
					  "bytes */10",
					  "bytes 0-9/9",
					  "bytes 5-4/10",
					  "bytes 0-1/*",
					  "bytes -1/10",
					  "bits 0-1/10",
					  "bytes 0-1/10 ",
					  "bytes 0/1-10",
					  "bytes 0-1/99999999999999999999"};
	uint64_t first = 0;
	uint64_t total = 0;

	(void)state;
	assert_int_equal(s3_content_range("bytes 5-9/10", &first, &total), 0);
	assert_int_equal(first, 5);
	assert_int_equal(total, 10);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (s3_content_range(bad[i], &first, &total) == 0)
			fail_msg("%s was taken", bad[i]);
	}
}

static void test_upload_ids(void **state)
{
	char id[S3_UPLOAD_ID_BYTES];

	(void)state;
	assert_int_equal(
		s3_upload_id(
			bytes_of("<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>"
				 "<UploadId>2~a.b-c</UploadId></InitiateMultipartUploadResult>"),
			id),
		0);
	assert_string_equal(id, "2~a.b-c");
	assert_int_equal(s3_upload_id(bytes_of("<InitiateMultipartUploadResult/>"), id),
			 EC_EFORMAT);
	assert_int_equal(s3_upload_id(bytes_of("<a><UploadId>x</UploadId></a>"), id), EC_EFORMAT);
	assert_int_equal(s3_upload_id(bytes_of(""), id), EC_EFORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_codes_of_documents),
		cmocka_unit_test(test_content_ranges),
		cmocka_unit_test(test_upload_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
