/* The board's tables: samplers, jobs, parts, and how they hang together. Internal to api/board*.c.
 *
 * The board owns samplers and jobs. A part belongs to its job's list and is found through its sampler's map; it goes with whichever
 * of the two goes first.
 */
#pragma once

#include <sys/queue.h>

#include "api/board.h"
#include "base/id_map.h"

enum {
	BOARD_TELL_AGAIN_US = 1000 * 1000,       /* repeat what was said and not confirmed */
	BOARD_SAMPLER_TTL_US = 60 * 1000 * 1000, /* unheard of: leaves the board */
	BOARD_TOMBSTONE_US = 120 * 1000 * 1000,  /* an ended job stays this long */
	BOARD_MISSED_US = 500 * 1000, /* ask again soon for a part that was not reported */
	BOARD_MISSED_MAX = 2,         /* so many messages without it: it is lost */
	BOARD_GRANT_LOW = 4,          /* fewer upload URLs left: grant more */
	BOARD_GRANTS_MAX = 4096, /* upload URLs in one answer: LIMIT_SYNC_BYTES holds thrice that */
	BOARD_GRANT_AGAIN_US =
		2 * 1000 * 1000, /* chunks wait and none was stored since: grant again */
	BOARD_UNKNOWN_MAX = 256, /* unknown parts followed up per message */
	BOARD_TEXT_BYTES = 64,
};

struct board_stream {
	uint32_t closed, stored; /* as reported */
	uint32_t granted;        /* URLs for seqs below this were sent */
	uint32_t granted_stored; /* what was stored then */
};

struct board_part {
	struct board_job *job;
	struct board_sampler *sampler;
	LIST_ENTRY(board_part) job_link;
	TAILQ_ENTRY(board_part) dirty_link;
	uint64_t added;     /* generation */
	uint64_t confirmed; /* newest generation of a load in which it is open */
	enum part_state state;
	bool reported; /* in the sampler's last message */
	bool recorded; /* its end is in the database: the sampler may forget it */
	bool dirty;    /* to be flushed */
	bool flushing;
	bool rescoped;   /* the scope changed and the sampler was not told yet */
	uint8_t missed;  /* messages in a row that did not report it although it runs */
	int64_t told_us; /* when `told` was last said; 0 never */
	enum sync_desired told;
	int64_t granted_us;
	struct board_stream streams[LIMIT_STREAMS];
	/* what goes into jq_progress */
	struct id boot;
	enum part_reason reason;
	char *error;
	int64_t started_us, ended_us;
	struct ledger ledger;
	uint32_t chunks_stored;
};

struct board_job {
	struct id account, pcap;
	bool full; /* whole packets */
	uint32_t time_limit_s;
	uint32_t packet_limit; /* 0: none */
	uint64_t byte_limit;   /* 0: none */
	int64_t deadline_us;
	struct filter filter;
	struct scope scope;
	uint64_t scope_generation; /* of the load that it is from */
	struct selection selection;
	bool stop;
	int64_t ended_us; /* 0 while capturing */
	LIST_HEAD(, board_part) parts;
};

/* A part that a sampler reported and the board does not have. */
struct board_unknown {
	struct id account, pcap;
	uint64_t since; /* generation when first seen */
	int64_t told_us;
};

struct board_sampler {
	struct id id;
	struct id boot;
	uint64_t seq;
	int64_t seen_us;
	int64_t clock_offset_us;
	bool heard_flushing;
	bool heard;      /* to be flushed: last_seen */
	bool needs_load; /* on the list of these */
	TAILQ_ENTRY(board_sampler) load_link;
	bool loading;
	uint64_t loaded; /* generation of the last finished load; 0 none */
	uint32_t stream_count;
	char software[BOARD_TEXT_BYTES], host[BOARD_TEXT_BYTES];
	char *interfaces_json;
	struct id_map parts; /* by capture id */
	struct board_unknown *unknown;
	size_t unknown_count;
};

struct board {
	struct board_events events;
	struct id_map samplers, jobs;
	size_t part_count;
	size_t heard_count; /* samplers to be flushed */
	TAILQ_HEAD(, board_sampler) to_load;
	TAILQ_HEAD(, board_part) dirty;
	uint64_t generation;
	bool flushing;
	struct board_part *in_flush[JQ_EDGE_BATCH_MAX]; /* cannot be dropped until board_flushed */
	size_t in_flush_count;
	uint64_t unreadable_jobs; /* filters in the database that do not parse */
};

/* Upload URLs granted ahead for each stream: LIMIT_UPLOAD_GRANTS, fewer where a sampler has hundreds of parts. */
uint32_t board_grant_window(const struct board_sampler *s);

/* Find or make a sampler. NULL without memory. */
struct board_sampler *board_sampler_need(struct board *b, const struct id *id);

/* Have a sampler's parts loaded. Does nothing when that is to be done already. */
void board_load_want(struct board *b, struct board_sampler *s);

/* Remove a sampler and its parts. */
void board_sampler_drop(struct board *b, struct board_sampler *s);

/* Make a part of job j at sampler s, stamped with the present generation. NULL without memory. */
struct board_part *board_part_new(struct board *b, struct board_job *j, struct board_sampler *s);

/* Remove a job and its parts. */
void board_job_drop(struct board *b, struct board_job *j);

/* Mark a part to be flushed. Does nothing when it is already. */
void board_part_touch(struct board *b, struct board_part *p);

/* End a part here, on behalf of its sampler: state failed, with a reason. Does nothing when it has ended. */
void board_part_fail(struct board *b, struct board_part *p, enum part_reason reason,
		     const char *error);

/* A job is over: it stays as a tombstone, and its samplers are woken. */
void board_job_end(struct board *b, struct board_job *j, int64_t now_us);

/* Copy a text (NULL allowed) over an older malloc'ed one. Without memory the old one stays. */
void board_text_set(char **dst, const char *src);
