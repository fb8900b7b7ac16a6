/* How to reach a bucket at an S3 server, whoever it belongs to. */
#pragma once

#include "storage/s3_place.h"

/* Borrowed from whoever knows the bucket. */
struct bucket_access {
	struct s3_place place;
	const char *access_key_id, *secret_key;
	const char *upload_key_id,
		*upload_secret_key; /* of the operator's store, or NULL: store.h */
	struct bytes ca_pem;        /* empty: the system's */
	bool private_address;       /* false: only public addresses (public_address.h) */
};
