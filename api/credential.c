#include "api/credential.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"

static int fault(struct credential_fault *ret, enum api_error row, const char *text)
{
	*ret = (struct credential_fault){row, text};
	return EC_EAUTH;
}

static bool is_visible(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] <= ' ' || b.p[i] >= 0x7f)
			return false;
	}
	return b.n > 0 && b.n <= LIMIT_CREDENTIAL_BYTES;
}

/* b64token of RFC 6750 section 2.1 */
static bool is_token(struct bytes b)
{
	size_t padding = 0;

	while (padding < b.n && b.p[b.n - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < b.n - padding; i++) {
		uint8_t c = b.p[i];
		bool word =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!word && (c == 0 || !strchr("-._~+/", c)))
			return false;
	}
	return b.n > padding && b.n <= LIMIT_CREDENTIAL_BYTES;
}

int credential_read_bearer(const struct credential_header *authorization, struct credential *ret,
			   struct credential_fault *ret_fault)
{
	static const char scheme[] = "bearer ";
	const size_t n = sizeof(scheme) - 1;
	struct bytes v = authorization->value;

	if (authorization->count == 0)
		return fault(ret_fault, API_NO_CREDENTIALS, "Authorization is required");
	if (authorization->count > 1)
		return fault(ret_fault, API_MALFORMED, "Authorization occurs more than once");
	if (v.n < n || strncasecmp((const char *)v.p, scheme, n) != 0)
		return fault(ret_fault, API_MALFORMED, "Authorization must be \"Bearer <token>\"");
	v.p += n;
	v.n -= n;
	while (v.n > 0 && v.p[0] == ' ') {
		v.p++;
		v.n--;
	}
	if (!is_token(v))
		return fault(ret_fault, API_MALFORMED,
			     "Authorization holds no well-formed bearer token");
	*ret = (struct credential){.kind = CREDENTIAL_TOKEN, .secret = digest_sha256(v)};
	return 0;
}

static bool is_email(struct bytes b)
{
	const uint8_t *at = b.n > 0 ? memchr(b.p, '@', b.n) : NULL;

	return is_visible(b) && at && at > b.p && at < b.p + b.n - 1 &&
	       !memchr(at + 1, '@', b.n - (size_t)(at - b.p) - 1);
}

int credential_read(const struct credential_headers *headers, struct credential *ret,
		    struct credential_fault *ret_fault)
{
	struct credential c = {.kind = CREDENTIAL_KEY};

	if (headers->authorization.count > 0)
		return credential_read_bearer(&headers->authorization, ret, ret_fault);
	if (headers->email.count == 0 && headers->key.count == 0)
		return fault(ret_fault, API_NO_CREDENTIALS, api_error_text(API_NO_CREDENTIALS));
	if (headers->email.count == 0)
		return fault(ret_fault, API_NO_CREDENTIALS, "X-Auth-Key without X-Auth-Email");
	if (headers->key.count == 0)
		return fault(ret_fault, API_NO_CREDENTIALS, "X-Auth-Email without X-Auth-Key");
	if (headers->email.count > 1 || headers->key.count > 1)
		return fault(ret_fault, API_MALFORMED,
			     "X-Auth-Email or X-Auth-Key occurs more than once");
	if (!is_email(headers->email.value))
		return fault(ret_fault, API_MALFORMED, "X-Auth-Email is no e-mail address");
	if (!is_visible(headers->key.value))
		return fault(ret_fault, API_MALFORMED, "X-Auth-Key is malformed");
	c.secret = digest_sha256(headers->key.value);
	if (bytes_to_str(headers->email.value, c.email, sizeof(c.email)) < 0)
		return fault(ret_fault, API_MALFORMED, "X-Auth-Email is no e-mail address");
	*ret = c;
	return 0;
}

struct digest credential_digest(const struct credential *c)
{
	uint8_t text[1 + DIGEST_BYTES + LIMIT_CREDENTIAL_BYTES];
	size_t n = c->kind == CREDENTIAL_KEY ? strlen(c->email) : 0;

	text[0] = (uint8_t)c->kind;
	memcpy(text + 1, c->secret.b, DIGEST_BYTES);
	memcpy(text + 1 + DIGEST_BYTES, c->email, n);
	return digest_sha256((struct bytes){text, 1 + DIGEST_BYTES + n});
}
