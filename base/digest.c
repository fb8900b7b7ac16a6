#include "base/digest.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/parse.h"

struct digest_stream {
	EVP_MD_CTX *ctx;
};

/* OpenSSL fails here only without memory for a few hundred bytes. */
struct digest digest_sha256(struct bytes b)
{
	struct digest d;
	unsigned n = 0;

	EC_ASSERT(EVP_Digest(b.p, b.n, d.b, &n, EVP_sha256(), NULL) == 1);
	EC_ASSERT(n == DIGEST_BYTES);
	return d;
}

struct digest digest_hmac(struct bytes key, struct bytes b)
{
	struct digest d;
	unsigned n = 0;

	EC_ASSERT(key.n <= INT_MAX);
	EC_ASSERT(HMAC(EVP_sha256(), key.n ? (const void *)key.p : "", (int)key.n,
		       b.n ? b.p : (const uint8_t *)"", b.n, d.b, &n));
	EC_ASSERT(n == DIGEST_BYTES);
	return d;
}

void digest_md5_base64(struct bytes b, char *dst)
{
	uint8_t md5[16];
	unsigned n = 0;

	EC_ASSERT(EVP_Digest(b.p, b.n, md5, &n, EVP_md5(), NULL) == 1);
	EC_ASSERT(n == sizeof(md5));
	EC_ASSERT(EVP_EncodeBlock((unsigned char *)dst, md5, (int)n) ==
		  DIGEST_MD5_BASE64_BYTES - 1);
}

bool digest_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void digest_hex(const struct digest *d, char *dst)
{
	format_hex(d->b, sizeof(d->b), dst);
}

struct digest_stream *digest_stream_new(void)
{
	struct digest_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ctx = EVP_MD_CTX_new();
	if (!s->ctx || EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1) {
		digest_stream_free(s);
		return NULL;
	}
	return s;
}

void digest_stream_add(struct digest_stream *s, struct bytes b)
{
	EC_ASSERT(EVP_DigestUpdate(s->ctx, b.p, b.n) == 1);
}

struct digest digest_stream_end(struct digest_stream *s)
{
	struct digest d;
	unsigned n = 0;

	EC_ASSERT(EVP_DigestFinal_ex(s->ctx, d.b, &n) == 1);
	EC_ASSERT(n == DIGEST_BYTES);
	return d;
}

void digest_stream_free(struct digest_stream *s)
{
	if (!s)
		return;
	EVP_MD_CTX_free(s->ctx);
	free(s);
}

void random_bytes(void *dst, size_t n)
{
	uint8_t *p = dst;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);
		if (got < 0) {
			EC_ASSERT(errno == EINTR);
			continue;
		}
		p += got;
		n -= (size_t)got;
	}
}

void secret_new(char *dst)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t raw[SECRET_BYTES + 1] = {0}; /* 33 is divisible by 3; the last digit is padding */

	random_bytes(raw, SECRET_BYTES);
	for (size_t i = 0; i < sizeof(raw); i += 3) {
		unsigned group = (unsigned)raw[i] << 16 | (unsigned)raw[i + 1] << 8 | raw[i + 2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*dst++ = alphabet[group >> shift & 63];
	}
	dst[-1] = '\0';
	OPENSSL_cleanse(raw, sizeof(raw));
}
