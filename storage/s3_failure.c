#include "storage/s3_failure.h"

#include <string.h>

#include "base/error.h"
#include "storage/s3_xml.h"

static const struct {
	const char *error_code;
	struct s3_failure failure;
} known[] = {
	/* our credentials and what they allow */
	{"SignatureDoesNotMatch",
	 {EC_EPERM, false, "the store refuses our signature: wrong secret"}},
	{"InvalidAccessKeyId", {EC_EPERM, false, "the store does not know our access key"}},
	{"AccessDenied", {EC_EPERM, false, "the store does not allow it"}},
	{"ExpiredToken", {EC_EPERM, false, "our credentials have expired"}},
	{"RequestTimeTooSkewed",
	 {EC_EPERM, false, "our clock and the store's are more than 15 minutes apart"}},
	{"RequestExpired", {EC_EPERM, false, "the signature has expired"}},
	/* the place */
	{"NoSuchBucket", {EC_EIO, false, "the bucket does not exist"}},
	{"PermanentRedirect",
	 {EC_EIO, false, "the bucket is in another region or at another endpoint"}},
	{"TemporaryRedirect",
	 {EC_EIO, false, "the bucket is in another region or at another endpoint"}},
	{"AuthorizationHeaderMalformed", {EC_EIO, false, "the bucket is in another region"}},
	{"InvalidBucketName", {EC_EIO, false, "the bucket's name is not valid"}},
	/* room */
	{"QuotaExceeded", {EC_ELIMIT, false, "quota exceeded"}},
	{"EntityTooLarge", {EC_ELIMIT, false, "the store takes no object of this size"}},
	{"InsufficientCapacity", {EC_ELIMIT, false, "the store is full"}},
	{"XMinioStorageFull", {EC_ELIMIT, false, "the store is full"}},
	{"XMinioAdminBucketQuotaExceeded", {EC_ELIMIT, false, "quota exceeded"}},
	/* objects */
	{"NoSuchKey", {EC_ENOTFOUND, false, "no such object"}},
	{"NoSuchUpload", {EC_EIO, false, "the upload is gone"}},
	{"InvalidPart", {EC_EIO, false, "a part of the upload is gone"}},
	{"PreconditionFailed", {EC_ECONFLICT, false, "the object is there already"}},
	/* passing */
	{"SlowDown", {EC_EUNAVAILABLE, true, "the store is busy"}},
	{"RequestTimeout", {EC_EUNAVAILABLE, true, "the store did not get the request in time"}},
	{"OperationAborted", {EC_EUNAVAILABLE, true, "another operation is in the way"}},
	{"ConditionalRequestConflict", {EC_EUNAVAILABLE, true, "another operation is in the way"}},
	{"InternalError", {EC_EUNAVAILABLE, true, "the store failed"}},
	{"BadDigest", {EC_EUNAVAILABLE, true, "the data was damaged on its way"}},
	{"XAmzContentSHA256Mismatch", {EC_EUNAVAILABLE, true, "the data was damaged on its way"}},
};

/* A code is a word: anything else is not shown. */
static bool is_word(const char *text)
{
	return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					  "0123456789.")] == '\0';
}

bool s3_failure_code(struct bytes body, char *dst)
{
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;
	bool is_error = false;

	dst[0] = '\0';
	s3_xml_init(&x, body);
	while (s3_xml_next(&x, &event) == 0 && event != S3_XML_END) {
		if (x.depth == 1 && event == S3_XML_OPEN)
			is_error = s3_xml_at(&x, "Error");
		if (event == S3_XML_CLOSE && s3_xml_at(&x, "Error/Code") && is_word(x.text) &&
		    x.text_bytes < S3_ERROR_CODE_BYTES)
			memcpy(dst, x.text, x.text_bytes + 1);
	}
	return is_error;
}

struct s3_failure s3_failure_of(int status, const char *error_code)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(error_code, known[i].error_code) == 0)
			return known[i].failure;
	}
	if (status == 408 || status == 429 || (status >= 500 && status != 501 && status != 507))
		return (struct s3_failure){EC_EUNAVAILABLE, true, "the store failed or is busy"};
	if (status == 507)
		return (struct s3_failure){EC_ELIMIT, false, "the store is full"};
	if (status == 404)
		return (struct s3_failure){EC_ENOTFOUND, false, "no such object"};
	if (status == 412)
		return (struct s3_failure){EC_ECONFLICT, false, "the object is there already"};
	if (status == 401 || status == 403)
		return (struct s3_failure){EC_EPERM, false, "the store does not allow it"};
	if (status >= 300 && status < 400)
		return (struct s3_failure){
			EC_EIO, false, "the bucket is in another region or at another endpoint"};
	return (struct s3_failure){EC_EIO, false, "the store refuses the request"};
}
