/* The settings of tenants' buckets: the same rows for every program that writes into them. */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/settings.h"

enum { BUCKET_SECRET_BYTES_MIN = 32 };

/* Rows for a program's table of settings. */
#define BUCKET_SETTINGS                                                                            \
	{.name = "EDGECAP_BUCKETS_FILE",                                                           \
	 .kind = SETTING_STR,                                                                      \
	 .min = 1,                                                                                 \
	 .max = 4095,                                                                              \
	 .optional = true,                                                                         \
	 .help = "endpoints that tenants' buckets may be at (JSON, docs/storage.md); without it "  \
		 "there are no buckets and no full captures"},                                     \
	{                                                                                          \
		.name = "EDGECAP_BUCKET_SECRET", .kind = SETTING_SECRET,                           \
		.min = BUCKET_SECRET_BYTES_MIN, .max = 1024, .optional = true,                     \
		.help = "with EDGECAP_BUCKETS_FILE: signs challenges and encrypts tenants' keys; " \
			"the same for every API and assembler"                                     \
	}

struct bucket_settings {
	const char *file;    /* EDGECAP_BUCKETS_FILE; NULL: no buckets */
	struct bytes secret; /* set with file */
};

/* Take them; the texts are borrowed from s. Returns 0, or EC_EINVAL when there is a file and no secret. */
int bucket_settings_take(const struct settings *s, struct bucket_settings *ret,
			 struct error *err) EC_MUST_CHECK;
