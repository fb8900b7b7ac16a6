#include "storage/signed_url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/parse.h"
#include "storage/store.h"

enum { NUMBER_TEXT_BYTES = 21 };

/* The signature as text. expires, max: as they are written in the URL. */
static void sign(struct bytes secret, const char *key, const char *expires, const char *max,
		 char sig[DIGEST_HEX_BYTES])
{
	char text[STORE_KEY_MAX + 2 * NUMBER_TEXT_BYTES + sizeof("PUT\n\n\n")];
	int n = snprintf(text, sizeof(text), "PUT\n%s\n%s\n%s", key, expires, max);

	EC_ASSERT(n > 0 && (size_t)n < sizeof(text));
	struct digest d = digest_hmac(secret, (struct bytes){(const uint8_t *)text, (size_t)n});
	digest_hex(&d, sig);
}

int signed_url_format(struct bytes secret, const char *key, int64_t expires_s, uint64_t max_bytes,
		      char *dst, size_t cap)
{
	char expires[NUMBER_TEXT_BYTES];
	char max[NUMBER_TEXT_BYTES];
	char sig[DIGEST_HEX_BYTES];

	EC_ASSERT(secret.n > 0 && expires_s >= 0 && store_key_valid(bytes_of(key)));
	(void)snprintf(expires, sizeof(expires), "%" PRId64, expires_s);
	(void)snprintf(max, sizeof(max), "%" PRIu64, max_bytes);
	sign(secret, key, expires, max, sig);
	int n = snprintf(dst, cap, SIGNED_URL_PATH "%s?expires=%s&max=%s&sig=%s", key, expires, max,
			 sig);
	return n > 0 && (size_t)n < cap ? 0 : EC_ELIMIT;
}

/* Take the literal from the front of *rest. */
static bool take_literal(struct bytes *rest, const char *literal)
{
	size_t n = strlen(literal);

	if (rest->n < n || memcmp(rest->p, literal, n) != 0)
		return false;
	rest->p += n;
	rest->n -= n;
	return true;
}

/* Take everything up to stop (or the end, when stop is NUL) as text. dst: cap bytes. */
static bool take_until(struct bytes *rest, char stop, char *dst, size_t cap)
{
	const uint8_t *end = stop && rest->n ? memchr(rest->p, stop, rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) : rest->n;

	if ((stop && !end) || bytes_to_str((struct bytes){rest->p, n}, dst, cap) < 0)
		return false;
	rest->p += n;
	rest->n -= n;
	return true;
}

/* The query in its one form and order, so that there is no second URL with the same meaning. */
static bool take_query(struct bytes *rest, char expires[NUMBER_TEXT_BYTES],
		       char max[NUMBER_TEXT_BYTES], char sig[DIGEST_HEX_BYTES])
{
	return take_literal(rest, "?expires=") &&
	       take_until(rest, '&', expires, NUMBER_TEXT_BYTES) && take_literal(rest, "&max=") &&
	       take_until(rest, '&', max, NUMBER_TEXT_BYTES) && take_literal(rest, "&sig=") &&
	       take_until(rest, '\0', sig, DIGEST_HEX_BYTES) && strlen(sig) == DIGEST_HEX_BYTES - 1;
}

int signed_url_verify(struct bytes secret, struct bytes target, int64_t now_s, char *key,
		      uint64_t *ret_max_bytes, struct error *err)
{
	struct bytes rest = target;
	char found_key[STORE_KEY_MAX + 1];
	char expires[NUMBER_TEXT_BYTES];
	char max[NUMBER_TEXT_BYTES];
	char sig[DIGEST_HEX_BYTES];
	char expected[DIGEST_HEX_BYTES];
	uint64_t expires_s = 0;
	uint64_t max_bytes = 0;

	if (!take_literal(&rest, SIGNED_URL_PATH) ||
	    !take_until(&rest, '?', found_key, sizeof(found_key)))
		return error_set(err, EC_EFORMAT, "not a signed upload URL");
	if (!store_key_valid(bytes_of(found_key)))
		return error_set(err, EC_EFORMAT, "signed upload URL: not an object's key");
	if (!take_query(&rest, expires, max, sig) ||
	    parse_u64(bytes_of(expires), 0, INT64_MAX, &expires_s) < 0 ||
	    parse_u64(bytes_of(max), 0, UINT64_MAX, &max_bytes) < 0)
		return error_set(err, EC_EFORMAT,
				 "signed upload URL: the query is not expires, max and sig");
	if (secret.n == 0)
		return error_set(err, EC_EPERM, "uploads are not enabled: no signing secret");
	sign(secret, found_key, expires, max, expected);
	if (!digest_equal(sig, expected, DIGEST_HEX_BYTES - 1))
		return error_set(err, EC_EPERM, "signed upload URL: wrong signature");
	if ((int64_t)expires_s <= now_s)
		return error_set(err, EC_EGONE, "signed upload URL: expired %" PRId64 " s ago",
				 now_s - (int64_t)expires_s);
	memcpy(key, found_key, strlen(found_key) + 1);
	*ret_max_bytes = max_bytes;
	return 0;
}
