/* The audit trail of an account: who did what, when, from where, and how it ended.
 *
 * Rows of changes are written in the transaction of the change (migrations/); here are those without one, a download's and a
 * refusal's, and the list. Account first, in that account's scope. Rows are never changed; they go with their month.
 */
#pragma once

#include "jobqueue/jq.h"
#include "jobqueue/jq_tenant.h"

/* What an audit row says; texts are copied. */
struct jq_audit {
	struct jq_actor actor;
	const char *action; /* "pcap.download" */
	struct id object;   /* unset: none */
	const char *result; /* JQ_AUDIT_OK, or why it was refused */
};

/* Results. */
#define JQ_AUDIT_OK "ok"
#define JQ_AUDIT_FORBIDDEN "forbidden" /* the credential, or the account, may not do it */
#define JQ_AUDIT_RATE "rate_limited"   /* one of the account's limits of captures */

/* Actors: tokens are "token:<name>", operators "operator:<OS user>", others are users' e-mail addresses. */
#define JQ_AUDIT_TOKEN "token"
#define JQ_AUDIT_OPERATOR "operator"

/* Write an audit row by itself. */
void jq_audit_write(struct jq *jq, const struct id *account, const struct jq_audit *row,
		    jq_done_cb cb, void *arg);

/* A row as it is listed; texts are borrowed for the callback. */
struct jq_audit_event {
	struct id account, id; /* account unset: no account's, which only operators see */
	int64_t at_us;
	struct id actor_id; /* token or user; unset: an operator */
	const char *actor;
	const char *source;     /* address; "local" */
	const char *request_id; /* "" for an operator's */
	const char *action;     /* "<type of the object>.<verb>" */
	struct id object;       /* unset: the account, or one that was not made */
	const char *result;
	const char *detail; /* "": nothing to say */
};

struct jq_audit_query {
	uint32_t page, per_page;    /* from 1 */
	const char *action;         /* NULL: any */
	const char *actor;          /* a token or user as in jq_audit_event.actor; NULL: any */
	struct id actor_id;         /* unset: any */
	bool operators;             /* operators only */
	int64_t since_us, until_us; /* inclusive; 0: open */
};

typedef void (*jq_audit_list_cb)(void *arg, const struct error *err,
				 const struct jq_audit_event *events, size_t count, uint64_t total);

/* Newest first. query: copied. */
void jq_audit_list(struct jq *jq, const struct id *account, const struct jq_audit_query *query,
		   jq_audit_list_cb cb, void *arg);
