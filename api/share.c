#include "api/share.h"

#include <netinet/in.h>

#include "base/digest.h"

enum { V6_PREFIX_BYTES = 8 };

/* The map's values are counts. */
static void *value_of(uintptr_t count)
{
	return (void *)count; // NOLINT(performance-no-int-to-ptr)
}

uint32_t share_held(const struct share *s, const struct id *holder)
{
	return (uint32_t)(uintptr_t)id_map_get(&s->holders, holder);
}

void share_fini(struct share *s)
{
	id_map_fini(&s->holders);
}

bool share_take(struct share *s, const struct id *holder, uint32_t max)
{
	uint32_t held = share_held(s, holder);

	return held < max && id_map_put(&s->holders, holder, value_of((uintptr_t)held + 1)) == 0;
}

void share_give(struct share *s, const struct id *holder)
{
	uint32_t held = share_held(s, holder);

	EC_ASSERT(held > 0);
	if (held == 1) {
		(void)id_map_remove(&s->holders, holder);
		return;
	}
	int r = id_map_put(&s->holders, holder, value_of(held - 1));
	EC_ASSERT(r == 0); /* it is there already: nothing is allocated */
}

bool share_source(const struct id *key, const struct sockaddr *address, struct id *ret)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
	struct bytes name = {NULL, 0};

	if (address->sa_family == AF_INET) {
		name = (struct bytes){(const uint8_t *)&in4->sin_addr, sizeof(in4->sin_addr)};
	} else if (address->sa_family == AF_INET6) {
		const uint8_t *b = in6->sin6_addr.s6_addr;
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
		name = mapped ? (struct bytes){b + 12, 4} : (struct bytes){b, V6_PREFIX_BYTES};
	}
	if (name.n == 0)
		return false;
	struct digest d = digest_hmac(bytes_of(key->hex), name);
	*ret = id_of_bits(d.b);
	return true;
}
