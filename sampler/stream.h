/* A stream: one ring, its capture thread, and the queues between that thread and the loop.
 *
 * What it is: the thin driver around capture.h. The thread reads its ring, carries out commands between packets, ticks,
 * and sleeps in poll(2) on the ring and an eventfd.
 * What it is not: it knows no job's life. The engine decides; it sends commands and receives messages.
 *
 * Threads: all functions are the loop thread's. Ownership: commands are lent until they come back as messages; chunks are the
 * receiver's until stream_chunk_give. Before stream_start commands are kept and nothing is read. Queues are bounded: the way
 * to the loop has room for every block of the pool, every command lent and every job's limit, so it never overflows.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/attr.h"
#include "base/error.h"
#include "sampler/capture.h"
#include "sampler/message.h"
#include "sampler/ring.h"

struct stream;

struct stream_settings {
	struct ring_settings ring;
	uint32_t worker;       /* number of this ring on its interface */
	uint64_t buffer_bytes; /* of this stream's chunks */
	uint32_t jobs_max;
	uint64_t seed;       /* of the classifier */
	uv_async_t *wake_up; /* called when messages are there, or the ring died; borrowed */
};

/* Open the ring and make the queues. Returns 0 or an error of ring_open, EC_ENOMEM or EC_EIO. */
int stream_open(const struct stream_settings *settings, struct stream **ret,
		struct error *err) EC_MUST_CHECK;

/* Start the thread; once. Returns 0 or EC_EIO. */
int stream_start(struct stream *s, struct error *err) EC_MUST_CHECK;

/* End the thread and wait for it: less than a batch of packets. Also when it was never started. */
void stream_stop(struct stream *s);

/* Free; it must be stopped. Jobs that are still inside can be freed afterwards. Accepts NULL. */
void stream_free(struct stream *s);

/* The ring: attach filters, read counters. */
struct ring *stream_ring(const struct stream *s);

/* Lend a command to the thread, and wake it. Commands are carried out in the order in which they were sent, each before any packet that came into
 * the ring after this call. */
void stream_send(struct stream *s, struct capture_command *command);

/* The next message; NULL when there is none. */
struct message *stream_receive(struct stream *s);

/* Give the block of a chunk back. */
void stream_chunk_give(struct stream *s, struct chunk *chunk);

/* Packets that the thread has seen. */
uint64_t stream_delivered(struct stream *s);

/* True when the interface is gone for good; *ret: why. Commands are still carried out. */
bool stream_is_dead(struct stream *s, struct error *ret);
