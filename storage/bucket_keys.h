/* A tenant's own keys (r2://) as they are kept: sealed (base/seal.h), good only for this account and this destination. Pure. */
#pragma once

#include "base/bytes.h"
#include "base/id.h"
#include "storage/destination.h"

enum { BUCKET_KEYS_SEALED_MAX = 512 };

/* Append the sealed keys of d to dst. secret: the deployment's, at least 32 bytes. Returns as seal_close. */
int bucket_keys_seal(struct bytes secret, const struct id *account, const struct destination *d,
		     struct buf *dst) EC_MUST_CHECK;

/* Put the keys back into d, whose other members are those of the same destination. Returns 0, EC_EFORMAT (sealed with another
 * secret, for another account or destination, or changed) or EC_ENOMEM. */
int bucket_keys_open(struct bytes secret, const struct id *account, struct bytes sealed,
		     struct destination *d) EC_MUST_CHECK;
