#include "api/errors.h"

#include <stddef.h>

static const struct {
	int status;
	int code;
	const char *text;
} rows[] = {
#define X(name, status, code, text) {status, code, text},
	API_ERRORS(X)
#undef X
};

int api_error_status(enum api_error row)
{
	return rows[row].status;
}

int api_error_code(enum api_error row)
{
	return rows[row].code;
}

const char *api_error_text(enum api_error row)
{
	return rows[row].text;
}

bool api_error_wants_retry_after(enum api_error row)
{
	return rows[row].status == 429 || rows[row].status == 503;
}

bool api_error_forbids_retry(enum api_error row)
{
	return rows[row].status == 409 || rows[row].status == 429;
}

const char *api_status_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{200, "OK"},
		{204, "No Content"},
		{206, "Partial Content"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{410, "Gone"},
		{413, "Content Too Large"},
		{416, "Range Not Satisfiable"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{500, "Internal Server Error"},
		{503, "Service Unavailable"},
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Unknown";
}
