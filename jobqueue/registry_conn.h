/* What the registry_*.c files share: the connection and small steps on it. Not for other folders. */
#pragma once

#include "jobqueue/pg_row.h"
#include "jobqueue/pg_sync.h"
#include "jobqueue/registry.h"

struct registry {
	PGconn *conn;
};

/* Begin a transaction in scope 'admin', in which all accounts' rows are seen. Returns 0 or a code as pg_sync_script. */
int registry_begin(struct registry *r, struct error *err) EC_MUST_CHECK;

/* As registry_begin, for statements that read one state of the database. */
int registry_begin_read(struct registry *r, struct error *err) EC_MUST_CHECK;

/* Commit when code is 0, else roll back. Returns code, or the failure of the commit. */
int registry_end(struct registry *r, int code, struct error *err) EC_MUST_CHECK;

/* One statement in a transaction of its own, in scope 'admin'. Parameters, result and codes as pg_sync_query. */
int registry_query(struct registry *r, const char *sql, size_t count, const char *const *params,
		   PGresult **ret, struct error *err) EC_MUST_CHECK;

/* NOTIFY edgecap_registry with "account", in the transaction that is open. Returns 0 or a code. */
int registry_notify_account(struct registry *r, struct error *err) EC_MUST_CHECK;

/* The same with "sampler <id>". */
int registry_notify_sampler(struct registry *r, const struct id *sampler,
			    struct error *err) EC_MUST_CHECK;

/* Lock the account's row. Returns 0, EC_ENOTFOUND, or a code as pg_sync_query. */
int registry_account_lock(struct registry *r, const struct id *account,
			  struct error *err) EC_MUST_CHECK;

/* What an operator did. */
struct registry_audit {
	const struct id *account; /* NULL: it is no account's, and no tenant ever sees it */
	const char *action;       /* "account.set" */
	const struct id *object;  /* token, user, sampler or job; NULL: none but the account */
	const char *
		detail; /* what was changed, no secrets; cut at LIMIT_AUDIT_DETAIL_BYTES; NULL: nothing to say */
};

/* Write the audit row of a change, in the transaction that is open: the actor is "operator:" and the OS user that runs this
 * process. row: borrowed for the call. Returns 0, or a code as pg_sync_query. */
int registry_audit(struct registry *r, const struct registry_audit *row,
		   struct error *err) EC_MUST_CHECK;

/* registry_audit of prefixes that were added or removed; the detail names those that fit, "none" when there are none, and says first
 * when they were declared shared. */
int registry_audit_prefixes(struct registry *r, const struct id *account, const char *action,
			    const struct registry_prefixes *prefixes,
			    struct error *err) EC_MUST_CHECK;

/* A name: 1..LIMIT_NAME_BYTES of UTF-8 without control characters. what: for the text. Returns 0 or EC_EINVAL. */
int registry_name_check(const char *what, const char *name, struct error *err) EC_MUST_CHECK;

/* SHA-256 of a text as PostgreSQL reads a bytea ("\x..."). dst: REGISTRY_SHA256_BYTES. */
void registry_sha256(const char *text, char *dst);

enum { REGISTRY_SHA256_BYTES = 2 + DIGEST_HEX_BYTES };
