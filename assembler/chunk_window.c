#include "assembler/chunk_window.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "packet/pcapng.h"
#include "storage/store_wait.h"

/* Of an area that is read ahead, the share in front that is left free for the broken block at the end of the area before. */
enum { HEADROOM_SHARE = 16 };

/* p[begin..end) is not used yet. */
struct area {
	uint8_t *p;
	size_t cap, begin, end;
};

struct chunk_window {
	struct chunk_source source; /* key: below */
	uint64_t offset;            /* of the first byte that is in no area yet */
	size_t need;                /* charged to the part's budget; 0: nobody looked yet */
	size_t extra;               /* charged to the budgets of reading ahead */
	struct area front, back;    /* back: what comes behind front */
	struct store_wait_get get;  /* into back, or into front's free end */
	bool into_back;
	bool put_off; /* too much is under way: to be tried again */
	char key[STORE_KEY_MAX + 1];
};

/* --- memory --- */

static bool has_room(const struct chunk_budget *b, size_t freed, size_t wanted)
{
	return wanted <= b->max_bytes - (b->used_bytes - freed);
}

/* Charge what bytes of areas are beyond the need. False when there is no room for that; less than before always has. */
static bool cover(struct chunk_window *w, size_t bytes)
{
	struct chunk_budget *ahead = w->source.ahead, *all = w->source.ahead_all;
	size_t extra = bytes > w->need ? bytes - w->need : 0;

	if (!ahead)
		return true;
	if (extra > w->extra &&
	    (!has_room(ahead, w->extra, extra) || !has_room(all, w->extra, extra)))
		return false;
	ahead->used_bytes = ahead->used_bytes - w->extra + extra;
	all->used_bytes = all->used_bytes - w->extra + extra;
	w->extra = extra;
	return true;
}

static void area_free(struct area *a)
{
	free(a->p);
	*a = (struct area){.p = NULL};
}

/* Charge need bytes to the part. */
static int need_set(struct chunk_window *w, size_t need, struct error *err)
{
	struct chunk_budget *budget = w->source.budget;

	if (!has_room(budget, w->need, need))
		return error_set(err, EC_EFORMAT, "too many chunks of this host overlap in time");
	budget->used_bytes = budget->used_bytes - w->need + need;
	w->need = need;
	(void)cover(w, w->front.cap + w->back.cap);
	return 0;
}

static int need_grow(struct chunk_window *w, struct error *err)
{
	/* pcapng_read refuses longer blocks before it asks for more of them. */
	EC_ASSERT(w->need < PCAPNG_BLOCK_MAX);
	return need_set(w, w->need > PCAPNG_BLOCK_MAX / 2 ? PCAPNG_BLOCK_MAX : w->need * 2, err);
}

/* --- reading --- */

static uint64_t left(const struct chunk_window *w)
{
	return w->source.bytes - w->offset;
}

static size_t least(size_t n, uint64_t m)
{
	return n < m ? n : (size_t)m;
}

/* Ask for what fits behind the end of an area. */
static void ask(struct chunk_window *w, struct area *a)
{
	struct store_range range = {w->offset, a->p + a->end, least(a->cap - a->end, left(w))};

	EC_ASSERT(range.cap > 0);
	w->into_back = a == &w->back;
	store_wait_get_begin(w->source.store, w->key, range, &w->get);
}

static void ask_into_back(struct chunk_window *w)
{
	w->back.begin = w->back.end = w->back.cap / HEADROOM_SHARE;
	ask(w, &w->back);
}

/* Have an area behind the front, if there is memory for it. */
static bool back_make(struct chunk_window *w)
{
	uint64_t room = left(w) + left(w) / (HEADROOM_SHARE / 2) + HEADROOM_SHARE;
	size_t cap = least(w->source.read_bytes, room);

	if (!cover(w, w->front.cap + cap))
		return false;
	w->back.p = malloc(cap);
	w->back.cap = w->back.p ? cap : 0;
	if (!w->back.p)
		(void)cover(w, w->front.cap);
	return w->back.p;
}

/* Ask for what follows the front, if that may be done ahead. */
static void read_ahead(struct chunk_window *w)
{
	w->put_off = false;
	if (left(w) == 0) {
		area_free(&w->back);
		(void)cover(w, w->front.cap);
		return;
	}
	if (!w->source.ahead)
		return;
	if (store_wait_running(w->source.store) >= CHUNK_READS_AT_ONCE)
		w->put_off = true;
	else if (w->back.p || back_make(w))
		ask_into_back(w);
}

/* Ask for what follows the front: it is due. */
static int read_now(struct chunk_window *w, struct error *err)
{
	struct area *a = &w->front;

	if (w->back.p) {
		ask_into_back(w);
		return 0;
	}
	if (a->begin > 0) {
		memmove(a->p, a->p + a->begin, a->end - a->begin);
		a->end -= a->begin;
		a->begin = 0;
	}
	if (a->cap < w->need) {
		uint8_t *p = realloc(a->p, w->need);
		if (!p)
			return error_set(err, EC_ENOMEM, "no memory for a window of %zu bytes",
					 w->need);
		a->p = p;
		a->cap = w->need;
		(void)cover(w, a->cap);
	}
	ask(w, a);
	return 0;
}

/* The front is left with a piece of a block: put it in front of what was read behind it, and go on there. */
static int join(struct chunk_window *w, struct error *err)
{
	struct area *a = &w->front, *b = &w->back;
	size_t piece = a->end - a->begin, more = b->end - b->begin;

	if (piece <= b->begin) {
		b->begin -= piece;
		memcpy(b->p + b->begin, a->p + a->begin, piece);
		struct area next = *b;
		*b = *a;
		*a = next;
		if (b->cap < w->source.read_bytes)
			area_free(b);
	} else {
		uint8_t *p = malloc(piece + more);
		if (!p)
			return error_set(err, EC_ENOMEM, "no memory for a window of %zu bytes",
					 piece + more);
		memcpy(p, a->p + a->begin, piece);
		memcpy(p + piece, b->p + b->begin, more);
		area_free(a);
		area_free(b);
		*a = (struct area){.p = p, .cap = piece + more, .end = piece + more};
	}
	(void)cover(w, a->cap + b->cap);
	return 0;
}

/* Wait for what follows the front, then ask for what follows that. */
static int read_on(struct chunk_window *w, struct error *err)
{
	size_t n = 0;
	int r = w->get.store ? 0 : read_now(w, err);

	if (r < 0)
		return r;
	r = store_wait_get_end(&w->get, &n, err);
	if (r < 0)
		return r;
	/* The store keeps what it has: its host put another in its place, and may do so at each attempt. */
	if (n == 0)
		return error_set(err, EC_EFORMAT, "it became shorter while the job was assembled");
	w->offset += n;
	if (w->into_back) {
		w->back.end += n;
		r = join(w, err);
	} else {
		w->front.end += n;
	}
	if (r == 0)
		read_ahead(w);
	return r;
}

/* --- the window --- */

/* The first area, as large as may be; none without room. */
static int front_make(struct chunk_window *w, struct error *err)
{
	const struct chunk_source *s = &w->source;
	size_t small = least(s->window_bytes, s->bytes);
	size_t cap = s->ahead ? least(s->read_bytes, s->bytes) : small;

	if (!cover(w, cap))
		cap = small;
	if (!cover(w, cap))
		return 0;
	w->front.p = malloc(cap);
	if (!w->front.p) {
		(void)cover(w, 0);
		return error_set(err, EC_ENOMEM, "no memory for a window of %zu bytes", cap);
	}
	w->front.cap = cap;
	ask(w, &w->front);
	return 0;
}

int chunk_window_new(const struct chunk_source *source, struct chunk_window **ret,
		     struct error *err)
{
	if (source->bytes == 0)
		return error_set(err, EC_EFORMAT, "it is empty");
	if (source->bytes > LIMIT_CHUNK_BYTES)
		return error_set(err, EC_EFORMAT, "it is larger than %u bytes",
				 (unsigned)LIMIT_CHUNK_BYTES);
	EC_ASSERT(!source->ahead || source->read_bytes >= source->window_bytes);
	struct chunk_window *w = calloc(1, sizeof(*w));
	if (!w)
		return error_set(err, EC_ENOMEM, "no memory for a chunk");
	EC_ASSERT(strlen(source->key) < sizeof(w->key));
	memcpy(w->key, source->key, strlen(source->key) + 1);
	w->source = *source;
	w->source.key = w->key;
	int r = front_make(w, err);
	if (r < 0) {
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void chunk_window_free(struct chunk_window *w)
{
	if (!w)
		return;
	store_wait_get_drop(&w->get);
	area_free(&w->front);
	area_free(&w->back);
	(void)cover(w, 0);
	w->source.budget->used_bytes -= w->need;
	free(w);
}

struct bytes chunk_window_view(const struct chunk_window *w)
{
	const struct area *a = &w->front;

	if (!a->p)
		return (struct bytes){NULL, 0};
	return (struct bytes){a->p + a->begin, least(a->end - a->begin, w->need)};
}

void chunk_window_use(struct chunk_window *w, size_t n)
{
	w->front.begin += n;
	if (w->put_off)
		read_ahead(w);
}

int chunk_window_more(struct chunk_window *w, struct error *err)
{
	size_t there = w->front.end - w->front.begin;
	int r = 0;

	if (w->need == 0) {
		r = need_set(w, least(w->source.window_bytes, w->source.bytes), err);
		return r < 0 ? r : read_on(w, err);
	}
	if (there > w->need)
		return need_grow(w, err);
	if (left(w) == 0)
		return there == 0 ? EC_EEND
				  : error_set(err, EC_EFORMAT,
					      "it is cut off in the middle of a block");
	if (there == w->need)
		r = need_grow(w, err);
	return r < 0 ? r : read_on(w, err);
}
