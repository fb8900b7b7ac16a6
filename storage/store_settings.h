/* The settings that name a store: the same rows for every program that opens one. */
#pragma once

#include "base/settings.h"
#include "storage/store.h"

/* Rows for a program's table of settings. */
#define STORE_SETTINGS                                                                             \
	{.name = "EDGECAP_STORAGE",                                                                \
	 .kind = SETTING_STR,                                                                      \
	 .min = 1,                                                                                 \
	 .max = STORE_URL_MAX / 2,                                                                 \
	 .help = "the object store: file:///absolute/directory or "                                \
		 "s3://bucket/prefix?region=R&endpoint=https://host:port&style=path|virtual"},     \
		{.name = "EDGECAP_S3_ACCESS_KEY_ID",                                               \
		 .kind = SETTING_SECRET,                                                           \
		 .min = 1,                                                                         \
		 .max = 512,                                                                       \
		 .optional = true,                                                                 \
		 .help = "with s3://: who we are there"},                                          \
		{.name = "EDGECAP_S3_SECRET_ACCESS_KEY",                                           \
		 .kind = SETTING_SECRET,                                                           \
		 .min = 1,                                                                         \
		 .max = 512,                                                                       \
		 .optional = true,                                                                 \
		 .help = "with s3://: the secret of that key"},                                    \
	{                                                                                          \
		.name = "EDGECAP_S3_CA_FILE", .kind = SETTING_STR, .min = 1, .max = 4095,          \
		.optional = true,                                                                  \
		.help = "with s3://: trusted certificates (PEM) instead of the system's"           \
	}

/* Take them into *ret; the texts are borrowed from s. What a store's URL needs is checked by store_open. */
void store_settings_take(const struct settings *s, struct store_config *ret);
