#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *error_name(int code)
{
	switch (code) {
#define X(c, value, name)                                                                          \
	case value:                                                                                \
		return name;
		EC_ERRORS(X)
#undef X
	}
	return "unknown";
}

int(error_set)(struct error *err, int code, const char *fmt, ...)
{
	EC_ASSERT(code < 0);
	if (!err)
		return code;
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	err->code = code;
	return code;
}

int(error_set_errno)(struct error *err, int code, int errnum, const char *fmt, ...)
{
	EC_ASSERT(code < 0);
	if (!err)
		return code;
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	char reason[128];
	size_t n = strlen(err->text);
	(void)snprintf(err->text + n, sizeof(err->text) - n, ": %s",
		       strerror_r(errnum, reason, sizeof(reason)));
	err->code = code;
	return code;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
	if (!err)
		return EC_EINTERNAL;
	char old[EC_ERROR_TEXT_BYTES];
	memcpy(old, err->text, sizeof(old));
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	size_t n = strlen(err->text);
	(void)snprintf(err->text + n, sizeof(err->text) - n, ": %s", old);
	return err->code;
}
