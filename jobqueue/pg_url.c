#include "jobqueue/pg_url.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "jobqueue/pg_error.h"
#include "packet/prefix.h"

int pg_host_check(const char *hosts, struct error *err)
{
	for (;;) {
		size_t n = strcspn(hosts, ",");
		struct address address;
		if (n > 0 && hosts[0] != '/' && hosts[0] != '@' &&
		    address_parse((struct bytes){(const uint8_t *)hosts, n}, &address) < 0)
			return error_set(
				err, EC_EINVAL,
				"database URL: host \"%.*s\" must be an IP address or a "
				"directory; a name would have to be resolved, which blocks",
				(int)(n > 128 ? 128 : n), hosts);
		if (hosts[n] == '\0')
			return 0;
		hosts += n + 1;
	}
}

/* The text of an option, or of the environment variable that stands in for it; NULL when neither is there. */
static const char *option_text(const PQconninfoOption *option)
{
	if (option->val && option->val[0])
		return option->val;
	const char *env = option->envvar ? getenv(option->envvar) : NULL;
	return env && env[0] ? env : NULL;
}

static const char *find(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++) {
		if (strcmp(options->keyword, keyword) == 0)
			return option_text(options);
	}
	return NULL;
}

int pg_url_check(const char *database_url, struct error *err)
{
	char *reason = NULL;
	int code = 0;
	PQconninfoOption *options = PQconninfoParse(database_url, &reason);

	if (!options) {
		char message[256];
		pg_message_copy(reason, message, sizeof(message));
		PQfreemem(reason);
		return error_set(err, EC_EINVAL, "database URL: %s", message);
	}
	const char *hostaddr = find(options, "hostaddr");
	const char *host = find(options, "host");
	if (find(options, "service"))
		code = error_set(
			err, EC_EINVAL,
			"database URL: a service file (service, PGSERVICE) is not supported");
	else if (hostaddr || host)
		code = pg_host_check(hostaddr ? hostaddr : host, err);
	PQconninfoFree(options);
	return code;
}
