#include "sampler/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "sampler/fair_share.h"
#include "sampler/spool_io.h"

/* What a part takes on the disk besides its chunks: a directory and a meta file. */
enum { PART_BYTES = 2 * SPOOL_BLOCK_BYTES };

enum task_kind { TASK_META, TASK_PUT, TASK_GET, TASK_REMOVE, TASK_REMOVE_PART };

/* One piece of work. */
struct task {
	STAILQ_ENTRY(task) link;
	enum task_kind kind;
	struct spool_part *part;
	uint32_t stream, seq;
	uint64_t disk_bytes; /* PUT: reserved; REMOVE: given back */
	struct bytes data;   /* PUT: borrowed */
	struct buf text;     /* META: to be written; GET: what was read */
	int code;            /* outcome; err has its text */
	struct error err;
	union {
		spool_done_cb done;
		spool_chunk_cb chunk;
		spool_data_cb data;
	} cb;
	void *arg;
};

STAILQ_HEAD(task_list, task);

struct spool_part {
	LIST_ENTRY(spool_part) link;
	struct spool *spool;
	struct id pcap;
	uint64_t disk_bytes;
	struct task_list waiting;           /* in the order of the calls */
	STAILQ_ENTRY(spool_part) turn_link; /* while something waits */
	uint32_t next_seq[LIMIT_STREAMS];
	uint32_t queued[LIMIT_STREAMS]; /* puts that have no number yet */
	struct task removal;            /* so that removing needs no memory */
};

struct spool {
	struct spool_config config;
	int lock;
	uint64_t used_bytes;
	uv_work_t work;
	struct task *current;            /* in the thread pool */
	STAILQ_HEAD(, spool_part) turns; /* parts that have work, the next one first */
	LIST_HEAD(, spool_part) parts;
	bool closing;
	uv_async_t closed; /* so that the close callback never comes from inside spool_close */
	spool_closed_cb closed_cb;
	void *closed_arg;
};

static uint64_t disk_bytes(uint64_t n)
{
	return (n + SPOOL_BLOCK_BYTES - 1) / SPOOL_BLOCK_BYTES * SPOOL_BLOCK_BYTES;
}

static void account(struct spool_part *part, uint64_t more, uint64_t less)
{
	EC_ASSERT(part->disk_bytes + more >= less);
	part->disk_bytes += more - less;
	part->spool->used_bytes += more - less;
}

static void task_free(struct task *t)
{
	buf_fini(&t->text);
	if (t != &t->part->removal)
		free(t);
}

/* --- in the thread pool --- */

static int get_run(struct task *t, int dir)
{
	char name[SPOOL_FILE_BYTES];
	uint32_t packets = 0;

	spool_io_chunk_file(t->stream, t->seq, name);
	int r = spool_io_read(dir, &t->part->pcap, name, &t->text, &t->err);
	if (r == 0)
		r = spool_chunk_check(buf_bytes(&t->text), &packets, &t->err);
	if (r == EC_EFORMAT)
		(void)error_prefix(&t->err, "%s/%s in the spool", t->part->pcap.hex, name);
	return r;
}

static void on_work(uv_work_t *work)
{
	struct spool *s = work->data;
	struct task *t = s->current;
	const struct id *pcap = &t->part->pcap;
	char name[SPOOL_FILE_BYTES];

	switch (t->kind) {
	case TASK_META:
		t->code = spool_io_meta_write(s->config.dir, pcap, buf_bytes(&t->text), &t->err);
		break;
	case TASK_PUT:
		t->code = spool_io_chunk_write(s->config.dir, pcap, t->stream, t->seq, t->data,
					       &t->err);
		break;
	case TASK_GET:
		t->code = get_run(t, s->config.dir);
		break;
	case TASK_REMOVE:
		spool_io_chunk_file(t->stream, t->seq, name);
		t->code = spool_io_unlink(s->config.dir, pcap, name, &t->err);
		break;
	case TASK_REMOVE_PART:
		t->code = spool_io_part_remove(s->config.dir, pcap, &t->err);
		break;
	}
}

/* --- on the loop --- */

static void next_start(struct spool *s);

static void part_free(struct spool_part *part)
{
	LIST_REMOVE(part, link);
	free(part);
}

/* Bookkeeping of a task that is done, and its callback. */
static void task_end(struct spool *s, struct task *t)
{
	const struct error *err = t->code < 0 ? &t->err : NULL;
	struct spool_part *part = t->part;

	switch (t->kind) {
	case TASK_META:
		if (t->cb.done)
			t->cb.done(t->arg, err);
		break;
	case TASK_PUT:
		part->queued[t->stream]--;
		if (err)
			account(part, 0, t->disk_bytes);
		else
			part->next_seq[t->stream]++;
		t->cb.chunk(t->arg, err, t->seq);
		break;
	case TASK_GET:
		t->cb.data(t->arg, err, err ? (struct bytes){0} : buf_bytes(&t->text));
		if (!err)
			t->text = (struct buf){0}; /* handed over */
		break;
	case TASK_REMOVE:
		if (!err)
			account(part, 0, t->disk_bytes);
		break;
	case TASK_REMOVE_PART:
		/* Also when some file could not be removed: nothing would ever give its space back. */
		account(part, 0, part->disk_bytes);
		break;
	}
	if (err && (t->kind == TASK_REMOVE || t->kind == TASK_REMOVE_PART) && s->config.failed)
		s->config.failed(s->config.arg, err);
	bool last = t->kind == TASK_REMOVE_PART;
	task_free(t);
	if (last)
		part_free(part);
}

static void on_work_done(uv_work_t *work, int status)
{
	struct spool *s = work->data;
	struct task *t = s->current;

	(void)status; /* never cancelled */
	s->current = NULL;
	task_end(s, t);
	next_start(s);
}

static void on_closed(uv_handle_t *handle)
{
	struct spool *s = handle->data;
	spool_closed_cb cb = s->closed_cb;
	void *arg = s->closed_arg;

	while (!LIST_EMPTY(&s->parts))
		part_free(LIST_FIRST(&s->parts));
	(void)close(s->lock);
	(void)close(s->config.dir);
	free(s);
	if (cb)
		cb(arg);
}

/* The oldest task of the part whose turn it is; NULL when nothing waits. */
static struct task *task_take(struct spool *s)
{
	struct spool_part *part = STAILQ_FIRST(&s->turns);

	if (!part)
		return NULL;
	struct task *t = STAILQ_FIRST(&part->waiting);
	STAILQ_REMOVE_HEAD(&part->waiting, link);
	STAILQ_REMOVE_HEAD(&s->turns, turn_link);
	if (!STAILQ_EMPTY(&part->waiting))
		STAILQ_INSERT_TAIL(&s->turns, part, turn_link);
	return t;
}

static void next_start(struct spool *s)
{
	if (s->current)
		return;
	struct task *t = task_take(s);
	if (!t) {
		if (s->closing && !uv_is_closing((uv_handle_t *)&s->closed))
			uv_close((uv_handle_t *)&s->closed, on_closed);
		return;
	}
	s->current = t;
	/* Only now: what was refused or failed before has taken no number. */
	if (t->kind == TASK_PUT)
		t->seq = t->part->next_seq[t->stream];
	EC_ASSERT(uv_queue_work(s->config.loop, &s->work, on_work, on_work_done) == 0);
}

static void task_add(struct task *t)
{
	struct spool *s = t->part->spool;

	EC_ASSERT(!s->closing);
	if (STAILQ_EMPTY(&t->part->waiting))
		STAILQ_INSERT_TAIL(&s->turns, t->part, turn_link);
	STAILQ_INSERT_TAIL(&t->part->waiting, t, link);
	next_start(s);
}

static struct task *task_new(struct spool_part *part, enum task_kind kind, void *arg)
{
	struct task *t = calloc(1, sizeof(*t));

	if (t) {
		t->kind = kind;
		t->part = part;
		t->arg = arg;
	}
	return t;
}

int spool_open(const struct spool_config *config, struct spool **ret, struct error *err)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (!s) {
		(void)close(config->dir);
		return error_set(err, EC_ENOMEM, "out of memory");
	}
	s->config = *config;
	STAILQ_INIT(&s->turns);
	LIST_INIT(&s->parts);
	s->lock = spool_io_lock(config->dir, err);
	if (s->lock < 0) {
		int r = s->lock;
		(void)close(config->dir);
		free(s);
		return r;
	}
	EC_ASSERT(uv_async_init(config->loop, &s->closed, NULL) == 0);
	uv_unref((uv_handle_t *)&s->closed);
	s->closed.data = s;
	s->work.data = s;
	*ret = s;
	return 0;
}

void spool_close(struct spool *s, spool_closed_cb cb, void *arg)
{
	if (!s) {
		if (cb)
			cb(arg);
		return;
	}
	s->closing = true;
	s->closed_cb = cb;
	s->closed_arg = arg;
	next_start(s);
}

uint64_t spool_used_bytes(const struct spool *s)
{
	return s->used_bytes;
}

struct spool_part *spool_part_new(struct spool *s, const struct id *pcap)
{
	struct spool_part *part = calloc(1, sizeof(*part));

	if (!part)
		return NULL;
	part->spool = s;
	part->pcap = *pcap;
	part->removal.kind = TASK_REMOVE_PART;
	part->removal.part = part;
	STAILQ_INIT(&part->waiting);
	LIST_INSERT_HEAD(&s->parts, part, link);
	account(part, PART_BYTES, 0);
	return part;
}

int spool_meta_put(struct spool_part *part, const struct spool_meta *m, spool_done_cb cb, void *arg)
{
	struct task *t = task_new(part, TASK_META, arg);

	if (!t)
		return EC_ENOMEM;
	t->cb.done = cb;
	buf_init(&t->text, SPOOL_META_BYTES);
	int r = spool_meta_encode(m, &t->text);
	if (r < 0) {
		task_free(t);
		return r;
	}
	task_add(t);
	return 0;
}

/* May the part have so much more of the disk? */
static int room_check(const struct spool_part *part, uint32_t stream, uint64_t need,
		      struct error *err)
{
	const struct spool *s = part->spool;
	uint64_t limit = s->config.limit_bytes;

	if (part->next_seq[stream] + part->queued[stream] >= LIMIT_CHUNKS_PER_STREAM)
		return error_set(err, EC_ELIMIT, "the stream has %d chunks already",
				 (int)LIMIT_CHUNKS_PER_STREAM);
	if (fair_share_allows(limit, s->used_bytes, part->disk_bytes - PART_BYTES, need))
		return 0;
	return error_set(err, EC_ELIMIT,
			 "EDGECAP_SPOOL_BYTES: of %" PRIu64 " bytes, %" PRIu64
			 " are in use and this capture has %" PRIu64 ", its share",
			 limit, s->used_bytes, part->disk_bytes);
}

int spool_chunk_put(struct spool_part *part, uint32_t stream, struct bytes data, spool_chunk_cb cb,
		    void *arg, struct error *err)
{
	uint64_t need = disk_bytes(data.n);

	EC_ASSERT(stream < LIMIT_STREAMS && data.n > 0 && data.n <= LIMIT_CHUNK_BYTES);
	int r = room_check(part, stream, need, err);
	if (r < 0)
		return r;
	struct task *t = task_new(part, TASK_PUT, arg);
	if (!t)
		return error_set(err, EC_ENOMEM, "out of memory");
	t->stream = stream;
	t->data = data;
	t->disk_bytes = need;
	t->cb.chunk = cb;
	account(part, need, 0);
	part->queued[stream]++;
	task_add(t);
	return 0;
}

int spool_chunk_get(struct spool_part *part, uint32_t stream, uint32_t seq, spool_data_cb cb,
		    void *arg)
{
	struct task *t = task_new(part, TASK_GET, arg);

	if (!t)
		return EC_ENOMEM;
	t->stream = stream;
	t->seq = seq;
	t->cb.data = cb;
	buf_init(&t->text, LIMIT_CHUNK_BYTES);
	task_add(t);
	return 0;
}

void spool_chunk_remove(struct spool_part *part, uint32_t stream, uint32_t seq, uint64_t bytes)
{
	struct task *t = task_new(part, TASK_REMOVE, NULL);

	if (!t)
		return; /* the file goes with the part */
	t->stream = stream;
	t->seq = seq;
	t->disk_bytes = disk_bytes(bytes);
	task_add(t);
}

void spool_part_remove(struct spool_part *part)
{
	task_add(&part->removal);
}

/* --- recovery --- */

struct recovery {
	struct spool *spool;
	const struct spool_recovery *events;
};

static int on_found(void *arg, const struct spool_found *what)
{
	const struct recovery *r = arg;
	struct spool_part *part = spool_part_new(r->spool, &what->meta.pcap);

	if (!part)
		return EC_ENOMEM;
	for (size_t i = 0; i < what->chunk_count; i++) {
		const struct spool_found_chunk *c = &what->chunks[i];
		account(part, disk_bytes(c->bytes), 0);
		part->next_seq[c->stream] = c->seq + 1; /* they come in order */
	}
	return r->events->found(r->events->arg, part, what);
}

static void on_note(void *arg, const char *name, const char *reason)
{
	const struct recovery *r = arg;

	r->events->note(r->events->arg, name, reason);
}

int spool_recover(struct spool *s, const struct spool_recovery *events, struct error *err)
{
	struct recovery recovery = {.spool = s, .events = events};
	struct spool_scan_events scan = {.arg = &recovery, .found = on_found, .note = on_note};

	return spool_scan(s->config.dir, &scan, err);
}
