#include "api/pcap_list_query.h"

#include <string.h>

#include "api/query.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/parse.h"

enum { VALUE_BYTES = 64 };

/* What Cloudflare's API documents; ours uses some of them. */
static const char *const statuses[] = {
	"unknown",  "success", "pending", "running", "conversion_pending", "conversion_running",
	"complete", "failed",
};

static const char *const types[] = {"simple", "full"};

/* The value of a parameter; false when it is absent or (noted in errors) malformed. */
static bool get(struct bytes query, const char *name, char *dst, struct field_errors *errors)
{
	int r = api_query_get(query, name, dst, VALUE_BYTES);

	if (r == 0)
		return true;
	if (r == EC_ECONFLICT)
		field_errors_add(errors, "", "%s is given more than once", name);
	else if (r != EC_ENOTFOUND)
		field_errors_add(errors, "", "%s is malformed", name);
	return false;
}

static void get_number(struct bytes query, const char *name, uint32_t max, uint32_t *ret,
		       struct field_errors *errors)
{
	char text[VALUE_BYTES];
	uint64_t v = 0;

	if (!get(query, name, text, errors))
		return;
	if (parse_u64(bytes_of(text), 1, max, &v) < 0)
		field_errors_add(errors, "",
				 "%s must be a whole number within 1 and %u, not \"%s\"", name, max,
				 text);
	else
		*ret = (uint32_t)v;
}

static void get_time(struct bytes query, const char *name, int64_t *ret,
		     struct field_errors *errors)
{
	char text[VALUE_BYTES];

	if (!get(query, name, text, errors))
		return;
	if (clock_parse_rfc3339(bytes_of(text), ret) < 0)
		field_errors_add(errors, "",
				 "%s must be an RFC 3339 time (2026-11-21T10:00:00Z), not \"%s\"",
				 name, text);
}

/* One of a few words; the result points into the list, which is static. */
static void get_word(struct bytes query, const char *name, const char *const *words, size_t count,
		     const char **ret, struct field_errors *errors)
{
	char text[VALUE_BYTES];

	if (!get(query, name, text, errors))
		return;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(words[i], text) == 0) {
			*ret = words[i];
			return;
		}
	}
	field_errors_add(errors, "", "%s cannot be \"%s\"", name, text);
}

int pcap_list_query_parse(struct bytes query, struct jq_list_query *ret,
			  struct field_errors *errors)
{
	struct jq_list_query q = {.page = 1, .per_page = LIMIT_LIST_PER_PAGE_DEFAULT};
	size_t before = errors->count;

	get_number(query, "page", PCAP_LIST_PAGE_MAX, &q.page, errors);
	get_number(query, "per_page", LIMIT_LIST_PER_PAGE, &q.per_page, errors);
	get_word(query, "status", statuses, ARRAY_LEN(statuses), &q.status, errors);
	get_word(query, "type", types, ARRAY_LEN(types), &q.type, errors);
	get_time(query, "since", &q.since_us, errors);
	get_time(query, "until", &q.until_us, errors);
	if (errors->count == before && q.since_us && q.until_us && q.since_us > q.until_us)
		field_errors_add(errors, "", "since is later than until");
	if (errors->count > before)
		return EC_EINVAL;
	*ret = q;
	return 0;
}
