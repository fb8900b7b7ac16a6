#include "api/list_query.h"

#include <string.h>

#include "api/query.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"

bool list_query_text(struct bytes query, const char *name, char *dst, struct field_errors *errors)
{
	int r = api_query_get(query, name, dst, LIST_VALUE_BYTES);

	if (r == 0)
		return true;
	if (r == EC_ECONFLICT)
		field_errors_add(errors, "", "%s is given more than once", name);
	else if (r != EC_ENOTFOUND)
		field_errors_add(errors, "", "%s is malformed", name);
	return false;
}

void list_query_number(struct bytes query, const char *name, uint32_t max, uint32_t *ret,
		       struct field_errors *errors)
{
	char text[LIST_VALUE_BYTES];
	uint64_t v = 0;

	if (!list_query_text(query, name, text, errors))
		return;
	if (parse_u64(bytes_of(text), 1, max, &v) < 0)
		field_errors_add(errors, "",
				 "%s must be a whole number within 1 and %u, not \"%.64s\"", name,
				 max, text);
	else
		*ret = (uint32_t)v;
}

static void query_time(struct bytes query, const char *name, int64_t *ret,
		       struct field_errors *errors)
{
	char text[LIST_VALUE_BYTES];

	if (!list_query_text(query, name, text, errors))
		return;
	if (clock_parse_rfc3339(bytes_of(text), ret) < 0)
		field_errors_add(
			errors, "",
			"%s must be an RFC 3339 time (2026-11-21T10:00:00Z), not \"%.64s\"", name,
			text);
	else if (*ret < CLOCK_1971_US)
		*ret = CLOCK_1971_US;
}

void list_query_word(struct bytes query, const char *name, const char *const *words, size_t count,
		     const char **ret, struct field_errors *errors)
{
	char text[LIST_VALUE_BYTES];

	if (!list_query_text(query, name, text, errors))
		return;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(words[i], text) == 0) {
			*ret = words[i];
			return;
		}
	}
	field_errors_add(errors, "", "%s cannot be \"%.64s\"", name, text);
}

void list_query_period(struct bytes query, int64_t *ret_since_us, int64_t *ret_until_us,
		       struct field_errors *errors)
{
	size_t before = errors->count;

	query_time(query, "since", ret_since_us, errors);
	query_time(query, "until", ret_until_us, errors);
	if (errors->count == before && *ret_since_us && *ret_until_us &&
	    *ret_since_us > *ret_until_us)
		field_errors_add(errors, "", "since is later than until");
}
