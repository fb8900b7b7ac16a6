#include "storage/store_settings.h"

void store_settings_take(const struct settings *s, struct store_config *ret)
{
	ret->url = settings_str(s, "EDGECAP_STORAGE");
	ret->s3_access_key_id = settings_str(s, "EDGECAP_S3_ACCESS_KEY_ID");
	ret->s3_secret_access_key = settings_str(s, "EDGECAP_S3_SECRET_ACCESS_KEY");
	ret->s3_ca_file = settings_str(s, "EDGECAP_S3_CA_FILE");
}
