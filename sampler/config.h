/* The sampler's settings, read once at the start and checked. */
#pragma once

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/settings.h"
#include "sampler/direction.h"
#include "sampler/tls_files.h"

enum {
	SAMPLER_URL_BYTES = 512,
	SAMPLER_UNIX_PATH_BYTES = 108, /* sun_path */
};

/* What main gives to settings_read. */
extern const struct settings_program sampler_settings;

/* Texts are borrowed from the settings. */
struct sampler_config {
	/* --jobs: no service, no spool; with --read no privileges */
	const char *jobs_path; /* NULL: the service's jobs */
	const char *out_dir;
	const char *read_path; /* NULL: sample interfaces */
	/* the service */
	char api_url[SAMPLER_URL_BYTES];         /* "http://host:port[/path]", no '/' at its end */
	char unix_path[SAMPLER_UNIX_PATH_BYTES]; /* "": none; api_url's host is then only a name */
	bool plaintext;                          /* http:// may leave this host */
	const char *token;
	const char *token_path; /* the file that it was read from; NULL: it was given itself */
	struct tls_paths tls;   /* without ca: the system's */
	/* the host */
	char host[HOST_NAME_MAX + 1];
	const char *user; /* NULL: privilege.h's default */
	const char *spool_dir;
	uint64_t spool_bytes;
	uint64_t memory_max_bytes; /* 0: memory_need.h's */
	bool unconfined;           /* run also where the kernel has no cage */
	/* the engine */
	size_t interface_count;
	char interface_names[LIMIT_INTERFACES][IF_NAMESIZE];
	enum direction direction;
	uint64_t ring_bytes, buffer_bytes;
	uint32_t workers, block_ms, jobs_max;
	enum log_level log_level;
};

/* Check and convert. settings: read with sampler_settings, borrowed for the life of *ret.
 * Returns 0, or EC_EINVAL with a message that names the setting. */
int sampler_config_read(const struct settings *settings, struct sampler_config *ret,
			struct error *err) EC_MUST_CHECK;
