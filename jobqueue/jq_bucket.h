/* A tenant's buckets in PostgreSQL: where full captures go, and whether the tenant has proved that they are its own.
 *
 * Every operation runs in the account's scope. What a destination, sealed keys and a challenge are is the caller's business (storage/, api/).
 */
#pragma once

#include "jobqueue/jq_tenant.h"

/* X(name, text): the text is the public status */
#define BUCKET_STATUSES(X)                                                                         \
	X(BUCKET_PENDING, "pending") /* a challenge waits for its answer */                        \
	X(BUCKET_SUCCESS, "success") /* validated */                                               \
	X(BUCKET_FAILED, "failed")   /* the challenge has expired */

enum bucket_status {
#define X(name, text) name,
	BUCKET_STATUSES(X)
#undef X
};

/* Texts are borrowed from the result that it came with. */
struct bucket {
	struct id id;
	enum bucket_status status;
	const char *destination;            /* canonical, without keys */
	const char *filename;               /* of the challenge */
	int64_t submitted_us, validated_us; /* 0: not yet */
};

/* The public status. */
const char *bucket_status_text(enum bucket_status status);

/* X(name, text): how an operation on a bucket ended; the text is what the migration's functions say */
#define JQ_BUCKET_OUTCOMES(X)                                                                      \
	X(JQ_BUCKET_SAVED, "saved")       /* bucket is set */                                      \
	X(JQ_BUCKET_REMOVED, "removed")   /* of a removal */                                       \
	X(JQ_BUCKET_ABSENT, "absent")     /* the account has no such bucket */                     \
	X(JQ_BUCKET_FULL, "full")         /* the account has LIMIT_BUCKETS_PER_ACCOUNT */          \
	X(JQ_BUCKET_CONFLICT, "conflict") /* another request adds the same destination now */      \
	X(JQ_BUCKET_REPLACED, "replaced") /* there is a later challenge */                         \
	X(JQ_BUCKET_IN_USE, "in_use")     /* a job that is under way writes there */               \
	X(JQ_BUCKET_NO_ACCOUNT, "no_account")

enum jq_bucket_outcome {
#define X(name, text) name,
	JQ_BUCKET_OUTCOMES(X)
#undef X
};

/* bucket: with JQ_BUCKET_SAVED, else NULL. */
typedef void (*jq_bucket_cb)(void *arg, const struct error *err, enum jq_bucket_outcome outcome,
			     const struct bucket *bucket);

/* id: of the account's bucket with this destination; unset when there is none. count: of the account's buckets. */
typedef void (*jq_bucket_find_cb)(void *arg, const struct error *err, const struct id *id,
				  uint32_t count);
typedef void (*jq_bucket_list_cb)(void *arg, const struct error *err, const struct bucket *buckets,
				  size_t count);

/* Look for a bucket. destination: copied. */
void jq_bucket_find(struct jq *jq, const struct id *account, const char *destination,
		    jq_bucket_find_cb cb, void *arg);

struct jq_bucket_save {
	struct id account, id;
	const char *destination, *filename;
	struct bytes credentials; /* sealed; empty: none */
	struct digest token_sha256;
	int64_t expires_us; /* of the challenge */
	struct jq_actor actor;
};

/* Keep a challenge that was written: a new bucket, or a new challenge (and keys) of the one with this id. With the audit row in
 * one transaction. save: copied. */
void jq_bucket_save(struct jq *jq, const struct jq_bucket_save *save, jq_bucket_cb cb, void *arg);

struct jq_bucket_validate {
	struct id account;
	const char *destination;
	struct digest token_sha256; /* of the challenge's content, which was verified */
	struct jq_actor actor;
};

/* The challenge's content was shown: the bucket is validated. Doing it again changes nothing. validate: copied. */
void jq_bucket_validate(struct jq *jq, const struct jq_bucket_validate *validate, jq_bucket_cb cb,
			void *arg);

/* All buckets of an account, newest first. */
void jq_bucket_list(struct jq *jq, const struct id *account, jq_bucket_list_cb cb, void *arg);

/* Remove a bucket: JQ_BUCKET_REMOVED, _ABSENT or _IN_USE. */
void jq_bucket_delete(struct jq *jq, const struct id *account, const struct id *id,
		      const struct jq_actor *actor, jq_bucket_cb cb, void *arg);
