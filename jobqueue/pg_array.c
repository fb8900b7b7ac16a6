#include "jobqueue/pg_array.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

void pg_array_init(struct pg_array *a, size_t limit_bytes)
{
	buf_init(&a->text, limit_bytes);
}

void pg_array_fini(struct pg_array *a)
{
	buf_fini(&a->text);
}

/* What stands in front of the next element. */
static void separate(struct pg_array *a)
{
	buf_put(&a->text, a->text.n == 0 ? "{" : ",", 1);
}

void pg_array_i64(struct pg_array *a, int64_t v)
{
	separate(a);
	buf_printf(&a->text, "%" PRId64, v);
}

void pg_array_u64(struct pg_array *a, uint64_t v)
{
	pg_array_i64(a, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

void pg_array_str(struct pg_array *a, const char *v)
{
	separate(a);
	if (!v) {
		buf_puts(&a->text, "NULL");
		return;
	}
	buf_puts(&a->text, "\"");
	while (*v) {
		size_t plain = strcspn(v, "\"\\");
		buf_put(&a->text, v, plain);
		v += plain;
		if (*v) {
			buf_puts(&a->text, "\\");
			buf_put(&a->text, v++, 1);
		}
	}
	buf_puts(&a->text, "\"");
}

void pg_array_id(struct pg_array *a, const struct id *v)
{
	separate(a);
	buf_puts(&a->text, v->hex[0] ? v->hex : "NULL");
}

void pg_array_time(struct pg_array *a, int64_t us)
{
	char text[CLOCK_RFC3339_BYTES];

	separate(a);
	if (us == 0) {
		buf_puts(&a->text, "NULL");
		return;
	}
	clock_format_rfc3339(us, text);
	buf_puts(&a->text, text);
}

void pg_array_prefix(struct pg_array *a, const struct prefix *v)
{
	char text[PREFIX_TEXT_BYTES];

	separate(a);
	prefix_format(v, text);
	buf_puts(&a->text, text);
}

const char *pg_array_text(struct pg_array *a)
{
	buf_puts(&a->text, a->text.n == 0 ? "{}" : "}");
	return buf_cstr(&a->text);
}
