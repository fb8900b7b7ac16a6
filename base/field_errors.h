/* What is wrong with a request, field by field.
 *
 * Validation goes on after the first fault, so that the client sees all of them. Each item names the field by
 * JSON pointer (RFC 6901), "" for the body as a whole. The list is bounded: later faults are counted only.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"

enum { FIELD_ERRORS_MAX = 16, FIELD_POINTER_BYTES = 96, FIELD_MESSAGE_BYTES = 256 };

struct field_error {
	char pointer[FIELD_POINTER_BYTES];
	char message[FIELD_MESSAGE_BYTES];
};

/* Zero-initialise. count may exceed FIELD_ERRORS_MAX; only the first FIELD_ERRORS_MAX items are kept. */
struct field_errors {
	size_t count;
	struct field_error items[FIELD_ERRORS_MAX];
};

/* Add a fault. pointer: "/filter_v1/source_port", cut to fit. fmt: the message, cut to fit. */
void field_errors_add(struct field_errors *e, const char *pointer, const char *fmt, ...)
	EC_PRINTF(3, 4);
