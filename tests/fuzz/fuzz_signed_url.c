/* A request target from the network against the verifier: no crash, and only a signed text passes. */
#include <stdlib.h>
#include <string.h>

#include "storage/signed_url.h"
#include "storage/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct bytes secret = {(const uint8_t *)"fuzz-fuzz-fuzz-fuzz-fuzz-fuzz-fu",
					    32};
	char key[STORE_KEY_MAX + 1];
	char again[STORE_URL_MAX];
	uint64_t max_bytes = 0;
	struct error err = {0};

	int r = signed_url_verify(secret, (struct bytes){p, n}, 0, key, &max_bytes, &err);
	EC_ASSERT((r == 0) == (err.code == 0));
	if (r < 0)
		return 0;
	/* What passes is a valid key, and the target is the one text that signing gives. */
	EC_ASSERT(store_key_valid(bytes_of(key)));
	AUTO_FREE char *text = strndup((const char *)p, n);
	EC_ASSERT(text);
	const char *expires = strstr(text, "?expires=");
	EC_ASSERT(expires);
	int64_t expires_s = strtoll(expires + 9, NULL, 10);
	EC_ASSERT(signed_url_format(secret, key, expires_s, max_bytes, again, sizeof(again)) == 0);
	EC_ASSERT(bytes_equal(bytes_of(again), (struct bytes){p, n}));
	return 0;
}
