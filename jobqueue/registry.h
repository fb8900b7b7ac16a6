/* The operator's side of the database: schema, accounts, prefixes, users, tokens, samplers, failed jobs.
 *
 * For edgecap-admin only. Unlike the rest of the folder it BLOCKS, on one connection of its own; it never runs
 * in a server. The connection's role is a member of edgecap_admin; or it owns the tables, as registry_migrate
 * needs. Each call is one transaction, in scope 'admin' of the row-level policies; what changes accounts or samplers notifies
 * "edgecap_registry". Lists live in the caller's arena. Secrets are handed out once and only their SHA-256 is stored.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/id.h"
#include "jobqueue/jq_audit.h"
#include "packet/prefix.h"

struct registry;

/* Every call but registry_open also returns EC_EPERM, with the role in err, when the role has no right to it. */

/* Connect. database_url: libpq URI or key=value (DNS names are fine here). Free with registry_close.
 * Returns 0, EC_EINVAL (malformed URL), EC_EUNAVAILABLE or EC_ENOMEM. */
int registry_open(const char *database_url, struct registry **ret, struct error *err) EC_MUST_CHECK;

/* Disconnect and free; accepts NULL. */
void registry_close(struct registry *r);

/* --- schema --- */

struct registry_migrated {
	uint32_t version; /* now */
	uint32_t applied; /* by this call */
};

/* Called after each applied file. name: "0001_states", borrowed. */
typedef void (*registry_migrated_cb)(void *arg, const char *name);

/* Apply what is missing, each file in its own transaction with its audit row (from 0021 on), and make this and the next months'
 * partitions. Waits for another migrate on the same database. A file's statements see all accounts' rows. dir: NULL for the
 * compiled-in files. cb: may be NULL. Returns 0; EC_ECONFLICT (database newer, applied file changed), EC_EFORMAT or EC_EIO (the
 * files); EC_EPERM (the role does not own the tables); EC_EINVAL, EC_EINTERNAL or EC_EUNAVAILABLE when a file fails (what was
 * applied before stays). */
int registry_migrate(struct registry *r, const char *dir, registry_migrated_cb cb, void *arg,
		     struct registry_migrated *ret, struct error *err) EC_MUST_CHECK;

/* --- accounts --- */

struct registry_account {
	struct id id;                /* unset when it is to be created: a random one is taken */
	const char *name;            /* 1..LIMIT_NAME_BYTES, unique */
	uint32_t collect_interval_s; /* 0..86400; 0: no limit */
	uint32_t running_max;        /* 1..100000 jobs */
	uint32_t full_running_max;   /* 1..1000 of these may be full */
	uint32_t
		retention_s; /* files are kept so long, up to REGISTRY_RETENTION_S_MAX; 0: the service's setting */
	bool unrestricted, disabled;
	int64_t created_us;
	size_t prefix_count;
	const struct prefix *prefixes; /* at most LIMIT_PREFIXES_PER_ACCOUNT */
	const bool *prefix_shared;     /* one for each; when it is to be created: NULL */
	bool shared;                   /* to be created: its prefixes may overlap other accounts' */
};

/* Create an account with its prefixes; created_us and disabled are not read. *ret_id: its id.
 * Returns 0, EC_ECONFLICT (name or id taken; a prefix overlaps another account's, and shared is not set), EC_ELIMIT (prefixes),
 * EC_EINVAL or EC_EUNAVAILABLE. */
int registry_account_create(struct registry *r, const struct registry_account *account,
			    struct id *ret_id, struct error *err) EC_MUST_CHECK;

/* All accounts with their prefixes, by name. Returns 0, EC_ENOMEM (arena) or EC_EUNAVAILABLE. */
int registry_account_list(struct registry *r, struct arena *arena, struct registry_account **ret,
			  size_t *ret_count, struct error *err) EC_MUST_CHECK;

/* What is to be changed of an account's limits; the units and ranges of struct registry_account. */
struct registry_limits {
	const uint32_t *collect_interval_s, *running_max, *full_running_max; /* NULL: as it is */
	const uint32_t *retention_s;
};

enum { REGISTRY_RETENTION_S_MAX = 3650 * 86400 };

/* Change limits; jobs that run are not touched. A retention is for jobs that end from now on, and ends the time of those that have ended
 * earlier, never later: what somebody was promised to be removed is. *ret: the account as it is now, with its prefixes, in the arena.
 * Returns 0, EC_ENOTFOUND, EC_EINVAL (outside a range), EC_ENOMEM (arena) or EC_EUNAVAILABLE. */
int registry_account_set(struct registry *r, const struct id *account,
			 const struct registry_limits *limits, struct arena *arena,
			 struct registry_account *ret, struct error *err) EC_MUST_CHECK;

/* The id of an account. text: its id or its name. Returns 0, EC_ENOTFOUND or EC_EUNAVAILABLE. */
int registry_account_find(struct registry *r, const char *text, struct id *ret,
			  struct error *err) EC_MUST_CHECK;

/* Disable or enable an account: its credentials see nothing while it is disabled, its jobs run on.
 * Returns 0, EC_ENOTFOUND or EC_EUNAVAILABLE. */
int registry_account_disable(struct registry *r, const struct id *account, bool disabled,
			     struct error *err) EC_MUST_CHECK;

/* Prefixes of an account that are to be added or removed. */
struct registry_prefixes {
	size_t count;
	const struct prefix *items;
	bool shared; /* when added: they may overlap other accounts' */
};

/* Add prefixes; those it has already are not counted and stay as they are. Without shared, a new one must overlap with no prefix of
 * any other account, whether that is shared or not; one that is there already never stands against its own account. *ret_added: how
 * many were new. Returns 0, EC_ENOTFOUND, EC_ECONFLICT (overlap, with the other account and its prefix; none is added), EC_ELIMIT
 * (more than LIMIT_PREFIXES_PER_ACCOUNT; none is added) or EC_EUNAVAILABLE. */
int registry_prefix_add(struct registry *r, const struct id *account,
			const struct registry_prefixes *prefixes, size_t *ret_added,
			struct error *err) EC_MUST_CHECK;

/* Remove prefixes; jobs that run lose them within one sync. *ret_removed: how many it had. Returns 0, EC_ENOTFOUND (no such
 * account) or EC_EUNAVAILABLE. */
int registry_prefix_remove(struct registry *r, const struct id *account,
			   const struct registry_prefixes *prefixes, size_t *ret_removed,
			   struct error *err) EC_MUST_CHECK;

/* --- credentials --- */

struct registry_member {
	const char *email;
	struct id account;
	const char *role; /* "reader", "collector" or "admin" */
	bool new_key;     /* replace the key of a user who has one */
};

struct registry_user {
	struct id id;
	bool key_new;                /* key is set */
	char key[SECRET_TEXT_BYTES]; /* X-Auth-Key; "" when the user kept the old one */
};

/* Make a person a member of an account, or change the role. A new e-mail address gets a user and a
 * key, as does one without a key in use; a known one keeps its key unless new_key. Returns 0, EC_ENOTFOUND (account),
 * EC_EINVAL (e-mail address, role) or EC_EUNAVAILABLE. */
int registry_user_create(struct registry *r, const struct registry_member *member,
			 struct registry_user *ret, struct error *err) EC_MUST_CHECK;

struct registry_membership {
	struct id user, account;
	const char *email, *account_name, *role;
	bool disabled;            /* the user, in all accounts */
	int64_t since_us;         /* the membership */
	int64_t key_created_us;   /* 0: no key in use */
	int64_t key_last_used_us; /* that key, in any account, to about a minute; 0: never */
};

/* The members of an account, or of all when account is NULL, by e-mail address and account's name. Returns 0,
 * EC_ENOMEM (arena) or EC_EUNAVAILABLE. */
int registry_user_list(struct registry *r, const struct id *account, struct arena *arena,
		       struct registry_membership **ret, size_t *ret_count,
		       struct error *err) EC_MUST_CHECK;

/* End a membership. Who is a member of nothing any more loses the key too. email: compared without case. *ret_user: the
 * user. Returns 0, EC_ENOTFOUND (no such user, or no member) or EC_EUNAVAILABLE. */
int registry_user_remove(struct registry *r, const struct id *account, const char *email,
			 struct id *ret_user, struct error *err) EC_MUST_CHECK;

/* Refuse a user's key in all accounts, or accept it again. Returns 0, EC_ENOTFOUND or EC_EUNAVAILABLE. */
int registry_user_disable(struct registry *r, const char *email, bool disabled, struct id *ret_user,
			  struct error *err) EC_MUST_CHECK;

struct registry_token {
	struct id account, id;
	const char *account_name;
	const char *name;
	unsigned permissions;                       /* enum permission bits (jq_auth.h) */
	int64_t created_us, expires_us, revoked_us; /* 0: never */
	int64_t last_used_us;                       /* to about a minute; 0: never */
	size_t source_count;                        /* 0: it may be used from anywhere */
	const struct prefix *sources;               /* at most LIMIT_TOKEN_SOURCES */
};

/* Create a bearer token of an account. token: account, name (unique among the account's tokens in use),
 * permissions, expires_us and sources are read. *ret_id and ret_secret (SECRET_TEXT_BYTES) are filled.
 * Returns 0, EC_ENOTFOUND (account), EC_ECONFLICT (name), EC_ELIMIT (sources), EC_EINVAL or EC_EUNAVAILABLE. */
int registry_token_create(struct registry *r, const struct registry_token *token, struct id *ret_id,
			  char *ret_secret, struct error *err) EC_MUST_CHECK;

/* The tokens of an account, or of all when account is NULL, by account's and token's name. Returns 0,
 * EC_ENOMEM (arena) or EC_EUNAVAILABLE. */
int registry_token_list(struct registry *r, const struct id *account, struct arena *arena,
			struct registry_token **ret, size_t *ret_count,
			struct error *err) EC_MUST_CHECK;

/* Revoke a token at once. text: its id or its name in this account. *ret_id: its id. Returns 0,
 * EC_ENOTFOUND (also when it was revoked before) or EC_EUNAVAILABLE. */
int registry_token_revoke(struct registry *r, const struct id *account, const char *text,
			  struct id *ret_id, struct error *err) EC_MUST_CHECK;

/* The permissions of a comma-separated list ("read,download"). Pure. Returns 0 or EC_EINVAL with the
 * word that is none. */
int registry_permissions_parse(const char *text, unsigned *ret, struct error *err) EC_MUST_CHECK;

/* The reverse: "read,download". Pure. dst: REGISTRY_PERMISSIONS_BYTES. */
void registry_permissions_format(unsigned permissions, char *dst);

enum { REGISTRY_PERMISSIONS_BYTES = 64 };

/* --- samplers --- */

struct registry_sampler {
	struct id id;
	const char *name, *colo, *host, *software;
	const char *interfaces_json;
	bool enabled;
	int64_t created_us, last_seen_us; /* 0: never */
	int64_t old_tokens_until_us; /* the last replaced token is good until then; 0: none is */
	/* what assemblies caught it at, since it was registered */
	uint64_t packets_out_of_scope, parts_miscounted, chunks_unusable;
	int64_t alarm_us;      /* the last of these; 0: never */
	int64_t miscounted_us; /* since then its counters end no job; 0: it is trusted */
};

/* Register an edge host. *ret_id and ret_secret (its token, SECRET_TEXT_BYTES) are filled.
 * Returns 0, EC_ECONFLICT (name), EC_EINVAL or EC_EUNAVAILABLE. */
int registry_sampler_create(struct registry *r, const char *name, const char *colo,
			    struct id *ret_id, char *ret_secret, struct error *err) EC_MUST_CHECK;

/* All samplers by name. Returns 0, EC_ENOMEM (arena) or EC_EUNAVAILABLE. */
int registry_sampler_list(struct registry *r, struct arena *arena, struct registry_sampler **ret,
			  size_t *ret_count, struct error *err) EC_MUST_CHECK;

/* Disable or enable an edge host; its token is refused while it is disabled. text: id or name. *ret_id: its
 * id. Returns 0, EC_ENOTFOUND or EC_EUNAVAILABLE. */
int registry_sampler_disable(struct registry *r, const char *text, bool disabled, struct id *ret_id,
			     struct error *err) EC_MUST_CHECK;

/* Replace an edge host's token. The old one, and those before it that are still good, are refused overlap_s from now at the latest
 * (0..LIMIT_TOKEN_OVERLAP_S); until then the host may use any of them. text: id or name. *ret_id and ret_secret (SECRET_TEXT_BYTES)
 * are filled. Returns 0, EC_ENOTFOUND, EC_ELIMIT (LIMIT_SAMPLER_OLD_TOKENS are good), EC_EINVAL (overlap) or EC_EUNAVAILABLE. */
int registry_sampler_token(struct registry *r, const char *text, uint32_t overlap_s,
			   struct id *ret_id, char *ret_secret, struct error *err) EC_MUST_CHECK;

/* Refuse an edge host's replaced tokens at once. text: id or name. *ret_revoked: how many were still good. Returns 0, EC_ENOTFOUND or
 * EC_EUNAVAILABLE. */
int registry_sampler_revoke_old(struct registry *r, const char *text, struct id *ret_id,
				size_t *ret_revoked, struct error *err) EC_MUST_CHECK;

/* Let an edge host's counters end jobs again, after it had miscounted. The sums of its alarms stay. text: id or name. *ret_id: its id.
 * Returns 0, EC_ENOTFOUND or EC_EUNAVAILABLE. */
int registry_sampler_trust(struct registry *r, const char *text, struct id *ret_id,
			   struct error *err) EC_MUST_CHECK;
/* --- audit --- */

/* Rows of an audit list, in an arena. */
struct registry_audit_rows {
	struct jq_audit_event *items;
	size_t count;
};

struct registry_audit_query {
	const struct id *account;   /* NULL: any, and what is no account's */
	bool fleet;                 /* only what is no account's; not with an account */
	const char *action;         /* "sampler.trust"; NULL: any */
	const char *actor;          /* as in jq_audit_event.actor; NULL: any */
	struct id object;           /* unset: any */
	int64_t since_us, until_us; /* inclusive; 0: open */
	uint32_t limit;             /* rows, 1..REGISTRY_AUDIT_MAX */
};

/* Audit rows, newest first. Without an account all rows of the time asked for are read. *ret: in the arena. Returns 0, EC_ENOMEM
 * (arena) or EC_EUNAVAILABLE. */
int registry_audit_list(struct registry *r, const struct registry_audit_query *query,
			struct arena *arena, struct registry_audit_rows *ret,
			struct error *err) EC_MUST_CHECK;

enum { REGISTRY_AUDIT_MAX = 100000 };

/* --- jobs --- */

/* Have a failed job assembled again, from the chunks that were kept. Returns 0, EC_ENOTFOUND (no such job, or nothing is left of
 * it), EC_ECONFLICT (it has not failed) or EC_EUNAVAILABLE. */
int registry_pcap_reassemble(struct registry *r, const struct id *pcap,
			     struct error *err) EC_MUST_CHECK;
