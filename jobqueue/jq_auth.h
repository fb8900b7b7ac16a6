/* Who is asking: credentials of tenants and samplers. Only hashes are stored and compared.
 *
 * Every request looks its credential up, so what is revoked is refused at once, by every replica. The database keeps the hashes to
 * itself: it is asked by functions (0018_credentials.sql), which also note when a credential was last used.
 */
#pragma once

#include "base/digest.h"
#include "jobqueue/jq.h"
#include "packet/prefix.h"

/* X(name, bit, text) */
#define PERMISSIONS(X)                                                                             \
	X(PERM_READ, 1, "read")                                                                    \
	X(PERM_DOWNLOAD, 2, "download")                                                            \
	X(PERM_COLLECT, 4, "collect")                                                              \
	X(PERM_ADMIN, 8, "admin")

enum permission {
#define X(name, bit, text) name = (bit),
	PERMISSIONS(X)
#undef X
};

/* A known credential, seen from one account. */
struct jq_identity {
	struct id credential; /* the token's or the user's id, for the audit */
	struct id
		holder; /* the token's account, or the user: whose requests they are at an account that is not his */
	const char *actor;    /* "token:<name>" or the user's e-mail address */
	bool account_member;  /* the account exists, is enabled, and the credential may see it */
	unsigned permissions; /* enum permission bits in this account; 0 when not a member */
};

/* identity is NULL with EC_EAUTH when the credential is not good; err's text says why, for the operator's log and for nobody
 * else ("token <id>: expired"); or with EC_EUNAVAILABLE. */
typedef void (*jq_identity_cb)(void *arg, const struct error *err,
			       const struct jq_identity *identity);

/* Look up a bearer token by the SHA-256 of its text, as seen from an account. source: where it is used from; NULL when that is not
 * known: then a token that is for some networks only is refused. */
void jq_auth_token(struct jq *jq, const struct digest *token, const struct id *account,
		   const struct address *source, jq_identity_cb cb, void *arg);

/* Look up a user by e-mail address (compared without case) and the SHA-256 of the key. email:
 * copied. */
void jq_auth_key(struct jq *jq, const char *email, const struct digest *key,
		 const struct id *account, jq_identity_cb cb, void *arg);

struct jq_sampler {
	struct id id;
	const char *name;
	const char *colo;
	bool old_token; /* the token was replaced and is good for a while: not to be remembered */
};

/* sampler is NULL with EC_EAUTH when the token is unknown or the sampler disabled (text as above); or with EC_EUNAVAILABLE. */
typedef void (*jq_sampler_cb)(void *arg, const struct error *err, const struct jq_sampler *sampler);

/* Look up a sampler by the SHA-256 of its token. */
void jq_auth_sampler(struct jq *jq, const struct digest *token, jq_sampler_cb cb, void *arg);
