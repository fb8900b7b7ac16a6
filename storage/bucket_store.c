#include "storage/bucket_store.h"

#include <stdlib.h>

#include "storage/s3_ops.h"

int bucket_store_open(uv_loop_t *loop, const struct bucket_access *access, struct store **ret,
		      struct error *err)
{
	if (!access->access_key_id[0] || !access->secret_key[0])
		return error_set(err, EC_EPERM, "the bucket's access keys are not known");
	struct store *store = store_new(loop, &store_s3_driver);
	if (!store)
		return error_set(err, EC_ENOMEM, "no memory");
	int r = s3_store_make(store, access, true, err);
	if (r < 0)
		free(store);
	else
		*ret = store;
	return r;
}
