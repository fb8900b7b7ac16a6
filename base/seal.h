/* Authenticated encryption of small secrets at rest: AES-256-GCM (NIST SP 800-38D) on OpenSSL's libcrypto.
 *
 * A sealed text is: one byte version (1), a random nonce of 12 bytes, the ciphertext, a tag of 16 bytes. It opens only with the same
 * key and the same associated data. Nonces are random: keep below 2^32 seals for a key.
 */
#pragma once

#include "base/bytes.h"
#include "base/digest.h"

enum {
	SEAL_VERSION = 1,
	SEAL_NONCE_BYTES = 12,
	SEAL_TAG_BYTES = 16,
	SEAL_OVERHEAD_BYTES = 1 + SEAL_NONCE_BYTES + SEAL_TAG_BYTES,
};

/* A key for one purpose from a secret of at least 32 random bytes: HMAC-SHA-256(secret, label). label: static, one for each purpose. */
struct digest seal_key(struct bytes secret, const char *label);

/* Append the sealed plain to dst. about: what it belongs to; not kept, not secret. Returns 0, EC_ELIMIT or EC_ENOMEM
 * (dst is full; also kept in dst->failed). */
int seal_close(const struct digest *key, struct bytes about, struct bytes plain,
	       struct buf *dst) EC_MUST_CHECK;

/* Append what was sealed to dst. Returns 0, EC_EFORMAT (another key, other associated data, or changed bytes: dst is then as before),
 * EC_ELIMIT or EC_ENOMEM. */
int seal_open(const struct digest *key, struct bytes about, struct bytes sealed,
	      struct buf *dst) EC_MUST_CHECK;
