#include "storage/bucket_settings.h"

int bucket_settings_take(const struct settings *s, struct bucket_settings *ret, struct error *err)
{
	const char *secret = settings_str(s, "EDGECAP_BUCKET_SECRET");
	const char *file = settings_str(s, "EDGECAP_BUCKETS_FILE");

	if (file && !secret)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_BUCKET_SECRET is required with EDGECAP_BUCKETS_FILE");
	*ret = (struct bucket_settings){file, bytes_of(secret ? secret : "")};
	return 0;
}
