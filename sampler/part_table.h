/* All parts of this host: found by id, in the order in which they came.
 *
 * Pure. Also remembers the ids of parts that were here and are forgotten, because a part is never run twice: an API
 * replica whose knowledge is old may still ask for one.
 */
#pragma once

#include "base/arena.h"
#include "sampler/part.h"

enum { PART_TABLE_REMEMBERED = 1024 };

struct part_table;

/* What a down message wants of one part, given what is here. */
enum part_order {
	PART_ORDER_IGNORE, /* nothing to do */
	PART_ORDER_START,  /* new: take it on */
	PART_ORDER_NOT_BEGUN, /* to be stopped before it was ever here: say that it is done, with nothing captured */
	PART_ORDER_CONTINUE, /* take over its grants and scope */
	PART_ORDER_STOP,     /* the same, and end the window */
	PART_ORDER_FORGET,   /* drop it with everything that it has */
};

/* Decide. here: the part of that pcap, NULL when there is none. was_here: it is remembered. accepting: new parts are
 * welcome (false when this process is about to end). Pure. */
enum part_order part_order(const struct part *here, bool was_here, bool accepting,
			   const struct sync_down_part *d);

/* A digest of a scope, to notice when it changes. Pure. */
struct digest part_scope_digest(const struct scope *scope);

/* An empty table, or NULL without memory. Free with part_table_free. */
struct part_table *part_table_new(void) EC_MUST_CHECK;

/* Free with all parts; accepts NULL. */
void part_table_free(struct part_table *t);

/* The part of a pcap, or NULL. Borrowed. */
struct part *part_table_find(const struct part_table *t, const struct id *pcap);

/* Was a part of this pcap here that is gone now? */
bool part_table_remembers(const struct part_table *t, const struct id *pcap);

/* Add a part; p: taken on success. Its pcap must not be there (asserted). Returns 0 or EC_ENOMEM. */
int part_table_add(struct part_table *t, struct part *p) EC_MUST_CHECK;

/* Take a part out, remember its id, free it. */
void part_table_remove(struct part_table *t, struct part *p);

/* All parts, oldest first; TAILQ_FOREACH with `link`. Borrowed. */
struct part_list *part_table_parts(struct part_table *t);

/* How many there are. */
size_t part_table_count(const struct part_table *t);

/* Parts that are not finished: something is still going on. */
bool part_table_busy(const struct part_table *t);

/* A part that the service asked for or asked to stop, and that has not got there: is one about to? */
bool part_table_settling(const struct part_table *t);

/* The next chunk to upload, the parts taking turns; NULL when there is none now, and then *wake_ms is the earliest time (CLOCK_MONOTONIC) at
 * which one that failed can be tried again, UINT64_MAX when there is none. */
struct part_chunk *part_table_next_upload(struct part_table *t, uint64_t now_ms, uint64_t *wake_ms);

/* Fill in the parts of message ret->seq, and note what it says. The lists live in the arena. Returns 0 or EC_ENOMEM. */
int part_table_report(struct part_table *t, struct arena *a, struct sync_up *ret) EC_MUST_CHECK;

/* Did anything change that the newest message does not say? */
bool part_table_changed(const struct part_table *t);
