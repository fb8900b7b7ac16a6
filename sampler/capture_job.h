/* One job on one stream: its rule, selector, chunk writer, window, limits and counts.
 *
 * Made and freed by the loop thread; between capture_insert and capture_finish (capture.h) everything but `published` belongs to the
 * capture thread. What happens to a matching packet is decided here, without I/O:
 *
 *   outside the window            not the job's: counted nowhere but in the stream's delivered packets
 *   matched -> selector           not selected: counted as matched only
 *   selected -> limits            packet_limit or byte_limit reached: dropped_limit, until the job is closed
 *   captured                      cut to the snap length and appended to a chunk; without memory, or while others would
 *                                 lose theirs (backlog.h), dropped_spool
 *
 * Limits are of this stream alone. packet_limit is exact: the packet that reaches it is the last one captured. byte_limit
 * is never exceeded: the first packet that does not fit any more ends it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/attr.h"
#include "packet/filter.h"
#include "packet/selection.h"
#include "sampler/backlog.h"
#include "sampler/capture_counts.h"
#include "sampler/chunk_writer.h"
#include "sampler/classifier.h"
#include "sampler/message.h"
#include "sampler/selector.h"

struct capture_job {
	struct message message; /* MESSAGE_LIMIT: sent once, when a limit is reached */
	void *owner;
	struct classifier_rule *rule; /* owned */
	struct selector selector;
	struct chunk_writer writer;
	uint32_t snaplen_bytes;
	uint64_t packet_limit, byte_limit; /* 0: none */
	int64_t start_ns, end_ns;          /* window, both inclusive */
	bool limit_reached;
	bool byte_limit_reached; /* which one it was */
	bool dirty;              /* counts changed since they were published */
	struct backlog_share share;
	struct capture_counts counts;
	struct capture_published published;
	uint64_t due_ms; /* of its open chunk; UINT64_MAX: none, and not in the list by_due */
	TAILQ_ENTRY(capture_job) by_due;
	struct capture_job *next_dirty;
	struct capture_job *next, **slot; /* all jobs of the stream */
};

struct capture_job_settings {
	const struct filter *filter; /* copied */
	const struct scope *scope;   /* copied */
	struct selection selection;
	uint64_t seed; /* of the selector */
	uint32_t snaplen_bytes;
	uint64_t packet_limit, byte_limit;
	int64_t end_ns; /* INT64_MAX: open */
	struct chunk_settings chunk;
	void *owner;
};

/* Make a job. Returns NULL without memory. Free with capture_job_free. */
struct capture_job *capture_job_new(const struct capture_job_settings *settings) EC_MUST_CHECK;

/* Free; it must have been finished, or never inserted. Accepts NULL. */
void capture_job_free(struct capture_job *j);

/* Make a rule on the heap for this job (another scope). NULL without memory. Free with capture_rule_free. */
struct classifier_rule *capture_rule_new(const struct filter *filter, const struct scope *scope,
					 struct capture_job *owner) EC_MUST_CHECK;

/* Free; accepts NULL. */
void capture_rule_free(struct classifier_rule *r);

/* What to do with a packet that matched: selection and limits, counted. True: capture it (capture_job_store). *ret_limit: a limit was
 * reached just now. */
bool capture_job_decide(struct capture_job *j, const struct flow *flow,
			const struct pcapng_packet *p, bool *ret_limit);

/* How many of captured_bytes the job takes: not more than its snap length. */
static inline size_t capture_job_cut(const struct capture_job *j, size_t captured_bytes)
{
	return captured_bytes < j->snaplen_bytes ? captured_bytes : j->snaplen_bytes;
}

/* Count a packet that was decided for, but is not to be stored: others would lose theirs (backlog.h). */
void capture_job_refuse(struct capture_job *j);

/* Cut a packet to the snap length and append it to a chunk, counted. *ret_done: a chunk that was finished, or NULL.
 * *ret_limit: the packet limit was reached with it. */
void capture_job_store(struct capture_job *j, struct chunk_pool *pool, struct pcapng_packet p,
		       uint64_t now_ms, struct chunk **ret_done, bool *ret_limit);
