#include "api/pcap_list_query.h"

#include "api/list_query.h"
#include "base/error.h"
#include "base/limits.h"

/* What Cloudflare's API documents; ours uses some of them. */
static const char *const statuses[] = {
	"unknown",  "success", "pending", "running", "conversion_pending", "conversion_running",
	"complete", "failed",
};

static const char *const types[] = {"simple", "full"};

int pcap_list_query_parse(struct bytes query, struct jq_list_query *ret,
			  struct field_errors *errors)
{
	struct jq_list_query q = {.page = 1, .per_page = LIMIT_LIST_PER_PAGE_DEFAULT};
	size_t before = errors->count;

	list_query_number(query, "page", LIST_PAGE_MAX, &q.page, errors);
	list_query_number(query, "per_page", LIMIT_LIST_PER_PAGE, &q.per_page, errors);
	list_query_word(query, "status", statuses, ARRAY_LEN(statuses), &q.status, errors);
	list_query_word(query, "type", types, ARRAY_LEN(types), &q.type, errors);
	list_query_period(query, &q.since_us, &q.until_us, errors);
	if (errors->count > before)
		return EC_EINVAL;
	*ret = q;
	return 0;
}
