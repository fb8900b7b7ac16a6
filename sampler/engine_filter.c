#include "base/clock.h"
#include "base/error.h"
#include "sampler/engine_state.h"
#include "sampler/job_table.h"

enum { IDLE_DELAY_MS = 1000 }; /* jobs come and go: do not wait for the processors each time */

/* Does the job still want packets to come into the ring? When it is being finished, all of its own are there. */
static bool wants_packets(const struct job *j)
{
	switch (j->phase) {
	case JOB_ADDED:
	case JOB_INSERTING:
	case JOB_ARMED:
	case JOB_CLOSING:
	case JOB_SETTLING:
		return true;
	case JOB_FINISHING:
	case JOB_ENDED:
		return false;
	}
	return true;
}

static size_t jobs_gather(struct engine *e)
{
	size_t n = 0;

	for (struct job *j = job_first(e->jobs); j; j = job_next(j)) {
		if (!wants_packets(j))
			continue;
		e->prefilter_jobs[n++] = (struct prefilter_job){
			.filter = &j->what.filter,
			.scope = &j->what.scope,
			.snaplen_bytes = j->what.snaplen_bytes,
		};
	}
	return n;
}

static struct sock_fprog build(struct engine *e, struct prefilter_input in,
			       enum prefilter_level level)
{
	in.level = level;
	prefilter_build(&in, e->prefilter);
	return prefilter_program(e->prefilter);
}

/* Attach; where the kernel has no memory for the program, make room first (the old one counts as long as it is there), then
 * make it wider. Every program on the way wants at least what the jobs want. */
static int attach_widening(struct engine *e, struct ring *ring, const struct prefilter_input *in)
{
	int rc = ring_attach(ring, build(e, *in, PREFILTER_EXACT));

	if (rc != EC_ENOMEM)
		return rc;
	rc = ring_attach(ring, build(e, *in, PREFILTER_ALL));
	for (enum prefilter_level level = PREFILTER_EXACT; rc == 0 && level < PREFILTER_ALL;
	     level = e->prefilter->level + 1) {
		struct sock_fprog program = build(e, *in, level);
		int wider = ring_attach(ring, program);
		if (wider != EC_ENOMEM)
			return wider;
	}
	return rc;
}

/* Attach what is right for one ring. same: the ring in front took the present program and looks alike. */
static int stream_apply(struct engine *e, struct engine_stream *es,
			const struct prefilter_input *jobs, bool same)
{
	struct ring *ring = stream_ring(es->stream);
	struct prefilter_input in = *jobs;

	in.view = ring_view(ring);
	in.direction = ring_direction(ring);
	if (same && ring_attach(ring, prefilter_program(e->prefilter)) == 0)
		return 0;
	return attach_widening(e, ring, &in);
}

void engine_filter_apply(struct engine *e)
{
	struct prefilter_input jobs = {.jobs = e->prefilter_jobs, .limit = BPF_CODE_MAX};
	struct ring *before = NULL;

	jobs.count = jobs_gather(e);
	e->narrow_ms = UINT64_MAX;
	for (uint32_t i = 0; i < e->stream_count; i++) {
		struct engine_stream *es = &e->streams[i];
		struct ring *ring = stream_ring(es->stream);
		bool same = before && ring_view(before) == ring_view(ring) &&
			    ring_direction(before) == ring_direction(ring);
		if (stream_apply(e, es, &jobs, same) < 0 && !es->dead) {
			(void)error_set(&es->death, EC_EIO, "%s: cannot attach a filter", es->name);
			engine_stream_died(e, es);
		}
		/* behind the filter: nothing comes that was not asked for */
		if (jobs.count > 0 && !es->dead && ring_hook(ring, true, &es->death) < 0)
			engine_stream_died(e, es);
		before = ring;
	}
	e->idle_ms = jobs.count > 0 ? UINT64_MAX : clock_mono_now_ms() + IDLE_DELAY_MS;
}

void engine_filter_idle(struct engine *e)
{
	e->idle_ms = UINT64_MAX;
	for (uint32_t i = 0; i < e->stream_count; i++) {
		struct engine_stream *es = &e->streams[i];
		if (!es->dead && ring_hook(stream_ring(es->stream), false, &es->death) < 0)
			engine_stream_died(e, es);
	}
}
