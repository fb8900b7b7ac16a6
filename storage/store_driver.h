/* What a driver of the store implements: the file driver and the S3 driver.
 *
 * Internal to storage/. store.c keeps the rules that all drivers share: keys are checked, a callback
 * never comes from inside the call that started it, readers and writers may be given up while an
 * operation of theirs runs, and store_close waits for all of it. A driver only carries out one
 * `struct store_op` after the other, in any way it likes (thread pool, sockets), and calls
 * store_op_done on the loop, never from inside the call that started it. It fills op->err or the
 * results, nothing else.
 */
#pragma once

#include "base/arena.h"
#include "storage/store.h"

struct store_op;

/* A driver's functions. Each store_op function reads its inputs from the op (see there). */
struct store_driver {
	const char *scheme; /* "file": the URL begins with scheme:// */

	/* Set up store->state. rest: the URL behind "scheme://". As store_open. */
	int (*open)(struct store *store, const char *rest, const struct store_config *config,
		    struct error *err);
	/* Free store->state, then call store_closed, at once or from the loop; no operation runs and no reader or writer is open. */
	void (*close)(struct store *store);
	/* As store_presign_put. */
	int (*presign_put)(struct store *store, const char *key, uint64_t max_bytes, int64_t now_us,
			   uint32_t ttl_s, char *dst);

	void (*check)(struct store_op *op);        /* begin and give up a write */
	void (*head)(struct store_op *op);         /* key -> info */
	void (*put)(struct store_op *op);          /* key, data -> info */
	void (*get)(struct store_op *op);          /* key, offset, dst, cap -> n */
	void (*reader_open)(struct store_op *op);  /* key, offset, length -> reader, info */
	void (*reader_read)(struct store_op *op);  /* reader, dst, cap -> n */
	void (*reader_close)(struct store_op *op); /* reader, freed; cannot fail */
	void (*writer_open)(struct store_op *op);  /* key -> writer */
	void (*writer_write)(struct store_op *op); /* writer, data */
	/* writer, freed in any case -> info */
	void (*writer_commit)(struct store_op *op);
	/* writer, freed. Cannot fail; op->err is kept as it is. */
	void (*writer_abort)(struct store_op *op);
	void (*list)(struct store_op *op);    /* key (the prefix), start_after, max -> entries... */
	void (*delete)(struct store_op *op);  /* keys, count */
	void (*sweep)(struct store_op *op);   /* age_s */
	void (*give_up)(struct store_op *op); /* key */
};

/* The driver of directories: file:///absolute/directory. */
extern const struct store_driver store_file_driver;

/* The driver of S3 servers: s3://bucket/prefix (storage/s3_place.h). */
extern const struct store_driver store_s3_driver;

struct store {
	uv_loop_t *loop;
	const struct store_driver *driver;
	void *state;    /* the driver's */
	size_t running; /* operations */
	size_t handles; /* open readers and writers */
	bool closing;
	store_closed_cb closed_cb;
	void *closed_arg;
};

/* Beginning of every driver's reader; allocated by the driver. */
struct store_reader {
	struct store *store;
	bool busy;   /* a read runs */
	bool closed; /* by the caller: to be released when the read is done */
};

/* Beginning of every driver's writer; allocated by the driver. */
struct store_writer {
	struct store *store;
	bool busy;
	bool aborted;
	struct error failed; /* of a write: a commit ends with it */
};

/* One operation: inputs, results, and whom to tell. Lives from the call to its callback. */
struct store_op {
	struct store *store;
	struct arena arena; /* keys, entries: whatever the operation needs to keep */

	/* inputs; which of them are set: see struct store_driver */
	const char *key;
	struct bytes data;
	struct store_reader *reader; /* input or result */
	struct store_writer *writer; /* input or result */
	uint64_t offset, length;
	void *dst;
	size_t cap;
	const char *start_after;
	size_t max;
	const char *const *keys;
	size_t count; /* of keys, or a result: of entries */
	uint64_t age_s;

	/* results */
	struct error err; /* code 0: success */
	struct store_info info;
	size_t n;
	struct store_entry *entries; /* in the arena */
	bool more;

	/* store.c's */
	void (*finish)(struct store_op *op);
	union {
		store_info_cb info;
		store_reader_cb reader;
		store_read_cb read;
		store_writer_cb writer;
		store_done_cb done;
		store_list_cb list;
	} cb;
	void *arg;

	/* for drivers that work in uv's thread pool, and for store.c's own failures */
	uv_work_t work;
	void (*run)(struct store_op *op);
};

/* A store without its driver's state; NULL without memory. loop: borrowed. Until it has its state, to be freed with free(). */
struct store *store_new(uv_loop_t *loop, const struct store_driver *driver) EC_MUST_CHECK;

/* The driver's state is gone: tell the caller of store_close, free store. */
void store_closed(struct store *store);

/* The driver is done with op: tell the caller, free op. On the loop. */
void store_op_done(struct store_op *op);

/* Carry out run(op) in uv's thread pool, then store_op_done(op). */
void store_op_pool(struct store_op *op, void (*run)(struct store_op *op));
