#include "jobqueue/pg_error.h"

#include <string.h>

/* True when state begins with one of the prefixes (separated by spaces). */
static bool state_in(const char *state, const char *prefixes)
{
	while (*prefixes) {
		size_t n = strcspn(prefixes, " ");
		if (strncmp(state, prefixes, n) == 0)
			return true;
		prefixes += n;
		prefixes += *prefixes == ' ';
	}
	return false;
}

enum pg_verdict pg_verdict_of(const char *state)
{
	if (!state)
		return PG_GIVE_UP;
	if (state_in(state, "40001 40P01"))
		return PG_TRY_AGAIN;
	/* shutdown, crash, starting up, database dropped; connection exceptions; a standby */
	if (state_in(state, "57P01 57P02 57P03 57P04 08 25006"))
		return PG_RECONNECT;
	return PG_GIVE_UP;
}

int pg_error_code(const char *state)
{
	if (!state)
		return EC_EUNAVAILABLE;
	if (state_in(state, "EC001 23505"))
		return EC_ECONFLICT;
	/* away, overloaded, out of resources, cancelled by a time limit; the schema is not there */
	if (state_in(state, "08 25006 40 53 55P03 57 58 3D000 3F000 42P01 42883 42703 28"))
		return EC_EUNAVAILABLE;
	if (state_in(state, "22 23"))
		return EC_EINVAL;
	return EC_EINTERNAL;
}

void pg_message_copy(const char *message, char *dst, size_t cap)
{
	size_t n = 0;

	for (const char *p = message ? message : ""; *p && n + 1 < cap; p++) {
		bool blank = *p == '\n' || *p == '\t' || *p == ' ';
		if (!blank)
			dst[n++] = *p;
		else if (n > 0 && dst[n - 1] != ' ')
			dst[n++] = ' ';
	}
	while (n > 0 && dst[n - 1] == ' ')
		n--;
	dst[n] = '\0';
}

int pg_error_set(struct error *err, const PGresult *res)
{
	char message[EC_ERROR_TEXT_BYTES - 64];
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	pg_message_copy(primary ? primary : PQresultErrorMessage(res), message, sizeof(message));
	return error_set(err, pg_error_code(state), "database: %s (SQLSTATE %s)", message,
			 state ? state : "none");
}
