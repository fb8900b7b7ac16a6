#include "packet/ledger.h"

#include <inttypes.h>

#include "base/json.h"

void ledger_add(struct ledger *a, const struct ledger *b)
{
#define X(member, name) a->member += b->member;
	LEDGER_COUNTERS(X)
#undef X
}

int ledger_check(const struct ledger *l, struct error *err)
{
	uint64_t sum;
	if (__builtin_add_overflow(l->delivered, l->dropped_kernel, &sum) || sum != l->accepted)
		return error_set(err, EC_EINVAL,
				 "accepted %" PRIu64 " is not delivered %" PRIu64
				 " + dropped_kernel %" PRIu64,
				 l->accepted, l->delivered, l->dropped_kernel);
	if (l->matched > l->delivered)
		return error_set(err, EC_EINVAL,
				 "matched %" PRIu64 " is more than delivered %" PRIu64, l->matched,
				 l->delivered);
	if (l->selected > l->matched)
		return error_set(err, EC_EINVAL,
				 "selected %" PRIu64 " is more than matched %" PRIu64, l->selected,
				 l->matched);
	if (__builtin_add_overflow(l->captured, l->dropped_spool, &sum) ||
	    __builtin_add_overflow(sum, l->dropped_limit, &sum) || sum != l->selected)
		return error_set(err, EC_EINVAL,
				 "selected %" PRIu64 " is not captured %" PRIu64
				 " + dropped_spool %" PRIu64 " + dropped_limit %" PRIu64,
				 l->selected, l->captured, l->dropped_spool, l->dropped_limit);
	return 0;
}

void ledger_to_json(const struct ledger *l, cJSON *obj)
{
#define X(member, name)                                                                            \
	json_add_int(obj, name, l->member > JSON_INT_MAX ? JSON_INT_MAX : (int64_t)l->member);
	LEDGER_COUNTERS(X)
#undef X
}

/* A counter; absent is 0. */
static int counter_from_json(const cJSON *obj, const char *name, uint64_t *ret, struct error *err)
{
	int64_t v = 0;
	if (json_get(obj, name)) {
		int rc = json_get_int(obj, name, 0, JSON_INT_MAX, &v, err);
		if (rc < 0)
			return rc;
	}
	*ret = (uint64_t)v;
	return 0;
}

int ledger_from_json(const cJSON *obj, struct ledger *ret, struct error *err)
{
	struct ledger l = {0};
	int rc;
	if (!cJSON_IsObject(obj))
		return error_set(err, EC_EFORMAT, "the ledger is not an object");
#define X(member, name)                                                                            \
	if ((rc = counter_from_json(obj, name, &l.member, err)) < 0)                               \
		return rc;
	LEDGER_COUNTERS(X)
#undef X
	*ret = l;
	return 0;
}
