/* Files for TLS: whom the sampler trusts, and its own certificate with the private key.
 *
 * Read once at the start, with the privileges that this may need; afterwards only the bytes are used. What could fail at each
 * handshake is found here: a file that is no PEM, a key that is another certificate's or has a passphrase.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

enum {
	TLS_CA_FILE_BYTES_MAX = 4 * 1024 * 1024,
	TLS_CERT_FILE_BYTES_MAX = 256 * 1024, /* of a certificate with its chain, or of a key */
};

/* Paths; NULL: none. client_cert and client_key come together. */
struct tls_paths {
	const char *ca, *client_cert, *client_key;
};

/* Contents, PEM; empty where there is no path. */
struct tls_files {
	struct buf ca, client_cert, client_key;
};

/* Read and check. Returns 0, or EC_EINVAL or EC_ENOMEM with a text that begins with the setting's name. In either case free *ret with
 * tls_files_fini. */
int tls_files_read(const struct tls_paths *paths, struct tls_files *ret,
		   struct error *err) EC_MUST_CHECK;

/* Wipe the key and free. f: zero-initialised or read. */
void tls_files_fini(struct tls_files *f);
