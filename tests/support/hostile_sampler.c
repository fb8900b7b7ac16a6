/* A sampler that an attacker has changed: the program itself, with two functions of the edge protocol replaced at link time
 * (-Wl,--wrap). For tests only; the product has no switch for this.
 *
 * HOSTILE_SCOPE=1: it ignores the tenant's scope, in its kernel filter and in its classifier, and delivers whatever passes the filter.
 * HOSTILE_CAPTURED=N: it says of each of its parts that it has captured N packets.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "packet/sync_message.h"

int __real_sync_down_decode(struct bytes text, struct arena *a, struct sync_down *ret,
			    struct error *err);
int __wrap_sync_down_decode(struct bytes text, struct arena *a, struct sync_down *ret,
			    struct error *err);
int __real_sync_up_encode(const struct sync_up *m, struct buf *out);
int __wrap_sync_up_encode(const struct sync_up *m, struct buf *out);

int __wrap_sync_down_decode(struct bytes text, struct arena *a, struct sync_down *ret,
			    struct error *err)
{
	int r = __real_sync_down_decode(text, a, ret, err);

	for (size_t i = 0; r == 0 && getenv("HOSTILE_SCOPE") && i < ret->part_count; i++)
		ret->parts[i].scope = (struct scope){.unrestricted = true};
	return r;
}

int __wrap_sync_up_encode(const struct sync_up *m, struct buf *out)
{
	const char *lie = getenv("HOSTILE_CAPTURED");

	for (size_t i = 0; lie && i < m->part_count; i++) {
		struct ledger *l = &m->parts[i].ledger;
		uint64_t captured = strtoull(lie, NULL, 10);
		l->captured = captured;
		l->selected = captured + l->dropped_spool + l->dropped_limit;
		l->matched = l->delivered = l->selected;
		l->accepted = l->delivered + l->dropped_kernel;
	}
	return __real_sync_up_encode(m, out);
}
