#include <stdlib.h>

#include "base/clock.h"
#include "jobqueue/jq_edge.h"
#include "jobqueue/jq_internal.h"

enum {
	REPLICA_GAP_S = 5,
	FLUSH_COLUMN_BYTES = 32 * 1024 * 1024, /* one column of JQ_EDGE_BATCH_MAX rows */
};

/* Columns of the batch, in the order of edge_flush's parameters (0008_edge.sql). */
enum {
	SEEN_SAMPLER,
	SEEN_AGE,
	SEEN_HOST,
	SEEN_SOFTWARE,
	SEEN_INTERFACES,
	PART_ACCOUNT,
	PART_PCAP,
	PART_SAMPLER,
	PART_BOOT,
	PART_STATE,
	PART_REASON,
	PART_ERROR,
	PART_STARTED,
	PART_ENDED_AT,
	PART_CLOCK_OFFSET,
	PART_CHUNKS,
	PART_LEDGER, /* one column for each of LEDGER_COUNTERS from here on */
#define X(member, name) +1
	FLUSH_COLUMNS = PART_LEDGER LEDGER_COUNTERS(X)
#undef X
};

struct op_flush {
	struct pg_op op;
	jq_flushed_cb cb;
	void *arg;
	struct pg_array columns[FLUSH_COLUMNS];
};

static int read_flushed(const PGresult *res, struct jq_flushed_job *jobs, struct error *err)
{
	for (int i = 0; i < PQntuples(res); i++) {
		struct pg_row row = pg_row_at(res, i);
		jobs[i].account = pg_row_id(&row);
		jobs[i].pcap = pg_row_id(&row);
		jobs[i].captured = pg_row_u64(&row);
		jobs[i].stop = pg_row_bool(&row);
		jobs[i].ended = pg_row_bool(&row);
		int code = pg_row_end(&row, err);
		if (code < 0)
			return code;
	}
	return 0;
}

static void flush_done(struct pg_op *op)
{
	const struct op_flush *o = (const struct op_flush *)op;
	size_t count = op->err.code == 0 ? (size_t)PQntuples(op_rows(op, 0)) : 0;
	AUTO_FREE struct jq_flushed_job *jobs = calloc(count + 1, sizeof(*jobs));

	if (!jobs)
		(void)pg_op_fail(op, EC_ENOMEM, "out of memory");
	bool ok = jobs && op->err.code == 0 && read_flushed(op_rows(op, 0), jobs, &op->err) == 0;
	o->cb(o->arg, op_error(op), ok ? jobs : NULL, ok ? count : 0);
}

static void flush_fini(struct pg_op *op)
{
	struct op_flush *o = (struct op_flush *)op;

	for (size_t i = 0; i < FLUSH_COLUMNS; i++)
		pg_array_fini(&o->columns[i]);
}

static void put_seen(struct pg_array *c, const struct jq_seen *seen, int64_t now_us)
{
	pg_array_id(&c[SEEN_SAMPLER], &seen->sampler);
	pg_array_i64(&c[SEEN_AGE], now_us - seen->seen_us);
	pg_array_str(&c[SEEN_HOST], seen->host);
	pg_array_str(&c[SEEN_SOFTWARE], seen->software);
	pg_array_str(&c[SEEN_INTERFACES], seen->interfaces_json);
}

static void put_progress(struct pg_array *c, const struct jq_progress *p)
{
	struct pg_array *counter = &c[PART_LEDGER];

	EC_ASSERT(p->state != PART_ASSIGNED);
	pg_array_id(&c[PART_ACCOUNT], &p->account);
	pg_array_id(&c[PART_PCAP], &p->pcap);
	pg_array_id(&c[PART_SAMPLER], &p->sampler);
	pg_array_id(&c[PART_BOOT], &p->boot);
	pg_array_str(&c[PART_STATE], part_state_text(p->state));
	pg_array_str(&c[PART_REASON], part_reason_text(p->reason));
	pg_array_str(&c[PART_ERROR], p->error);
	pg_array_time(&c[PART_STARTED], p->started_us);
	pg_array_time(&c[PART_ENDED_AT], p->ended_us);
	pg_array_i64(&c[PART_CLOCK_OFFSET], p->clock_offset_us);
	pg_array_i64(&c[PART_CHUNKS], p->chunks_stored);
#define X(member, name) pg_array_u64(counter++, p->ledger.member);
	LEDGER_COUNTERS(X)
#undef X
}

void jq_edge_flush(struct jq *jq, const struct jq_flush *flush, jq_flushed_cb cb, void *arg)
{
	struct op_flush *o = pg_op_new(sizeof(*o), "fleet", NULL, flush_done);
	int64_t now_us = clock_wall_now_us();

	EC_ASSERT(flush->seen_count <= JQ_EDGE_BATCH_MAX &&
		  flush->progress_count <= JQ_EDGE_BATCH_MAX);
	o->cb = cb;
	o->arg = arg;
	o->op.fini = flush_fini;
	for (size_t i = 0; i < FLUSH_COLUMNS; i++)
		pg_array_init(&o->columns[i], FLUSH_COLUMN_BYTES);
	for (size_t i = 0; i < flush->seen_count; i++)
		put_seen(o->columns, &flush->seen[i], now_us);
	for (size_t i = 0; i < flush->progress_count; i++)
		put_progress(o->columns, &flush->progress[i]);
	pg_op_statement(
		&o->op,
		"SELECT account_id, pcap_id, captured, stop, ended FROM edge_flush($1::uuid,"
		" $2::integer, $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[],"
		" $8::uuid[], $9::uuid[], $10::uuid[], $11::uuid[], $12::text[], $13::text[],"
		" $14::text[], $15::timestamptz[], $16::timestamptz[], $17::bigint[],"
		" $18::integer[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[],"
		" $23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[],"
		" $28::bigint[], $29::bigint[])");
	pg_op_id(&o->op, &flush->replica);
	pg_op_i64(&o->op, REPLICA_GAP_S);
	for (size_t i = 0; i < FLUSH_COLUMNS; i++)
		pg_op_borrow(&o->op, pg_array_text(&o->columns[i]));
	pg_pool_submit(jq->pool, &o->op);
}
