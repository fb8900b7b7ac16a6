#include "base/field_errors.h"

#include <stdarg.h>
#include <stdio.h>

void field_errors_add(struct field_errors *e, const char *pointer, const char *fmt, ...)
{
	size_t index = e->count++;
	va_list args;

	if (index >= FIELD_ERRORS_MAX)
		return;
	struct field_error *item = &e->items[index];
	(void)snprintf(item->pointer, sizeof(item->pointer), "%s", pointer);
	va_start(args, fmt);
	(void)vsnprintf(item->message, sizeof(item->message), fmt, args);
	va_end(args);
}
