/* The schema's migrations: numbered SQL files, forward only, and the plan of what is to be applied.
 *
 * Files are NNNN_name.sql, numbered from 0001 without gaps. The embedded copies are compiled in from
 * migrations/; a directory may stand in for them. Deciding is pure (migration_plan); registry_migrate does the
 * work. An applied file must never change: its SHA-256 is kept in schema_migrations.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"

enum { MIGRATION_NAME_BYTES = 128, MIGRATION_FILE_BYTES_MAX = 1024 * 1024, MIGRATIONS_MAX = 9999 };

/* A file as compiled in. */
struct migration_file {
	const char *file_name; /* "0001_states.sql" */
	struct bytes sql;
};

/* Made at build time from migrations/ (cmake/EmbedMigrations.cmake). */
extern const struct migration_file migrations_embedded[];
extern const size_t migrations_embedded_count;

/* One migration, checked. */
struct migration {
	uint32_t version;
	char name[MIGRATION_NAME_BYTES]; /* "0001_states" */
	struct digest sha256;
	struct bytes sql;
	void *owned; /* the memory of sql when it was read from a directory */
};

/* All migrations in order: items[i].version is i + 1. */
struct migration_set {
	size_t count;
	struct migration *items;
};

/* A row of schema_migrations. */
struct migration_applied {
	uint32_t version;
	const char *name;
	struct digest sha256;
};

/* The compiled-in migrations. Free with migration_set_fini. Returns 0, EC_ENOMEM, or EC_EFORMAT when the
 * names are not numbered as they should be (a fault of the build). */
int migration_set_embedded(struct migration_set *ret, struct error *err) EC_MUST_CHECK;

/* The *.sql files of a directory; other files are ignored. Free with migration_set_fini.
 * Returns 0, EC_EIO, EC_EFORMAT (a name that is no NNNN_name.sql, a gap, a number twice, no file at all),
 * EC_ELIMIT (a file over MIGRATION_FILE_BYTES_MAX) or EC_ENOMEM, with the file in err. */
int migration_set_read(const char *dir, struct migration_set *ret, struct error *err) EC_MUST_CHECK;

/* Free; accepts a zeroed set. */
void migration_set_fini(struct migration_set *set);

/* What remains to be applied on a database that has these rows (in order of version)?
 * *ret_next: index of the first migration to apply; set->count when there is none.
 * Returns 0, or EC_ECONFLICT with the file in err: the database is newer than the set, has a gap, or an
 * applied file has another name or content now. Pure. */
int migration_plan(const struct migration_set *set, const struct migration_applied *applied,
		   size_t applied_count, size_t *ret_next, struct error *err) EC_MUST_CHECK;
