#include "base/seal.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/error.h"

struct digest seal_key(struct bytes secret, const char *label)
{
	return digest_hmac(secret, bytes_of(label));
}

static EVP_CIPHER_CTX *context_new(const struct digest *key, const uint8_t *nonce, int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	EC_ASSERT(!ctx ||
		  EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->b, nonce, encrypt) == 1);
	return ctx;
}

/* dst: in.n bytes. */
static void run(EVP_CIPHER_CTX *ctx, struct bytes about, struct bytes in, uint8_t *dst)
{
	int n = 0;

	EC_ASSERT(about.n <= INT_MAX && in.n <= INT_MAX);
	EC_ASSERT(about.n == 0 || EVP_CipherUpdate(ctx, NULL, &n, about.p, (int)about.n) == 1);
	EC_ASSERT(in.n == 0 || EVP_CipherUpdate(ctx, dst, &n, in.p, (int)in.n) == 1);
}

int seal_close(const struct digest *key, struct bytes about, struct bytes plain, struct buf *dst)
{
	uint8_t nonce[SEAL_NONCE_BYTES], version = SEAL_VERSION;
	int n = 0;
	int r = buf_reserve(dst, plain.n + SEAL_OVERHEAD_BYTES);

	if (r < 0)
		return r;
	random_bytes(nonce, sizeof(nonce));
	EVP_CIPHER_CTX *ctx = context_new(key, nonce, 1);
	if (!ctx)
		return EC_ENOMEM;
	buf_put(dst, &version, 1);
	buf_put(dst, nonce, sizeof(nonce));
	run(ctx, about, plain, dst->p + dst->n);
	dst->n += plain.n;
	EC_ASSERT(EVP_CipherFinal_ex(ctx, dst->p + dst->n, &n) == 1 && n == 0);
	EC_ASSERT(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES,
				      dst->p + dst->n) == 1);
	dst->n += SEAL_TAG_BYTES;
	EVP_CIPHER_CTX_free(ctx);
	return 0;
}

int seal_open(const struct digest *key, struct bytes about, struct bytes sealed, struct buf *dst)
{
	struct cursor c = cursor_over(sealed);
	uint8_t tag[SEAL_TAG_BYTES];
	int n = 0;

	if (sealed.n < SEAL_OVERHEAD_BYTES || cursor_u8(&c) != SEAL_VERSION)
		return EC_EFORMAT;
	struct bytes nonce = cursor_take(&c, SEAL_NONCE_BYTES);
	struct bytes text = cursor_take(&c, sealed.n - SEAL_OVERHEAD_BYTES);
	for (size_t i = 0; i < sizeof(tag); i++)
		tag[i] = cursor_u8(&c);
	int r = buf_reserve(dst, text.n + 1);
	if (r < 0)
		return r;
	EVP_CIPHER_CTX *ctx = context_new(key, nonce.p, 0);
	if (!ctx)
		return EC_ENOMEM;
	run(ctx, about, text, dst->p + dst->n);
	bool good = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) == 1 &&
		    EVP_CipherFinal_ex(ctx, dst->p + dst->n + text.n, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (!good) {
		OPENSSL_cleanse(dst->p + dst->n, text.n);
		return EC_EFORMAT;
	}
	dst->n += text.n;
	return 0;
}
