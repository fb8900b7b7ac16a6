/* The operator's list of endpoints that tenants' buckets may be at: EDGECAP_BUCKETS_FILE.
 *
 * A JSON list of objects:
 *   {"scheme": "s3"|"gs"|"r2", "endpoint": "https://host[:port]", "region": "R", "style": "path"|"virtual",
 *    "access_key_id": "...", "secret_access_key_file": "/...", "ca_file": "/...", "private": false, "plaintext": false}
 * scheme and endpoint are needed, and for s3 and gs the keys, which are the operator's; with r2 they are the tenant's. In the endpoint of an
 * s3 entry "{region}" stands for any region, in that of an r2 entry "{account-id}" for any account. region: of an s3 entry, the only one that
 * it is good for. style: path. private: the endpoint may have an address that is not public (public_address.h). plaintext: it may begin
 * with http://. Files are read once.
 *
 * No request of a tenant leads to another endpoint than these.
 */
#pragma once

#include "storage/bucket_access.h"
#include "storage/destination.h"

enum {
	BUCKET_LIST_MAX = 64, /* entries */
	BUCKET_LIST_BYTES_MAX = 256 * 1024,
	BUCKET_CA_BYTES_MAX = 1024 * 1024,
	BUCKET_STALL_S = 10, /* a request that does not move for so long is given up */
};

struct bucket_list;

/* Read the list. Returns 0, or EC_EINVAL with a text that names the entry (from 1) and the member, EC_ENOMEM. Free with
 * bucket_list_free. */
int bucket_list_load(const char *path, struct bucket_list **ret, struct error *err) EC_MUST_CHECK;

/* The same from a text. */
int bucket_list_parse(struct bytes text, struct bucket_list **ret, struct error *err) EC_MUST_CHECK;

/* Free; accepts NULL. Keys are wiped. */
void bucket_list_free(struct bucket_list *list);

/* How to reach a destination; *ret borrows from both. Returns 0, or EC_EPERM with a text that may be shown to the tenant: no entry allows it. The keys
 * are those of the destination with r2, and may be "". Pure. */
int bucket_list_find(const struct bucket_list *list, const struct destination *d,
		     struct bucket_access *ret, struct error *err) EC_MUST_CHECK;
