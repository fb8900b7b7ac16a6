#include "sampler/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/limits.h"
#include "packet/sync_message.h"
#include "sampler/cage.h"
#include "sampler/cage_limits.h"
#include "sampler/capture.h"
#include "sampler/offline_jobs.h"
#include "version.h"

enum {
	BUFFER_BYTES = 256 * 1024 * 1024, /* only what is used costs memory */
	CHUNK_BYTES_MIN = 8 * 1024,
	SELECTION_TEXT_BYTES = 64,
	COMMENT_BYTES = 128,
};

/* A job and its file. */
struct output {
	const struct offline_job *what;
	struct capture_job *job;
	bool begun;  /* the file has its head */
	bool closed; /* a limit was reached and said to the stream */
	enum part_reason reason;
	int64_t end_ns;
};

struct run {
	const struct offline_settings *settings;
	FILE *file;
	pcap_t *pcap;
	uint32_t link_type;
	struct offline_jobs jobs;
	struct output *outputs;
	struct chunk_pool *pool;
	struct capture capture;
	bool limits; /* some job reached a limit with this packet */
	int64_t first_ns;
	struct error failure; /* of a write within a callback */
};

/* --- files --- */

static int path_of(const struct run *r, const struct output *o, char dst[PATH_MAX])
{
	int n = snprintf(dst, PATH_MAX, "%s/%s.pcapng", r->settings->out_dir, o->what->pcap.hex);

	return n < PATH_MAX ? 0 : EC_ELIMIT;
}

/* Append to a job's file, its head first when it is new. Not kept open: there may be more jobs than descriptors. */
static int output_append(struct run *r, struct output *o, struct bytes b, struct error *err)
{
	char path[PATH_MAX];
	int rc = path_of(r, o, path);

	if (rc < 0)
		return error_set(err, rc, "%s: the path is too long", r->settings->out_dir);
	AUTO_FD int fd =
		open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (o->begun ? O_APPEND : O_TRUNC), 0644);
	if (fd < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open %s", path);
	if (!o->begun)
		rc = fd_write_all(fd, buf_bytes(&o->job->writer.head));
	if (rc == 0)
		rc = fd_write_all(fd, b);
	if (rc < 0)
		return error_set_errno(err, rc, errno, "cannot write %s", path);
	o->begun = true;
	return 0;
}

static int link_type_find(struct run *r, struct error *err)
{
	int dlt = pcap_datalink(r->pcap);

	switch (dlt) {
	case DLT_EN10MB:
		r->link_type = LINK_ETHERNET;
		return 0;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		r->link_type = LINK_RAW;
		return 0;
	case DLT_LINUX_SLL:
		r->link_type = LINK_LINUX_SLL;
		return 0;
	case DLT_LINUX_SLL2:
		r->link_type = LINK_LINUX_SLL2;
		return 0;
	default: /* a number from outside, not an enum */
		return error_set(err, EC_EINVAL, "%s: link type %d is not supported",
				 r->settings->read_path, dlt);
	}
}

/* Open what is read and written, then let nothing else be opened. */
static int files_open(struct run *r, struct error *err)
{
	const struct offline_settings *s = r->settings;
	struct cage_limits_settings limits = {
		.memory_max_bytes = s->memory_max_bytes,
		.buffer_bytes = BUFFER_BYTES,
		.streams = 1,
		.jobs_max = (uint32_t)r->jobs.count,
	};
	struct cage_plan plan = {.calls = {.files = true}, .may_be_open = s->unconfined};

	r->file = fopen(s->read_path, "re");
	if (!r->file)
		return error_set_errno(err, EC_EIO, errno, "cannot open %s", s->read_path);
	AUTO_FD int out = open(s->out_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open %s", s->out_dir);
	if (!s->caged)
		return 0;
	plan.writable = out;
	int rc = cage_limits_make(&limits, &plan.limits, err);
	return rc < 0 ? rc : cage_enter(&plan, err);
}

static int capture_file_begin(struct run *r, struct error *err)
{
	char reason[PCAP_ERRBUF_SIZE] = "";

	r->pcap = pcap_fopen_offline_with_tstamp_precision(r->file, PCAP_TSTAMP_PRECISION_NANO,
							   reason);
	if (!r->pcap)
		return error_set(err, EC_EFORMAT, "%s: %s", r->settings->read_path, reason);
	r->file = NULL; /* closed with it */
	return link_type_find(r, err);
}

/* --- messages of the capture path --- */

static void chunk_write(struct run *r, struct chunk *chunk)
{
	struct capture_job *job = chunk->owner;

	if (r->failure.code == 0 && chunk_finish(chunk, (struct pcapng_statistics){0}) < 0)
		(void)error_set(&r->failure, EC_ENOMEM, "no memory to sort a chunk");
	if (r->failure.code == 0)
		(void)output_append(r, job->owner, chunk_records(chunk), &r->failure);
	chunk_pool_give(r->pool, chunk);
}

static void on_message(void *arg, struct message *m)
{
	struct run *r = arg;
	struct capture_job *job;
	struct output *o;

	switch (m->kind) {
	case MESSAGE_CHUNK:
		chunk_write(r, CONTAINER_OF(m, struct chunk, message));
		break;
	case MESSAGE_LIMIT:
		job = CONTAINER_OF(m, struct capture_job, message);
		o = job->owner;
		o->reason =
			job->byte_limit_reached ? PART_REASON_BYTE_LIMIT : PART_REASON_PACKET_LIMIT;
		r->limits = true;
		break;
	case MESSAGE_COMMAND:
		break;
	}
}

/* --- jobs --- */

/* Half of the memory is enough for a full chunk of every job; growing one needs the old and the new block. */
static uint32_t chunk_bytes_for(size_t jobs)
{
	uint32_t bytes = LIMIT_SIMPLE_CHUNK_BYTES;

	while (bytes > CHUNK_BYTES_MIN && jobs * bytes > BUFFER_BYTES / 2)
		bytes /= 2;
	return bytes;
}

static int output_open(struct run *r, struct output *o, struct error *err)
{
	char selection[SELECTION_TEXT_BYTES], comment[COMMENT_BYTES];
	struct capture_job_settings s = {
		.filter = &o->what->filter,
		.scope = &o->what->scope,
		.selection = o->what->selection,
		.seed = 1, /* the same file gives the same result */
		.snaplen_bytes = o->what->snaplen_bytes,
		.packet_limit = o->what->packet_limit,
		.byte_limit = o->what->byte_limit,
		.end_ns = INT64_MAX,
		.chunk = {.interface = {.link_type = (uint16_t)r->link_type,
					.snaplen_bytes = o->what->snaplen_bytes,
					.description = r->settings->read_path,
					.comment = comment},
			  .application = "edgecap-sampler " EDGECAP_VERSION,
			  .chunk_bytes = chunk_bytes_for(r->jobs.count)},
		.owner = o,
	};

	selection_format(&o->what->selection, selection);
	(void)snprintf(comment, sizeof(comment), "selection: %s", selection);
	o->job = capture_job_new(&s);
	if (!o->job)
		return error_set(err, EC_ENOMEM, "no memory for job %s", o->what->pcap.hex);
	struct capture_command insert = {
		.kind = COMMAND_INSERT, .job = o->job, .from_ns = INT64_MIN};
	capture_command(&r->capture, &insert);
	return 0;
}

static int outputs_open(struct run *r, struct error *err)
{
	struct classifier_table *table = classifier_table_new(64 * r->jobs.count);
	uint64_t seed;

	random_bytes(&seed, sizeof(seed));
	r->pool = chunk_pool_new(BUFFER_BYTES, (uint32_t)r->jobs.count);
	r->outputs = calloc(r->jobs.count, sizeof(*r->outputs));
	if (table)
		capture_init(&r->capture, r->link_type, r->pool, table, seed);
	if (!table || !r->pool || !r->outputs)
		return error_set(err, EC_ENOMEM, "no memory");
	capture_set_emit(&r->capture, on_message, r);
	for (size_t i = 0; i < r->jobs.count; i++) {
		r->outputs[i].what = &r->jobs.items[i];
		int rc = output_open(r, &r->outputs[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void output_close(struct run *r, struct output *o, int64_t end_ns)
{
	struct capture_command close = {.kind = COMMAND_CLOSE, .job = o->job, .end_ns = end_ns};

	capture_command(&r->capture, &close);
	o->end_ns = close.at_ns;
}

/* The first packet: from here on windows are counted. */
static void windows_open(struct run *r, int64_t first_ns)
{
	r->first_ns = first_ns;
	for (size_t i = 0; i < r->jobs.count; i++) {
		int64_t end_ns, limit_ns = (int64_t)r->jobs.items[i].time_limit_us * 1000;
		if (limit_ns > 0 && !__builtin_add_overflow(first_ns, limit_ns, &end_ns))
			output_close(r, &r->outputs[i], end_ns);
	}
}

static void limits_close(struct run *r)
{
	r->limits = false;
	for (size_t i = 0; i < r->jobs.count; i++) {
		struct output *o = &r->outputs[i];
		if (o->reason == PART_REASON_NONE || o->closed)
			continue;
		o->closed = true;
		output_close(r, o, INT64_MIN); /* that is, at the last packet seen */
	}
}

/* Feed the file through. Returns 0 or EC_EFORMAT (cut off). */
static int packets_feed(struct run *r, struct error *err)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int rc = 0;

	while (r->failure.code == 0 && (rc = pcap_next_ex(r->pcap, &h, &data)) == 1) {
		/* with nanosecond precision tv_usec holds nanoseconds */
		int64_t ts_ns = (int64_t)h->ts.tv_sec * 1000000000 + h->ts.tv_usec;
		uint32_t n = h->caplen < PCAPNG_SNAPLEN_MAX ? h->caplen : PCAPNG_SNAPLEN_MAX;
		if (r->capture.delivered == 0)
			windows_open(r, ts_ns);
		capture_packet(&r->capture, ts_ns, h->len, (struct bytes){data, n});
		if (r->limits)
			limits_close(r);
	}
	if (r->failure.code != 0 || rc == PCAP_ERROR_BREAK)
		return 0;
	return error_set(err, EC_EFORMAT, "%s: %s", r->settings->read_path, pcap_geterr(r->pcap));
}

static struct ledger ledger_of(const struct run *r, const struct output *o)
{
	const struct capture_counts *n = &o->job->counts;

	return (struct ledger){
		.observed = r->capture.delivered,
		.accepted = r->capture.delivered,
		.delivered = r->capture.delivered,
		.matched = n->matched,
		.selected = n->selected,
		.captured = n->captured,
		.bytes = n->bytes,
		.dropped_spool = n->dropped_spool,
		.dropped_limit = n->dropped_limit,
	};
}

/* Take the job out of the stream and end its file with the statistics. */
static int output_finish(struct run *r, struct output *o, struct error *err)
{
	struct capture_command finish = {.kind = COMMAND_FINISH, .job = o->job};
	struct buf block;

	if (!o->closed) {
		int64_t last_ns = r->capture.last_seen_ns;
		o->reason = o->end_ns != 0 && last_ns > o->end_ns ? PART_REASON_TIME_LIMIT
								  : PART_REASON_NONE;
		if (o->reason == PART_REASON_NONE && r->capture.delivered > 0)
			o->end_ns = last_ns;
	}
	capture_command(&r->capture, &finish);
	capture_tick(&r->capture, 0);
	if (r->failure.code != 0) {
		*err = r->failure;
		return err->code;
	}
	struct ledger l = ledger_of(r, o);
	struct pcapng_statistics s = {
		.ts_ns = o->end_ns,
		.start_ns = r->first_ns,
		.end_ns = o->end_ns,
		.received = l.observed,
		.accepted = l.accepted,
		.delivered = l.captured,
	};
	buf_init(&block, CHUNK_TRAILER_BYTES);
	pcapng_put_statistics(&block, &s);
	int rc = block.failed ? error_set(err, block.failed, "no memory")
			      : output_append(r, o, buf_bytes(&block), err);
	buf_fini(&block);
	return rc;
}

/* --- the result --- */

static void output_to_json(const struct run *r, const struct output *o, cJSON *jobs)
{
	cJSON *job = cJSON_CreateObject();
	char path[PATH_MAX];
	struct ledger l = ledger_of(r, o);

	json_add_str(job, "pcap_id", o->what->pcap.hex);
	json_add_str(job, "file", path_of(r, o, path) == 0 ? path : NULL);
	json_add_str(job, "reason", part_reason_text(o->reason));
	json_add_int(job, "started_us", r->first_ns / 1000);
	json_add_int(job, "ended_us", o->end_ns / 1000);
	ledger_to_json(&l, json_add_object(job, "ledger"));
	json_push(jobs, job);
}

static const char *link_type_text(uint32_t link_type)
{
	switch (link_type) {
#define X(name, number, text)                                                                      \
	case name:                                                                                 \
		return text;
		LINK_TYPES(X)
#undef X
	}
	return "unknown";
}

static int result_print(const struct run *r, FILE *out, struct error *err)
{
	AUTO_JSON cJSON *tree = cJSON_CreateObject();
	cJSON *jobs;

	json_add_int(tree, "packets", (int64_t)r->capture.delivered);
	json_add_str(tree, "link_type", link_type_text(r->link_type));
	jobs = json_add_array(tree, "jobs");
	for (size_t i = 0; i < r->jobs.count; i++)
		output_to_json(r, &r->outputs[i], jobs);
	AUTO_FREE char *text = json_print(tree);
	if (!text)
		return error_set(err, EC_ENOMEM, "no memory for the result");
	if (fprintf(out, "%s\n", text) < 0 || fflush(out) != 0)
		return error_set_errno(err, EC_EIO, errno, "cannot write the result");
	return 0;
}

static void run_fini(struct run *r)
{
	capture_fini(&r->capture);
	for (size_t i = 0; i < r->jobs.count && r->outputs; i++)
		capture_job_free(r->outputs[i].job);
	chunk_pool_free(r->pool);
	free(r->outputs);
	offline_jobs_fini(&r->jobs);
	if (r->pcap)
		pcap_close(r->pcap);
	if (r->file)
		(void)fclose(r->file);
}

int offline_run(const struct offline_settings *settings, FILE *out, struct error *err)
{
	struct run r = {.settings = settings};
	struct error cut = {0};
	int rc = offline_jobs_load(settings->jobs_path, &r.jobs, err);

	if (rc == 0)
		rc = files_open(&r, err);
	if (rc == 0)
		rc = capture_file_begin(&r, err);
	if (rc == 0)
		rc = outputs_open(&r, err);
	if (rc == 0) {
		/* of a file that is cut off everything up to there is kept */
		int fed = packets_feed(&r, &cut);
		for (size_t i = 0; i < r.jobs.count && rc == 0; i++)
			rc = output_finish(&r, &r.outputs[i], err);
		if (rc == 0)
			rc = result_print(&r, out, err);
		if (rc == 0 && fed < 0) {
			*err = cut;
			rc = fed;
		}
	}
	run_fini(&r);
	return rc;
}
