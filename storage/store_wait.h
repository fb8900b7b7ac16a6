/* Blocking calls over store.h for a thread that has a loop of its own (the assembler's job threads).
 *
 * Each call runs the store's loop until its operation has called back. Never use it on a loop that
 * serves anything else. Errors and ownership are those of the asynchronous call of the same name.
 * A read or write can also be under way while its caller goes on (_begin, _end), any number of them at once; what is under way
 * moves on only while the loop runs: in any waiting call, or in store_wait_advance.
 */
#pragma once

#include "storage/store.h"

/* store_get, waited for; *ret_n is 0 when the object ends before the range. Returns 0 or a code with err. */
int store_wait_get(struct store *store, const char *key, struct store_range range, size_t *ret_n,
		   struct error *err) EC_MUST_CHECK;

/* A get under way, so that its caller can go on meanwhile. Zero-initialised: none. It must stay where it is until store_wait_get_end. */
struct store_wait_get {
	struct store *store; /* NULL: none */
	bool done;
	size_t n;
	struct error err;
};

/* store_get, not waited for. g: none under way (asserted). key: copied. range.dst: borrowed until store_wait_get_end, which must come
 * also for a get that nobody wants any more. */
void store_wait_get_begin(struct store *store, const char *key, struct store_range range,
			  struct store_wait_get *g);

/* Wait for the get, which is under way (asserted). *ret_n as of store_wait_get. Returns 0 or its code with err; g is none afterwards. */
int store_wait_get_end(struct store_wait_get *g, size_t *ret_n, struct error *err) EC_MUST_CHECK;

/* Wait for the get if there is one under way, whatever comes of it: its buffer is the caller's again. */
void store_wait_get_drop(struct store_wait_get *g);

/* Let what is under way move on, without waiting for anything. */
void store_wait_advance(struct store *store);

/* How many operations of the store are under way, all kinds together, as of the last time that its loop ran. */
size_t store_wait_running(const struct store *store);

/* store_reader_open, waited for. Returns 0 or a code with err. */
int store_wait_reader_open(struct store *store, const char *key, uint64_t offset, uint64_t length,
			   struct store_reader **ret, struct error *err) EC_MUST_CHECK;

/* store_reader_read, waited for; *ret_n is 0 at the end. */
int store_wait_read(struct store_reader *reader, void *dst, size_t cap, size_t *ret_n,
		    struct error *err) EC_MUST_CHECK;

/* store_writer_open, waited for. */
int store_wait_writer_open(struct store *store, const char *key, struct store_writer **ret,
			   struct error *err) EC_MUST_CHECK;

/* store_writer_write, waited for. */
int store_wait_write(struct store_writer *writer, struct bytes data,
		     struct error *err) EC_MUST_CHECK;

/* A write under way, so that its caller can go on meanwhile. Zero-initialised: none. It must stay where it is until
 * store_wait_write_end. */
struct store_wait_write {
	struct store *store; /* NULL: none */
	bool done;
	struct error err;
};

/* store_writer_write, not waited for. w: none under way (asserted). data: borrowed until store_wait_write_end, which must come before
 * anything else is done with the writer. */
void store_wait_write_begin(struct store_writer *writer, struct bytes data,
			    struct store_wait_write *w);

/* Wait for the write, if there is one under way. Returns 0 or its code with err; w is none afterwards. */
int store_wait_write_end(struct store_wait_write *w, struct error *err) EC_MUST_CHECK;

/* store_writer_commit, waited for. */
int store_wait_commit(struct store_writer *writer, struct store_info *ret,
		      struct error *err) EC_MUST_CHECK;

/* All keys under prefix, page by page: each is called for every entry and may return a code to stop
 * with it. */
int store_wait_list(struct store *store, const char *prefix,
		    int (*each)(void *arg, const struct store_entry *entry), void *arg,
		    struct error *err) EC_MUST_CHECK;

/* store_delete, waited for. */
int store_wait_delete(struct store *store, const char *const *keys, size_t count,
		      struct error *err) EC_MUST_CHECK;

/* store_close, waited for. */
void store_wait_close(struct store *store);

/* store_give_up, waited for. */
int store_wait_give_up(struct store *store, const char *key, struct error *err) EC_MUST_CHECK;
