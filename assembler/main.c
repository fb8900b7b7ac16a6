#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "assembler/service.h"
#include "base/log.h"
#include "base/settings.h"
#include "sandbox/daemon.h"
#include "storage/bucket_list.h"
#include "storage/bucket_settings.h"
#include "storage/store_settings.h"

enum {
	THREADS_OF_A_WORKER = 3, /* writes both files and reads a chunk */
	THREADS_BESIDE_WORKERS = 3,
};

static const struct setting table[] = {
	{.name = "EDGECAP_DATABASE_URL",
	 .kind = SETTING_SECRET,
	 .help = "PostgreSQL, as the role edgecap_assembler"},
	{.name = "EDGECAP_DATABASE_LISTEN_URL",
	 .kind = SETTING_SECRET,
	 .optional = true,
	 .help = "PostgreSQL itself for LISTEN, where the other leads to pgbouncer"},
	STORE_SETTINGS,
	BUCKET_SETTINGS,
	{.name = "EDGECAP_WORKERS",
	 .kind = SETTING_INT,
	 .fallback = "1",
	 .min = 1,
	 .max = JOBS_WORKERS_MAX,
	 .help = "jobs assembled at once"},
	{.name = "EDGECAP_LEASE",
	 .kind = SETTING_DURATION,
	 .fallback = "30s",
	 .min = 1000,
	 .max = 600000,
	 .help = "a job of an assembler that died is taken over after this"},
	{.name = "EDGECAP_RETENTION",
	 .kind = SETTING_DURATION,
	 .fallback = "7d",
	 .min = 1000,
	 .max = UINT64_C(3650) * 86400 * 1000,
	 .help = "a job's files are removed after this"},
	{.name = "EDGECAP_HISTORY_MONTHS",
	 .kind = SETTING_INT,
	 .fallback = "13",
	 .min = 1,
	 .max = 1200,
	 .help = "jobs are forgotten after this"},
	{.name = "EDGECAP_AUDIT_MONTHS",
	 .kind = SETTING_INT,
	 .fallback = "25",
	 .min = 1,
	 .max = 1200,
	 .help = "audit rows are forgotten after this"},
	{.name = "EDGECAP_DATABASE_CONNECTIONS",
	 .kind = SETTING_INT,
	 .fallback = "2",
	 .min = 1,
	 .max = JQ_CONNECTIONS_MAX,
	 .help = "connections to PostgreSQL, besides the one that listens"},
	{.name = "EDGECAP_USER",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 64,
	 .optional = true,
	 .help = "started as root: who to become (default: stay, without "
		 "root's capabilities)"},
	{.name = "EDGECAP_LOG_LEVEL",
	 .kind = SETTING_STR,
	 .fallback = "info",
	 .min = 1,
	 .max = 8,
	 .help = "debug, info, warn or error"},
};

static const struct settings_program program = {
	.prog = "edgecap-assembler",
	.about = "Merges what the edge hosts captured for a job into one file.",
	.table = table,
	.count = ARRAY_LEN(table),
};

static struct service_config config_from(const struct settings *s)
{
	struct service_config c = {
		.database_url = settings_str(s, "EDGECAP_DATABASE_URL"),
		.listen_url = settings_str(s, "EDGECAP_DATABASE_LISTEN_URL"),
		.database_connections = (uint32_t)settings_u64(s, "EDGECAP_DATABASE_CONNECTIONS"),
		.history = {.months = (uint32_t)settings_u64(s, "EDGECAP_HISTORY_MONTHS"),
			    .audit_months = (uint32_t)settings_u64(s, "EDGECAP_AUDIT_MONTHS")},
		.jobs = {.workers = (uint32_t)settings_u64(s, "EDGECAP_WORKERS"),
			 .lease_ms = (uint32_t)settings_u64(s, "EDGECAP_LEASE"),
			 .retention_ms = settings_u64(s, "EDGECAP_RETENTION")},
	};

	store_settings_take(s, &c.jobs.worker.store);
	return c;
}

/* The operator's list of endpoints, if there is one. */
static int buckets_open(const struct settings *s, struct worker_config *config,
			struct bucket_list **ret, struct error *err)
{
	struct bucket_settings buckets;
	int r = bucket_settings_take(s, &buckets, err);

	if (r < 0 || !buckets.file)
		return r;
	r = bucket_list_load(buckets.file, ret, err);
	if (r < 0)
		return error_prefix(err, "EDGECAP_BUCKETS_FILE");
	config->buckets = *ret;
	config->bucket_secret = buckets.secret;
	return 0;
}

/* libuv's threads do all blocking work of the store: one for each thing that a worker does at once, so that one slow disk
 * does not hold up the others. Read by libuv when the first one is needed. */
static void size_thread_pool(uint32_t workers)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u",
		       (unsigned)workers * THREADS_OF_A_WORKER + THREADS_BESIDE_WORKERS);
	(void)setenv("UV_THREADPOOL_SIZE", text, 0);
}

static int fail(const char *text)
{
	(void)fprintf(stderr, "edgecap-assembler: %s\n", text);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct settings *settings = NULL;
	enum settings_outcome outcome = SETTINGS_RUN;
	enum log_level level = LOG_INFO;
	struct error err = {0};

	if (settings_read(&program, argc, argv, &settings, &outcome, &err) < 0)
		return fail(err.text);
	if (outcome == SETTINGS_EXIT) {
		settings_free(settings);
		return EXIT_SUCCESS;
	}
	if (log_level_parse(bytes_of(settings_str(settings, "EDGECAP_LOG_LEVEL")), &level) < 0) {
		settings_free(settings);
		return fail("EDGECAP_LOG_LEVEL: one of debug, info, warn, error");
	}
	log_init("edgecap-assembler", level);
	(void)signal(SIGPIPE, SIG_IGN);
	struct service_config config = config_from(settings);
	struct bucket_list *buckets = NULL;
	size_thread_pool(config.jobs.workers);
	int r = buckets_open(settings, &config.jobs.worker, &buckets, &err);
	if (r == 0)
		r = daemon_become(settings_str(settings, "EDGECAP_USER"), &err);
	if (r == 0)
		r = daemon_confine(&err);
	if (r == 0)
		r = service_run(&config, &err);
	bucket_list_free(buckets);
	if (r < 0)
		log_event(LOG_ERROR, "ended", "code", error_name(r), "reason", err.text,
			  (char *)NULL);
	else
		log_event(LOG_INFO, "ended", (char *)NULL);
	settings_free(settings);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
