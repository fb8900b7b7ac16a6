#include "sampler/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

/* A whole file, as it is. */
static int file_read(const char *setting, const char *path, size_t max, struct buf *ret,
		     struct error *err)
{
	uint8_t part[16384];
	ssize_t n = 0;

	buf_init(ret, max);
	if (!path)
		return 0;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, EC_EINVAL, errno, "%s: cannot open %s", setting, path);
	/* a device may have no end */
	while (!ret->failed && (n = read(fd, part, sizeof(part))) > 0)
		buf_put(ret, part, (size_t)n);
	int failed = errno;
	explicit_bzero(part, sizeof(part));
	if (n < 0)
		return error_set_errno(err, EC_EINVAL, failed, "%s: cannot read %s", setting, path);
	if (ret->failed == EC_ENOMEM)
		return error_set(err, EC_ENOMEM, "%s: out of memory for %s", setting, path);
	if (ret->failed || ret->n == 0)
		return error_set(err, EC_EINVAL, "%s: %s is %s", setting, path,
				 ret->n == 0 ? "empty" : "too long");
	return 0;
}

static BIO *bio_of(const struct buf *b)
{
	return b->n <= INT_MAX ? BIO_new_mem_buf(b->p, (int)b->n) : NULL;
}

/* Nobody is there to ask for a passphrase. */
static int no_passphrase(char *dst, int n, int writing, void *arg)
{
	(void)dst;
	(void)n;
	(void)writing;
	(void)arg;
	return -1;
}

/* The certificate is one, the key is one, and they belong together. */
static int pair_check(const struct tls_paths *paths, const struct tls_files *f, struct error *err)
{
	BIO *cert_bio = bio_of(&f->client_cert);
	BIO *key_bio = bio_of(&f->client_key);
	X509 *cert = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, no_passphrase, NULL) : NULL;
	EVP_PKEY *key =
		key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, NULL) : NULL;
	int r = 0;

	if (!cert)
		r = error_set(err, EC_EINVAL, "EDGECAP_CLIENT_CERT: %s is no certificate in PEM",
			      paths->client_cert);
	else if (!key)
		r = error_set(
			err, EC_EINVAL,
			"EDGECAP_CLIENT_KEY: %s is no private key in PEM without a passphrase",
			paths->client_key);
	else if (X509_check_private_key(cert, key) != 1)
		r = error_set(err, EC_EINVAL, "EDGECAP_CLIENT_KEY: %s is not the key of %s",
			      paths->client_key, paths->client_cert);
	ERR_clear_error();
	EVP_PKEY_free(key);
	X509_free(cert);
	BIO_free(key_bio);
	BIO_free(cert_bio);
	return r;
}

int tls_files_read(const struct tls_paths *paths, struct tls_files *ret, struct error *err)
{
	*ret = (struct tls_files){0};
	int r = file_read("EDGECAP_CA_FILE", paths->ca, TLS_CA_FILE_BYTES_MAX, &ret->ca, err);
	if (r == 0)
		r = file_read("EDGECAP_CLIENT_CERT", paths->client_cert, TLS_CERT_FILE_BYTES_MAX,
			      &ret->client_cert, err);
	if (r == 0)
		r = file_read("EDGECAP_CLIENT_KEY", paths->client_key, TLS_CERT_FILE_BYTES_MAX,
			      &ret->client_key, err);
	return r == 0 && paths->client_cert ? pair_check(paths, ret, err) : r;
}

void tls_files_fini(struct tls_files *f)
{
	buf_fini(&f->ca);
	buf_fini(&f->client_cert);
	if (f->client_key.p)
		explicit_bzero(f->client_key.p, f->client_key.n);
	buf_fini(&f->client_key);
}
