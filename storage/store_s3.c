/* The S3 driver: its URL, credentials and trust, and its table of operations. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/s3_ops.h"

enum {
	CREDENTIAL_BYTES_MAX = 512,
	CA_FILE_BYTES_MAX = 1024 * 1024,
};

struct s3_store *s3_of(const struct store_op *op)
{
	return op->store->state;
}

/* --- opening --- */

/* A credential: present, of a sane length, printable. The text is never shown. */
static int check_credential(const char *setting, const char *text, struct error *err)
{
	if (!text || !*text)
		return error_set(err, EC_EINVAL, "storage: s3:// needs %s", setting);
	if (strlen(text) > CREDENTIAL_BYTES_MAX)
		return error_set(err, EC_EINVAL, "storage: %s is longer than %d bytes", setting,
				 CREDENTIAL_BYTES_MAX);
	for (const char *p = text; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return error_set(err, EC_EINVAL,
					 "storage: %s has a space, a line's end or another "
					 "character that no "
					 "key has",
					 setting);
	}
	return 0;
}

#define CA_FILE "EDGECAP_S3_CA_FILE"

/* The certificates in a file. path: NULL or "" for those of the system. */
static int read_ca(const char *path, struct buf *dst, struct error *err)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	char piece[4096];

	if (!path || !*path)
		return 0;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, EC_EINVAL, errno,
				       "storage: " CA_FILE ": cannot open %s", path);
	for (;;) {
		ssize_t n = read(fd, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, EC_EINVAL, errno,
					       "storage: " CA_FILE ": cannot read %s", path);
		if (n == 0)
			break;
		buf_put(dst, piece, (size_t)n);
		if (dst->failed)
			return error_set(err, EC_EINVAL,
					 "storage: " CA_FILE ": %s has more than %d bytes", path,
					 CA_FILE_BYTES_MAX);
	}
	if (dst->n == 0 || !memmem(dst->p, dst->n, begin, sizeof(begin) - 1))
		return error_set(err, EC_EINVAL,
				 "storage: " CA_FILE ": there is no certificate (PEM) in %s", path);
	return 0;
}

int s3_store_make(struct store *store, const struct bucket_access *access, bool tenants,
		  struct error *err)
{
	struct s3_store *s3 = calloc(1, sizeof(*s3));

	if (!s3)
		return error_set(err, EC_ENOMEM, "storage: no memory");
	s3->store = store;
	s3->tenants = tenants;
	int r = s3_client_open(s3, access, err);
	if (r < 0)
		free(s3);
	else
		store->state = s3;
	return r;
}

/* Both or none. */
static int take_upload_key(const struct store_config *config, struct bucket_access *ret,
			   struct error *err)
{
	ret->upload_key_id = config->s3_upload_key_id;
	ret->upload_secret_key = config->s3_upload_secret_key;
	if (!ret->upload_key_id && !ret->upload_secret_key)
		return 0;
	int r = check_credential("EDGECAP_S3_UPLOAD_ACCESS_KEY_ID", ret->upload_key_id, err);
	return r < 0 ? r
		     : check_credential("EDGECAP_S3_UPLOAD_SECRET_ACCESS_KEY",
					ret->upload_secret_key, err);
}

static int s3_open(struct store *store, const char *rest, const struct store_config *config,
		   struct error *err)
{
	/* the operator's store is where the operator says */
	struct bucket_access access = {.access_key_id = config->s3_access_key_id,
				       .secret_key = config->s3_secret_access_key,
				       .private_address = true};
	struct buf ca;
	int r = s3_place_parse(rest, &access.place, err);

	if (r == 0)
		r = check_credential("EDGECAP_S3_ACCESS_KEY_ID", access.access_key_id, err);
	if (r == 0)
		r = check_credential("EDGECAP_S3_SECRET_ACCESS_KEY", access.secret_key, err);
	if (r == 0)
		r = take_upload_key(config, &access, err);
	buf_init(&ca, CA_FILE_BYTES_MAX);
	if (r == 0)
		r = read_ca(config->s3_ca_file, &ca, err);
	access.ca_pem = buf_bytes(&ca);
	if (r == 0)
		r = s3_store_make(store, &access, false, err);
	buf_fini(&ca);
	return r;
}

static void on_client_closed(void *arg)
{
	struct s3_store *s3 = arg;
	struct store *store = s3->store;

	free(s3);
	store_closed(store);
}

static void s3_close(struct store *store)
{
	s3_client_close(store->state, on_client_closed, store->state);
}

/* The length of what is PUT cannot be limited by a signature that is made before the length is known: the sampler's
 * token is what limits it, and the assembler reads no more of a chunk than it may have. */
static int s3_presign_put(struct store *store, const char *key, uint64_t max_bytes, int64_t now_us,
			  uint32_t ttl_s, char *dst)
{
	const struct s3_store *s3 = store->state;
	const struct sigv4_key signing = {
		s3->upload_key_id ? s3->upload_key_id : s3->access_key_id,
		s3->upload_key_id ? s3->upload_secret_key : s3->secret_key, s3->place.region, "s3"};
	const struct sigv4_pair host = {"host", s3->place.host};
	char path[S3_PATH_MAX + 1], date[SIGV4_DATE_BYTES];
	struct buf url;

	(void)max_bytes;
	s3_place_path(&s3->place, key, path);
	sigv4_date(now_us / 1000000, date);
	const struct sigv4_request request = {.method = "PUT",
					      .path = path,
					      .headers = &host,
					      .header_count = 1,
					      .payload_hash = SIGV4_UNSIGNED};
	buf_init(&url, STORE_URL_MAX);
	buf_printf(&url, "%s://%s", s3->place.tls ? "https" : "http", s3->place.host);
	int r = sigv4_presign(&signing, &request, date, ttl_s, &url);
	const char *text = r == 0 ? buf_cstr(&url) : NULL;
	if (text)
		memcpy(dst, text, url.n + 1);
	buf_fini(&url);
	return text ? 0 : EC_EINVAL;
}

/* --- what all operations use --- */

struct s3_request *s3_op_request(struct store_op *op, const char *verb, const char *method,
				 const char *key)
{
	struct s3_request *q = arena_alloc(&op->arena, sizeof(*q));

	if (!q) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		return NULL;
	}
	s3_request_init(q, s3_of(op), verb, method, key);
	q->arg = op;
	return q;
}

static void run_nothing(struct store_op *op)
{
	(void)op;
}

void s3_op_later(struct store_op *op)
{
	store_op_pool(op, run_nothing);
}

const struct store_driver store_s3_driver = {
	.scheme = "s3",
	.open = s3_open,
	.close = s3_close,
	.presign_put = s3_presign_put,
	.head = s3_head,
	.put = s3_put,
	.get = s3_get,
	.check = s3_check,
	.reader_open = s3_reader_open,
	.reader_read = s3_reader_read,
	.reader_close = s3_reader_close,
	.writer_open = s3_writer_open,
	.writer_write = s3_writer_write,
	.writer_commit = s3_writer_commit,
	.writer_abort = s3_writer_abort,
	.list = s3_list,
	.delete = s3_delete,
	.sweep = s3_sweep,
	.give_up = s3_give_up,
};
