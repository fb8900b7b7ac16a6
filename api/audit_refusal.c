#include "api/audit_refusal.h"

#include <stdio.h>
#include <string.h>

#include "api/actor.h"
#include "api/app.h"
#include "api/rate.h"
#include "base/log.h"
#include "jobqueue/jq_audit.h"
#include "jobqueue/jq_auth.h"

/* What routes are called, in the words of the audit. */
static const struct {
	const char *route, *type;
} types[] = {
	{"pcaps.", "pcap."},
	{"ownership.", "bucket."},
	{"tokens.", "token."},
};

bool audit_action_of(const struct api_route *route, char *dst)
{
	bool changes = strcmp(route->method, "GET") != 0;

	if (!changes && (route->permission & PERM_DOWNLOAD) == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t n = strlen(types[i].route);
		if (strncmp(route->name, types[i].route, n) == 0) {
			(void)snprintf(dst, AUDIT_ACTION_BYTES, "%s%s", types[i].type,
				       route->name + n);
			return true;
		}
	}
	return false;
}

static void on_written(void *arg, const struct error *err)
{
	(void)arg;
	if (err && err->code != EC_ECANCELED)
		log_event(LOG_WARN, "audit-failed", "error", error_name(err->code), "text",
			  err->text, (const char *)NULL);
}

void audit_refused(struct api_request *r, const char *result)
{
	const struct api_route *route = api_request_route(r);
	struct api_app *app = api_request_app(r);
	struct id account = api_request_param_id(r, 0);
	char action[AUDIT_ACTION_BYTES];
	struct jq_audit row = {.actor = api_actor_of(r), .action = action, .result = result};

	if (!audit_action_of(route, action) ||
	    !api_rate_take(app->refusals, &account, uv_now(app->loop)).allowed)
		return;
	if (api_request_param(r, 1).n > 0)
		row.object = api_request_param_id(r, 1);
	jq_audit_write(app->jq, &account, &row, on_written, NULL);
}
