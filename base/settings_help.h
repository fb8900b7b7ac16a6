/* The names of settings as a person types and reads them, and the text of --help.
 *
 * Part of base/settings: programs include base/settings.h only.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/settings.h"

enum { SETTING_FLAG_BYTES = 96 };

/* The flag of a setting: "EDGECAP_DATABASE_URL" gives "--database-url". dst: SETTING_FLAG_BYTES. */
void setting_flag_format(const struct setting *s, char *dst);

/* Append the allowed range in the kind's unit: "1..65535", "1s..1h", "at least 1MiB bytes",
 * "true or false"; nothing for SETTING_FLAG. */
void setting_range_put(const struct setting *s, struct buf *out);

/* Append the whole text of --help. prog, about, table, count: as in settings_read. */
void settings_help_put(const char *prog, const char *about, const struct setting *table,
		       size_t count, size_t max_operands, struct buf *out);
