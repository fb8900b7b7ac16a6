#include "jobqueue/pg_row.h"
#include "jobqueue/registry.h"
#include "jobqueue/registry_conn.h"

enum { READY, ABSENT, NOT_FAILED, REMOVED, OUTCOMES };

/* The words of pcap_reassemble (0011_full.sql), and what the operator is told of those that are refusals. */
static const char *const words[OUTCOMES] = {"ready", "absent", "not_failed", "removed"};
static const struct {
	int code;
	const char *text;
} refusals[OUTCOMES] = {
	[ABSENT] = {EC_ENOTFOUND, "there is no such capture"},
	[NOT_FAILED] = {EC_ECONFLICT, "the capture has not failed: there is nothing to do again"},
	[REMOVED] = {EC_ENOTFOUND, "nothing is left of the capture's chunks"},
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
	size_t outcome = pg_row_word(&row, words, OUTCOMES, ABSENT, "is no outcome");
	*ret_account = pg_row_id(&row);
	code = pg_row_end(&row, err);
	if (code == 0 && outcome != READY)
		return error_set(err, refusals[outcome].code, "%s: %s", pcap->hex,
				 refusals[outcome].text);
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
