/* The assembler's main loop: signals, timers, notifications, and what they set in motion.
 *
 * Every second: give up silent parts, claim what is ready, report what waits. At a third of a lease:
 * renew. Every 10 s: garbage. Hourly and at the start: partitions, unfinished writes. SIGTERM and SIGINT
 * give running jobs back and end the loop; kill -9 at any moment costs no more than the lease's time.
 */
#pragma once

#include "assembler/jobs.h"
#include "jobqueue/jq_assembly.h"

struct service_config {
	const char *database_url;
	const char *listen_url; /* for LISTEN; NULL: database_url */
	uint32_t database_connections;
	struct jq_history history; /* rows older than this are dropped */
	struct jobs_config jobs;
};

/* Run until a signal. config: borrowed for the call. Returns 0, or a code with a reason: the store or the
 * database's URL cannot be used, or the schema is not the one this program was built for. */
int service_run(const struct service_config *config, struct error *err) EC_MUST_CHECK;
