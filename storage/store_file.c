#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"
#include "storage/file_list.h"
#include "storage/file_tree.h"
#include "storage/signed_url.h"
#include "storage/store_driver.h"

enum {
	DIRECTORY_BYTES = 4096,
	WRITE_BACK_BYTES = 8 * 1024 * 1024, /* written since the kernel was last told to begin */
};

/* The driver's part of a store. Read-only once open: threads of the pool share it. */
struct file_store {
	struct file_tree tree;
	char *upload_base_url; /* NULL: cannot sign */
	uint8_t *secret;       /* NULL: cannot sign */
	size_t secret_bytes;
};

struct file_reader {
	struct store_reader base;
	int fd;
	off_t at;
	uint64_t left;
	char key[STORE_KEY_MAX + 1];
};

struct file_writer {
	struct store_writer base;
	int fd;
	uint64_t bytes;
	uint64_t told_bytes; /* of these: the kernel was told to write them */
	struct digest_stream *digest;
	char temp_name[FILE_TEMP_NAME_BYTES];
	char key[STORE_KEY_MAX + 1];
};

static struct file_store *state_of(const struct store_op *op)
{
	return op->store->state;
}

static struct file_reader *reader_of(const struct store_op *op)
{
	return CONTAINER_OF(op->reader, struct file_reader, base);
}

static struct file_writer *writer_of(const struct store_op *op)
{
	return CONTAINER_OF(op->writer, struct file_writer, base);
}

static int fail_memory(struct store_op *op)
{
	return error_set(&op->err, EC_ENOMEM, "storage: no memory");
}

static int64_t modified_us(const struct stat *st)
{
	return st->st_mtim.tv_sec * INT64_C(1000000) + st->st_mtim.tv_nsec / 1000;
}

/* --- open, close, sign --- */

/* The directory of "/absolute/directory", the part behind "file://". dst: DIRECTORY_BYTES. */
static int parse_directory(const char *rest, char *dst, struct error *err)
{
	if (rest[0] != '/')
		return error_set(
			err, EC_EINVAL,
			"storage: file://%.80s: three slashes and an absolute directory are "
			"needed (file:///var/lib/edgecap)",
			rest);
	if (strpbrk(rest, "?#"))
		return error_set(err, EC_EINVAL, "storage: file://%.80s: no query or fragment",
				 rest);
	int r = parse_percent(bytes_of(rest), false, dst, DIRECTORY_BYTES);
	if (r < 0)
		return error_set(err, EC_EINVAL, "storage: file://%.80s: %s", rest,
				 r == EC_ELIMIT ? "too long" : "bad %-escape");
	size_t n = strlen(dst);
	while (n > 0 && dst[n - 1] == '/')
		dst[--n] = '\0';
	if (n == 0)
		return error_set(err, EC_EINVAL, "storage: file:///: names no directory");
	return 0;
}

static void state_free(struct file_store *s)
{
	if (s->secret)
		explicit_bzero(s->secret, s->secret_bytes);
	free(s->secret);
	free(s->upload_base_url);
	free(s);
}

/* The texts of config, copied. NULL without memory. */
static struct file_store *state_new(const struct store_config *config)
{
	struct file_store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (config->upload_base_url && config->signing_secret.n > 0) {
		s->upload_base_url = strdup(config->upload_base_url);
		s->secret = malloc(config->signing_secret.n);
		if (!s->upload_base_url || !s->secret) {
			state_free(s);
			return NULL;
		}
		s->secret_bytes = config->signing_secret.n;
		memcpy(s->secret, config->signing_secret.p, s->secret_bytes);
	}
	return s;
}

static int file_open(struct store *store, const char *rest, const struct store_config *config,
		     struct error *err)
{
	char directory[DIRECTORY_BYTES];
	int r = parse_directory(rest, directory, err);

	if (r < 0)
		return r;
	struct file_store *s = state_new(config);
	if (!s)
		return error_set(err, EC_ENOMEM, "storage: no memory");
	r = file_tree_open(directory, &s->tree, err);
	if (r < 0) {
		state_free(s);
		return r;
	}
	store->state = s;
	return 0;
}

static void file_close(struct store *store)
{
	struct file_store *s = store->state;

	file_tree_close(&s->tree);
	state_free(s);
	store_closed(store);
}

static int file_presign_put(struct store *store, const char *key, uint64_t max_bytes,
			    int64_t now_us, uint32_t ttl_s, char *dst)
{
	const struct file_store *s = store->state;
	char base[STORE_URL_MAX];

	if (!s->secret)
		return EC_EINVAL;
	size_t n = strlen(s->upload_base_url);
	while (n > 0 && s->upload_base_url[n - 1] == '/')
		n--;
	if (n >= sizeof(base))
		return EC_EINVAL;
	memcpy(base, s->upload_base_url, n);
	int64_t expires_s = (now_us + 999999) / 1000000 + ttl_s;
	int r = signed_url_format((struct bytes){s->secret, s->secret_bytes}, key, expires_s,
				  max_bytes, base + n, sizeof(base) - n);
	if (r < 0)
		return EC_EINVAL;
	memcpy(dst, base, strlen(base) + 1);
	return 0;
}

/* --- in the thread pool: whole objects --- */

static void run_head(struct store_op *op)
{
	struct stat st;

	if (fstatat(state_of(op)->tree.root_fd, op->key, &st, AT_SYMLINK_NOFOLLOW) < 0)
		(void)file_tree_fail(&op->err, errno == ENOTDIR ? ENOENT : errno, "look up",
				     op->key);
	else if (!S_ISREG(st.st_mode))
		(void)file_tree_fail(&op->err, ENOENT, "look up", op->key);
	else
		op->info = (struct store_info){.bytes = (uint64_t)st.st_size,
					       .modified_us = modified_us(&st)};
}

static void run_put(struct store_op *op)
{
	struct file_tree *tree = &state_of(op)->tree;
	char temp_name[FILE_TEMP_NAME_BYTES];
	struct stat st;
	AUTO_FD int fd = -1;

	if (file_tree_temp_new(tree, op->key, temp_name, &fd, &op->err) < 0)
		return;
	op->info.bytes = op->data.n;
	op->info.sha256 = digest_sha256(op->data);
	if (file_tree_write(fd, op->data, op->key, &op->err) < 0) {
		file_tree_temp_remove(tree, temp_name);
		return;
	}
	if (file_tree_publish(tree, fd, temp_name, op->key, false, &op->err) < 0)
		return;
	if (fstat(fd, &st) == 0)
		op->info.modified_us = modified_us(&st);
}

static void run_check(struct store_op *op)
{
	struct file_tree *tree = &state_of(op)->tree;
	char temp_name[FILE_TEMP_NAME_BYTES];
	AUTO_FD int fd = -1;

	if (file_tree_temp_new(tree, "check", temp_name, &fd, &op->err) == 0)
		file_tree_temp_remove(tree, temp_name);
}

static void run_give_up(struct store_op *op)
{
	(void)!file_tree_give_up(&state_of(op)->tree, op->key, &op->err);
}

static void run_list(struct store_op *op)
{
	const struct file_query query = {op->key, op->start_after, op->max};
	struct file_page page;

	if (file_list_page(&state_of(op)->tree, &query, &op->arena, &page, &op->err) < 0)
		return;
	op->entries = page.entries;
	op->count = page.count;
	op->more = page.more;
}

/* Errors are in op->err. */
static void run_delete(struct store_op *op)
{
	(void)!file_tree_remove(&state_of(op)->tree, op->keys, op->count, &op->err);
}

static void run_sweep(struct store_op *op)
{
	int64_t now_s = clock_wall_now_us() / 1000000;
	int64_t age_s = op->age_s > (uint64_t)now_s ? now_s : (int64_t)op->age_s;

	(void)!file_tree_sweep(&state_of(op)->tree, now_s - age_s + 1, &op->err);
}

/* Open the operation's object for reading. Returns a descriptor, or -1 with op->err. */
static int object_open(struct store_op *op, struct stat *ret)
{
	AUTO_FD int fd =
		openat(state_of(op)->tree.root_fd, op->key, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret) < 0) {
		(void)file_tree_fail(&op->err, errno == ENOTDIR ? ENOENT : errno, "open", op->key);
		return -1;
	}
	if (!S_ISREG(ret->st_mode)) {
		(void)file_tree_fail(&op->err, ENOENT, "open", op->key);
		return -1;
	}
	return TAKE_FD(fd);
}

/* Read want bytes into op->dst and count them in op->n; they must be there. */
static void object_read(struct store_op *op, int fd, off_t at, size_t want, const char *key)
{
	while (op->n < want) {
		ssize_t n = pread(fd, (uint8_t *)op->dst + op->n, want - op->n, at + (off_t)op->n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)file_tree_fail(&op->err, errno, "read", key);
			return;
		}
		if (n == 0) {
			/* Objects never shrink: the disk lost something. */
			(void)error_set(&op->err, EC_EIO, "storage: read %s: it is cut off", key);
			return;
		}
		op->n += (size_t)n;
	}
}

static void run_get(struct store_op *op)
{
	struct stat st;
	AUTO_FD int fd = object_open(op, &st);

	if (fd < 0 || op->offset >= (uint64_t)st.st_size)
		return;
	uint64_t left = (uint64_t)st.st_size - op->offset;
	object_read(op, fd, (off_t)op->offset, op->cap < left ? op->cap : (size_t)left, op->key);
}

/* --- in the thread pool: readers --- */

static void run_reader_open(struct store_op *op)
{
	struct stat st;
	AUTO_FD int fd = object_open(op, &st);

	if (fd < 0)
		return;
	struct file_reader *r = calloc(1, sizeof(*r));
	if (!r) {
		(void)fail_memory(op);
		return;
	}
	uint64_t size = (uint64_t)st.st_size;
	r->at = (off_t)(op->offset < size ? op->offset : size);
	r->left = size - (uint64_t)r->at;
	if (r->left > op->length)
		r->left = op->length;
	memcpy(r->key, op->key, strlen(op->key) + 1);
	r->fd = TAKE_FD(fd);
	op->reader = &r->base;
	op->info = (struct store_info){.bytes = size, .modified_us = modified_us(&st)};
}

static void run_read(struct store_op *op)
{
	struct file_reader *r = reader_of(op);
	size_t want = op->cap < r->left ? op->cap : (size_t)r->left;

	object_read(op, r->fd, r->at, want, r->key);
	r->at += (off_t)op->n;
	r->left -= op->n;
}

static void run_reader_close(struct store_op *op)
{
	struct file_reader *r = reader_of(op);

	(void)close(r->fd);
	free(r);
}

/* --- in the thread pool: writers --- */

static void run_writer_open(struct store_op *op)
{
	struct file_writer *w = calloc(1, sizeof(*w));

	if (!w) {
		(void)fail_memory(op);
		return;
	}
	memcpy(w->key, op->key, strlen(op->key) + 1);
	w->digest = digest_stream_new();
	int r = EC_ENOMEM;
	if (w->digest)
		r = file_tree_temp_new(&state_of(op)->tree, w->key, w->temp_name, &w->fd, &op->err);
	else
		(void)fail_memory(op);
	if (r < 0) {
		digest_stream_free(w->digest);
		free(w);
		return;
	}
	op->writer = &w->base;
}

/* Have the kernel begin with what is written, so that the commit's fsync does not wait for all of a large file. Only a hint: a file system
 * without it is as slow as before. */
static void write_back(struct file_writer *w)
{
	uint64_t n = w->bytes - w->told_bytes;

	if (n < WRITE_BACK_BYTES)
		return;
	(void)sync_file_range(w->fd, (off64_t)w->told_bytes, (off64_t)n, SYNC_FILE_RANGE_WRITE);
	w->told_bytes = w->bytes;
}

static void run_write(struct store_op *op)
{
	struct file_writer *w = writer_of(op);

	if (file_tree_write(w->fd, op->data, w->key, &op->err) < 0)
		return;
	digest_stream_add(w->digest, op->data);
	w->bytes += op->data.n;
	write_back(w);
}

static void writer_free(struct file_writer *w)
{
	(void)close(w->fd);
	digest_stream_free(w->digest);
	free(w);
}

static void run_commit(struct store_op *op)
{
	struct file_writer *w = writer_of(op);
	struct stat st;

	if (file_tree_publish(&state_of(op)->tree, w->fd, w->temp_name, w->key, true, &op->err) ==
	    0) {
		op->info.bytes = w->bytes;
		op->info.sha256 = digest_stream_end(w->digest);
		if (fstat(w->fd, &st) == 0)
			op->info.modified_us = modified_us(&st);
	}
	writer_free(w);
}

static void run_abort(struct store_op *op)
{
	struct file_writer *w = writer_of(op);

	file_tree_temp_remove(&state_of(op)->tree, w->temp_name);
	writer_free(w);
}

/* --- the table --- */

/* Every operation blocks, so every one goes to the thread pool. */
#define POOLED(name, run)                                                                          \
	static void name(struct store_op *op)                                                      \
	{                                                                                          \
		store_op_pool(op, run);                                                            \
	}
POOLED(file_check, run_check)
POOLED(file_head, run_head)
POOLED(file_put, run_put)
POOLED(file_get, run_get)
POOLED(file_reader_open, run_reader_open)
POOLED(file_reader_read, run_read)
POOLED(file_reader_close, run_reader_close)
POOLED(file_writer_open, run_writer_open)
POOLED(file_writer_write, run_write)
POOLED(file_writer_commit, run_commit)
POOLED(file_writer_abort, run_abort)
POOLED(file_list, run_list)
POOLED(file_delete, run_delete)
POOLED(file_sweep, run_sweep)
POOLED(file_give_up, run_give_up)
#undef POOLED

const struct store_driver store_file_driver = {
	.scheme = "file",
	.open = file_open,
	.close = file_close,
	.presign_put = file_presign_put,
	.check = file_check,
	.head = file_head,
	.put = file_put,
	.get = file_get,
	.reader_open = file_reader_open,
	.reader_read = file_reader_read,
	.reader_close = file_reader_close,
	.writer_open = file_writer_open,
	.writer_write = file_writer_write,
	.writer_commit = file_writer_commit,
	.writer_abort = file_writer_abort,
	.list = file_list,
	.delete = file_delete,
	.sweep = file_sweep,
	.give_up = file_give_up,
};
