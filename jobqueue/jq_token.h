/* An account's bearer tokens in PostgreSQL, as its admins manage them.
 *
 * Every operation runs in the account's scope. Secrets are made by the caller and come here as hashes; no operation gives a hash back. Who
 * looks a token up is jq_auth.h; what the operator does is registry.h.
 */
#pragma once

#include "jobqueue/jq_auth.h"
#include "jobqueue/jq_tenant.h"

/* X(name, text): the text is the public status */
#define TOKEN_STATUSES(X)                                                                          \
	X(TOKEN_ACTIVE, "active")                                                                  \
	X(TOKEN_EXPIRED, "expired")                                                                \
	X(TOKEN_DISABLED, "disabled") /* revoked */

enum token_status {
#define X(name, text) name,
	TOKEN_STATUSES(X)
#undef X
};

/* Texts are borrowed from the result that it came with. */
struct jq_token {
	struct id id;
	enum token_status status;
	const char *name;
	const char *sources;  /* CIDR forms with commas between; "": any */
	unsigned permissions; /* enum permission bits */
	int64_t created_us;
	int64_t expires_us, last_used_us; /* 0: never */
};

/* The public status. */
const char *token_status_text(enum token_status status);

/* The status that a text names. Returns 0 or EC_EINVAL. */
int token_status_parse(const char *text, enum token_status *ret) EC_MUST_CHECK;

/* X(name, text): how an operation on a token ended; the text is what the migration's functions say */
#define JQ_TOKEN_OUTCOMES(X)                                                                       \
	X(JQ_TOKEN_CREATED, "created")                                                             \
	X(JQ_TOKEN_ROLLED, "rolled")                                                               \
	X(JQ_TOKEN_REVOKED, "revoked")     /* also when it was before */                           \
	X(JQ_TOKEN_ABSENT, "absent")       /* the account has no such token */                     \
	X(JQ_TOKEN_NAME, "name")           /* a token in use has this name */                      \
	X(JQ_TOKEN_FULL, "full")           /* the account has LIMIT_TOKENS_PER_ACCOUNT */          \
	X(JQ_TOKEN_IS_REVOKED, "disabled") /* and gets no new secret */                            \
	X(JQ_TOKEN_BEYOND, "beyond")       /* it may do what the caller may not */                 \
	X(JQ_TOKEN_NO_ACCOUNT, "no_account")

enum jq_token_outcome {
#define X(name, text) name,
	JQ_TOKEN_OUTCOMES(X)
#undef X
};

/* token: as it is now; NULL when the account has none of this id. */
typedef void (*jq_token_cb)(void *arg, const struct error *err, enum jq_token_outcome outcome,
			    const struct jq_token *token);

struct jq_token_create {
	struct id account;
	struct id id;                 /* fresh */
	const char *name;             /* 1..LIMIT_NAME_BYTES */
	struct digest secret;         /* SHA-256 of its text */
	unsigned permissions;         /* one or more */
	int64_t expires_us;           /* 0: never */
	const struct prefix *sources; /* 0..LIMIT_TOKEN_SOURCES; none: any */
	size_t source_count;
	struct jq_actor actor;
};

/* Create a token, with the audit row in one transaction. create: copied. */
void jq_token_create(struct jq *jq, const struct jq_token_create *create, jq_token_cb cb,
		     void *arg);

/* Revoke a token at once, on all replicas. */
void jq_token_revoke(struct jq *jq, const struct id *account, const struct id *id,
		     const struct jq_actor *actor, jq_token_cb cb, void *arg);

struct jq_token_roll {
	struct id account, id;
	struct digest secret; /* the new one's SHA-256 */
	unsigned permissions; /* of who asks: a token that has more is not rolled */
	struct jq_actor actor;
};

/* Give a token a new secret; the old one is void at once. roll: copied. */
void jq_token_roll(struct jq *jq, const struct jq_token_roll *roll, jq_token_cb cb, void *arg);

typedef void (*jq_token_list_cb)(void *arg, const struct error *err, const struct jq_token *tokens,
				 size_t count, uint64_t total);

/* One token, revoked or not: 0 or 1 of them. */
void jq_token_get(struct jq *jq, const struct id *account, const struct id *id, jq_token_list_cb cb,
		  void *arg);

struct jq_token_query {
	uint32_t page, per_page; /* from 1; at most LIMIT_LIST_PER_PAGE */
	bool any;                /* every status but TOKEN_DISABLED; else `status` only */
	enum token_status status;
};

/* Newest first. query: copied. */
void jq_token_list(struct jq *jq, const struct id *account, const struct jq_token_query *query,
		   jq_token_list_cb cb, void *arg);
