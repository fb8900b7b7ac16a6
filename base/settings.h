/* Settings: each from a flag or an environment variable, a flag wins, then the default (12-factor).
 *
 * A program describes its settings in one static table; --help and --version are made from it. The
 * flag of EDGECAP_DATABASE_URL is --database-url. A setting NAME whose kind is SETTING_SECRET may also come
 * from a file named by NAME_FILE / --name-file (trailing newline removed). A wrong, unknown or missing setting stops the
 * start with a message that names it, its range and what was seen. Values live as long as `struct settings`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"

enum setting_kind {
	SETTING_STR,      /* text; min..max is its length in bytes */
	SETTING_SECRET,   /* text never shown; also NAME_FILE */
	SETTING_INT,      /* parse_u64 */
	SETTING_SIZE,     /* parse_size, bytes */
	SETTING_DURATION, /* parse_duration_ms, milliseconds */
	SETTING_BOOL,     /* parse_bool; a flag without a value means true */
	SETTING_FLAG,     /* command-line switch only, no environment variable, no value */
};

/* One row of a program's table. */
struct setting {
	const char
		*name; /* "EDGECAP_DATABASE_URL"; for SETTING_FLAG "EDGECAP_DRY_RUN" -> --dry-run */
	enum setting_kind kind;
	const char *fallback; /* the default as text; NULL: none (required unless optional) */
	uint64_t min, max;    /* inclusive, in the kind's unit; max 0 means no upper limit */
	bool optional;    /* may be absent without a default: settings_str gives NULL, numbers 0 */
	const char *help; /* one line */
};

struct settings;

enum settings_outcome {
	SETTINGS_RUN,  /* go on */
	SETTINGS_EXIT, /* --help or --version was printed on stdout: exit 0 */
};

/* What a program says of itself. */
struct settings_program {
	const char *prog;  /* "edgecap-api" */
	const char *about; /* one line for --help */
	const struct setting *table;
	size_t count;        /* rows */
	size_t max_operands; /* arguments that are no flags, and everything after "--" */
};

/* Read argv and the environment against the program's table. An empty environment variable counts as not set;
 * EDGECAP_ variables that are not in the table are other programs' and no error.
 * program: static, or living as long as the result. argv: borrowed for the life of the result.
 * Returns 0, *ret (free with settings_free) and *outcome (with SETTINGS_EXIT no value is there); or
 * EC_EINVAL with a message for stderr, EC_ENOMEM. */
int settings_read(const struct settings_program *program, int argc, char *const *argv,
		  struct settings **ret, enum settings_outcome *outcome,
		  struct error *err) EC_MUST_CHECK;

/* Free; accepts NULL. Secrets are wiped. */
void settings_free(struct settings *s);

/* Text of a setting in the table (asserts that it is); NULL when absent and optional. Borrowed from s. */
const char *settings_str(const struct settings *s, const char *name);

/* Number of a SETTING_INT, SIZE (bytes) or DURATION (ms) setting. */
uint64_t settings_u64(const struct settings *s, const char *name);

/* Value of a SETTING_BOOL or FLAG. */
bool settings_bool(const struct settings *s, const char *name);

/* True when it came from the environment or a flag rather than the default. */
bool settings_given(const struct settings *s, const char *name);

/* The file that a SETTING_SECRET was read from, borrowed; NULL when its text itself was given, or nothing. */
const char *settings_file(const struct settings *s, const char *name);

/* The i-th operand, NULL past the last. Borrowed from argv. */
const char *settings_operand(const struct settings *s, size_t i);
