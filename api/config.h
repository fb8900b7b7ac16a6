/* The API's settings, read once at the start. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/client_cert.h"
#include "api/forwarded.h"
#include "api/listen.h"
#include "base/attr.h"
#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "packet/selection.h"
#include "storage/bucket_settings.h"
#include "storage/store.h"

/* What main gives to settings_read. */
extern const struct settings_program api_settings;

struct api_config {
	struct api_address tenants, edge, ops;
	bool has_edge, has_ops;
	enum forwarded forwarded;
	enum client_cert_rule client_cert; /* of samplers */
	const char *database_url;
	const char *database_listen_url; /* NULL: database_url */
	uint32_t database_connections;
	struct store_config store; /* can sign uploads when has_edge */
	struct bucket_settings buckets;
	struct selection selection; /* of new jobs; the hash's secret is each job's own */
	uint64_t drain_ms;
	uint32_t request_rate_per_s, request_burst;
	uint32_t login_failures, login_refill_ms;
	uint32_t requests_max, account_requests_max, account_downloads_max, answers_max;
	uint32_t connections_max, connections_per_source;
	bool reuseport;
	enum log_level log_level;
};

/* Check and convert. settings: read with api_settings, borrowed for the life of *ret.
 * Returns 0, or EC_EINVAL with a message that names the setting. */
int api_config_read(const struct settings *settings, struct api_config *ret,
		    struct error *err) EC_MUST_CHECK;
