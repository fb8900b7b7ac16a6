#include <string.h>

#include "jobqueue/pg_row.h"
#include "jobqueue/registry.h"
#include "jobqueue/registry_conn.h"

/* The words of pcap_reassemble (0011_full.sql) that are not "ready". */
static const struct {
	const char *word;
	int code;
	const char *text;
} refusals[] = {
	{"absent", EC_ENOTFOUND, "there is no such capture"},
	{"not_failed", EC_ECONFLICT, "the capture has not failed: there is nothing to do again"},
	{"removed", EC_ENOTFOUND, "nothing is left of the capture's chunks"},
};

/* The outcome of pcap_reassemble; *ret_account: whose job it is, unset when there is none. */
static int reassemble(struct registry *r, const struct id *pcap, struct id *ret_account,
		      struct error *err)
{
	const char *const params[] = {pcap->hex};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "SELECT pcap_reassemble($1::uuid),"
				 " pcap_account($1::uuid)",
				 1, params, &res, err);

	if (code < 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	const char *word = pg_row_text(&row);
	*ret_account = pg_row_id(&row);
	code = pg_row_end(&row, err);
	for (size_t i = 0; code == 0 && word && i < ARRAY_LEN(refusals); i++) {
		if (strcmp(word, refusals[i].word) == 0)
			return error_set(err, refusals[i].code, "%s: %s", pcap->hex,
					 refusals[i].text);
	}
	return code;
}

int registry_pcap_reassemble(struct registry *r, const struct id *pcap, struct error *err)
{
	struct id account = {0};
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = reassemble(r, pcap, &account, err);
	if (code == 0)
		code = registry_audit(
			r, &(struct registry_audit){&account, "pcap.reassemble", pcap, NULL}, err);
	return registry_end(r, code, err);
}
