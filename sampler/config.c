#include "sampler/config.h"

#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "sampler/token_file.h"

#define MIB (UINT64_C(1) << 20)

static const struct setting table[] = {
	{.name = "EDGECAP_EDGE_URL",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = SAMPLER_URL_BYTES - 1,
	 .optional = true,
	 .help = "the API's listener for samplers: http://address:port, https://... or unix:/path"},
	{.name = "EDGECAP_PLAINTEXT",
	 .kind = SETTING_BOOL,
	 .fallback = "no",
	 .help = "http:// may leave this host: everybody on the way reads the token and the "
		 "packets"},
	{.name = "EDGECAP_SAMPLER_TOKEN",
	 .kind = SETTING_SECRET,
	 .min = 1,
	 .max = LIMIT_CREDENTIAL_BYTES,
	 .optional = true,
	 .help = "what edgecap-admin sampler create or token printed; its file is read again on "
		 "SIGHUP"},
	{.name = "EDGECAP_INTERFACES",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = (uint64_t)LIMIT_INTERFACES * IF_NAMESIZE,
	 .optional = true,
	 .help = "interfaces to sample, with commas between them"},
	{.name = "EDGECAP_SPOOL_DIR",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 4000,
	 .optional = true,
	 .help = "folder for what is not stored yet; of this sampler alone"},
	{.name = "EDGECAP_SPOOL_BYTES",
	 .kind = SETTING_SIZE,
	 .fallback = "2GiB",
	 .min = MIB,
	 .help = "disk space for it; then new packets are dropped and counted"},
	{.name = "EDGECAP_DIRECTION",
	 .kind = SETTING_STR,
	 .fallback = "in",
	 .min = 1,
	 .max = 8,
	 .help = "packets of the interfaces to observe: in, out or inout"},
	{.name = "EDGECAP_RING_BYTES",
	 .kind = SETTING_SIZE,
	 .fallback = "32MiB",
	 .min = MIB,
	 .max = 1024 * MIB,
	 .help = "memory of the kernel for each interface"},
	{.name = "EDGECAP_WORKERS",
	 .kind = SETTING_INT,
	 .fallback = "1",
	 .min = 1,
	 .max = LIMIT_STREAMS,
	 .help = "capture threads for each interface: packets are spread over them by flow"},
	{.name = "EDGECAP_BLOCK_MS",
	 .kind = SETTING_INT,
	 .fallback = "10",
	 .min = 1,
	 .max = 1000,
	 .help = "how long packets may wait in the kernel, ms"},
	{.name = "EDGECAP_BUFFER_BYTES",
	 .kind = SETTING_SIZE,
	 .fallback = "64MiB",
	 .min = 4 * MIB,
	 .max = MIB * 16 * 1024,
	 .help = "memory for captured packets of all jobs together"},
	{.name = "EDGECAP_JOBS_MAX",
	 .kind = SETTING_INT,
	 .fallback = "1024",
	 .min = 1,
	 .max = LIMIT_SYNC_PARTS,
	 .help = "jobs at once"},
	{.name = "EDGECAP_USER",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 64,
	 .optional = true,
	 .help = "who to become once the interfaces are open (default when started as root: "
		 "nobody)"},
	{.name = "EDGECAP_MEMORY_MAX",
	 .kind = SETTING_SIZE,
	 .min = MIB,
	 .optional = true,
	 .help = "private memory at most; beyond it packets are dropped and counted (default: "
		 "made of the other settings, docs/sandbox.md)"},
	{.name = "EDGECAP_UNCONFINED",
	 .kind = SETTING_BOOL,
	 .fallback = "no",
	 .help = "run although this kernel has no seccomp or no Landlock: then a sampler that is "
		 "taken over is not held back"},
	{.name = "EDGECAP_CA_FILE",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 4000,
	 .optional = true,
	 .help = "certificates to trust for https, PEM (default: the system's)"},
	{.name = "EDGECAP_CLIENT_CERT",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 4000,
	 .optional = true,
	 .help = "this sampler's certificate and its chain, PEM: its common name is the sampler's "
		 "name"},
	{.name = "EDGECAP_CLIENT_KEY",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 4000,
	 .optional = true,
	 .help = "its private key, PEM, without a passphrase; read before privileges are dropped"},
	{.name = "EDGECAP_HOST",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = HOST_NAME_MAX,
	 .optional = true,
	 .help = "this host's name in files and messages (default: the system's)"},
	{.name = "EDGECAP_LOG_LEVEL",
	 .kind = SETTING_STR,
	 .fallback = "info",
	 .min = 1,
	 .max = 16,
	 .help = "debug, info, warn or error"},
	{.name = "EDGECAP_READ",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 4000,
	 .optional = true,
	 .help = "sample this pcap or pcapng file instead of interfaces; needs no privileges"},
	{.name = "EDGECAP_JOBS",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 4000,
	 .optional = true,
	 .help = "work without the service on the jobs of this JSON file, with EDGECAP_READ or on "
		 "the interfaces"},
	{.name = "EDGECAP_OUT",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 4000,
	 .optional = true,
	 .help = "with EDGECAP_JOBS: folder for the files of the jobs"},
};

const struct settings_program sampler_settings = {
	.prog = "edgecap-sampler",
	.about = "samples packets on an edge host for the jobs of edgecap",
	.table = table,
	.count = ARRAY_LEN(table),
};

/* A setting that this mode cannot do without. */
static int required(const struct settings *s, const char *name, const char *mode, const char **ret,
		    struct error *err)
{
	*ret = settings_str(s, name);
	return *ret ? 0 : error_set(err, EC_EINVAL, "%s is required%s", name, mode);
}

static int direction_read(const struct settings *s, enum direction *ret, struct error *err)
{
	const char *text = settings_str(s, "EDGECAP_DIRECTION");

#define X(direction, name)                                                                         \
	if (strcmp(text, name) == 0) {                                                             \
		*ret = direction;                                                                  \
		return 0;                                                                          \
	}
	DIRECTIONS(X)
#undef X
	return error_set(err, EC_EINVAL, "EDGECAP_DIRECTION must be in, out or inout, not \"%s\"",
			 text);
}

/* One interface name of n bytes. */
static int interface_add(struct sampler_config *c, const char *name, size_t n, struct error *err)
{
	if (n == 0 || n >= IF_NAMESIZE || strcspn(name, "/ \t\n") < n)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_INTERFACES: \"%.*s\" is no name of an interface", (int)n,
				 name);
	if (c->interface_count == LIMIT_INTERFACES)
		return error_set(err, EC_EINVAL, "EDGECAP_INTERFACES: more than %d",
				 LIMIT_INTERFACES);
	char *dst = c->interface_names[c->interface_count];
	memcpy(dst, name, n);
	dst[n] = '\0';
	for (size_t i = 0; i < c->interface_count; i++) {
		if (strcmp(c->interface_names[i], dst) == 0)
			return error_set(err, EC_EINVAL, "EDGECAP_INTERFACES: %s is there twice",
					 dst);
	}
	c->interface_count++;
	return 0;
}

static int interfaces_read(struct sampler_config *c, const char *text, struct error *err)
{
	int r = 0;

	while (r == 0) {
		size_t n = strcspn(text, ",");
		r = interface_add(c, text, n, err);
		if (text[n] == '\0')
			break;
		text += n + 1;
	}
	return r;
}

/* Does host[:port][/path] certainly lead nowhere else? What a name leads to is seen when a socket is made (http_client). */
static bool names_this_host(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
	       (strncmp(host, "localhost", 9) == 0 && strchr(":/", host[9]));
}

/* scheme://host[:port][/path], nothing else. */
static int url_read(struct sampler_config *c, const char *text, struct error *err)
{
	const char *host = NULL;

	if (strncmp(text, "unix:/", 6) == 0) {
		if (strlen(text + 5) >= sizeof(c->unix_path))
			return error_set(err, EC_EINVAL,
					 "EDGECAP_EDGE_URL: the path of a unix socket has at most "
					 "%zu characters",
					 sizeof(c->unix_path) - 1);
		memcpy(c->unix_path, text + 5, strlen(text + 5) + 1);
		(void)strcpy(c->api_url, "http://localhost");
		return 0;
	}
	if (strncmp(text, "http://", 7) == 0)
		host = text + 7;
	else if (strncmp(text, "https://", 8) == 0)
		host = text + 8;
	if (!host || strcspn(host, "/") == 0 || strpbrk(host, "?#@ \t\n\"\\"))
		return error_set(err, EC_EINVAL,
				 "EDGECAP_EDGE_URL must be http://address:port, https://... or "
				 "unix:/path, not \"%s\"",
				 text);
	if (!c->plaintext && text[4] != 's' && !names_this_host(host))
		return error_set(err, EC_EINVAL,
				 "EDGECAP_EDGE_URL is http://, so that everybody on the way could "
				 "read the token and the packets: take https://, or say "
				 "EDGECAP_PLAINTEXT");
	size_t n = strlen(text);
	while (n > 0 && text[n - 1] == '/')
		n--;
	memcpy(c->api_url, text, n);
	c->api_url[n] = '\0';
	return 0;
}

static int host_read(struct sampler_config *c, const char *given, struct error *err)
{
	if (given)
		memcpy(c->host, given, strlen(given) + 1);
	else if (gethostname(c->host, sizeof(c->host) - 1) < 0 || c->host[0] == '\0')
		return error_set(err, EC_EINVAL, "EDGECAP_HOST is required: this host has no name");
	return 0;
}

/* Whom to trust, and who we are. */
static int tls_read(const struct settings *s, struct sampler_config *c, struct error *err)
{
	c->tls.ca = settings_str(s, "EDGECAP_CA_FILE");
	c->tls.client_cert = settings_str(s, "EDGECAP_CLIENT_CERT");
	c->tls.client_key = settings_str(s, "EDGECAP_CLIENT_KEY");
	if (!c->tls.client_cert != !c->tls.client_key)
		return error_set(err, EC_EINVAL, "%s is required with %s",
				 c->tls.client_cert ? "EDGECAP_CLIENT_KEY" : "EDGECAP_CLIENT_CERT",
				 c->tls.client_cert ? "EDGECAP_CLIENT_CERT" : "EDGECAP_CLIENT_KEY");
	if (c->tls.client_cert && strncmp(c->api_url, "https://", 8) != 0)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_CLIENT_CERT: EDGECAP_EDGE_URL is not https://, so nobody "
				 "would see it");
	return 0;
}

/* What only the sampling of interfaces needs. */
static int online_read(const struct settings *s, struct sampler_config *c, struct error *err)
{
	const char *url = NULL, *interfaces = NULL;
	int r = required(s, "EDGECAP_EDGE_URL", "", &url, err);

	if (r == 0)
		r = required(s, "EDGECAP_SAMPLER_TOKEN", "", &c->token, err);
	if (r == 0)
		c->token_path = settings_file(s, "EDGECAP_SAMPLER_TOKEN");
	if (r == 0)
		r = required(s, "EDGECAP_INTERFACES", "", &interfaces, err);
	if (r == 0)
		r = required(s, "EDGECAP_SPOOL_DIR", "", &c->spool_dir, err);
	if (r == 0)
		r = url_read(c, url, err);
	if (r == 0)
		r = token_check("EDGECAP_SAMPLER_TOKEN", c->token, err);
	if (r == 0)
		r = tls_read(s, c, err);
	return r < 0 ? r : interfaces_read(c, interfaces, err);
}

/* The jobs of a file, on a file or on the interfaces. */
static int local_read(const struct settings *s, struct sampler_config *c, struct error *err)
{
	const char *mode = c->read_path ? " with EDGECAP_READ" : " with EDGECAP_JOBS";
	const char *interfaces = NULL;
	int r = required(s, "EDGECAP_JOBS", mode, &c->jobs_path, err);

	if (r == 0)
		r = required(s, "EDGECAP_OUT", mode, &c->out_dir, err);
	if (r < 0 || c->read_path)
		return r;
	if (settings_str(s, "EDGECAP_EDGE_URL"))
		return error_set(err, EC_EINVAL,
				 "EDGECAP_JOBS and EDGECAP_EDGE_URL exclude each other: the jobs "
				 "come from a "
				 "file or from the service");
	r = required(s, "EDGECAP_INTERFACES", mode, &interfaces, err);
	return r < 0 ? r : interfaces_read(c, interfaces, err);
}

static int workers_check(const struct sampler_config *c, struct error *err)
{
	if (c->read_path && c->workers > 1)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_WORKERS must be 1 with EDGECAP_READ: a file is read by "
				 "one thread");
	if (c->workers * c->interface_count > LIMIT_STREAMS)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_WORKERS: %u for each of %zu interfaces are more than %d",
				 c->workers, c->interface_count, (int)LIMIT_STREAMS);
	return 0;
}

int sampler_config_read(const struct settings *s, struct sampler_config *ret, struct error *err)
{
	const char *level = settings_str(s, "EDGECAP_LOG_LEVEL");
	struct sampler_config c = {
		.plaintext = settings_bool(s, "EDGECAP_PLAINTEXT"),
		.read_path = settings_str(s, "EDGECAP_READ"),
		.user = settings_str(s, "EDGECAP_USER"),
		.spool_bytes = settings_u64(s, "EDGECAP_SPOOL_BYTES"),
		.memory_max_bytes = settings_u64(s, "EDGECAP_MEMORY_MAX"),
		.unconfined = settings_bool(s, "EDGECAP_UNCONFINED"),
		.ring_bytes = settings_u64(s, "EDGECAP_RING_BYTES"),
		.buffer_bytes = settings_u64(s, "EDGECAP_BUFFER_BYTES"),
		.workers = (uint32_t)settings_u64(s, "EDGECAP_WORKERS"),
		.block_ms = (uint32_t)settings_u64(s, "EDGECAP_BLOCK_MS"),
		.jobs_max = (uint32_t)settings_u64(s, "EDGECAP_JOBS_MAX"),
	};
	int r = direction_read(s, &c.direction, err);

	if (r == 0 && log_level_parse(bytes_of(level), &c.log_level) < 0)
		r = error_set(err, EC_EINVAL,
			      "EDGECAP_LOG_LEVEL must be debug, info, warn or error, not \"%s\"",
			      level);
	if (r == 0)
		r = host_read(&c, settings_str(s, "EDGECAP_HOST"), err);
	if (r == 0)
		r = c.read_path || settings_str(s, "EDGECAP_JOBS") ? local_read(s, &c, err)
								   : online_read(s, &c, err);
	if (r == 0)
		r = workers_check(&c, err);
	if (r == 0)
		*ret = c;
	return r;
}
