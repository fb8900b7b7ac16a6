/* The scopes of the accounts that a set of jobs belongs to, from one result. Not for other folders. */
#pragma once

#include "jobqueue/pg_row.h"
#include "packet/prefix.h"

/* SELECT list and order of the statement; "a" is accounts, joined to the accounts that are wanted. */
#define SCOPE_COLUMNS "a.id, a.unrestricted, r.prefix"
#define SCOPE_JOIN " LEFT JOIN account_prefixes r ON r.account_id = a.id"
#define SCOPE_ORDER " ORDER BY a.id"

struct account_scope {
	struct id account;
	struct scope scope;
};

struct account_scopes {
	size_t count;
	struct account_scope *items; /* ordered by account */
};

/* Read all rows of such a statement. Free with account_scopes_fini. Returns 0, EC_EINTERNAL or EC_ENOMEM. */
int account_scopes_read(const PGresult *res, struct account_scopes *ret,
			struct error *err) EC_MUST_CHECK;

/* The scope of an account, borrowed; an empty one when it is not there. */
struct scope account_scopes_get(const struct account_scopes *s, const struct id *account);

/* Free; accepts a zeroed struct. */
void account_scopes_fini(struct account_scopes *s);
