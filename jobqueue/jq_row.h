/* Rows of jobs and parts: the SELECT lists and what reads them, side by side. Not for other folders. */
#pragma once

#include "jobqueue/job.h"
#include "jobqueue/jq_audit.h"
#include "jobqueue/pg_row.h"

/* Columns of a job, from pcaps AS p, in the order of job_read. */
#define JOB_COLUMNS                                                                                \
	"p.account_id, p.id, p.type, p.system, p.time_limit_s, p.packet_limit, p.byte_limit,"      \
	" p.colo_name, p.destination, p.filter,"                                                   \
	" p.selection_method, p.selection_interval, p.selection_space,"                            \
	" p.selection_probability_ppb, p.selection_secret, p.stage, p.error_message, p.warnings,"  \
	" p.stop_requested_at, p.submitted, p.completed, p.expires, p.deadline,"                   \
	" p.delete_requested_at, p.deleted_at, p.stop_reason,"                                     \
	" p.parts_total, p.parts_assigned, p.parts_running, p.parts_done, p.parts_failed,"         \
	" p.parts_lost, coalesce(p.packets_in_file, p.captured), p.packets_cut,"                   \
	" p.packets_rejected, " LEDGER_COLUMNS(                                                    \
		"p") ", p.pcap_key, p.pcapng_key, p.pcap_bytes,"                                   \
		     " p.pcapng_bytes, p.pcap_sha256, p.pcapng_sha256"

/* Columns of a part, from pcap_parts AS x, in the order of part_read. */
#define PART_COLUMNS                                                                               \
	"x.account_id, x.pcap_id, x.sampler_id, x.sampler_name, x.colo, x.software, x.state,"      \
	" x.reason, x.error, x.started, x.ended, x.clock_offset_us, " LEDGER_COLUMNS(              \
		"x") ", x.chunks_stored, x.packets_stored"

/* The counters of a ledger, in the order of LEDGER_COUNTERS; t: alias of the table. */
#define LEDGER_COLUMNS(t)                                                                          \
	t ".observed, " t ".accepted, " t ".delivered, " t ".matched, " t ".selected, " t          \
	  ".captured, " t ".bytes, " t ".dropped_kernel, " t ".dropped_interface, " t              \
	  ".dropped_spool, " t ".dropped_limit"

/* Columns of an audit row, from audit_events AS e, in the order of audit_read. */
#define AUDIT_COLUMNS                                                                              \
	"e.account_id, e.id, e.at, e.actor_id, e.actor, e.source, e.request_id, e.action,"         \
	" e.object_id, e.result, e.detail"

/* Rows of a time: parameters since and until, inclusive; NULL: open. The bounds on id only tell the planner which partitions cannot
 * have it; an id's clock is the writer's, hence the day. */
#define AUDIT_FILTER_TIME(since, until)                                                            \
	" AND (" since "::timestamptz IS NULL OR (e.at >= " since                                  \
	"  AND e.id >= uuid_floor(" since "::timestamptz - interval '1 day')))"                    \
	" AND (" until "::timestamptz IS NULL OR (e.at <= " until                                  \
	"  AND e.id <= uuid_floor(" until "::timestamptz + interval '1 day')))"

/* Which rows of an account, which is $1: $2 action, $3 actor (no operator), $4 the actor's id, $5 true: operators only, $6 since,
 * $7 until; NULL: never mind. The planner sees the values, so what is NULL costs nothing. */
#define AUDIT_FILTER                                                                               \
	" AND ($2::text IS NULL OR e.action = $2)"                                                 \
	" AND ($3::text IS NULL OR (e.actor = $3 AND e.actor NOT LIKE 'operator:%'))"              \
	" AND ($4::uuid IS NULL OR e.actor_id = $4)"                                               \
	" AND ($5::boolean IS NULL OR e.actor LIKE 'operator:%')" AUDIT_FILTER_TIME("$6", "$7")

/* Read JOB_COLUMNS. ret: texts are borrowed from the result. Errors stay in r, and an unknown word is one. */
void job_read(struct pg_row *r, struct job *ret);

/* Read PART_COLUMNS, as job_read. */
void part_read(struct pg_row *r, struct part *ret);

/* Read AUDIT_COLUMNS. ret: texts are borrowed from the result. Errors stay in r. */
void audit_read(struct pg_row *r, struct jq_audit_event *ret);

/* Read a text column that must be a state of a part, as job_read. */
enum part_state part_state_read(struct pg_row *r);

/* Read the columns p.selection_method to p.selection_secret, as job_read. */
struct selection selection_read(struct pg_row *r);
