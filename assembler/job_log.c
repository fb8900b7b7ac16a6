#include "assembler/job_log.h"

static void begin(struct log_line *l, enum log_level level, const char *event,
		  const struct jq_lease *lease)
{
	log_begin(l, level, event);
	log_str(l, "account", lease->account.hex);
	log_str(l, "pcap", lease->pcap.hex);
}

void job_log_claimed(const struct assembly *a)
{
	struct log_line l;

	begin(&l, LOG_INFO, "job-claimed", &a->lease);
	log_u64(&l, "hosts", a->part_count);
	log_u64(&l, "attempt", a->attempt);
	log_u64(&l, "fence", a->lease.fence);
	log_end(&l);
}

static void log_violations(const struct assembly *a)
{
	struct log_line l;

	for (size_t i = 0; i < a->part_count; i++) {
		if (a->found[i].rejected == 0)
			continue;
		begin(&l, a->scope_narrowed ? LOG_WARN : LOG_ERROR,
		      a->scope_narrowed ? "scope-narrowed" : "scope-violation", &a->lease);
		log_str(&l, "sampler", a->parts[i].sampler.hex);
		log_str(&l, "host", a->parts[i].sampler_name);
		log_u64(&l, "packets", a->found[i].rejected);
		log_end(&l);
	}
}

static void log_miscounts(const struct assembly *a)
{
	struct log_line l;

	for (size_t i = 0; i < a->part_count; i++) {
		if (!outcome_miscounted(a, i))
			continue;
		begin(&l, LOG_ERROR, "sampler-miscounted", &a->lease);
		log_str(&l, "sampler", a->parts[i].sampler.hex);
		log_str(&l, "host", a->parts[i].sampler_name);
		log_u64(&l, "captured", a->parts[i].ledger.captured);
		log_u64(&l, "found", a->found[i].packets);
		log_u64(&l, "rejected", a->found[i].rejected);
		log_end(&l);
	}
}

static void log_assembled(const struct assembly *a, uint64_t took_ms)
{
	struct log_line l;
	uint64_t chunks = 0;

	for (size_t i = 0; i < a->part_count; i++)
		chunks += a->found[i].chunks;
	begin(&l, LOG_INFO, "job-assembled", &a->lease);
	log_u64(&l, "hosts", a->part_count);
	log_u64(&l, "chunks", chunks);
	log_u64(&l, "packets", a->packets);
	log_u64(&l, "cut", a->cut);
	log_u64(&l, "rejected", a->rejected);
	log_u64(&l, "pcap_bytes", a->pcap.bytes);
	log_u64(&l, "pcapng_bytes", a->pcapng.bytes);
	log_u64(&l, "took_ms", took_ms);
	log_end(&l);
}

void job_log_end(const struct assembly *a, uint64_t took_ms)
{
	struct log_line l;

	switch (a->end) {
	case ASSEMBLY_DONE:
		log_violations(a);
		log_miscounts(a);
		log_assembled(a, took_ms);
		break;
	case ASSEMBLY_FAIL:
		log_violations(a);
		begin(&l, LOG_WARN, "job-failed", &a->lease);
		log_str(&l, "reason", a->message);
		log_end(&l);
		break;
	case ASSEMBLY_AGAIN: /* job_log_again says it, with the delay */
		break;
	case ASSEMBLY_CANCELED:
		begin(&l, LOG_INFO, "job-canceled", &a->lease);
		log_end(&l);
		break;
	}
}

void job_log_again(const struct assembly *a, const struct retry *retry)
{
	struct log_line l;

	begin(&l, retry->again ? LOG_WARN : LOG_ERROR,
	      retry->again ? "assembly-again" : "assembly-given-up", &a->lease);
	log_u64(&l, "attempt", a->attempt);
	if (retry->again)
		log_u64(&l, "delay_ms", retry->delay_ms);
	log_str(&l, "code", error_name(a->err.code));
	log_str(&l, "reason", a->err.text);
	log_end(&l);
}

void job_log_lease_lost(const struct jq_lease *lease)
{
	struct log_line l;

	begin(&l, LOG_WARN, "lease-lost", lease);
	log_u64(&l, "fence", lease->fence);
	log_end(&l);
}

void job_log_refused(const struct jq_lease *lease, const char *why)
{
	struct log_line l;

	begin(&l, LOG_ERROR, "job-refused", lease);
	log_str(&l, "reason", why);
	log_end(&l);
}

void job_log_error(enum log_level level, const char *event, const struct jq_lease *lease,
		   const struct error *err)
{
	struct log_line l;

	begin(&l, level, event, lease);
	log_str(&l, "code", error_name(err->code));
	log_str(&l, "reason", err->text);
	log_end(&l);
}
