/* Jobs of one capture stream, driven by hand, and packets for them. */
#pragma once

#include "packet/flow.h"
#include "sampler/capture.h"
#include "tests/support/packet_builder.h"
#include "tests/support/unit.h"

/* A job without limits that ends when it is told to, inserted; job_end frees it. */
static inline struct capture_job *job_make(struct capture *c, const struct filter *filter)
{
	static const struct scope all = {.unrestricted = true};
	struct capture_job_settings s = {
		.filter = filter,
		.scope = &all,
		.snaplen_bytes = 160,
		.end_ns = INT64_MAX,
		.chunk = {.interface = {.link_type = LINK_RAW, .snaplen_bytes = 160},
			  .chunk_bytes = 65536},
	};
	struct capture_job *j = capture_job_new(&s);
	struct capture_command command = {.kind = COMMAND_INSERT, .job = j};

	assert_non_null(j);
	capture_command(c, &command);
	return j;
}

/* Take it out of the stream; its ledger must add up. */
static inline void job_end(struct capture *c, struct capture_job *j)
{
	struct capture_command command = {.kind = COMMAND_FINISH, .job = j};

	capture_command(c, &command);
	capture_tick(c, 1);
	assert_int_equal(j->counts.captured + j->counts.dropped_spool, j->counts.selected);
	capture_job_free(j);
}

/* An empty UDP packet, at a time, to a port. */
static inline void send_packet(struct capture *c, int64_t ts_ns, unsigned destination_port)
{
	struct packet_builder b = {0};

	put_ipv4(&b, 17, 8);
	put_ports(&b, 1000, destination_port);
	capture_packet(c, ts_ns, (uint32_t)b.n, packet_bytes(&b));
}
