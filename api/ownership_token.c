#include "api/ownership_token.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/seal.h"

#define LABEL "edgecap ownership challenge v1"
#define BEGIN "edgecap-ownership-v1."
#define FILE_BEGIN "ownership-challenge-"

enum {
	FIELDS = 5, /* account, bucket, expiry, destination, signature */
	DESTINATION_HEX = 32,
	SIGNATURE_HEX = DIGEST_HEX_BYTES - 1,
};

/* 32 hex characters that stand for a destination. dst: DESTINATION_HEX + 1. */
static void destination_mark(const struct digest *key, const char *destination, char *dst)
{
	struct bytes k = {key->b, sizeof(key->b)};
	struct digest d = digest_hmac(k, bytes_of(destination));

	format_hex(d.b, DESTINATION_HEX / 2, dst);
}

/* dst: DIGEST_HEX_BYTES. */
static void sign(const struct digest *key, struct bytes text, char *dst)
{
	struct digest signing = seal_key((struct bytes){key->b, sizeof(key->b)}, "signature");
	struct digest d = digest_hmac((struct bytes){signing.b, sizeof(signing.b)}, text);

	digest_hex(&d, dst);
}

void ownership_token_make(struct bytes secret, const struct ownership *o, int64_t expires_s,
			  char *dst)
{
	struct digest key = seal_key(secret, LABEL);
	char mark[DESTINATION_HEX + 1], signature[DIGEST_HEX_BYTES];

	destination_mark(&key, o->destination, mark);
	int n = snprintf(dst, OWNERSHIP_TOKEN_BYTES, BEGIN "%s.%s.%" PRId64 ".%s", o->account.hex,
			 o->bucket.hex, expires_s, mark);
	EC_ASSERT(n > 0 && n + 1 + SIGNATURE_HEX < OWNERSHIP_TOKEN_BYTES);
	sign(&key, bytes_of(dst), signature);
	(void)snprintf(dst + n, OWNERSHIP_TOKEN_BYTES - (size_t)n, ".%s", signature);
}

void ownership_filename(const struct id *bucket, char *dst)
{
	(void)snprintf(dst, OWNERSHIP_FILENAME_BYTES, FILE_BEGIN "%s.txt", bucket->hex);
}

static bool begins_with(struct bytes text, const char *begin)
{
	size_t n = strlen(begin);

	return text.n >= n && memcmp(text.p, begin, n) == 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trimmed(struct bytes text)
{
	while (text.n > 0 && is_blank(text.p[text.n - 1]))
		text.n--;
	return text;
}

/* Split what is behind BEGIN at its dots. False when there are not just FIELDS. */
static bool split(struct bytes rest, struct bytes fields[FIELDS])
{
	for (size_t i = 0; i < FIELDS; i++) {
		const uint8_t *dot = rest.n > 0 ? memchr(rest.p, '.', rest.n) : NULL;
		if (!dot != (i == FIELDS - 1))
			return false;
		fields[i] = (struct bytes){rest.p, dot ? (size_t)(dot - rest.p) : rest.n};
		if (dot)
			rest = (struct bytes){dot + 1, rest.n - fields[i].n - 1};
	}
	return true;
}

static bool same(struct bytes a, const char *b)
{
	return a.n == strlen(b) && digest_equal(a.p, b, a.n);
}

int ownership_token_verify(struct bytes secret, const struct ownership *o, struct bytes text,
			   int64_t now_s, struct bytes *ret, struct error *err)
{
	struct digest key = seal_key(secret, LABEL);
	struct bytes token = trimmed(text), fields[FIELDS] = {{NULL, 0}};
	char mark[DESTINATION_HEX + 1], signature[DIGEST_HEX_BYTES];
	const size_t begin = strlen(BEGIN);
	uint64_t expires_s = 0;

	if (begins_with(token, FILE_BEGIN))
		return error_set(err, EC_EINVAL,
				 "this is the name of the challenge's file: give its content");
	if (!begins_with(token, BEGIN) ||
	    !split((struct bytes){token.p + begin, token.n - begin}, fields) ||
	    fields[4].n != SIGNATURE_HEX)
		return error_set(err, EC_EINVAL, "this is not the content of a challenge's file");
	sign(&key, (struct bytes){token.p, token.n - SIGNATURE_HEX - 1}, signature);
	if (!same(fields[4], signature) ||
	    parse_u64(fields[2], 0, INT64_MAX / 1000000, &expires_s) < 0)
		return error_set(err, EC_EINVAL,
				 "the challenge's signature is wrong: it was changed, or is not of "
				 "this service");
	if (!same(fields[0], o->account.hex))
		return error_set(err, EC_EINVAL, "the challenge is another account's");
	destination_mark(&key, o->destination, mark);
	if (!same(fields[3], mark))
		return error_set(err, EC_EINVAL,
				 "the challenge is for another destination: bucket and directory "
				 "must be the same");
	if ((int64_t)expires_s <= now_s)
		return error_set(err, EC_EINVAL,
				 "the challenge has expired: POST the destination again for a new "
				 "one");
	*ret = token;
	return 0;
}
