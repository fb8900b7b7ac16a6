#include "assembler/outcome.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"

enum { HOSTS_NAMED_MAX = 16, TEXT_BYTES = 512 };

/* Why a part did not end well, as words behind "edge host x was lost: ". */
static const char *reason_words(const struct part *part)
{
	switch (part->reason) {
	case PART_REASON_SILENT:
		return "it was not heard from any more";
	case PART_REASON_DEADLINE:
		return "it did not end in time";
	case PART_REASON_RESTARTED:
		return "its sampler restarted";
	case PART_REASON_ERROR:
		return part->error ? part->error : "it reported an error";
	case PART_REASON_NONE:
	case PART_REASON_TIME_LIMIT:
	case PART_REASON_PACKET_LIMIT:
	case PART_REASON_BYTE_LIMIT:
	case PART_REASON_STOPPED:
		break;
	}
	return part->error ? part->error : "no reason is known";
}

bool outcome_of_no_host(struct assembly *a)
{
	if (a->part_count > 0)
		return false;
	a->stop_reason = STOP_NO_HOST;
	a->message = job_is_full(&a->job)
			     ? "no edge host of this colo was connected when the job was submitted"
			     : "no edge host was connected when the job was submitted";
	return true;
}

bool outcome_of_bucket_gone(struct assembly *a)
{
	if (!a->bucket_gone)
		return false;
	a->keep_chunks = true;
	a->message = "the bucket was removed from the account while the capture was under way";
	return true;
}

bool outcome_of_tries(struct assembly *a)
{
	if (a->attempt <= ATTEMPTS_MAX)
		return false;
	a->keep_chunks = true;
	a->message = BEGUN_TOO_OFTEN;
	return true;
}

bool outcome_of_all_lost(struct assembly *a)
{
	struct buf text;

	for (size_t i = 0; i < a->part_count; i++) {
		if (a->parts[i].state == PART_DONE || a->found[i].packets > 0)
			return false;
	}
	buf_init(&text, (size_t)(HOSTS_NAMED_MAX + 2) * TEXT_BYTES);
	buf_puts(&text, "no edge host delivered anything: ");
	for (size_t i = 0; i < a->part_count && i < HOSTS_NAMED_MAX; i++)
		buf_printf(&text, "%s%s (%s)", i ? ", " : "", a->parts[i].sampler_name,
			   reason_words(&a->parts[i]));
	if (a->part_count > HOSTS_NAMED_MAX)
		buf_printf(&text, " and %zu more", a->part_count - HOSTS_NAMED_MAX);
	const char *message = buf_cstr(&text);
	a->stop_reason = STOP_LOST;
	a->message = message ? arena_strdup(&a->arena, message) : NULL;
	if (!a->message)
		a->message = "no edge host delivered anything";
	buf_fini(&text);
	return true;
}

static bool any_reason(const struct assembly *a, enum part_reason reason)
{
	for (size_t i = 0; i < a->part_count; i++) {
		if (a->parts[i].reason == reason)
			return true;
	}
	return false;
}

/* The limit that the hosts had in hand together. */
static enum stop_reason limit_of_hosts(const struct assembly *a)
{
	struct ledger sum = {0};

	for (size_t i = 0; i < a->part_count; i++)
		ledger_add(&sum, &a->parts[i].ledger);
	bool packets = a->job.packet_limit > 0 && sum.captured >= a->job.packet_limit;
	return a->job.byte_limit > 0 && !packets ? STOP_BYTE_LIMIT : STOP_PACKET_LIMIT;
}

enum stop_reason outcome_stop_reason(const struct assembly *a)
{
	if (a->limit != STOP_NONE)
		return a->limit;
	if (a->job.packet_limit > 0 && a->packets >= a->job.packet_limit)
		return STOP_PACKET_LIMIT;
	if (a->job.byte_limit > 0 && a->bytes >= a->job.byte_limit)
		return STOP_BYTE_LIMIT;
	/* A stop that came when the hosts had reached the end of the window changed nothing. */
	if (a->job.stop_requested_us > 0 &&
	    (any_reason(a, PART_REASON_STOPPED) || !any_reason(a, PART_REASON_TIME_LIMIT)))
		return STOP_REQUESTED;
	/* The hosts had the job's packets in hand, although fewer came into the file. */
	if (any_reason(a, PART_REASON_BYTE_LIMIT))
		return STOP_BYTE_LIMIT;
	if (any_reason(a, PART_REASON_PACKET_LIMIT) || any_reason(a, PART_REASON_STOPPED))
		return limit_of_hosts(a);
	return STOP_TIME_LIMIT;
}

/* The list being made: bounded, the rest counted. */
struct warnings {
	cJSON *array;
	size_t count;
};

/* Append a text; one that is cut or an edge host's may break a character. */
static void push_text(cJSON *array, const char *text)
{
	struct buf repaired;

	buf_init(&repaired, SIZE_MAX);
	utf8_put_repaired(&repaired, bytes_of(text));
	const char *valid = buf_cstr(&repaired);
	json_push(array, valid ? cJSON_CreateString(valid) : NULL);
	buf_fini(&repaired);
}

static void warn(struct warnings *w, const char *fmt, ...) EC_PRINTF(2, 3);

static void warn(struct warnings *w, const char *fmt, ...)
{
	char text[2 * TEXT_BYTES];
	va_list args;

	if (w->count++ >= WARNINGS_MAX)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	push_text(w->array, text);
}

static void warn_of_end(struct warnings *w, const struct part *part, const struct part_found *found)
{
	bool lost = part->state == PART_LOST;

	if (!lost && part->state != PART_FAILED)
		return;
	warn(w, "edge host %s %s: %s; %s", part->sampler_name, lost ? "was lost" : "failed",
	     reason_words(part),
	     found->packets > 0 ? "what it had delivered before is included"
				: "nothing of it is included");
}

static void warn_of_clock(struct warnings *w, const struct part *part)
{
	int64_t us = part->clock_offset_us;

	if (us <= CLOCK_OFFSET_MAX_US && us >= -CLOCK_OFFSET_MAX_US)
		return;
	warn(w, "the clock of edge host %s is %.3f s %s; its time stamps are not corrected",
	     part->sampler_name, (us < 0 ? -1.0 : 1.0) * (double)us / 1e6,
	     us < 0 ? "behind" : "ahead");
}

/* What the host itself says it has lost. */
static void warn_of_drops(struct warnings *w, const struct part *part)
{
	const struct ledger *l = &part->ledger;
	uint64_t unseen = l->dropped_kernel + l->dropped_interface;

	if (l->dropped_spool > 0)
		warn(w,
		     "edge host %s had no room for %" PRIu64
		     " packets of this capture: they are not included",
		     part->sampler_name, l->dropped_spool);
	if (unseen > 0)
		warn(w,
		     "edge host %s was too busy to look at %" PRIu64
		     " packets: some of this capture's may be missing",
		     part->sampler_name, unseen);
}

static void warn_of_chunks(struct warnings *w, const struct part *part,
			   const struct part_found *found, bool narrowed)
{
	if (found->missing > 0)
		warn(w, "edge host %s: %" PRIu32 " chunks missing: their packets are not included",
		     part->sampler_name, found->missing);
	for (uint32_t i = 0; i < found->unusable && i < PART_NOTES_MAX; i++)
		warn(w, "edge host %s: %s; the rest of it is not included", part->sampler_name,
		     found->notes[i]);
	if (found->unusable > PART_NOTES_MAX)
		warn(w, "edge host %s: %" PRIu32 " more chunks were unusable", part->sampler_name,
		     found->unusable - PART_NOTES_MAX);
	if (found->rejected > 0 && narrowed)
		warn(w,
		     "edge host %s: %" PRIu64 " packets are outside the account's prefixes, which "
		     "were changed meanwhile: they are not included",
		     part->sampler_name, found->rejected);
	else if (found->rejected > 0)
		warn(w,
		     "edge host %s: %" PRIu64 " packets were outside the filter or the account's "
		     "prefixes and are not included",
		     part->sampler_name, found->rejected);
	/* The ledger must add up; when what is missing was said above, this is no news. */
	if (part->state == PART_DONE && part->ledger.captured != found->packets &&
	    found->missing == 0 && found->unusable == 0)
		warn(w,
		     "edge host %s: it captured %" PRIu64 " packets, %" PRIu64
		     " were found in its chunks",
		     part->sampler_name, part->ledger.captured, found->packets);
}

static bool any_packet(const struct assembly *a)
{
	for (size_t i = 0; i < a->part_count; i++) {
		if (a->found[i].packets > 0)
			return true;
	}
	return false;
}

const char *outcome_warnings(struct assembly *a)
{
	AUTO_JSON cJSON *array = cJSON_CreateArray();
	struct warnings w = {.array = array};

	if (!any_packet(a))
		warn(&w, "no packet matched the filter during the capture window");
	for (size_t i = 0; i < a->part_count; i++) {
		warn_of_end(&w, &a->parts[i], &a->found[i]);
		warn_of_clock(&w, &a->parts[i]);
		warn_of_drops(&w, &a->parts[i]);
		warn_of_chunks(&w, &a->parts[i], &a->found[i], a->scope_narrowed);
	}
	if (a->foreign > 0)
		warn(&w, "%" PRIu64 " stored objects that are no chunks of this job were ignored",
		     a->foreign);
	if (a->uploads_unseen)
		warn(&w, "the bucket may hold an unfinished upload of an earlier try: its "
			 "multipart uploads "
			 "could not be listed");
	if (a->ignored_chunks > 0)
		warn(&w, "%" PRIu64 " chunks beyond the limit of a job are not included",
		     a->ignored_chunks);
	if (w.count > WARNINGS_MAX) {
		char text[64];
		(void)snprintf(text, sizeof(text), "%zu more warnings", w.count - WARNINGS_MAX);
		push_text(array, text);
	}
	AUTO_FREE char *text = json_print(array);
	return text ? arena_strdup(&a->arena, text) : NULL;
}

uint64_t outcome_out_of_scope(const struct assembly *a, size_t part)
{
	return a->scope_narrowed ? 0 : a->found[part].rejected;
}

/* By what its hosts said the job had reached a limit, but it has not: they were told to stop too early. */
static bool stopped_short(const struct assembly *a)
{
	struct ledger sum = {0};

	for (size_t i = 0; i < a->part_count; i++)
		ledger_add(&sum, &a->parts[i].ledger);
	return a->limit == STOP_NONE &&
	       ((a->job.packet_limit > 0 && sum.captured >= a->job.packet_limit &&
		 a->packets < a->job.packet_limit) ||
		(a->job.byte_limit > 0 && sum.bytes >= a->job.byte_limit &&
		 a->bytes < a->job.byte_limit));
}

bool outcome_miscounted(const struct assembly *a, size_t part)
{
	const struct part *p = &a->parts[part];
	const struct part_found *found = &a->found[part];
	bool more = p->ledger.captured > found->packets || p->ledger.bytes > found->bytes;

	if (outcome_out_of_scope(a, part) > 0)
		return true;
	if (p->state == PART_DONE)
		return more || p->ledger.captured != found->packets;
	return more && stopped_short(a);
}

struct retry outcome_retry(uint32_t attempt, uint32_t random)
{
	if (attempt >= ATTEMPTS_MAX)
		return (struct retry){.again = false};
	uint32_t delay_ms = (uint32_t)RETRY_FIRST_MS << (attempt > 0 ? attempt - 1 : 0);
	return (struct retry){.again = true, .delay_ms = delay_ms + random % (delay_ms / 4)};
}
