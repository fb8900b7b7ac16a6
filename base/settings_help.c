#include "base/settings_help.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 4, CELL_BYTES = 128 };

struct scale {
	uint64_t factor;
	const char *unit;
};

/* One line of the table; the help text follows the cells. */
struct row {
	char cells[COLUMNS][CELL_BYTES];
	const char *help;
};

void setting_flag_format(const struct setting *s, char *dst)
{
	static const char prefix[] = "EDGECAP_";
	const char *name = s->name;

	EC_ASSERT(strncmp(name, prefix, sizeof(prefix) - 1) == 0);
	name += sizeof(prefix) - 1;
	EC_ASSERT(strlen(name) + 3 <= SETTING_FLAG_BYTES);
	*dst++ = '-';
	*dst++ = '-';
	for (; *name; name++)
		*dst++ = (char)(*name == '_' ? '-' : tolower((unsigned char)*name));
	*dst = '\0';
}

/* v in the largest unit that divides it. scales: from the largest to 1. */
static void put_scaled(struct buf *out, uint64_t v, const struct scale *scales)
{
	while (scales->factor > 1 && (v == 0 || v % scales->factor != 0))
		scales++;
	buf_printf(out, "%" PRIu64 "%s", v / scales->factor, scales->unit);
}

static void put_bound(struct buf *out, enum setting_kind kind, uint64_t v)
{
	static const struct scale bytes[] = {
		{(uint64_t)1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, ""}};
	static const struct scale ms[] = {
		{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};

	if (kind == SETTING_SIZE)
		put_scaled(out, v, bytes);
	else if (kind == SETTING_DURATION)
		put_scaled(out, v, ms);
	else
		buf_printf(out, "%" PRIu64, v);
}

void setting_range_put(const struct setting *s, struct buf *out)
{
	if (s->kind == SETTING_FLAG)
		return;
	if (s->kind == SETTING_BOOL) {
		buf_puts(out, "true or false");
		return;
	}
	if (s->max > 0) {
		put_bound(out, s->kind, s->min);
		buf_puts(out, "..");
		put_bound(out, s->kind, s->max);
	} else if (s->min > 0) {
		buf_puts(out, "at least ");
		put_bound(out, s->kind, s->min);
	} else {
		buf_puts(out, "any number of");
	}
	if (s->kind == SETTING_STR || s->kind == SETTING_SECRET)
		buf_puts(out, " characters");
	else if (s->kind == SETTING_SIZE)
		buf_puts(out, " bytes");
}

static void fill_row(struct row *row, const struct setting *s)
{
	struct buf range;
	char flag[SETTING_FLAG_BYTES];

	setting_flag_format(s, flag);
	buf_init(&range, CELL_BYTES - 1);
	setting_range_put(s, &range);
	const char *text = buf_cstr(&range);
	(void)snprintf(row->cells[0], CELL_BYTES, "%s", flag);
	(void)snprintf(row->cells[1], CELL_BYTES, "%s", s->kind == SETTING_FLAG ? "" : s->name);
	(void)snprintf(row->cells[2], CELL_BYTES, "%s",
		       s->fallback               ? s->fallback
		       : s->kind == SETTING_FLAG ? ""
		       : s->optional             ? "none"
						 : "required");
	(void)snprintf(row->cells[3], CELL_BYTES, "%s", text ? text : "");
	row->help = s->help;
	buf_fini(&range);
}

static void widen(size_t *widths, const struct row *row)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		size_t n = strlen(row->cells[i]);
		widths[i] = n > widths[i] ? n : widths[i];
	}
}

static void put_row(struct buf *out, const size_t *widths, const struct row *row)
{
	buf_puts(out, "  ");
	for (size_t i = 0; i < COLUMNS; i++)
		buf_printf(out, "%-*s  ", (int)widths[i], row->cells[i]);
	buf_printf(out, "%s\n", row->help);
}

void settings_help_put(const char *prog, const char *about, const struct setting *table,
		       size_t count, size_t max_operands, struct buf *out)
{
	static const struct row head = {{"FLAG", "ENVIRONMENT", "DEFAULT", "RANGE"}, "MEANING"};
	static const struct row tail[] = {{{"--help"}, "print this and exit"},
					  {{"--version"}, "print the version and exit"}};
	size_t widths[COLUMNS] = {0};
	struct row row;
	bool secrets = false;

	buf_printf(out, "Usage: %s [flags]%s\n%s\n\n", prog,
		   max_operands > 0 ? " [--] [operands]" : "", about);
	widen(widths, &head);
	widen(widths, &tail[1]);
	for (size_t i = 0; i < count; i++) {
		fill_row(&row, &table[i]);
		widen(widths, &row);
		secrets = secrets || table[i].kind == SETTING_SECRET;
	}
	put_row(out, widths, &head);
	for (size_t i = 0; i < count; i++) {
		fill_row(&row, &table[i]);
		put_row(out, widths, &row);
	}
	for (size_t i = 0; i < ARRAY_LEN(tail); i++)
		put_row(out, widths, &tail[i]);
	buf_puts(out,
		 "\nA flag wins over the environment, the last of several flags wins, an empty\n"
		 "environment variable counts as not set.\n");
	if (secrets)
		buf_puts(out,
			 "A secret may also be read from a file: add _FILE to its variable or\n"
			 "-file to its flag.\n");
}
