/* destination_conf against its parser: no crash; what is accepted has a canonical form that means the same, shows no key, and leads to the
 * endpoint that it names and nowhere else. */
#include <string.h>

#include "storage/destination.h"
#include "storage/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_accepted(const struct destination *d)
{
	struct destination again;
	struct error err = {.code = 0};
	char endpoint[DESTINATION_ENDPOINT_MAX + 1];

	EC_ASSERT(destination_parse(bytes_of(d->canonical), &again, &err) == 0);
	EC_ASSERT(strcmp(again.canonical, d->canonical) == 0);
	EC_ASSERT(strcmp(again.endpoint, d->endpoint) == 0);
	EC_ASSERT(!again.access_key_id[0] && !again.secret_access_key[0]);
	EC_ASSERT(!d->dir[0] || store_key_valid(bytes_of(d->dir)));
	EC_ASSERT(!d->access_key_id[0] == !d->secret_access_key[0]);
	EC_ASSERT(endpoint_normalize(d->endpoint, endpoint, &err) == 0);
	EC_ASSERT(strcmp(endpoint, d->endpoint) == 0);
	const char *host = strstr(d->endpoint, "://") + 3;
	EC_ASSERT(host[strcspn(host, "@/?#\\% ")] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct destination d;
	struct error err = {.code = 0};
	int r = destination_parse((struct bytes){p, n}, &d, &err);

	EC_ASSERT(r == 0 || (r == EC_EINVAL && err.text[0]));
	if (r == 0)
		check_accepted(&d);
	return 0;
}
