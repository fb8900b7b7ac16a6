#include "sampler/stream.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "sampler/spsc.h"

enum {
	BATCH_PACKETS = 1024, /* then commands and chunks are looked after */
	COMMANDS_PER_JOB = 8, /* lent at once: insert, two closings, finish, changes of scope */
	COMMANDS_OTHER = 512, /* own connections */
	TABLE_KEYS_FIRST = 1024,
	DOWN_POLL_MS = 100, /* look at an interface that is down */
	SLEEP_MS_MAX = 60000,
};

struct stream {
	struct ring *ring;
	struct chunk_pool *pool;
	struct capture capture;
	struct spsc commands; /* loop -> thread: struct capture_command */
	struct spsc messages; /* thread -> loop: struct message */
	struct spsc blocks;   /* loop -> thread: blocks to be given back to the pool */
	/* the loop's: commands that are out, how many may be, and those that wait for it, oldest first */
	size_t lent, lent_max;
	struct capture_command *waiting;
	uv_async_t *wake_up;
	int wake_fd;
	uv_thread_t thread;
	bool started;
	atomic_bool stop;
	bool told; /* thread: messages were put since the loop was woken */
	atomic_bool dead;
	struct error death; /* written once, before dead */
	char name[16];
};

/* --- the capture thread --- */

static void emit(void *arg, struct message *m)
{
	struct stream *s = arg;
	bool there_was_room = spsc_push(&s->messages, m);

	EC_ASSERT(there_was_room);
	s->told = true;
}

static void commands_run(struct stream *s)
{
	struct capture_command *command;

	while ((command = spsc_pop(&s->commands)) != NULL)
		capture_command(&s->capture, command);
}

static void on_packet(void *arg, int64_t ts_ns, uint32_t wire_bytes, struct bytes data)
{
	struct stream *s = arg;

	/* what was ordered before this packet came in holds for it */
	if (spsc_pending(&s->commands))
		commands_run(s);
	capture_packet(&s->capture, ts_ns, wire_bytes, data);
}

static void blocks_take_back(struct stream *s)
{
	void *block;

	while ((block = spsc_pop(&s->blocks)) != NULL)
		chunk_pool_give(s->pool, block);
}

static void thread_died(struct stream *s, const struct error *err)
{
	s->death = *err;
	atomic_store_explicit(&s->dead, true, memory_order_release);
	capture_end_input(&s->capture);
	s->told = true;
}

/* One round. Returns true when there may be more packets. */
static bool thread_round(struct stream *s)
{
	struct error err = {0};
	int n = 0;

	blocks_take_back(s);
	commands_run(s);
	if (!s->capture.input_ended) {
		n = ring_read(s->ring, BATCH_PACKETS, on_packet, s, &err);
		if (n < 0)
			thread_died(s, &err);
		if (n < BATCH_PACKETS)
			capture_caught_up(&s->capture);
	}
	capture_tick(&s->capture, clock_mono_now_ms());
	if (s->told) {
		s->told = false;
		int rc = uv_async_send(s->wake_up);
		EC_ASSERT(rc == 0);
	}
	return n == BATCH_PACKETS;
}

static void thread_sleep(struct stream *s)
{
	uint64_t due_ms = capture_due_ms(&s->capture), now_ms = s->capture.now_ms;
	uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	struct pollfd fds[2] = {
		{.fd = s->wake_fd, .events = POLLIN},
		/* poll ignores a negative descriptor */
		{.fd = s->capture.input_ended ? -1 : ring_fd(s->ring), .events = POLLIN},
	};
	uint64_t count;

	if (wait_ms > SLEEP_MS_MAX)
		wait_ms = SLEEP_MS_MAX;
	if (wait_ms > DOWN_POLL_MS && !s->capture.input_ended && ring_is_down(s->ring))
		wait_ms = DOWN_POLL_MS;
	if (poll(fds, ARRAY_LEN(fds), (int)wait_ms) > 0 && (fds[0].revents & POLLIN)) {
		ssize_t n = read(s->wake_fd, &count, sizeof(count));
		(void)n; /* EAGAIN: it was a spurious wake-up */
	}
}

static void thread_main(void *arg)
{
	struct stream *s = arg;

	(void)pthread_setname_np(pthread_self(), s->name);
	while (!atomic_load_explicit(&s->stop, memory_order_acquire)) {
		if (!thread_round(s))
			thread_sleep(s);
	}
}

/* --- the loop thread --- */

static int queues_init(struct stream *s, uint32_t jobs_max)
{
	size_t blocks = chunk_pool_blocks_max(s->pool);

	s->lent_max = (size_t)jobs_max * COMMANDS_PER_JOB + COMMANDS_OTHER;
	int rc = spsc_init(&s->commands, s->lent_max);

	if (rc == 0)
		rc = spsc_init(&s->blocks, blocks);
	if (rc == 0)
		rc = spsc_init(&s->messages, s->lent_max + blocks + jobs_max);
	return rc;
}

static int stream_init(struct stream *s, const struct stream_settings *settings, struct error *err)
{
	struct classifier_table *table;

	s->wake_up = settings->wake_up;
	s->wake_fd = -1;
	int rc = ring_open(&settings->ring, &s->ring, err);
	if (rc < 0)
		return rc;
	(void)snprintf(s->name, sizeof(s->name), "cap%u:%s", settings->worker,
		       settings->ring.interface);
	s->pool = chunk_pool_new(settings->buffer_bytes, settings->jobs_max);
	table = classifier_table_new(TABLE_KEYS_FIRST);
	if (table)
		capture_init(&s->capture, ring_link_type(s->ring), s->pool, table, settings->seed);
	if (!s->pool || !table || queues_init(s, settings->jobs_max) < 0)
		return error_set(err, EC_ENOMEM, "%s: no memory", settings->ring.interface);
	capture_set_emit(&s->capture, emit, s);
	capture_set_ring(&s->capture, settings->ring.ring_bytes);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return error_set(err, EC_EIO, "%s: no eventfd", settings->ring.interface);
	return 0;
}

int stream_open(const struct stream_settings *settings, struct stream **ret, struct error *err)
{
	void *memory = NULL;

	/* the queues keep their ends in cache lines of their own */
	if (posix_memalign(&memory, SPSC_LINE_BYTES, sizeof(struct stream)) != 0)
		return error_set(err, EC_ENOMEM, "%s: no memory", settings->ring.interface);
	struct stream *s = memory;
	*s = (struct stream){0};
	int rc = stream_init(s, settings, err);
	if (rc < 0) {
		stream_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

int stream_start(struct stream *s, struct error *err)
{
	sigset_t all, before;

	EC_ASSERT(!s->started);
	/* signals are the loop's */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = uv_thread_create(&s->thread, thread_main, s);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return error_set(err, EC_EIO, "%s: cannot start a thread: %s", s->name,
				 uv_strerror(rc));
	s->started = true;
	return 0;
}

static void thread_wake(struct stream *s)
{
	uint64_t one = 1;
	ssize_t n = write(s->wake_fd, &one, sizeof(one));

	(void)n; /* EAGAIN: the counter is full, so it is awake */
}

void stream_stop(struct stream *s)
{
	if (!s->started)
		return;
	atomic_store_explicit(&s->stop, true, memory_order_release);
	thread_wake(s);
	int rc = uv_thread_join(&s->thread);
	EC_ASSERT(rc == 0);
	s->started = false;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	EC_ASSERT(!s->started);
	capture_fini(&s->capture);
	chunk_pool_free(s->pool);
	spsc_fini(&s->commands);
	spsc_fini(&s->messages);
	spsc_fini(&s->blocks);
	ring_close(s->ring);
	if (s->wake_fd >= 0)
		(void)close(s->wake_fd);
	free(s);
}

struct ring *stream_ring(const struct stream *s)
{
	return s->ring;
}

/* Lend commands that had to wait, as many as may be out. */
static void waiting_lend(struct stream *s)
{
	bool lent = false;

	while (s->waiting && s->lent < s->lent_max) {
		struct capture_command *command = s->waiting;
		s->waiting = command->next;
		lent = spsc_push(&s->commands, command);
		EC_ASSERT(lent);
		s->lent++;
	}
	if (lent)
		thread_wake(s);
}

void stream_send(struct stream *s, struct capture_command *command)
{
	struct capture_command **slot = &s->waiting;

	command->next = NULL;
	while (*slot)
		slot = &(*slot)->next;
	*slot = command;
	waiting_lend(s);
}

struct message *stream_receive(struct stream *s)
{
	struct message *m = spsc_pop(&s->messages);

	if (m && m->kind == MESSAGE_COMMAND) {
		s->lent--;
		waiting_lend(s);
	}
	return m;
}

void stream_chunk_give(struct stream *s, struct chunk *chunk)
{
	bool there_was_room = spsc_push(&s->blocks, chunk);

	EC_ASSERT(there_was_room);
}

uint64_t stream_delivered(struct stream *s)
{
	return capture_delivered(&s->capture);
}

bool stream_is_dead(struct stream *s, struct error *ret)
{
	if (!atomic_load_explicit(&s->dead, memory_order_acquire))
		return false;
	*ret = s->death;
	return true;
}
