#include "api/audit_query.h"

#include <string.h>

#include "api/list_query.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

/* "pcap.submit": small letters, one dot. */
static bool is_action(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
	size_t type = strspn(text, letters);
	size_t verb = text[type] == '.' ? strspn(text + type + 1, letters) : 0;

	return type > 0 && verb > 0 && text[type + 1 + verb] == '\0';
}

/* Returns 0 or EC_ENOMEM. */
static int read_action(struct bytes query, struct arena *arena, const char **ret,
		       struct field_errors *errors)
{
	char text[LIST_VALUE_BYTES];

	if (!list_query_text(query, "action", text, errors))
		return 0;
	if (!is_action(text)) {
		field_errors_add(errors, "", "action must be like pcap.submit, not \"%.64s\"",
				 text);
		return 0;
	}
	*ret = arena_strdup(arena, text);
	return *ret ? 0 : EC_ENOMEM;
}

/* An id, "operator", "token:<name>" or an e-mail address. Returns 0 or EC_ENOMEM. */
static int read_actor(struct bytes query, struct arena *arena, struct jq_audit_query *q,
		      struct field_errors *errors)
{
	char text[LIST_VALUE_BYTES];

	if (!list_query_text(query, "actor", text, errors))
		return 0;
	if (id_parse(bytes_of(text), &q->actor_id) == 0)
		return 0;
	q->operators = strcmp(text, JQ_AUDIT_OPERATOR) == 0;
	if (q->operators)
		return 0;
	if (!utf8_valid(bytes_of(text)) ||
	    (strncmp(text, JQ_AUDIT_TOKEN ":", sizeof(JQ_AUDIT_TOKEN)) != 0 &&
	     !strchr(text, '@'))) {
		field_errors_add(errors, "",
				 "actor must be an id, an e-mail address, token:<name> or "
				 "operator, not \"%.64s\"",
				 text);
		return 0;
	}
	q->actor = arena_strdup(arena, text);
	return q->actor ? 0 : EC_ENOMEM;
}

int audit_query_parse(struct bytes query, struct arena *arena, struct jq_audit_query *ret,
		      struct field_errors *errors)
{
	struct jq_audit_query q = {.page = 1, .per_page = LIMIT_LIST_PER_PAGE_DEFAULT};
	size_t before = errors->count;

	list_query_number(query, "page", LIST_PAGE_MAX, &q.page, errors);
	list_query_number(query, "per_page", LIMIT_LIST_PER_PAGE, &q.per_page, errors);
	list_query_period(query, &q.since_us, &q.until_us, errors);
	int code = read_action(query, arena, &q.action, errors);
	if (code == 0)
		code = read_actor(query, arena, &q, errors);
	if (code == 0 && errors->count > before)
		code = EC_EINVAL;
	if (code == 0)
		*ret = q;
	return code;
}
