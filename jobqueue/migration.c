#include "jobqueue/migration.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"

enum { NUMBER_DIGITS = 4 };

/* Split "0001_name.sql". Returns 0 or EC_EFORMAT. */
static int parse_name(const char *file_name, struct migration *m, struct error *err)
{
	size_t n = strlen(file_name);
	const char *digits = file_name;
	uint64_t version = 0;

	if (n < NUMBER_DIGITS + sizeof("_x.sql") - 1 || n >= MIGRATION_NAME_BYTES ||
	    file_name[NUMBER_DIGITS] != '_' || strcmp(file_name + n - 4, ".sql") != 0)
		goto bad;
	while (*digits == '0')
		digits++;
	size_t left = (size_t)(file_name + NUMBER_DIGITS - digits);
	if (digits > file_name + NUMBER_DIGITS ||
	    parse_u64((struct bytes){(const uint8_t *)digits, left}, 1, MIGRATIONS_MAX, &version) <
		    0)
		goto bad;
	m->version = (uint32_t)version;
	memcpy(m->name, file_name, n - 4);
	m->name[n - 4] = '\0';
	return 0;
bad:
	return error_set(err, EC_EFORMAT, "migration %s: must be named NNNN_name.sql, from 0001",
			 file_name);
}

static int compare(const void *a, const void *b)
{
	const struct migration *x = a, *y = b;

	return (x->version > y->version) - (x->version < y->version);
}

/* Sort, hash, and check that the numbers have no gap. */
static int finish(struct migration_set *set, struct error *err)
{
	if (set->count == 0)
		return error_set(err, EC_EFORMAT, "there are no migrations (NNNN_name.sql)");
	qsort(set->items, set->count, sizeof(*set->items), compare);
	for (size_t i = 0; i < set->count; i++) {
		struct migration *m = &set->items[i];
		if (i > 0 && m->version == m[-1].version)
			return error_set(err, EC_EFORMAT,
					 "migrations %s.sql and %s.sql: one number", m[-1].name,
					 m->name);
		if (m->version != i + 1)
			return error_set(err, EC_EFORMAT,
					 "migration %s.sql: number %04zu is missing before it",
					 m->name, i + 1);
		m->sha256 = digest_sha256(m->sql);
	}
	return 0;
}

/* Append an empty item; NULL without memory. */
static struct migration *append(struct migration_set *set)
{
	struct migration *grown = reallocarray(set->items, set->count + 1, sizeof(*set->items));

	if (!grown)
		return NULL;
	set->items = grown;
	memset(&grown[set->count], 0, sizeof(*grown));
	return &grown[set->count++];
}

void migration_set_fini(struct migration_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		free(set->items[i].owned);
	free(set->items);
	*set = (struct migration_set){0};
}

int migration_set_embedded(struct migration_set *ret, struct error *err)
{
	struct migration_set set = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < migrations_embedded_count; i++) {
		struct migration *m = append(&set);
		if (!m) {
			r = error_set(err, EC_ENOMEM, "out of memory");
			break;
		}
		m->sql = migrations_embedded[i].sql;
		r = parse_name(migrations_embedded[i].file_name, m, err);
	}
	if (r == 0)
		r = finish(&set, err);
	if (r < 0)
		migration_set_fini(&set);
	else
		*ret = set;
	return r;
}

/* Read the whole file into m. */
static int read_file(int dir_fd, const char *file_name, struct migration *m, struct error *err)
{
	AUTO_FD int fd = openat(dir_fd, file_name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open migration %s", file_name);
	AUTO_FREE uint8_t *p = malloc(MIGRATION_FILE_BYTES_MAX + 1);
	if (!p)
		return error_set(err, EC_ENOMEM, "out of memory");
	size_t n = 0;
	while (n <= MIGRATION_FILE_BYTES_MAX) {
		ssize_t got = read(fd, p + n, MIGRATION_FILE_BYTES_MAX + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, EC_EIO, errno, "cannot read migration %s",
					       file_name);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (n > MIGRATION_FILE_BYTES_MAX)
		return error_set(err, EC_ELIMIT, "migration %s: more than %d bytes", file_name,
				 MIGRATION_FILE_BYTES_MAX);
	m->sql = (struct bytes){p, n};
	m->owned = TAKE(p);
	return 0;
}

static int read_entries(DIR *d, struct migration_set *set, struct error *err)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(d);
		if (!entry)
			return errno == 0 ? 0
					  : error_set_errno(err, EC_EIO, errno,
							    "cannot read the migrations");
		size_t n = strlen(entry->d_name);
		if (entry->d_name[0] == '.' || n < 4 || strcmp(entry->d_name + n - 4, ".sql") != 0)
			continue;
		struct migration *m = append(set);
		if (!m)
			return error_set(err, EC_ENOMEM, "out of memory");
		int r = parse_name(entry->d_name, m, err);
		if (r == 0)
			r = read_file(dirfd(d), entry->d_name, m, err);
		if (r < 0)
			return r;
	}
}

int migration_set_read(const char *dir, struct migration_set *ret, struct error *err)
{
	struct migration_set set = {0};
	DIR *d = opendir(dir);

	if (!d)
		return error_set_errno(err, EC_EIO, errno, "cannot open migrations directory %s",
				       dir);
	int r = read_entries(d, &set, err);
	(void)closedir(d);
	if (r == 0)
		r = finish(&set, err);
	if (r < 0) {
		(void)error_prefix(err, "%s", dir);
		migration_set_fini(&set);
	} else {
		*ret = set;
	}
	return r;
}

int migration_plan(const struct migration_set *set, const struct migration_applied *applied,
		   size_t applied_count, size_t *ret_next, struct error *err)
{
	for (size_t i = 0; i < applied_count; i++) {
		const struct migration_applied *row = &applied[i];
		if (row->version > set->count)
			return error_set(
				err, EC_ECONFLICT,
				"the database is newer than this program: it has migration "
				"%s, this program knows up to %04zu",
				row->name, set->count);
		if (row->version != i + 1)
			return error_set(err, EC_ECONFLICT,
					 "the database has migration %s but not %s: "
					 "schema_migrations was changed by hand",
					 row->name, set->items[i].name);
		const struct migration *m = &set->items[i];
		if (strcmp(m->name, row->name) != 0)
			return error_set(err, EC_ECONFLICT,
					 "migration %s.sql: the database has it applied as %s",
					 m->name, row->name);
		if (!digest_equal(&m->sha256, &row->sha256, sizeof(m->sha256)))
			return error_set(
				err, EC_ECONFLICT,
				"migration %s.sql was changed after it was applied; write a "
				"new one instead",
				m->name);
	}
	*ret_next = applied_count;
	return 0;
}
