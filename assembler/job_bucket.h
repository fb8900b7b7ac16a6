/* The tenant's bucket of a full job, as a store for the worker's loop: what the claim says of it, the operator's list, the
 * tenant's keys. Blocks on the store. */
#pragma once

#include "assembler/assembly.h"

/* Before the texts of errors, so that a tenant knows that it is not the service's store. */
#define THE_BUCKET "the bucket"

/* Open it. places->loop runs it. Returns 0 and *ret (end with
 * store_wait_close); EC_EPERM (the deployment does not allow the endpoint any more), EC_EFORMAT (the keys cannot be unsealed), EC_EUNAVAILABLE (this
 * deployment has no buckets), or the store's error. Texts are for the tenant. */
int job_bucket_open(const struct assembly *a, const struct assembly_places *places,
		    struct store **ret, struct error *err) EC_MUST_CHECK;

/* Give up the unfinished uploads that assemblers which died have left under the job's keys. Returns 0 or the store's error: EC_EPERM where
 * the bucket does not let us look for them. */
int job_bucket_clean(const struct assembly *a, struct store *bucket,
		     struct error *err) EC_MUST_CHECK;
