#include "sampler/capture_job.h"

#include <stdlib.h>

#include "base/error.h"

struct classifier_rule *capture_rule_new(const struct filter *filter, const struct scope *scope,
					 struct capture_job *owner)
{
	struct classifier_rule *r = malloc(sizeof(*r));

	if (r && classifier_rule_init(r, filter, scope, owner) < 0) {
		free(r);
		return NULL;
	}
	return r;
}

void capture_rule_free(struct classifier_rule *r)
{
	if (!r)
		return;
	classifier_rule_fini(r);
	free(r);
}

struct capture_job *capture_job_new(const struct capture_job_settings *settings)
{
	struct capture_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->message.kind = MESSAGE_LIMIT;
	j->owner = settings->owner;
	j->snaplen_bytes = settings->snaplen_bytes;
	j->packet_limit = settings->packet_limit;
	j->byte_limit = settings->byte_limit;
	j->due_ms = UINT64_MAX;
	j->start_ns = INT64_MAX;
	j->end_ns = settings->end_ns;
	selector_init(&j->selector, &settings->selection, settings->seed);
	j->rule = capture_rule_new(settings->filter, settings->scope, j);
	if (!j->rule || chunk_writer_init(&j->writer, &settings->chunk, j) < 0) {
		capture_rule_free(j->rule);
		free(j);
		return NULL;
	}
	return j;
}

void capture_job_free(struct capture_job *j)
{
	if (!j)
		return;
	capture_rule_free(j->rule);
	chunk_writer_fini(&j->writer);
	free(j);
}

bool capture_job_decide(struct capture_job *j, const struct flow *flow,
			const struct pcapng_packet *p, bool *ret_limit)
{
	*ret_limit = false;
	j->counts.matched++;
	if (!selector_take(&j->selector, flow, p->data))
		return false;
	j->counts.selected++;
	if (!j->limit_reached && j->byte_limit &&
	    capture_job_cut(j, p->data.n) > j->byte_limit - j->counts.bytes)
		*ret_limit = j->limit_reached = j->byte_limit_reached = true;
	if (j->limit_reached)
		j->counts.dropped_limit++;
	return !j->limit_reached;
}

void capture_job_refuse(struct capture_job *j)
{
	j->counts.dropped_spool++;
}

void capture_job_store(struct capture_job *j, struct chunk_pool *pool, struct pcapng_packet p,
		       uint64_t now_ms, struct chunk **ret_done, bool *ret_limit)
{
	*ret_limit = false;
	p.data.n = capture_job_cut(j, p.data.n);
	if (chunk_writer_add(&j->writer, pool, &p, now_ms, ret_done) < 0) {
		j->counts.dropped_spool++;
		return;
	}
	j->counts.captured++;
	j->counts.bytes += p.data.n;
	if (j->packet_limit && j->counts.captured == j->packet_limit)
		*ret_limit = j->limit_reached = true;
}
