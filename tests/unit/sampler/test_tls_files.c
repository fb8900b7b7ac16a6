#include "sampler/tls_files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/temp_dir.h"
#include "tests/support/unit.h"

static char dir[TEMP_DIR_BYTES];
static char cert[TEMP_DIR_BYTES + 32], key[TEMP_DIR_BYTES + 32], other_key[TEMP_DIR_BYTES + 32],
	locked_key[TEMP_DIR_BYTES + 32], text[TEMP_DIR_BYTES + 32], empty[TEMP_DIR_BYTES + 32],
	missing[TEMP_DIR_BYTES + 32], large[TEMP_DIR_BYTES + 32];

static FILE *file_make(char *path, const char *name)
{
	(void)snprintf(path, TEMP_DIR_BYTES + 32, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	return f;
}

static EVP_PKEY *key_make(char *path, const char *name, const char *passphrase)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");
	FILE *f = file_make(path, name);

	assert_int_equal(PEM_write_PrivateKey(f, k, passphrase ? EVP_aes_128_cbc() : NULL,
					      (const unsigned char *)passphrase,
					      passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
			 1);
	assert_int_equal(fclose(f), 0);
	return k;
}

static int set_up(void **state)
{
	(void)state;
	temp_dir_make(dir);
	EVP_PKEY *k = key_make(key, "key", NULL);
	EVP_PKEY_free(key_make(other_key, "other_key", NULL));
	EVP_PKEY_free(key_make(locked_key, "locked_key", "secret"));
	X509 *c = X509_new();
	assert_int_equal(X509_set_pubkey(c, k), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(c), 0);
	(void)X509_gmtime_adj(X509_getm_notAfter(c), 3600);
	assert_true(X509_sign(c, k, EVP_sha256()) > 0);
	FILE *f = file_make(cert, "cert");
	assert_int_equal(PEM_write_X509(f, c), 1);
	assert_int_equal(fclose(f), 0);
	X509_free(c);
	EVP_PKEY_free(k);
	f = file_make(text, "text");
	assert_true(fputs("no PEM\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(fclose(file_make(empty, "empty")), 0);
	f = file_make(large, "large");
	assert_int_equal(fseek(f, TLS_CERT_FILE_BYTES_MAX, SEEK_SET), 0);
	assert_int_equal(fputc('x', f), 'x');
	assert_int_equal(fclose(f), 0);
	(void)snprintf(missing, sizeof(missing), "%s/missing", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	temp_dir_remove(dir);
	return 0;
}

static void files_are_read_whole(void **state)
{
	struct tls_paths paths = {.ca = cert, .client_cert = cert, .client_key = key};
	struct tls_files f;
	struct error err = {0};
	struct stat st;

	(void)state;
	if (tls_files_read(&paths, &f, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(f.client_key.n, st.st_size);
	assert_true(bytes_equal(buf_bytes(&f.ca), buf_bytes(&f.client_cert)));
	tls_files_fini(&f);
	assert_int_equal(f.client_key.n, 0);
	tls_files_fini(&f);
}

static void nothing_is_asked_for(void **state)
{
	struct tls_paths paths = {0};
	struct tls_files f;
	struct error err = {0};

	(void)state;
	assert_int_equal(tls_files_read(&paths, &f, &err), 0);
	assert_int_equal(f.ca.n + f.client_cert.n + f.client_key.n, 0);
	tls_files_fini(&f);
}

static void what_is_wrong_is_named(void **state)
{
	const struct {
		struct tls_paths paths;
		const char *text;
	} rows[] = {
		{{.ca = missing}, "EDGECAP_CA_FILE: cannot open"},
		{{.ca = empty}, "EDGECAP_CA_FILE: "},
		{{.ca = dir}, "EDGECAP_CA_FILE: cannot read"},
		{{NULL, missing, key}, "EDGECAP_CLIENT_CERT: cannot open"},
		{{NULL, cert, missing}, "EDGECAP_CLIENT_KEY: cannot open"},
		{{NULL, large, key}, "EDGECAP_CLIENT_CERT: "},
		{{NULL, "/dev/zero", key}, "EDGECAP_CLIENT_CERT: /dev/zero is too long"},
		{{NULL, text, key}, "is no certificate"},
		{{NULL, key, key}, "is no certificate"},
		{{NULL, cert, text}, "is no private key"},
		{{NULL, cert, cert}, "is no private key"},
		{{NULL, cert, locked_key}, "without a passphrase"},
		{{NULL, cert, other_key}, "is not the key of"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tls_files f;
		struct error err = {0};
		assert_int_equal(tls_files_read(&rows[i].paths, &f, &err), EC_EINVAL);
		if (!strstr(err.text, rows[i].text))
			fail_msg("row %zu: %s", i, err.text);
		tls_files_fini(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read_whole),
		cmocka_unit_test(nothing_is_asked_for),
		cmocka_unit_test(what_is_wrong_is_named),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
