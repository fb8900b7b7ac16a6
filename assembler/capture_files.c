#include "assembler/capture_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "assembler/job_bucket.h"
#include "packet/flow.h"
#include "packet/pcap_file.h"
#include "storage/store_wait.h"
#include "version.h"

enum {
	FLUSH_BYTES = 256 * 1024,
	/* The headers of all interfaces are buffered before the first flush. */
	BUFFER_BYTES_MAX = 64 * 1024 * 1024,
	TEXT_BYTES = 2048,
};

/* One of the files. While one buffer is filled the other is hashed and written. */
struct output {
	struct store_writer *writer; /* NULL: there is no such file */
	bool in_bucket;
	struct buf buf;
	struct buf busy; /* borrowed by the write under way */
	struct store_wait_write write;
};

struct capture_files {
	const struct assembly *a;
	const struct chunk_index *index;
	uint32_t link_type; /* of the classic file */
	struct output pcap, pcapng;
};

/* A tenant knows then where it failed. */
static int ended(const struct output *o, int r, struct error *err)
{
	return r < 0 && o->in_bucket ? error_prefix(err, THE_BUCKET) : r;
}

/* Hand what is buffered to the store when there is enough of it; an error may be that of the write before. */
static int flush(struct output *o, size_t least, struct error *err)
{
	if (o->buf.failed)
		return error_set(err, o->buf.failed, "no memory to write a file");
	if (o->buf.n < least)
		return 0;
	int r = store_wait_write_end(&o->write, err);
	if (r < 0)
		return ended(o, r, err);
	struct buf full = o->buf;
	o->buf = o->busy;
	o->busy = full;
	buf_reset(&o->buf);
	store_wait_write_begin(o->writer, buf_bytes(&o->busy), &o->write);
	return 0;
}

static int output_open(struct output *o, struct store *store, const char *key, struct error *err)
{
	buf_init(&o->buf, BUFFER_BYTES_MAX);
	buf_init(&o->busy, BUFFER_BYTES_MAX);
	if (!store)
		return 0;
	return ended(o, store_wait_writer_open(store, key, &o->writer, err), err);
}

static int output_commit(struct output *o, struct store_info *ret, struct error *err)
{
	if (!o->writer)
		return 0;
	int r = flush(o, 1, err);
	if (r < 0)
		return r;
	r = store_wait_write_end(&o->write, err);
	if (r == 0)
		r = store_wait_commit(TAKE(o->writer), ret, err);
	return ended(o, r, err);
}

/* Nothing becomes visible of what was not committed. */
static void output_fini(struct output *o)
{
	(void)!store_wait_write_end(&o->write, NULL); /* it has the buffer until then */
	store_writer_abort(o->writer);
	buf_fini(&o->buf);
	buf_fini(&o->busy);
}

/* Ethernet when every interface that packets come from has it. */
static uint32_t classic_link_type(const struct chunk_index *index)
{
	for (size_t i = 0; i < index->interface_count; i++) {
		const struct capture_interface *c = &index->interfaces[i];
		if (c->known && c->link_type != LINK_ETHERNET)
			return LINK_RAW;
	}
	return LINK_ETHERNET;
}

static void put_section(struct capture_files *f)
{
	char comment[TEXT_BYTES];

	(void)snprintf(comment, sizeof(comment), "edgecap job %s, filter_v1 %s", f->a->job.id.hex,
		       f->a->job.filter_json);
	pcapng_put_section(&f->pcapng.buf, "edgecap " EDGECAP_VERSION, comment);
}

/* "key=value ..." as ARCHITECTURE.md has it. */
static void interface_comment(const struct assembly *a, const struct capture_interface *c,
			      char dst[TEXT_BYTES])
{
	const struct part *part = &a->parts[c->part];
	char selection[64];

	selection_format(&a->job.selection, selection);
	int n = snprintf(dst, TEXT_BYTES,
			 "sampler=%s colo=%s selection=%s clock_offset_us=%" PRId64
			 " state=%s reason=%s",
			 part->sampler.hex, part->colo, selection, part->clock_offset_us,
			 part_state_text(part->state), part_reason_text(part->reason));
	/* The ledger is the host's, over all its interfaces: it is said once. */
	if (!c->first)
		return;
#define X(member, name)                                                                            \
	if (n > 0 && n < TEXT_BYTES)                                                               \
		n += snprintf(dst + n, (size_t)(TEXT_BYTES - n), " " name "=%" PRIu64,             \
			      part->ledger.member);
	LEDGER_COUNTERS(X)
#undef X
}

static void put_interface(struct capture_files *f, const struct capture_interface *c)
{
	const struct part *part = &f->a->parts[c->part];
	char name[TEXT_BYTES];
	char description[TEXT_BYTES];
	char comment[TEXT_BYTES];

	(void)snprintf(name, sizeof(name), "%s%s%s", part->sampler_name, c->name[0] ? ":" : "",
		       c->name);
	(void)snprintf(description, sizeof(description), "edge host %s in %s, %s",
		       part->sampler_name, part->colo, part->software);
	interface_comment(f->a, c, comment);
	struct pcapng_interface out = {
		.link_type = c->known ? c->link_type : (uint16_t)LINK_ETHERNET,
		.snaplen_bytes = f->a->snaplen_bytes,
		.name = name,
		.description = description,
		.comment = comment,
	};
	pcapng_put_interface(&f->pcapng.buf, &out);
}

/* Host clocks may be absurd: what a file cannot hold is left out. */
static int64_t ns_of(int64_t us)
{
	return us > 0 && us <= INT64_MAX / 1000 ? us * 1000 : 0;
}

static void put_statistics(struct capture_files *f, uint32_t interface)
{
	const struct capture_interface *c = &f->index->interfaces[interface];
	const struct part *part = &f->a->parts[c->part];

	if (!c->first)
		return;
	struct pcapng_statistics s = {
		.interface = interface,
		.ts_ns = ns_of(part->ended_us),
		.start_ns = ns_of(part->started_us),
		.end_ns = ns_of(part->ended_us),
		.received = part->ledger.observed,
		.if_dropped = part->ledger.dropped_interface,
		.accepted = part->ledger.accepted,
		.os_dropped = part->ledger.dropped_kernel,
		.delivered = part->ledger.captured,
	};
	pcapng_put_statistics(&f->pcapng.buf, &s);
}

int capture_files_open(const struct assembly *a, const struct chunk_index *index,
		       const struct capture_targets *targets, struct capture_files **ret,
		       struct error *err)
{
	struct capture_files *f = calloc(1, sizeof(*f));

	if (!f)
		return error_set(err, EC_ENOMEM, "no memory to write files");
	f->a = a;
	f->index = index;
	f->link_type = classic_link_type(index);
	f->pcap.in_bucket = targets->in_bucket;
	int r = output_open(&f->pcap, targets->pcap_store, a->pcap_key, err);
	if (r == 0)
		r = output_open(&f->pcapng, targets->pcapng_store, a->pcapng_key, err);
	if (r < 0) {
		capture_files_abort(f);
		return r;
	}
	pcap_put_header(&f->pcap.buf, f->link_type, a->snaplen_bytes);
	if (f->pcapng.writer) {
		put_section(f);
		for (size_t i = 0; i < index->interface_count; i++)
			put_interface(f, &index->interfaces[i]);
	}
	*ret = f;
	return 0;
}

int capture_files_put(struct capture_files *f, const struct capture_packet *p, struct error *err)
{
	const struct capture_interface *c = &f->index->interfaces[p->interface];
	struct bytes data = p->data;
	uint32_t wire_bytes = p->wire_bytes;

	if (c->link_type != f->link_type) { /* the classic file is raw IP */
		data.p += p->l3_offset;
		data.n -= p->l3_offset;
		wire_bytes -= p->l3_offset;
	}
	pcap_put_record(&f->pcap.buf, p->ts_ns, wire_bytes, data);
	int r = flush(&f->pcap, FLUSH_BYTES, err);
	if (r < 0 || !f->pcapng.writer)
		return r;
	struct pcapng_packet packet = {
		.interface = p->interface,
		.ts_ns = p->ts_ns,
		.wire_bytes = p->wire_bytes,
		.data = p->data,
	};
	pcapng_put_packet(&f->pcapng.buf, &packet);
	return flush(&f->pcapng, FLUSH_BYTES, err);
}

int capture_files_commit(struct capture_files *f, struct assembly *a, struct error *err)
{
	for (size_t i = 0; f->pcapng.writer && i < f->index->interface_count; i++)
		put_statistics(f, (uint32_t)i);
	int r = output_commit(&f->pcapng, &a->pcapng, err);
	if (r == 0)
		r = output_commit(&f->pcap, &a->pcap, err);
	a->link_type = f->link_type;
	capture_files_abort(f);
	return r;
}

void capture_files_abort(struct capture_files *f)
{
	if (!f)
		return;
	output_fini(&f->pcap);
	output_fini(&f->pcapng);
	free(f);
}
