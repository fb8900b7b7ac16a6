/* The edge protocol: one message up, one down, whole state each way (ARCHITECTURE.md, "Edge protocol").
 *
 * JSON over POST /edge/v1/sync. Both programs use this codec: encode on one side, decode (strict, hostile input) on
 * the other. Pure. Decoded messages live in the caller's arena. Times are microseconds since 1970 on the clock of the host
 * named in the member; lists are bounded by base/limits.h and a longer one is EC_ELIMIT. Numbers are exact up to
 * 2^53 and are capped there. Texts are repaired to UTF-8 and cut to their limit by the encoder.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"
#include "base/limits.h"
#include "packet/filter.h"
#include "packet/ledger.h"
#include "packet/selection.h"

enum { SYNC_VERSION = 1, SYNC_CHUNK_AGE_MS_MAX = 3600 * 1000 };

/* What a sampler says of a part. X(name, text) */
#define SYNC_PART_STATES(X)                                                                        \
	X(SYNC_PART_RUNNING, "running") /* armed; the window is open */                            \
	X(SYNC_PART_ENDED, "ended")     /* window closed, chunks still being uploaded */           \
	X(SYNC_PART_DONE, "done")       /* all chunks stored */                                    \
	X(SYNC_PART_FAILED, "failed")   /* could not run or go on; what is stored counts */

enum sync_part_state {
#define X(name, text) name,
	SYNC_PART_STATES(X)
#undef X
};

/* Why a part ended. X(name, text) */
#define PART_REASONS(X)                                                                            \
	X(PART_REASON_NONE, "")                                                                    \
	X(PART_REASON_TIME_LIMIT, "time_limit")                                                    \
	X(PART_REASON_PACKET_LIMIT, "packet_limit")                                                \
	X(PART_REASON_BYTE_LIMIT, "byte_limit")                                                    \
	X(PART_REASON_STOPPED, "stopped") /* told to: budget reached or the tenant's stop */       \
	X(PART_REASON_RESTARTED, "sampler_restarted") /* the process ended while it ran */         \
	X(PART_REASON_ERROR, "error")                 /* see the text */                           \
	X(PART_REASON_SILENT, "silent")               /* given up by the service */                \
	X(PART_REASON_DEADLINE, "deadline")           /* given up by the service */

enum part_reason {
#define X(name, text) name,
	PART_REASONS(X)
#undef X
};

/* Text of a state, static. */
const char *sync_part_state_text(enum sync_part_state s);

/* State of a text. Returns 0 or EC_EFORMAT. */
int sync_part_state_parse(const char *text, enum sync_part_state *ret) EC_MUST_CHECK;

/* Text of a reason, static; "" for PART_REASON_NONE. */
const char *part_reason_text(enum part_reason r);

/* Reason of a text. Returns 0 or EC_EFORMAT. */
int part_reason_parse(const char *text, enum part_reason *ret) EC_MUST_CHECK;

/* Progress of one stream (ring) of a part: chunks are numbered from 0 without gaps. */
struct sync_stream {
	uint32_t stream; /* 0..LIMIT_STREAMS-1, once per part */
	uint32_t closed; /* chunks made so far, 0..LIMIT_CHUNKS_PER_STREAM */
	uint32_t stored; /* chunks 0..stored-1 are in the store; <= closed */
};

struct sync_up_part {
	struct id account;
	struct id pcap;
	enum sync_part_state state;
	enum part_reason reason;
	const char *error;  /* NULL or the text of PART_REASON_ERROR, <= LIMIT_REASON_BYTES */
	int64_t started_us; /* armed at, host clock; 0 not yet */
	int64_t ended_us;   /* window closed at, host clock; 0 not yet */
	struct ledger ledger;
	size_t stream_count;
	struct sync_stream *streams;
};

struct sync_interface {
	const char *name; /* not empty, <= LIMIT_NAME_BYTES */
	uint32_t link_type;
	uint32_t
		streams; /* rings on it, 1..LIMIT_STREAMS; of all interfaces together as many at most */
	uint64_t received;       /* interface counter */
	uint64_t dropped_kernel; /* its rings, since start */
	uint64_t dropped_interface;
};

struct sync_up {
	struct id boot;       /* new for each sampler process */
	uint64_t seq;         /* rises with each message of a boot */
	int64_t clock_us;     /* host clock when sent */
	const char *software; /* not empty, <= LIMIT_NAME_BYTES */
	const char *host;     /* host name: as software */
	size_t interface_count;
	struct sync_interface *interfaces;
	size_t part_count;
	struct sync_up_part *parts; /* each (account, pcap) once */
};

/* What the service wants of a part. X(name, text) */
#define SYNC_DESIRED(X)                                                                            \
	X(SYNC_RUN, "run")                                                                         \
	X(SYNC_STOP, "stop")     /* end the window now, upload the rest, report done */            \
	X(SYNC_FORGET, "forget") /* recorded or no longer wanted: drop spool and state */

enum sync_desired {
#define X(name, text) name,
	SYNC_DESIRED(X)
#undef X
};

struct sync_grant {
	uint32_t stream;
	uint32_t seq;
	const char *url; /* PUT the chunk here; not empty, <= LIMIT_UPLOAD_URL_BYTES (asserted) */
	int64_t expires_us; /* the URL is good until then, API clock */
};

/* Text of a desired state, static. */
const char *sync_desired_text(enum sync_desired d);

/* Desired state of a text. Returns 0 or EC_EFORMAT. */
int sync_desired_parse(const char *text, enum sync_desired *ret) EC_MUST_CHECK;

struct sync_down_part {
	struct id account;
	struct id pcap;
	enum sync_desired desired;
	/* the rest only for SYNC_RUN and SYNC_STOP */
	struct filter filter;
	struct scope
		scope; /* prefixes in the arena, shared by parts with the same scope: no scope_fini */
	uint32_t snaplen_bytes; /* 1..PCAPNG_SNAPLEN_MAX */
	uint64_t packet_limit;  /* of the job; 0: none */
	uint64_t byte_limit;    /* 0: none */
	uint64_t time_limit_us; /* window length still to run when the part is not running yet */
	struct selection selection;
	uint32_t chunk_bytes;  /* close a chunk at this size, 1..LIMIT_CHUNK_BYTES */
	uint32_t chunk_age_ms; /* or this age, 1..SYNC_CHUNK_AGE_MS_MAX */
	size_t grant_count;
	struct sync_grant *grants;
};

struct sync_down {
	uint64_t seq;     /* of the message answered */
	int64_t clock_us; /* API clock when sent */
	bool superseded;  /* a newer message of this sampler took the long poll: ignore the rest */
	size_t part_count;
	struct sync_down_part *parts; /* each (account, pcap) once */
};

/* Encode a sampler's message and append it to out. m: borrowed for the call.
 * Returns 0, EC_ENOMEM, or EC_ELIMIT (a list or the whole is too long); on failure out is as before but for out->failed. */
int sync_up_encode(const struct sync_up *m, struct buf *out) EC_MUST_CHECK;

/* Encode the service's answer; as sync_up_encode. Equal scopes are sent once, however many parts have them. */
int sync_down_encode(const struct sync_down *m, struct buf *out) EC_MUST_CHECK;

/* Decode a sampler's message; everything in *ret lives in the arena.
 * Returns 0, EC_EFORMAT, EC_ELIMIT or EC_ENOMEM with the member in err. Another version is EC_EFORMAT. Unknown members are ignored. */
int sync_up_decode(struct bytes text, struct arena *a, struct sync_up *ret,
		   struct error *err) EC_MUST_CHECK;

/* Decode the service's answer; as sync_up_decode. */
int sync_down_decode(struct bytes text, struct arena *a, struct sync_down *ret,
		     struct error *err) EC_MUST_CHECK;
