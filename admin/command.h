/* The subcommands of edgecap-admin: a table of them, and what one gets to run.
 *
 * A command validates its settings, calls jobqueue/registry.h and prints one value (admin/output.h). It blocks;
 * there is one thread and no loop.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/error.h"
#include "base/id.h"
#include "base/settings.h"
#include "jobqueue/registry.h"
#include "packet/prefix.h"

/* Rows of the database that one command may hold. */
enum { COMMAND_READ_BYTES_MAX = 256 * 1024 * 1024 };

struct command_run {
	const struct settings *settings;
	struct registry *registry;
	bool json;
};

/* One subcommand, static. */
struct command {
	const char *words; /* "account create" */
	const char *about;
	const struct setting *table;
	size_t count;
	/* Returns 0 or a code with the text for the operator. */
	int (*run)(struct command_run *run, struct error *err);
	size_t max_operands; /* as in struct settings_program */
};

/* Each file's commands, static, count in *ret_count. */
const struct command *commands_migrate(size_t *ret_count);
const struct command *commands_account(size_t *ret_count);    /* account and prefix, as above */
const struct command *commands_user(size_t *ret_count);       /* user, as above */
const struct command *commands_credential(size_t *ret_count); /* token, as above */
const struct command *commands_sampler(size_t *ret_count);    /* sampler, as above */
const struct command *commands_pcap(size_t *ret_count);       /* pcap, as above */
const struct command *commands_audit(size_t *ret_count);      /* audit, as above */

/* Rows that every command's table begins with. */
#define COMMAND_SETTINGS                                                                           \
	{.name = "EDGECAP_DATABASE_URL",                                                           \
	 .kind = SETTING_SECRET,                                                                   \
	 .min = 1,                                                                                 \
	 .max = 4096,                                                                              \
	 .help = "PostgreSQL, libpq URI or key=value; as a member of edgecap_admin, for migrate "  \
		 "as the tables' owner"},                                                          \
	{                                                                                          \
		.name = "EDGECAP_JSON", .kind = SETTING_FLAG,                                      \
		.help = "print JSON on stdout instead of a table"                                  \
	}

/* A row that names the account, and one that may. */
#define COMMAND_ACCOUNT                                                                            \
	{                                                                                          \
		.name = "EDGECAP_ACCOUNT", .kind = SETTING_STR, .min = 1, .max = LIMIT_NAME_BYTES, \
		.help = "account, by id or name"                                                   \
	}
#define COMMAND_ACCOUNT_OR_ALL                                                                     \
	{                                                                                          \
		.name = "EDGECAP_ACCOUNT", .kind = SETTING_STR, .optional = true,                  \
		.max = LIMIT_NAME_BYTES, .help = "account, by id or name; all without it"          \
	}

/* The account that EDGECAP_ACCOUNT names by id or name. Returns 0 or a code as registry_account_find. */
int command_account(const struct command_run *run, struct id *ret, struct error *err) EC_MUST_CHECK;

/* As command_account, for COMMAND_ACCOUNT_OR_ALL. *ret_account: id, filled in, or NULL for all. */
int command_account_or_all(const struct command_run *run, struct id *id,
			   const struct id **ret_account, struct error *err) EC_MUST_CHECK;

/* Push a list's rows to array, as objects. What is read of the database goes in arena, which ends after the call. Returns 0 or
 * a code. */
typedef int (*command_rows)(struct command_run *run, struct arena *arena, cJSON *array,
			    struct error *err);

/* Print a list: what rows pushes. columns: as output_table. Returns 0, or what rows or output_print returned. */
int command_list(struct command_run *run, const char *const *columns, command_rows rows,
		 struct error *err) EC_MUST_CHECK;

/* Parse a comma-separated list of prefixes; text NULL or "" gives none. *ret: malloc'ed, the caller frees
 * it (NULL for none). Returns 0, EC_EINVAL with the prefix, EC_ELIMIT or EC_ENOMEM. Pure. */
int command_prefixes(const char *text, struct prefix **ret, size_t *ret_count,
		     struct error *err) EC_MUST_CHECK;
