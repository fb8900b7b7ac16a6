/* The small file beside a part's chunks in the spool: whose they are, so that a restarted sampler can deliver them.
 *
 * JSON, strict, version 1. Pure; reads bytes that may be damaged. Written when the part is taken on, when its window opens, and
 * once more when its window has closed and all its chunks are in the spool (state "ended": then nothing but uploads is
 * left to do, and a restarted sampler can finish the part as if nothing had happened).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"
#include "base/limits.h"
#include "packet/ledger.h"
#include "packet/sync_message.h"

enum {
	SPOOL_META_BYTES = 16 * 1024, /* more than the longest */
	SPOOL_BOOT_BYTES = 37,        /* the kernel's boot_id and a NUL */
};

/* A value type. */
struct spool_meta {
	struct id account, pcap;
	char kernel_boot[SPOOL_BOOT_BYTES]; /* which run of the host wrote this; "" unknown */
	int64_t started_us, ended_us;       /* wall clock; 0 not yet */
	uint32_t snaplen_bytes;             /* the job's limits, for people */
	uint64_t packet_limit, byte_limit, time_limit_us;
	/* the rest counts when ended */
	bool ended;
	enum part_reason reason;
	char error[LIMIT_REASON_BYTES + 1]; /* "" none */
	struct ledger ledger;
	size_t stream_count; /* 0..LIMIT_STREAMS */
	uint32_t closed[LIMIT_STREAMS];
};

/* Append the JSON text. Returns 0 or EC_ENOMEM. */
int spool_meta_encode(const struct spool_meta *m, struct buf *out) EC_MUST_CHECK;

/* Read it back. Returns 0, EC_EFORMAT, EC_ELIMIT or EC_ENOMEM with the member in err. */
int spool_meta_decode(struct bytes text, struct spool_meta *ret, struct error *err) EC_MUST_CHECK;
