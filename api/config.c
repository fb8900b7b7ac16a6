#include "api/config.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "jobqueue/jq.h"
#include "storage/store_settings.h"

enum { SECRET_BYTES_MIN = 32, URL_BYTES_MAX = STORE_URL_MAX / 2 };

static const struct setting table[] = {
	{.name = "EDGECAP_LISTEN",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 200,
	 .help = "where tenants connect: address:port or unix:/path"},
	{.name = "EDGECAP_EDGE_LISTEN",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 200,
	 .optional = true,
	 .help = "where samplers connect; without it none can"},
	{.name = "EDGECAP_OPS_LISTEN",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 200,
	 .optional = true,
	 .help = "where /metrics is served"},
	{.name = "EDGECAP_LISTEN_MODE",
	 .kind = SETTING_STR,
	 .fallback = "0660",
	 .min = 1,
	 .max = 4,
	 .help = "mode of the unix sockets that are listened on: who may write may connect"},
	{.name = "EDGECAP_FORWARDED",
	 .kind = SETTING_STR,
	 .fallback = "none",
	 .min = 1,
	 .max = 16,
	 .help = "unix: whoever connects to a unix socket is a proxy and says in X-Real-IP for "
		 "whom; "
		 "none: nobody"},
	{.name = "EDGECAP_EDGE_CLIENT_CERT",
	 .kind = SETTING_STR,
	 .fallback = "none",
	 .min = 1,
	 .max = 16,
	 .help = "samplers' certificates, as the proxy tells: none, optional or required; needs "
		 "EDGECAP_FORWARDED=unix"},
	{.name = "EDGECAP_DATABASE_URL",
	 .kind = SETTING_SECRET,
	 .min = 1,
	 .max = 4096,
	 .help = "PostgreSQL, as libpq takes it; a socket directory or an IP address as host"},
	{.name = "EDGECAP_DATABASE_LISTEN_URL",
	 .kind = SETTING_SECRET,
	 .min = 1,
	 .max = 4096,
	 .optional = true,
	 .help = "for LISTEN, where EDGECAP_DATABASE_URL leads to pgbouncer"},
	{.name = "EDGECAP_DATABASE_CONNECTIONS",
	 .kind = SETTING_INT,
	 .fallback = "4",
	 .min = 1,
	 .max = JQ_CONNECTIONS_MAX,
	 .help = "connections to PostgreSQL"},
	STORE_SETTINGS,
	{.name = "EDGECAP_S3_UPLOAD_ACCESS_KEY_ID",
	 .kind = SETTING_SECRET,
	 .min = 1,
	 .max = 512,
	 .optional = true,
	 .help = "with s3://: a key that may put and nothing else, which signs samplers' upload "
		 "URLs"},
	{.name = "EDGECAP_S3_UPLOAD_SECRET_ACCESS_KEY",
	 .kind = SETTING_SECRET,
	 .min = 1,
	 .max = 512,
	 .optional = true,
	 .help = "with s3://: the secret of that key"},
	{.name = "EDGECAP_UPLOAD_URL",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = URL_BYTES_MAX,
	 .optional = true,
	 .help = "base URL under which samplers reach EDGECAP_EDGE_LISTEN; not used with s3://"},
	{.name = "EDGECAP_SIGNING_SECRET",
	 .kind = SETTING_SECRET,
	 .min = SECRET_BYTES_MIN,
	 .max = 1024,
	 .optional = true,
	 .help = "signs the samplers' upload URLs; the same on all replicas; not used with s3://"},
	BUCKET_SETTINGS,
	{.name = "EDGECAP_SELECTION",
	 .kind = SETTING_STR,
	 .fallback = "none",
	 .min = 1,
	 .max = 64,
	 .help = "sampling of new jobs: none, systematic-count:N/M, uniform-probabilistic:P, "
		 "hash:P"},
	{.name = "EDGECAP_DRAIN",
	 .kind = SETTING_DURATION,
	 .fallback = "20s",
	 .min = 0,
	 .max = 3600000,
	 .help = "how long a stop waits for requests that run"},
	{.name = "EDGECAP_REQUEST_RATE",
	 .kind = SETTING_INT,
	 .fallback = "20",
	 .min = 1,
	 .max = 100000,
	 .help = "requests of one account each second"},
	{.name = "EDGECAP_REQUEST_BURST",
	 .kind = SETTING_INT,
	 .fallback = "100",
	 .min = 1,
	 .max = 100000,
	 .help = "requests of one account at once"},
	{.name = "EDGECAP_LOGIN_FAILURES",
	 .kind = SETTING_INT,
	 .fallback = "20",
	 .min = 1,
	 .max = 1000000,
	 .help = "failed logins of one source (IPv4 address, IPv6 /64) at once"},
	{.name = "EDGECAP_LOGIN_REFILL",
	 .kind = SETTING_DURATION,
	 .fallback = "3s",
	 .min = 1,
	 .max = 3600000,
	 .help = "until one of a source's failed logins is forgiven"},
	{.name = "EDGECAP_REQUESTS_MAX",
	 .kind = SETTING_INT,
	 .fallback = "1000",
	 .min = 1,
	 .max = 100000,
	 .help = "requests handled at the same time, until the answer begins; further ones get "
		 "503"},
	{.name = "EDGECAP_ACCOUNT_REQUESTS_MAX",
	 .kind = SETTING_INT,
	 .fallback = "50",
	 .min = 1,
	 .max = 100000,
	 .help = "requests of one account, until the answer is taken; further ones get 429"},
	{.name = "EDGECAP_ACCOUNT_DOWNLOADS_MAX",
	 .kind = SETTING_INT,
	 .fallback = "20",
	 .min = 1,
	 .max = 100000,
	 .help = "of these its downloads; further ones get 429"},
	{.name = "EDGECAP_ANSWERS_MAX",
	 .kind = SETTING_INT,
	 .fallback = "1000",
	 .min = 1,
	 .max = 100000,
	 .help = "answers that clients have not taken yet, downloads among them; for a further one "
		 "the account with the most loses its oldest, or it gets 503"},
	{.name = "EDGECAP_CONNECTIONS_MAX",
	 .kind = SETTING_INT,
	 .fallback = "10000",
	 .min = 1,
	 .max = LIMIT_CONNECTIONS,
	 .help = "connections of one listener; for a further one the longest idle one is closed"},
	{.name = "EDGECAP_CONNECTIONS_PER_SOURCE",
	 .kind = SETTING_INT,
	 .fallback = "1000",
	 .min = 0,
	 .max = LIMIT_CONNECTIONS,
	 .help = "of them those from one IPv4 address or IPv6 /64, further ones are closed; 0: no "
		 "limit, for a proxy in front that is reached by TCP"},
	{.name = "EDGECAP_REUSEPORT",
	 .kind = SETTING_BOOL,
	 .fallback = "false",
	 .help = "let several processes listen on the same port"},
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
	 .max = 16,
	 .help = "debug, info, warn or error"},
};

const struct settings_program api_settings = {
	.prog = "edgecap-api",
	.about = "HTTP API of edgecap: packet captures for tenants, work for samplers",
	.table = table,
	.count = ARRAY_LEN(table),
};

static int read_address(const struct settings *s, const char *name, struct api_address *ret,
			bool *ret_given, struct error *err)
{
	const char *text = settings_str(s, name);

	*ret_given = text != NULL;
	if (text && api_address_parse(bytes_of(text), ret, err) < 0)
		return error_prefix(err, "%s", name);
	return 0;
}

/* Who connects to whom, and is believed what. */
static int read_proxy(const struct settings *s, struct api_config *c, struct error *err)
{
	mode_t mode = 0;

	if (api_socket_mode_parse(bytes_of(settings_str(s, "EDGECAP_LISTEN_MODE")), &mode, err) < 0)
		return error_prefix(err, "EDGECAP_LISTEN_MODE");
	c->tenants.mode = c->edge.mode = c->ops.mode = mode;
	if (forwarded_parse(bytes_of(settings_str(s, "EDGECAP_FORWARDED")), &c->forwarded, err) < 0)
		return error_prefix(err, "EDGECAP_FORWARDED");
	if (client_cert_rule_parse(bytes_of(settings_str(s, "EDGECAP_EDGE_CLIENT_CERT")),
				   &c->client_cert, err) < 0)
		return error_prefix(err, "EDGECAP_EDGE_CLIENT_CERT");
	if (c->forwarded == FORWARDED_UNIX && !c->tenants.is_unix &&
	    !(c->has_edge && c->edge.is_unix))
		return error_set(err, EC_EINVAL,
				 "EDGECAP_FORWARDED=unix: neither EDGECAP_LISTEN nor "
				 "EDGECAP_EDGE_LISTEN is unix:/path");
	if (c->client_cert != CLIENT_CERT_NONE &&
	    (c->forwarded != FORWARDED_UNIX || !c->has_edge || !c->edge.is_unix))
		return error_set(err, EC_EINVAL,
				 "EDGECAP_EDGE_CLIENT_CERT: needs EDGECAP_FORWARDED=unix and an "
				 "EDGECAP_EDGE_LISTEN that is unix:/path: nobody else is believed");
	return 0;
}

/* What depends on each other. */
static int check(const struct api_config *c, struct error *err)
{
	/* S3 takes uploads itself, by URLs that our credentials sign */
	if (store_is_s3(c->store.url))
		return 0;
	if (c->has_edge && !c->store.upload_base_url)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_UPLOAD_URL is required with EDGECAP_EDGE_LISTEN");
	if (c->has_edge && c->store.signing_secret.n == 0)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_SIGNING_SECRET is required with EDGECAP_EDGE_LISTEN");
	return 0;
}

int api_config_read(const struct settings *s, struct api_config *ret, struct error *err)
{
	bool given = false;
	struct api_config c = {
		.database_url = settings_str(s, "EDGECAP_DATABASE_URL"),
		.database_listen_url = settings_str(s, "EDGECAP_DATABASE_LISTEN_URL"),
		.database_connections = (uint32_t)settings_u64(s, "EDGECAP_DATABASE_CONNECTIONS"),
		.drain_ms = settings_u64(s, "EDGECAP_DRAIN"),
		.request_rate_per_s = (uint32_t)settings_u64(s, "EDGECAP_REQUEST_RATE"),
		.request_burst = (uint32_t)settings_u64(s, "EDGECAP_REQUEST_BURST"),
		.login_failures = (uint32_t)settings_u64(s, "EDGECAP_LOGIN_FAILURES"),
		.login_refill_ms = (uint32_t)settings_u64(s, "EDGECAP_LOGIN_REFILL"),
		.requests_max = (uint32_t)settings_u64(s, "EDGECAP_REQUESTS_MAX"),
		.account_requests_max = (uint32_t)settings_u64(s, "EDGECAP_ACCOUNT_REQUESTS_MAX"),
		.account_downloads_max = (uint32_t)settings_u64(s, "EDGECAP_ACCOUNT_DOWNLOADS_MAX"),
		.answers_max = (uint32_t)settings_u64(s, "EDGECAP_ANSWERS_MAX"),
		.connections_max = (uint32_t)settings_u64(s, "EDGECAP_CONNECTIONS_MAX"),
		.connections_per_source =
			(uint32_t)settings_u64(s, "EDGECAP_CONNECTIONS_PER_SOURCE"),
		.reuseport = settings_bool(s, "EDGECAP_REUSEPORT"),
	};

	const char *secret = settings_str(s, "EDGECAP_SIGNING_SECRET");
	if (bucket_settings_take(s, &c.buckets, err) < 0)
		return EC_EINVAL;
	store_settings_take(s, &c.store);
	c.store.upload_base_url = settings_str(s, "EDGECAP_UPLOAD_URL");
	c.store.s3_upload_key_id = settings_str(s, "EDGECAP_S3_UPLOAD_ACCESS_KEY_ID");
	c.store.s3_upload_secret_key = settings_str(s, "EDGECAP_S3_UPLOAD_SECRET_ACCESS_KEY");
	c.store.signing_secret = bytes_of(secret ? secret : "");
	if (read_address(s, "EDGECAP_LISTEN", &c.tenants, &given, err) < 0 ||
	    read_address(s, "EDGECAP_EDGE_LISTEN", &c.edge, &c.has_edge, err) < 0 ||
	    read_address(s, "EDGECAP_OPS_LISTEN", &c.ops, &c.has_ops, err) < 0)
		return EC_EINVAL;
	if (read_proxy(s, &c, err) < 0)
		return EC_EINVAL;
	if (selection_parse(bytes_of(settings_str(s, "EDGECAP_SELECTION")), &c.selection, err) < 0)
		return error_prefix(err, "EDGECAP_SELECTION");
	if (log_level_parse(bytes_of(settings_str(s, "EDGECAP_LOG_LEVEL")), &c.log_level) < 0)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_LOG_LEVEL must be debug, info, warn or error, not \"%s\"",
				 settings_str(s, "EDGECAP_LOG_LEVEL"));
	int r = check(&c, err);
	if (r == 0)
		*ret = c;
	return r;
}
