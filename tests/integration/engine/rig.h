/* An engine with a loop, and a record of everything that it says: for tests on real packets.
 *
 * Every chunk is read back as it comes: complete pcapng, records in order, numbers of chunks without gaps. Packets of ours end with
 * a number (4 bytes, host order); which numbers a job got is kept in order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "packet/filter.h"
#include "sampler/engine.h"
#include "tests/support/packet_builder.h"
#include "wire.h"

enum { RIG_JOBS_MAX = 1100, RIG_MS_MAX = 20000 };

struct rig_job {
	struct id pcap;
	uint32_t armed, ended, chunks; /* events */
	uint32_t next_seq[LIMIT_STREAMS];
	uint64_t stream_packets[LIMIT_STREAMS];
	uint64_t packets;
	struct engine_progress progress; /* of the ended event */
	char error[256];
	uint32_t *numbers; /* in the order in which they came */
	size_t count, cap;
	uint32_t longest; /* captured bytes */
	int64_t first_ns, last_ns;
};

struct rig {
	struct wire wire;
	uv_loop_t loop;
	struct engine *engine;
	struct engine_config config;
	const char *interfaces[WIRE_CABLES_MAX];
	size_t job_count;
	struct rig_job jobs[RIG_JOBS_MAX];
	uint32_t failed; /* events */
	struct error failure;
	bool closed;
	bool keep_chunks; /* do not give blocks back (until rig_give_back) */
	bool drop_chunks; /* refuse every second chunk */
	struct engine_chunk *kept;
	size_t kept_count;
};

/* An engine on cables c0 .. with defaults: direction in, rings of 32 MiB (however busy the machine, no test's packets are half of one, so that
 * nobody is refused by backlog.h), blocks of 5 ms, 32 MiB of buffers. Change g->config in between if need
 * be: rig_new, then rig_start. */
struct rig *rig_new(unsigned cables);

/* Open the engine and start it. */
void rig_start(struct rig *g);

/* Close the engine, the loop and the cables. */
void rig_free(struct rig *g);

/* A job that wants every packet for a minute: to be changed and handed to rig_add. */
struct engine_job rig_job_settings(void);

/* Add a job; returns its record, which lasts as long as the rig. Does not wait. */
struct rig_job *rig_add(struct rig *g, struct engine_job what);

/* Run the loop until the job is armed, or has ended; fails the test after RIG_MS_MAX. */
void rig_wait_armed(struct rig *g, struct rig_job *j);
void rig_wait_ended(struct rig *g, struct rig_job *j); /* As rig_wait_armed. */

/* Run the loop until so many packets were delivered to the job's classifiers; fails the test after RIG_MS_MAX. */
void rig_wait_delivered(struct rig *g, const struct rig_job *j, uint64_t delivered);

/* Run the loop for so long. */
void rig_run(struct rig *g, uint64_t ms);

/* Run what is due now, without waiting. */
void rig_poll(struct rig *g);

/* Wait until no more packets come in, stop a job and wait for its end; check its ledger and what the record has of it. */
void rig_stop(struct rig *g, struct rig_job *j);

/* Check the ended job: one armed, one ended, the ledger adds up, and as many packets came as it says. */
void rig_check_ended(const struct rig_job *j);

/* Give all kept chunks back. */
void rig_give_back(struct rig *g);

/* A UDP packet with a number: IPv4 10.1.2.3 to 192.0.2.9. */
void frame_udp(struct packet_builder *b, unsigned source_port, unsigned destination_port,
	       uint32_t number);

/* Send one to c0 or c1. */
void rig_send(struct rig *g, unsigned cable, unsigned destination_port, uint32_t number);

/* Send count of them to port 7, numbered from `from` on, and look after the loop meanwhile. */
void rig_send_many(struct rig *g, unsigned cable, uint32_t from, uint32_t count);

/* The job has exactly the numbers first, first + step ... (count of them), in order. */
void assert_numbers(const struct rig_job *j, uint32_t first, uint32_t step, size_t count);
