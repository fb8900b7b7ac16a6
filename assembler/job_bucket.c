#include "assembler/job_bucket.h"

#include "storage/bucket_keys.h"
#include "storage/bucket_list.h"
#include "storage/bucket_store.h"
#include "storage/store_wait.h"

/* How to reach it; *ret borrows from the list and from d, which holds the tenant's keys. */
static int find(const struct assembly *a, const struct assembly_places *places,
		struct destination *d, struct bucket_access *ret, struct error *err)
{
	if (!places->buckets)
		return error_set(err, EC_EUNAVAILABLE, "this deployment has no buckets any more");
	int r = destination_parse(bytes_of(a->job.destination), d, err);
	if (r == 0 && a->bucket_keys.n > 0 &&
	    bucket_keys_open(places->bucket_secret, &a->job.account, a->bucket_keys, d) < 0)
		r = error_set(err, EC_EFORMAT,
			      "its keys cannot be read any more: add the bucket again");
	return r < 0 ? r : bucket_list_find(places->buckets, d, ret, err);
}

int job_bucket_open(const struct assembly *a, const struct assembly_places *places,
		    struct store **ret, struct error *err)
{
	struct destination d = {.bucket = ""};
	struct bucket_access access;
	int r = find(a, places, &d, &access, err);

	if (r == 0)
		r = bucket_store_open(places->loop, &access, ret, err);
	destination_wipe(&d);
	return r < 0 ? error_prefix(err, THE_BUCKET) : 0;
}

int job_bucket_clean(const struct assembly *a, struct store *bucket, struct error *err)
{
	int r = store_wait_give_up(bucket, a->pcap_key, err);

	if (r == 0)
		r = store_wait_give_up(bucket, a->manifest_key, err);
	return r < 0 ? error_prefix(err, THE_BUCKET) : 0;
}
