#include "jobqueue/jq_row.h"

static void read_ledger(struct pg_row *r, struct ledger *ret)
{
#define X(member, name) ret->member = pg_row_u64(r);
	LEDGER_COUNTERS(X)
#undef X
}

/* The word of a column that must have one of an enum's; anything else is an error of the row. */
static const char *read_word(struct pg_row *r)
{
	const char *word = pg_row_text(r);

	return word ? word : "?";
}

struct selection selection_read(struct pg_row *r)
{
	static const char *const methods[] = {
#define X(name, text) [name] = text,
		SELECTION_METHODS(X)
#undef X
	};
	struct selection s = {0};

	s.method = (enum selection_method)pg_row_word(r, methods, ARRAY_LEN(methods), 0,
						      "is no selection method");
	s.interval = pg_row_u32(r);
	s.space = pg_row_u32(r);
	s.probability_ppb = pg_row_u32(r);
	pg_row_copy(r, s.secret, sizeof(s.secret));
	return s;
}

enum part_state part_state_read(struct pg_row *r)
{
	enum part_state state = PART_ASSIGNED;

	if (part_state_parse(read_word(r), &state) < 0)
		pg_row_fail(r, "is no state of a part");
	return state;
}

void job_read(struct pg_row *r, struct job *ret)
{
	*ret = (struct job){0};
	ret->account = pg_row_id(r);
	ret->id = pg_row_id(r);
	ret->type = pg_row_text(r);
	ret->system = pg_row_text(r);
	ret->time_limit_s = pg_row_u32(r);
	ret->packet_limit = pg_row_u32(r);
	ret->byte_limit = pg_row_u64(r);
	ret->colo_name = pg_row_text(r);
	ret->destination = pg_row_text(r);
	ret->filter_json = pg_row_text(r);
	ret->selection = selection_read(r);
	if (job_stage_parse(read_word(r), &ret->stage) < 0)
		pg_row_fail(r, "is no stage of a job");
	ret->error_message = pg_row_text(r);
	ret->warnings_json = pg_row_text(r);
	ret->stop_requested_us = pg_row_time_us(r);
	ret->submitted_us = pg_row_time_us(r);
	ret->completed_us = pg_row_time_us(r);
	ret->expires_us = pg_row_time_us(r);
	ret->deadline_us = pg_row_time_us(r);
	ret->delete_requested_us = pg_row_time_us(r);
	ret->deleted_us = pg_row_time_us(r);
	if (stop_reason_parse(read_word(r), &ret->stop_reason) < 0)
		pg_row_fail(r, "is no stop reason");
	ret->parts.total = pg_row_u32(r);
	ret->parts.assigned = pg_row_u32(r);
	ret->parts.running = pg_row_u32(r);
	ret->parts.done = pg_row_u32(r);
	ret->parts.failed = pg_row_u32(r);
	ret->parts.lost = pg_row_u32(r);
	ret->packets_captured = pg_row_u64(r);
	ret->packets_cut = pg_row_u64(r);
	ret->packets_rejected = pg_row_u64(r);
	read_ledger(r, &ret->ledger);
	ret->pcap_key = pg_row_text(r);
	ret->pcapng_key = pg_row_text(r);
	ret->pcap_bytes = pg_row_u64(r);
	ret->pcapng_bytes = pg_row_u64(r);
	ret->pcap_sha256 = pg_row_text(r);
	ret->pcapng_sha256 = pg_row_text(r);
}

void part_read(struct pg_row *r, struct part *ret)
{
	*ret = (struct part){0};
	ret->account = pg_row_id(r);
	ret->pcap = pg_row_id(r);
	ret->sampler = pg_row_id(r);
	ret->sampler_name = pg_row_text(r);
	ret->colo = pg_row_text(r);
	ret->software = pg_row_text(r);
	ret->state = part_state_read(r);
	if (part_reason_parse(read_word(r), &ret->reason) < 0)
		pg_row_fail(r, "is no reason of a part");
	ret->error = pg_row_text(r);
	ret->started_us = pg_row_time_us(r);
	ret->ended_us = pg_row_time_us(r);
	ret->clock_offset_us = pg_row_i64(r);
	read_ledger(r, &ret->ledger);
	ret->chunks_stored = pg_row_u32(r);
	ret->packets_stored = pg_row_u64(r);
}

void audit_read(struct pg_row *r, struct jq_audit_event *ret)
{
	*ret = (struct jq_audit_event){0};
	ret->account = pg_row_id(r);
	ret->id = pg_row_id(r);
	ret->at_us = pg_row_time_us(r);
	ret->actor_id = pg_row_id(r);
	ret->actor = pg_row_text(r);
	ret->source = pg_row_text(r);
	ret->request_id = pg_row_text(r);
	ret->action = pg_row_text(r);
	ret->object = pg_row_id(r);
	ret->result = pg_row_text(r);
	ret->detail = pg_row_text(r);
}
