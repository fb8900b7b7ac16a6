/* Objects in a store: a local directory or S3, behind one asynchronous interface.
 *
 * An object is immutable bytes under a key ("chunks/a/b/c.pcapng": segments of [A-Za-z0-9._-] that do
 * not begin with '.', each at most 255 bytes, together at most STORE_KEY_MAX). It appears whole or not at all: a write is invisible
 * until its commit, and a committed object survives a crash (fsync of file and directory). SHA-256
 * is computed on the way.
 *
 * All calls and callbacks happen on the uv loop given to store_open; blocking work is done in uv's
 * thread pool. Every operation calls back exactly once, never from inside the call that started it.
 * Buffers are borrowed until the callback. Nothing here logs.
 * EDGECAP_STORAGE names the driver: file:///absolute/directory, or s3://bucket/prefix?... (storage/s3_place.h).
 *
 * On S3 an operation that meets a server that is away, busy or silent is tried again for half a minute before it fails with
 * EC_EUNAVAILABLE. Where S3 cannot give what a directory does, the function says so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"

/* STORE_FOLDER_KEY_MAX: what store_give_up finds by its folder. */
enum {
	STORE_KEY_MAX = 512,
	STORE_FOLDER_KEY_MAX = 200,
	STORE_URL_MAX = 2048,
	STORE_DELETE_MAX = 1000
};

struct store;

/* What a store is opened with; texts are copied. */
struct store_config {
	const char *url; /* EDGECAP_STORAGE */
	const char
		*upload_base_url; /* file driver: where samplers reach the API; NULL: cannot sign */
	struct bytes
		signing_secret; /* file driver: signs upload URLs; >= 32 bytes, empty: cannot */
	/* S3 driver: credentials, needed; and a file of trusted certificates, NULL: the system's */
	const char *s3_access_key_id, *s3_secret_access_key, *s3_ca_file;
	/* S3 driver: a key that may do nothing but put, which signs upload URLs; NULL, both: the one above does. A server that takes
	 * headers which are not signed (Ceph) copies for whoever has a URL what the key may read. */
	const char *s3_upload_key_id, *s3_upload_secret_key;
};

/* Open. loop: borrowed for the life of the store. The directory is made when its parent exists; it
 * must be writable. An S3 server is not asked anything (see store_check). Returns 0, or EC_EINVAL (the URL: which part is wrong) /
 * EC_EIO with a reason. Close with store_close. */
int store_open(uv_loop_t *loop, const struct store_config *config, struct store **ret,
	       struct error *err) EC_MUST_CHECK;

typedef void (*store_closed_cb)(void *arg);

/* Finish what runs (callbacks still come), wait until every reader and writer is closed, then free and
 * call cb (may be NULL). store: may be NULL (cb is then called at once). */
void store_close(struct store *store, store_closed_cb cb, void *arg);

/* True when url is an S3 store's: samplers then upload to S3 itself, and need no upload_base_url. Pure. */
bool store_is_s3(const char *url);

/* True when key has the form above. Pure. */
bool store_key_valid(struct bytes key);

/* err is NULL on success; borrowed for the call. Codes: EC_ENOTFOUND, EC_EUNAVAILABLE (worth trying
 * again), EC_ELIMIT (no space, quota), EC_EIO, EC_ECONFLICT, EC_EPERM (the store refuses our
 * credentials or its certificate is not trusted), EC_EINVAL (key), EC_ENOMEM. Texts name the
 * key, never the store's place or credentials: tenants may see them. */
typedef void (*store_done_cb)(void *arg, const struct error *err);

struct store_info {
	uint64_t bytes;
	struct digest sha256; /* of a write just committed; zero from a read or head */
	int64_t modified_us;  /* of a write to S3: when the server answered, in whole seconds */
};

typedef void (*store_info_cb)(void *arg, const struct error *err, const struct store_info *info);

/* Can objects be written now? Something is begun and given up; no object comes or goes. One try. */
void store_check(struct store *store, store_done_cb cb, void *arg);

/* Size of an object. key: copied. */
void store_head(struct store *store, const char *key, store_info_cb cb, void *arg);

/* Store an object in one go. data: borrowed until cb, at most LIMIT_CHUNK_BYTES. An object that is
 * there already with the same bytes is success; with other bytes it is EC_ECONFLICT and stays. On an S3 server that ignores
 * If-None-Match (no AWS, Ceph, MinIO, R2) two puts of different bytes at the same moment can both succeed; the later one stays. */
void store_put(struct store *store, const char *key, struct bytes data, store_info_cb cb,
	       void *arg);

/* n bytes are in the buffer; 0 is the end. */
typedef void (*store_read_cb)(void *arg, const struct error *err, size_t n);

/* Where to begin in an object, and room for cap bytes. */
struct store_range {
	uint64_t offset;
	void *dst;
	size_t cap;
};

/* Read a part of an object in one go: range.cap bytes, or those up to its end. key: copied. range.dst: borrowed until cb. */
void store_get(struct store *store, const char *key, struct store_range range, store_read_cb cb,
	       void *arg);

/* --- reading --- */

struct store_reader;
typedef void (*store_reader_cb)(void *arg, const struct error *err, struct store_reader *reader,
				const struct store_info *info);

/* Open for reading from offset. length: bytes to read, UINT64_MAX for all. On success the caller owns
 * the reader (store_reader_close). The object stays readable to the end although it is deleted
 * meanwhile; from S3 only what is read within 1 MiB of the first byte, then a read ends with EC_ENOTFOUND, or with EC_EIO
 * when the object was replaced: never with bytes of another object. info->bytes: size of the whole object. */
void store_reader_open(struct store *store, const char *key, uint64_t offset, uint64_t length,
		       store_reader_cb cb, void *arg);

/* Read up to cap bytes, in order. One read at a time (asserted). dst: borrowed until cb. */
void store_reader_read(struct store_reader *reader, void *dst, size_t cap, store_read_cb cb,
		       void *arg);

/* Close; may be called while a read runs: its callback then comes with EC_ECANCELED, and dst is
 * borrowed until then. Accepts NULL. */
void store_reader_close(struct store_reader *reader);

/* --- writing --- */

struct store_writer;
typedef void (*store_writer_cb)(void *arg, const struct error *err, struct store_writer *writer);

/* Begin an object of unknown length. The caller owns the writer: end it with commit or abort. */
void store_writer_open(struct store *store, const char *key, store_writer_cb cb, void *arg);

/* Append. One write at a time (asserted). data: borrowed until cb. */
void store_writer_write(struct store_writer *writer, struct bytes data, store_done_cb cb,
			void *arg);

/* Make the object visible, replacing an older one of that key at once. After a write that failed it ends
 * with that write's error. No write may run (asserted). The writer is gone afterwards, success or not. */
void store_writer_commit(struct store_writer *writer, store_info_cb cb, void *arg);

/* Give up: nothing becomes visible, nothing is left behind. Accepts NULL. May be called while a write
 * runs: its callback then comes with EC_ECANCELED. */
void store_writer_abort(struct store_writer *writer);

/* --- listing and deleting --- */

struct store_entry {
	const char *key;
	uint64_t bytes;
	int64_t modified_us;
};

/* One page of keys in ascending order; more is true when another page follows (pass the last key as
 * start_after). */
typedef void (*store_list_cb)(void *arg, const struct error *err, const struct store_entry *entries,
			      size_t count, bool more);

/* List keys that begin with prefix (ending in '/') and come after start_after ("" for the first
 * page), at most max (1..1000) a page. prefix, start_after: copied. Unfinished writes are not shown. */
void store_list(struct store *store, const char *prefix, const char *start_after, size_t max,
		store_list_cb cb, void *arg);

/* Delete count (1..STORE_DELETE_MAX) objects; one that is not there is no error. keys: copied. Empty
 * folders go too. */
void store_delete(struct store *store, const char *const *keys, size_t count, store_done_cb cb,
		  void *arg);

/* Remove unfinished writes that nothing was added to for age_s seconds: what a killed process left behind. */
void store_sweep(struct store *store, uint64_t age_s, store_done_cb cb, void *arg);

/* Remove all unfinished writes of exactly this key, whatever their age: what a killed process left behind under a key that has one
 * writer at a time. The parts that an open writer of this key has stored go as well, and its commit then fails. An object of this
 * key stays. None is no error. On S3, what the killed process sent in its last moment can still arrive after this. EC_ECANCELED:
 * the store was closed meanwhile, some may be left. key: copied; one that ends in '/' stands for all keys in this folder (and is at
 * most STORE_FOLDER_KEY_MAX, as they are; longer ones may be left). */
void store_give_up(struct store *store, const char *key, store_done_cb cb, void *arg);

/* --- signed uploads --- */

/* A URL that allows a PUT of at most max_bytes to key until now_us + ttl_s. No I/O. S3 knows no limit of the length here, and a
 * second PUT replaces what the first one stored: the URL's holder can harm only his own chunk. dst:
 * STORE_URL_MAX. Returns 0, or EC_EINVAL when the store cannot sign. */
int store_presign_put(struct store *store, const char *key, uint64_t max_bytes, int64_t now_us,
		      uint32_t ttl_s, char *dst) EC_MUST_CHECK;
