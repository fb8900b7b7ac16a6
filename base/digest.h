/* SHA-256, HMAC-SHA-256, MD5 where a protocol wants it, random bytes and constant-time comparison, on OpenSSL's libcrypto.
 *
 * FIPS 180-4 and RFC 2104. No key handling beyond this: secrets are the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum {
	DIGEST_BYTES = 32,
	DIGEST_HEX_BYTES = 65,
	DIGEST_MD5_BASE64_BYTES = 25,
	SECRET_BYTES = 32,
	SECRET_TEXT_BYTES = 48
};

struct digest {
	uint8_t b[DIGEST_BYTES];
};

/* SHA-256 of b. */
struct digest digest_sha256(struct bytes b);

/* HMAC-SHA-256 of b under key. */
struct digest digest_hmac(struct bytes key, struct bytes b);

/* MD5 of b as the header Content-MD5 has it (RFC 1864): a check of transport, worth nothing against an attacker. dst:
 * DIGEST_MD5_BASE64_BYTES. */
void digest_md5_base64(struct bytes b, char *dst);

/* Compare n bytes in time that depends on n alone. */
bool digest_equal(const void *a, const void *b, size_t n);

/* Lower-case hex with a NUL. dst: DIGEST_HEX_BYTES. */
void digest_hex(const struct digest *d, char *dst);

/* Incremental SHA-256. Opaque; free with digest_stream_free. */
struct digest_stream;

/* A new stream, or NULL when there is no memory. */
struct digest_stream *digest_stream_new(void) EC_MUST_CHECK;

/* Add bytes. */
void digest_stream_add(struct digest_stream *s, struct bytes b);

/* The digest of all that was added; the stream can only be freed afterwards. */
struct digest digest_stream_end(struct digest_stream *s);

/* Free a stream; accepts NULL. */
void digest_stream_free(struct digest_stream *s);

/* Fill dst with n random bytes from the kernel. Aborts when there are none. */
void random_bytes(void *dst, size_t n);

/* A new credential: 256 random bits as 43 characters of base64url (RFC 4648 section 5, no padding).
 * dst: SECRET_TEXT_BYTES. */
void secret_new(char *dst);
